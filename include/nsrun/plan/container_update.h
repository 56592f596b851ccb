/* SPDX-License-Identifier: Apache-2.0 */
/* Changing the limits of a container that runs. */
#ifndef NSRUN_PLAN_CONTAINER_UPDATE_H
#define NSRUN_PLAN_CONTAINER_UPDATE_H

#include <nsrun/kernel/cgroup_resources.h>
#include <nsrun/plan/container.h>

/* plan_parse_limits(), and "-1" and "unlimited" for --cpus. */
int container_update_parse(struct arena *arena, const struct plan_request *request, struct cgroup_resources *ret,
			   struct err *err);
/*
 * Writes `changes` to its group and into its record (resources.json): all of them or, after an error, none. What is not among them stays as it is. Updates
 * of one container wait for each other. A memory limit below what it uses is ERR_ID_LIMIT_BELOW_USE when the kernel cannot reclaim the rest; with `force` the
 * limit is written all the same, and on cgroup v2 the kernel kills then, until what is left fits. v1 always refuses.
 */
int container_update(const struct container *container, const struct cgroup_resources *changes, bool force,
		     struct err *err);

#endif
