/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime's and the workload's signals: signal(7), signalfd(2). */
#ifndef NSRUN_LAUNCH_SIGNALS_H
#define NSRUN_LAUNCH_SIGNALS_H

#include <nsrun/base/err.h>

#include <signal.h>

/* Signals are blocked and collected from before the clone on, so that none is lost and none kills the runtime while
 * it has something to undo. signals_begin() blocks them and returns a signalfd; signals_end() gives the old mask
 * back. What the caller ignores stays ignored (`nohup nsrun ...` does not pass SIGHUP on); SIGTTIN and SIGTTOU keep
 * their default action, which stops a background job that wants the terminal; SIGCHLD is set to its default, since
 * an inherited "ignore" loses exit statuses. */
struct signals {
	int fd;
	sigset_t old_mask;
};
#define SIGNALS_NONE ((struct signals){ .fd = FD_NONE })
int signals_begin(struct signals *ret, struct err *err);
void signals_end(struct signals *signals);
/* For a child that goes on to execute the workload: every disposition to the default, also those that the caller
 * ignores (SIGPIPE of a Python parent, SIGHUP of nohup: the container is not the caller's job), an empty mask. */
int signals_reset(struct err *err);
/* The same for one that waits before that: what ends a process by default ends it, with the status that a shell has for it, also where it is PID 1, for which the
 * kernel drops signals without a handler (signal(7)). execve(2) makes defaults of the handlers. No call is needed when one comes but exit_group(2). */
int signals_reset_to_end(struct err *err);

#endif
