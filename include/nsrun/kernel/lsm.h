/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Security modules: the label that the next execve(2) of this process takes. Since Linux 6.8 by lsm_set_self_attr(2), which takes no file at all.
 * Before, by a file of this process' own directory of procfs, from a descriptor of the host's procfs, that is proven to be one: below a path of the
 * container anything could lie that swallows what is written (CVE-2019-16884, CVE-2019-19921, CVE-2025-52881).
 */
#ifndef NSRUN_KERNEL_LSM_H
#define NSRUN_KERNEL_LSM_H

#include <nsrun/base/err.h>

#include <sys/types.h>

enum lsm { LSM_APPARMOR, LSM_SELINUX };

/* Does it decide on this host? SELinux: with a policy. */
bool lsm_enabled(enum lsm lsm);

/* The root of the procfs on /proc, as O_PATH: statfs(2) and its inode say that it is one. */
int procfs_open(int *ret_fd, struct err *err);
/* The number that the procfs has for this process; 0: none, it is not in the pid namespace of that. */
pid_t procfs_self(int proc_fd);

/* `label` holds from this thread's next execve(2) on: no change of ids or capabilities takes it away again, and a fork inherits it. `proc_fd` is from
 * procfs_open(). `said` begins the message. */
int lsm_label_exec(enum lsm lsm, const char *label, int proc_fd, const char *said, struct err *err);
/* SELinux' label of the keys and keyrings that this thread makes until it executes. */
int lsm_label_keys(const char *label, int proc_fd, const char *said, struct err *err);
/* SELinux' label of an open file. */
int lsm_label_file(int fd, const char *label, const char *said, struct err *err);

#endif
