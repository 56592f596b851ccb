/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process, held by a pidfd, so that it cannot be confused with a later one of the same number
 * (pidfd_open(2)). The number serves for messages and for /proc paths of a child that is not reaped yet:
 * only then the kernel cannot give it to another process.
 */
#ifndef NSRUN_BASE_PIDREF_H
#define NSRUN_BASE_PIDREF_H

#include <nsrun/base/err.h>

#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>

struct pidref {
	pid_t pid;
	int fd; /* owned; FD_NONE when there is no process */
};

#define PIDREF_NONE ((struct pidref){ .pid = 0, .fd = FD_NONE })

int pidref_open(pid_t pid, struct pidref *ret, struct err *err);
void pidref_close(struct pidref *p);
static inline bool pidref_valid(const struct pidref *p)
{
	return p->fd >= 0;
}
/* pidfd_send_signal(2). ESRCH is success: the process has ended. */
int pidref_kill(const struct pidref *p, int signal, struct err *err);
/* waitid(P_PIDFD); options as in waitid(2), WEXITED included by the caller. */
int pidref_wait(const struct pidref *p, siginfo_t *ret, int options, struct err *err);
/* True when it has ended (poll(2) on the pidfd, no waiting). */
bool pidref_ended(const struct pidref *p);
/* Exit status as a shell has it: the code, or 128 + signal. */
int exit_status_of(const siginfo_t *info);

#endif
