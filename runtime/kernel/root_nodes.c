/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/root.h>

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

bool root_is_node(int fd, const struct root_node *node)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || (st.st_mode & S_IFMT) != (node->mode & S_IFMT))
		return false;
	return S_ISFIFO(st.st_mode) || st.st_rdev == node->device;
}

/* The directory that holds it, made where it is missing; *ret_name points into path. */
static int open_parent(int root_fd, const char *path, int *ret_fd, const char **ret_name, struct err *err)
{
	const char *name = strrchr(path, '/');
	char parent[PATH_MAX];

	if (!name || !name[1] || (size_t)(name - path) >= sizeof(parent))
		return err_set(err, ERR_INPUT, ERR_ID_NONE, name && !name[1] ? EISDIR : ENAMETOOLONG,
			       "%.200s in the container", path);
	const size_t n = (size_t)(name - path) + (name == path);
	memcpy(parent, path, n);
	parent[n] = '\0';
	*ret_name = name + 1;
	return root_mount_point(root_fd, parent, ROOT_DIRECTORY, 0755, ret_fd, err);
}

int root_make_node(int root_fd, const char *path, const struct root_node *node, bool *ret_found, struct err *err)
{
	_cleanup_close_ int parent = FD_NONE, fd = FD_NONE;
	const char *name;

	const int r = open_parent(root_fd, path, &parent, &name, err);
	if (r < 0)
		return r;
	/* chmod(2) afterwards would go by a name, which a container that shares the directory may have exchanged for a link. */
	const mode_t umask_before = umask(0);
	const int made = mknodat(parent, name, node->mode, node->device);
	const int errnum = errno;
	umask(umask_before);
	if (made < 0 && errnum != EEXIST)
		return errnum == EPERM
			       ? -EPERM
			       : err_set(err, ERR_SYSTEM, ERR_ID_NONE, errnum, "%s in the container: making it", path);
	fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_system(err, "%s in the container", path);
	if (!root_is_node(fd, node))
		return -EEXIST;
	*ret_found = made < 0;
	if (made == 0 && fchownat(fd, "", node->uid, node->gid, AT_EMPTY_PATH) < 0)
		return err_system(err, "%s in the container: its owner", path);
	return 0;
}

int root_make_link(int dir_fd, const char *name, const char *target, struct err *err)
{
	if (symlinkat(target, dir_fd, name) < 0 && errno != EEXIST)
		return err_system(err, "%s in the container: making a link", name);
	return 0;
}
