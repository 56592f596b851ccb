/* SPDX-License-Identifier: Apache-2.0 */
/* A signal to every process of a container. */
#ifndef NSRUN_LAUNCH_KILL_ALL_H
#define NSRUN_LAUNCH_KILL_ALL_H

#include <nsrun/plan/container.h>

/*
 * To all processes of its control group and of those below, also when init has ended: SIGKILL by cgroup.kill, any other signal while the
 * freezer of cgroup v2 holds them, so that none is made meanwhile; where no cgroup2 is mounted, to those that a walk finds, until one finds no new ones.
 * A container without a group: to init alone.
 */
int container_kill_all(const struct container *container, int signal, struct err *err);

#endif
