/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the host (never of a rootfs: those go through kernel/root.h). */
#ifndef NSRUN_BASE_FILE_H
#define NSRUN_BASE_FILE_H

#include <nsrun/base/err.h>

#include <dirent.h>
#include <sys/types.h>

/* Reads at most `max` bytes of a regular file into a new, NUL-terminated buffer that the caller frees. A longer
 * file is -EFBIG, anything but a regular file -EINVAL (a FIFO would block). dirfd as in openat(2). */
int file_read_at(int dirfd, const char *path, size_t max, char **ret_data, size_t *ret_size, struct err *err);

/* From an open file to its end; `guess` is the size to begin with, `path` serves messages. */
int file_read_fd(int fd, const char *path, size_t guess, size_t max, char **ret_data, size_t *ret_size,
		 struct err *err);

/* The same for files of procfs, sysfs and cgroupfs, whose size is 0. */
int file_read_virtual_at(int dirfd, const char *path, size_t max, char **ret_data, size_t *ret_size, struct err *err);

/* One write(2) of the whole text to an existing file: kernel files take a value in one call or not at all. */
int file_write_at(int dirfd, const char *path, const char *text, struct err *err);

/* Writes a new file atomically: temporary name in the same directory, then renameat(2). */
int file_replace_at(int dirfd, const char *name, mode_t mode, const void *data, size_t size, struct err *err);

/* The directory `name` in dirfd, "." for itself, as a list; a link is not followed. NULL, with errno set, when it cannot be listed. Its
 * descriptor is a new one: dirfd stays the caller's. */
DIR *dir_list_at(int dirfd, const char *name);

/* write(2) until all is written; retries EINTR. Returns 0 or -errno. */
int write_all(int fd, const void *data, size_t size);

/* One message with one descriptor (SCM_RIGHTS, unix(7)). Returns 0 or -errno. */
int send_with_fd(int socket, const char *text, int fd);

#endif
