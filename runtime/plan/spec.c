/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/spec.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/user.h>
#include <nsrun/plan/limits.h>
#include <nsrun/plan/seccomp_profile.h>

#include <ctype.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <string.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

struct writer {
	const struct plan *plan;
	struct user_entry user; /* of the workload, as the rootfs has it now */
	json_t *missing;	/* what has no words in config.json */
	void (*on_missing)(const char *what, void *data);
	void *data;
};

static void missing(struct writer *w, const char *what)
{
	json_array_append_new(w->missing, json_string(what));
	if (w->on_missing)
		w->on_missing(what, w->data);
}

/* NULL when one of them is no UTF-8: what it becomes a part of is then NULL too (json_pack), up to the whole. */
static json_t *strings(const char *const *v)
{
	json_t *array = json_array();

	for (; v && *v; v++)
		if (json_array_append_new(array, json_string(*v)) < 0) {
			json_decref(array);
			return NULL;
		}
	return array;
}

/* ---- process ---- */

static json_t *capability_names(uint64_t mask)
{
	json_t *array = json_array();

	for (unsigned cap = 0; cap < 64; cap++)
		if ((mask & CAP_MASK(cap)) && caps_name(cap))
			json_array_append_new(array, json_string(caps_name(cap)));
	return array;
}

static json_t *capabilities(const struct writer *w)
{
	struct cap_sets caps = w->plan->caps;

	if (w->user.creds.uid != 0)
		caps.effective = caps.permitted = caps.inheritable = caps.ambient = 0;
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "bounding", capability_names(caps.bounding), "effective",
			 capability_names(caps.effective), "permitted", capability_names(caps.permitted), "inheritable",
			 capability_names(caps.inheritable), "ambient", capability_names(caps.ambient));
}

static json_t *rlimits(const struct plan *plan)
{
	json_t *array = json_array();

	for (size_t i = 0; i < plan->n_rlimits; i++) {
		const struct rlimit_setting *setting = &plan->rlimits[i];
		char name[32] = "RLIMIT_";

		const char *word = rlimit_name(setting->resource);

		for (size_t k = strlen(name); *word && k < sizeof(name) - 1; word++)
			name[k++] = (char)toupper((unsigned char)*word);
		json_array_append_new(array, json_pack("{s:s, s:I, s:I}", "type", name, "hard",
						       (json_int_t)setting->limit.rlim_max, "soft",
						       (json_int_t)setting->limit.rlim_cur));
	}
	return array;
}

static json_t *environment(const struct writer *w)
{
	json_t *env = strings(w->plan->env);
	bool home = false;

	for (const char *const *p = w->plan->env; *p; p++)
		home = home || strncmp(*p, "HOME=", 5) == 0;
	if (!home)
		json_array_append_new(env, json_sprintf("HOME=%s", w->user.home));
	return env;
}

static json_t *process(const struct writer *w)
{
	const struct plan *plan = w->plan;
	const char *const shell[] = { *w->user.shell ? w->user.shell : "/bin/sh", NULL };
	json_t *user = json_pack("{s:I, s:I, s:i}", "uid", (json_int_t)w->user.creds.uid, "gid",
				 (json_int_t)w->user.creds.gid, "umask", (int)plan->umask);

	if (!plan->deny_setgroups) {
		json_t *groups = json_array();

		/* The primary group first, as creds_set() does it. */
		json_array_append_new(groups, json_integer((json_int_t)w->user.creds.gid));
		for (size_t i = 0; i < w->user.creds.n_groups; i++)
			json_array_append_new(groups, json_integer((json_int_t)w->user.creds.groups[i]));
		json_object_set_new(user, "additionalGids", groups);
	}
	json_t *object =
		json_pack("{s:b, s:o, s:o, s:o, s:s, s:o, s:b}", "terminal", plan->terminal, "user", user, "args",
			  strings(plan->argv ? plan->argv : shell), "env", environment(w), "cwd", plan->workdir,
			  "capabilities", capabilities(w), "noNewPrivileges", plan->no_new_privs);
	if (plan->n_rlimits)
		json_object_set_new(object, "rlimits", rlimits(plan));
	if (plan->has_oom_score_adj)
		json_object_set_new(object, "oomScoreAdj", json_integer(plan->oom_score_adj));
	return object;
}

/* ---- mounts ---- */

static void put_mount(json_t *mounts, const char *destination, const char *type, const char *source,
		      const char *const *options)
{
	json_array_append_new(mounts, json_pack("{s:s, s:s, s:s, s:o}", "destination", destination, "type", type,
						"source", source, "options", strings(options)));
}
#define OPTIONS(...) ((const char *const[]){ __VA_ARGS__, NULL })

json_t *spec_id_mappings(const struct idmap *map)
{
	json_t *array = json_array();

	for (size_t i = 0; i < map->n; i++)
		json_array_append_new(array,
				      json_pack("{s:I, s:I, s:I}", "containerID", (json_int_t)map->extents[i].inside,
						"hostID", (json_int_t)map->extents[i].outside, "size",
						(json_int_t)map->extents[i].count));
	return array;
}

/* The mounts that every container has, in the order of the score. */
static void put_own_mounts(const struct writer *w, json_t *mounts)
{
	const struct plan *plan = w->plan;
	char shm[64];
	uint32_t outside;

	const char *access = plan->privileged ? "rw" : "ro";

	/* Without the right to a new one an engine, too, can only bind what the host has. */
	if (plan_ns_view(plan, NS_PID) == NS_VIEW_MOUNTED)
		put_mount(mounts, "/proc", "proc", "proc", OPTIONS("nosuid", "noexec", "nodev"));
	else
		put_mount(mounts, "/proc", "none", "/proc", OPTIONS("rbind", "nosuid", "noexec", "nodev"));
	if (plan_ns_view(plan, NS_NET) == NS_VIEW_MOUNTED)
		put_mount(mounts, "/sys", "sysfs", "sysfs", OPTIONS("nosuid", "noexec", "nodev", access));
	else
		put_mount(mounts, "/sys", "none", "/sys", OPTIONS("rbind", "nosuid", "noexec", "nodev", "ro"));
	if (plan->cgroup_path && *plan->cgroup_host->v2_mount &&
	    (plan->cgroup_host->v2_controller[CGROUP_MEMORY] || plan->cgroup_writable))
		put_mount(mounts, "/sys/fs/cgroup", "cgroup", "cgroup",
			  OPTIONS("nosuid", "noexec", "nodev", plan->cgroup_writable ? "rw" : "ro"));
	put_mount(mounts, "/dev", "tmpfs", "tmpfs", OPTIONS("nosuid", "noexec", "mode=755", "size=64k"));
	if (idmap_to_outside(&plan->gids, 5, &outside))
		put_mount(mounts, "/dev/pts", "devpts", "devpts",
			  OPTIONS("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"));
	else
		put_mount(mounts, "/dev/pts", "devpts", "devpts",
			  OPTIONS("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"));
	snprintf(shm, sizeof(shm), "size=%s", plan->shm_size);
	put_mount(mounts, "/dev/shm", "tmpfs", "shm", OPTIONS("nosuid", "noexec", "nodev", "mode=1777", shm));
	put_mount(mounts, "/dev/mqueue", "mqueue", "mqueue", OPTIONS("nosuid", "noexec", "nodev"));
}

static json_t *mounts_of(const struct writer *w)
{
	json_t *mounts = json_array();

	put_own_mounts(w, mounts);
	if (!spec_mounts(w->plan, mounts)) {
		json_decref(mounts);
		return NULL;
	}
	return mounts;
}

/* ---- linux ---- */

static json_t *namespaces(const struct plan *plan)
{
	static const struct {
		enum ns_kind kind;
		uint64_t flag;
		const char *type;
	} kinds[] = {
		{ NS_USER, CLONE_NEWUSER, "user" },	  { NS_MNT, CLONE_NEWNS, "mount" },
		{ NS_PID, CLONE_NEWPID, "pid" },	  { NS_NET, CLONE_NEWNET, "network" },
		{ NS_IPC, CLONE_NEWIPC, "ipc" },	  { NS_UTS, CLONE_NEWUTS, "uts" },
		{ NS_CGROUP, CLONE_NEWCGROUP, "cgroup" }, { NS_TIME, CLONE_NEWTIME, "time" },
	};
	json_t *array = json_array();

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const struct plan_namespace *ns = &plan->ns[kinds[i].kind];

		if ((plan->namespaces | plan->namespaces_later) & kinds[i].flag)
			json_array_append_new(array, json_pack("{s:s}", "type", kinds[i].type));
		else if (ns->use == NS_JOIN && ns->path)
			json_array_append_new(array, json_pack("{s:s, s:s}", "type", kinds[i].type, "path", ns->path));
	}
	return array;
}

static json_t *time_offset(const struct time_offset *offset)
{
	return json_pack("{s:I, s:I}", "secs", (json_int_t)offset->seconds, "nanosecs",
			 (json_int_t)offset->nanoseconds);
}

/* nsrun gives no swap beside a limit of memory (cgroup_settings()); who reads config.json would. */
static json_t *resources(const struct plan *plan)
{
	json_t *object = limits_to_json(&plan->resources), *memory = json_object_get(object, "memory"),
	       *limit = json_object_get(memory, "limit");

	if (limit && !json_object_get(memory, "swap"))
		json_object_set(memory, "swap", limit);
	if (plan->device_filter != DEVICE_FILTER_NONE)
		json_object_set_new(object, "devices", spec_device_rules(&plan->device_policy));
	return object;
}

static int linux_of(struct writer *w, json_t **ret, struct err *err)
{
	const struct plan *plan = w->plan;
	json_t *object = json_pack("{s:o, s:o, s:o, s:o, s:s}", "namespaces", namespaces(plan), "maskedPaths",
				   strings(plan->masked_paths), "readonlyPaths", strings(plan->readonly_paths),
				   "resources", resources(plan), "rootfsPropagation", "private");

	if (plan->n_devices)
		json_object_set_new(object, "devices", spec_devices(plan));
	if (plan->n_sysctls) {
		json_t *sysctls = json_object();

		/* The form with "/" is unambiguous, and engines take it. */
		for (size_t i = 0; i < plan->n_sysctls; i++)
			json_object_set_new(sysctls, plan->sysctls[i].path, json_string(plan->sysctls[i].value));
		json_object_set_new(object, "sysctl", sysctls);
	}
	for (const char *const *p = plan->asked_masks; p && *p; p++)
		if (json_array_append_new(json_object_get(object, "maskedPaths"), json_string(*p)) < 0) {
			json_decref(object);
			return err_input(err, "masked path %s: is no UTF-8", *p);
		}
	if (plan->namespaces & CLONE_NEWUSER) {
		json_object_set_new(object, "uidMappings", spec_id_mappings(&plan->uids));
		json_object_set_new(object, "gidMappings", spec_id_mappings(&plan->gids));
	}
	if (plan->namespaces_later & CLONE_NEWTIME)
		json_object_set_new(object, "timeOffsets",
				    json_pack("{s:o, s:o}", "monotonic", time_offset(&plan->monotonic), "boottime",
					      time_offset(&plan->boottime)));
	if (plan->seccomp) {
		struct seccomp_rules rules;

		const int r = plan_seccomp_rules(plan, &rules, err);
		if (r < 0) {
			json_decref(object);
			return r;
		}
		json_object_set_new(object, "seccomp", spec_seccomp(&rules));
	}
	*ret = object;
	return 0;
}

/* ---- the whole ---- */

static void tell_missing(struct writer *w)
{
	const struct plan *plan = w->plan;

	if (plan->rootfs.view != VIEW_AS_IS)
		missing(w,
			"the rootfs is idmapped: an engine shows its files as those of unmapped ids, unless the tree belongs to "
			"the range (rootfs-scripts --owner)");
	if (plan->root_nosuid)
		missing(w, "the rootfs is nosuid and nodev");
	if (plan->ns[NS_USER].use == NS_JOIN)
		missing(w, "the user namespace that owns the joined ones is joined with them");
	if (plan->ephemeral)
		missing(w, "--ephemeral: writes go to the rootfs itself");
	if (plan->hosts_required || plan->resolv_conf_required)
		missing(w, "--add-host, --dns: /etc/hosts and /etc/resolv.conf are the rootfs' own");
	if (plan->reaper)
		missing(w, "--init: CMD is process 1");
	if (!spec_mounts_are_whole(plan))
		missing(w,
			"an overlay in memory, with layers whose ids are changed, or with a comma or colon in a path");
	if (plan->asked_masks)
		missing(w, "a masked path that does not exist is no error");
	if (plan->stdin_null)
		missing(w, "standard input is the engine's");
}

static int resolve_user(struct writer *w, struct err *err)
{
	_cleanup_close_ int root = open(w->plan->rootfs.path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return err_system(err, "%s", w->plan->rootfs.path);
	const int r = user_resolve(root, w->plan->user, &w->user, err);
	return r < 0 || !w->plan->groups ? r : user_add_groups(root, w->plan->groups, &w->user, err);
}

int plan_spec(const struct plan *plan, void (*on_missing)(const char *what, void *data), void *data, json_t **ret,
	      struct err *err)
{
	struct writer w = { .plan = plan, .missing = json_array(), .on_missing = on_missing, .data = data };
	json_t *linux_part = NULL, *object;

	int r = resolve_user(&w, err);
	if (r == 0)
		r = linux_of(&w, &linux_part, err);
	if (r < 0) {
		json_decref(w.missing);
		free(w.user.creds.groups);
		return r;
	}
	tell_missing(&w);
	object = json_pack("{s:s, s:o, s:{s:s, s:b}, s:o, s:o}", "ociVersion", "1.0.2", "process", process(&w), "root",
			   "path", plan->rootfs.path, "readonly", plan->rootfs.readonly, "mounts", mounts_of(&w),
			   "linux", linux_part);
	/* Refused by engines without a uts namespace of the container's own. */
	if (object && plan_owns_ns(plan, NS_UTS))
		json_object_set_new(object, "hostname", json_string(plan->hostname ? plan->hostname : "nsrun"));
	free(w.user.creds.groups);
	if (object && plan->domainname)
		json_object_set_new(object, "domainname", json_string(plan->domainname));
	if (object && json_array_size(w.missing)) {
		_cleanup_free_ char *text = json_dumps(w.missing, JSON_COMPACT);

		json_object_set_new(object, "annotations",
				    json_pack("{s:s}", "org.nsrun.not-expressed", text ? text : "[]"));
	}
	json_decref(w.missing);
	if (!object) /* a string that is no UTF-8, in an environment or an argument */
		return err_input(
			err,
			"config.json is JSON, whose text is UTF-8 (RFC 8259), and a word of this container is not");
	*ret = object;
	return 0;
}
