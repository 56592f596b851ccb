/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/base/file.h>

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

int file_read_fd(int fd, const char *path, size_t guess, size_t max, char **ret_data, size_t *ret_size, struct err *err)
{
	size_t capacity = guess < max ? guess + 1 : max + 1, used = 0;
	_cleanup_free_ char *data = malloc(capacity + 1);

	if (!data)
		return err_oom(err);
	for (;;) {
		const ssize_t n = read(fd, data + used, capacity - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_system(err, "%s", path);
		if (n == 0)
			break;
		used += (size_t)n;
		if (used > max)
			return err_set(err, ERR_INPUT, ERR_ID_NONE, EFBIG, "%s: larger than %zu bytes", path, max);
		if (used == capacity) {
			capacity = capacity < max / 2 ? capacity * 2 : max + 1;
			char *more = realloc(data, capacity + 1);
			if (!more)
				return err_oom(err);
			data = more;
		}
	}
	data[used] = '\0';
	*ret_data = TAKE_PTR(data);
	if (ret_size)
		*ret_size = used;
	return 0;
}

int file_read_at(int dirfd, const char *path, size_t max, char **ret_data, size_t *ret_size, struct err *err)
{
	/* O_NONBLOCK: opening a FIFO must not wait for a writer. */
	_cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_system(err, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INPUT, ERR_ID_NONE, EINVAL, "%s: not a regular file", path);
	if (st.st_size < 0 || (uintmax_t)st.st_size > max)
		return err_set(err, ERR_INPUT, ERR_ID_NONE, EFBIG, "%s: larger than %zu bytes", path, max);
	return file_read_fd(fd, path, (size_t)st.st_size, max, ret_data, ret_size, err);
}

int file_read_virtual_at(int dirfd, const char *path, size_t max, char **ret_data, size_t *ret_size, struct err *err)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_system(err, "%s", path);
	return file_read_fd(fd, path, 4095, max, ret_data, ret_size, err);
}

int file_write_at(int dirfd, const char *path, const char *text, struct err *err)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return err_system(err, "%s", path);

	const size_t size = strlen(text);
	const ssize_t n = write(fd, text, size);
	if (n < 0)
		return err_system(err, "%s", path);
	if ((size_t)n != size)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, EIO, "%s: only %zd of %zu bytes taken", path, n, size);
	return 0;
}

int write_all(int fd, const void *data, size_t size)
{
	const char *p = data;

	while (size > 0) {
		const ssize_t n = write(fd, p, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

int file_replace_at(int dirfd, const char *name, mode_t mode, const void *data, size_t size, struct err *err)
{
	char temporary[NAME_MAX + 1];

	if (snprintf(temporary, sizeof(temporary), ".%s.%d", name, (int)getpid()) >= (int)sizeof(temporary))
		return err_set(err, ERR_INPUT, ERR_ID_NONE, ENAMETOOLONG, "%s", name);
	(void)unlinkat(dirfd, temporary, 0); /* of a process of the same number that was killed */

	_cleanup_close_ int fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return err_system(err, "%s", temporary);

	int r = write_all(fd, data, size);
	if (r == 0 && renameat(dirfd, temporary, dirfd, name) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(dirfd, temporary, 0);
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "%s", name);
	}
	return 0;
}

int send_with_fd(int socket, const char *text, int fd)
{
	struct iovec iov = { (void *)(uintptr_t)text, strlen(text) };
	union {
		struct cmsghdr header;
		char buffer[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	const struct msghdr message = { .msg_iov = &iov,
					.msg_iovlen = 1,
					.msg_control = control.buffer,
					.msg_controllen = sizeof(control.buffer) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);
	ssize_t n;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	do
		n = sendmsg(socket, &message, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

DIR *dir_list_at(int dirfd, const char *name)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (dir)
		(void)TAKE_FD(fd); /* the stream's */
	return dir;
}
