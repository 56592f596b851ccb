/* SPDX-License-Identifier: Apache-2.0 */
/* An overlay whose upper directory is a new tmpfs: every write goes there, and away with the last user of the mount. */
#ifndef NSRUN_KERNEL_OVERLAY_H
#define NSRUN_KERNEL_OVERLAY_H

#include <nsrun/base/err.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Over the mount whose root is `root_fd`: the topmost one on "/" of this mount namespace, from which it is taken away. `userxattr`: keep
 * overlayfs' own marks in user.* attributes, as a process in a user namespace must. The result is detached; `attr` is MOUNT_ATTR_*. */
int overlay_new(int root_fd, bool userxattr, uint64_t attr, int *ret_fd, struct err *err);

/* The same over the detached mount `lower_fd` (used up by it), made with the caller's privileges in a mount namespace of its own,
 * with trusted.* attributes. The root directory belongs to uid:gid. */
int overlay_new_apart(int lower_fd, uid_t uid, gid_t gid, uint64_t attr, int *ret_fd, struct err *err);

/* A directory by its name, and which one that is to be. */
struct overlay_dir {
	const char *name;
	dev_t device;
	ino_t inode;
};
struct overlay_layers {
	const int *lower; /* detached mounts, topmost first */
	size_t n_lower;
	int upper_mount; /* detached mount that holds `upper` and `work`; FD_NONE: none */
	struct overlay_dir upper, work;
	bool in_memory; /* both are made in a new tmpfs */
};

/* An overlay of these, which are attached on "/" of this mount namespace while it is made and taken away again: overlayfs wants its layers in the
 * namespace of its maker. `proc_fd` is a procfs in which this process is "self". */
int overlay_new_of(const struct overlay_layers *layers, int proc_fd, bool userxattr, uint64_t attr, int *ret_fd,
		   struct err *err);

#endif
