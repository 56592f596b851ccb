/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/commands.h>

#include <nsrun/cli/containers.h>
#include <nsrun/cli/report.h>
#include <nsrun/cli/site.h>
#include <nsrun/plan/container_update.h>

struct update_line {
	enum tristate help, force;
	struct plan_request request;
};

static const struct option_row rows[] = {
#define LIMIT(n, l, arg, k, f, text, ex)                     \
	{ .name = (n),                                       \
	  .letter = (l),                                     \
	  .argument = (arg),                                 \
	  .kind = OPTION_##k,                                \
	  .group = GROUP_LIMITS,                             \
	  .status = OPTION_BUILT,                            \
	  .offset = offsetof(struct update_line, request.f), \
	  .help = (text),                                    \
	  .example = (ex) },
#include <nsrun/cli/limit_option_table.h>
#undef LIMIT
	COMMAND_OPTION(struct update_line, force, "force", 'f', NULL, FLAG,
		       "also a memory limit below what is used, at which the kernel kills", "-f"),
	OPTION_HELP_ROW,
};
const struct option_table update_options = { .rows = rows, .count = ARRAY_LEN(rows), .command = "update" };

static void line_done(struct update_line *line)
{
	options_done(&update_options, line);
}

struct job {
	struct cgroup_resources changes;
	bool force;
};

static int act(struct container *container, void *data, struct err *err)
{
	const struct job *job = data;
	const int r = container_update(container, &job->changes, job->force, err);

	if (r == 0)
		puts(container_label(container));
	return r;
}

static int read_job(struct update_line *line, struct arena *arena, struct job *job, struct err *err)
{
	const struct option_table launch_options = { .rows = option_rows, .count = option_rows_count };

	int r = site_check_command(&launch_options, &update_options, line, err);
	if (r == 0)
		r = arena ? container_update_parse(arena, &line->request, &job->changes, err) : err_oom(err);
	if (r == 0 && job->changes.n == 0)
		r = err_set(err, ERR_INPUT, ERR_ID_NO_LIMIT_SAID, 0, "update: which limit? Such as -m 512m");
	job->force = line->force == YES;
	return r;
}

int command_update(int argc, char *const *argv)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	_cleanup_(line_done) struct update_line line = { 0 };
	_cleanup_free_ const char **names = NULL;
	struct err err = ERR_INIT;
	struct job job = { 0 };
	int status, flushed;
	size_t n;

	if (!command_begin(&update_options, argc, argv, &line, 1, SIZE_MAX, &names, &n, &status))
		return status;
	if (read_job(&line, arena, &job, &err) < 0)
		return report_error(stderr, &err);
	status = for_each_container(names, n, act, &job);
	flushed = report_flush(stdout, "standard output");
	return flushed ? flushed : status;
}
