/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts by file descriptor: open_tree(2), mount_setattr(2), fsopen(2), move_mount(2). No path is resolved twice. */
#ifndef NSRUN_KERNEL_MOUNT_H
#define NSRUN_KERNEL_MOUNT_H

#include <nsrun/base/err.h>

#include <stdint.h>

/* A detached copy of the mount at dirfd/path (open_tree with OPEN_TREE_CLONE). Symbolic links of the host's own path
 * are followed. recursive: with its submounts. A clone of a shared mount is its peer: mount_set_attr() makes it private. */
int mount_clone_tree(int dirfd, const char *path, bool recursive, int *ret_fd, struct err *err);

/* MOUNT_ATTR_IDMAP. The user namespace must have its maps already (EINVAL before). EINVAL from a file system
 * without idmapped mounts becomes ERR_ID_NOT_IDMAPPABLE with the file system's name; `what` is the object. */
int mount_idmap(int mount_fd, int userns_fd, bool recursive, const char *what, struct err *err);

/* mount_setattr(2): `set` and `clear` are MOUNT_ATTR_*; propagation MS_PRIVATE, MS_SLAVE, ... or 0. Unlike a remount it
 * leaves locked flags alone, so it works in a user namespace. `what` names the object. */
int mount_set_attr(int dirfd, const char *path, uint64_t set, uint64_t clear, uint64_t propagation, bool recursive,
		   const char *what, struct err *err);

/* A new file system of this type, detached: fsopen, fsconfig for each option (a NULL value is a flag), fsmount.
 * `attr` is MOUNT_ATTR_*. The options end with { NULL, NULL }; the pointer may be NULL. */
struct mount_option {
	const char *key;
	const char *value;
};
int mount_new_fs(const char *type, const char *source, const struct mount_option *options, uint64_t attr, int *ret_fd,
		 struct err *err);

/* Attaches a detached mount on top of the object that `target_fd` (O_PATH) refers to. */
int mount_attach(int mount_fd, int target_fd, const char *what, struct err *err);

/* Every mount of this namespace becomes private, so that nothing done here reaches the host (mount_namespaces(7)). */
int mount_make_all_private(struct err *err);

/* Is it known to have idmapped mounts on every kernel from 6.1 on? False for all others, also for those that got them later. */
bool mount_fs_has_idmap(int fd);

/* The name of the file system type of an open file ("ext4"), from statfs(2); "this file system type" when unknown. Static storage. */
const char *mount_fs_name(int fd);

#endif
