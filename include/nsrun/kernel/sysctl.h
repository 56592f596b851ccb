/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel parameters of the namespaces that this process is in: proc(5), sysctl(8). */
#ifndef NSRUN_KERNEL_SYSCTL_H
#define NSRUN_KERNEL_SYSCTL_H

#include <nsrun/base/err.h>

/* Writes `value` to PROC/sys/`path` ("net/ipv4/ip_forward") and reads it back. proc_fd is the root of a procfs, which is checked: a file
 * system that only looks like one would take the value and do nothing (CVE-2019-16884). No link is followed. */
int sysctl_write(int proc_fd, const char *path, const char *value, struct err *err);

/* Is it the same value, when blanks and the notation of numbers do not count? The kernel separates the numbers of a list by tabs. */
bool sysctl_same(const char *a, const char *b);

#endif
