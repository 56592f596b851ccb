/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/launch/launch.h>

#include <nsrun/launch/channel.h>
#include <nsrun/launch/runner.h>
#include <nsrun/launch/steps.h>
#include <nsrun/launch/supervise.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/notify.h>
#include <nsrun/kernel/reaper.h>
#include <nsrun/kernel/root.h>
#include <nsrun/plan/limits.h>

#include <string.h>

/* Of the group: before it is removed. */
static void read_events(const struct launch *launch, struct launch_result *ret)
{
	const struct plan *plan = launch->plan;

	if (!plan->cgroup_path)
		return;
	cgroup_read_events(plan->cgroup_host, plan->cgroup_path, &ret->events);
	if (plan->enter) {
		/* What happened to others of the container is not told as if it had happened to this process. */
		if (ret->signal != SIGKILL || ret->events.oom_kills <= launch->oom_kills_before)
			ret->events.oom_kills = 0;
		ret->events.forks_refused = 0;
	}
}

/* The row at which a child was when it died, for a message. */
static const struct step *last_row_of_child(const struct tape *tape, enum role *ret_role)
{
	const enum step_id last = tape_last_row(tape, ret_role);

	if (last != STEP_NONE)
		return &score[last];
	*ret_role = ROLE_INIT;
	return &score[STEP_INIT_CLONE];
}

/* Of the group that this launch has made, with a limit. */
static uint64_t oom_kills(const struct plan *plan)
{
	return (plan->controllers & 1U << CGROUP_MEMORY) && plan->cgroup_path && !plan->enter
		       ? cgroup_oom_kills(plan->cgroup_host, plan->cgroup_path)
		       : 0;
}

/* As it was said: of the limits of this launch's own group, at which the kernel kills. */
static const char *memory_limit_met(const struct plan *plan, char *buf, size_t size)
{
	const struct cgroup_value *limit = limits_memory(&plan->resources);
	char label[96];

	if (!limit)
		return "for want of memory";
	snprintf(buf, size, "at the limit of %s", cgroup_resource_label(limit, label, sizeof(label)));
	return buf;
}

/* Init ended before it executed the workload: says why, from the tape or from how it was killed. */
static int explain_end_of_child(struct launch *launch, struct err *err)
{
	const struct tape *tape = launch->tape;
	char limit[128];
	siginfo_t info;

	if (tape_failure(tape, err)) {
		if (err->id == ERR_ID_NONE && launch->plan->n_rlimits > 0 &&
		    (err->errnum == EMFILE || err->errnum == EFBIG))
			err->id = ERR_ID_ULIMIT_TOO_SMALL;
		return err->errnum ? -err->errnum : -EINVAL;
	}
	*err = ERR_INIT;
	int r = pidref_wait(&launch->init, &info, WEXITED | WNOWAIT, err);
	if (r < 0)
		return r;

	enum role role;
	const struct step *step = last_row_of_child(tape, &role);
	/* A reaper ends with the status of its workload, which then says the signal. */
	if (role == ROLE_WORKLOAD && launch->plan->reaper && info.si_code == CLD_EXITED && info.si_status > 128) {
		info.si_code = CLD_KILLED;
		info.si_status -= 128;
	}
	if (info.si_code == CLD_EXITED)
		r = err_set(err, ERR_PEER, ERR_ID_NONE, ESRCH,
			    "%s ended with status %d before it executed the workload", role_name(role), info.si_status);
	else if (info.si_status == SIGKILL && oom_kills(launch->plan) > 0)
		r = err_set(err, ERR_PEER, ERR_ID_MEMORY_TOO_SMALL, ESRCH,
			    "%s was killed %s before it executed the workload", role_name(role),
			    memory_limit_met(launch->plan, limit, sizeof(limit)));
	else
		r = err_set(err, ERR_PEER, ERR_ID_NONE, ESRCH,
			    "%s was killed by signal %d (SIG%s) before it executed the workload", role_name(role),
			    info.si_status, sigabbrev_np(info.si_status) ? sigabbrev_np(info.si_status) : "?");
	err->step = step->id;
	err->role = role;
	return r;
}

/* Returns 0 once the workload is executing. */
static int await_exec(struct launch *launch, struct err *err)
{
	struct tape *tape = launch->tape;
	struct tape_record *exec = &tape->records[STEP_WORKLOAD_EXEC];

	const int r = channel_wait_end(launch->channel, &launch->init, err);
	if (r < 0)
		return r;
	if (atomic_load_explicit(&tape->child_failed, memory_order_acquire) ||
	    atomic_load_explicit(&exec->state, memory_order_acquire) != TAPE_BEGUN)
		return explain_end_of_child(launch, err);

	/* execve closed the channel, or the process was killed within it: then its wait status says so like any other's. */
	exec->end_ns = tape_now(tape);
	atomic_store_explicit(&exec->state, TAPE_OK, memory_order_release);
	return 0;
}

/* A child's walk has ended: it failed, or it is the reaper. */
static _Noreturn void child_ends(struct launch *launch, int result, const struct err *err)
{
	struct tape *tape = launch->tape;

	if (result < 0) {
		if (launch->root_stacked)
			(void)root_unstack(launch->root_fd, NULL);
		if (!atomic_exchange(&tape->child_claimed, 1)) {
			tape->child_error = *err;
			atomic_store_explicit(&tape->child_failed, 1, memory_order_release);
		}
		_exit(err_exit_status(err));
	}
	_exit(reaper_run(launch->workload));
}

/* PID 1 of a pid namespace leaves its namespaces, then kills all others, and ends when they are reaped (pid_namespaces(7)), ours by us: its
 * pidfd alone would tell too late. */
static bool is_ending(const struct pidref *process)
{
	char path[64], target[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)process->pid);
	return pidref_ended(process) || (readlink(path, target, sizeof(target)) < 0 && errno == ENOENT);
}

/* exec: whatever failed, failed because the container ended under it. */
static int explain_end_of_container(struct launch *launch, int result, struct err *err)
{
	const struct plan_enter *enter = launch->plan->enter;

	if (!enter || !is_ending(enter->process))
		return result;
	*err = (struct err){ .step = err->step, .role = err->role };
	return err_set(err, ERR_SYSTEM, ERR_ID_NOT_RUNNING, ESRCH, "%s: it ended while CMD was being started",
		       enter->label);
}

static int walk_and_supervise(struct launch *launch, const struct signals *signals,
			      const struct launch_observer *observer, struct launch_result *ret, struct err *err)
{
	const struct plan *plan = launch->plan;

	if (plan->enter && plan->cgroup_path)
		launch->oom_kills_before = cgroup_oom_kills(plan->cgroup_host, plan->cgroup_path);
	int r = runner_walk(launch, err);
	if (!(launch->roles & ROLE_RUNTIME))
		child_ends(launch, r, err);
	/* When init has ended, that is the cause, whatever the runtime's own row met because of it. The kernel closes the channel of
	 * a dying process before its pidfd becomes readable, so the channel's end is waited upon, too. */
	/* A child that failed and is about to end has said so on the tape: its files in /proc are closed to the runtime by then (EACCES). */
	if (r < 0 && launch->init.fd >= 0 &&
	    (err->kind == ERR_PEER || pidref_ended(&launch->init) ||
	     atomic_load_explicit(&launch->tape->child_failed, memory_order_acquire)))
		r = explain_end_of_child(launch, err);
	if (r == 0 && wants_gate(plan)) {
		launch->stays = true;
		return 0;
	}
	if (r == 0)
		r = await_exec(launch, err);
	if (r < 0)
		return explain_end_of_container(launch, r, err);
	launch->current = STEP_NONE;
	launch->begun = true;
	if (observer)
		observer->begun(launch, observer->data);
	if (plan_is_bundle(plan)) {
		r = launch_poststart(launch, err);
		if (r < 0)
			return r;
	}

	if (wants_release(plan)) {
		launch->stays = plan_is_bundle(plan);
		/* It runs: who cannot be told any more is no reason to end it. */
		if (launch->notify >= 0)
			(void)notify_wait(launch->notify, plan->bundle->notify, &launch->init, signals->fd, NULL);
		pidref_close(&launch->init); /* it stays: nothing to kill, and whoever reaps orphans here reaps it */
		return 0;
	}
	_cleanup_(oom_watch_close) struct oom_watch oom = OOM_WATCH_NONE;
	if (wants_scope(plan) && (plan->controllers & 1U << CGROUP_MEMORY))
		oom_watch_open(&oom, plan->cgroup_host, plan->cgroup_path);
	const struct supervision supervision = {
		.init = &launch->init,
		.signals = signals,
		.pty_master = launch->pty_master,
		.outputs = { launch->outputs[0], launch->outputs[1] },
		.input = launch->input,
		.no_caller = plan->keeper,
		.stdin_fd = STDIN_FILENO,
		.stdout_fd = STDOUT_FILENO,
		.stderr_fd = STDERR_FILENO,
		.log = launch->log,
		.server = launch->server,
		.terminal_saved = plan->terminal && !plan->keeper ? &launch->terminal_saved : NULL,
		.reaper = plan->reaper,
		.oom = oom.host ? &oom : NULL,
		.notify = launch->notify,
		.notify_address = plan->bundle ? plan->bundle->notify : NULL,
	};
	struct supervised end = { 0 };
	r = supervise(&supervision, &end, err);
	if (r < 0)
		return r;
	ret->exit_status = end.status;
	ret->signal = end.signal;
	if (launch->log)
		log_writer_end(launch->log, ret->log_error, sizeof(ret->log_error));
	ret->server = TAKE_PTR(launch->server);
	pidref_close(&launch->init); /* reaped: nothing to kill any more */
	read_events(launch, ret);
	if (oom.host) /* systemd may have removed the group first */
		ret->events.oom_kills = oom_watch_kills(&oom, end.signal == SIGKILL);
	return 0;
}

static void launch_end(struct launch *launch)
{
	int *const fds[] = {
		&launch->channel,   &launch->channel_child, &launch->cgroup_fd,	  &launch->rootfs_mount,
		&launch->root_fd,   &launch->proc_fd,	    &launch->sys_fd,	  &launch->dev_fd,
		&launch->pts_fd,    &launch->pty_peer,	    &launch->pty_master,  &launch->client,
		&launch->null_fd,   &launch->cidfile_dir,   &launch->pidfile_dir, &launch->devices_mount,
		&launch->host_proc, &launch->listener,	    &launch->rdt_root,	  &launch->gate,
		&launch->notify,
	};

	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		closep(fds[i]);
	for (enum ns_kind kind = 0; kind < NS_COUNT; kind++) {
		closep(&launch->joined[kind]);
		closep(&launch->provided[kind]);
	}
	closep(&launch->userns_fd);
	cgroup_close_tasks(launch->tasks_fds);
	pidref_close(&launch->runtime);
	pidref_close(&launch->init);
	for (size_t i = 0; launch->source_mounts && i < launch->plan->n_sources; i++)
		closep(&launch->source_mounts[i]);
	free(launch->source_mounts);
	for (size_t i = 0; launch->device_mounts && i < launch->plan->n_devices; i++)
		closep(&launch->device_mounts[i]);
	free(launch->device_mounts);
	for (size_t i = 0; i < launch->n_late_mounts; i++)
		closep(&launch->late_mounts[i]);
	free(launch->late_mounts);
	free(launch->listener_message);
	free(launch->netdevs_moved);
	netdev_way_close(&launch->netdev_way);
	arena_free(launch->arena);
}

static int launch_begin(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;

	launch->source_mounts = calloc(plan->n_sources + 1, sizeof(int));
	launch->device_mounts = calloc(plan->n_devices + 1, sizeof(int));
	if (!launch->source_mounts || !launch->device_mounts)
		return err_oom(err);
	for (size_t i = 0; i < plan->n_sources; i++)
		launch->source_mounts[i] = FD_NONE;
	for (size_t i = 0; i < plan->n_devices; i++)
		launch->device_mounts[i] = FD_NONE;
	for (enum ns_kind kind = 0; kind < NS_COUNT; kind++)
		launch->joined[kind] = launch->provided[kind] = FD_NONE;
	for (enum step_id id = STEP_NONE + 1; id < STEP_COUNT; id++)
		launch->wanted[id] = score_wants(plan, id);
	/* Inherited by init, which watches it: end of file alone would not tell a runtime whose channel somebody else holds. */
	return pidref_open(getpid(), &launch->runtime, err);
}

int launch_run(const struct plan *plan, struct reservation *reservation, struct tape *tape,
	       const struct launch_caller *caller, const struct launch_observer *observer, struct launch_result *ret,
	       struct err *err, struct err *cleanup_err)
{
	struct launch launch = {
		.plan = plan,
		.reservation = reservation,
		.roles = ROLE_RUNTIME,
		.tape = tape,
		.watched = tape->watchable,
		.channel = FD_NONE,
		.channel_child = FD_NONE,
		.runtime = PIDREF_NONE,
		.init = PIDREF_NONE,
		.cgroup_fd = FD_NONE,
		.tasks_fds = { [0 ... CGROUP_CONTROLLER_COUNT - 1] = FD_NONE },
		.userns_fd = FD_NONE,
		.rootfs_mount = FD_NONE,
		.devices_mount = FD_NONE,
		.root_fd = FD_NONE,
		.proc_fd = FD_NONE,
		.sys_fd = FD_NONE,
		.dev_fd = FD_NONE,
		.null_fd = FD_NONE,
		.cidfile_dir = FD_NONE,
		.pidfile_dir = FD_NONE,
		.pts_fd = FD_NONE,
		.host_proc = FD_NONE,
		.listener = FD_NONE,
		.rdt_root = FD_NONE,
		.netdev_way = NETDEV_WAY_NONE,
		.pty_peer = FD_NONE,
		.pty_master = FD_NONE,
		.outputs = { FD_NONE, FD_NONE },
		.input = FD_NONE,
		.workload_fds = { FD_NONE, FD_NONE, FD_NONE },
		.gate = FD_NONE,
		.notify = FD_NONE,
		.client = caller ? caller->client : FD_NONE,
		.size = caller ? caller->size : (struct winsize){ 0 },
		.terminal_guard = TTY_GUARD_NONE,
	};
	struct launch_result result = { 0 };
	struct signals signals = SIGNALS_NONE;

	int r = runner_take_fault(&launch.fault, err);
	if (r == 0)
		r = launch_begin(&launch, err);
	if (r == 0)
		r = signals_begin(&signals, err);
	if (r == 0)
		r = walk_and_supervise(&launch, &signals, observer, &result, err);
	if (!launch.stays)
		runner_undo(&launch, cleanup_err);
	result.stays = launch.stays;
	launch_end(&launch);
	signals_end(&signals);
	if (r < 0)
		return r;
	*ret = result;
	return 0;
}
