/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/commands.h>

#include <nsrun/cli/containers.h>
#include <nsrun/cli/report.h>
#include <nsrun/kernel/pidinfo.h>
#include <nsrun/launch/control.h>
#include <nsrun/plan/container_end.h>

#include <poll.h>
#include <time.h>

#define SETTLE_MS 10000 /* from the end of its owner to a record that says so */
#define REAP_MS 1000	/* for the parent of a foreground nsrun to take its status */
#define START_MS 5000	/* for one that is being started to have its control socket */
#define NAP_MS 5

struct wait_line {
	enum tristate help;
};

static const struct option_row rows[] = { OPTION_HELP_ROW };
const struct option_table wait_options = { .rows = rows, .count = ARRAY_LEN(rows), .command = "wait" };

struct waiting {
	struct container container;
	int control;	     /* FD_NONE: it has none, or has ended */
	struct pidref owner; /* of one without control */
};

/* Connected to all before any is waited for: one that is removed by its own end would be missed. */
static int begin(struct container *container, void *data, struct err *err)
{
	struct waiting **next = data, *w = *next;
	const struct timespec nap = { .tv_nsec = NAP_MS * 1000000L };
	struct err why = ERR_INIT;

	const int r =
		refuse_without_owner(container, "nsrun state tells whether it runs, and nobody learns its status", err);
	if (r < 0)
		return r;
	*w = (struct waiting){ .container = *container, .control = FD_NONE, .owner = PIDREF_NONE };
	*container = (struct container){ 0 };
	(*next)++;
	for (unsigned ms = 0; w->container.status == CONTAINER_STARTING && ms < START_MS; ms += NAP_MS) {
		nanosleep(&nap, NULL);
		if (container_refresh(&w->container, NULL) < 0)
			break;
	}
	if (w->container.status != CONTAINER_ENDED && control_connect(&w->container, &w->control, &why) < 0 &&
	    container_in_foreground(&w->container))
		container_open_owner(&w->container, &w->owner, NULL);
	return 0;
}

static int wait_for_owner(const struct waiting *w, int *ret_status, struct err *err)
{
	struct pollfd ended = { .fd = w->owner.fd, .events = POLLIN };
	const struct timespec nap = { .tv_nsec = NAP_MS * 1000000L };
	int r;

	while (poll(&ended, 1, -1) < 0)
		if (errno != EINTR)
			return err_system(err, "%s: waiting for its nsrun", container_label(&w->container));
	for (unsigned ms = 0;; ms += NAP_MS) {
		r = pidinfo_exit_status(&w->owner, ret_status);
		if (r != -EAGAIN || ms >= REAP_MS)
			break;
		nanosleep(&nap, NULL);
	}
	if (r < 0)
		return err_set(err, ERR_SYSTEM, ERR_ID_NO_CONTROL, 0,
			       "%s: it has ended; its status was that of its nsrun, process %d, %s",
			       container_label(&w->container), (int)w->container.owner,
			       r == -EAGAIN ? "whose parent has not taken it"
					    : "and a kernel before 6.15 tells it to nobody else");
	return 0;
}

/* What the record says in the end. */
static int recorded(struct waiting *w, int *ret_status, struct err *err)
{
	struct container_exit end;
	int r;

	r = container_settle(&w->container, SETTLE_MS, err);
	if (r == 0)
		r = container_refresh(&w->container, err);
	if (r == -ENOENT) {
		*err = ERR_INIT;
		return err_set(err, ERR_INPUT, ERR_ID_NO_CONTAINER, ENOENT,
			       "%s: it has ended and removed itself just before", container_label(&w->container));
	}
	if (r < 0)
		return r;
	if (!container_exit(&w->container, &end) || end.lost)
		return err_set(err, ERR_PEER, ERR_ID_NONE, 0, "%s: its nsrun was killed, and nobody saw how it ended",
			       container_label(&w->container));
	*ret_status = end.status;
	return 0;
}

static int wait_for(struct waiting *w, struct err *err)
{
	struct err why = ERR_INIT;
	int status, r;

	if (w->control >= 0)
		r = control_wait(w->control, &status, &why);
	else if (pidref_valid(&w->owner))
		r = wait_for_owner(w, &status, &why);
	else
		r = -ECONNRESET;
	/* An owner that was killed says nothing; the record of one that is kept may. */
	if (r < 0 && !pidref_valid(&w->owner)) {
		r = recorded(w, &status, err);
	} else if (r < 0) {
		*err = why;
	}
	if (r < 0)
		return r;
	printf("%d\n", status);
	fflush(stdout); /* as soon as it is known */
	if (container_refresh(&w->container, NULL) == 0)
		print_end(stderr, &w->container);
	return 0;
}

int command_wait(int argc, char *const *argv)
{
	_cleanup_free_ const char **names = NULL;
	_cleanup_free_ struct waiting *list = NULL;
	struct wait_line line = { 0 };
	struct waiting *next;
	struct err err = ERR_INIT;
	int status, flushed;
	size_t n;

	if (!command_begin(&wait_options, argc, argv, &line, 1, SIZE_MAX, &names, &n, &status))
		return status;
	next = list = calloc(n, sizeof(*list));
	if (!list) {
		err_oom(&err);
		return report_error(stderr, &err);
	}
	status = for_each_container(names, n, begin, &next);
	for (struct waiting *w = list; w < next; w++) {
		struct err why = ERR_INIT;

		if (wait_for(w, &why) < 0)
			status = report_error(stderr, &why);
		closep(&w->control);
		pidref_close(&w->owner);
		container_done(&w->container);
	}
	flushed = report_flush(stdout, "standard output");
	return flushed ? flushed : status;
}
