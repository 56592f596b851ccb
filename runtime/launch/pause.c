/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/launch/pause.h>

#include <nsrun/plan/container_group.h>

#include <signal.h>
#include <sys/signalfd.h>

#define FREEZE_MS 10000 /* a loaded host stops thousands of processes in less */
#define THAW_MS 2000

/* What would end this process in the middle of it. Never read from `fd`, so that they stay pending and the old mask delivers them. */
struct held_signals {
	int fd;
	sigset_t old;
};

static int hold_signals(struct held_signals *ret, struct err *err)
{
	static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action;
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(ending); i++)
		/* A blocked signal is queued even if it is ignored, as SIGHUP below nohup(1). */
		if (sigaction(ending[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			sigaddset(&set, ending[i]);
	ret->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (ret->fd < 0)
		return err_system(err, "signalfd");
	sigprocmask(SIG_BLOCK, &set, &ret->old);
	return 0;
}

static void release_signals(struct held_signals *held)
{
	closep(&held->fd);
	sigprocmask(SIG_SETMASK, &held->old, NULL);
}

static int open_running(const struct container *c, int *ret_group, enum cgroup_freezer *ret_state, struct err *err)
{
	struct pidref init = PIDREF_NONE;

	int r = container_open_init(c, &init, err);
	if (r < 0)
		return r;
	pidref_close(&init);
	if (c->status != CONTAINER_RUNNING)
		return err_set(err, ERR_INPUT, ERR_ID_NONE, EAGAIN, "%s: it is %s, and executes nothing yet",
			       container_label(c), container_status_name(c->status));
	_cleanup_close_ int group = FD_NONE;
	r = container_group_open(c, &group, err);
	if (r == 0)
		r = cgroup_freezer_state(group, ret_state, err);
	if (r == 0)
		*ret_group = TAKE_FD(group);
	return r;
}

int container_pause(const struct container *container, struct err *err)
{
	struct held_signals held = { .fd = FD_NONE };
	_cleanup_close_ int group = FD_NONE;
	enum cgroup_freezer state = CGROUP_THAWED;

	int r = open_running(container, &group, &state, err);
	if (r < 0)
		return r;
	if (state == CGROUP_FROZEN_AROUND)
		return err_set(err, ERR_INPUT, ERR_ID_FROZEN_AROUND, EBUSY, "%s: it is frozen with a group around it",
			       container_label(container));
	if (state != CGROUP_THAWED)
		return err_set(err, ERR_INPUT, ERR_ID_PAUSED, EALREADY, "%s: it is paused already",
			       container_label(container));
	r = hold_signals(&held, err);
	if (r < 0)
		return r;
	r = cgroup_pause(group, container_label(container), FREEZE_MS, held.fd, err);
	release_signals(&held);
	return r;
}

int container_resume(const struct container *container, struct err *err)
{
	_cleanup_close_ int group = FD_NONE;
	enum cgroup_freezer state = CGROUP_THAWED;

	int r = open_running(container, &group, &state, err);
	if (r < 0)
		return r;
	if (state == CGROUP_THAWED)
		return err_set(err, ERR_INPUT, ERR_ID_NOT_PAUSED, 0, "%s: it is not paused",
			       container_label(container));
	return cgroup_resume(group, container_label(container), THAW_MS, err);
}

int container_let_run(const struct container *container, struct err *err)
{
	_cleanup_close_ int group = FD_NONE;
	struct err why = ERR_INIT;
	enum cgroup_freezer state = CGROUP_THAWED;

	/* Without a v2 group there is nothing that could be frozen. */
	if (container_group_open(container, &group, &why) < 0)
		return 0;
	const int r = cgroup_freezer_state(group, &state, err);
	if (r < 0 || state == CGROUP_THAWED)
		return r;
	return cgroup_resume(group, container_label(container), THAW_MS, err);
}
