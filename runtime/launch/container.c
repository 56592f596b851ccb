/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/launch/container.h>

#include <nsrun/launch/hooks.h>
#include <nsrun/plan/oci_state.h>

/* What the observer tells, and that the workload was executed. */
struct watcher {
	const struct launch_observer *next;
	bool begun;
};

static void note_begun(const struct launch *launch, void *data)
{
	struct watcher *watcher = data;

	watcher->begun = true;
	/* Of a bundle's container the lock means that it is being created; delete takes it. */
	if (plan_is_bundle(launch->plan)) {
		(void)state_record_init(launch->reservation, launch->init.pid, true, NULL); /* it has ended already */
		closep(&launch->reservation->lock_fd);
		launch->reservation->lock_fd = FD_NONE;
	}
	if (watcher->next)
		watcher->next->begun(launch, watcher->next->data);
}

static void first(struct err *err, const struct err *other)
{
	if (!err_is_set(err))
		*err = *other;
}

/* Record and locks, when launch_run() has undone what it could. */
static void end_reservation(const struct plan *plan, struct reservation *reservation,
			    const struct launch_result *result, bool begun, struct container_end *end)
{
	const struct state_exit outcome = {
		.status = result ? result->exit_status : 0,
		.signal = result ? result->signal : 0,
		.events = result ? result->events : (struct cgroup_events){ 0 },
		.log_error = result && *result->log_error ? result->log_error : NULL,
	};
	struct err err = ERR_INIT;
	int r = 0;

	if (err_is_set(&end->cleanup))
		reservation_abandon(reservation); /* nsrun gc must find it */
	else if (plan->keep && begun)
		r = reservation_keep(plan, reservation, result ? &outcome : NULL, &err);
	else
		r = reservation_end(reservation, &err);
	if (r < 0)
		first(&end->cleanup, &err);
}

/* What its first hooks have set up, its last ones take down, also of a launch that failed (runtime.md, "Lifecycle"). */
static bool hooks_began(const struct tape *tape)
{
	return atomic_load(&tape->records[STEP_HOOKS_RUNTIME].state) != TAPE_NOT_RUN ||
	       atomic_load(&tape->records[STEP_HOOKS_CONTAINER].state) != TAPE_NOT_RUN;
}

/* A bundle's container: delete may be at work on it at the same time. */
static void end_bundle(const struct plan *plan, struct reservation *reservation, const struct launch_result *result,
		       bool begun, bool hooked, struct container_end *end)
{
	struct err err = ERR_INIT;

	/* What stays has its end from delete; so has what could not be undone, and what somebody else deletes already. */
	if ((result && (result->stays || plan->bundle->keep)) || err_is_set(&end->cleanup) ||
	    (begun && reservation_lock_again(reservation) < 0)) {
		reservation_abandon(reservation);
		return;
	}
	if (begun || hooked) {
		_cleanup_free_ char *state = oci_state_text(plan, "stopped", 0);

		if (state && hooks_run(HOOK_POSTSTOP, &plan->bundle->hooks[HOOK_POSTSTOP], state, plan->bundle->dir,
				       &end->poststop) < 0)
			end->poststop.step = ERR_STEP_NONE;
	}
	if (reservation_end(reservation, &err) < 0)
		first(&end->cleanup, &err);
}

int container_run(struct plan *plan, struct tape *tape, const struct launch_caller *caller,
		  const struct launch_observer *observer, struct container_end *end, struct err *err)
{
	struct reservation reservation = RESERVATION_NONE;
	struct watcher watcher = { .next = observer };
	const struct launch_observer own = { .begun = note_begun, .data = &watcher };
	int r;

	end->cleanup = end->poststop = ERR_INIT;
	r = plan_reserve(plan, &reservation, err);
	if (r < 0)
		return r;
	r = launch_run(plan, &reservation, tape, caller, &own, &end->result, err, &end->cleanup);
	if (plan_is_bundle(plan))
		end_bundle(plan, &reservation, r < 0 ? NULL : &end->result, watcher.begun, hooks_began(tape), end);
	else
		end_reservation(plan, &reservation, r < 0 ? NULL : &end->result, watcher.begun, end);
	if (r == 0)
		control_server_end(TAKE_PTR(end->result.server), end->result.exit_status);
	return r;
}
