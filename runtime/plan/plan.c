/* SPDX-License-Identifier: Apache-2.0 */
/* Phase 1: from a request to a complete plan. Nothing is made here. */
#include <nsrun/plan/plan.h>

#include <nsrun/kernel/mount.h>
#include <nsrun/kernel/probe.h>
#include <nsrun/plan/devices.h>
#include <nsrun/plan/ids.h>
#include <nsrun/plan/life.h>
#include <nsrun/plan/manager.h>
#include <nsrun/plan/namespaces.h>
#include <nsrun/plan/process.h>
#include <nsrun/plan/tree.h>
#include <nsrun/plan/volumes.h>

#include <fcntl.h>
#include <string.h>

void plan_free(struct plan *plan)
{
	if (plan)
		arena_free(plan->arena); /* the plan is in it */
}

static int resolve_rootfs(struct plan *plan, const struct plan_request *request, struct err *err)
{
	if (!request->rootfs || !*request->rootfs)
		return err_set(err, ERR_INPUT, ERR_ID_ROOTFS_MISSING, 0, "no rootfs was named");

	const char *source = arena_strdup(plan->arena, request->rootfs);
	if (!source)
		return err_oom(err);
	plan->ephemeral = request->ephemeral == YES;
	if (plan->ephemeral && probe_tmpfs_user_xattrs())
		plan->performer[WORK_OVERLAY] = BY_INIT;
	const struct tree_wish wish = {
		.is_rootfs = true,
		.readonly = request->read_only == YES,
		.trusted = request->trust_rootfs == YES,
	};
	const int r = plan_resolve_tree(plan, source, &wish, &plan->rootfs, err);
	if (r == 0 && plan->ephemeral && plan->rootfs.view == VIEW_IDMAPPED) {
		_cleanup_close_ int fd = open(plan->rootfs.path, O_PATH | O_CLOEXEC);

		plan->rootfs_copied = fd >= 0 && (plan->performer[WORK_IDMAP] == BY_NOBODY || !mount_fs_has_idmap(fd));
	}
	return r;
}

/* The group: needed for limits and --cgroup-parent, wanted for killing and cloning; an ordinary user without a delegated one goes without. */
static int resolve_cgroup(struct plan *plan, const struct plan_request *request, struct err *err)
{
	struct cgroup_host *host = arena_alloc(plan->arena, sizeof(*host));
	char parent[CGROUP_PATH_MAX], label[128];
	struct err refused = ERR_INIT;

	if (!host)
		return err_oom(err);
	plan->cgroup_host = host;
	int r = cgroup_probe(plan->arena, host, err);
	if (r < 0)
		return r;

	r = plan_choose_manager(plan, request, err);
	if (r < 0 || plan->cgroup_manager == CGROUP_MANAGER_DISABLED)
		return r;
	if (plan->cgroup_manager == CGROUP_MANAGER_SYSTEMD) /* each asking is a connection: "auto" may have done it */
		return plan->cgroup_slice ? 0 : plan_resolve_scope(plan, request, err);

	const bool wanted = plan->resources.n || plan_needs_device_filter(plan) || request->cgroup_parent ||
			    (plan->cgroup_writable && !plan->privileged);
	r = plan_choose_cgroup_parent(host, request->cgroup_parent, parent, sizeof(parent), &refused);
	if (r < 0 && wanted && plan->resources.n && !request->cgroup_parent)
		return err_set(err, refused.kind, refused.id, refused.errnum, "%s: %s",
			       cgroup_resource_label(&plan->resources.values[0], label, sizeof(label)),
			       refused.message);
	if (r < 0 && wanted) {
		*err = refused;
		return r;
	}
	if (r < 0)
		return 0;
	r = cgroup_check_limits(host, parent, &plan->resources, err);
	if (r < 0)
		return r;
	plan->cgroup_path = arena_strdup(plan->arena, parent); /* the id follows in plan_reserve */
	if (!plan->cgroup_path)
		return err_oom(err);

	plan->controllers = cgroup_resources_controllers(&plan->resources);
	for (unsigned i = 0; i < CGROUP_CONTROLLER_COUNT; i++)
		if ((plan->controllers & (1U << i)) && cgroup_on_v1(host, i))
			plan->placed_late = true;
	return 0;
}

static bool grants(const struct plan *plan, const struct idmap *map, uint32_t id)
{
	uint32_t inside;

	return plan->auto_pending ? id != 0 : idmap_to_inside(map, id, &inside);
}

bool plan_may_write(const struct plan *plan, const struct stat *file)
{
	if (!plan_has_userns(plan) || (file->st_mode & S_IWOTH))
		return true;
	return grants(plan, &plan->uids, file->st_uid) ||
	       ((file->st_mode & S_IWGRP) && grants(plan, &plan->gids, file->st_gid));
}

int plan_resolve(const struct plan_request *request, struct plan **ret, struct err *err)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct plan *plan = arena ? arena_alloc(arena, sizeof(*plan)) : NULL;

	if (!plan)
		return err_oom(err);
	plan->arena = arena;
	plan->shm_size = "64m";

	int r = plan_resolve_life(plan, request, err);
	if (r == 0)
		r = plan_resolve_ids(plan, request, err);
	if (r == 0) /* before all that asks whose a file will be: a joined user namespace brings its own maps */
		r = plan_resolve_namespaces(plan, request, err);
	if (r == 0)
		r = plan_resolve_process(plan, request, err);
	if (r == 0) /* before the trees: what read-only is worth depends on the capabilities */
		r = plan_resolve_confinement(plan, request, err);
	if (r == 0) /* before the tree: of "-m ROOTFS CMD" the wrong word is the first one */
		r = plan_resolve_limits(plan, request, err);
	if (r == 0)
		r = resolve_rootfs(plan, request, err);
	if (r == 0)
		r = plan_resolve_mounts(plan, request, err);
	if (r == 0)
		r = plan_resolve_devices(plan, request, err);
	if (r == 0)
		r = resolve_cgroup(plan, request, err);
	if (r == 0)
		r = plan_settle_devices(plan, err);
	if (r == 0)
		r = plan_settle_namespaces(plan, err);
	if (r == 0)
		r = plan_check_writable_cgroups(plan, err);
	if (r < 0)
		return r;
	if (request->without && *request->without) {
		plan->without = (const char *const *)arena_strv(plan->arena, request->without);
		if (!plan->without)
			return err_oom(err);
	}
	r = plan_resolve_sysctls(plan, request, err);
	if (r == 0)
		r = plan_resolve_etc(plan, request, err);
	if (r < 0)
		return r;
	TAKE_PTR(arena);
	*ret = plan;
	return 0;
}
