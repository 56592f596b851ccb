/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/launch/step.h>
#include <nsrun/launch/steps.h>
#include <nsrun/launch/without.h>

#include <nsrun/base/strings.h>

#include <linux/sched.h>
#include <sys/mount.h>

#define NEEDS(...)          \
	{                   \
		__VA_ARGS__ \
	}

const struct step score[STEP_COUNT] = {
#define STEP(symbol, name_, role_, peer_, kind_, wanted_, run_, undo_, needs_, interface_, manual_, why_) \
	[STEP_##symbol] = {                                                                               \
		.id = STEP_##symbol,                                                                      \
		.name = name_,                                                                            \
		.role = role_,                                                                            \
		.peer = peer_,                                                                            \
		.kind = kind_,                                                                            \
		.wanted = wanted_,                                                                        \
		.run = run_,                                                                              \
		.undo = undo_,                                                                            \
		.needs = needs_,                                                                          \
		.interface = interface_,                                                                  \
		.manual = manual_,                                                                        \
		.why = why_,                                                                              \
	},
#include <nsrun/launch/score_table.h>
#undef STEP
};

/* The process that runs a row, as this plan has it: without a reaper the workload is init. */
static enum role process_of(const struct plan *plan, enum role role)
{
	return role == ROLE_WORKLOAD && !plan->reaper ? ROLE_INIT : role;
}

/* nsrun exec walks the same table: of its rows these, which are about the process and not about what is around it. Their predicates hold as well. A
 * row that is not named here belongs to the making of a container. */
static bool serves_exec(enum step_id id)
{
	switch (id) {
	case STEP_CONTAINER_OPEN:
	case STEP_CHANNEL_OPEN:
	case STEP_INIT_CLONE:
	case STEP_RLIMITS_SET:
	case STEP_OOM_SCORE:
	case STEP_CGROUP_OPEN:
	case STEP_CGROUP_ATTACH:
	case STEP_PARENT_BIND:
	case STEP_SYNC_PLACED:
	case STEP_IDS_BECOME_ROOT:
	case STEP_PARENT_REBIND:
	case STEP_KEYRING_NEW:
	case STEP_CGROUPNS_ENTER:
	case STEP_UMASK_SET:
	case STEP_CONTAINER_ENTER:
	case STEP_TERMINAL_OPEN:
	case STEP_SCOPE_ENTER:
	case STEP_PROC_KEEP:
	case STEP_LISTENER_CONNECT:
	case STEP_RDT_PLACE:
	case STEP_PID_WRITE:
	case STEP_CONSOLE_SEND:
	case STEP_AFFINITY_START:
	case STEP_SCHEDULER_SET:
	case STEP_IO_PRIORITY_SET:
	case STEP_AFFINITY_SET:
	case STEP_MEMORY_POLICY_SET:
	case STEP_PERSONALITY_SET:
	case STEP_LABELS_SET:
	case STEP_LISTENER_DESCRIBE:
	case STEP_SYNC_MOUNTED:
	case STEP_TERMINAL_GUARD:
	case STEP_TERMINAL_RAW:
	case STEP_USER_RESOLVE:
	case STEP_ARGV_RESOLVE:
	case STEP_TERMINAL_ATTACH:
	case STEP_SESSION_NEW:
	case STEP_STDIN_NULL:
	case STEP_SIGNALS_RESET:
	case STEP_UMASK_WORKLOAD:
	case STEP_CAPS_BOUND:
	case STEP_CAPS_KEEP:
	case STEP_CREDS_SET:
	case STEP_PARENT_KEEP:
	case STEP_PARENT_RELEASE:
	case STEP_FDS_CLOSE:
	case STEP_CWD_ENTER:
	case STEP_CAPS_SET:
	case STEP_PRIVS_BOUND:
	case STEP_SECCOMP_LOAD:
	case STEP_CAPS_FINAL:
	case STEP_WORKLOAD_EXEC:
		return true;
	default:
		return false;
	}
}

static bool wanted_by_plan(const struct plan *plan, const struct step *step)
{
	if (plan->enter && !serves_exec(step->id))
		return false;
	if (plan->without && launch_is_without(plan, step))
		return false;
	return !step->wanted || step->wanted(plan);
}

/* Does a row after the sync, in the process that waits, need a row before it in the process that sends? A row that was done before the
 * waiting process was forked is in its past anyway, and what an earlier sync of the two waits for has been waited for. */
static bool sync_is_needed(const struct plan *plan, const struct step *sync)
{
	const enum role from = process_of(plan, sync->role), to = process_of(plan, sync->peer);
	enum step_id known = from == ROLE_RUNTIME ? STEP_INIT_CLONE : STEP_NONE;

	for (enum step_id id = known + 1; id < sync->id; id++)
		if (score[id].kind == STEP_SYNC && score[id].role == sync->role && score[id].peer == sync->peer)
			known = id;

	for (enum step_id id = sync->id + 1; id < STEP_COUNT; id++) {
		const struct step *row = &score[id];

		/* What a process forked by init needs must be there before init goes on to fork it. */
		const bool waits = process_of(plan, row->role) == to || (to == ROLE_INIT && row->role == ROLE_WORKLOAD);

		if (row->kind == STEP_SYNC || !waits || !wanted_by_plan(plan, row))
			continue;
		for (size_t i = 0; i < STEP_NEEDS_MAX && row->needs[i] != STEP_NONE; i++) {
			const struct step *need = &score[row->needs[i]];

			if (need->id > known && need->id < sync->id && process_of(plan, need->role) == from &&
			    wanted_by_plan(plan, need))
				return true;
		}
	}
	return false;
}

bool score_wants(const struct plan *plan, enum step_id id)
{
	const struct step *step = &score[id];

	if (id <= STEP_NONE || id >= STEP_COUNT)
		return false;
	return step->kind == STEP_SYNC ? sync_is_needed(plan, step) : wanted_by_plan(plan, step);
}

enum step_id score_find(const char *name)
{
	for (enum step_id id = STEP_NONE + 1; id < STEP_COUNT; id++)
		if (streq(score[id].name, name))
			return id;
	return STEP_NONE;
}

const char *role_name(enum role role)
{
	static const char *const names[ROLE_COUNT] = { "runtime", "init", "workload" };

	return names[role_index(role)];
}

/* ---- predicates ---- */

/* What nsrun decides about a container's files; a bundle says all of it itself. */
bool wants_one_shot(const struct plan *plan)
{
	return !plan_is_bundle(plan);
}

bool wants_keyring(const struct plan *plan)
{
	return !plan_is_bundle(plan) || !plan->bundle->no_new_keyring;
}

bool wants_gate(const struct plan *plan)
{
	return plan_is_bundle(plan) && plan->bundle->gated;
}

bool wants_notify(const struct plan *plan)
{
	return plan_is_bundle(plan) && plan->bundle->notify;
}

/* The root of a joined mount namespace, as it is. */
bool wants_root_joined(const struct plan *plan)
{
	return plan_is_bundle(plan) && plan->bundle->root_joined;
}

bool wants_root(const struct plan *plan)
{
	return !wants_root_joined(plan);
}

bool wants_bundle_files(const struct plan *plan)
{
	return plan_is_bundle(plan) && wants_root(plan);
}

bool wants_console_bound(const struct plan *plan)
{
	return plan->terminal && wants_root(plan);
}

bool init_opens_rootfs(const struct plan *plan)
{
	return init_opens(plan) && wants_root(plan);
}

bool wants_console_socket(const struct plan *plan)
{
	return plan->terminal && plan_is_bundle(plan) && plan->bundle->console_socket;
}

static bool has_hooks(const struct plan *plan, enum hook_kind kind)
{
	return plan_is_bundle(plan) && plan->bundle->hooks[kind].n > 0;
}

bool wants_hooks_runtime(const struct plan *plan)
{
	return has_hooks(plan, HOOK_PRESTART) || has_hooks(plan, HOOK_CREATE_RUNTIME);
}

bool wants_hooks_container(const struct plan *plan)
{
	return has_hooks(plan, HOOK_CREATE_CONTAINER);
}

bool wants_hooks_start(const struct plan *plan)
{
	return has_hooks(plan, HOOK_START_CONTAINER);
}

bool wants_cgroup(const struct plan *plan)
{
	return plan->cgroup_path && plan->cgroup_manager == CGROUP_MANAGER_CGROUPFS;
}

/* cgroups(7), v1: who has not the user id 0 of the initial user namespace moves processes of its own ids alone, and init has those only at
 * first. Where nobody's ids change, the caller's rights are enough all along. */
static bool enters_late(const struct plan *plan)
{
	return wants_cgroup(plan) && !plan->enter && plan->caller_uid == 0 &&
	       (plan->caller == CALLER_ROOT_HOST || plan->caller == CALLER_ROOT_REMAPPED);
}

bool wants_limits(const struct plan *plan)
{
	return wants_cgroup(plan) && plan->resources.n != 0 &&
	       (!enters_late(plan) || cgroup_limits_are_in(plan->cgroup_host, &plan->resources, CGROUP_IN_V2));
}

bool wants_limits_late(const struct plan *plan)
{
	return enters_late(plan) && cgroup_limits_are_in(plan->cgroup_host, &plan->resources, CGROUP_IN_V1);
}

bool wants_scope(const struct plan *plan)
{
	return plan->cgroup_path && plan->cgroup_manager == CGROUP_MANAGER_SYSTEMD && !plan->enter;
}

bool wants_scope_limits(const struct plan *plan)
{
	return wants_scope(plan) && plan->resources.n != 0;
}

bool wants_scope_entered(const struct plan *plan)
{
	return plan->cgroup_path && plan->cgroup_manager == CGROUP_MANAGER_SYSTEMD && plan->enter;
}

static bool has_v1_groups(const struct plan *plan)
{
	for (enum cgroup_ctl c = 0; plan->cgroup_path && c < CGROUP_CONTROLLER_COUNT; c++)
		if ((plan->controllers & 1U << c) && cgroup_on_v1(plan->cgroup_host, c))
			return true;
	return false;
}

bool wants_v1_groups(const struct plan *plan)
{
	return has_v1_groups(plan) && !enters_late(plan);
}

bool wants_v1_groups_late(const struct plan *plan)
{
	return has_v1_groups(plan) && enters_late(plan);
}

bool wants_cgroupns_later(const struct plan *plan)
{
	return plan->namespaces_later & CLONE_NEWCGROUP;
}

/* On a hybrid host the v2 hierarchy has no controllers, so there is nothing to read in it; groups can be made all the same. */
bool wants_cgroup_mount(const struct plan *plan)
{
	return !plan_is_bundle(plan) && plan->cgroup_path && *plan->cgroup_host->v2_mount &&
	       (plan->cgroup_host->v2_controller[CGROUP_MEMORY] || plan->cgroup_writable);
}

/* Where the group belongs to container root already, its controllers are what is left to hand down. */
bool wants_cgroup_delegate(const struct plan *plan)
{
	return plan->cgroup_writable && wants_cgroup(plan) && *plan->cgroup_host->v2_mount;
}

bool wants_scope_delegate(const struct plan *plan)
{
	return plan->cgroup_writable && wants_scope(plan) && *plan->cgroup_host->v2_mount;
}

bool wants_view(const struct plan *plan, enum ns_kind kind)
{
	static const char *const types[NS_COUNT] = {
		[NS_PID] = "proc", [NS_NET] = "sysfs", [NS_IPC] = "mqueue", [NS_CGROUP] = "cgroup2"
	};
	const struct plan_bundle *bundle = plan->bundle;

	for (size_t i = 0; bundle && types[kind] && i < bundle->n_mounts; i++)
		if (bundle->mounts[i].type && streq(bundle->mounts[i].type, types[kind]))
			return true;
	return !bundle && types[kind] && (kind != NS_CGROUP || wants_cgroup_mount(plan));
}

static bool provided(const struct plan *plan, enum ns_kind kind)
{
	return plan->ns[kind].use == NS_HOST && plan_ns_view(plan, kind) == NS_VIEW_PROVIDED && wants_view(plan, kind);
}

bool wants_proc_provided(const struct plan *plan)
{
	return provided(plan, NS_PID);
}

bool wants_sys_provided(const struct plan *plan)
{
	return provided(plan, NS_NET);
}

bool wants_mqueue_provided(const struct plan *plan)
{
	return provided(plan, NS_IPC);
}

bool wants_cgroup_provided(const struct plan *plan)
{
	return provided(plan, NS_CGROUP);
}

bool wants_userns(const struct plan *plan)
{
	return plan_has_userns(plan);
}

/* A joined one has them. */
bool wants_maps(const struct plan *plan)
{
	return plan->namespaces & CLONE_NEWUSER;
}

bool wants_time(const struct plan *plan)
{
	return plan->namespaces_later & CLONE_NEWTIME;
}

bool wants_time_offsets(const struct plan *plan)
{
	const struct time_offset *a = &plan->monotonic, *b = &plan->boottime;

	return wants_time(plan) && (a->seconds || a->nanoseconds || b->seconds || b->nanoseconds);
}

bool wants_hostname(const struct plan *plan)
{
	if (plan_is_bundle(plan)) /* config.json may name one for a namespace that it joins, and none for its own */
		return plan->hostname != NULL;
	return plan_owns_ns(plan, NS_UTS);
}

bool wants_loopback(const struct plan *plan)
{
	return plan_owns_ns(plan, NS_NET);
}

bool wants_setgroups_denied(const struct plan *plan)
{
	return plan->deny_setgroups && wants_maps(plan); /* otherwise it is so already */
}

bool runtime_opens(const struct plan *plan)
{
	return plan->performer[WORK_SOURCES] == BY_RUNTIME;
}

bool runtime_opens_volumes(const struct plan *plan)
{
	return runtime_opens(plan) && plan->n_sources;
}

bool init_opens(const struct plan *plan)
{
	return plan->performer[WORK_SOURCES] == BY_INIT;
}

bool init_opens_volumes(const struct plan *plan)
{
	return init_opens(plan) && plan->n_sources;
}

bool wants_rootfs_idmap(const struct plan *plan)
{
	return plan->rootfs.view == VIEW_IDMAPPED && !wants_overlay_outside(plan); /* which needs it mapped before */
}

bool wants_root_detach(const struct plan *plan)
{
	return wants_root(plan) && (!plan_is_bundle(plan) || !plan->bundle->no_pivot);
}

bool wants_root_readonly(const struct plan *plan)
{
	const struct plan_bundle *bundle = plan->bundle;

	if (!bundle)
		return false;
	for (size_t i = 0; i < bundle->n_mounts; i++)
		if (!bundle->mounts[i].bind && (bundle->mounts[i].attr_set & MOUNT_ATTR_RDONLY))
			return true;
	return bundle->root_readonly || bundle->rootfs_propagation;
}

bool wants_volumes(const struct plan *plan)
{
	return plan->n_mounts > 0;
}

static bool any_volume(const struct plan *plan, enum tree_view view)
{
	for (size_t i = 0; i < plan->n_sources; i++)
		if (plan->sources[i].view == view)
			return true;
	return false;
}

bool wants_volumes_idmap(const struct plan *plan)
{
	return any_volume(plan, VIEW_IDMAPPED);
}

bool wants_owner_volumes(const struct plan *plan)
{
	return any_volume(plan, VIEW_OWNER_ONLY);
}

bool wants_overlay(const struct plan *plan)
{
	return plan->ephemeral && !plan->rootfs_copied && !wants_overlay_outside(plan);
}

bool wants_overlay_outside(const struct plan *plan)
{
	return plan->ephemeral && !plan->rootfs_copied && plan->performer[WORK_OVERLAY] == BY_RUNTIME;
}

bool wants_device_filter(const struct plan *plan)
{
	return plan->device_filter != DEVICE_FILTER_NONE && wants_cgroup(plan);
}

bool wants_scope_filter(const struct plan *plan)
{
	return plan->device_filter != DEVICE_FILTER_NONE && wants_scope(plan);
}

bool wants_devices(const struct plan *plan)
{
	return plan->n_devices > 0;
}

bool runtime_makes_devices(const struct plan *plan)
{
	return plan->n_devices && plan->performer[WORK_DEVICES] == BY_RUNTIME;
}

bool init_opens_devices(const struct plan *plan)
{
	return plan->n_devices && plan->performer[WORK_DEVICES] == BY_INIT;
}

bool wants_rlimits(const struct plan *plan)
{
	return plan->n_rlimits > 0;
}

bool wants_terminal(const struct plan *plan)
{
	return plan->terminal;
}

bool wants_no_terminal(const struct plan *plan)
{
	return !plan->terminal;
}

bool wants_stdin_null(const struct plan *plan)
{
	return plan->stdin_null;
}

bool wants_reaper(const struct plan *plan)
{
	return plan->reaper;
}

/* Under a reaper the kernel ends the workload with PID 1, unless the reaper is none; the parent-death signal is otherwise init's alone. */
bool wants_direct_workload(const struct plan *plan)
{
	return (!plan->reaper || !plan_owns_ns(plan, NS_PID)) && !wants_release(plan) && !wants_gate(plan);
}

bool wants_oom_score(const struct plan *plan)
{
	return plan->has_oom_score_adj;
}

bool wants_etc(const struct plan *plan)
{
	return plan->etc_wanted;
}

bool wants_readonly_paths(const struct plan *plan)
{
	return plan->readonly_paths && *plan->readonly_paths;
}

bool wants_masks(const struct plan *plan)
{
	return plan->asked_masks || (plan->masked_paths && *plan->masked_paths);
}

bool wants_sysctls(const struct plan *plan)
{
	return plan->n_sysctls > 0;
}

bool wants_domainname(const struct plan *plan)
{
	return plan->domainname != NULL;
}

bool wants_umask(const struct plan *plan)
{
	return plan->umask != 022; /* what init has already */
}

bool wants_caps_bound(const struct plan *plan)
{
	return caps_all() & ~plan->caps.bounding;
}

bool wants_no_new_privs(const struct plan *plan)
{
	return plan->no_new_privs;
}

bool wants_seccomp(const struct plan *plan)
{
	return plan->seccomp != NULL;
}

bool wants_caps_final(const struct plan *plan)
{
	return plan->seccomp && !plan->no_new_privs;
}

bool enters_container(const struct plan *plan)
{
	return plan->enter != NULL;
}

bool wants_cgroupns_entered(const struct plan *plan)
{
	return plan->enter && plan->enter->cgroupns;
}

bool wants_release(const struct plan *plan)
{
	return plan->detached && (plan->enter || (plan_is_bundle(plan) && !plan->bundle->gated));
}
