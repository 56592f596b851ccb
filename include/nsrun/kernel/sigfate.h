/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a signal that is sent to a process: SigCgt, SigBlk and SigIgn of proc_pid_status(5). */
#ifndef NSRUN_KERNEL_SIGFATE_H
#define NSRUN_KERNEL_SIGFATE_H

#include <nsrun/base/err.h>
#include <nsrun/base/pidref.h>

enum sigfate {
	SIGFATE_TAKEN,	 /* handled, or kept for sigwaitinfo(2) and signalfd(2); SIGKILL and SIGSTOP always */
	SIGFATE_DEFAULT, /* the default action of signal(7) */
	SIGFATE_IGNORED, /* the process asked for that */
	SIGFATE_DROPPED, /* PID 1 of a pid namespace neither handles nor blocks it: pid_namespaces(7) */
};

/* -ESRCH, with `err` filled: it has ended. */
int sigfate_of(const struct pidref *process, int signal, enum sigfate *ret, struct err *err);
/* From the text of /proc/PID/status; false: it is none. */
bool sigfate_parse(const char *status, int signal, enum sigfate *ret);

#endif
