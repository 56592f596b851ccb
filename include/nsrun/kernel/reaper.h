/* SPDX-License-Identifier: Apache-2.0 */
/* PID 1 under --init: pid_namespaces(7). */
#ifndef NSRUN_KERNEL_REAPER_H
#define NSRUN_KERNEL_REAPER_H

#include <nsrun/base/err.h>

#include <sys/types.h>

/* Forwards signals to the workload, reaps every orphan, and returns the workload's exit status as a shell has it
 * once it has ended (the caller exits with it, and the kernel then kills what is left in the namespace). Blocks;
 * the signal mask is its own. SIGTSTP stops every other process of the namespace (kill(-1, SIGSTOP)), SIGCONT
 * continues them. The caller is PID 1, has had all signals blocked since before it forked the workload (those that
 * come earlier are lost), and has no other child to keep. */
int reaper_run(pid_t workload);

#endif
