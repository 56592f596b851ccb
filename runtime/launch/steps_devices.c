/* SPDX-License-Identifier: Apache-2.0 */
/* Rows about device nodes that the container was given, and about what its control group may open. */
#include <nsrun/launch/steps.h>

#include <nsrun/kernel/mount.h>
#include <nsrun/kernel/root.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

int runtime_devices_filter(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;
	_cleanup_close_ int group = FD_NONE;
	bool made;

	/* At a path that others name may be a group with the filter of a container that has ended: both would count. */
	if (plan->device_filter == DEVICE_FILTER_V2 && plan_is_bundle(plan))
		return devices_replace(launch->cgroup_fd, &plan->device_policy, err);
	if (plan->device_filter == DEVICE_FILTER_V2)
		return devices_attach(launch->cgroup_fd, &plan->device_policy, err);
	launch_note(launch, "devices.deny and devices.allow");
	const int r = cgroup_make_v1(plan->cgroup_host, plan->cgroup_path, CGROUP_DEVICES, &group, &made, err);
	return r < 0 ? r : devices_v1_write(group, &plan->device_policy, err);
}

/* The id of the host that shows inside as the same number as on the host; root's, where the map has no such number. */
static uint32_t owner_outside(const struct idmap *map, uint32_t id, uint32_t root)
{
	uint32_t outside;

	return idmap_to_outside(map, id, &outside) ? outside : root;
}

static mode_t type_bits(const struct plan_device *device)
{
	return device->type == 'b' ? S_IFBLK : S_IFCHR;
}

static const char *node_name(size_t i, char buf[24])
{
	snprintf(buf, 24, "%zu", i);
	return buf;
}

int runtime_devices_make(struct launch *launch, struct err *err)
{
	/* Searched by init, which is not root of the host. */
	static const struct mount_option options[] = { { "mode", "0711" }, { "size", "4k" }, { NULL, NULL } };
	const struct plan *plan = launch->plan;
	_cleanup_close_ int mount = FD_NONE;
	char name[24];

	int r = mount_new_fs("tmpfs", "tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, &mount, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < plan->n_devices; i++) {
		const struct plan_device *device = &plan->devices[i];
		const dev_t number = makedev(device->major, device->minor);

		/* Mode 0 first: the umask has a say in mknod(2), and chown(2) would clear bits of it. */
		if (mknodat(mount, node_name(i, name), type_bits(device), number) < 0 ||
		    fchownat(mount, name, owner_outside(&plan->uids, device->uid, plan->root_uid),
			     owner_outside(&plan->gids, device->gid, plan->root_gid), AT_SYMLINK_NOFOLLOW) < 0 ||
		    fchmodat(mount, name, device->mode & 0777, 0) < 0)
			return err_system(err, "%s: making its node", device->said);
	}
	launch->devices_mount = TAKE_FD(mount);
	return 0;
}

int runtime_devices_drop(struct launch *launch, struct err *err)
{
	(void)err;
	closep(&launch->devices_mount);
	launch->devices_mount = FD_NONE;
	return 0;
}

/* Is it still the node that the plan has? */
static int check_node(const struct plan_device *device, int fd, struct err *err)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_system(err, "%s: %s", device->said, device->path);
	if ((st.st_mode & S_IFMT) != type_bits(device) || st.st_rdev != makedev(device->major, device->minor))
		return err_set(err, ERR_REFUSED, ERR_ID_NONE, ESTALE,
			       "%s: %s was exchanged for another file after it was checked", device->said,
			       device->path);
	return 0;
}

int init_devices_open(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;

	for (size_t i = 0; i < plan->n_devices; i++) {
		const struct plan_device *device = &plan->devices[i];
		_cleanup_close_ int fd = open(device->path, O_PATH | O_NOFOLLOW | O_CLOEXEC), mount = FD_NONE;

		int r = check_node(device, fd, err);
		if (r == 0)
			r = mount_clone_tree(fd, "", false, &mount, err);
		/* A clone of a shared mount is its peer. */
		if (r == 0)
			r = mount_set_attr(mount, "", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, 0, MS_PRIVATE, false,
					   device->said, err);
		if (r < 0)
			return r;
		launch->device_mounts[i] = TAKE_FD(mount);
	}
	return 0;
}

/* A bundle's: one that a mount brought already is that device, or an error (config-linux.md, "Devices"). */
static int place_of_bundle(const struct launch *launch, const struct plan_device *device, int mount, struct err *err)
{
	const struct root_node node = { .mode = type_bits(device), .device = makedev(device->major, device->minor) };
	_cleanup_close_ int there = FD_NONE, target = FD_NONE;

	int r = root_find(launch->root_fd, device->target, &there, err);
	if (r < 0 || (there >= 0 && root_is_node(there, &node)))
		return r;
	if (there >= 0)
		return err_set(err, ERR_INPUT, ERR_ID_NONE, EEXIST, "%s: %.200s in the container is something else",
			       device->said, device->target);
	r = root_mount_point(launch->root_fd, device->target, ROOT_FILE, 0644, &target, err);
	return r < 0 ? r : mount_attach(mount, target, device->target, err);
}

static int place_one(const struct launch *launch, const struct plan_device *device, int mount, struct err *err)
{
	_cleanup_close_ int target = FD_NONE;

	if (plan_is_bundle(launch->plan))
		return place_of_bundle(launch, device, mount, err);

	int r = root_mount_point(launch->root_fd, device->target, ROOT_FILE, 0644, &target, err);
	if (r == 0)
		r = launch_check_place(launch, target, device->target, device->said, err);
	return r < 0 ? r : mount_attach(mount, target, device->target, err);
}

/* A node of the runtime's is bound from its tmpfs, which for that must be attached: a clone of what is detached is EINVAL before Linux 6.15. */
static int place_made(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;
	/* Covers the root for a moment, which is reached by its descriptor. */
	const bool on_root = plan_is_bundle(plan);
	const char *where = on_root ? "/" : "/dev/pts";
	_cleanup_close_ int stage = openat(on_root ? launch->root_fd : launch->dev_fd, on_root ? "." : "pts",
					   O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char name[24];

	if (stage < 0)
		return err_system(err, "%s in the container", where);
	int r = mount_attach(launch->devices_mount, stage, where, err);
	for (size_t i = 0; r == 0 && i < plan->n_devices; i++) {
		_cleanup_close_ int mount = FD_NONE;

		r = mount_clone_tree(launch->devices_mount, node_name(i, name), false, &mount, err);
		if (r == 0)
			r = place_one(launch, &plan->devices[i], mount, err);
	}
	if (r == 0 && (fchdir(launch->devices_mount) < 0 || umount2(".", MNT_DETACH) < 0))
		return err_system(err, "%s in the container: taking the nodes' own file system off it", where);
	/* No directory of it stays open in a process of the container. */
	closep(&launch->devices_mount);
	launch->devices_mount = FD_NONE;
	return r;
}

int init_devices_place(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;
	int r = 0;

	if (plan->performer[WORK_DEVICES] == BY_RUNTIME)
		return place_made(launch, err);
	for (size_t i = 0; r == 0 && i < plan->n_devices; i++)
		r = place_one(launch, &plan->devices[i], launch->device_mounts[i], err);
	return r;
}
