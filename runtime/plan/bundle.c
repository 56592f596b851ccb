/* SPDX-License-Identifier: Apache-2.0 */
/* What follows from a bundle's config.json once its parts are read. */
#include <nsrun/plan/bundle.h>

#include <nsrun/plan/bundle_resolve.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/probe.h>
#include <nsrun/kernel/systemd.h>
#include <nsrun/plan/devices.h>
#include <nsrun/plan/manager.h>
#include <nsrun/plan/namespaces.h>
#include <nsrun/plan/process.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

/* systemd.unit(5) */
#define UNIT_NAME_MAX 255
#define UNIT_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:_.\\-"

const char *hook_kind_name(enum hook_kind kind)
{
	static const char *const names[HOOK_KIND_COUNT] = {
		[HOOK_PRESTART] = "prestart",
		[HOOK_CREATE_RUNTIME] = "createRuntime",
		[HOOK_CREATE_CONTAINER] = "createContainer",
		[HOOK_START_CONTAINER] = "startContainer",
		[HOOK_POSTSTART] = "poststart",
		[HOOK_POSTSTOP] = "poststop",
	};

	return kind < HOOK_KIND_COUNT ? names[kind] : "?";
}

void plan_begin_bundle(struct plan *plan)
{
	plan->root_nosuid = false;
	plan->stop_signal = SIGTERM;
	plan->stop_timeout = PLAN_STOP_TIMEOUT;
	plan->umask = 022;
	plan->log = (struct plan_log){ .driver = LOG_NONE };
	plan->shm_size = "64m";
	plan->cgroup_manager = CGROUP_MANAGER_CGROUPFS;
}

/* ---- the control group ---- */

/* An engine's own rules for paths: "/a//b/" is "/a/b"; ".." is refused. */
static int clean_path(struct arena *arena, const char *path, const char **ret)
{
	char *clean = arena_alloc(arena, strlen(path) + 2);
	size_t used = 0;

	if (!clean)
		return -ENOMEM;
	for (const char *p = path; *(p += strspn(p, "/"));) {
		const size_t n = strcspn(p, "/");

		if (n == 2 && strncmp(p, "..", 2) == 0)
			return -EINVAL;
		if (!(n == 1 && *p == '.')) {
			clean[used++] = '/';
			memcpy(clean + used, p, n);
			used += n;
		}
		p += n;
	}
	clean[used] = '\0';
	*ret = clean;
	return 0;
}

static int wrong_path(const struct bundle_cgroup *said, const char *why, struct err *err)
{
	return err_set(err, ERR_INPUT, ERR_ID_CGROUP_PARENT, 0, "%s: '%s': %s", said->where, said->path, why);
}

/* Absolute: below the mount of each hierarchy. Otherwise, and where none is said, below the group that nsrun makes its own in. */
static int choose_path(struct plan *plan, struct bundle_cgroup *said, struct err *err)
{
	const struct cgroup_host *host = plan->cgroup_host;
	char parent[CGROUP_PATH_MAX];
	const char *path = NULL;

	/* Also for an absolute one: who may make no groups at all learns why. */
	int r = cgroup_choose_parent(host, parent, sizeof(parent), err);
	if (r < 0)
		return r;
	if (!said->path || !*said->path) {
		said->by_id = true;
		plan->cgroup_path = arena_strdup(plan->arena, parent);
		return plan->cgroup_path ? 0 : err_oom(err);
	}
	r = clean_path(plan->arena, said->path, &path);
	if (r == -ENOMEM)
		return err_oom(err);
	if (r < 0)
		return wrong_path(said, "\"..\" is no name of a control group", err);
	if (!*path)
		return wrong_path(said, "the root group is no container's own", err);
	if (said->path[0] != '/')
		path = arena_printf(plan->arena, "%s%s", parent, path);
	if (!path)
		return err_oom(err);
	if (strlen(path) >= CGROUP_PATH_MAX - 128)
		return wrong_path(said, "too long", err);
	r = plan_check_cgroup_parent(path, err);
	if (r == 0)
		plan->cgroup_path = path;
	return r;
}

/* "SLICE:PREFIX:NAME", as runc and the engines have it; empty parts, and none at all, are the manager's own. */
static int choose_scope(struct plan *plan, const struct bundle_cgroup *said, struct err *err)
{
	const char *path = said->path && *said->path ? said->path : NULL;
	const char *first = path ? strchr(path, ':') : NULL, *second = first ? strchr(first + 1, ':') : NULL;
	const char *slice = systemd_default_slice(systemd_is_of_user()), *prefix = "nsrun", *name = plan->name;

	if (path && (!second || strchr(second + 1, ':')))
		return wrong_path(
			said, "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups", err);
	if (path) {
		slice = first > path ? arena_strndup(plan->arena, path, (size_t)(first - path)) : slice;
		prefix = arena_strndup(plan->arena, first + 1, (size_t)(second - first - 1));
		name = second[1] ? second + 1 : name;
	}
	const char *unit = prefix && *prefix ? arena_printf(plan->arena, "%s-%s.scope", prefix, name)
					     : arena_printf(plan->arena, "%s.scope", name);
	if (!slice || !prefix || !unit)
		return err_oom(err);
	if (strlen(unit) > UNIT_NAME_MAX || strspn(unit, UNIT_CHARACTERS) != strlen(unit))
		return err_set(err, ERR_INPUT, ERR_ID_CGROUP_PARENT, 0,
			       "%s: '%.128s' is no name of a unit (systemd.unit(5))", said->where, unit);
	const int r = plan_resolve_scope_in(plan, slice, said->where, err);
	if (r < 0)
		return r;
	plan->cgroup_path = arena_printf(plan->arena, "%s/%s", plan->cgroup_path, unit);
	return plan->cgroup_path ? 0 : err_oom(err);
}

/* Where engines read their statistics: every hierarchy has the group. systemd's own as well: left in the caller's group there, the container would end with
 * its session or unit, and would be shown the host's tree. */
static void use_all_hierarchies(struct plan *plan)
{
	plan->controllers = cgroup_resources_controllers(&plan->resources);
	for (enum cgroup_ctl c = 0; c < CGROUP_CONTROLLER_COUNT; c++)
		if (cgroup_on_v1(plan->cgroup_host, c)) {
			plan->controllers |= 1U << c;
			plan->placed_late = true;
		}
}

/* Below the group around it. */
static int check_limits(const struct plan *plan, bool is_parent, struct err *err)
{
	const char *path = plan->cgroup_path, *end = is_parent ? path + strlen(path) : strrchr(path, '/');
	char parent[CGROUP_PATH_MAX];

	snprintf(parent, sizeof(parent), "%.*s", (int)(end - path), path);
	return cgroup_check_limits(plan->cgroup_host, *parent ? parent : "/", &plan->resources, err);
}

static int no_group(const struct plan *plan, struct err *err)
{
	char label[128];

	return err_set(err, ERR_INPUT, ERR_ID_CGROUP_MANAGER, 0,
		       "%s: --cgroup-manager=disabled makes no control group that it could be of",
		       cgroup_resource_label(&plan->resources.values[0], label, sizeof(label)));
}

int plan_resolve_bundle_cgroup(struct plan *plan, struct bundle_cgroup *said, struct err *err)
{
	struct cgroup_host *host = arena_alloc(plan->arena, sizeof(*host));
	struct err refused = ERR_INIT;

	if (!host)
		return err_oom(err);
	plan->cgroup_host = host;
	int r = cgroup_probe(plan->arena, host, err);
	if (r < 0)
		return r;
	if (plan->cgroup_manager == CGROUP_MANAGER_DISABLED)
		return plan->resources.n ? no_group(plan, err) : 0;
	const bool scope = plan->cgroup_manager == CGROUP_MANAGER_SYSTEMD;
	r = scope ? choose_scope(plan, said, &refused) : choose_path(plan, said, &refused);
	/* Rootless engines name a group also where there is none that they could make, and have entered their user namespace before. */
	const bool wanted = plan->resources.n || (plan->caller_uid == 0 && probe_in_initial_userns());
	if (r < 0 && (wanted || refused.kind == ERR_INPUT)) {
		*err = refused;
		return r;
	}
	if (r < 0) {
		plan->cgroup_path = NULL;
		return 0;
	}
	if (scope)
		return 0;
	use_all_hierarchies(plan);
	return check_limits(plan, said->by_id, err);
}

/* config-linux.md, "Cgroup ownership": the group is container root's own where its user namespace, a new cgroup namespace and a cgroup2 that is mounted writable
 * show that groups below are to be made. */
static bool gets_its_group(const struct plan *plan)
{
	const struct plan_bundle *bundle = plan->bundle;

	if (!plan->cgroup_path || !plan_owns_ns(plan, NS_CGROUP) || !plan_has_userns(plan))
		return false;
	for (size_t i = 0; i < bundle->n_mounts; i++) {
		const char *type = bundle->mounts[i].type;

		if (type && (streq(type, "cgroup") || streq(type, "cgroup2")) &&
		    !(bundle->mounts[i].attr_set & MOUNT_ATTR_RDONLY))
			return true;
	}
	return false;
}

int plan_settle_bundle(struct plan *plan, struct err *err)
{
	int r = plan_settle_devices(plan, err);

	if (r == 0)
		r = plan_settle_namespaces(plan, err);
	plan->cgroup_writable = gets_its_group(plan);
	return r;
}
