/* SPDX-License-Identifier: Apache-2.0 */
/* The control group of a container that runs, found by its record. */
#ifndef NSRUN_PLAN_CONTAINER_GROUP_H
#define NSRUN_PLAN_CONTAINER_GROUP_H

#include <nsrun/kernel/cgroup_freezer.h>
#include <nsrun/plan/container.h>

/* Probes this host, and checks that what is mounted here is what the group was made in. The host's paths are in the arena; *ret_path is a string
 * of the record. ERR_ID_NO_CGROUP: it was started without a group. */
int container_group(const struct container *container, struct arena *arena, struct cgroup_host *ret_host,
		    const char **ret_path, struct err *err);
/* Its v2 group, which freezes: ERR_ID_NO_CGROUP, ERR_ID_CGROUP_NOT_MOUNTED. */
int container_group_open(const struct container *container, int *ret_fd, struct err *err);

/* What got SIGKILL may end: a container that may write to its own groups can have frozen some by the freezer of v1, which holds that back. */
void container_thaw(const struct container *container);

/* Sets `paused` of each that runs. A group that cannot be looked at is taken for one that runs. */
void container_look_paused(struct container *containers, size_t n);

#endif
