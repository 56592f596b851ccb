/* SPDX-License-Identifier: Apache-2.0 */
/* What a group uses and may use: the counters of its controllers, from v2 or v1, whichever has them. */
#ifndef NSRUN_KERNEL_CGROUP_USE_H
#define NSRUN_KERNEL_CGROUP_USE_H

#include <nsrun/kernel/cgroup.h>

#define CGROUP_UNKNOWN (UINT64_MAX - 1) /* this host keeps no such counter for this group */

struct cgroup_use {
	bool exists;			   /* in some hierarchy */
	uint64_t memory_bytes, memory_max; /* _max: CGROUP_NO_LIMIT where none is set */
	uint64_t pids, pids_max;
	uint64_t cpu_usage_us, cpu_quota_us, cpu_period_us;
	uint64_t oom_kills;
};

/* `path` as for cgroup_destroy(). */
void cgroup_read_use(const struct cgroup_host *host, const char *path, struct cgroup_use *ret);

/* What the kernel did to the group at a limit. */
struct cgroup_events {
	uint64_t oom_kills; /* processes that it killed for want of memory */
	uint64_t
		memory_limit; /* bytes: the group's own limit, where that was met; 0: the want was that of another group, around it or below, or of the host */
	uint64_t forks_refused; /* processes and threads that were not made */
	uint64_t pids_limit;	/* which refused them */
};
/* A file that is not there counts nothing. */
void cgroup_read_events(const struct cgroup_host *host, const char *path, struct cgroup_events *ret);

/* Processes of the group and of those below it, as this pid namespace numbers them, at most `max` of them; v2 where it has the
 * group. -ENOENT, `err` unset: there is no such group. The list is malloc'd. */
int cgroup_list_pids(const struct cgroup_host *host, const char *path, size_t max, pid_t **ret, size_t *ret_n,
		     struct err *err);

#endif
