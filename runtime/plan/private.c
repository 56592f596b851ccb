/* SPDX-License-Identifier: Apache-2.0 */
/* Who can reach a tree of the host, by which paths. */
#include <nsrun/plan/tree.h>

#include <nsrun/base/file.h>
#include <nsrun/base/mountinfo.h>
#include <nsrun/base/strings.h>
#include <nsrun/kernel/probe.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MOUNTINFO_MAX ((size_t)16 << 20)

static int open_directory(int dirfd, const char *path)
{
	return openat(dirfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* The mount that an open directory is on; 0 where the kernel does not tell. */
static uint64_t mount_of(int fd)
{
	struct statx stx;

	return statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) == 0 && (stx.stx_mask & STATX_MNT_ID) ? stx.stx_mnt_id
												      : 0;
}

int tree_is_private(int dir_fd, bool *ret, struct err *err)
{
	_cleanup_close_ int current = open_directory(dir_fd, ".");
	struct stat st, above;
	/* Inside a container, as Docker's, a volume may lie below a private directory of the container's and be open to everybody on the host: only
	 * what is in the same mount is above it there, too. */
	const uint64_t only_mount = current < 0 || probe_in_initial_pidns() ? 0 : mount_of(current);

	if (current < 0 || fstat(current, &st) < 0)
		return err_system(err, "looking at the directories above");
	/* The directory itself does not count: container root owns it in an idmapped view and could chmod(2) it. */
	for (;;) {
		_cleanup_close_ int parent = open_directory(current, "..");

		if (parent < 0 || fstat(parent, &above) < 0)
			return err_system(err, "looking at the directories above");
		if ((above.st_dev == st.st_dev && above.st_ino == st.st_ino) ||
		    (only_mount && mount_of(parent) != only_mount))
			break;
		/* With an ACL the group bits are its mask (acl(5)), so that no named user or group is overlooked. */
		if (above.st_uid == 0 && !(above.st_mode & (S_IXGRP | S_IXOTH))) {
			*ret = true;
			return 0;
		}
		closep(&current);
		current = TAKE_FD(parent);
		st = above;
	}
	*ret = false;
	return 0;
}

/* The kernel's name for an open file; `path` has PATH_MAX bytes. */
int tree_path_of(int fd, const char *source, char *path, struct err *err)
{
	char link[64];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	const ssize_t n = readlink(link, path, PATH_MAX - 1);
	if (n < 0)
		return err_system(err, "%s", source);
	path[n] = '\0';
	return 0;
}

/* The directory in which a file that is no directory lies. Its name comes from the kernel and is checked against the file. */
static int open_containing(int fd, const struct stat *st, const char *source, int *ret, struct err *err)
{
	char path[PATH_MAX];
	struct stat found;

	const int r = tree_path_of(fd, source, path, err);
	if (r < 0)
		return r;

	char *slash = strrchr(path, '/');
	if (!slash)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, ENOENT, "%s", source);
	const char *name = slash + 1;
	*slash = '\0';
	_cleanup_close_ int dir = open_directory(AT_FDCWD, slash == path ? "/" : path);
	if (dir < 0 || fstatat(dir, name, &found, AT_SYMLINK_NOFOLLOW) < 0)
		return err_system(err, "%s", source);
	if (found.st_dev != st->st_dev || found.st_ino != st->st_ino)
		return err_set(err, ERR_REFUSED, ERR_ID_NONE, ESTALE, "%s: was exchanged while it was looked at",
			       source);
	*ret = TAKE_FD(dir);
	return 0;
}

/* One way to the tree: the directories above it, by this very mount. */
static int way_is_private(int fd, const struct stat *st, const char *source, bool *ret, struct err *err)
{
	_cleanup_close_ int dir = FD_NONE;

	if (S_ISDIR(st->st_mode))
		return tree_is_private(fd, ret, err);
	const int r = open_containing(fd, st, source, &dir, err);
	if (r < 0)
		return r;
	/* The directory that holds a file counts: nobody inside the container can change its mode. */
	struct stat holder;
	if (fstat(dir, &holder) < 0)
		return err_system(err, "%s", source);
	if (holder.st_uid == 0 && !(holder.st_mode & (S_IXGRP | S_IXOTH))) {
		*ret = true;
		return 0;
	}
	return tree_is_private(dir, ret, err);
}

/* ---- the same tree by other mounts ---- */

/* What is left of `path` below `top`, NULL when it is not below it: "" or "/...". */
static const char *below(const char *path, const char *top)
{
	const char *rest = streq(top, "/") ? path : str_after(path, top);

	return rest && (*rest == '\0' || *rest == '/') ? rest : NULL;
}

struct place {
	int mount_id;
	char device[32];
	char path[PATH_MAX]; /* in its file system, not in the mount namespace */
};

/* Where the tree lies in its file system: what its mount shows, and its path below that. False: mountinfo does not have the mount. */
static bool find_place(const char *mounts, const char *path, struct place *place)
{
	_cleanup_free_ char *text = strdup(mounts);

	for (char *line, *state = text; state && (line = strsep(&state, "\n"));) {
		struct mountinfo mount;

		if (!mountinfo_parse(line, &mount) || mount.id != place->mount_id)
			continue;
		const char *rest = below(path, mount.target);
		if (!rest)
			return false;
		const char *root = streq(mount.root, "/") ? "" : mount.root;
		return snprintf(place->device, sizeof(place->device), "%s", mount.device) <
			       (int)sizeof(place->device) &&
		       snprintf(place->path, sizeof(place->path), "%s%s", root, streq(rest, "/") ? "" : rest) <
			       (int)sizeof(place->path);
	}
	return false;
}

/* A mount of the same file system that shows the tree, or a part of it, at a place that others can reach. */
static int is_shown_by(const struct mountinfo *mount, const struct place *place, bool *ret, struct err *err)
{
	char path[2 * PATH_MAX];
	const char *rest = below(place->path, mount->root);
	struct stat st;
	bool hidden;

	if (!rest && !below(mount->root, place->path))
		return 0;
	snprintf(path, sizeof(path), "%s%s", streq(mount->target, "/") ? "" : mount->target, rest ? rest : "");
	_cleanup_close_ int fd = open(*path ? path : "/", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return 0; /* covered by another mount, or gone */
	const int r = way_is_private(fd, &st, path, &hidden, err);
	if (r == 0 && !hidden)
		*ret = true;
	return r;
}

int tree_is_hidden(int fd, const struct stat *st, const char *source, const char *path, bool *ret, struct err *err)
{
	_cleanup_free_ char *mounts = NULL, *copy = NULL;
	struct place place;
	struct statx stx;
	bool hidden = false, shown = false;

	int r = way_is_private(fd, st, source, &hidden, err);
	if (r < 0)
		return r;
	if (!hidden) {
		*ret = false;
		return 0;
	}
	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0)
		return err_system(err, "%s: the mount it is on", source);
	place.mount_id = (int)stx.stx_mnt_id;
	r = file_read_virtual_at(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &mounts, NULL, err);
	if (r < 0)
		return r;
	copy = strdup(mounts);
	if (!copy)
		return err_oom(err);
	if (!find_place(mounts, path, &place))
		shown = true; /* not to be proven */
	for (char *line, *state = copy; !shown && state && (line = strsep(&state, "\n"));) {
		struct mountinfo mount;

		if (!mountinfo_parse(line, &mount) || mount.id == place.mount_id || !streq(mount.device, place.device))
			continue;
		r = is_shown_by(&mount, &place, &shown, err);
		if (r < 0)
			return r;
	}
	*ret = !shown;
	return 0;
}

int tree_propagation(int fd, const char *source, bool *ret_shared, bool *ret_slave, struct err *err)
{
	_cleanup_free_ char *mounts = NULL;
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0)
		return err_system(err, "%s: the mount it is on", source);
	const int r = file_read_virtual_at(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &mounts, NULL, err);
	if (r < 0)
		return r;
	for (char *line, *state = mounts; state && (line = strsep(&state, "\n"));) {
		struct mountinfo mount;

		if (!mountinfo_parse(line, &mount) || mount.id != (int)stx.stx_mnt_id)
			continue;
		*ret_shared = mount.shared;
		*ret_slave = mount.slave;
		return 0;
	}
	return err_set(err, ERR_SYSTEM, ERR_ID_NONE, ENOENT, "%s: its mount is not among those of this namespace",
		       source);
}
