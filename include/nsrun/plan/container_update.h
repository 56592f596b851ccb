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
 * The limits that updates have left, into c->state["resources"]: those of resources.json, and of an update that has not said its last word (it is at work, or was
 * killed, and left resources.new) what the kernel holds of it. A file that cannot be read is passed over for what the container was started with.
 */
void container_update_take(int dir_fd, struct container *c);
/*
 * Writes `changes` to its group and into its record (resources.json): all of them or, after an error, none. What is not among them stays as it is. Updates
 * of one container wait for each other. A memory limit below what it uses is ERR_ID_LIMIT_BELOW_USE when the kernel cannot reclaim the rest; with `force` the
 * limit is written all the same, and on cgroup v2 the kernel kills then, until what is left fits. v1 always refuses.
 */
int container_update(const struct container *container, const struct cgroup_resources *changes, bool force,
		     struct err *err);

#endif
