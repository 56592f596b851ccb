/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/seccomp_profile.h>

#include <nsrun/base/strings.h>

#include <limits.h>
#include <seccomp.h>
#include <sys/utsname.h>

#if defined(__x86_64__)
#define NATIVE_ARCH_NAME "amd64"
#elif defined(__aarch64__)
#define NATIVE_ARCH_NAME "arm64"
#else
#error "name this architecture as Docker's profiles do"
#endif

static bool version_at_least(const unsigned a[2], const unsigned b[2])
{
	return a[0] > b[0] || (a[0] == b[0] && a[1] >= b[1]);
}

static bool names_native_arch(const char *const *arches)
{
	for (; *arches; arches++)
		if (streq(*arches, NATIVE_ARCH_NAME))
			return true;
	return false;
}

static bool has_min_kernel(const struct profile_condition *condition)
{
	return condition->min_kernel[0] != 0 || condition->min_kernel[1] != 0;
}

static void narrow(struct kernel_range *range, const unsigned min[2], const unsigned kernel[2])
{
	if (version_at_least(kernel, min)) {
		if (version_at_least(min, range->from))
			range->from[0] = min[0], range->from[1] = min[1];
	} else if (version_at_least(range->before, min)) {
		range->before[0] = min[0], range->before[1] = min[1];
	}
}

static bool entry_holds(const struct profile_entry *entry, uint64_t caps, const unsigned kernel[2])
{
	const struct profile_condition *in = &entry->includes, *ex = &entry->excludes;

	if ((in->caps & ~caps) != 0 || (in->arches && !names_native_arch(in->arches)))
		return false;
	if (has_min_kernel(in) && !version_at_least(kernel, in->min_kernel))
		return false;
	if ((ex->caps & caps) != 0 || (ex->arches && names_native_arch(ex->arches)))
		return false;
	return !has_min_kernel(ex) || !version_at_least(kernel, ex->min_kernel);
}

int seccomp_profile_resolve_for(const struct seccomp_profile *profile, uint64_t caps, const unsigned kernel[2],
				struct arena *arena, struct seccomp_rules *ret, struct kernel_range *ret_range,
				struct err *err)
{
	struct kernel_range range = { .from = { 0, 0 }, .before = { UINT_MAX, UINT_MAX } };
	struct seccomp_rule *rules;
	uint32_t *archs;
	size_t n_rules = 0, n_archs = 0;

	rules = arena_array(arena, profile->n_entries + 1, sizeof(*rules));
	archs = arena_array(arena, profile->n_archs + 1, sizeof(*archs));
	if (!rules || !archs)
		return err_oom(err);

	for (size_t i = 0; i < profile->n_entries; i++) {
		const struct profile_entry *entry = &profile->entries[i];

		if (has_min_kernel(&entry->includes))
			narrow(&range, entry->includes.min_kernel, kernel);
		if (has_min_kernel(&entry->excludes))
			narrow(&range, entry->excludes.min_kernel, kernel);
		if (entry_holds(entry, caps, kernel))
			rules[n_rules++] = entry->rule;
	}
	for (size_t i = 0; i < profile->n_archs; i++)
		if (profile->archs[i] != SCMP_ARCH_NATIVE && profile->archs[i] != seccomp_arch_native())
			archs[n_archs++] = profile->archs[i];

	*ret = (struct seccomp_rules){ .default_action = profile->default_action,
				       .n_archs = n_archs,
				       .archs = archs,
				       .n_rules = n_rules,
				       .rules = rules,
				       .flags = profile->flags };
	if (ret_range)
		*ret_range = range;
	return 0;
}

int seccomp_profile_resolve(const struct seccomp_profile *profile, uint64_t caps, struct arena *arena,
			    struct seccomp_rules *ret, struct err *err)
{
	struct utsname name;
	unsigned kernel[2];

	if (uname(&name) < 0)
		return err_system(err, "uname");
	if (sscanf(name.release, "%u.%u", &kernel[0], &kernel[1]) != 2)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, 0, "uname: the release \"%s\" has no version",
			       name.release);
	return seccomp_profile_resolve_for(profile, caps, kernel, arena, ret, NULL, err);
}
