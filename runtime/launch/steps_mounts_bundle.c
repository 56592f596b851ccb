/* SPDX-License-Identifier: Apache-2.0 */
/* The rows mounts.all and root.readonly: `mounts` of config.json, in its order. */
#include <nsrun/launch/steps.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/mount.h>
#include <nsrun/kernel/mount_data.h>
#include <nsrun/kernel/root.h>
#include <nsrun/launch/bundle_mounts.h>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>

static const struct {
	const char *type;
	enum ns_kind kind;
	const char *path;
} views[] = {
	{ "proc", NS_PID, "/proc" },
	{ "sysfs", NS_NET, "/sys" },
	{ "mqueue", NS_IPC, "/dev/mqueue" },
	{ "cgroup2", NS_CGROUP, "/sys/fs/cgroup" },
};

static int open_source(struct launch *launch, const struct bundle_mount *mount, int *ret_fd, struct err *err)
{
	struct err refused = ERR_INIT;
	const int fd = launch->source_mounts[mount->source_index];

	int r = mount_set_attr(fd, "", mount->attr_set, mount->attr_clear, 0, false, mount->where, &refused);
	/* What the host has locked (mount_namespaces(7)) stays: "rw" and its like ask for no protection, so there is none that is missing. */
	if (r == -EPERM && mount->attr_clear) {
		launch_note(launch, "%s: less than was asked for, the kernel has locked it", mount->where);
		r = mount_set_attr(fd, "", mount->attr_set, mount->attr_set & MOUNT_ATTR__ATIME ? MOUNT_ATTR__ATIME : 0,
				   0, false, mount->where, err);
	} else if (r < 0) {
		*err = refused;
	}
	if (r == 0) {
		*ret_fd = fd;
		launch->source_mounts[mount->source_index] = FD_NONE;
	}
	return r;
}

/* What shows a namespace that init may not mount: one that was made outside, or the host's own with all that is mounted below it (steps_files.c). */
static int open_view(struct launch *launch, enum ns_kind kind, const char *path, const struct bundle_mount *mount,
		     int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = FD_NONE;
	int r = 0;

	if (plan_ns_view(launch->plan, kind) == NS_VIEW_BOUND || launch->provided[kind] < 0)
		r = mount_clone_tree(AT_FDCWD, path, true, &fd, err);
	else
		fd = TAKE_FD(launch->provided[kind]);
	if (r == 0 && plan_ns_view(launch->plan, kind) == NS_VIEW_BOUND)
		launch_note(launch, "%s of the host", path);
	if (r == 0)
		r = mount_set_attr(fd, "", mount_attr_now(mount), mount->attr_clear & MOUNT_ATTR__ATIME, MS_PRIVATE,
				   false, mount->where, err);
	if (r == 0)
		*ret_fd = TAKE_FD(fd);
	return r;
}

static int attach(struct launch *launch, const struct bundle_mount *mount, const struct place *place, int *ret_fd,
		  struct err *err)
{
	const char *type = mount->type ? mount->type : ""; /* binds need none */
	_cleanup_close_ int fd = FD_NONE;
	size_t view = 0;
	int r;

	if (streq(type, "cgroup"))
		return mount_cgroup_at(launch, mount, place->fd, ret_fd, err);
	while (!mount->bind && view < ARRAY_LEN(views) && !streq(type, views[view].type))
		view++;
	if (mount->bind)
		r = open_source(launch, mount, &fd, err);
	else if (view < ARRAY_LEN(views) && plan_ns_view(launch->plan, views[view].kind) != NS_VIEW_MOUNTED)
		r = open_view(launch, views[view].kind, views[view].path, mount, &fd, err);
	else
		return mount_new_at(launch, mount, place, ret_fd, err);
	if (r == 0)
		r = mount_attach(fd, place->fd, mount->where, err);
	if (r == 0)
		*ret_fd = TAKE_FD(fd);
	return r;
}

/* "remount": of what is mounted there already. */
static int change(const struct launch *launch, const struct bundle_mount *mount, int *ret_fd, struct err *err)
{
	const struct mount_fs fs = { .data = mount->data, .flags = mount->superblock_flags };
	_cleanup_close_ int fd = FD_NONE;

	int r = mount_find_there(launch, mount, &fd, err);
	if (r == 0)
		r = mount_set_attr(fd, "", mount_attr_now(mount), mount->attr_clear, 0, false, mount->where, err);
	if (r == 0 && !mount->bind && (fs.data || fs.flags))
		r = mount_fs_change(&fs, fd, mount->where, err);
	if (r == 0)
		*ret_fd = TAKE_FD(fd);
	return r;
}

/* ---- after it is attached ---- */

static int set_rest(const struct bundle_mount *mount, int fd, struct err *err)
{
	const uint64_t all = mount->propagation & MS_REC, how = mount->propagation & ~(uint64_t)MS_REC;
	int r = 0;

	if (mount->attr_set_below || mount->attr_clear_below)
		r = mount_set_attr(fd, "", mount->attr_set_below, mount->attr_clear_below, 0, true, mount->where, err);
	if (r == 0 && how == (MS_SLAVE | MS_SHARED))
		r = mount_set_attr(fd, "", 0, 0, MS_SLAVE, all, mount->where, err);
	if (r == 0 && how)
		r = mount_set_attr(fd, "", 0, 0, how & MS_SHARED ? MS_SHARED : how, all, mount->where, err);
	return r;
}

/* Roots that later rows work from: what was mounted last at that place. */
static int keep_root(struct launch *launch, const struct bundle_mount *mount, int fd, struct err *err)
{
	const struct {
		const char *path;
		unsigned long magic; /* 0: any */
		int *fd;
	} kept[] = {
		{ "/proc", PROC_SUPER_MAGIC, &launch->proc_fd },
		{ "/sys", SYSFS_MAGIC, &launch->sys_fd },
		{ "/dev/pts", DEVPTS_SUPER_MAGIC, &launch->pts_fd },
	};

	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		if (!streq(mount->destination, kept[i].path))
			continue;
		closep(kept[i].fd);
		*kept[i].fd = FD_NONE;
		if (!is_of(fd, kept[i].magic))
			return 0;
		*kept[i].fd = openat(fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
		return *kept[i].fd < 0 ? err_system(err, "%s", mount->where) : 0;
	}
	return 0;
}

static int mount_one(struct launch *launch, const struct bundle_mount *mount, struct err *err)
{
	_cleanup_(place_done) struct place place = PLACE_NONE;
	_cleanup_close_ int fd = FD_NONE;
	int r;

	if (mount->remount) {
		r = change(launch, mount, &fd, err);
	} else {
		r = place_find(launch, mount, &place, err);
		if (r == 0)
			r = attach(launch, mount, &place, &fd, err);
	}
	if (r == 0)
		r = set_rest(mount, fd, err);
	if (r == 0)
		r = keep_root(launch, mount, fd, err);
	if (r == 0 && mount_is_readonly_later(mount))
		launch->late_mounts[launch->n_late_mounts++] = TAKE_FD(fd);
	return r;
}

/* Where a bind mount or the rootfs itself brought them. */
static int find_roots(struct launch *launch, struct err *err)
{
	_cleanup_close_ int pts = FD_NONE;

	int r = root_find(launch->root_fd, "/dev", &launch->dev_fd, err);
	if (r == 0 && launch->pts_fd < 0)
		r = root_find(launch->root_fd, "/dev/pts", &pts, err);
	if (pts >= 0 && is_of(pts, DEVPTS_SUPER_MAGIC))
		launch->pts_fd = TAKE_FD(pts);
	/* For what is written through it, where config.json shows none to the workload. */
	if (r == 0 && launch->proc_fd < 0 && launch->plan->n_sysctls)
		r = mount_new_fs("proc", "proc", NULL, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
				 &launch->proc_fd, err);
	return r;
}

int init_mounts_all(struct launch *launch, struct err *err)
{
	const struct plan_bundle *bundle = launch->plan->bundle;
	size_t late = 0;
	int r = 0;

	for (size_t i = 0; i < bundle->n_mounts; i++)
		late += mount_is_readonly_later(&bundle->mounts[i]);
	launch->late_mounts = calloc(late + 1, sizeof(int));
	if (!launch->late_mounts)
		return err_oom(err);
	for (size_t i = 0; r == 0 && i < bundle->n_mounts; i++)
		r = mount_one(launch, &bundle->mounts[i], err);
	return r == 0 ? find_roots(launch, err) : r;
}

int init_root_readonly(struct launch *launch, struct err *err)
{
	const struct plan_bundle *bundle = launch->plan->bundle;
	const uint64_t propagation = bundle->rootfs_propagation & ~(uint64_t)MS_REC;
	int r = 0;

	for (size_t i = 0; r == 0 && i < launch->n_late_mounts; i++) {
		r = mount_set_attr(launch->late_mounts[i], "", MOUNT_ATTR_RDONLY, 0, 0, false,
				   "a file system of the container that is to be read-only", err);
		closep(&launch->late_mounts[i]);
		launch->late_mounts[i] = FD_NONE;
	}
	launch->n_late_mounts = 0;
	if (r == 0 && propagation)
		r = mount_set_attr(launch->root_fd, "", 0, 0, propagation, bundle->rootfs_propagation & MS_REC,
				   "linux.rootfsPropagation", err);
	if (r == 0 && bundle->root_readonly)
		r = mount_set_attr(launch->root_fd, "", MOUNT_ATTR_RDONLY, 0, 0, false, "root.readonly", err);
	return r;
}
