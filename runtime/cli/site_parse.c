/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a site file. jansson says where a syntax error is, and not where a key stands: places are looked up in the text, which is
 * known to be good JSON by then. Its objects keep the order of the text, and duplicate keys are refused, so the n-th key is the n-th. */
#include <nsrun/cli/site.h>

#include <nsrun/base/strings.h>

#include <jansson.h>
#include <string.h>

/* Forbidden patterns are compared in a buffer. */
#define PATTERN_MAX 400

struct reader {
	struct site *site;
	const struct option_table *table;
	struct site_file *file;
	const char *text;
	struct err *err;
};

static const char *skip_space(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

static const char *skip_string(const char *p)
{
	for (p++; *p && *p != '"'; p++)
		if (*p == '\\' && p[1])
			p++;
	return p + (*p != '\0');
}

static const char *skip_value(const char *p)
{
	size_t depth = 0;

	do {
		if (*p == '"') {
			p = skip_string(p);
			continue;
		}
		if (*p == '{' || *p == '[')
			depth++;
		else if (*p == '}' || *p == ']')
			depth--;
		else if (!depth)
			return p + strcspn(p, ",]} \t\r\n");
		p++;
	} while (*p && depth);
	return p;
}

/* The n-th member's key of the object, or the n-th element of the array, that begins at `p`. */
static const char *nth(const char *p, size_t n)
{
	const bool object = *p == '{';

	p = skip_space(p + 1);
	while (n--) {
		if (object)
			p = skip_space(skip_space(skip_string(p)) + 1);
		p = skip_space(skip_value(p));
		p = skip_space(p + (*p == ','));
	}
	return p;
}

static const char *value_of_key(const char *key)
{
	return skip_space(skip_space(skip_string(key)) + 1);
}

static size_t line_of(const struct reader *reader, const char *at)
{
	size_t line = 1;

	for (const char *p = reader->text; p < at; p++)
		line += *p == '\n';
	return line;
}

/* In characters, not bytes, from 1 on. */
static size_t column_of(const struct reader *reader, const char *at)
{
	size_t column = 1;

	for (const char *p = at; p > reader->text && p[-1] != '\n'; p--)
		column += ((unsigned char)p[-1] & 0xc0) != 0x80;
	return column;
}

/* Begins every message: "FILE:LINE:COLUMN: ". */
#define bad(reader, at, id, fmt, ...)                                                                                 \
	err_set((reader)->err, ERR_INPUT, (id), 0, "%s:%zu:%zu: " fmt, (reader)->file->path, line_of((reader), (at)), \
		column_of((reader), (at)) __VA_OPT__(, ) __VA_ARGS__)

static const char *type_name(const json_t *value)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array", [JSON_STRING] = "a string",
		[JSON_INTEGER] = "a number", [JSON_REAL] = "a number",	[JSON_TRUE] = "true",
		[JSON_FALSE] = "false",	     [JSON_NULL] = "null",
	};

	return names[json_typeof(value)];
}

static const char *wanted_name(const struct option_row *row)
{
	if (option_is_switch(row))
		return "true or false";
	return row->kind == OPTION_LIST ? "an array of strings" : "a string or a number";
}

static int unknown_option(struct reader *reader, const char *at, const char *name)
{
	const char *plain = name + strspn(name, "-"), *near = option_nearest(reader->table, plain);

	for (size_t i = 0; !near && plain[0] && !plain[1] && i < reader->table->count; i++)
		if (reader->table->rows[i].letter == plain[0])
			near = reader->table->rows[i].name;
	if (near)
		return bad(reader, at, ERR_ID_SITE_FILE, "%s: unknown option: did you mean %s?", name, near);
	return bad(reader, at, ERR_ID_SITE_FILE, "%s: unknown option", name);
}

/* As it stands in the text: 1.5 stays 1.5. */
static char *number_text(struct reader *reader, const char *at)
{
	const size_t n = (size_t)(skip_value(at) - at);

	return strspn(at, "-.0123456789") >= n ? arena_strndup(reader->site->arena, at, n) : NULL;
}

static int add_default(struct reader *reader, const struct option_row *row, const json_t *value, const char *at)
{
	struct site_file *file = reader->file;
	struct option_said said = { .row = row, .file = file->path, .line = line_of(reader, at) };
	char spelling[512];
	int r;

	if (option_is_switch(row)) {
		if (!json_is_boolean(value))
			return bad(reader, at, ERR_ID_SITE_FILE, "%s: %s, where %s is wanted", row->name,
				   type_name(value), wanted_name(row));
		said.value = json_is_true(value) ? "true" : "false";
	} else if (row->kind == OPTION_OPTIONAL && json_is_true(value)) {
		said.value = row->values[0];
	} else if (json_is_string(value)) {
		said.value = arena_strdup(reader->site->arena, json_string_value(value));
	} else if (json_is_number(value)) {
		said.value = number_text(reader, at);
		if (!said.value)
			return bad(reader, at, ERR_ID_SITE_FILE, "%s: write the number with digits alone", row->name);
	} else {
		return bad(reader, at, ERR_ID_SITE_FILE, "%s: %s, where %s is wanted", row->name, type_name(value),
			   row->kind == OPTION_LIST ? "a string" : wanted_name(row));
	}
	if (!said.value)
		return err_oom(reader->err);
	snprintf(spelling, sizeof(spelling), "%s:%zu:%zu: %s", file->path, said.line, column_of(reader, at), row->name);
	r = option_is_switch(row) ? 0 : option_check(row, spelling, said.value, reader->err);
	if (r == 0)
		file->defaults[file->n_defaults++] = said;
	return r;
}

static size_t count_values(const json_t *defaults)
{
	const char *name;
	json_t *value;
	size_t n = 0;

	json_object_foreach((json_t *)defaults, name, value) n += json_is_array(value) ? json_array_size(value) : 1;
	return n;
}

static int parse_option(struct reader *reader, const char *name, const json_t *value, const char *key)
{
	const struct option_row *row = option_find(reader->table, name);
	const char *at = value_of_key(key);
	char spelling[512];
	int r = 0;

	if (!row)
		return unknown_option(reader, key, name);
	/* --help and --version: answers, not options of a container. */
	if (row->kind == OPTION_FLAG)
		return bad(reader, key, ERR_ID_SITE_FILE, "%s: stands on a command line alone", name);
	if (row->status == OPTION_PLANNED) {
		snprintf(spelling, sizeof(spelling), "%s:%zu:%zu: %s", reader->file->path, line_of(reader, key),
			 column_of(reader, key), name);
		return option_check(row, spelling, "", reader->err);
	}
	if (row->kind != OPTION_LIST)
		return add_default(reader, row, value, at);
	if (!json_is_array(value))
		return bad(reader, at, ERR_ID_SITE_FILE, "%s: %s, where %s is wanted", name, type_name(value),
			   wanted_name(row));
	for (size_t i = 0; r == 0 && i < json_array_size(value); i++)
		r = add_default(reader, row, json_array_get(value, i), nth(at, i));
	return r;
}

static int parse_defaults(struct reader *reader, json_t *defaults, const char *at)
{
	const char *name;
	json_t *value;
	size_t i = 0;

	if (!json_is_object(defaults))
		return bad(reader, at, ERR_ID_SITE_FILE, "defaults: %s, where an object is wanted",
			   type_name(defaults));
	reader->file->defaults =
		arena_array(reader->site->arena, count_values(defaults) + 1, sizeof(*reader->file->defaults));
	if (!reader->file->defaults)
		return err_oom(reader->err);
	json_object_foreach(defaults, name, value)
	{
		const int r = parse_option(reader, name, value, nth(at, i++));

		if (r < 0)
			return r;
	}
	return 0;
}

static int check_pattern(struct reader *reader, const struct site_forbid *forbid, const char *at)
{
	const char *pattern = forbid->pattern;

	if (!pattern)
		return 0;
	if (!pattern[0])
		return bad(reader, at, ERR_ID_SITE_FILE, "%s: the pattern is empty", forbid->text);
	if (strlen(pattern) > PATTERN_MAX)
		return bad(reader, at, ERR_ID_SITE_FILE, "forbid: a pattern is longer than %d bytes", PATTERN_MAX);
	if (pattern[0] == '/' && site_names_place(forbid->row) && (strstr(pattern, "/../") || strstr(pattern, "/..")))
		return bad(reader, at, ERR_ID_SITE_FILE, "%s: a pattern may not contain \"..\"", forbid->text);
	if (!forbid->row && pattern[0] != '/')
		return bad(reader, at, ERR_ID_SITE_FILE, "%s: the pattern must begin with /", forbid->text);
	if (forbid->row && option_is_switch(forbid->row) && option_tristate(pattern) == UNSET)
		return bad(reader, at, ERR_ID_SITE_FILE, "%s: the value is true or false", forbid->text);
	return 0;
}

static int parse_forbidden(struct reader *reader, const json_t *value, const char *at)
{
	struct arena *arena = reader->site->arena;
	struct site_forbid forbid = { .line = line_of(reader, at) };
	char *name;

	if (!json_is_string(value))
		return bad(reader, at, ERR_ID_SITE_FILE, "forbid: %s, where a string is wanted", type_name(value));
	forbid.text = arena_strdup(arena, json_string_value(value));
	name = arena_strndup(arena, json_string_value(value), strcspn(json_string_value(value), "="));
	if (!forbid.text || !name)
		return err_oom(reader->err);
	if (forbid.text[strlen(name)] == '=')
		forbid.pattern = forbid.text + strlen(name) + 1;
	forbid.row = option_find(reader->table, name);
	if (!forbid.row && !streq(name, "ROOTFS"))
		return unknown_option(reader, at, name);

	const int r = check_pattern(reader, &forbid, at);
	if (r == 0)
		reader->file->forbid[reader->file->n_forbid++] = forbid;
	return r;
}

static int parse_forbid(struct reader *reader, const json_t *forbid, const char *at)
{
	if (!json_is_array(forbid))
		return bad(reader, at, ERR_ID_SITE_FILE, "forbid: %s, where an array of strings is wanted",
			   type_name(forbid));
	reader->file->forbid =
		arena_array(reader->site->arena, json_array_size(forbid) + 1, sizeof(*reader->file->forbid));
	if (!reader->file->forbid)
		return err_oom(reader->err);
	for (size_t i = 0; i < json_array_size(forbid); i++) {
		const int r = parse_forbidden(reader, json_array_get(forbid, i), nth(at, i));

		if (r < 0)
			return r;
	}
	return 0;
}

static int parse_members(struct reader *reader, json_t *root)
{
	static const char *const known[] = { "defaults", "forbid", NULL };
	const char *name, *at = skip_space(reader->text);
	json_t *value;
	size_t i = 0;

	if (!json_is_object(root))
		return bad(reader, at, ERR_ID_SITE_FILE, "%s, where an object is wanted", type_name(root));
	json_object_foreach(root, name, value)
	{
		const char *key = nth(at, i++), *near = nearest_word(name, known);
		int r;

		if (streq(name, "defaults"))
			r = parse_defaults(reader, value, value_of_key(key));
		else if (streq(name, "forbid"))
			r = parse_forbid(reader, value, value_of_key(key));
		else
			r = bad(reader, key, ERR_ID_SITE_FILE, "%s: unknown key: %s%s%s", name,
				near ? "did you mean " : "there are ", near ? near : "defaults and forbid",
				near ? "?" : "");
		if (r < 0)
			return r;
	}
	return 0;
}

static void json_unref(json_t **json)
{
	json_decref(*json);
}

int site_parse(struct site *site, const struct option_table *table, const char *path, const char *text, size_t size,
	       struct err *err)
{
	struct site_file *file = &site->files[site->n_files];
	struct reader reader = { .site = site, .table = table, .file = file, .text = text, .err = err };
	json_error_t error;

	if (site->n_files >= SITE_FILES_MAX)
		return err_bug(err, "%s: one site file too many", path);
	if (!site->arena)
		site->arena = arena_new();
	file->path = site->arena ? arena_strdup(site->arena, path) : NULL;
	if (!file->path)
		return err_oom(err);

	_cleanup_(json_unref) json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (!root)
		return err_set(err, ERR_INPUT, ERR_ID_SITE_FILE, 0, "%s:%d:%d: %s", path, error.line, error.column,
			       error.text);

	const int r = parse_members(&reader, root);
	if (r == 0)
		site->n_files++;
	return r;
}
