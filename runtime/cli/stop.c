/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/commands.h>

#include <nsrun/base/clock.h>
#include <nsrun/base/procstat.h>
#include <nsrun/base/signal.h>
#include <nsrun/base/strings.h>
#include <nsrun/cli/containers.h>
#include <nsrun/cli/report.h>
#include <nsrun/kernel/sigfate.h>
#include <nsrun/launch/pause.h>
#include <nsrun/plan/container_end.h>

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <time.h>

#define FOREVER UINT_MAX /* "-t -1" */
#define START_MS 5000	 /* for one that is being started to execute CMD */
#define YOUNG_MS 1000	 /* a program of this age may not have installed its handlers yet */
#define DEATH_MS 10000	 /* from SIGKILL to the end: more is a process that the kernel cannot interrupt */
#define TIDY_MS 10000
#define LOOK_MS 10

struct stop_line {
	enum tristate help;
	const char *signal, *timeout;
};

static const struct option_row rows[] = {
	OPTION_HELP_ROW,
	COMMAND_OPTION(struct stop_line, signal, "signal", 's', "SIGNAL", STRING,
		       "instead of the container's own stop signal", "-s INT"),
	COMMAND_OPTION(struct stop_line, timeout, "timeout", 't', "SECONDS", STRING,
		       "until SIGKILL, instead of its own; -1: never", "-t 3"),
};
const struct option_table stop_options = { .rows = rows, .count = ARRAY_LEN(rows), .command = "stop" };

enum phase { PHASE_LOOK, PHASE_ASKED, PHASE_KILLED, PHASE_ENDED, PHASE_FAILED };

struct stopping {
	struct container container;
	struct pidref init;
	enum phase phase;
	int signal;
	unsigned seconds;
	uint64_t deadline; /* of the phase; UINT64_MAX: none */
	struct err err;
};

static void send_to(struct stopping *s, int signal, enum phase next, uint64_t deadline)
{
	s->phase = pidref_kill(&s->init, signal, &s->err) < 0 ? PHASE_FAILED : next;
	s->deadline = deadline;
}

static bool is_young(const struct stopping *s)
{
	struct timespec now;
	const uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK);

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 <
	       s->container.init_start * 1000 / ticks + YOUNG_MS;
}

/* Process 1 executes CMD: the signal, if it would be taken. */
static void ask(struct stopping *s, uint64_t now)
{
	enum sigfate fate = SIGFATE_TAKEN;
	char name[SIGNAL_NAME_SIZE];

	sigfate_of(&s->init, s->signal, &fate, NULL);
	if (fate == SIGFATE_TAKEN || fate == SIGFATE_DEFAULT || s->seconds == FOREVER) {
		send_to(s, s->signal, PHASE_ASKED,
			s->seconds == FOREVER ? UINT64_MAX : now + (uint64_t)s->seconds * 1000);
		/* A paused one takes it when it runs again, before anything else. SIGKILL needs no such help (cgroup-v2.rst). */
		if (s->phase == PHASE_ASKED && container_let_run(&s->container, &s->err) < 0 && s->seconds == FOREVER)
			s->phase = PHASE_FAILED;
		return;
	}
	if (is_young(s)) {
		pidref_close(&s->init);
		return;
	}
	fprintf(stderr, "nsrun: %s: process 1 %s %s%s: killed at once instead of after %u s\n",
		container_label(&s->container), fate == SIGFATE_IGNORED ? "ignores" : "does not handle",
		signal_name(s->signal, name),
		fate == SIGFATE_IGNORED ? "" : ", which the kernel drops then (pid_namespaces(7))", s->seconds);
	send_to(s, SIGKILL, PHASE_KILLED, now + DEATH_MS);
}

static void look(struct stopping *s, uint64_t now)
{
	const int r = container_refresh(&s->container, &s->err);

	if (r < 0) {
		s->phase = r == -ENOENT ? PHASE_ENDED : PHASE_FAILED;
		return;
	}
	if (container_open_init(&s->container, &s->init, NULL) < 0) {
		/* Without one: it has ended, or is being started. */
		if (s->container.status != CONTAINER_STARTING)
			s->phase = PHASE_ENDED;
		else if (now >= s->deadline)
			s->phase = PHASE_ENDED; /* settling tells that it does not end */
		return;
	}
	if (s->container.status == CONTAINER_RUNNING)
		ask(s, now);
	else if (now >= s->deadline)
		send_to(s, SIGKILL, PHASE_KILLED, now + DEATH_MS);
	else
		pidref_close(&s->init);
}

static void advance(struct stopping *s, uint64_t now)
{
	if (s->phase == PHASE_LOOK) {
		look(s, now);
	} else if (pidref_ended(&s->init)) {
		s->phase = PHASE_ENDED;
	} else if (now >= s->deadline) {
		if (s->phase == PHASE_ASKED) {
			send_to(s, SIGKILL, PHASE_KILLED, now + DEATH_MS);
		} else {
			s->phase = PHASE_FAILED;
			err_set(&s->err, ERR_SYSTEM, ERR_ID_NONE, ETIMEDOUT,
				"%s: process %d has not ended %d s after SIGKILL", container_label(&s->container),
				(int)s->init.pid, DEATH_MS / 1000);
		}
	}
}

static bool is_under_way(const struct stopping *s)
{
	return s->phase != PHASE_ENDED && s->phase != PHASE_FAILED;
}

/* Until something can have changed for one of them. */
static void wait_for_change(const struct stopping *list, size_t n, struct pollfd *polls)
{
	uint64_t now = now_ms(), until = UINT64_MAX;
	nfds_t count = 0;

	for (size_t i = 0; i < n; i++) {
		const struct stopping *s = &list[i];
		const uint64_t own = s->phase == PHASE_LOOK ? now + LOOK_MS : s->deadline;

		if (!is_under_way(s))
			continue;
		if (s->phase != PHASE_LOOK)
			polls[count++] = (struct pollfd){ .fd = s->init.fd, .events = POLLIN };
		until = own < until ? own : until;
	}
	const uint64_t span = until <= now ? 0 : until - now;

	poll(polls, count, until == UINT64_MAX ? -1 : span > INT_MAX ? INT_MAX : (int)span);
}

/* All at the same time, so that the slowest one decides how long it takes. */
static int stop_all(struct stopping *list, size_t n)
{
	_cleanup_free_ struct pollfd *polls = calloc(n, sizeof(*polls));
	bool waiting = true;

	if (!polls)
		return -ENOMEM;
	while (waiting) {
		waiting = false;
		for (size_t i = 0; i < n; i++) {
			if (is_under_way(&list[i]))
				advance(&list[i], now_ms());
			waiting |= is_under_way(&list[i]);
		}
		if (waiting)
			wait_for_change(list, n, polls);
	}
	return 0;
}

struct job {
	struct stopping *list;
	size_t n;
	int signal; /* 0: the container's own */
	bool own_seconds;
	unsigned seconds;
};

static int begin(struct container *container, void *data, struct err *err)
{
	struct job *job = data;
	struct stopping *s;
	unsigned seconds;
	int signal;

	const int r =
		refuse_without_owner(container, "nsrun kill ends it, and nsrun delete --force removes it, too", err);
	if (r < 0)
		return r;
	s = &job->list[job->n++];
	container_stop_default(container, &signal, &seconds);
	*s = (struct stopping){
		.container = *container,
		.init = PIDREF_NONE,
		.signal = job->signal ? job->signal : signal,
		.seconds = job->own_seconds ? seconds : job->seconds,
		.deadline = now_ms() + START_MS,
		.err = ERR_INIT,
	};
	*container = (struct container){ 0 };
	return 0;
}

static int finish(struct stopping *s)
{
	int status = 0;

	if (s->phase == PHASE_ENDED) {
		s->err = ERR_INIT;
		if (container_settle(&s->container, TIDY_MS, &s->err) < 0)
			s->phase = PHASE_FAILED;
	}
	if (s->phase == PHASE_FAILED)
		status = report_error(stderr, &s->err);
	else
		puts(container_label(&s->container));
	pidref_close(&s->init);
	container_done(&s->container);
	return status;
}

static int read_job(const struct stop_line *line, struct job *job, struct err *err)
{
	uint32_t seconds;

	if (line->signal && signal_parse(line->signal, "--signal", &job->signal, err) < 0)
		return -EINVAL;
	job->own_seconds = !line->timeout;
	if (!line->timeout)
		return 0;
	if (streq(line->timeout, "-1")) {
		job->seconds = FOREVER;
		return 0;
	}
	if (parse_u32(line->timeout, &seconds) < 0 || seconds > INT_MAX)
		return err_set(err, ERR_INPUT, ERR_ID_OPTION_VALUE, 0, "--timeout: '%s' is no number of seconds",
			       line->timeout);
	job->seconds = seconds;
	return 0;
}

int command_stop(int argc, char *const *argv)
{
	_cleanup_free_ const char **names = NULL;
	struct stop_line line = { 0 };
	struct job job = { 0 };
	struct err err = ERR_INIT;
	int status, flushed;
	size_t n;

	if (!command_begin(&stop_options, argc, argv, &line, 1, SIZE_MAX, &names, &n, &status))
		return status;
	if (read_job(&line, &job, &err) < 0)
		return report_error(stderr, &err);
	job.list = calloc(n, sizeof(*job.list));
	if (!job.list) {
		err_oom(&err);
		return report_error(stderr, &err);
	}
	status = for_each_container(names, n, begin, &job);
	if (stop_all(job.list, job.n) < 0) {
		err_oom(&err);
		status = report_error(stderr, &err);
	}
	for (size_t i = 0; i < job.n; i++) {
		const int own = finish(&job.list[i]);

		status = own ? own : status;
	}
	free(job.list);
	flushed = report_flush(stdout, "standard output");
	return flushed ? flushed : status;
}
