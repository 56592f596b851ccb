/* SPDX-License-Identifier: Apache-2.0 */
/* What a container uses, now. */
#ifndef NSRUN_PLAN_CONTAINER_STATS_H
#define NSRUN_PLAN_CONTAINER_STATS_H

#include <nsrun/kernel/cgroup_stats.h>
#include <nsrun/plan/container.h>

struct container_stats {
	struct cgroup_stats group; /* in the arena */
	uint64_t time_ns;	   /* CLOCK_MONOTONIC, when it was read */
	char time[48];		   /* RFC 3339, UTC */
};

/* After cgroup_stats_begin(). ERR_ID_NOT_RUNNING, ERR_ID_NO_CGROUP. */
int container_stats_read(struct arena *arena, const struct container *container, struct container_stats *ret,
			 struct err *err);
/* Processor time between two readings, in permille of one processor; -1: not known. */
int64_t container_stats_cpu(const struct container_stats *before, const struct container_stats *after);

/*
 * docs/stats.md: the object has the names that runc's `events` has for the same numbers, and more; what the kernel does not keep for this group is left
 * out, and a limit that is not set is null. NULL: no memory.
 */
json_t *cgroup_stats_json(const struct cgroup_stats *stats);
/* {id, name, status, time, stats} */
json_t *container_stats_json(const struct container *container, const struct container_stats *stats);

#endif
