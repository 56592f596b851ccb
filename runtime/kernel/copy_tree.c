/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/copy_tree.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>

/* Each level holds two descriptors and a directory stream open. */
#define DEPTH_MAX 64
#define NAMES_MAX 4096
#define CHUNK (1 << 20)

struct copy {
	const char *what;
	unsigned depth;
};

static int failed(const struct copy *copy, const char *name, struct err *err)
{
	return err_system(err, "%s: copying %.100s", copy->what, name);
}

/* An attribute that the other file system does not take is left out: tmpfs has user.* ones since 6.6 alone. */
static void copy_attributes(int from, int to)
{
	char names[NAMES_MAX], value[NAMES_MAX];
	const ssize_t n = flistxattr(from, names, sizeof(names));

	for (ssize_t at = 0; at < n; at += (ssize_t)strlen(names + at) + 1) {
		const ssize_t size = fgetxattr(from, names + at, value, sizeof(value));

		if (size >= 0)
			(void)fsetxattr(to, names + at, value, (size_t)size, 0);
	}
}

/* Owner first: changing it clears the set-id bits. */
static int copy_status(const struct copy *copy, int from, int to, const struct stat *st, const char *name,
		       struct err *err)
{
	const struct timespec times[] = { st->st_atim, st->st_mtim };

	if (fchown(to, st->st_uid, st->st_gid) < 0 && errno != EINVAL)
		return failed(copy, name, err);
	copy_attributes(from, to);
	if (fchmod(to, st->st_mode & 07777) < 0 || futimens(to, times) < 0)
		return failed(copy, name, err);
	return 0;
}

/* Data alone: a file of the rootfs may claim terabytes, which as zeroes would fill the memory of the host. */
static int copy_data(int from, int to, off_t size)
{
	off_t at = 0, end;

	while ((at = lseek(from, at, SEEK_DATA)) >= 0) {
		end = lseek(from, at, SEEK_HOLE);
		if (end < 0 || lseek(to, at, SEEK_SET) < 0)
			return -1;
		while (at < end) {
			const ssize_t n = sendfile(to, from, &at, end - at < CHUNK ? (size_t)(end - at) : CHUNK);

			if (n < 0)
				return -1;
			if (n == 0)
				break; /* it became shorter meanwhile */
		}
	}
	return errno == ENXIO ? ftruncate(to, size) : -1; /* behind the last data (lseek(2)) */
}

static int copy_file(const struct copy *copy, int from_dir, int to_dir, const char *name, struct err *err)
{
	_cleanup_close_ int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	_cleanup_close_ int to = FD_NONE;
	struct stat st;

	if (from < 0 || fstat(from, &st) < 0)
		return failed(copy, name, err);
	if (!S_ISREG(st.st_mode)) { /* exchanged since it was looked at */
		errno = ESTALE;
		return failed(copy, name, err);
	}
	to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return failed(copy, name, err);
	if (copy_data(from, to, st.st_size) < 0)
		return failed(copy, name, err);
	return copy_status(copy, from, to, &st, name, err);
}

static int copy_link(const struct copy *copy, int fd, int to_dir, const char *name, const struct stat *st,
		     struct err *err)
{
	char target[PATH_MAX];
	const ssize_t n = readlinkat(fd, "", target, sizeof(target) - 1);

	if (n < 0)
		return failed(copy, name, err);
	target[n] = '\0';
	if (symlinkat(target, to_dir, name) < 0 ||
	    (fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 && errno != EINVAL))
		return failed(copy, name, err);
	return 0;
}

static int copy_node(const struct copy *copy, int to_dir, const char *name, const struct stat *st, struct err *err)
{
	if (mknodat(to_dir, name, st->st_mode & (S_IFMT | 0777), st->st_rdev) < 0)
		return errno == EPERM ? 0 : failed(copy, name, err);
	if (fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 && errno != EINVAL)
		return failed(copy, name, err);
	return 0;
}

static int copy_directory(struct copy *copy, int from_fd, int to_fd, struct err *err);

static int copy_below(struct copy *copy, int from_dir, int to_dir, const char *name, struct err *err)
{
	_cleanup_close_ int from = openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int to = FD_NONE;
	struct stat st;

	if (from < 0 || fstat(from, &st) < 0 || mkdirat(to_dir, name, 0700) < 0)
		return failed(copy, name, err);
	to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		return failed(copy, name, err);
	const int r = copy_directory(copy, from, to, err);
	return r < 0 ? r : copy_status(copy, from, to, &st, name, err);
}

static int copy_entry(struct copy *copy, int from_dir, int to_dir, const char *name, struct err *err)
{
	_cleanup_close_ int fd = openat(from_dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return failed(copy, name, err);
	if (S_ISDIR(st.st_mode))
		return copy_below(copy, from_dir, to_dir, name, err);
	if (S_ISREG(st.st_mode))
		return copy_file(copy, from_dir, to_dir, name, err);
	if (S_ISLNK(st.st_mode))
		return copy_link(copy, fd, to_dir, name, &st, err);
	return S_ISSOCK(st.st_mode) ? 0 : copy_node(copy, to_dir, name, &st, err);
}

static int copy_directory(struct copy *copy, int from_fd, int to_fd, struct err *err)
{
	_cleanup_closedir_ DIR *dir = dir_list_at(from_fd, ".");
	int r = 0;

	if (!dir)
		return failed(copy, "a directory", err);
	if (copy->depth == DEPTH_MAX)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, ENAMETOOLONG, "%s: more than %d directories deep",
			       copy->what, DEPTH_MAX);
	copy->depth++;
	for (struct dirent *d; r == 0 && (d = readdir(dir));)
		if (!streq(d->d_name, ".") && !streq(d->d_name, ".."))
			r = copy_entry(copy, from_fd, to_fd, d->d_name, err);
	copy->depth--;
	return r;
}

int copy_tree(int from_fd, int to_fd, const char *what, struct err *err)
{
	_cleanup_close_ int from = openat(from_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int to = openat(to_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct copy copy = { .what = what };

	return from < 0 || to < 0 ? failed(&copy, ".", err) : copy_directory(&copy, from, to, err);
}
