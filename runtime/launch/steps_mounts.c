/* SPDX-License-Identifier: Apache-2.0 */
/* The row volumes.mount: what --volume, --mount and --tmpfs ask for. */
#include <nsrun/launch/steps.h>

#include <nsrun/kernel/mount.h>
#include <nsrun/kernel/overlay.h>
#include <nsrun/kernel/probe.h>
#include <nsrun/kernel/root.h>

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* Not in magic.h. */
#define MQUEUE_MAGIC 0x19800202

static uint64_t mount_id(int fd)
{
	struct statx stx;

	return statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0 ? 0 : stx.stx_mnt_id;
}

int launch_is_made_here(const struct launch *launch, int fd, const char *path, bool *ret, struct err *err)
{
	const uint64_t id = mount_id(fd);
	struct statfs fs;
	struct stat st;

	if (id == 0 || fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
		return err_system(err, "%s in the container", path);
	const unsigned long type = (unsigned long)fs.f_type;

	*ret = type == PROC_SUPER_MAGIC || type == SYSFS_MAGIC || type == CGROUP2_SUPER_MAGIC ||
	       type == CGROUP_SUPER_MAGIC || type == DEVPTS_SUPER_MAGIC || type == MQUEUE_MAGIC ||
	       S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode) ||
	       (id == mount_id(launch->dev_fd) && strncmp(path, "/dev/", 5) != 0);
	return 0;
}

/* What nsrun itself mounted is refused by name in the plan. Here it is refused by what a link of the rootfs led to, and so is a mount on a shared
 * volume, which would be made on the host as well. */
int launch_check_place(const struct launch *launch, int target, const char *path, const char *said, struct err *err)
{
	const struct plan *plan = launch->plan;
	const uint64_t id = mount_id(target);
	bool made_here;

	const int r = launch_is_made_here(launch, target, path, &made_here, err);
	if (r < 0)
		return r;
	if (made_here)
		return err_refused(err, ERR_ID_MOUNT_TARGET, "%s: %s leads to what the kernel or nsrun made", said,
				   path);
	for (size_t i = 0; i < plan->n_sources; i++)
		if (plan->sources[i].propagation == MS_SHARED && id == mount_id(launch->source_mounts[i]))
			return err_refused(err, ERR_ID_SHARED_BELOW, "%s: %s leads into a shared volume", said, path);
	return 0;
}

/* The mount flags first: what is attached has them from the first instant. */
static int make_bind(const struct launch *launch, const struct plan_mount *mount, int *ret_fd, struct err *err)
{
	int *source = &launch->source_mounts[mount->first_source];

	struct err refused = ERR_INIT;
	int r = mount_set_attr(*source, "", mount->attr_set, mount->attr_clear, 0, true, mount->said, &refused);
	if (r == -EPERM && mount->attr_clear)
		refused.id = ERR_ID_MOUNT_LOCKED;
	if (r < 0)
		*err = refused;
	if (r == 0 && mount->attr_top)
		r = mount_set_attr(*source, "", mount->attr_top, 0, 0, false, mount->said, err);
	*ret_fd = *source;
	return r;
}

static int make_tmpfs(const struct plan_mount *mount, int *ret_fd, struct err *err)
{
	const struct mount_option said[] = {
		{ "size", mount->size }, { "mode", mount->mode }, { "nr_inodes", mount->nr_inodes },
		{ "uid", mount->uid },	 { "gid", mount->gid },
	};
	struct mount_option options[ARRAY_LEN(said) + 1] = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(said); i++)
		if (said[i].value)
			options[n++] = said[i];
	return mount_new_fs("tmpfs", "tmpfs", options, mount->attr_set, ret_fd, err);
}

static int make_overlay(struct launch *launch, const struct plan_mount *mount, int *ret_fd, struct err *err)
{
	const struct overlay_layers layers = {
		.lower = launch->source_mounts + mount->first_source,
		.n_lower = mount->n_lower,
		.upper_mount =
			mount->upper.name ? launch->source_mounts[mount->first_source + mount->n_lower] : FD_NONE,
		.upper = { mount->upper.name, mount->upper.device, mount->upper.inode },
		.work = { mount->work.name, mount->work.device, mount->work.inode },
		.in_memory = mount->in_memory,
	};

	if (mount->in_memory && plan_has_userns(launch->plan) && !probe_tmpfs_user_xattrs())
		launch_note(
			launch,
			"this kernel's tmpfs has no user.* attributes (6.6 has): directories of %s cannot be removed",
			mount->target);
	return overlay_new_of(&layers, launch->proc_fd, plan_has_userns(launch->plan), mount->attr_set, ret_fd, err);
}

static int mount_one(struct launch *launch, const struct plan_mount *mount, struct err *err)
{
	_cleanup_close_ int target = FD_NONE, made = FD_NONE;
	int fd = FD_NONE, r;

	if (mount->kind == MOUNT_BIND)
		r = make_bind(launch, mount, &fd, err);
	else if (mount->kind == MOUNT_TMPFS)
		r = make_tmpfs(mount, &made, err);
	else
		r = make_overlay(launch, mount, &made, err);
	if (r == 0)
		r = root_mount_point(launch->root_fd, mount->target, mount->is_directory ? ROOT_DIRECTORY : ROOT_FILE,
				     mount->is_directory ? 0755 : 0644, &target, err);
	if (r == 0)
		r = launch_check_place(launch, target, mount->target, mount->said, err);
	if (r == 0)
		r = mount_attach(made >= 0 ? made : fd, target, mount->target, err);
	return r;
}

int init_volumes_mount(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;

	for (size_t i = 0; i < plan->n_mounts; i++) {
		const int r = mount_one(launch, &plan->mounts[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}
