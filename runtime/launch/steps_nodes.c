/* SPDX-License-Identifier: Apache-2.0 */
/* The row nodes.make: device nodes and links of a bundle's /dev. */
#include <nsrun/launch/steps.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/dev.h>
#include <nsrun/kernel/mount.h>
#include <nsrun/kernel/root.h>
#include <nsrun/launch/bundle_mounts.h>

#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* The host's own in its place, since nobody in a user namespace makes one. */
static int bind_default(struct launch *launch, const struct dev_node *node, const char *path, struct err *err)
{
	_cleanup_close_ int mount = FD_NONE, target = FD_NONE;

	int r = dev_open_node(node, &mount, err);
	if (r == 0)
		r = root_mount_point(launch->root_fd, path, ROOT_FILE, 0666, &target, err);
	if (r == 0)
		r = place_refuse_procfs(target, path, err);
	return r < 0 ? r : mount_attach(mount, target, path, err);
}

static int make_default(struct launch *launch, const struct dev_node *default_node, struct err *err)
{
	const struct root_node node = { .mode = S_IFCHR | 0666,
					.device = makedev(default_node->major, default_node->minor) };
	_cleanup_close_ int there = FD_NONE;
	char path[32];
	bool found;

	snprintf(path, sizeof(path), "/dev/%s", default_node->name);
	int r = root_find(launch->root_fd, path, &there, err);
	if (r < 0 || (there >= 0 && root_is_node(there, &node)))
		return r;
	r = plan_has_userns(launch->plan) ? -EPERM : root_make_node(launch->root_fd, path, &node, &found, err);
	/* Whatever else the rootfs has there, an empty file as a rule: the specification wants the device. */
	return r < 0 && !err_is_set(err) ? bind_default(launch, default_node, path, err) : r;
}

static int make_one(struct launch *launch, const struct bundle_device *device, struct err *err)
{
	const struct root_node node = {
		.mode = device->mode | (device->type == 'b'   ? S_IFBLK
					: device->type == 'p' ? S_IFIFO
							      : S_IFCHR),
		.device = device->type == 'p' ? 0 : makedev(device->major, device->minor),
		.uid = device->uid,
		.gid = device->gid,
	};
	bool found = false;

	const int r = root_make_node(launch->root_fd, device->path, &node, &found, err);
	if (r == -EEXIST && !err_is_set(err))
		return err_set(err, ERR_INPUT, ERR_ID_NONE, EEXIST, "%s: %.200s in the container is something else",
			       device->where, device->path);
	if (r < 0 && !err_is_set(err))
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "%s: %.200s in the container: making it",
			       device->where, device->path);
	return r;
}

/* A bind mount over all of /dev says what is in it. */
static bool dev_is_bound(const struct plan_bundle *bundle)
{
	bool bound = false;

	for (size_t i = 0; i < bundle->n_mounts; i++)
		if (streq(bundle->mounts[i].destination, "/dev"))
			bound = bundle->mounts[i].bind;
	return bound;
}

static int make_links(struct launch *launch, struct err *err)
{
	static const struct {
		const char *name, *target;
	} links[] = {
		{ "fd", "/proc/self/fd" },	 { "stdin", "/proc/self/fd/0" }, { "stdout", "/proc/self/fd/1" },
		{ "stderr", "/proc/self/fd/2" }, { "ptmx", "pts/ptmx" },
	};
	_cleanup_close_ int dev = FD_NONE;

	int r = root_mount_point(launch->root_fd, "/dev", ROOT_DIRECTORY, 0755, &dev, err);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(links); i++)
		r = root_make_link(dev, links[i].name, links[i].target, err);
	return r;
}

int init_nodes_make(struct launch *launch, struct err *err)
{
	const struct plan_bundle *bundle = launch->plan->bundle;
	int r = 0;

	if (dev_is_bound(bundle)) {
		launch_note(launch, "/dev is a bind mount: nothing is made in it");
		return 0;
	}
	for (const struct dev_node *node = dev_default_nodes; r == 0 && node->name; node++)
		r = make_default(launch, node, err);
	/* Before the devices: /dev/ptmx is the container's own, whatever linux.devices has of the host's. */
	if (r == 0)
		r = make_links(launch, err);
	for (size_t i = 0; r == 0 && i < bundle->n_devices; i++)
		r = make_one(launch, &bundle->devices[i], err);
	return r;
}
