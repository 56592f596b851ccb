/* SPDX-License-Identifier: Apache-2.0 */
/* nsrun pause, nsrun resume */
#include <nsrun/cli/commands.h>

#include <nsrun/cli/containers.h>
#include <nsrun/cli/globals.h>
#include <nsrun/cli/report.h>
#include <nsrun/launch/pause.h>

struct pause_line {
	enum tristate help;
};

static const struct option_row rows[] = { OPTION_HELP_ROW };
const struct option_table pause_options = { .rows = rows, .count = ARRAY_LEN(rows), .command = "pause" };
const struct option_table resume_options = { .rows = rows, .count = ARRAY_LEN(rows), .command = "resume" };

typedef int (*change_fn)(const struct container *container, struct err *err);

static int act(struct container *container, void *data, struct err *err)
{
	const change_fn *change = data;
	const int r = (*change)(container, err);

	if (r < 0)
		return r;
	if (!globals_is_engine())
		puts(container_label(container));
	fflush(stdout); /* a signal that was held back ends this process before all are done */
	return 0;
}

static int command_change(const struct option_table *table, change_fn change, int argc, char *const *argv)
{
	_cleanup_free_ const char **names = NULL;
	struct pause_line line = { 0 };
	int status, flushed;
	size_t n;

	if (!command_begin(table, argc, argv, &line, 1, SIZE_MAX, &names, &n, &status))
		return status;
	status = for_each_container(names, n, act, &change);
	flushed = report_flush(stdout, "standard output");
	return flushed ? flushed : status;
}

int command_pause(int argc, char *const *argv)
{
	return command_change(&pause_options, container_pause, argc, argv);
}

int command_resume(int argc, char *const *argv)
{
	return command_change(&resume_options, container_resume, argc, argv);
}
