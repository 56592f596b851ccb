/* SPDX-License-Identifier: Apache-2.0 */
/* A filter with a listener: whoever holds its descriptor decides about the calls that the filter hands on. seccomp_unotify(2). */
#ifndef NSRUN_KERNEL_SECCOMP_NOTIFY_H
#define NSRUN_KERNEL_SECCOMP_NOTIFY_H

#include <nsrun/kernel/seccomp.h>

/* A stream socket, connected to `path`. `said` begins the message. */
int seccomp_listener_connect(const char *path, const char *said, int *ret_fd, struct err *err);

/*
 * Loads the program, and sends `message` with the listener's descriptor through `socket`, which is shut down then. Both are closed. Under the new filter this
 * thread calls nothing: sendmsg(2) may be among what it hands on, to somebody who has not got the descriptor yet. A second thread, made before and
 * left out of the filter, sends and ends; what it answers is waited for in shared memory. On failure of the sending the filter is loaded all
 * the same.
 */
int seccomp_program_load_notify(const struct seccomp_program *program, int socket, const char *message,
				const char *said, struct err *err);

#endif
