/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits as words and as JSON: from the options of a launch, and of nsrun update, to the values of kernel/cgroup_resources.h, and from
 * those to linux.resources of the runtime specification and back. What a control group makes of them is the kernel part's.
 */
#ifndef NSRUN_PLAN_LIMITS_H
#define NSRUN_PLAN_LIMITS_H

#include <nsrun/base/arena.h>
#include <nsrun/kernel/cgroup_resources.h>
#include <nsrun/plan/request.h>

#include <jansson.h>

/*
 * The limit fields of `request`, and no others, as values; each number is in the range of its row, processors and memory nodes are there,
 * devices are whole disks of this host. An error names the option, what was said, and what is wrong with it. What only the whole
 * can tell is left to plan_check_limits(): update has the values of the launch beside those that are said.
 */
int plan_parse_limits(struct arena *arena, const struct plan_request *request, struct cgroup_resources *ret,
		      struct err *err);
/* Are they at odds with each other: --memory-swap without --memory, or below it? Part of a launch; update asks it of all that will hold. */
int plan_check_limits(const struct cgroup_resources *resources, struct err *err);

/* Which of these values bounds memory; NULL: none. */
const struct cgroup_value *limits_memory(const struct cgroup_resources *resources);
/* The same, where what the kernel holds follows from it: systemd, or who writes to the group, may have changed it since. */
const struct cgroup_value *limits_memory_of(const struct cgroup_resources *resources, uint64_t bytes);

/* linux.resources (config-linux.md, "Control groups") with these values and no others, `{}` for none. NULL: no memory, or a text that
 * is no UTF-8. --spec and state.json have the same. */
json_t *limits_to_json(const struct cgroup_resources *resources);
/*
 * The way back. Keys that the specification has and this is not about ("devices") are passed over, as are unknown ones; a known key of a wrong
 * type or out of its range is an error that begins with `where` and the key. Strings are copied.
 */
int limits_from_json(struct arena *arena, const json_t *json, const char *where, struct cgroup_resources *ret,
		     struct err *err);

/*
 * The same for an engine's own words: 0 is what they write where nothing was said, but for limits of which 0 is one; what the kernel does anyway is left out,
 * and memory.kernel, which no kernel of today bounds, is refused. `where` ends with ".": "config.json: linux.resources.". With `is_new` also what a new group has
 * already. Errors of the values call them by their key.
 */
int limits_from_oci(struct arena *arena, const json_t *json, const char *where, bool is_new,
		    struct cgroup_resources *ret, struct err *err);

/* limits_host.c: what of this host the words are about. `option` and `said` are for messages. */

/* "0-3,8": sorted, ranges joined. Each must be a processor that is online (CGROUP_CPUSET_CPUS) or a node that has memory (CGROUP_CPUSET_MEMS). */
int limits_find_cpuset(struct arena *arena, enum cgroup_resource resource, const char *text, const char **ret,
		       struct err *err);
/* A path, or MAJOR:MINOR, of a whole disk; `length` characters of `said`. */
int limits_find_disk(const char *option, const char *said, size_t length, uint32_t *ret_major, uint32_t *ret_minor,
		     struct err *err);
/* The kernel's name of a size of huge pages, "2MB", of "2m", "2MB" or "2048k"; and its bytes. */
int limits_find_page_size(struct arena *arena, const char *said, size_t length, const char **ret, uint64_t *ret_bytes,
			  struct err *err);

/* The list's parser, for tests. Ranges of decimal numbers below CPUSET_MAX, as cpuset(7), "List format", has them. -EINVAL, -ERANGE. */
#define CPUSET_MAX 8192
struct cpuset_bits {
	uint8_t bits[CPUSET_MAX / 8];
};
int cpuset_parse(const char *text, struct cpuset_bits *ret);
/* NULL: no memory. */
char *cpuset_format(struct arena *arena, const struct cpuset_bits *set);

#endif
