/* SPDX-License-Identifier: Apache-2.0 */
/* The freezer of cgroup v2 (cgroups(7), cgroup-v2.rst): a frozen group runs nothing, and yet its processes can be killed. A hybrid host has it too. */
#ifndef NSRUN_KERNEL_CGROUP_FREEZER_H
#define NSRUN_KERNEL_CGROUP_FREEZER_H

#include <nsrun/kernel/cgroup.h>

enum cgroup_freezer {
	CGROUP_THAWED,
	CGROUP_FREEZING,      /* asked for; some process has not stopped yet */
	CGROUP_FROZEN,	      /* asked for, and all have stopped */
	CGROUP_FROZEN_AROUND, /* not asked for here: a group around it is frozen */
};

/* Of a group that cgroup_open_v2() has opened. */
int cgroup_freezer_state(int group_fd, enum cgroup_freezer *ret, struct err *err);
/*
 * Freezes, and waits until the kernel says that every process has stopped: at most `timeout_ms`, since one that sleeps uninterruptibly (in a
 * read from a dead network file system) does not stop. The freezer never stays on after an error: -ETIMEDOUT, and -EINTR when
 * interrupt_fd (FD_NONE: none) became readable, mean that the group runs again. `what` begins messages.
 */
int cgroup_pause(int group_fd, const char *what, unsigned timeout_ms, int interrupt_fd, struct err *err);
/* -EBUSY: it is still frozen after `timeout_ms`, as it is with a group around it. */
int cgroup_resume(int group_fd, const char *what, unsigned timeout_ms, struct err *err);

#endif
