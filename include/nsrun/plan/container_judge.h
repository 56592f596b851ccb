/* SPDX-License-Identifier: Apache-2.0 */
/* What a container is just now, by its lock and its processes: the part of container.h that no file says. */
#ifndef NSRUN_PLAN_CONTAINER_JUDGE_H
#define NSRUN_PLAN_CONTAINER_JUDGE_H

#include <nsrun/plan/container.h>
#include <nsrun/plan/state.h>

struct container_lock {
	bool held;
	enum state_init_known known; /* of one that has no lock: STATE_INIT_LOST */
	struct state_init init;
};

int container_look_at_lock(int dirfd, struct container_lock *ret, struct err *err);
/* Fills status, owner and init. `bundle`: the same where no record tells that it is one. */
void container_judge(struct container *c, const struct container_lock *look);
void container_judge_bundle(struct container *c, const struct container_lock *look);

#endif
