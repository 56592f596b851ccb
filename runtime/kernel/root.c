/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/root.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/kernel/mount.h>

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>

/* RESOLVE_IN_ROOT answers EAGAIN when a rename or mount anywhere on the system raced with ".." (openat2(2)). */
#define RESOLVE_RETRIES 128

static int open_in_root(int root_fd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)flags | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd = -1;

	for (int i = 0; i < RESOLVE_RETRIES; i++) {
		fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd < 0 ? -errno : fd;
}

static int check_kind(int fd, const char *path, enum root_kind kind, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_system(err, "%s in the container", path);
	if (S_ISDIR(st.st_mode) == (kind == ROOT_DIRECTORY))
		return 0;
	return err_set(err, ERR_INPUT, ERR_ID_MOUNT_KIND, kind == ROOT_DIRECTORY ? ENOTDIR : EISDIR,
		       kind == ROOT_DIRECTORY ? "%s in the container: a directory cannot be mounted on a file"
					      : "%s in the container: a file cannot be mounted on a directory",
		       path);
}

/* Makes `name` below parent_fd and opens what was made, not what a link put there meanwhile. */
static int make_component(int parent_fd, const char *name, const char *path, enum root_kind kind, mode_t mode,
			  struct err *err)
{
	int fd;

	if (kind == ROOT_DIRECTORY) {
		if (mkdirat(parent_fd, name, mode) < 0)
			goto fail;
		fd = openat(parent_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	} else {
		fd = openat(parent_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	}
	if (fd >= 0)
		return fd;
fail:
	if (errno == EEXIST) /* openat2 did not find it and yet it is there */
		return err_set(err, ERR_INPUT, ERR_ID_NONE, ELOOP, "%s in the container: a link that leads nowhere",
			       path);
	if (errno == EROFS)
		return err_system_id(err, ERR_ID_MOUNT_POINT_MISSING,
				     "%s in the container: the mount point does not exist", path);
	return err_system(err, "%s in the container: making the mount point", path);
}

/* As many as path_resolution(7) follows. */
#define LINKS_MAX 40

/* `name`, in the directory `parent`, is a link to what does not exist: the path that it and `rest` mean, of which `before` leads to the directory. */
static int follow_dangling(int parent, const char *before, size_t before_length, const char *name, size_t name_length,
			   const char *rest, char *ret, size_t size)
{
	char component[NAME_MAX + 1], target[PATH_MAX];

	if (name_length >= sizeof(component))
		return -ENAMETOOLONG;
	memcpy(component, name, name_length);
	component[name_length] = '\0';
	const ssize_t n = readlinkat(parent, component, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	const int length =
		snprintf(ret, size, "%.*s/%s%s", *target == '/' ? 0 : (int)before_length, before, target, rest);
	return length < 0 || (size_t)length >= size ? -ENAMETOOLONG : 0;
}

static int find_or_make(int root_fd, const char *path, enum root_kind kind, mode_t mode, unsigned links, int *ret_fd,
			struct err *err)
{
	_cleanup_close_ int fd = open_in_root(root_fd, path, O_PATH);
	char partial[PATH_MAX];
	const size_t length = strlen(path);

	if (fd >= 0) {
		const int r = check_kind(fd, path, kind, err);
		if (r < 0)
			return r;
		*ret_fd = TAKE_FD(fd);
		return 0;
	}
	if (fd != -ENOENT)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -fd, "%s in the container", path);
	if (length >= sizeof(partial))
		return err_set(err, ERR_INPUT, ERR_ID_NONE, ENAMETOOLONG, "%s in the container", path);

	_cleanup_close_ int parent = open_in_root(root_fd, "/", O_PATH | O_DIRECTORY);
	if (parent < 0)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -parent, "/ in the container");
	for (size_t start = 0, end; start < length; start = end) {
		while (path[start] == '/')
			start++;
		if (!path[start])
			break;
		end = start + strcspn(path + start, "/");
		memcpy(partial, path, end);
		partial[end] = '\0';

		const bool last = path[end + strspn(path + end, "/")] == '\0';
		/* Each prefix is resolved from the root anew, so that absolute links among the components stay inside. */
		_cleanup_close_ int next = open_in_root(root_fd, partial, O_PATH);
		char elsewhere[PATH_MAX] = "";
		if (next == -ENOENT && links &&
		    follow_dangling(parent, path, start, partial + start, end - start, path + end, elsewhere,
				    sizeof(elsewhere)) == 0)
			return find_or_make(root_fd, elsewhere, kind, mode, links - 1, ret_fd, err);
		if (next == -ENOENT)
			next = make_component(parent, partial + start, partial, last ? kind : ROOT_DIRECTORY,
					      last ? mode : 0755, err);
		if (next < 0)
			return err_is_set(err)
				       ? next
				       : err_set(err, ERR_SYSTEM, ERR_ID_NONE, -next, "%s in the container", partial);
		closep(&parent);
		parent = TAKE_FD(next);
	}

	const int r = check_kind(parent, path, kind, err);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(parent);
	return 0;
}

int root_mount_point(int root_fd, const char *path, enum root_kind kind, mode_t mode, int *ret_fd, struct err *err)
{
	return find_or_make(root_fd, path, kind, mode, LINKS_MAX, ret_fd, err);
}

int root_find(int root_fd, const char *path, int *ret_fd, struct err *err)
{
	const int fd = open_in_root(root_fd, path, O_PATH);

	if (fd < 0 && fd != -ENOENT && fd != -ENOTDIR && fd != -ELOOP)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -fd, "%s in the container", path);
	*ret_fd = fd < 0 ? FD_NONE : fd;
	return 0;
}

int root_find_file(int root_fd, const char *path, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = open_in_root(root_fd, path, O_PATH);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) < 0)
		return err_system(err, "%s in the container", path);
	if (fd < 0 && fd != -ENOENT && fd != -ENOTDIR && fd != -ELOOP)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -fd, "%s in the container", path);
	*ret_fd = fd < 0 || S_ISDIR(st.st_mode) ? FD_NONE : TAKE_FD(fd);
	return 0;
}

bool root_has_file(int root_fd, const char *path)
{
	_cleanup_close_ int fd = FD_NONE;

	return root_find_file(root_fd, path, &fd, NULL) == 0 && fd >= 0;
}

int root_read_file(int root_fd, const char *path, size_t max, char **ret_data, size_t *ret_size, struct err *err)
{
	_cleanup_close_ int fd = open_in_root(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd == -ENOENT)
		return -ENOENT;
	if (fd < 0)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -fd, "%s in the container", path);
	if (fstat(fd, &st) < 0)
		return err_system(err, "%s in the container", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INPUT, ERR_ID_NONE, EINVAL, "%s in the container: not a regular file", path);
	if (st.st_size < 0 || (uint64_t)st.st_size > max)
		return err_set(err, ERR_INPUT, ERR_ID_NONE, EFBIG, "%s in the container: larger than %zu bytes", path,
			       max);

	/* The bound holds for what is read, too: the file may grow meanwhile. */
	return file_read_fd(fd, path, (size_t)st.st_size, max, ret_data, ret_size, err);
}

int root_attach(int mount_fd, int *ret_root_fd, struct err *err)
{
	if (move_mount(mount_fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_system(err, "the rootfs: moving its mount onto /");

	_cleanup_close_ int fd = openat(mount_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_system(err, "/ in the container");
	*ret_root_fd = TAKE_FD(fd);
	return 0;
}

int root_unstack(int fd, struct err *err)
{
	if (fchdir(fd) < 0 || umount2(".", MNT_DETACH) < 0)
		return err_system(err, "the rootfs: taking a mount off /");
	return 0;
}

int root_pivot(int root_fd, struct err *err)
{
	if (fchdir(root_fd) < 0)
		return err_system(err, "/ in the container");
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return err_system(err, "/ in the container: making it the root");
	return 0;
}

int root_detach_old(struct err *err)
{
	/* "." is the new root, over which pivot_root stacked the old one: a look-up follows to the top of the stack. */
	if (umount2(".", MNT_DETACH) < 0)
		return err_system(err, "the host's root: detaching it");
	if (chdir("/") < 0)
		return err_system(err, "/ in the container");
	return 0;
}

/* Finds an existing path below its base; *ret_fd is FD_NONE where there is none. */
static int open_if_exists(const struct root_base *bases, const char *path, int *ret_fd, struct err *err)
{
	*ret_fd = FD_NONE;
	for (; bases->prefix; bases++) {
		const char *rest = str_after(path, bases->prefix);

		if (!rest || *rest != '/')
			continue;
		const int fd = open_in_root(bases->fd, rest, O_PATH);
		if (fd >= 0)
			*ret_fd = fd;
		else if (fd != -ENOENT && fd != -ENOTDIR)
			return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -fd, "%s in the container", path);
		return 0;
	}
	return 0;
}

/* What covers a directory; the first one is a new file system, the others are clones of it once it is attached (a detached mount
 * can be cloned since Linux 6.15 only). */
static int empty_directory(int attached, const char *context, int *ret_fd, struct err *err)
{
	const struct mount_option options[] = { { "size", "0" },
						{ "nr_inodes", "1" },
						{ "mode", "0555" },
						{ context ? "context" : NULL, context },
						{ NULL, NULL } };

	if (attached >= 0)
		return mount_clone_tree(attached, "", false, ret_fd, err);
	return mount_new_fs("tmpfs", "tmpfs", options,
			    MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, ret_fd, err);
}

int root_mask_paths(const struct root_base *bases, const char *const *paths, bool must_exist, int null_fd,
		    const char *context, struct err *err)
{
	_cleanup_close_ int empty = FD_NONE;

	for (; *paths; paths++) {
		_cleanup_close_ int target = FD_NONE, cover = FD_NONE;
		struct stat st;

		int r = open_if_exists(bases, *paths, &target, err);
		if (r < 0)
			return r;
		if (target < 0 && must_exist)
			return err_set(err, ERR_INPUT, ERR_ID_MASK_MISSING, ENOENT, "%s in the container: masking it",
				       *paths);
		if (target < 0)
			continue;
		if (fstat(target, &st) < 0)
			return err_system(err, "%s in the container", *paths);
		r = S_ISDIR(st.st_mode) ? empty_directory(empty, context, &cover, err)
					: mount_clone_tree(null_fd, "", false, &cover, err);
		if (r < 0)
			return r;
		r = mount_attach(cover, target, *paths, err);
		if (r < 0)
			return r;
		if (S_ISDIR(st.st_mode) && empty < 0)
			empty = TAKE_FD(cover);
	}
	return 0;
}

int root_readonly_paths(const struct root_base *bases, const char *const *paths, struct err *err)
{
	for (; *paths; paths++) {
		_cleanup_close_ int target = FD_NONE, clone = FD_NONE;

		int r = open_if_exists(bases, *paths, &target, err);
		if (r < 0)
			return r;
		if (target < 0)
			continue;
		r = mount_clone_tree(target, "", true, &clone, err);
		if (r < 0)
			return r;
		r = mount_set_attr(clone, "", MOUNT_ATTR_RDONLY, 0, 0, true, *paths, err);
		if (r < 0)
			return r;
		r = mount_attach(clone, target, *paths, err);
		if (r < 0)
			return r;
	}
	return 0;
}
