/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/dev.h>

#include <nsrun/kernel/mount.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

const struct dev_node dev_default_nodes[] = {
	{ "null", 1, 3 },    { "zero", 1, 5 }, { "full", 1, 7 }, { "random", 1, 8 },
	{ "urandom", 1, 9 }, { "tty", 5, 0 },  { NULL, 0, 0 },
};

int dev_find_node(const struct dev_node *node, int *ret_fd, struct err *err)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/dev/%s", node->name);
	_cleanup_close_ int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_system(err, "%s of the host", path);
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(node->major, node->minor))
		return err_set(err, ERR_REFUSED, ERR_ID_NONE, ENODEV, "%s of the host: not the character device %u:%u",
			       path, node->major, node->minor);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int dev_open_node(const struct dev_node *node, int *ret_mount_fd, struct err *err)
{
	_cleanup_close_ int fd = FD_NONE;
	const int r = dev_find_node(node, &fd, err);

	return r < 0 ? r : mount_clone_tree(fd, "", false, ret_mount_fd, err);
}

int dev_bind_nodes(int dev_fd, struct err *err)
{
	for (const struct dev_node *node = dev_default_nodes; node->name; node++) {
		_cleanup_close_ int mount = FD_NONE;
		const int r = dev_open_node(node, &mount, err);

		if (r < 0)
			return r;
		_cleanup_close_ int target =
			openat(dev_fd, node->name, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
		if (target < 0)
			return err_system(err, "/dev/%s in the container", node->name);
		const int r2 = mount_attach(mount, target, node->name, err);
		if (r2 < 0)
			return r2;
	}
	return 0;
}

int dev_make_links(int dev_fd, struct err *err)
{
	static const struct {
		const char *name, *target;
	} links[] = {
		{ "fd", "/proc/self/fd" },	 { "stdin", "/proc/self/fd/0" }, { "stdout", "/proc/self/fd/1" },
		{ "stderr", "/proc/self/fd/2" }, { "ptmx", "pts/ptmx" },
	};

	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		if (symlinkat(links[i].target, dev_fd, links[i].name) < 0)
			return err_system(err, "/dev/%s in the container", links[i].name);
	return 0;
}
