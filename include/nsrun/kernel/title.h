/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSRUN_KERNEL_TITLE_H
#define NSRUN_KERNEL_TITLE_H

#include <nsrun/base/err.h>

/* Replaces the arguments and environment that /proc/PID/cmdline and environ show of this process by `title`. Both are read from
 * its own stack, whoever may look: cmdline by everybody, since the kernel does not check dumpable for it (proc(5)). Paths of the host and
 * values of --env must not be seen in a container. proc_fd is the root of a procfs of this pid namespace. */
int title_replace(int proc_fd, const char *title, struct err *err);

#endif
