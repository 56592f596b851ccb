/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocol of sd_notify(3), between a workload and whoever supervises nsrun: a datagram socket in a directory of ours, which is bound into the container,
 * and the one of NOTIFY_SOCKET. Of what the workload says only READY=1 is passed on: MAINPID=, FDSTORE= and their like would be about processes and
 * descriptors of the host.
 */
#ifndef NSRUN_KERNEL_NOTIFY_H
#define NSRUN_KERNEL_NOTIFY_H

#include <nsrun/base/err.h>
#include <nsrun/base/pidref.h>

#define NOTIFY_FILE "notify.sock"

/* NOTIFY_SOCKET: an absolute path, or "@" and an abstract name (sd_notify(3)), at which somebody listens. */
int notify_check(const char *address, struct err *err);
/* Binds NOTIFY_FILE in an open directory, anew where there is one, for any user to send to. */
int notify_bind(int dir_fd, int *ret_fd, struct err *err);
/* Takes what has come, and never waits. Did it say READY=1? Descriptors that come with it are closed, as BARRIER=1 wants it. */
bool notify_is_ready(int fd);
/* READY=1, with MAINPID= where main_pid is not 0; then waits some seconds for the supervisor to have read it (sd_notify_barrier(3)): it asks the kernel
 * who the sender is, which may end right after. */
int notify_tell(const char *address, pid_t main_pid, struct err *err);
/* Until READY=1 was passed on, `process` has ended, or `signals` (a signalfd, or FD_NONE) is readable. */
int notify_wait(int fd, const char *address, const struct pidref *process, int signals, struct err *err);

#endif
