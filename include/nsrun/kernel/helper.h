/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of the host that nsrun runs for itself: newuidmap, useradd. Never one of a rootfs, and never after entering one. */
#ifndef NSRUN_KERNEL_HELPER_H
#define NSRUN_KERNEL_HELPER_H

#include <nsrun/base/err.h>
#include <nsrun/base/pidref.h>

/* Looks `name` up in the absolute directories of `path` (may be NULL), then in /usr/bin, /usr/sbin, /bin and /sbin. Only a regular file that
 * this process may execute counts. -ENOENT, without filling anything, when there is none. */
int helper_find(const char *path, const char *name, char *ret, size_t size);

/* Runs a program with standard input from /dev/null, default signal handling and no environment but PATH and LC_ALL, and waits for it. What it
 * writes to standard output and standard error goes into `output`, cut to `size` and terminated. *ret_status is as a shell has it.
 * Fails only when it could not be run to its end.
 *
 * `served` (may be NULL) is the process that the program works for. Then nothing waits for a program that hangs: it is killed, and the call
 * fails at once, when that process ends (ERR_PEER), or when SIGHUP, SIGINT, SIGQUIT or SIGTERM, blocked by the caller, is pending (it stays so);
 * and the kernel kills it when the caller dies. Without `served` it is left to come to its end: one that edits files must not be cut short. */
int helper_run(const char *path, const char *const *argv, const struct pidref *served, char *output, size_t size,
	       int *ret_status, struct err *err);

#endif
