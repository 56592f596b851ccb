/* SPDX-License-Identifier: Apache-2.0 */
/* What has become of what a chapter has started: by its tape, by the command that started it, by its record. */
#include <nsrun/lab/session.h>

#include <nsrun/base/clock.h>
#include <nsrun/base/strings.h>
#include <nsrun/plan/container.h>
#include <nsrun/plan/container_group.h>

#define LOOK_MS 10
#define START_MS 60000

enum lab_state lab_state_of_record(const char *name, int *ret_status, bool *ret_paused)
{
	_cleanup_(container_done) struct container container = { 0 };
	struct container_exit end;

	if (container_find(name, &container, NULL) < 0)
		return LAB_NONE;
	switch (container.status) {
	case CONTAINER_STARTING:
		return LAB_STARTING;
	case CONTAINER_CREATED:
		return LAB_CREATED;
	case CONTAINER_RUNNING:
		if (ret_paused) {
			container_look_paused(&container, 1);
			*ret_paused = container.paused;
		}
		return container.init ? LAB_RUNNING : LAB_STARTING;
	case CONTAINER_DEAD:
		return LAB_NONE;
	default:
		if (ret_status)
			*ret_status = container_exit(&container, &end) && !end.lost ? end.status : LAB_STATUS_LOST;
		return LAB_ENDED;
	}
}

static void look_ended(struct lab_container *c)
{
	siginfo_t info;

	(void)lab_process_drain(&c->nsrun);
	if (c->state == LAB_ENDED || !pidref_valid(&c->nsrun.ref) || !pidref_ended(&c->nsrun.ref))
		return;
	(void)lab_process_drain(&c->nsrun);
	if (pidref_wait(&c->nsrun.ref, &info, WEXITED, NULL) == 0)
		c->status = exit_status_of(&info);
	pidref_close(&c->nsrun.ref);
	c->held = STEP_NONE;
	c->state = c->status == 0 ? lab_state_of_record(c->name, NULL, NULL) : LAB_ENDED;
	c->left_it = c->state == LAB_CREATED || c->state == LAB_RUNNING;
	if (!c->left_it)
		c->state = LAB_ENDED;
}

enum lab_state lab_container_look(struct lab_container *c, int ms)
{
	look_ended(c);
	if (c->left_it) {
		c->state = lab_state_of_record(c->name, &c->status, NULL);
		return c->state = c->state == LAB_NONE ? LAB_ENDED : c->state;
	}
	if (c->state == LAB_ENDED)
		return LAB_ENDED;
	c->held = c->tape ? tape_wait_held(c->tape, ms, &c->held_role) : STEP_NONE;
	if (c->held != STEP_NONE)
		return c->state = LAB_HELD;
	const enum lab_state state = lab_state_of_record(c->name, NULL, NULL);

	/* Its nsrun has not ended, so neither has this. */
	return c->state = state == LAB_RUNNING ? LAB_RUNNING : LAB_STARTING;
}

enum lab_state lab_session_state(struct lab_session *session, const char *name, int *ret_status)
{
	struct lab_container *c = lab_session_find(session, name);

	if (!c)
		return lab_state_of_record(name, ret_status, NULL);
	if (lab_container_look(c, 0) == LAB_ENDED && ret_status)
		*ret_status = c->status;
	return c->state;
}

const char *lab_session_state_word(struct lab_session *session, const char *name)
{
	bool paused = false;

	switch (lab_session_state(session, name, NULL)) {
	case LAB_HELD:
		return "held";
	case LAB_CREATED:
		return "created";
	case LAB_RUNNING:
		(void)lab_state_of_record(name, NULL, &paused);
		return paused ? "paused" : "running";
	case LAB_ENDED:
		/* One with a name is kept until somebody removes it. */
		return lab_state_of_record(name, NULL, NULL) == LAB_NONE ? "none" : "stopped";
	case LAB_STARTING:
		return "starting";
	default:
		return "none";
	}
}

int lab_container_await(struct lab_container *c, struct err *err)
{
	const uint64_t end = now_ms() + START_MS;

	for (;;) {
		const enum lab_state state = lab_container_look(c, LOOK_MS);

		if (state == LAB_HELD || state == LAB_CREATED || state == LAB_RUNNING || state == LAB_ENDED)
			return 0;
		if (now_ms() > end)
			return err_set(err, ERR_PEER, ERR_ID_NONE, ETIMEDOUT, "%s: it neither runs nor ends", c->name);
		if (!c->tape)
			usleep(LOOK_MS * 1000);
	}
}
