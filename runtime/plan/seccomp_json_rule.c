/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/seccomp_json_read.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/caps.h>

#include <seccomp.h>
#include <strings.h>

/*
 * One entry of "syscalls". An unknown key is an error in here: a misspelt "includes" would silently turn a condition into a
 * permission.
 */

const struct profile_word profile_operators[] = {
	{ "SCMP_CMP_NE", SCMP_CMP_NE },
	{ "SCMP_CMP_LT", SCMP_CMP_LT },
	{ "SCMP_CMP_LE", SCMP_CMP_LE },
	{ "SCMP_CMP_EQ", SCMP_CMP_EQ },
	{ "SCMP_CMP_GE", SCMP_CMP_GE },
	{ "SCMP_CMP_GT", SCMP_CMP_GT },
	{ "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ },
	{ NULL, 0 },
};

static int read_arg(const struct profile_reader *r, const json_t *value, const struct profile_where *w,
		    struct seccomp_arg *ret)
{
	static const char *const keys[] = { "index", "value", "valueTwo", "op", NULL };
	const json_t *index, *first, *second;
	struct profile_where wi = profile_at(w, "index"), w1 = profile_at(w, "value"), w2 = profile_at(w, "valueTwo"),
			     wo = profile_at(w, "op");
	uint64_t number = 0;
	uint32_t op = 0;
	int rc = profile_check_keys(r, value, w, keys);

	if (rc < 0)
		return rc;
	index = profile_member(value, "index");
	first = profile_member(value, "value");
	second = profile_member(value, "valueTwo");
	rc = profile_read_u64(r, index, &wi, 5, &number);
	if (rc == 0)
		rc = profile_read_word(r, profile_member(value, "op"), &wo, profile_operators, "operator", &op);
	if (rc == 0)
		rc = profile_read_u64(r, first, &w1, UINT64_MAX, &ret->value);
	if (rc == 0 && second)
		rc = profile_read_u64(r, second, &w2, UINT64_MAX, &ret->value_two);
	ret->index = (unsigned)number;
	ret->op = (int)op;
	return rc;
}

static int read_args(const struct profile_reader *r, const json_t *value, const struct profile_where *w,
		     struct seccomp_rule *rule)
{
	size_t n;

	if (!json_is_array(value))
		return profile_wrong_type(r, w, "a list");
	n = json_array_size(value);
	if (n > ARRAY_LEN(rule->args))
		return err_input(r->err, "%s: %s: %zu conditions; at most %zu", r->name, w->text, n,
				 ARRAY_LEN(rule->args));
	for (size_t i = 0; i < n; i++) {
		struct profile_where wi = profile_at_index(w, i);
		int rc = read_arg(r, json_array_get(value, i), &wi, &rule->args[i]);

		if (rc < 0)
			return rc;
	}
	rule->n_args = n;
	return 0;
}

/* "4.8": a kernel's version and its first number after the dot. */
static int read_min_kernel(const struct profile_reader *r, const json_t *value, const struct profile_where *w,
			   unsigned ret[2])
{
	const char *text = json_string_value(value), *dot = text;
	char first[12] = "";
	uint32_t major, minor;

	while (dot && *dot && *dot != '.')
		dot++;
	if (!dot || *dot != '.' || (size_t)(dot - text) >= sizeof(first))
		return profile_wrong_type(r, w, "a version as \"4.8\"");
	__builtin_memcpy(first, text, (size_t)(dot - text));
	if (parse_u32(first, &major) < 0 || parse_u32(dot + 1, &minor) < 0 || (major == 0 && minor == 0))
		return profile_wrong_type(r, w, "a version as \"4.8\"");
	ret[0] = major;
	ret[1] = minor;
	return 0;
}

static int read_caps(const struct profile_reader *r, const json_t *value, const struct profile_where *w, uint64_t *ret)
{
	const char *const *names = NULL;
	uint64_t caps = 0;
	int rc = profile_read_strings(r, value, w, &names);

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

static int read_condition(const struct profile_reader *r, const json_t *value, const struct profile_where *w,
			  struct profile_condition *ret)
{
	static const char *const keys[] = { "caps", "arches", "minKernel", NULL };
	const json_t *caps, *arches, *min_kernel;
	struct profile_where wc = profile_at(w, "caps"), wa = profile_at(w, "arches"), wk = profile_at(w, "minKernel");
	int rc = profile_check_keys(r, value, w, keys);

	if (rc < 0)
		return rc;
	caps = profile_member(value, "caps");
	arches = profile_member(value, "arches");
	min_kernel = profile_member(value, "minKernel");
	if (caps)
		rc = read_caps(r, caps, &wc, &ret->caps);
	if (rc == 0 && arches) {
		rc = profile_read_strings(r, arches, &wa, &ret->arches);
		if (rc == 0 && !ret->arches[0]) /* an empty list is no condition, for Docker */
			ret->arches = NULL;
	}
	if (rc == 0 && min_kernel)
		rc = read_min_kernel(r, min_kernel, &wk, ret->min_kernel);
	return rc;
}

static int read_names(const struct profile_reader *r, const json_t *value, const struct profile_where *w,
		      const char *const **ret)
{
	const json_t *names = profile_member(value, "names"), *name = r->oci ? NULL : profile_member(value, "name");
	struct profile_where wn = profile_at(w, name ? "name" : "names");
	const char **one;
	int rc;

	if (name && names)
		return err_input(r->err, "%s: %s: both \"name\" and \"names\"", r->name, w->text);
	if (!name) {
		rc = profile_read_strings(r, names, &wn, ret);
		if (rc == 0 && !(*ret)[0])
			return profile_wrong_type(r, &wn, "at least one name");
		return rc;
	}
	if (!json_is_string(name) || json_string_length(name) == 0)
		return profile_wrong_type(r, &wn, "a string that is not empty");
	one = arena_array(r->arena, 2, sizeof(*one));
	if (!one || !(one[0] = arena_strdup(r->arena, json_string_value(name))))
		return err_oom(r->err);
	*ret = one;
	return 0;
}

int profile_read_entry(const struct profile_reader *r, const json_t *value, const struct profile_where *w,
		       struct profile_entry *ret)
{
	static const char *const keys[] = { "names",   "name",	   "action",   "errnoRet", "args",
					    "comment", "includes", "excludes", NULL };
	const json_t *args, *includes, *excludes;
	struct profile_where wargs = profile_at(w, "args"), win = profile_at(w, "includes"),
			     wex = profile_at(w, "excludes");
	int rc = profile_check_keys(r, value, w, keys);

	if (rc < 0)
		return rc;
	args = profile_member(value, "args");
	includes = r->oci ? NULL : profile_member(value, "includes");
	excludes = r->oci ? NULL : profile_member(value, "excludes");
	rc = read_names(r, value, w, &ret->rule.names);
	if (rc == 0)
		rc = profile_read_action(r, value, w, "action", "errnoRet", &ret->rule.action);
	if (rc == 0 && args)
		rc = read_args(r, args, &wargs, &ret->rule);
	if (rc == 0 && includes)
		rc = read_condition(r, includes, &win, &ret->includes);
	if (rc == 0 && excludes)
		rc = read_condition(r, excludes, &wex, &ret->excludes);
	return rc;
}
