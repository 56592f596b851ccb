/* SPDX-License-Identifier: Apache-2.0 */
/* Can limits be applied here? */
#include <nsrun/kernel/cgroup_resources.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX (64 * 1024)

/* The line of /proc/cgroups: the number of its v1 hierarchy and whether it is switched on. False: it is not built in (or, since 6.11, has no v1 side). */
static bool kernel_has(const char *name, unsigned *ret_hierarchy, unsigned *ret_enabled)
{
	_cleanup_free_ char *text = NULL;
	char *save = NULL, found[32];
	unsigned groups;

	if (file_read_virtual_at(AT_FDCWD, "/proc/cgroups", FILE_MAX, &text, NULL, NULL) < 0)
		return false;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (sscanf(line, "%31s %u %u %u", found, ret_hierarchy, &groups, ret_enabled) == 4 &&
		    streq(found, name))
			return true;
	return false;
}

int cgroup_missing_controller(const struct cgroup_host *host, enum cgroup_ctl controller, const char *wanted_by,
			      struct err *err)
{
	const char *name = cgroup_controller_name(controller);
	unsigned hierarchy = 0, enabled = 1;
	const bool known = kernel_has(cgroup_v1_name(controller), &hierarchy, &enabled);
	char why[200];

	if (known && !enabled)
		snprintf(why, sizeof(why),
			 "it is switched off at boot (cgroup_disable=%s, or cgroup_enable=%s is missing)", name, name);
	else if (known && hierarchy)
		snprintf(why, sizeof(why),
			 "a v1 hierarchy holds it that is not mounted here: mount -t cgroup -o %s none DIR",
			 cgroup_v1_name(controller));
	else if (controller >= CGROUP_NET_CLS)
		snprintf(why, sizeof(why), "%s: mount -t cgroup -o %s none DIR",
			 known ? "its v1 hierarchy is not mounted" : "this kernel may be built without it",
			 cgroup_v1_name(controller));
	else if (!host->v2_mount[0])
		snprintf(why, sizeof(why), "no hierarchy that has it is mounted");
	else
		snprintf(why, sizeof(why), "%s/cgroup.controllers does not list it: %s", host->v2_mount,
			 known ? "the groups around this one do not hand it down" : "this kernel is built without it");
	return err_set(err, ERR_REFUSED, ERR_ID_NO_CONTROLLER, EOPNOTSUPP, "%s: no %s controller: %s", wanted_by, name,
		       why);
}

/* The group `parent` or, while it does not exist, the nearest one above it, as a full path. */
static void nearest_existing(const char *mount, const char *parent, char *ret, size_t size)
{
	size_t mount_len = strlen(mount);

	snprintf(ret, size, "%s%s", mount, parent);
	while (strlen(ret) > mount_len && access(ret, F_OK) < 0)
		*strrchr(ret, '/') = '\0';
}

/* The first value that needs this controller, for messages. */
static void wanted_by(const struct cgroup_resources *resources, enum cgroup_ctl controller, char *ret, size_t size)
{
	for (size_t i = 0; i < resources->n; i++) {
		const struct cgroup_resources one = { .values = &resources->values[i], .n = 1 };

		if (cgroup_resources_controllers(&one) & 1U << controller) {
			cgroup_resource_label(one.values, ret, size);
			return;
		}
	}
	snprintf(ret, size, "limit");
}

static int refuse_delegation(const char *path, enum cgroup_ctl controller, const char *label, int error,
			     struct err *err)
{
	const char *name = cgroup_controller_name(controller);
	/* systemd.resource-control(5), Delegate=: of the controllers that limit, these. */
	const bool by_systemd = controller == CGROUP_CPU || controller == CGROUP_CPUSET ||
				controller == CGROUP_MEMORY || controller == CGROUP_IO || controller == CGROUP_PIDS;

	if (error == EROFS)
		return err_set(err, ERR_SYSTEM, ERR_ID_CGROUP_READONLY, error, "%s: %s", path, label);
	return err_set(err, ERR_SYSTEM, ERR_ID_NOT_DELEGATED, error,
		       "%s: %s: the %s controller is not delegated to this user: %s%s", path, label, name,
		       by_systemd ? "Delegate= of user@.service lacks "
				  : "only root has it, systemd does not delegate ",
		       name);
}

/* Is `word` in a file of controller names, which are separated by spaces? */
static bool file_lists(const char *dir, const char *file, const char *word)
{
	_cleanup_free_ char *text = NULL;
	char path[2 * CGROUP_PATH_MAX + 32], *save = NULL;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	if (file_read_virtual_at(AT_FDCWD, path, FILE_MAX, &text, NULL, NULL) < 0)
		return false;
	for (char *w = strtok_r(text, " \n", &save); w; w = strtok_r(NULL, " \n", &save))
		if (streq(w, word))
			return true;
	return false;
}

/* On v2 a group has a controller when its parent's cgroup.subtree_control names it. The nearest group upwards that has it must let us
 * hand it down. */
static int check_v2(const struct cgroup_host *host, const char *parent, enum cgroup_ctl controller, const char *label,
		    struct err *err)
{
	char dir[2 * CGROUP_PATH_MAX], file[2 * CGROUP_PATH_MAX + 32];
	const char *name = cgroup_controller_name(controller);
	size_t mount_len = strlen(host->v2_mount);

	nearest_existing(host->v2_mount, parent, dir, sizeof(dir));
	for (;;) {
		snprintf(file, sizeof(file), "%s/cgroup.subtree_control", dir);
		if (!file_lists(dir, "cgroup.subtree_control", name) &&
		    faccessat(AT_FDCWD, file, W_OK, AT_EACCESS) == 0 && !cgroup_may_hand_down_v2(dir))
			return cgroup_err_busy(dir, label, err);
		if (file_lists(dir, "cgroup.controllers", name))
			break;
		if (strlen(dir) <= mount_len)
			return cgroup_missing_controller(host, controller, label, err);
		*strrchr(dir, '/') = '\0';
	}
	if (file_lists(dir, "cgroup.subtree_control", name))
		return 0;
	if (faccessat(AT_FDCWD, file, W_OK, AT_EACCESS) == 0)
		return 0;
	return refuse_delegation(file, controller, label, errno, err);
}

static int check_controller(const struct cgroup_host *host, const char *parent,
			    const struct cgroup_resources *resources, enum cgroup_ctl c, struct err *err)
{
	char dir[2 * CGROUP_PATH_MAX], label[96];

	wanted_by(resources, c, label, sizeof(label));
	if (!cgroup_on_v1(host, c))
		return check_v2(host, parent, c, label, err);
	nearest_existing(host->v1_mount[c], parent, dir, sizeof(dir));
	if (faccessat(AT_FDCWD, dir, W_OK, AT_EACCESS) == 0)
		return 0;
	return err_set(err, ERR_SYSTEM, errno == EROFS ? ERR_ID_CGROUP_READONLY : ERR_ID_NO_DELEGATION, errno, "%s: %s",
		       dir, label);
}

int cgroup_check_limits(const struct cgroup_host *host, const char *parent, const struct cgroup_resources *resources,
			struct err *err)
{
	_cleanup_free_ struct cgroup_setting *list = NULL;
	const unsigned wanted = cgroup_resources_controllers(resources);
	size_t n;
	int r;

	if (!resources->n)
		return 0;
	list = malloc(CGROUP_SETTINGS_MAX * sizeof(*list));
	if (!list)
		return err_oom(err);
	r = cgroup_settings(host, resources, list, &n, err);
	for (unsigned c = 0; r == 0 && c < CGROUP_CONTROLLER_COUNT; c++)
		if (wanted & 1U << c)
			r = check_controller(host, parent, resources, c, err);
	return r;
}
