/* SPDX-License-Identifier: Apache-2.0 */
/* The rows mounts.all and root.readonly: `mounts` of config.json, in its order. */
#include <nsrun/launch/steps.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/copy_tree.h>
#include <nsrun/kernel/mount.h>
#include <nsrun/kernel/mount_data.h>
#include <nsrun/kernel/probe.h>
#include <nsrun/kernel/root.h>

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

static bool is_of(int fd, unsigned long magic)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && (unsigned long)fs.f_type == magic;
}

/* ---- where ---- */

static const char *below_proc(const char *path)
{
	const char *rest = str_after(path, "/proc");

	return rest && *rest == '/' ? rest : NULL;
}

/* Files of procfs that stand for the machine's own figures, which others may be put in the place of (lxcfs does). A mount anywhere else below /proc
 * could lead a runtime or a program astray that writes there (CVE-2019-16884, CVE-2025-52881). */
static bool may_cover(const char *path)
{
	static const char *const allowed[] = {
		"/proc/cpuinfo",
		"/proc/diskstats",
		"/proc/loadavg",
		"/proc/meminfo",
		"/proc/net/dev",
		"/proc/slabinfo",
		"/proc/stat",
		"/proc/swaps",
		"/proc/sys/crypto/fips_enabled",
		"/proc/sys/kernel/ns_last_pid",
		"/proc/uptime",
	};

	for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
		if (streq(path, allowed[i]))
			return true;
	return false;
}

static int check_place(const struct launch *launch, const struct bundle_mount *mount, int target, struct err *err)
{
	const char *path = mount->destination;

	const bool hides = mount->type && streq(mount->type, "tmpfs");

	if (below_proc(path) && !hides && !may_cover(path))
		return err_set(err, ERR_INPUT, ERR_ID_NONE, 0,
			       "%s: %.200s cannot be mounted because it is inside /proc", mount->where, path);
	/* What a link of the rootfs, or of a volume that others write to, led to (CVE-2021-30465, CVE-2023-27561). */
	if (is_of(target, PROC_SUPER_MAGIC) && !below_proc(path) && !streq(path, "/proc"))
		return err_refused(err, ERR_ID_NONE, "%s: %.200s leads into a procfs", mount->where, path);
	if (below_proc(path) && launch->proc_fd >= 0 && !is_of(target, PROC_SUPER_MAGIC))
		return err_refused(err, ERR_ID_NONE, "%s: %.200s does not lead into the container's procfs",
				   mount->where, path);
	return 0;
}

struct place {
	int fd;	      /* O_PATH */
	bool existed; /* before it was made as a mount point */
};

static void place_done(struct place *place)
{
	closep(&place->fd);
}

static int find_place(const struct launch *launch, const struct bundle_mount *mount, bool directory, struct place *ret,
		      struct err *err)
{
	_cleanup_close_ int target = FD_NONE;
	struct err why = ERR_INIT;

	int r = root_find(launch->root_fd, mount->destination, &target, &why);
	const bool existed = target >= 0;
	closep(&target);
	target = FD_NONE;
	if (r == 0)
		r = root_mount_point(launch->root_fd, mount->destination, directory ? ROOT_DIRECTORY : ROOT_FILE,
				     directory ? 0755 : 0644, &target, &why);
	if (r < 0)
		return err_set(err, why.kind, why.id, why.errnum, "%s: %s", mount->where, why.message);
	r = check_place(launch, mount, target, err);
	if (r < 0)
		return r;
	*ret = (struct place){ .fd = TAKE_FD(target), .existed = existed };
	return 0;
}

/* ---- what ---- */

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

/* Files are made on it until the last of the mounts, and by hooks: read-only comes at the end (root.readonly). */
static bool readonly_later(const struct bundle_mount *mount)
{
	return (mount->attr_set & MOUNT_ATTR_RDONLY) && !mount->bind &&
	       (streq(mount->destination, "/dev") || (mount->type && streq(mount->type, "tmpfs")));
}

static uint64_t attr_now(const struct bundle_mount *mount)
{
	return readonly_later(mount) ? mount->attr_set & ~(uint64_t)MOUNT_ATTR_RDONLY : mount->attr_set;
}

/* The file systems that have one superblock for all their mounts of a namespace: read-only is of the mount alone. */
static bool shares_superblock(const char *type)
{
	static const char *const types[] = { "proc", "sysfs", "mqueue", "cgroup", "cgroup2", "tmpfs", "devpts" };

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (streq(type, types[i]))
			return true;
	return false;
}

/* What the file system is told: the words of config.json, and before them, so that those win, what follows from the place and the plan. */
#define DATA_MAX 8192

/* A tmpfs looks as the directory that it covers: /tmp stays writable for all. */
static void put_mode(const struct bundle_mount *mount, const struct place *place, char *data, size_t size)
{
	struct stat st;

	if (streq(mount->type, "tmpfs") && place->existed && fstat(place->fd, &st) == 0)
		snprintf(data, size, "mode=%o,", (unsigned)st.st_mode & 07777);
}

static bool is_unmapped(const struct plan *plan, const char *option)
{
	const char *uid = str_after(option, "uid="), *gid = str_after(option, "gid=");
	uint32_t id, outside;

	return (uid && parse_u32(uid, &id) == 0 && !idmap_to_outside(&plan->uids, id, &outside)) ||
	       (gid && parse_u32(gid, &id) == 0 && !idmap_to_outside(&plan->gids, id, &outside));
}

static int make_data(struct launch *launch, const struct bundle_mount *mount, const struct place *place, char *data,
		     size_t size, struct err *err)
{
	const char *rest = mount->data ? mount->data : "", *start, *label = launch->plan->labels.mount;
	char option[DATA_MAX / 2];
	size_t used;

	data[0] = '\0';
	put_mode(mount, place, data, size);
	used = strlen(data);
	while ((start = rest + strspn(rest, ",")), mount_data_next(&rest, option, sizeof(option)) > 0) {
		/* Engines say gid=5 to everybody; devpts answers EINVAL to an id that the map does not have. */
		if (streq(mount->type, "devpts") && is_unmapped(launch->plan, option)) {
			launch_note(launch, "devpts without %s: not in the map", option);
			continue;
		}
		const size_t n = (size_t)(rest - start); /* with its quotes */
		if (used + n + 2 > size)
			return err_set(err, ERR_INPUT, ERR_ID_NONE, E2BIG, "%s: options", mount->where);
		memcpy(data + used, start, n);
		used += n;
		data[used++] = ',';
		data[used] = '\0';
	}
	/* SELinux' label for what it cannot keep in the files themselves. */
	if (label && *label && (streq(mount->type, "tmpfs") || streq(mount->type, "devpts")) &&
	    (size_t)snprintf(data + used, size - used, "context=\"%s\"", label) >= size - used)
		return err_set(err, ERR_INPUT, ERR_ID_NONE, E2BIG, "%s: options", mount->where);
	return 0;
}

static struct mount_fs fs_of(const struct bundle_mount *mount, const char *data)
{
	struct mount_fs fs = {
		.type = mount->type,
		.source = mount->source && *mount->source ? mount->source : mount->type,
		.data = data,
		.flags = mount->superblock_flags,
		.attr = attr_now(mount),
	};

	if ((mount->attr_set & MOUNT_ATTR_RDONLY) && !shares_superblock(mount->type))
		fs.flags |= MS_RDONLY;
	return fs;
}

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

/* What mount(2) has just put on `target`, which has no descriptor yet. */
static int find_mounted(const struct launch *launch, const struct bundle_mount *mount, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = FD_NONE;
	struct statx stx;

	const int r = root_find(launch->root_fd, mount->destination, &fd, err);
	if (r < 0)
		return r;
	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx) < 0 ||
	    !(stx.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return err_set(err, ERR_REFUSED, ERR_ID_NONE, ESTALE, "%s: %.200s: nothing is mounted there",
			       mount->where, mount->destination);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int mount_fs_on(struct launch *launch, const struct bundle_mount *mount, const struct place *place, int *ret_fd,
		       struct err *err)
{
	_cleanup_close_ int fd = FD_NONE;
	char data[DATA_MAX];
	struct err why = ERR_INIT;

	int r = make_data(launch, mount, place, data, sizeof(data), err);
	if (r < 0)
		return r;
	const struct mount_fs fs = fs_of(mount, data);
	if (mount_fs_needs_old_call(&fs)) {
		r = mount_fs_at(&fs, place->fd, mount->where, err);
		if (r == 0)
			r = find_mounted(launch, mount, &fd, err);
	} else {
		r = mount_new_fs_of(&fs, &fd, &why);
		if (r == -EPERM && streq(fs.type, "proc") && probe_proc_overmounted())
			why.id = ERR_ID_PROC_OVERMOUNTED;
		if (r < 0)
			err_set(err, why.kind, why.id, why.errnum, "%s: %s", mount->where, why.message);
		else
			r = mount_attach(fd, place->fd, mount->where, err);
	}
	if (r == 0 && mount->copy_up)
		r = copy_tree(place->fd, fd, mount->where, err);
	if (r == 0)
		*ret_fd = TAKE_FD(fd);
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
		r = mount_set_attr(fd, "", attr_now(mount), mount->attr_clear & MOUNT_ATTR__ATIME, MS_PRIVATE, false,
				   mount->where, err);
	if (r == 0)
		*ret_fd = TAKE_FD(fd);
	return r;
}

static int attach(struct launch *launch, const struct bundle_mount *mount, const struct place *place, int *ret_fd,
		  struct err *err)
{
	_cleanup_close_ int fd = FD_NONE;
	size_t view = 0;
	int r;

	if (mount->type && streq(mount->type, "cgroup"))
		return launch_mount_cgroup(launch, mount, place->fd, ret_fd, err);
	while (!mount->bind && view < ARRAY_LEN(views) && !streq(mount->type, views[view].type))
		view++;
	if (mount->bind)
		r = open_source(launch, mount, &fd, err);
	else if (view < ARRAY_LEN(views) && plan_ns_view(launch->plan, views[view].kind) != NS_VIEW_MOUNTED)
		r = open_view(launch, views[view].kind, views[view].path, mount, &fd, err);
	else
		return mount_fs_on(launch, mount, place, ret_fd, err);
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

	int r = find_mounted(launch, mount, &fd, err);
	if (r == 0)
		r = mount_set_attr(fd, "", attr_now(mount), mount->attr_clear, 0, false, mount->where, err);
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
	_cleanup_(place_done) struct place place = { .fd = FD_NONE };
	_cleanup_close_ int fd = FD_NONE;
	int r;

	if (mount->remount) {
		r = change(launch, mount, &fd, err);
	} else {
		r = find_place(launch, mount, !mount->bind || mount->is_directory, &place, err);
		if (r == 0)
			r = attach(launch, mount, &place, &fd, err);
	}
	if (r == 0)
		r = set_rest(mount, fd, err);
	if (r == 0)
		r = keep_root(launch, mount, fd, err);
	if (r == 0 && readonly_later(mount))
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
		late += readonly_later(&bundle->mounts[i]);
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
