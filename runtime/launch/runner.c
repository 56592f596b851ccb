/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/launch/runner.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/probe.h>
#include <nsrun/launch/channel.h>

#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>

/* Which of this process' roles takes the row; 0 when none does. */
static enum role role_for(const struct launch *launch, const struct step *step)
{
	if (launch->roles & step->role)
		return step->role;
	if (step->kind == STEP_SYNC && (launch->roles & step->peer))
		return step->peer;
	return 0;
}

#ifdef NSRUN_FAULT_POINTS
int runner_take_fault(struct fault *ret, struct err *err)
{
	const char *text = getenv("NSRUN_FAULT");
	char row[64];

	*ret = (struct fault){ 0 };
	if (!text)
		return 0;
	const char *action = strchr(text, '=');
	if (!action || (size_t)(action - text) >= sizeof(row))
		return err_input(err, "NSRUN_FAULT=%s: ROW=ERRNO|KILL|KILL_AFTER is wanted", text);
	memcpy(row, text, (size_t)(action - text));
	row[action++ - text] = '\0';
	ret->step = score_find(row);
	if (ret->step == STEP_NONE)
		return err_input(err, "NSRUN_FAULT=%s: no such row", text);
	if (streq(action, "KILL"))
		ret->kind = FAULT_KILL;
	else if (streq(action, "KILL_AFTER"))
		ret->kind = FAULT_KILL_AFTER;
	else
		ret->kind = FAULT_ERRNO;
	for (int i = 1; ret->kind == FAULT_ERRNO && i < 200 && !ret->errnum; i++) {
		const char *name = strerrorname_np(i);

		if (name && streq(name, action))
			ret->errnum = i;
	}
	if (ret->kind == FAULT_ERRNO && !ret->errnum)
		return err_input(err, "NSRUN_FAULT=%s: no such errno", text);
	return 0;
}

static int meet_fault(const struct launch *launch, const struct step *step, bool after, struct err *err)
{
	if (launch->fault.step != step->id || launch->fault.kind == FAULT_NONE || !(launch->roles & step->role))
		return 0;
	if (launch->fault.kind == (after ? FAULT_KILL_AFTER : FAULT_KILL)) {
		kill(getpid(), SIGKILL);
		/* Still here: PID 1 of a pid namespace is immune to signals from inside (pid_namespaces(7)). The test finds this name
		 * and kills from outside. */
		prctl(PR_SET_NAME, "nsrun-kill-me");
		for (;;)
			pause();
	}
	if (launch->fault.kind == FAULT_ERRNO && !after)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, launch->fault.errnum, "fault point");
	return 0;
}
#else
int runner_take_fault(struct fault *ret, struct err *err)
{
	(void)err;
	*ret = (struct fault){ 0 };
	return 0;
}

static int meet_fault(const struct launch *launch, const struct step *step, bool after, struct err *err)
{
	(void)launch;
	(void)step;
	(void)after;
	(void)err;
	return 0;
}
#endif

/* The descriptors that a sync hands over, the same in both processes: the plan says which there are. */
static size_t carried(struct launch *launch, const struct step *step, int *ret[CHANNEL_FDS_MAX])
{
	const struct plan *plan = launch->plan;
	size_t n = 0;

	_Static_assert(CGROUP_CONTROLLER_COUNT <= CHANNEL_FDS_MAX, "a file of each hierarchy fits");
	if (step->id == STEP_SYNC_MOUNTED && launch->wanted[STEP_TERMINAL_OPEN])
		ret[n++] = &launch->pty_master;
	if (step->id == STEP_SYNC_GROUPED)
		for (enum cgroup_ctl c = 0; c < CGROUP_CONTROLLER_COUNT; c++)
			if (cgroup_has_tasks_v1(plan->cgroup_host, plan->controllers, c))
				ret[n++] = &launch->tasks_fds[c];
	return n;
}

static int run_sync(struct launch *launch, const struct step *step, struct err *err)
{
	int *places[CHANNEL_FDS_MAX], fds[CHANNEL_FDS_MAX];
	const size_t n = carried(launch, step, places);

	if (step->id > STEP_SECCOMP_LOAD && !(launch->roles & ROLE_RUNTIME))
		return (launch->roles & step->role) ? channel_write(launch->channel, step->id, err)
						    : channel_read(launch->channel, step->id, err);

	if (launch->roles & step->role) {
		for (size_t i = 0; i < n; i++)
			fds[i] = *places[i];
		const int sent = channel_send(launch->channel, step->id, fds, n, err);

		/* They are the other's now: the end of the runtime's pty master must be the terminal's hang-up. */
		for (size_t i = 0; i < n; i++) {
			closep(places[i]);
			*places[i] = FD_NONE;
		}
		return sent;
	}

	const struct pidref *peer = (launch->roles & ROLE_RUNTIME) ? &launch->init : &launch->runtime;
	const int r = channel_expect(launch->channel, peer, step->id, fds, n, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		*places[i] = fds[i];
	return 0;
}

/* seccomp(2): a filter chooses the error itself, so nothing but its presence tells that it may be the cause. */
static void explain_filter(const struct launch *launch, const struct step *step, struct err *err)
{
	if (err->kind != ERR_SYSTEM || err->id != ERR_ID_NONE || (err->errnum != EPERM && err->errnum != ENOSYS))
		return;
	if (step->id < STEP_SECCOMP_LOAD && probe_filtered())
		err->id = ERR_ID_SECCOMP_AROUND;
	else if (step->id > STEP_CAPS_FINAL && step->id < STEP_WORKLOAD_EXEC && launch->plan->seccomp)
		err->id = ERR_ID_SECCOMP_GATE;
}

static int run_step(struct launch *launch, const struct step *step, enum role role, struct err *err)
{
	struct tape *tape = launch->tape;
	struct tape_record *record = &tape->records[step->id];
	const bool recorded = role == step->role;

	launch->current = step->id;
#ifndef NSRUN_UNWATCHED /* tests/bench measures what this costs where nobody watches */
	if (launch->watched && recorded)
		tape_stand(tape, step->id, role);
#endif
	atomic_store_explicit(&tape->at[role_index(role)], step->id, memory_order_release);
	if (recorded) {
		record->role = role;
		record->begin_ns = tape_now(tape);
		record->pid = tape->timed ? getpid() : 0;
		atomic_store_explicit(&record->state, TAPE_BEGUN, memory_order_release);
	}

	int r = meet_fault(launch, step, false, err);
	if (r == 0)
		r = step->kind == STEP_SYNC ? run_sync(launch, step, err) : step->run(launch, err);
	/* After a fork both are here; the row belongs to the process that forked. */
	if (recorded && (launch->roles & role)) {
		record->end_ns = tape_now(tape);
		record->errnum = r < 0 ? -r : 0;
		atomic_store_explicit(&record->state, r < 0 ? TAPE_FAILED : TAPE_OK, memory_order_release);
	}
	if (r < 0) {
		if (err->step == ERR_STEP_NONE) {
			err->step = step->id;
			err->role = role;
			explain_filter(launch, step, err);
		}
		return r;
	}
	launch->done[step->id] = true;
	return meet_fault(launch, step, true, err);
}

int runner_walk(struct launch *launch, struct err *err)
{
	for (enum step_id id = STEP_NONE + 1; id < STEP_COUNT; id++) {
		const struct step *step = &score[id];
		const enum role role = launch->wanted[id] ? role_for(launch, step) : 0;

		if (!role)
			continue;
		const int r = run_step(launch, step, role, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int runner_undo(struct launch *launch, struct err *err)
{
	int result = 0;

	for (enum step_id id = STEP_COUNT - 1; id > STEP_NONE; id--) {
		const struct step *step = &score[id];
		struct err one = ERR_INIT;

		if (!launch->done[id] || !step->undo)
			continue;
		launch->done[id] = false;
		const int r = step->undo(launch, &one);
		if (r < 0 && result == 0) {
			result = r;
			one.step = id;
			one.role = ROLE_RUNTIME;
			*err = one;
		}
	}
	return result;
}

void launch_note(struct launch *launch, const char *fmt, ...)
{
	struct tape_record *record = &launch->tape->records[launch->current];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(record->note, sizeof(record->note), fmt, ap);
	va_end(ap);
}
