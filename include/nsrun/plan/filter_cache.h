/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiled filters on disk: what profile, capabilities, architecture, libseccomp and kernel give is always the same, and costs
 * libseccomp milliseconds.
 *
 *   /var/cache/nsrun/seccomp/HASH             as root
 *   $XDG_CACHE_HOME/nsrun/seccomp/HASH        otherwise; ~/.cache where that is not set
 *
 * A file holds all that it was made from, the profile's whole text included, and is used only when that is byte for byte what is asked for: the
 * hash finds it and proves nothing. It is trusted because directory and file belong to the caller and nobody else can write them; a cache
 * of which that is not true is neither read nor written. Not being able to keep one is no error: the filter is compiled then.
 */
#ifndef NSRUN_PLAN_FILTER_CACHE_H
#define NSRUN_PLAN_FILTER_CACHE_H

#include <nsrun/base/arena.h>
#include <nsrun/kernel/seccomp.h>

#include <stdint.h>

/* What a compiled filter depends on; the rest (architecture, libseccomp, kernel, nsrun itself) is added by the cache. */
struct filter_key {
	const char *profile; /* its JSON text */
	size_t size;
	uint64_t caps; /* bounding set: conditions of the profile look at it */
};

/* A filter that is to be kept: made while the plan is resolved, written when the container is reserved. */
struct filter_entry {
	struct filter_key key;
	const struct seccomp_program *program;
};

#define FILTER_CACHE_FILES 64

/* The program in the arena, or NULL when there is none that can be trusted. `dir`: NULL for the caller's own (tests name one). */
const struct seccomp_program *filter_cache_find(const char *dir, const struct filter_key *key, struct arena *arena);
/* Keeps it, and removes the oldest beyond FILTER_CACHE_FILES. 0, or -errno of what prevented it. */
int filter_cache_keep(const char *dir, const struct filter_entry *entry);

#endif
