/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of the runtime: it keeps the caller's privileges. */
#include <nsrun/launch/steps.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/creds.h>
#include <nsrun/kernel/join.h>
#include <nsrun/kernel/probe.h>
#include <nsrun/launch/channel.h>

#include <linux/sched.h>
#include <string.h>

/* How long the end of a container may take: everything in the group has been sent SIGKILL by then. */
#define CGROUP_DESTROY_MS 10000

int runtime_state_record(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;

	if (plan_is_bundle(plan) && wants_cgroup(plan))
		cgroup_look_stood(plan->cgroup_host, plan->cgroup_path, plan->controllers, &launch->reservation->stood);
	return state_record(plan, launch->reservation, err);
}

int runtime_state_init(struct launch *launch, struct err *err)
{
	return state_record_init(launch->reservation, launch->init.pid, false, err);
}

/* Those of a one-shot container are made with the limits that are written there. */
static int make_v1_groups(const struct plan *plan, struct err *err)
{
	int r = 0;

	for (enum cgroup_ctl c = 0; r == 0 && c < CGROUP_CONTROLLER_COUNT; c++) {
		_cleanup_close_ int fd = FD_NONE;
		bool made;

		if ((plan->controllers & 1U << c) && cgroup_on_v1(plan->cgroup_host, c))
			r = cgroup_make_v1(plan->cgroup_host, plan->cgroup_path, c, &fd, &made, err);
		if (fd >= 0 && made)
			cgroup_mark(plan->cgroup_host->v1_mount[c], plan->cgroup_path, plan->id);
	}
	return r;
}

int runtime_cgroup_create(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;
	bool made = false;
	int r = 0;

	if (plan_is_bundle(plan)) /* its path was named by others, and what is in it ends with it */
		r = cgroup_check_unused(plan->cgroup_host, plan->cgroup_path, plan->controllers, err);
	if (r < 0)
		return r;
	if (*plan->cgroup_host->v2_mount)
		r = cgroup_make_v2(plan->cgroup_host, plan->cgroup_path, &launch->cgroup_fd, &made, err);
	else
		launch_note(launch, "no v2 hierarchy: v1 groups alone");
	if (r < 0 || !plan_is_bundle(plan))
		return r;
	if (made)
		cgroup_mark(plan->cgroup_host->v2_mount, plan->cgroup_path, plan->id);
	/* Engines look for their statistics in every hierarchy and at every controller. */
	if (*plan->cgroup_host->v2_mount)
		cgroup_offer_controllers_v2(plan->cgroup_host, plan->cgroup_path);
	r = make_v1_groups(plan, err);
	if (r < 0)
		(void)runtime_cgroup_remove(launch, NULL);
	return r;
}

int runtime_cgroup_remove(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;

	closep(&launch->cgroup_fd);
	launch->cgroup_fd = FD_NONE;
	const struct cgroup_end how = {
		.controllers = plan->controllers,
		.timeout_ms = CGROUP_DESTROY_MS,
		.uids = plan->caller_uid && wants_userns(plan) ? &plan->uids : NULL,
		.gids = &plan->gids,
		.stood = launch->reservation->stood,
	};

	return cgroup_destroy_by(plan->cgroup_host, plan->cgroup_path, &how, err);
}

static int write_limits(struct launch *launch, enum cgroup_side side, struct err *err)
{
	const struct plan *plan = launch->plan;

	return cgroup_apply_limits_in(plan->cgroup_host, plan->cgroup_path, &plan->resources, side, err);
}

int runtime_cgroup_limits(struct launch *launch, struct err *err)
{
	return write_limits(launch, launch->wanted[STEP_CGROUP_LIMITS_LATE] ? CGROUP_IN_V2 : CGROUP_IN_BOTH, err);
}

int runtime_cgroup_limits_late(struct launch *launch, struct err *err)
{
	return write_limits(launch, CGROUP_IN_V1, err);
}

int runtime_cgroup_delegate(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;

	cgroup_offer_controllers_v2(plan->cgroup_host, plan->cgroup_path);
	/* An ordinary user's group belongs to container root already, and without a user namespace root's does. */
	if (plan->caller_uid != 0 || !wants_userns(plan))
		return 0;
	return cgroup_delegate_v2(launch->cgroup_fd, plan->root_uid, plan->root_gid, err);
}

int runtime_cgroup_open(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;
	const struct plan_enter *enter = plan->enter;
	unsigned rest = plan->controllers;
	int r = 0;

	for (enum cgroup_ctl c = 0; r == 0 && enter && c < CGROUP_CONTROLLER_COUNT; c++) {
		if (!enter->group_v1[c] || !cgroup_has_tasks_v1(plan->cgroup_host, plan->controllers, c))
			continue;
		r = cgroup_open_tasks_v1(plan->cgroup_host, enter->group_v1[c], 1U << c, launch->tasks_fds, err);
		for (enum cgroup_ctl other = 0; other < CGROUP_CONTROLLER_COUNT; other++)
			if (streq(plan->cgroup_host->v1_mount[other], plan->cgroup_host->v1_mount[c]))
				rest &= ~(1U << other);
	}
	if (r == 0)
		r = cgroup_open_tasks_v1(plan->cgroup_host, plan->cgroup_path, rest, launch->tasks_fds, err);
	if (r < 0)
		cgroup_close_tasks(launch->tasks_fds);
	return r;
}

int runtime_cgroup_close(struct launch *launch, struct err *err)
{
	(void)err;
	cgroup_close_tasks(launch->tasks_fds);
	return 0;
}

int runtime_channel_open(struct launch *launch, struct err *err)
{
	return channel_open(&launch->channel, &launch->channel_child, err);
}

int runtime_channel_close(struct launch *launch, struct err *err)
{
	(void)err;
	closep(&launch->channel);
	closep(&launch->channel_child);
	launch->channel = launch->channel_child = FD_NONE;
	return 0;
}

static void join_one(struct join *join, const struct launch *launch, enum ns_kind kind)
{
	join->before[join->n_before].fd = launch->joined[kind];
	join->before[join->n_before++].flag = plan_ns_flag(kind);
}

/* What the joined user namespace owns can be entered from within it alone (check_owner in namespaces.c); what it does not own, only before. */
static struct join join_of(struct launch *launch)
{
	static const enum ns_kind order[] = { NS_PID, NS_NET, NS_IPC, NS_UTS, NS_CGROUP, NS_TIME, NS_MNT };
	const struct plan *plan = launch->plan;
	const struct plan_enter *enter = plan->enter;
	struct join join = JOIN_NONE;

	if (enter) {
		join.process = enter->process->fd;
		join.mask = enter->mask;
		join.entered = enter->sheds ? shed_caps : NULL;
		join.data = launch;
		join.helper_placed = enter->sheds;
		return join;
	}
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		if (plan->ns[order[i]].use == NS_JOIN && !plan->ns[order[i]].inside)
			join_one(&join, launch, order[i]);
	if (plan->ns[NS_USER].use == NS_JOIN)
		join_one(&join, launch, NS_USER);
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		if (plan->ns[order[i]].use == NS_JOIN && plan->ns[order[i]].inside)
			join_one(&join, launch, order[i]);
	if (join.n_before) {
		join.entered = provide_joined;
		join.data = launch;
	}
	return join;
}

int runtime_init_clone(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;
	struct clone_args args = { .flags = plan->namespaces };
	const struct join join = join_of(launch);

	if (launch->cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)launch->cgroup_fd;
	}

	struct err refused = ERR_INIT;
	/* Inherited by the helper and init: see renew_bond(). */
	const bool hidden = plan->ns[NS_USER].use == NS_JOIN || plan->enter;
	if (hidden && creds_set_dumpable(false, err) < 0)
		return -err->errnum;
	const long pid = join_clone3(&join, &args, &launch->init, &refused);
	if (hidden && pid != 0)
		(void)creds_set_dumpable(true, NULL);
	/* cgroups(7), nsdelegate: from within a cgroup namespace nothing can be placed outside of it. */
	if (pid == -ENOENT && launch->cgroup_fd >= 0 && plan->ns[NS_CGROUP].use == NS_JOIN && !plan->enter)
		return err_set(
			err, ERR_SYSTEM, ERR_ID_NONE, ENOENT,
			"--cgroupns %s: the container's own group lies outside of that namespace, and cgroup2 is mounted "
			"with nsdelegate",
			plan->ns[NS_CGROUP].word);
	/* CLONE_INTO_CGROUP asks for write permission on the cgroup.procs of the group around both; setns(2) never fails so. */
	if (pid == -EACCES && launch->cgroup_fd >= 0 && plan->enter)
		return err_set(err, ERR_REFUSED, ERR_ID_GROUP_CONTAINMENT, EACCES, "%s: its control group %s",
			       plan->enter->label, plan->cgroup_path);
	if (pid < 0 && (join.n_before || plan->enter)) {
		*err = refused;
		return (int)pid;
	}
	if (pid < 0) {
		const enum err_id id =
			(plan->namespaces & CLONE_NEWUSER) ? probe_userns_refusal(refused.errnum) : ERR_ID_NONE;

		return err_set(err, ERR_SYSTEM, id, refused.errnum, "init: making its namespaces");
	}
	if (pid == 0) {
		/* The group's directory is one of the host: nothing that leads there may be open when paths of the container are resolved. */
		closep(&launch->cgroup_fd);
		launch->cgroup_fd = FD_NONE;
		log_writer_free(TAKE_PTR(launch->log));
		control_server_free(TAKE_PTR(launch->server));
		launch_close_streams(launch, true, false);
		closep(&launch->channel);
		launch->channel = TAKE_FD(launch->channel_child);
		launch->roles = ROLE_INIT | (plan->reaper ? 0 : ROLE_WORKLOAD);
		return 0;
	}
	closep(&launch->channel_child);
	launch->channel_child = FD_NONE;
	cgroup_close_tasks(launch->tasks_fds);
	/* Its end of file is for the listener: the process that loads the filter has the only one. */
	closep(&launch->listener);
	launch->listener = FD_NONE;
	launch_close_streams(launch, false, true);
	return 0;
}

int runtime_init_kill(struct launch *launch, struct err *err)
{
	siginfo_t info;

	if (!pidref_valid(&launch->init))
		return 0;
	int r = pidref_kill(&launch->init, SIGKILL, err);
	if (r == 0)
		r = pidref_wait(&launch->init, &info, WEXITED, err);
	pidref_close(&launch->init);
	return r;
}

int runtime_ids_setgroups(struct launch *launch, struct err *err)
{
	return idmap_deny_setgroups(&launch->init, err);
}

static int write_map(struct launch *launch, const char *file, const char *program, const struct idmap *map,
		     struct err *err)
{
	if (launch->plan->performer[WORK_MAPS] == BY_HELPER) {
		launch_note(launch, "%s", program);
		return idmap_write_by_helper(&launch->init, program, map, err);
	}
	return idmap_write(&launch->init, file, map, err);
}

int runtime_ids_uids(struct launch *launch, struct err *err)
{
	return write_map(launch, "uid_map", "newuidmap", &launch->plan->uids, err);
}

int runtime_ids_gids(struct launch *launch, struct err *err)
{
	return write_map(launch, "gid_map", "newgidmap", &launch->plan->gids, err);
}

int runtime_rlimits_set(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;

	for (size_t i = 0; i < plan->n_rlimits; i++) {
		const int r = rlimit_apply(&launch->init, &plan->rlimits[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

int runtime_oom_score(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;

	return oom_score_write(&launch->init, plan->oom_score_adj,
			       plan_is_bundle(plan) ? "process.oomScoreAdj:" : "--oom-score-adj", err);
}

int runtime_terminal_guard(struct launch *launch, struct err *err)
{
	const int r = tty_save(STDIN_FILENO, &launch->terminal_saved, err);

	return r < 0 ? r : tty_guard_start(STDIN_FILENO, &launch->terminal_saved, &launch->terminal_guard, err);
}

int runtime_terminal_unguard(struct launch *launch, struct err *err)
{
	(void)err;
	tty_guard_end(&launch->terminal_guard);
	return 0;
}

int runtime_terminal_raw(struct launch *launch, struct err *err)
{
	(void)tty_copy_size(STDIN_FILENO, launch->pty_master);
	return tty_set_raw(STDIN_FILENO, &launch->terminal_saved, err);
}

int runtime_terminal_restore(struct launch *launch, struct err *err)
{
	const int r = tty_restore(STDIN_FILENO, &launch->terminal_saved);

	/* A terminal that was hung up answers EIO: there is nothing left to restore, and so nothing left behind. */
	if (r < 0 && r != -EIO) {
		errno = -r;
		return err_system(err, "standard input: restoring the terminal's settings");
	}
	return 0;
}
