/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pausing and resuming a container, by the freezer of its v2 group. What the kernel says is the only record of it: a pause whose nsrun is killed
 * (SIGKILL) may have frozen the group, is shown as paused then, and container_resume() ends it as it ends any other.
 */
#ifndef NSRUN_LAUNCH_PAUSE_H
#define NSRUN_LAUNCH_PAUSE_H

#include <nsrun/plan/container.h>

/*
 * Returns once nothing in it runs any more. After any failure it runs: ERR_ID_UNFREEZABLE when a process does not stop within 10 s; SIGINT, SIGTERM,
 * SIGHUP and SIGQUIT are held back meanwhile, end the wait, and are delivered on return. ERR_ID_PAUSED: it is paused already.
 */
int container_pause(const struct container *container, struct err *err);
/* An error when it is not paused. ERR_ID_FROZEN_AROUND: it does not run even so. */
int container_resume(const struct container *container, struct err *err);
/* For those who end it: lets it run when it is paused, and is content with one that is not or has no group. */
int container_let_run(const struct container *container, struct err *err);

#endif
