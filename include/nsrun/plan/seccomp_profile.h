/* SPDX-License-Identifier: Apache-2.0 */
/* A profile as OCI and Docker write it, with its conditions; and its resolution for one container on this kernel. */
#ifndef NSRUN_PLAN_SECCOMP_PROFILE_H
#define NSRUN_PLAN_SECCOMP_PROFILE_H

#include <nsrun/base/arena.h>
#include <nsrun/kernel/seccomp.h>

struct profile_condition {
	uint64_t caps;		   /* includes: all of them are given; excludes: any of them */
	const char *const *arches; /* Docker's names ("amd64"); NULL when there is no such condition */
	unsigned min_kernel[2];	   /* {0,0} when there is none */
};

struct profile_entry {
	struct seccomp_rule rule;
	struct profile_condition includes, excludes;
};

struct seccomp_profile {
	uint32_t default_action;
	const uint32_t *archs;
	size_t n_archs;
	unsigned flags;
	size_t n_entries;
	struct profile_entry *entries;
};

/* The rules that hold for a container with these capabilities on the running kernel. Everything lives in the arena. */
int seccomp_profile_resolve(const struct seccomp_profile *profile, uint64_t caps, struct arena *arena,
			    struct seccomp_rules *ret, struct err *err);

/* Kernel versions, from the first that belongs to the last that does not: where the minKernel conditions of a profile come out as
 * they did for one version. */
struct kernel_range {
	unsigned from[2], before[2];
};

/* The same for another kernel version than the running one: the build compiles for the oldest kernel that nsrun supports. ret_range
 * may be NULL. */
int seccomp_profile_resolve_for(const struct seccomp_profile *profile, uint64_t caps, const unsigned kernel[2],
				struct arena *arena, struct seccomp_rules *ret, struct kernel_range *ret_range,
				struct err *err);

/*
 * Filters that the build compiled already (runtime/gen): the shipped profiles with the default capabilities and the default capabilities of
 * Docker, for the native architecture. NULL when there is none for that pair, or when its conditions on the kernel's version are not met
 * here; the caller then reads and compiles the profile.
 */
const struct seccomp_program *seccomp_precompiled(const char *profile, uint64_t caps);

/* The rules of the profile that plan->seccomp_name says, as they hold for this plan, in its arena; for `--spec`. */
struct plan;
int plan_seccomp_rules(const struct plan *plan, struct seccomp_rules *ret, struct err *err);

/* Sets plan->seccomp and seccomp_name for a --security-opt seccomp= word: "default", "docker", "unconfined" or a file. The program
 * belongs to the plan's arena. */
int plan_resolve_seccomp(struct plan *plan, const char *word, struct err *err);

/* The same for linux.seccomp of config.json (`name`): its JSON text. */
int plan_resolve_bundle_seccomp(struct plan *plan, const char *text, size_t size, const char *name, struct err *err);

#endif
