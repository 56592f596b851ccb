/* SPDX-License-Identifier: Apache-2.0 */
/* File systems with options as mount(8) and config.json write them: one text, comma-separated. */
#ifndef NSRUN_KERNEL_MOUNT_DATA_H
#define NSRUN_KERNEL_MOUNT_DATA_H

#include <nsrun/base/err.h>

#include <stdbool.h>
#include <stdint.h>

struct mount_fs {
	const char *type;
	const char *source; /* NULL: none */
	const char *data;   /* "size=64k,mode=755"; a value in double quotes may have commas. NULL: none */
	uint64_t
		flags; /* of the superblock: MS_RDONLY, MS_SYNCHRONOUS, MS_DIRSYNC, MS_MANDLOCK, MS_LAZYTIME, MS_I_VERSION */
	uint64_t attr; /* MOUNT_ATTR_* of the mount */
};

/* Detached, by fsopen(2): an option that the file system does not take is an error that names it, with the kernel's own words where it has some. */
int mount_new_fs_of(const struct mount_fs *fs, int *ret_fd, struct err *err);

/* fsconfig(2) takes no value beyond 255 bytes, as lowerdir= of an overlay may be, and has no word for MS_I_VERSION. */
bool mount_fs_needs_old_call(const struct mount_fs *fs);
/* mount(2) onto the object of `target_fd`, for those. /proc of the caller's root must be a procfs. */
int mount_fs_at(const struct mount_fs *fs, int target_fd, const char *what, struct err *err);
/* Changes the superblock of the mount that `root_fd` lies in: what flags and data say; the rest stays, and so does what is the mount's own. */
int mount_fs_change(const struct mount_fs *fs, int root_fd, const char *what, struct err *err);

/* The next option of `*text` into `buf`, without its quotes; *text moves on. 1, 0 at the end, -E2BIG. */
int mount_data_next(const char **text, char *buf, size_t size);

#endif
