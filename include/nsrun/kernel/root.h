/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hostile rootfs. Every path in it is resolved by openat2(2) with RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS from
 * one descriptor: a symbolic link in it, also one that is exchanged meanwhile, never leads out of it, and what was
 * checked is what is used, since everything after is done by descriptor.
 */
#ifndef NSRUN_KERNEL_ROOT_H
#define NSRUN_KERNEL_ROOT_H

#include <nsrun/base/err.h>

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/* The object to mount on, as O_PATH: found, or made component by component (mkdirat, then O_NOFOLLOW), the last one
 * a directory or an empty file. */
enum root_kind { ROOT_DIRECTORY, ROOT_FILE };
int root_mount_point(int root_fd, const char *path, enum root_kind kind, mode_t mode, int *ret_fd, struct err *err);

/* What is there, as O_PATH; FD_NONE where there is nothing, also for a link that leads nowhere. */
int root_find(int root_fd, const char *path, int *ret_fd, struct err *err);
/* A file to mount on, as O_PATH, where there is one: anything but a directory. *ret_fd is FD_NONE otherwise, also for a link that leads nowhere. */
int root_find_file(int root_fd, const char *path, int *ret_fd, struct err *err);
/* Is there one? */
bool root_has_file(int root_fd, const char *path);

/* A regular file of the rootfs, whole: O_NONBLOCK (a FIFO would hang), checked to be regular, at most `max` bytes
 * (-EFBIG). The buffer is NUL-terminated and belongs to the caller. -ENOENT leaves `err` alone: callers decide. */
int root_read_file(int root_fd, const char *path, size_t max, char **ret_data, size_t *ret_size, struct err *err);

/* A device node or FIFO: root_nodes.c. Directories on the way are made. */
struct root_node {
	mode_t mode; /* with S_IFCHR, S_IFBLK or S_IFIFO; exactly this, whatever the umask */
	dev_t device;
	uid_t uid;
	gid_t gid;
};
/* *ret_found: one of that type and number is there already, and left as it is. Something else there is -EEXIST; -EPERM: the kernel lets nobody make
 * device nodes here. Both leave `err` alone. */
int root_make_node(int root_fd, const char *path, const struct root_node *node, bool *ret_found, struct err *err);
/* Is the open file of that type and number? */
bool root_is_node(int fd, const struct root_node *node);
/* A symbolic link in an open directory; one that is there already, whatever it is, stays. */
int root_make_link(int dir_fd, const char *name, const char *target, struct err *err);

/* Moves the detached rootfs mount onto "/" of this mount namespace and returns an fd on its root. */
int root_attach(int mount_fd, int *ret_root_fd, struct err *err);
/* Takes a mount that root_attach put there away again; `fd` is its root, and it must be the topmost one. */
int root_unstack(int fd, struct err *err);
/* fchdir(root_fd), pivot_root(".", "."): the old root lies on top of the new one, see pivot_root(2), notes. */
int root_pivot(int root_fd, struct err *err);
/*
 * Where the host's root is the kernel's first file system (initramfs), pivot_root(2) is EINVAL: chroot(2) into `root_fd`, which root_attach() put over
 * it. What was mounted in the old root is detached first, since whoever breaks out of a chroot would find it there; what the kernel has locked (a user
 * namespace) is covered where it is a procfs or sysfs.
 */
int root_enter(int root_fd, struct err *err);
/* umount2(".", MNT_DETACH) of the old root, then chdir("/"). No path of the host is left reachable. */
int root_detach_old(struct err *err);

/*
 * Both resolve each of `paths` from the base whose prefix it has ("/proc" and the root of the procfs that nsrun itself mounted there): a
 * rootfs that is changed meanwhile cannot lead a mask elsewhere. What does not exist, or has no base, is passed over.
 */
struct root_base {
	const char *prefix; /* NULL ends the array */
	int fd;
};
/* Covers a directory by an empty read-only tmpfs (one, shared), a file by the verified null device `null_fd` (character device 1:3).
 * must_exist: what does not exist is an error instead. `context`: SELinux' of the tmpfs; NULL: none. */
int root_mask_paths(const struct root_base *bases, const char *const *paths, bool must_exist, int null_fd,
		    const char *context, struct err *err);
/* Clones each path onto itself, read-only, recursively. */
int root_readonly_paths(const struct root_base *bases, const char *const *paths, struct err *err);

#endif
