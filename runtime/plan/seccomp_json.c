/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text is input of the caller, yet may be malformed or huge. jansson checks the syntax, UTF-8, depth (2048 levels) and duplicate
 * keys; here every value is checked for its type. In the parts of a rule an unknown key is an error too: a misspelt "includes"
 * would silently turn a condition into a permission. At the top level unknown keys are ignored, as the OCI specification asks.
 */
#include <nsrun/plan/seccomp_json.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/caps.h>

#include <jansson.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <strings.h>

#define MAX_TEXT (8U << 20)
#define MAX_ERRNO_RET 4095 /* the kernel's MAX_ERRNO: seccomp(2) cuts greater values */

/* Since libseccomp 2.6. */
#ifndef SCMP_ARCH_LOONGARCH64
#define SCMP_ARCH_LOONGARCH64 0xc0000102U
#endif

struct reader {
	const char *name; /* of the profile, for messages */
	struct arena *arena;
	struct err *err;
};

struct word {
	const char *name;
	uint32_t value;
};

static const struct word actions[] = {
	{ "SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD },
	{ "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD },
	{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS },
	{ "SCMP_ACT_TRAP", SCMP_ACT_TRAP },
	{ "SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0) },
	{ "SCMP_ACT_TRACE", SCMP_ACT_TRACE(0) },
	{ "SCMP_ACT_LOG", SCMP_ACT_LOG },
	{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW },
	{ "SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY },
	{ NULL, 0 },
};

static const struct word operators[] = {
	{ "SCMP_CMP_NE", SCMP_CMP_NE }, { "SCMP_CMP_LT", SCMP_CMP_LT }, { "SCMP_CMP_LE", SCMP_CMP_LE },
	{ "SCMP_CMP_EQ", SCMP_CMP_EQ }, { "SCMP_CMP_GE", SCMP_CMP_GE }, { "SCMP_CMP_GT", SCMP_CMP_GT },
	{ "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ }, { NULL, 0 },
};

static const struct word flag_words[] = {
	{ "SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC },
	{ "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
	{ "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV },
	{ NULL, 0 },
};

static const struct word arch_words[] = {
	{ "SCMP_ARCH_NATIVE", SCMP_ARCH_NATIVE }, { "SCMP_ARCH_X86", SCMP_ARCH_X86 }, { "SCMP_ARCH_X86_64", SCMP_ARCH_X86_64 },
	{ "SCMP_ARCH_X32", SCMP_ARCH_X32 }, { "SCMP_ARCH_ARM", SCMP_ARCH_ARM }, { "SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64 },
	{ "SCMP_ARCH_MIPS", SCMP_ARCH_MIPS }, { "SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64 },
	{ "SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32 }, { "SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL },
	{ "SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64 }, { "SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32 },
	{ "SCMP_ARCH_PPC", SCMP_ARCH_PPC }, { "SCMP_ARCH_PPC64", SCMP_ARCH_PPC64 }, { "SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE },
	{ "SCMP_ARCH_S390", SCMP_ARCH_S390 }, { "SCMP_ARCH_S390X", SCMP_ARCH_S390X }, { "SCMP_ARCH_PARISC", SCMP_ARCH_PARISC },
	{ "SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64 }, { "SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64 },
	{ "SCMP_ARCH_LOONGARCH64", SCMP_ARCH_LOONGARCH64 }, { NULL, 0 },
};

/* Where a value stands: printed as syscalls[3].args[0].op. */
struct where {
	char text[96];
};

static struct where at(const struct where *parent, const char *key)
{
	struct where w = { { 0 } };

	snprintf(w.text, sizeof(w.text), "%.60s%s%.30s", parent ? parent->text : "", parent && parent->text[0] ? "." : "", key);
	return w;
}

static struct where at_index(const struct where *parent, size_t index)
{
	struct where w = { { 0 } };

	snprintf(w.text, sizeof(w.text), "%.70s[%zu]", parent->text, index);
	return w;
}

static int wrong_type(const struct reader *r, const struct where *w, const char *wanted)
{
	return err_input(r->err, "%s: %s: %s is expected", r->name, w->text[0] ? w->text : "the text", wanted);
}

/* The member, or NULL when it is not there or null (as Docker writes an empty list). */
static const json_t *member(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_null(value) ? NULL : value;
}

static int check_keys(const struct reader *r, const json_t *object, const struct where *w, const char *const *known)
{
	const char *key;
	json_t *value;

	if (!json_is_object(object))
		return wrong_type(r, w, "an object");
	json_object_foreach((json_t *)(uintptr_t)object, key, value) {
		const char *const *k = known;
		const char *near;

		while (*k && !streq(*k, key))
			k++;
		if (*k)
			continue;
		near = nearest_word(key, known);
		return err_input(r->err, "%s: %s: unknown key \"%s\"%s%s", r->name, w->text, key, near ? "; the nearest is " : "",
				 near ? near : "");
	}
	return 0;
}

static int read_word(const struct reader *r, const json_t *value, const struct where *w, const struct word *words, const char *kind,
		     uint32_t *ret)
{
	const char *known[ARRAY_LEN(arch_words)] = { NULL };
	const char *text, *near;

	if (!json_is_string(value))
		return wrong_type(r, w, "a string");
	text = json_string_value(value);
	for (size_t i = 0; words[i].name; i++) {
		if (streq(words[i].name, text)) {
			*ret = words[i].value;
			return 0;
		}
		known[i] = words[i].name;
	}
	near = nearest_word(text, known);
	return err_input(r->err, "%s: %s: unknown %s \"%s\"%s%s", r->name, w->text, kind, text, near ? "; the nearest is " : "",
			 near ? near : "");
}

static int read_u64(const struct reader *r, const json_t *value, const struct where *w, uint64_t max, uint64_t *ret)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return wrong_type(r, w, "a whole number that is not negative");
	if ((uint64_t)json_integer_value(value) > max)
		return err_input(r->err, "%s: %s: %llu is too great; at most %llu", r->name, w->text,
				 (unsigned long long)json_integer_value(value), (unsigned long long)max);
	*ret = (uint64_t)json_integer_value(value);
	return 0;
}

/* A list of strings, NULL-terminated. */
static int read_strings(const struct reader *r, const json_t *value, const struct where *w, const char *const **ret)
{
	const char **list;
	size_t n;

	if (!json_is_array(value))
		return wrong_type(r, w, "a list of strings");
	n = json_array_size(value);
	list = arena_array(r->arena, n + 1, sizeof(*list));
	if (!list)
		return err_oom(r->err);
	for (size_t i = 0; i < n; i++) {
		const json_t *item = json_array_get(value, i);
		struct where wi = at_index(w, i);

		if (!json_is_string(item) || json_string_length(item) == 0)
			return wrong_type(r, &wi, "a string that is not empty");
		list[i] = arena_strdup(r->arena, json_string_value(item));
		if (!list[i])
			return err_oom(r->err);
	}
	*ret = list;
	return 0;
}

/* SCMP_ACT_ERRNO and SCMP_ACT_TRACE carry a number; for the others one is an error (OCI runtime specification, errnoRet). */
static int read_action(const struct reader *r, const json_t *object, const struct where *w, const char *key, const char *errno_key,
		       uint32_t *ret)
{
	const json_t *number = member(object, errno_key);
	struct where wa = at(w, key), we = at(w, errno_key);
	uint64_t errnum = EPERM;
	uint32_t action;
	int rc;

	if (!member(object, key))
		return err_input(r->err, "%s: %s: missing", r->name, wa.text);
	rc = read_word(r, member(object, key), &wa, actions, "action", &action);
	if (rc < 0)
		return rc;
	if (number) {
		rc = read_u64(r, number, &we, MAX_ERRNO_RET, &errnum);
		if (rc < 0)
			return rc;
	}
	if (action == SCMP_ACT_ERRNO(0))
		action = SCMP_ACT_ERRNO((uint32_t)errnum);
	else if (action == SCMP_ACT_TRACE(0))
		action = SCMP_ACT_TRACE((uint32_t)errnum);
	else if (number)
		return err_input(r->err, "%s: %s: this action takes no error number", r->name, we.text);
	*ret = action;
	return 0;
}

static int read_arg(const struct reader *r, const json_t *value, const struct where *w, struct seccomp_arg *ret)
{
	static const char *const keys[] = { "index", "value", "valueTwo", "op", NULL };
	const json_t *index, *first, *second;
	struct where wi = at(w, "index"), w1 = at(w, "value"), w2 = at(w, "valueTwo"), wo = at(w, "op");
	uint64_t number = 0;
	uint32_t op = 0;
	int rc = check_keys(r, value, w, keys);

	if (rc < 0)
		return rc;
	index = member(value, "index");
	first = member(value, "value");
	second = member(value, "valueTwo");
	rc = read_u64(r, index, &wi, 5, &number);
	if (rc == 0)
		rc = read_word(r, member(value, "op"), &wo, operators, "operator", &op);
	if (rc == 0)
		rc = read_u64(r, first, &w1, UINT64_MAX, &ret->value);
	if (rc == 0 && second)
		rc = read_u64(r, second, &w2, UINT64_MAX, &ret->value_two);
	ret->index = (unsigned)number;
	ret->op = (int)op;
	return rc;
}

static int read_args(const struct reader *r, const json_t *value, const struct where *w, struct seccomp_rule *rule)
{
	size_t n;

	if (!json_is_array(value))
		return wrong_type(r, w, "a list");
	n = json_array_size(value);
	if (n > ARRAY_LEN(rule->args))
		return err_input(r->err, "%s: %s: %zu conditions; at most %zu", r->name, w->text, n, ARRAY_LEN(rule->args));
	for (size_t i = 0; i < n; i++) {
		struct where wi = at_index(w, i);
		int rc = read_arg(r, json_array_get(value, i), &wi, &rule->args[i]);

		if (rc < 0)
			return rc;
	}
	rule->n_args = n;
	return 0;
}

/* "4.8": a kernel's version and its first number after the dot. */
static int read_min_kernel(const struct reader *r, const json_t *value, const struct where *w, unsigned ret[2])
{
	const char *text = json_string_value(value), *dot = text;
	char first[12] = "";
	uint32_t major, minor;

	while (dot && *dot && *dot != '.')
		dot++;
	if (!dot || *dot != '.' || (size_t)(dot - text) >= sizeof(first))
		return wrong_type(r, w, "a version as \"4.8\"");
	__builtin_memcpy(first, text, (size_t)(dot - text));
	if (parse_u32(first, &major) < 0 || parse_u32(dot + 1, &minor) < 0 || (major == 0 && minor == 0))
		return wrong_type(r, w, "a version as \"4.8\"");
	ret[0] = major;
	ret[1] = minor;
	return 0;
}

static int read_caps(const struct reader *r, const json_t *value, const struct where *w, uint64_t *ret)
{
	const char *const *names = NULL;
	uint64_t caps = 0;
	int rc = read_strings(r, value, w, &names);

	for (; rc == 0 && *names; names++) {
		struct err ignored = ERR_INIT;
		uint64_t one;

		if (caps_parse(*names, &one, &ignored) < 0 || strcasecmp(*names, "ALL") == 0)
			return err_input(r->err, "%s: %s: unknown capability \"%s\"", r->name, w->text, *names);
		caps |= one;
	}
	*ret = caps;
	return rc;
}

static int read_condition(const struct reader *r, const json_t *value, const struct where *w, struct profile_condition *ret)
{
	static const char *const keys[] = { "caps", "arches", "minKernel", NULL };
	const json_t *caps, *arches, *min_kernel;
	struct where wc = at(w, "caps"), wa = at(w, "arches"), wk = at(w, "minKernel");
	int rc = check_keys(r, value, w, keys);

	if (rc < 0)
		return rc;
	caps = member(value, "caps");
	arches = member(value, "arches");
	min_kernel = member(value, "minKernel");
	if (caps)
		rc = read_caps(r, caps, &wc, &ret->caps);
	if (rc == 0 && arches) {
		rc = read_strings(r, arches, &wa, &ret->arches);
		if (rc == 0 && !ret->arches[0]) /* an empty list is no condition, for Docker */
			ret->arches = NULL;
	}
	if (rc == 0 && min_kernel)
		rc = read_min_kernel(r, min_kernel, &wk, ret->min_kernel);
	return rc;
}

static int read_names(const struct reader *r, const json_t *value, const struct where *w, const char *const **ret)
{
	const json_t *names = member(value, "names"), *name = member(value, "name");
	struct where wn = at(w, name ? "name" : "names");
	const char **one;
	int rc;

	if (name && names)
		return err_input(r->err, "%s: %s: both \"name\" and \"names\"", r->name, w->text);
	if (!name) {
		rc = read_strings(r, names, &wn, ret);
		if (rc == 0 && !(*ret)[0])
			return wrong_type(r, &wn, "at least one name");
		return rc;
	}
	if (!json_is_string(name) || json_string_length(name) == 0)
		return wrong_type(r, &wn, "a string that is not empty");
	one = arena_array(r->arena, 2, sizeof(*one));
	if (!one || !(one[0] = arena_strdup(r->arena, json_string_value(name))))
		return err_oom(r->err);
	*ret = one;
	return 0;
}

static int read_entry(const struct reader *r, const json_t *value, const struct where *w, struct profile_entry *ret)
{
	static const char *const keys[] = { "names", "name", "action", "errnoRet", "args", "comment", "includes", "excludes", NULL };
	const json_t *args, *includes, *excludes;
	struct where wargs = at(w, "args"), win = at(w, "includes"), wex = at(w, "excludes");
	int rc = check_keys(r, value, w, keys);

	if (rc < 0)
		return rc;
	args = member(value, "args");
	includes = member(value, "includes");
	excludes = member(value, "excludes");
	rc = read_names(r, value, w, &ret->rule.names);
	if (rc == 0)
		rc = read_action(r, value, w, "action", "errnoRet", &ret->rule.action);
	if (rc == 0 && args)
		rc = read_args(r, args, &wargs, &ret->rule);
	if (rc == 0 && includes)
		rc = read_condition(r, includes, &win, &ret->includes);
	if (rc == 0 && excludes)
		rc = read_condition(r, excludes, &wex, &ret->excludes);
	return rc;
}

static int read_arch_list(const struct reader *r, const json_t *value, const struct where *w, uint32_t *archs, size_t *n)
{
	if (!json_is_array(value))
		return wrong_type(r, w, "a list of strings");
	for (size_t i = 0; i < json_array_size(value); i++) {
		struct where wi = at_index(w, i);
		int rc = read_word(r, json_array_get(value, i), &wi, arch_words, "architecture", &archs[*n]);

		if (rc < 0)
			return rc;
		++*n;
	}
	return 0;
}

/* Docker's archMap: for each native architecture those that are permitted beside it. */
static int read_arch_map(const struct reader *r, const json_t *map, struct seccomp_profile *ret)
{
	static const char *const keys[] = { "architecture", "subArchitectures", NULL };
	struct where w = at(NULL, "archMap");

	if (!json_is_array(map))
		return wrong_type(r, &w, "a list");
	for (size_t i = 0; i < json_array_size(map); i++) {
		const json_t *entry = json_array_get(map, i), *subs;
		struct where we = at_index(&w, i), wa = at(&we, "architecture"), ws = at(&we, "subArchitectures");
		uint32_t arch, *archs;
		size_t n = 0;
		int rc = check_keys(r, entry, &we, keys);

		if (rc < 0)
			return rc;
		rc = read_word(r, member(entry, "architecture"), &wa, arch_words, "architecture", &arch);
		if (rc < 0)
			return rc;
		subs = member(entry, "subArchitectures");
		archs = arena_array(r->arena, json_array_size(subs) + 1, sizeof(*archs));
		if (!archs)
			return err_oom(r->err);
		rc = subs ? read_arch_list(r, subs, &ws, archs, &n) : 0;
		if (rc < 0)
			return rc;
		if (arch == seccomp_arch_native()) {
			ret->archs = archs;
			ret->n_archs = n;
		}
	}
	return 0;
}

static int read_archs(const struct reader *r, const json_t *root, struct seccomp_profile *ret)
{
	const json_t *list = member(root, "architectures"), *map = member(root, "archMap");
	struct where w = at(NULL, "architectures");
	uint32_t *archs;
	size_t n = 0;
	int rc;

	if (json_array_size(list) > 0 && json_array_size(map) > 0)
		return err_input(r->err, "%s: both \"architectures\" and \"archMap\"", r->name);
	if (list) {
		archs = arena_array(r->arena, json_array_size(list) + 1, sizeof(*archs));
		if (!archs)
			return err_oom(r->err);
		rc = read_arch_list(r, list, &w, archs, &n);
		if (rc < 0)
			return rc;
		ret->archs = archs;
		ret->n_archs = n;
	}
	return map ? read_arch_map(r, map, ret) : 0;
}

static int read_flags(const struct reader *r, const json_t *value, unsigned *ret)
{
	struct where w = at(NULL, "flags");

	if (!json_is_array(value))
		return wrong_type(r, &w, "a list of strings");
	for (size_t i = 0; i < json_array_size(value); i++) {
		struct where wi = at_index(&w, i);
		uint32_t flag;
		int rc = read_word(r, json_array_get(value, i), &wi, flag_words, "flag", &flag);

		if (rc < 0)
			return rc;
		*ret |= flag;
	}
	return 0;
}

static int read_profile(const struct reader *r, const json_t *root, struct seccomp_profile *ret)
{
	struct where top = { { 0 } }, w = at(NULL, "syscalls");
	const json_t *flags, *syscalls;
	int rc;

	if (!json_is_object(root))
		return wrong_type(r, &top, "an object");
	flags = member(root, "flags");
	syscalls = member(root, "syscalls");
	rc = read_action(r, root, &top, "defaultAction", "defaultErrnoRet", &ret->default_action);
	if (rc == 0)
		rc = read_archs(r, root, ret);
	if (rc == 0 && flags)
		rc = read_flags(r, flags, &ret->flags);
	if (rc < 0 || !syscalls)
		return rc;

	if (!json_is_array(syscalls))
		return wrong_type(r, &w, "a list");
	ret->entries = arena_array(r->arena, json_array_size(syscalls) + 1, sizeof(*ret->entries));
	if (!ret->entries)
		return err_oom(r->err);
	for (size_t i = 0; i < json_array_size(syscalls); i++) {
		struct where wi = at_index(&w, i);

		rc = read_entry(r, json_array_get(syscalls, i), &wi, &ret->entries[i]);
		if (rc < 0)
			return rc;
		ret->n_entries++;
	}
	return 0;
}

int seccomp_json_parse(const char *text, size_t size, const char *name, struct arena *arena, struct seccomp_profile *ret, struct err *err)
{
	struct reader r = { .name = name, .arena = arena, .err = err };
	struct seccomp_profile profile = { 0 };
	json_error_t where;
	json_t *root;
	int rc;

	if (size > MAX_TEXT)
		return err_input(err, "%s: %zu bytes; a profile has at most %u", name, size, MAX_TEXT);
	root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
	if (!root)
		return err_input(err, "%s: line %d, column %d: %s", name, where.line, where.column, where.text);
	rc = read_profile(&r, root, &profile);
	json_decref(root);
	if (rc == 0)
		*ret = profile;
	return rc;
}
