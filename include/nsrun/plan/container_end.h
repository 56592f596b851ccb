/* SPDX-License-Identifier: Apache-2.0 */
/* Removing what a container leaves. */
#ifndef NSRUN_PLAN_CONTAINER_END_H
#define NSRUN_PLAN_CONTAINER_END_H

#include <nsrun/plan/container.h>

/* Removes record, logs and name of one that has ended, after recovering it when its nsrun was killed. 0 also when somebody else removed it
 * meanwhile. -EBUSY, with `err` filled: it runs, or its owner has not tidied up within `timeout_ms`. */
int container_remove(const struct container *container, unsigned timeout_ms, struct err *err);

/* Waits until its owner has tidied up: until it has ended, was recovered from a dead owner, or is removed. Meant for one whose init has
 * ended. -ETIMEDOUT with `err` filled. */
int container_settle(const struct container *container, unsigned timeout_ms, struct err *err);

#endif
