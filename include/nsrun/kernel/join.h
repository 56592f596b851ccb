/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entering namespaces that exist: setns(2). A pid namespace is entered by children alone, and entering a user namespace takes the
 * caller's own privileges away; so a short-lived helper enters, and clones the new process with CLONE_PARENT: it is the caller's child, and
 * the caller itself has entered nothing.
 */
#ifndef NSRUN_KERNEL_JOIN_H
#define NSRUN_KERNEL_JOIN_H

#include <nsrun/base/err.h>
#include <nsrun/base/pidref.h>

#include <linux/sched.h>
#include <stdbool.h>
#include <stdint.h>

#define JOIN_FDS_MAX 8

struct join {
	/* First, each by setns(fd, flag), with the caller's privileges: what the caller's user namespace owns, and what root may enter
	 * anyway. Once inside another user namespace these would be EPERM. */
	struct {
		int fd;
		uint64_t flag; /* CLONE_NEW*: the kernel compares the type */
	} before[JOIN_FDS_MAX];
	size_t n_before;
	/* Then these of one process at once, the user namespace among them: one setns(pidfd, mask) succeeds where single steps
	 * fail. FD_NONE: none. */
	int process;
	uint64_t mask;
	/* Called in the helper after it has entered, before it clones: makes what the new process inherits by descriptor. May be NULL.
	 * A joined pid namespace has the helper's children in it and never the helper: a procfs of it, which a new process in a user
	 * namespace of its own may not mount, comes from a child that shares the helper's descriptors (CLONE_FILES). */
	int (*entered)(void *data, struct err *err);
	void *data;
	/* With CLONE_INTO_CGROUP: the helper is made in that group, and the new process inherits it. So a cgroup namespace can be entered, too; but
	 * both count against the group's limit of processes for a moment. */
	bool helper_placed;
};
#define JOIN_NONE ((struct join){ .process = FD_NONE })

/* Opens PATH, which must be a namespace file of this kind (NS_GET_NSTYPE, ioctl_ns(2)); a plain file, a FIFO or a directory is refused
 * without blocking. */
int join_open(const char *path, uint64_t flag, int *ret_fd, struct err *err);

/* The root directory, as O_PATH, that who enters join->before has: of a mount namespace that is the last of them. */
int join_open_root(const struct join *join, int *ret_fd, struct err *err);

/* clone3(args) by the helper. Returns as clone3: 0 in the new process, its pid in the caller, whose child it is, with *ret filled;
 * -errno with `err` filled, also when it was the helper that failed. The new process has a copy of the caller's descriptors as they were.
 * Without anything to join it is a plain clone3. `args` has no CLONE_PIDFD and no exit signal: both are set here. SIGCHLD must not be ignored
 * (signals_begin() sees to it): the new process is known by its number until this returns.
 *
 * Helper and new process inherit dumpable: a caller that enters a user or pid namespace whose processes it does not trust clears it
 * before (PR_SET_DUMPABLE, prctl(2)), since some of them may have CAP_SYS_PTRACE there (CVE-2016-9962).
 * CLONE_INTO_CGROUP is refused (ENOENT) once a cgroup namespace has been entered from whose root the caller's own group cannot be seen, where
 * cgroup2 is mounted with nsdelegate (cgroups(7)): the new process enters a cgroup namespace itself then, after it is placed, or the helper is placed. */
long join_clone3(const struct join *join, struct clone_args *args, struct pidref *ret, struct err *err);

#endif
