/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a container whose control group is a scope of systemd's: --cgroup-manager. */
#include <nsrun/launch/steps.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/kernel/systemd.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The kill is done at once; what takes longer is a systemd that is busy. */
#define SCOPE_REMOVED_MS 2000
#define SCOPE_DESTROY_MS 10000
#define PROCS_MAX ((size_t)64 << 20)

static int scope_properties(const struct plan *plan, struct systemd_properties *ret, struct err *err)
{
	_cleanup_free_ struct cgroup_setting *settings = calloc(CGROUP_SETTINGS_MAX, sizeof(*settings));
	size_t n = 0;

	if (!settings)
		return err_oom(err);
	int r = cgroup_settings(plan->cgroup_host, &plan->resources, settings, &n, err);
	return r < 0 ? r : systemd_properties(settings, n, ret, err);
}

/* systemd and the kernel agree: the process is where the limits will be. */
static int check_placed(const struct launch *launch, const char *group, struct err *err)
{
	_cleanup_free_ char *procs = NULL;
	const struct plan *plan = launch->plan;
	char line[24];

	if (!streq(group, plan->cgroup_path))
		return err_set(err, ERR_REFUSED, ERR_ID_SYSTEMD_FAILED, EXDEV,
			       "systemd has put init into %.128s, and %.128s was recorded", group, plan->cgroup_path);
	int r = file_read_virtual_at(launch->cgroup_fd, "cgroup.procs", PROCS_MAX, &procs, NULL, err);
	if (r < 0)
		return r;
	snprintf(line, sizeof(line), "%d\n", (int)launch->init.pid);
	for (const char *p = procs; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
		if (str_after(p, line))
			return 0;
	return err_set(err, ERR_REFUSED, ERR_ID_SYSTEMD_FOREIGN, ESRCH, "%s: systemd has put another process there",
		       group);
}

int runtime_scope_start(struct launch *launch, struct err *err)
{
	_cleanup_(systemd_closep) struct systemd *manager = NULL;
	_cleanup_free_ struct systemd_properties *properties = calloc(1, sizeof(*properties));
	const struct plan *plan = launch->plan;
	const char *controllers[CGROUP_CONTROLLER_COUNT + 1] = { NULL };
	char description[128], group[CGROUP_PATH_MAX];
	size_t n = 0;

	if (!properties)
		return err_oom(err);
	for (enum cgroup_ctl c = 0; c < CGROUP_CONTROLLER_COUNT; c++)
		if ((plan->controllers & 1U << c) && systemd_has_controller(c))
			controllers[n++] = cgroup_controller_name(c);
	snprintf(description, sizeof(description), "nsrun container %s", plan->name ? plan->name : plan->id);
	const struct systemd_scope scope = {
		.unit = strrchr(plan->cgroup_path, '/') + 1,
		.slice = plan->cgroup_slice,
		.description = description,
		.process = &launch->init,
		.controllers = wants_scope_delegate(plan) ? NULL : controllers,
		.properties = properties,
		.stop_us = plan->stop_timeout * UINT64_C(1000000),
	};
	int r = scope_properties(plan, properties, err);
	if (r == 0)
		r = systemd_open(&manager, err);
	if (r == 0)
		r = systemd_start_scope(manager, &scope, group, sizeof(group), err);
	if (r == 0)
		r = cgroup_open_v2(plan->cgroup_host, group, &launch->cgroup_fd, err);
	return r < 0 ? r : check_placed(launch, group, err);
}

int runtime_scope_stop(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;

	closep(&launch->cgroup_fd);
	launch->cgroup_fd = FD_NONE;
	systemd_end_scope(plan->cgroup_host, plan->cgroup_path, SCOPE_REMOVED_MS);
	return cgroup_destroy(plan->cgroup_host, plan->cgroup_path, SCOPE_DESTROY_MS, err);
}

/* exec: the group that the process would be cloned into, were its owner allowed to. */
int runtime_scope_enter(struct launch *launch, struct err *err)
{
	_cleanup_(systemd_closep) struct systemd *manager = NULL;
	_cleanup_close_ int fd = FD_NONE;
	const struct plan *plan = launch->plan;
	char link[64], group[2 * CGROUP_PATH_MAX];
	const char *below;

	int r = enter_open_group(plan, &fd, err);
	if (r < 0)
		return r;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	const ssize_t n = readlink(link, group, sizeof(group) - 1);
	if (n < 0)
		return err_system(err, "%s", link);
	group[n] = '\0';
	below = str_after(group, plan->cgroup_host->v2_mount);
	below = below ? str_after(below, plan->cgroup_path) : NULL;
	if (!below)
		return err_bug(err, "%s: not below %s%s", group, plan->cgroup_host->v2_mount, plan->cgroup_path);
	r = systemd_open(&manager, err);
	return r < 0 ? r : systemd_attach(manager, strrchr(plan->cgroup_path, '/') + 1, below, &launch->init, err);
}
