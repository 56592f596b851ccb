/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/manager.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/kernel/systemd.h>
#include <nsrun/plan/process.h>

#include <string.h>

static const char *const names[] = {
	[CGROUP_MANAGER_CGROUPFS] = "cgroupfs",
	[CGROUP_MANAGER_SYSTEMD] = "systemd",
	[CGROUP_MANAGER_DISABLED] = "disabled",
};

const char *plan_manager_name(enum cgroup_manager manager)
{
	return names[manager];
}

/* The options that ask for a group: the first of them for messages, NULL when there is none. */
static const char *wants_group(const struct plan *plan, const struct plan_request *request, char *buf, size_t size)
{
	if (plan->resources.n)
		return cgroup_resource_label(&plan->resources.values[0], buf, size);
	if (request->cgroup_parent)
		return "--cgroup-parent";
	if (plan->device_rules_asked)
		return "--device-cgroup-rule, and --device with less than rwm";
	if (plan->cgroup_writable && !plan->privileged)
		return "--security-opt writable-cgroups";
	return NULL;
}

static void choose_auto(struct plan *plan, const struct plan_request *request)
{
	char parent[CGROUP_PATH_MAX], label[128];
	struct err refused = ERR_INIT;

	if (request->cgroup_parent && plan_cgroup_parent_is_slice(request->cgroup_parent)) {
		plan->cgroup_manager = CGROUP_MANAGER_SYSTEMD;
		return;
	}
	plan->cgroup_manager = CGROUP_MANAGER_CGROUPFS;
	if (plan->caller_uid == 0 || cgroup_choose_parent(plan->cgroup_host, parent, sizeof(parent), &refused) == 0 ||
	    request->cgroup_parent || !systemd_is_there())
		return;
	if (wants_group(plan, request, label, sizeof(label))) {
		plan->cgroup_manager = CGROUP_MANAGER_SYSTEMD;
		return;
	}
	if (!plan->detached && !plan->name)
		return;
	/* Of use, and no condition. */
	plan->cgroup_manager = CGROUP_MANAGER_SYSTEMD;
	refused = ERR_INIT;
	if (plan_resolve_scope(plan, request, &refused) < 0)
		plan->cgroup_manager = CGROUP_MANAGER_CGROUPFS;
}

int plan_choose_manager(struct plan *plan, const struct plan_request *request, struct err *err)
{
	const char *word = request->cgroup_manager ? request->cgroup_manager : "auto", *parent = request->cgroup_parent;
	char label[128];

	if (streq(word, "auto")) {
		choose_auto(plan, request);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (streq(word, names[i])) {
			const char *wanted = wants_group(plan, request, label, sizeof(label));
			const bool slice = parent && plan_cgroup_parent_is_slice(parent);

			plan->cgroup_manager = (enum cgroup_manager)i;
			if (i == CGROUP_MANAGER_DISABLED && wanted)
				return err_set(
					err, ERR_INPUT, ERR_ID_CGROUP_MANAGER, 0,
					"%s: --cgroup-manager=disabled makes no control group that it could be of",
					wanted);
			if (i == CGROUP_MANAGER_CGROUPFS && slice)
				return err_set(
					err, ERR_INPUT, ERR_ID_CGROUP_MANAGER, 0,
					"--cgroup-parent %s: a slice is systemd's, and --cgroup-manager is cgroupfs",
					parent);
			if (i == CGROUP_MANAGER_SYSTEMD && parent && !slice)
				return err_set(err, ERR_INPUT, ERR_ID_CGROUP_MANAGER, 0,
					       "--cgroup-parent %s: --cgroup-manager=systemd takes NAME.slice", parent);
			return 0;
		}
	return err_set(err, ERR_INPUT, ERR_ID_CGROUP_MANAGER, 0, "--cgroup-manager %s: there is no such manager", word);
}

/* ---- systemd ---- */

static int check_controllers(const struct plan *plan, const char *group, struct err *err)
{
	char label[128];

	for (enum cgroup_ctl c = 0; c < CGROUP_CONTROLLER_COUNT; c++)
		if ((plan->controllers & 1U << c) && cgroup_on_v1(plan->cgroup_host, c))
			return err_set(
				err, ERR_REFUSED, ERR_ID_CGROUP_MANAGER, ENODEV,
				"%s: a scope of systemd has limits of cgroup v2, and this host has the %s controller in v1",
				cgroup_resource_label(&plan->resources.values[0], label, sizeof(label)),
				cgroup_v1_name(c));
	return cgroup_check_limits(plan->cgroup_host, *group ? group : "/", &plan->resources, err);
}

int plan_resolve_scope_in(struct plan *plan, const char *slice, const char *what, struct err *err)
{
	_cleanup_(systemd_closep) struct systemd *manager = NULL;
	char group[CGROUP_PATH_MAX], below[CGROUP_PATH_MAX];
	struct err refused = ERR_INIT;

	if (!*plan->cgroup_host->v2_mount)
		return err_set(err, ERR_REFUSED, ERR_ID_CGROUP_NOT_MOUNTED, EACCES,
			       "--cgroup-manager=systemd: no cgroup2 is mounted here");
	int r = systemd_slice_path(slice, below, sizeof(below), err);
	if (r < 0)
		return r;
	r = systemd_open(&manager, &refused);
	if (r == 0)
		r = systemd_group(manager, group, sizeof(group), &refused);
	if (r < 0) /* which option brought systemd in */
		return err_set(err, refused.kind, refused.id, refused.errnum, "%s: %s", what, refused.message);
	plan->controllers |= cgroup_resources_controllers(&plan->resources);
	r = check_controllers(plan, group, err);
	if (r < 0)
		return r;
	if (strlen(group) + strlen(below) + SYSTEMD_UNIT_SIZE >= CGROUP_PATH_MAX)
		return err_input(err, "%s: path of its control group is too long", what);
	plan->cgroup_slice = arena_strdup(plan->arena, slice);
	plan->cgroup_path = arena_printf(plan->arena, "%s%s", group, below);
	if (!plan->cgroup_slice || !plan->cgroup_path)
		return err_oom(err);
	plan->placed_late = true;
	return 0;
}

int plan_resolve_scope(struct plan *plan, const struct plan_request *request, struct err *err)
{
	const char *parent = request->cgroup_parent;
	const char *what =
		parent ? arena_printf(plan->arena, "--cgroup-parent %s", parent) : "--cgroup-manager=systemd";

	if (!what)
		return err_oom(err);
	return plan_resolve_scope_in(plan, parent ? parent : systemd_default_slice(systemd_is_of_user()), what, err);
}
