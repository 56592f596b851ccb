/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/exec.h>

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* 0, or the errno with which execve(2) would refuse the name itself. */
static int try_candidate(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno;
	if (!S_ISREG(st.st_mode))
		return EACCES; /* as execve(2) says for a directory, a FIFO or a device */
	/* Effective ids, like execve; the kernel answers EACCES here for a mount with noexec too. */
	if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0)
		return errno;
	return 0;
}

static int refuse(const char *cmd, const char *file, int errnum, struct err *err)
{
	if (errnum == ENOENT || errnum == ENOTDIR)
		return err_set(err, ERR_NOT_FOUND, ERR_ID_CMD_NOT_FOUND, errnum, "%s: does not exist in the container",
			       cmd);
	return exec_explain_failure(file, errnum, err);
}

static int find_along(const char *cmd, const char *dirs, char **ret, struct err *err)
{
	_cleanup_free_ char *refused = NULL;
	int refused_errnum = 0;
	size_t cmd_len = strlen(cmd);

	if (cmd_len > NAME_MAX)
		return err_set(err, ERR_NOT_FOUND, ERR_ID_CMD_NOT_FOUND, ENAMETOOLONG, "%.32s...", cmd);
	for (const char *dir = dirs;; dir++) {
		const char *end = strchrnul(dir, ':');
		size_t len = (size_t)(end - dir);
		_cleanup_free_ char *path = NULL;
		int e;

		/* An element longer than any path can be is skipped, like one that does not exist. */
		if (len + cmd_len + 2 <= PATH_MAX) {
			/* An empty element is the working directory (execvp(3)). */
			if (asprintf(&path, "%.*s/%s", len ? (int)len : 1, len ? dir : ".", cmd) < 0) {
				path = NULL;
				return err_oom(err);
			}
			e = try_candidate(path);
			if (e == 0) {
				*ret = TAKE_PTR(path);
				return 0;
			}
			if (e != ENOENT && e != ENOTDIR && !refused) {
				refused = TAKE_PTR(path);
				refused_errnum = e;
			}
		}
		dir = end;
		if (*dir == '\0')
			break;
	}
	if (refused)
		return refuse(cmd, refused, refused_errnum, err);
	return err_set(err, ERR_NOT_FOUND, ERR_ID_CMD_NOT_FOUND, ENOENT, "%s: executable file not found in $PATH (%s)",
		       cmd, dirs);
}

static int find(const char *cmd, const char *path_variable, char **ret, struct err *err)
{
	char *path;
	int e;

	if (cmd[0] == '\0')
		return err_set(err, ERR_NOT_FOUND, ERR_ID_CMD_NOT_FOUND, ENOENT, "CMD is an empty word");
	if (!strchr(cmd, '/'))
		return find_along(cmd, path_variable ? path_variable : DEFAULT_PATH, ret, err);
	e = try_candidate(cmd);
	if (e)
		return refuse(cmd, cmd, e, err);
	path = strdup(cmd);
	if (!path)
		return err_oom(err);
	*ret = path;
	return 0;
}

int exec_find(const char *cmd, const char *path_variable, char **ret, struct err *err)
{
	const int r = find(cmd, path_variable, ret, err);

	if (r < 0)
		exec_add_words(err);
	return r;
}

int exec_close_from(int first, int proc_fd, struct err *err)
{
	_cleanup_closedir_ DIR *dir = NULL;

	if (close_range((unsigned)first, ~0U, 0) == 0)
		return 0;
	/* EPERM, ENOSYS: an outer seccomp filter that does not know the call. */
	if (errno != ENOSYS && errno != EPERM)
		return err_system(err, "close_range from %d", first);
	const int fd_dir = openat(proc_fd >= 0 ? proc_fd : AT_FDCWD, proc_fd >= 0 ? "self/fd" : "/proc/self/fd",
				  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd_dir >= 0 ? fdopendir(fd_dir) : NULL;
	if (!dir)
		return err_system(err, "/proc/self/fd: list the open descriptors");
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(dir);
		if (!entry)
			break;
		const int fd = atoi(entry->d_name); /* "." and ".." give 0 */
		if (fd >= first && fd != dirfd(dir))
			close(fd);
	}
	if (errno)
		return err_system(err, "/proc/self/fd: list the open descriptors");
	return 0;
}
