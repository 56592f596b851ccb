/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSRUN_PLAN_VOLUMES_H
#define NSRUN_PLAN_VOLUMES_H

#include <nsrun/plan/plan.h>

/* --volume SRC:DST[:WORD,...], --mount type=TYPE,... and --tmpfs DST[:WORD,...], with the ownership rule, and --shm-size: plan->sources and
 * plan->mounts, sorted by target. Two mounts on one target are refused. */
int plan_resolve_mounts(struct plan *plan, const struct plan_request *request, struct err *err);

/* An absolute path of the container without ".", ".." and doubled slashes, in the arena; "/" for an empty rest. -EINVAL: not
 * absolute, or with a ".." component, which would not mean the same after a change of the rootfs. */
int plan_container_path(struct arena *arena, const char *what, const char *path, const char **ret, struct err *err);

/* "is the kernel's", "is made by nsrun": why nothing can be mounted there; NULL where it can. */
const char *plan_target_owner(const char *path);

#endif
