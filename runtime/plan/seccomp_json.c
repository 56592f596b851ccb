/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text is input of the caller, yet may be malformed or huge. jansson checks the syntax, UTF-8, depth (2048 levels) and duplicate
 * keys; here and in seccomp_json_rule.c every value is checked for its type. At the top level unknown keys are ignored, as the OCI
 * specification asks.
 */
#include <nsrun/plan/seccomp_json.h>

#include <nsrun/base/strings.h>
#include <nsrun/plan/json_whole.h>
#include <nsrun/plan/seccomp_json_read.h>

#include <linux/seccomp.h>
#include <seccomp.h>

#define MAX_TEXT (8U << 20)
#define MAX_ERRNO_RET 4095 /* the kernel's MAX_ERRNO: seccomp(2) cuts greater values */

/* Since libseccomp 2.6. */
#ifndef SCMP_ARCH_LOONGARCH64
#define SCMP_ARCH_LOONGARCH64 0xc0000102U
#endif

const struct profile_word profile_actions[] = {
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

const struct profile_word profile_flags[] = {
	{ "SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC },
	{ "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
	{ "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV },
	{ NULL, 0 },
};

const struct profile_word profile_archs[] = {
	{ "SCMP_ARCH_NATIVE", SCMP_ARCH_NATIVE },
	{ "SCMP_ARCH_X86", SCMP_ARCH_X86 },
	{ "SCMP_ARCH_X86_64", SCMP_ARCH_X86_64 },
	{ "SCMP_ARCH_X32", SCMP_ARCH_X32 },
	{ "SCMP_ARCH_ARM", SCMP_ARCH_ARM },
	{ "SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64 },
	{ "SCMP_ARCH_MIPS", SCMP_ARCH_MIPS },
	{ "SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64 },
	{ "SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32 },
	{ "SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL },
	{ "SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64 },
	{ "SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32 },
	{ "SCMP_ARCH_PPC", SCMP_ARCH_PPC },
	{ "SCMP_ARCH_PPC64", SCMP_ARCH_PPC64 },
	{ "SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE },
	{ "SCMP_ARCH_S390", SCMP_ARCH_S390 },
	{ "SCMP_ARCH_S390X", SCMP_ARCH_S390X },
	{ "SCMP_ARCH_PARISC", SCMP_ARCH_PARISC },
	{ "SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64 },
	{ "SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64 },
	{ "SCMP_ARCH_LOONGARCH64", SCMP_ARCH_LOONGARCH64 },
	{ NULL, 0 },
};
_Static_assert(ARRAY_LEN(profile_archs) <= PROFILE_MAX_WORDS, "the longest table");

struct profile_where profile_at(const struct profile_where *parent, const char *key)
{
	struct profile_where w = { { 0 } };

	snprintf(w.text, sizeof(w.text), "%.60s%s%.30s", parent ? parent->text : "",
		 parent && parent->text[0] ? "." : "", key);
	return w;
}

struct profile_where profile_at_index(const struct profile_where *parent, size_t index)
{
	struct profile_where w = { { 0 } };

	snprintf(w.text, sizeof(w.text), "%.70s[%zu]", parent->text, index);
	return w;
}

int profile_wrong_type(const struct profile_reader *r, const struct profile_where *w, const char *wanted)
{
	return err_input(r->err, "%s: %s: %s is expected", r->name, w->text[0] ? w->text : "the text", wanted);
}

const json_t *profile_member(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_null(value) ? NULL : value;
}

int profile_check_keys(const struct profile_reader *r, const json_t *object, const struct profile_where *w,
		       const char *const *known)
{
	const char *key;
	json_t *value;

	if (!json_is_object(object))
		return profile_wrong_type(r, w, "an object");
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		const char *const *k = known;
		const char *near;

		while (*k && !streq(*k, key))
			k++;
		if (*k || r->oci)
			continue;
		near = nearest_word(key, known);
		return err_input(r->err, "%s: %s: unknown key \"%s\"%s%s", r->name, w->text, key,
				 near ? "; the nearest is " : "", near ? near : "");
	}
	return 0;
}

int profile_read_word(const struct profile_reader *r, const json_t *value, const struct profile_where *w,
		      const struct profile_word *words, const char *kind, uint32_t *ret)
{
	const char *known[PROFILE_MAX_WORDS + 1] = { NULL };
	const char *text, *near;

	if (!json_is_string(value))
		return profile_wrong_type(r, w, "a string");
	text = json_string_value(value);
	for (size_t i = 0; words[i].name; i++) {
		if (streq(words[i].name, text)) {
			*ret = words[i].value;
			return 0;
		}
		known[i] = words[i].name;
	}
	near = nearest_word(text, known);
	return err_input(r->err, "%s: %s: unknown %s \"%s\"%s%s", r->name, w->text, kind, text,
			 near ? "; the nearest is " : "", near ? near : "");
}

int profile_read_u64(const struct profile_reader *r, const json_t *value, const struct profile_where *w, uint64_t max,
		     uint64_t *ret)
{
	uint64_t number;

	if (!json_is_u64(value, &number))
		return profile_wrong_type(r, w, "a whole number that is not negative");
	if (number > max)
		return err_input(r->err, "%s: %s: %llu is too great; at most %llu", r->name, w->text,
				 (unsigned long long)number, (unsigned long long)max);
	*ret = number;
	return 0;
}

int profile_read_strings(const struct profile_reader *r, const json_t *value, const struct profile_where *w,
			 const char *const **ret)
{
	const char **list;
	size_t n;

	if (!json_is_array(value))
		return profile_wrong_type(r, w, "a list of strings");
	n = json_array_size(value);
	list = arena_array(r->arena, n + 1, sizeof(*list));
	if (!list)
		return err_oom(r->err);
	for (size_t i = 0; i < n; i++) {
		const json_t *item = json_array_get(value, i);
		struct profile_where wi = profile_at_index(w, i);

		if (!json_is_string(item) || json_string_length(item) == 0)
			return profile_wrong_type(r, &wi, "a string that is not empty");
		list[i] = arena_strdup(r->arena, json_string_value(item));
		if (!list[i])
			return err_oom(r->err);
	}
	*ret = list;
	return 0;
}

int profile_read_action(const struct profile_reader *r, const json_t *object, const struct profile_where *w,
			const char *key, const char *errno_key, uint32_t *ret)
{
	const json_t *number = profile_member(object, errno_key);
	struct profile_where wa = profile_at(w, key), we = profile_at(w, errno_key);
	uint64_t errnum = EPERM;
	uint32_t action = SCMP_ACT_KILL_PROCESS;
	int rc;

	if (!profile_member(object, key))
		return err_input(r->err, "%s: %s: missing", r->name, wa.text);
	rc = profile_read_word(r, profile_member(object, key), &wa, profile_actions, "action", &action);
	if (rc < 0)
		return rc;
	if (number) {
		rc = profile_read_u64(r, number, &we, MAX_ERRNO_RET, &errnum);
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

static int read_arch_list(const struct profile_reader *r, const json_t *value, const struct profile_where *w,
			  uint32_t *archs, size_t *n)
{
	if (!json_is_array(value))
		return profile_wrong_type(r, w, "a list of strings");
	for (size_t i = 0; i < json_array_size(value); i++) {
		struct profile_where wi = profile_at_index(w, i);
		int rc = profile_read_word(r, json_array_get(value, i), &wi, profile_archs, "architecture", &archs[*n]);

		if (rc < 0)
			return rc;
		if (r->oci && !seccomp_arch_is_possible(archs[*n]))
			return err_input(r->err,
					 "%s: %s: a filter of this machine cannot hold it, too: another byte order",
					 r->name, wi.text);
		++*n;
	}
	return 0;
}

/* Docker's archMap: for each native architecture those that are permitted beside it. */
static int read_arch_map(const struct profile_reader *r, const json_t *map, struct seccomp_profile *ret)
{
	static const char *const keys[] = { "architecture", "subArchitectures", NULL };
	struct profile_where w = profile_at(&r->top, "archMap");

	if (!json_is_array(map))
		return profile_wrong_type(r, &w, "a list");
	for (size_t i = 0; i < json_array_size(map); i++) {
		const json_t *entry = json_array_get(map, i), *subs;
		struct profile_where we = profile_at_index(&w, i), wa = profile_at(&we, "architecture"),
				     ws = profile_at(&we, "subArchitectures");
		uint32_t arch = SCMP_ARCH_NATIVE, *archs;
		size_t n = 0;
		int rc = profile_check_keys(r, entry, &we, keys);

		if (rc < 0)
			return rc;
		rc = profile_read_word(r, profile_member(entry, "architecture"), &wa, profile_archs, "architecture",
				       &arch);
		if (rc < 0)
			return rc;
		subs = profile_member(entry, "subArchitectures");
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

static int read_archs(const struct profile_reader *r, const json_t *root, struct seccomp_profile *ret)
{
	const json_t *list = profile_member(root, "architectures"),
		     *map = r->oci ? NULL : profile_member(root, "archMap");
	struct profile_where w = profile_at(&r->top, "architectures");
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

static int read_flags(const struct profile_reader *r, const json_t *value, unsigned *ret)
{
	struct profile_where w = profile_at(&r->top, "flags");

	if (!json_is_array(value))
		return profile_wrong_type(r, &w, "a list of strings");
	for (size_t i = 0; i < json_array_size(value); i++) {
		struct profile_where wi = profile_at_index(&w, i);
		uint32_t flag;
		int rc = profile_read_word(r, json_array_get(value, i), &wi, profile_flags, "flag", &flag);

		if (rc < 0)
			return rc;
		*ret |= flag;
	}
	return 0;
}

static int read_profile(const struct profile_reader *r, const json_t *root, struct seccomp_profile *ret)
{
	struct profile_where top = r->top, w = profile_at(&r->top, "syscalls");
	const json_t *flags, *syscalls;
	int rc;

	if (!json_is_object(root))
		return profile_wrong_type(r, &top, "an object");
	flags = profile_member(root, "flags");
	syscalls = profile_member(root, "syscalls");
	rc = profile_read_action(r, root, &top, "defaultAction", "defaultErrnoRet", &ret->default_action);
	if (rc == 0)
		rc = read_archs(r, root, ret);
	if (rc == 0 && flags)
		rc = read_flags(r, flags, &ret->flags);
	if (rc < 0 || !syscalls)
		return rc;

	if (!json_is_array(syscalls))
		return profile_wrong_type(r, &w, "a list");
	ret->entries = arena_array(r->arena, json_array_size(syscalls) + 1, sizeof(*ret->entries));
	if (!ret->entries)
		return err_oom(r->err);
	for (size_t i = 0; i < json_array_size(syscalls); i++) {
		struct profile_where wi = profile_at_index(&w, i);

		rc = profile_read_entry(r, json_array_get(syscalls, i), &wi, &ret->entries[i]);
		if (rc < 0)
			return rc;
		ret->n_entries++;
	}
	return 0;
}

static int parse(struct profile_reader r, const char *text, size_t size, struct seccomp_profile *ret)
{
	struct seccomp_profile profile = { 0 };
	json_error_t where;
	json_t *root;
	int rc;

	if (size > MAX_TEXT)
		return err_input(r.err, "%s: %zu bytes; a profile has at most %u", r.name, size, MAX_TEXT);
	root = json_load_whole(text, size, JSON_REJECT_DUPLICATES, &where);
	if (!root)
		return err_input(r.err, "%s: line %d, column %d: %s", r.name, where.line, where.column, where.text);
	rc = read_profile(&r, root, &profile);
	json_decref(root);
	if (rc == 0)
		*ret = profile;
	return rc;
}

int seccomp_json_parse(const char *text, size_t size, const char *name, struct arena *arena,
		       struct seccomp_profile *ret, struct err *err)
{
	return parse((struct profile_reader){ .name = name, .arena = arena, .err = err }, text, size, ret);
}

int seccomp_json_parse_oci(const char *text, size_t size, const char *name, const char *top, struct arena *arena,
			   struct seccomp_profile *ret, struct err *err)
{
	struct profile_reader r = { .name = name, .arena = arena, .err = err, .oci = true };

	snprintf(r.top.text, sizeof(r.top.text), "%s", top);
	return parse(r, text, size, ret);
}
