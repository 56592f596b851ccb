/* SPDX-License-Identifier: Apache-2.0 */
/* Rows about the trees of the host that the container gets: rootfs and volumes. */
#include <nsrun/launch/steps.h>

#include <nsrun/kernel/helper.h>
#include <nsrun/kernel/mount.h>
#include <nsrun/kernel/overlay.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* Opens what the plan checked, and proves that it still is that. */
static int open_tree_of(const struct plan_tree *tree, int *ret_mount, struct err *err)
{
	_cleanup_close_ int fd = open(tree->source, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_system(err, "%s", tree->source);
	if (!tree->own && (st.st_dev != tree->device || st.st_ino != tree->inode))
		return err_set(err, ERR_REFUSED, ERR_ID_NONE, ESTALE,
			       "%s: was exchanged for another file after it was checked", tree->source);
	_cleanup_close_ int mount = FD_NONE;
	struct err refused = ERR_INIT;
	int r = mount_clone_tree(fd, "", tree->recursive, &mount, &refused);
	if (r == -EINVAL && !tree->recursive)
		return err_set(
			err, ERR_SYSTEM, ERR_ID_NONE, EINVAL,
			"%s: showing it without what is mounted below, which would uncover what those mounts hide "
			"(mount_namespaces(7))",
			tree->source);
	if (r < 0)
		*err = refused;
	/* A clone of a shared mount, which every mount is where systemd runs, is its peer: what is mounted below it in the container would
	 * appear on the host too, and pivot_root(2) refuses it as the new root. */
	if (r == 0 && tree->propagation != MS_SHARED)
		r = mount_set_attr(mount, "", 0, 0, tree->propagation, true, tree->source, err);
	if (r < 0)
		return r;
	*ret_mount = TAKE_FD(mount);
	return 0;
}

static int open_rootfs(struct launch *launch, struct err *err)
{
	return open_tree_of(&launch->plan->rootfs, &launch->rootfs_mount, err);
}

static int open_volumes(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;

	for (size_t i = 0; i < plan->n_sources; i++) {
		const int r = open_tree_of(&plan->sources[i], &launch->source_mounts[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* --ephemeral, and the file system has no idmapped mounts (overlay, NFS, FUSE): the tree is copied into a tmpfs, which has them since 6.3. */
static int copy_rootfs(struct launch *launch, struct err *err)
{
	static const struct mount_option options[] = { { "mode", "0755" }, { NULL, NULL } };
	_cleanup_close_ int copy = FD_NONE;
	char program[PATH_MAX], from[64], to[64], output[ERR_MESSAGE_MAX / 2];
	const char *const argv[] = { "cp", "-a", from, to, NULL };
	int status;

	int r = mount_new_fs("tmpfs", "tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, &copy, err);
	if (r < 0)
		return r;
	if (helper_find(NULL, "cp", program, sizeof(program)) < 0)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, ENOENT, "cp of the host");
	/* By this process' descriptors: neither mount has a path. */
	snprintf(from, sizeof(from), "/proc/%d/fd/%d/.", (int)launch->runtime.pid, launch->rootfs_mount);
	snprintf(to, sizeof(to), "/proc/%d/fd/%d/", (int)launch->runtime.pid, copy);
	r = helper_run(program, argv, &launch->runtime, output, sizeof(output), &status, err);
	if (r < 0)
		return r;
	if (status != 0) {
		output[strcspn(output, "\n")] = '\0';
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, EIO, "%s: copying it into memory: %s",
			       launch->plan->rootfs.source, output);
	}
	closep(&launch->rootfs_mount);
	launch->rootfs_mount = TAKE_FD(copy);
	launch_note(launch, "a copy in a tmpfs");
	return 0;
}

int runtime_rootfs_open(struct launch *launch, struct err *err)
{
	const int r = open_rootfs(launch, err);

	return r == 0 && launch->plan->rootfs_copied ? copy_rootfs(launch, err) : r;
}

int init_rootfs_open(struct launch *launch, struct err *err)
{
	return open_rootfs(launch, err);
}

int runtime_volumes_open(struct launch *launch, struct err *err)
{
	return open_volumes(launch, err);
}

int init_volumes_open(struct launch *launch, struct err *err)
{
	return open_volumes(launch, err);
}

int runtime_rootfs_close(struct launch *launch, struct err *err)
{
	(void)err;
	closep(&launch->rootfs_mount);
	launch->rootfs_mount = FD_NONE;
	return 0;
}

int runtime_rootfs_overlay(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;
	int overlay = FD_NONE, r = 0;

	/* The lower directory must be what init shall see: overlayfs cannot be idmapped itself, and init has no map yet. */
	if (plan->rootfs.view == VIEW_IDMAPPED) {
		_cleanup_close_ int userns = FD_NONE;

		r = idmap_make_userns(&plan->uids, &plan->gids, &userns, err);
		if (r == 0)
			r = mount_idmap(launch->rootfs_mount, userns, true, plan->rootfs.source, err);
	}
	if (r == 0)
		r = overlay_new_apart(launch->rootfs_mount, plan->root_uid, plan->root_gid, MOUNT_ATTR_NODEV, &overlay,
				      err);
	if (r < 0)
		return r;
	closep(&launch->rootfs_mount);
	launch->rootfs_mount = overlay;
	return 0;
}

int runtime_volumes_close(struct launch *launch, struct err *err)
{
	(void)err;
	for (size_t i = 0; i < launch->plan->n_sources; i++) {
		closep(&launch->source_mounts[i]);
		launch->source_mounts[i] = FD_NONE;
	}
	return 0;
}

int runtime_volumes_owner(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;

	for (size_t i = 0; i < plan->n_sources; i++) {
		const struct plan_tree *volume = &plan->sources[i];
		_cleanup_close_ int userns = FD_NONE;

		if (volume->view != VIEW_OWNER_ONLY)
			continue;
		int r = idmap_make_userns(&volume->owner_uids, &volume->owner_gids, &userns, err);
		if (r == 0)
			r = mount_idmap(launch->source_mounts[i], userns, !volume->idmap_top, volume->source, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The user namespace of init: its maps are those of the mounts, too. */
static int open_userns(const struct launch *launch, int *ret_fd, struct err *err)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)launch->init.pid);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_system(err, "%s", path);
	*ret_fd = fd;
	return 0;
}

int runtime_rootfs_idmap(struct launch *launch, struct err *err)
{
	_cleanup_close_ int userns = FD_NONE;
	struct err refused = ERR_INIT;
	int r = open_userns(launch, &userns, err);

	if (r < 0)
		return r;
	r = mount_idmap(launch->rootfs_mount, userns, true, launch->plan->rootfs.source, &refused);
	if (r < 0 && launch->plan->rootfs_copied && refused.id == ERR_ID_NOT_IDMAPPABLE)
		refused.id = ERR_ID_COPY_NOT_IDMAPPABLE;
	if (r < 0)
		*err = refused;
	return r;
}

int runtime_volumes_idmap(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;
	_cleanup_close_ int userns = FD_NONE;
	int r = open_userns(launch, &userns, err);

	for (size_t i = 0; r == 0 && i < plan->n_sources; i++)
		if (plan->sources[i].view == VIEW_IDMAPPED)
			r = mount_idmap(launch->source_mounts[i], userns, !plan->sources[i].idmap_top,
					plan->sources[i].source, err);
	return r;
}
