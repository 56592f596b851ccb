/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/oci/json_at.h>

#include <nsrun/base/file.h>
#include <nsrun/plan/json_whole.h>
#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WAY_MAX 256
#define WORDS_TEXT_MAX 256

/* Each value takes some 100 bytes once it is parsed, however short its text: a document of brackets would be memory of a hundred times its size. Separators
 * tell how many there are at most. */
static bool is_too_many(const char *text, size_t size)
{
	size_t values = 0;

	for (size_t i = 0; i < size; i++) {
		if (text[i] == '"')
			for (i++; i < size && text[i] != '"'; i++)
				i += text[i] == '\\';
		else
			values += text[i] == ',' || text[i] == '[' || text[i] == '{';
	}
	return values > JSON_AT_VALUES_MAX;
}

int json_at_parse(const char *text, size_t size, const char *name, json_t **ret, struct err *err)
{
	json_error_t why;

	if (is_too_many(text, size))
		return err_input(err, "%s: more than %d values", name, JSON_AT_VALUES_MAX);
	json_t *value = json_load_whole(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);

	if (!value && json_error_code(&why) == json_error_out_of_memory)
		return err_oom(err);
	if (!value)
		return err_input(err, "%s: line %d, column %d: %s", name, why.line, why.column, why.text);
	*ret = value;
	return 0;
}

int json_at_load(int dir_fd, const char *path, size_t max, const char *name, json_t **ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	const int r = streq(path, "-") ? file_read_fd(STDIN_FILENO, "standard input", 4096, max, &text, &size, err)
				       : file_read_at(dir_fd, path, max, &text, &size, err);

	return r < 0 ? r : json_at_parse(text, size, name, ret, err);
}

bool json_at_key(const struct json_at *at, const char *key, struct json_at *ret)
{
	const json_t *value = json_object_get(at->value, key);

	if (!value || json_is_null(value))
		return false;
	*ret = (struct json_at){ .value = value, .up = at, .key = key };
	return true;
}

struct json_at json_at_entry(const struct json_at *array, size_t index)
{
	return (struct json_at){ .value = json_array_get(array->value, index), .up = array, .index = index };
}

/* Returns how much is written: the document's name is not part of the way. */
static size_t put_way(const struct json_at *at, char *buf, size_t size)
{
	if (!at->up) {
		buf[0] = '\0';
		return 0;
	}
	const size_t used = put_way(at->up, buf, size);
	const int n = at->key ? snprintf(buf + used, size - used, "%s%s", used ? "." : "", at->key)
			      : snprintf(buf + used, size - used, "[%zu]", at->index);
	const size_t end = used + (n > 0 ? (size_t)n : 0);

	return end < size ? end : size - 1;
}

static int __attribute__((format(printf, 4, 0)))
err_at(const struct json_at *at, struct err *err, enum err_id id, const char *fmt, va_list args)
{
	char way[WAY_MAX], text[ERR_MESSAGE_MAX];
	const struct json_at *document = at;

	while (document->up)
		document = document->up;
	put_way(at, way, sizeof(way));
	vsnprintf(text, sizeof(text), fmt, args);
	return err_set(err, ERR_INPUT, id, 0, "%s%s%s: %s", document->key ? document->key : "",
		       document->key && *way ? ": " : "", way, text);
}

int json_at_err(const struct json_at *at, struct err *err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	const int r = err_at(at, err, ERR_ID_NONE, fmt, args);
	va_end(args);
	return r;
}

int json_at_err_id(const struct json_at *at, struct err *err, enum err_id id, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	const int r = err_at(at, err, id, fmt, args);
	va_end(args);
	return r;
}

const char *json_at_path(const struct json_at *at, struct arena *arena)
{
	char way[WAY_MAX];

	put_way(at, way, sizeof(way));
	return arena_strdup(arena, way);
}

static const char *type_name(const json_t *value)
{
	if (json_is_beyond(value))
		return "an integer";
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "an integer";
	case JSON_REAL:
		return "a number with a fraction";
	case JSON_TRUE:
	case JSON_FALSE:
		return "a boolean";
	case JSON_NULL:
		break;
	}
	return "null";
}

static int wrong_type(const struct json_at *at, const char *wanted, struct err *err)
{
	return json_at_err(at, err, "%s is wanted, this is %s", wanted, type_name(at->value));
}

int json_at_object(const struct json_at *at, struct err *err)
{
	return json_is_object(at->value) ? 0 : wrong_type(at, "an object", err);
}

int json_at_array(const struct json_at *at, struct err *err)
{
	return json_is_array(at->value) ? 0 : wrong_type(at, "an array", err);
}

int json_at_string(const struct json_at *at, struct arena *arena, const char **ret, struct err *err)
{
	if (!json_is_string(at->value) || json_is_beyond(at->value))
		return wrong_type(at, "a string", err);
	const char *text = json_string_value(at->value);
	if (arena)
		text = arena_strdup(arena, text);
	if (!text)
		return err_oom(err);
	*ret = text;
	return 0;
}

int json_at_bool(const struct json_at *at, bool *ret, struct err *err)
{
	if (!json_is_boolean(at->value))
		return wrong_type(at, "a boolean", err);
	*ret = json_is_true(at->value);
	return 0;
}

int json_at_int(const struct json_at *at, int64_t min, int64_t max, int64_t *ret, struct err *err)
{
	uint64_t beyond;

	if (json_is_beyond(at->value) && json_is_u64(at->value, &beyond))
		return json_at_err(at, err, "%" PRIu64 " is out of range: %" PRId64 " to %" PRId64, beyond, min, max);
	if (!json_is_integer(at->value))
		return wrong_type(at, "an integer", err);
	const json_int_t value = json_integer_value(at->value);
	if (value < min || value > max)
		return json_at_err(at, err, "%" JSON_INTEGER_FORMAT " is out of range: %" PRId64 " to %" PRId64, value,
				   min, max);
	*ret = value;
	return 0;
}

int json_at_u64(const struct json_at *at, uint64_t *ret, struct err *err)
{
	if (json_is_u64(at->value, ret))
		return 0;
	if (json_is_integer(at->value))
		return json_at_err(at, err, "%" JSON_INTEGER_FORMAT " is negative", json_integer_value(at->value));
	return wrong_type(at, "an integer", err);
}

int json_at_strings(const struct json_at *at, struct arena *arena, const char *const **ret, size_t *ret_n,
		    struct err *err)
{
	int r = json_at_array(at, err);

	if (r < 0)
		return r;
	const size_t n = json_array_size(at->value);
	const char **list = arena_array(arena, n + 1, sizeof(*list));
	if (!list)
		return err_oom(err);
	for (size_t i = 0; i < n; i++) {
		const struct json_at entry = json_at_entry(at, i);

		r = json_at_string(&entry, arena, &list[i], err);
		if (r < 0)
			return r;
	}
	list[n] = NULL;
	*ret = list;
	if (ret_n)
		*ret_n = n;
	return 0;
}

int json_at_word(const struct json_at *at, const char *const *words, size_t *ret, struct err *err)
{
	const char *text = "", *near;
	char known[WORDS_TEXT_MAX] = "";
	size_t used = 0;
	const int r = json_at_string(at, NULL, &text, err);

	if (r < 0)
		return r;
	for (size_t i = 0; words[i]; i++) {
		if (streq(words[i], text)) {
			*ret = i;
			return 0;
		}
		const int n = snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "", words[i]);
		used += n > 0 && used + (size_t)n < sizeof(known) ? (size_t)n : 0;
	}
	near = nearest_word(text, words);
	if (near)
		return json_at_err(at, err, "'%s' is unknown: did you mean '%s'?", text, near);
	return json_at_err(at, err, "'%s' is none of its values: %s", text, known);
}

int json_at_string_of(const struct json_at *object, const char *key, struct arena *arena, const char **ret,
		      struct err *err)
{
	struct json_at at;

	return json_at_key(object, key, &at) ? json_at_string(&at, arena, ret, err) : 0;
}

int json_at_bool_of(const struct json_at *object, const char *key, bool *ret, struct err *err)
{
	struct json_at at;

	return json_at_key(object, key, &at) ? json_at_bool(&at, ret, err) : 0;
}

int json_at_int_of(const struct json_at *object, const char *key, int64_t min, int64_t max, int64_t *ret,
		   struct err *err)
{
	struct json_at at;

	return json_at_key(object, key, &at) ? json_at_int(&at, min, max, ret, err) : 0;
}

int json_at_strings_of(const struct json_at *object, const char *key, struct arena *arena, const char *const **ret,
		       size_t *ret_n, struct err *err)
{
	struct json_at at;

	return json_at_key(object, key, &at) ? json_at_strings(&at, arena, ret, ret_n, err) : 0;
}
