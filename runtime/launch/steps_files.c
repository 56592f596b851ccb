/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of init that build the container's file system view. Order and reasons are in score_table.h. */
#include <nsrun/launch/steps.h>

#include <nsrun/kernel/dev.h>
#include <nsrun/kernel/mount.h>
#include <nsrun/kernel/overlay.h>
#include <nsrun/kernel/probe.h>
#include <nsrun/kernel/root.h>
#include <nsrun/launch/bundle_mounts.h>

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#define ATTR_NO_TRICKS (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

int init_mounts_private(struct launch *launch, struct err *err)
{
	(void)launch;
	return mount_make_all_private(err);
}

int init_rootfs_protect(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;
	uint64_t set = MOUNT_ATTR_NODEV;

	if (plan->root_nosuid)
		set |= MOUNT_ATTR_NOSUID;
	/* Under an overlay the rootfs itself is never written. */
	if (plan->rootfs.readonly || wants_overlay(plan))
		set |= MOUNT_ATTR_RDONLY;
	return mount_set_attr(launch->rootfs_mount, "", set, 0, 0, true, plan->rootfs.source, err);
}

int init_root_attach(struct launch *launch, struct err *err)
{
	const int r = root_attach(launch->rootfs_mount, &launch->root_fd, err);

	launch->root_stacked = r == 0 && launch->plan->ns[NS_MNT].use == NS_JOIN;
	return r;
}

int init_root_overlay(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;
	_cleanup_close_ int overlay = FD_NONE;
	uint64_t attr = MOUNT_ATTR_NODEV;

	if (plan->root_nosuid)
		attr |= MOUNT_ATTR_NOSUID;
	if (plan->rootfs.readonly)
		attr |= MOUNT_ATTR_RDONLY;
	if (plan->performer[WORK_OVERLAY] == BY_NOBODY)
		launch_note(
			launch,
			"this kernel's tmpfs has no user.* attributes (6.6 has): directories of the rootfs cannot be removed");
	const int r = overlay_new(launch->root_fd, plan_has_userns(plan), attr, &overlay, err);
	if (r < 0)
		return r;
	closep(&launch->root_fd);
	launch->root_fd = FD_NONE;
	return root_attach(overlay, &launch->root_fd, err);
}

/* Attaches a detached mount at a path of the container, which is made where it is missing; *keep_fd becomes its root. */
static int attach_at(struct launch *launch, const char *path, int mount_fd, int *keep_fd, struct err *err)
{
	_cleanup_close_ int target = FD_NONE;

	int r = root_mount_point(launch->root_fd, path, ROOT_DIRECTORY, 0755, &target, err);
	if (r == 0)
		r = mount_attach(mount_fd, target, path, err);
	if (r < 0 || !keep_fd)
		return r;
	*keep_fd = openat(mount_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*keep_fd < 0)
		return err_system(err, "%s in the container", path);
	return 0;
}

/* The host's, as it is mounted there: with what is mounted below it, since the kernel keeps that together for a less privileged mount
 * namespace (EINVAL without, mount_namespaces(7)). */
static int bind_of_host(struct launch *launch, const char *path, uint64_t attr, int *ret_mount, struct err *err)
{
	_cleanup_close_ int mount = FD_NONE;

	int r = mount_clone_tree(AT_FDCWD, path, true, &mount, err);
	if (r == 0)
		r = mount_set_attr(mount, "", ATTR_NO_TRICKS | attr, 0, MS_PRIVATE, true, path, err);
	if (r < 0)
		return r;
	*ret_mount = TAKE_FD(mount);
	launch_note(launch, "%s of the host%s", path, attr & MOUNT_ATTR_RDONLY ? ", read-only" : "");
	return 0;
}

/* What shows a namespace: a new mount of `type`, the one that was provided, or the host's at `path`. */
static int open_view(struct launch *launch, enum ns_kind kind, const char *type, const char *path, uint64_t attr,
		     int *ret_mount, struct err *err)
{
	switch (plan_ns_view(launch->plan, kind)) {
	case NS_VIEW_MOUNTED:
		return mount_new_fs(type, type, NULL, ATTR_NO_TRICKS | attr, ret_mount, err);
	case NS_VIEW_PROVIDED:
		*ret_mount = TAKE_FD(launch->provided[kind]);
		return 0;
	case NS_VIEW_BOUND:
		return bind_of_host(launch, path, kind == NS_IPC ? attr : attr | MOUNT_ATTR_RDONLY, ret_mount, err);
	}
	return 0;
}

int init_proc_mount(struct launch *launch, struct err *err)
{
	_cleanup_close_ int mount = FD_NONE;
	struct err refused = ERR_INIT;

	const int r = open_view(launch, NS_PID, "proc", "/proc", 0, &mount, &refused);
	if (r < 0) {
		if (refused.errnum == EPERM && probe_proc_overmounted())
			refused.id = ERR_ID_PROC_OVERMOUNTED;
		*err = refused;
		return r;
	}
	return attach_at(launch, "/proc", mount, &launch->proc_fd, err);
}

int init_sys_mount(struct launch *launch, struct err *err)
{
	_cleanup_close_ int mount = FD_NONE;

	const uint64_t attr = launch->plan->privileged ? 0 : MOUNT_ATTR_RDONLY;
	const int r = open_view(launch, NS_NET, "sysfs", "/sys", attr, &mount, err);
	return r < 0 ? r : attach_at(launch, "/sys", mount, &launch->sys_fd, err);
}

int init_cgroup_mount(struct launch *launch, struct err *err)
{
	_cleanup_close_ int mount = FD_NONE;

	const uint64_t attr = launch->plan->cgroup_writable ? 0 : MOUNT_ATTR_RDONLY;
	const int r = open_view(launch, NS_CGROUP, "cgroup2", "/sys/fs/cgroup", attr, &mount, err);
	return r < 0 ? r : attach_at(launch, "/sys/fs/cgroup", mount, NULL, err);
}

int init_dev_mount(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;
	char size[32];
	const struct mount_option options[] = { { "mode", "0755" }, { "size", size }, { NULL, NULL } };
	static const char *const directories[] = { "pts", "shm", "mqueue" };
	_cleanup_close_ int mount = FD_NONE;

	/* etc.mount keeps its files there. */
	const size_t files =
		!plan->etc_wanted ? 0 : strlen(plan->hosts) + (plan->resolv_conf ? strlen(plan->resolv_conf) : 0);
	snprintf(size, sizeof(size), "%zuk", 64 + files / 1024);
	int r = mount_new_fs("tmpfs", "tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, &mount, err);
	if (r == 0)
		r = attach_at(launch, "/dev", mount, &launch->dev_fd, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(directories); i++)
		if (mkdirat(launch->dev_fd, directories[i], 0755) < 0)
			return err_system(err, "/dev/%s in the container", directories[i]);
	return 0;
}

int init_dev_nodes(struct launch *launch, struct err *err)
{
	return dev_bind_nodes(launch->dev_fd, err);
}

int init_dev_links(struct launch *launch, struct err *err)
{
	return dev_make_links(launch->dev_fd, err);
}

/* Like attach_at, for a directory of the container's own /dev. */
static int attach_in_dev(struct launch *launch, const char *name, int mount_fd, struct err *err)
{
	_cleanup_close_ int target = openat(launch->dev_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (target < 0)
		return err_system(err, "/dev/%s in the container", name);
	return mount_attach(mount_fd, target, name, err);
}

int init_pts_mount(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;
	struct mount_option options[] = { { "ptmxmode", "0666" }, { "mode", "0620" }, { "gid", "5" }, { NULL, NULL } };
	_cleanup_close_ int mount = FD_NONE;
	uint32_t outside;

	/* Group 5 is tty everywhere; devpts answers EINVAL to an id that the map does not have. */
	if (!idmap_to_outside(&plan->gids, 5, &outside)) {
		options[2] = (struct mount_option){ NULL, NULL };
		launch_note(launch, "without gid=5: not in the map");
	}
	int r = mount_new_fs("devpts", "devpts", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, &mount, err);
	if (r == 0)
		r = attach_in_dev(launch, "pts", mount, err);
	if (r < 0)
		return r;
	launch->pts_fd = openat(mount, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (launch->pts_fd < 0)
		return err_system(err, "/dev/pts in the container");
	return 0;
}

#define MQUEUE_MAGIC 0x19800202 /* ipc/mqueue.c; not in magic.h */

static bool host_has(const char *path, unsigned long magic)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (unsigned long)fs.f_type == magic;
}

int init_shm_mount(struct launch *launch, struct err *err)
{
	const struct mount_option options[] = { { "mode", "1777" },
						{ "size", launch->plan->shm_size },
						{ NULL, NULL } };
	_cleanup_close_ int mount = FD_NONE;
	int r;

	/* shm_open(3) is a convention of the C library about this directory: sharing memory with the host takes the host's. */
	if (launch->plan->ns[NS_IPC].use == NS_HOST && host_has("/dev/shm", TMPFS_MAGIC))
		r = bind_of_host(launch, "/dev/shm", 0, &mount, err);
	else
		r = mount_new_fs("tmpfs", "shm", options, ATTR_NO_TRICKS, &mount, err);
	return r < 0 ? r : attach_in_dev(launch, "shm", mount, err);
}

int init_mqueue_mount(struct launch *launch, struct err *err)
{
	_cleanup_close_ int mount = FD_NONE;

	/* mq_open(2) needs no mount; there is just no list of the queues then. */
	if (plan_ns_view(launch->plan, NS_IPC) == NS_VIEW_BOUND && !host_has("/dev/mqueue", MQUEUE_MAGIC)) {
		launch_note(launch, "the host has no /dev/mqueue");
		return 0;
	}
	const int r = open_view(launch, NS_IPC, "mqueue", "/dev/mqueue", 0, &mount, err);
	return r < 0 ? r : attach_in_dev(launch, "mqueue", mount, err);
}

/* Where paths are resolved from. A bundle's are anywhere in the container, after its mounts. */
struct bases {
	struct root_base base[4];
};

static struct bases bases_of(const struct launch *launch)
{
	struct bases bases = { { { NULL, FD_NONE } } };
	size_t n = 0;

	if (launch->proc_fd >= 0)
		bases.base[n++] = (struct root_base){ "/proc", launch->proc_fd };
	if (launch->sys_fd >= 0)
		bases.base[n++] = (struct root_base){ "/sys", launch->sys_fd };
	if (plan_is_bundle(launch->plan))
		bases.base[n++] = (struct root_base){ "", launch->root_fd };
	bases.base[n] = (struct root_base){ NULL, FD_NONE };
	return bases;
}

int init_paths_readonly(struct launch *launch, struct err *err)
{
	const struct bases bases = bases_of(launch);

	return root_readonly_paths(bases.base, launch->plan->readonly_paths, err);
}

int init_paths_mask(struct launch *launch, struct err *err)
{
	const char *context = launch->plan->labels.mount;
	const struct bases bases = bases_of(launch);
	_cleanup_close_ int null = FD_NONE;
	struct err why = ERR_INIT;

	int r = dev_find_node(&dev_default_nodes[0], &null, err);
	if (r == 0 && root_mask_paths(bases.base, launch->plan->masked_paths, false, null, context, &why) < 0)
		r = context ? mount_say_why(launch, "linux.maskedPaths", &why, err)
			    : err_set(err, why.kind, why.id, why.errnum, "%s", why.message);
	/* What the caller named is looked for in the whole container, volumes and rootfs, after everything is mounted. */
	const struct root_base whole[] = { bases.base[0], bases.base[1], { "", launch->root_fd }, { NULL, FD_NONE } };
	if (r == 0 && launch->plan->asked_masks)
		r = root_mask_paths(whole, launch->plan->asked_masks, true, null, context, err);
	return r;
}

int init_console_bind(struct launch *launch, struct err *err)
{
	_cleanup_close_ int mount = FD_NONE;

	const int r = mount_clone_tree(launch->pty_peer, "", false, &mount, err);
	if (r < 0)
		return r;
	if (plan_is_bundle(launch->plan)) {
		_cleanup_close_ int there = FD_NONE;
		int found = root_mount_point(launch->root_fd, "/dev/console", ROOT_FILE, 0600, &there, err);

		if (found == 0)
			found = place_refuse_procfs(there, "/dev/console", err);
		return found < 0 ? found : mount_attach(mount, there, "/dev/console", err);
	}
	_cleanup_close_ int target =
		openat(launch->dev_fd, "console", O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (target < 0)
		return err_system(err, "/dev/console in the container");
	return mount_attach(mount, target, "/dev/console", err);
}

int init_root_pivot(struct launch *launch, struct err *err)
{
	if (!wants_root_detach(launch->plan)) {
		launch_note(launch, "--no-pivot: chroot(2)");
		return root_enter(launch->root_fd, err);
	}
	const int r = root_pivot(launch->root_fd, err);

	launch->root_stacked &= r < 0;
	return r;
}

int init_root_detach(struct launch *launch, struct err *err)
{
	(void)launch;
	return root_detach_old(err);
}
