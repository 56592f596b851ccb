/* SPDX-License-Identifier: Apache-2.0 */
/* What runtime/gen/gen-filters.c writes at build time: the shipped profiles, and filters compiled from them. */
#ifndef NSRUN_PLAN_SECCOMP_BUILTIN_H
#define NSRUN_PLAN_SECCOMP_BUILTIN_H

#include <nsrun/plan/seccomp_profile.h>

/* A profile's JSON text, so that the tool needs no installed file. */
struct builtin_profile {
	const char *name; /* "default", "docker" */
	const char *text;
	size_t size;
};

struct builtin_filter {
	const char *profile;
	uint64_t caps;
	struct kernel_range kernels; /* on these it is what a compilation there would give */
	struct seccomp_program program;
};

extern const struct builtin_profile builtin_profiles[];
extern const size_t n_builtin_profiles;
extern const struct builtin_filter builtin_filters[];
extern const size_t n_builtin_filters;

/* NULL when there is none of that name. */
const struct builtin_profile *builtin_profile_find(const char *name);

#endif
