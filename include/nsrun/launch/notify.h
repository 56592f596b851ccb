/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NOTIFY_SOCKET of create, run and start: the directory `notify` of the container's state is bound at /run/notify, read-only, with a socket that nsrun listens
 * on (kernel/notify.h): run from the launch on, start from the moment before it opens the gate, as nobody of nsrun is there in between.
 */
#ifndef NSRUN_LAUNCH_NOTIFY_H
#define NSRUN_LAUNCH_NOTIFY_H

#include <nsrun/plan/container.h>

#define NOTIFY_DIR "notify"

struct notify {
	const char *address; /* borrowed */
	int dir, socket;     /* the first is locked: of two starts at once one listens */
};
#define NOTIFY_NONE ((struct notify){ .dir = FD_NONE, .socket = FD_NONE })
void notify_done(struct notify *notify);

/* start. Without effect for a container that was created without NOTIFY_SOCKET: its workload has nobody to tell. */
int container_notify_listen(const struct container *container, const char *address, struct notify *ret,
			    struct err *err);
/* Returns when the workload is ready, or has ended. */
int container_notify_wait(const struct container *container, const struct notify *notify, struct err *err);

#endif
