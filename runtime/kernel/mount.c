/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/mount.h>

#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/vfs.h>

int mount_clone_tree(int dirfd, const char *path, bool recursive, int *ret_fd, struct err *err)
{
	const unsigned flags =
		OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0) | (*path ? 0 : AT_EMPTY_PATH);
	const int fd = open_tree(dirfd, path, flags);

	if (fd < 0)
		return err_system(err, "%s: cloning its mount", *path ? path : "open file");
	*ret_fd = fd;
	return 0;
}

int mount_idmap(int mount_fd, int userns_fd, bool recursive, const char *what, struct err *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns_fd };

	if (mount_setattr(mount_fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr, sizeof(attr)) == 0)
		return 0;
	if (errno == EINVAL) {
		/* All or nothing (mount_setattr(2)): trying the topmost mount alone tells whether it was that one. */
		const bool below = recursive && mount_setattr(mount_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0;

		return err_set(err, ERR_SYSTEM, ERR_ID_NOT_IDMAPPABLE, EINVAL, "%s: idmapped mount of %s", what,
			       below ? "what is mounted below it" : mount_fs_name(mount_fd));
	}
	return err_system(err, "%s: idmapped mount", what);
}

int mount_set_attr(int dirfd, const char *path, uint64_t set, uint64_t clear, uint64_t propagation, bool recursive,
		   const char *what, struct err *err)
{
	struct mount_attr attr = { .attr_set = set, .attr_clr = clear, .propagation = propagation };
	const unsigned flags = (*path ? 0 : AT_EMPTY_PATH) | (recursive ? AT_RECURSIVE : 0) | AT_SYMLINK_NOFOLLOW;

	if (mount_setattr(dirfd, path, flags, &attr, sizeof(attr)) < 0)
		return err_system(err, "%s: setting mount attributes", what);
	return 0;
}

int mount_new_fs(const char *type, const char *source, const struct mount_option *options, uint64_t attr, int *ret_fd,
		 struct err *err)
{
	_cleanup_close_ int fs_fd = fsopen(type, FSOPEN_CLOEXEC);

	if (fs_fd < 0)
		return err_system(err, "%s: new file system", type);
	if (source && fsconfig(fs_fd, FSCONFIG_SET_STRING, "source", source, 0) < 0)
		return err_system(err, "%s: source %s", type, source);
	for (; options && options->key; options++) {
		const unsigned command = options->value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;

		if (fsconfig(fs_fd, command, options->key, options->value, 0) < 0)
			return err_system(err, "%s: option %s%s%s", type, options->key, options->value ? "=" : "",
					  options->value ? options->value : "");
	}
	if (fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_system(err, "%s: making the file system", type);

	const int fd = fsmount(fs_fd, FSMOUNT_CLOEXEC, (unsigned)attr);
	if (fd < 0)
		return err_system(err, "%s: mounting it", type);
	*ret_fd = fd;
	return 0;
}

int mount_attach(int mount_fd, int target_fd, const char *what, struct err *err)
{
	if (move_mount(mount_fd, "", target_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_system(err, "%s: attaching a mount", what);
	return 0;
}

int mount_make_all_private(struct err *err)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_system(err, "/: making every mount private");
	return 0;
}

bool mount_fs_has_idmap(int fd)
{
	static const char *const names[] = { "ext4", "xfs", "btrfs", "f2fs", "squashfs", "erofs", "vfat" };
	const char *name = mount_fs_name(fd);

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (streq(name, names[i]))
			return true;
	return false;
}

const char *mount_fs_name(int fd)
{
	static const struct {
		unsigned long magic;
		const char *name;
	} known[] = {
		{ EXT4_SUPER_MAGIC, "ext4" },
		{ TMPFS_MAGIC, "tmpfs" },
		{ OVERLAYFS_SUPER_MAGIC, "overlay" },
		{ BTRFS_SUPER_MAGIC, "btrfs" },
		{ XFS_SUPER_MAGIC, "xfs" },
		{ NFS_SUPER_MAGIC, "nfs" },
		{ FUSE_SUPER_MAGIC, "fuse" },
		{ V9FS_MAGIC, "9p" },
		{ PROC_SUPER_MAGIC, "proc" },
		{ SYSFS_MAGIC, "sysfs" },
		{ CGROUP2_SUPER_MAGIC, "cgroup2" },
		{ SQUASHFS_MAGIC, "squashfs" },
		{ 0xca451a4e /* not in magic.h */, "bcachefs" },
		{ EROFS_SUPER_MAGIC_V1, "erofs" },
		{ F2FS_SUPER_MAGIC, "f2fs" },
		{ MSDOS_SUPER_MAGIC, "vfat" },
		{ ISOFS_SUPER_MAGIC, "iso9660" },
		{ RAMFS_MAGIC, "ramfs" },
		{ CGROUP_SUPER_MAGIC, "cgroup" },
		{ SMB2_SUPER_MAGIC, "cifs" },
		{ CEPH_SUPER_MAGIC, "ceph" },
		{ DEVPTS_SUPER_MAGIC, "devpts" },
	};
	struct statfs st;

	if (fstatfs(fd, &st) == 0)
		for (size_t i = 0; i < ARRAY_LEN(known); i++)
			if ((unsigned long)st.f_type == known[i].magic)
				return known[i].name;
	return "this file system type";
}
