/* SPDX-License-Identifier: Apache-2.0 */
/* PIDFD_GET_INFO (6.13), and its exit status (6.15): of a process that is not our child. */
#ifndef NSRUN_KERNEL_PIDINFO_H
#define NSRUN_KERNEL_PIDINFO_H

#include <nsrun/base/err.h>
#include <nsrun/base/pidref.h>

/* The exit status, as a shell has it, of one that has ended. -EAGAIN: its parent has not reaped it yet, and only then the kernel tells;
 * -ENOTTY: this kernel does not. Neither fills anything. */
int pidinfo_exit_status(const struct pidref *process, int *ret_status);

#endif
