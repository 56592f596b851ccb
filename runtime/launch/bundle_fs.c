/* SPDX-License-Identifier: Apache-2.0 */
/* New file systems among a bundle's mounts: what they are told, and what is copied into them. */
#include <nsrun/launch/bundle_mounts.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/copy_tree.h>
#include <nsrun/kernel/lsm.h>
#include <nsrun/kernel/mount.h>
#include <nsrun/kernel/mount_data.h>
#include <nsrun/kernel/probe.h>
#include <nsrun/kernel/root.h>

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

bool mount_is_readonly_later(const struct bundle_mount *mount)
{
	return (mount->attr_set & MOUNT_ATTR_RDONLY) && !mount->bind &&
	       (streq(mount->destination, "/dev") || (mount->type && streq(mount->type, "tmpfs")));
}

uint64_t mount_attr_now(const struct bundle_mount *mount)
{
	return mount_is_readonly_later(mount) ? mount->attr_set & ~(uint64_t)MOUNT_ATTR_RDONLY : mount->attr_set;
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

/*
 * SELinux' label for what cannot keep one in the files themselves, or would take nsrun's own. What has one superblock for all its mounts has its label
 * already: another would be refused (selinux_cmp_sb_context). Words of the mount's own win.
 */
static bool takes_context(const struct bundle_mount *mount)
{
	static const char *const types[] = { "proc", "sysfs", "mqueue", "cgroup", "cgroup2" };
	static const char *const said[] = { "context=", "fscontext=", "defcontext=", "rootcontext=" };
	const char *rest = mount->data ? mount->data : "";
	char option[DATA_MAX / 2];

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (streq(mount->type, types[i]))
			return false;
	while (mount_data_next(&rest, option, sizeof(option)) > 0)
		for (size_t i = 0; i < ARRAY_LEN(said); i++)
			if (str_after(option, said[i]))
				return false;
	return true;
}

/*
 * The root of a namespace's queues is made with the namespace, and is of the user who called clone(2). A user namespace that was made with it does not
 * have that id, and only its owner labels a file (selinux_inode_setxattr): nothing is in the IPC namespace yet, so another is taken.
 */
static int own_queues(const struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;

	if (plan->ns[NS_IPC].use != NS_NEW || plan->ns[NS_USER].use != NS_NEW || unshare(CLONE_NEWIPC) == 0)
		return 0;
	return err_system(err, "linux.mountLabel: mqueue: a new IPC namespace");
}

static int label_queues(const char *label, int mount_fd, const char *where, struct err *err)
{
	_cleanup_close_ int dir = openat(mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err why = ERR_INIT;

	if (dir < 0)
		return err_system(err, "%s: mqueue", where);
	if (lsm_label_file(dir, label, "mqueue", &why) == 0)
		return 0;
	return err_set(err, why.kind, why.id, why.errnum, "linux.mountLabel: %s: %s: mqueue", label, where);
}

int mount_say_why(const struct launch *launch, const char *where, const struct err *why, struct err *err)
{
	const char *label = launch->plan->labels.mount;

	if (label && strstr(why->message, label))
		return err_set(err, why->kind, ERR_ID_SELINUX_CONTEXT, why->errnum, "linux.mountLabel: %s: %s: %s",
			       label, where, why->message);
	return err_set(err, why->kind, why->id, why->errnum, "%s: %s", where, why->message);
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
	if (label && takes_context(mount) &&
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
		.attr = mount_attr_now(mount),
	};

	if ((mount->attr_set & MOUNT_ATTR_RDONLY) && !shares_superblock(mount->type))
		fs.flags |= MS_RDONLY;
	return fs;
}

/* What mount(2) has just put on `target`, which has no descriptor yet. */
int mount_find_there(const struct launch *launch, const struct bundle_mount *mount, int *ret_fd, struct err *err)
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

int mount_new_at(struct launch *launch, const struct bundle_mount *mount, const struct place *place, int *ret_fd,
		 struct err *err)
{
	_cleanup_close_ int fd = FD_NONE;
	char data[DATA_MAX];
	struct err why = ERR_INIT;

	const char *label = launch->plan->labels.mount;
	const bool queues = label && streq(mount->type, "mqueue");
	int r = make_data(launch, mount, place, data, sizeof(data), err);
	if (r == 0 && queues)
		r = own_queues(launch, err);
	if (r < 0)
		return r;
	const struct mount_fs fs = fs_of(mount, data);
	if (mount_fs_needs_old_call(&fs)) {
		r = mount_fs_at(&fs, place->fd, mount->where, err);
		if (r == 0)
			r = mount_find_there(launch, mount, &fd, err);
	} else {
		r = mount_new_fs_of(&fs, &fd, &why);
		if (r == -EPERM && streq(fs.type, "proc") && probe_proc_overmounted())
			why.id = ERR_ID_PROC_OVERMOUNTED;
		if (r < 0)
			r = mount_say_why(launch, mount->where, &why, err);
		else
			r = mount_attach(fd, place->fd, mount->where, err);
	}
	if (r == 0 && queues)
		r = label_queues(label, fd, mount->where, err);
	if (r == 0 && mount->copy_up)
		r = copy_tree(place->fd, fd, mount->where, err);
	if (r == 0)
		*ret_fd = TAKE_FD(fd);
	return r;
}
