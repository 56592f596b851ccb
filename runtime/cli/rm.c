/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/commands.h>

#include <nsrun/cli/containers.h>
#include <nsrun/cli/report.h>
#include <nsrun/plan/container_end.h>
#include <nsrun/plan/container_group.h>

#include <signal.h>
#include <time.h>

#define END_MS 10000  /* for the owner of one that was killed or has just ended to tidy up */
#define START_MS 5000 /* for one that is being started to have a process */
#define NAP_MS 5

struct rm_line {
	enum tristate help;
	enum tristate force;
};

static const struct option_row rows[] = {
	COMMAND_OPTION(struct rm_line, force, "force", 'f', NULL, FLAG, "kill those first that run", "-f"),
	OPTION_HELP_ROW,
};
const struct option_table rm_options = { .rows = rows, .count = ARRAY_LEN(rows), .command = "rm" };

static bool lives(const struct container *c)
{
	return c->status == CONTAINER_RUNNING || c->status == CONTAINER_STARTING;
}

/* SIGKILL as soon as it has a process. 0: nothing runs any more, or has just been killed. */
static int kill_first(struct container *c, struct err *err)
{
	const struct timespec nap = { .tv_nsec = NAP_MS * 1000000L };

	for (unsigned ms = 0; lives(c) && ms < START_MS; ms += NAP_MS) {
		_cleanup_(pidref_close) struct pidref init = PIDREF_NONE;
		int r;

		if (container_open_init(c, &init, NULL) == 0)
			return pidref_kill(&init, SIGKILL, err);
		if (c->status == CONTAINER_RUNNING) /* it had one, which has ended */
			return 0;
		nanosleep(&nap, NULL);
		r = container_refresh(c, NULL);
		if (r < 0)
			return r == -ENOENT ? 0 : r;
	}
	return 0; /* still without a process: container_remove() tells how long it waited */
}

static int act(struct container *container, void *data, struct err *err)
{
	const struct rm_line *line = data;
	int r;

	r = refuse_without_owner(container, "nsrun delete removes it, and delete --force ends it first", err);
	if (r < 0)
		return r;
	/* One whose process has ended is gone in a moment. */
	container_look_paused(container, 1);
	if (line->force != YES && (container->status == CONTAINER_STARTING ||
				   (container->status == CONTAINER_RUNNING && container->init > 0)))
		return err_refused(err, ERR_ID_NONE, "%s: it is %s: nsrun stop %s ends it, nsrun rm -f %s kills it",
				   container_label(container), container_status_word(container),
				   container_label(container), container_label(container));
	r = kill_first(container, err);
	if (r == 0)
		r = container_remove(container, END_MS, err);
	if (r == 0)
		puts(container_label(container));
	return r;
}

int command_rm(int argc, char *const *argv)
{
	_cleanup_free_ const char **names = NULL;
	struct rm_line line = { 0 };
	int status, flushed;
	size_t n;

	if (!command_begin(&rm_options, argc, argv, &line, 1, SIZE_MAX, &names, &n, &status))
		return status;
	status = for_each_container(names, n, act, &line);
	flushed = report_flush(stdout, "standard output");
	return flushed ? flushed : status;
}
