/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/commands.h>

#include <nsrun/base/strings.h>
#include <nsrun/cli/containers.h>
#include <nsrun/cli/help.h>
#include <nsrun/cli/launching.h>
#include <nsrun/cli/report.h>
#include <nsrun/cli/site.h>
#include <nsrun/kernel/exec.h>
#include <nsrun/plan/exec.h>

struct exec_line {
	enum tristate help;
	struct plan_request request;
	const char *trace, *trace_file;
	enum tristate dry_run;
};

#define REQUEST(field, ...) COMMAND_OPTION(struct exec_line, request.field, __VA_ARGS__)
#define PLANNED(n, arg, text)                                                                    \
	{                                                                                        \
		.name = (n), .argument = (arg), .kind = (arg) ? OPTION_STRING : OPTION_TRISTATE, \
		.group = GROUP_PROCESS, .status = OPTION_PLANNED, .help = (text)                 \
	}

static const struct option_row rows[] = {
	OPTION_HELP_ROW,
	REQUEST(interactive, "interactive", 'i', NULL, TRISTATE,
		"pass standard input on (default; -i=false: /dev/null)", "-i=false"),
	REQUEST(terminal, "tty", 't', NULL, TRISTATE, "a terminal of its own (default: when stdin and stdout are one)",
		"-it"),
	REQUEST(detach, "detach", 'd', NULL, TRISTATE, "leave it running, with /dev/null for input and output", "-d"),
	REQUEST(env, "env", 'e', "NAME[=VALUE]", LIST, "set a variable beside the container's, or pass the caller's on",
		"-e LANG=C.UTF-8"),
	REQUEST(env_files, "env-file", 0, "FILE", LIST, "variables from a file, a line each; --env wins",
		"--env-file web.env"),
	REQUEST(workdir, "workdir", 'w', "DIR", STRING, "working directory inside (default: the container's)",
		"-w /srv"),
	REQUEST(user, "user", 'u', "USER[:GROUP]", STRING, "user inside (default: the container's)", "-u www:www"),
	REQUEST(group_add, "group-add", 0, "GROUP", LIST, "a supplementary group inside, instead of the container's",
		"--group-add audio"),
	COMMAND_OPTION(struct exec_line, trace, "trace", 0, "FORMAT", OPTIONAL, "tell every step: text or json",
		       "--trace=json", .values = (const char *const[]){ "text", "json", NULL }),
	COMMAND_OPTION(struct exec_line, trace_file, "trace-file", 0, "FILE", STRING,
		       "write the trace to this file, not to standard error", "--trace-file exec.txt"),
	COMMAND_OPTION(struct exec_line, dry_run, "dry-run", 0, NULL, TRISTATE, "print the steps, and do nothing",
		       "--dry-run"),
	PLANNED("detach-keys", "KEYS", "keys that leave the terminal"),
	PLANNED("privileged", NULL, "more than the container has"),
};
const struct option_table exec_options = { .rows = rows, .count = ARRAY_LEN(rows), .command = "exec" };

static void line_done(struct exec_line *line)
{
	options_done(&exec_options, line);
}

static int walk(const struct plan *plan, enum trace_format format, FILE *trace)
{
	_cleanup_(tape_freep) struct tape *tape = NULL;
	struct err err = ERR_INIT, cleanup_err = ERR_INIT;
	struct launch_result result = { 0 };

	int r = tape_new(format != TRACE_NONE, &tape, &err);
	if (r < 0)
		return report_error(stderr, &err);
	struct trace_job job = { .format = format, .tape = tape, .out = trace ? trace : stderr };
	const struct launch_observer observer = { .begun = print_trace, .data = &job };
	/* A terminal in raw mode belongs to the workload: what goes there waits until it is given back. */
	const bool later = plan->terminal && isatty(fileno(job.out));

	r = launch_run(plan, NULL, tape, NULL, later ? NULL : &observer, &result, &err, &cleanup_err);
	print_trace(NULL, &job);
	print_cause(plan, &result);
	int status = r < 0 ? report_error(stderr, &err) : result.exit_status;
	if (err_is_set(&cleanup_err))
		report_cleanup(stderr, &cleanup_err);
	if (trace && r == 0) {
		const int flushed = report_flush(trace, "--trace-file");

		status = flushed ? flushed : status;
	}
	return status;
}

/* argv[-1] is main()'s first word: nsrun itself. */
static int run(struct exec_line *line, const char *name, char *const *argv)
{
	_cleanup_(pidref_close) struct pidref process = PIDREF_NONE;
	_cleanup_(container_done) struct container container = { 0 };
	_cleanup_(plan_freep) struct plan *plan = NULL;
	_cleanup_fclose_ FILE *trace = NULL;
	const struct option_table launch_options = { .rows = option_rows, .count = option_rows_count };
	struct err err = ERR_INIT;

	/* Before a file is opened that may be forbidden. */
	int r = site_check_command(&launch_options, &exec_options, line, &err);
	/* What the caller left open must not be open inside, where a directory among it would be reachable by /proc/self/fd. */
	if (r == 0)
		r = trace_open(line->trace_file, &trace, &err);
	if (r == 0)
		r = exec_close_from(trace ? TRACE_FD + 1 : TRACE_FD, FD_NONE, &err);
	if (r == 0)
		r = container_find(name, &container, &err);
	if (r == 0)
		r = plan_exec_open(&container, &process, &err);
	if (r == 0)
		r = plan_resolve_exec(&line->request, &container, &process, &plan, &err);
	if (r == 0 && line->dry_run == YES) {
		trace_print_plan(plan, stdout);
		return report_flush(stdout, "standard output");
	}
	if (r == 0)
		r = protect_self(plan, argv - 1, &err);
	if (r < 0 || !plan)
		return report_error(stderr, &err);
	return walk(plan, trace_format_of(line->trace, line->trace_file), trace);
}

int command_exec(int argc, char *const *argv)
{
	_cleanup_(line_done) struct exec_line line = { 0 };
	struct err err = ERR_INIT;
	int at = 0;

	if (options_parse(&exec_options, argc, argv, &line, &at, &err) < 0)
		return report_error(stderr, &err);
	if (line.help == YES) {
		help_command(stdout, command_find(argv[0]));
		return report_flush(stdout, "standard output");
	}
	if (at >= argc) {
		err_set(&err, ERR_INPUT, ERR_ID_NONE, 0, "exec: which container? nsrun exec --help");
		return report_error(stderr, &err);
	}
	const char *name = argv[at++];
	const bool dashes = at < argc && streq(argv[at], "--");
	if (!dashes && at < argc && argv[at][0] == '-' && argv[at][1] != '\0') {
		err_set(&err, ERR_INPUT, ERR_ID_OPTION_ORDER, 0, "%s: an option behind NAME (%s)", argv[at], name);
		return report_error(stderr, &err);
	}
	at += dashes;
	if (at < argc)
		line.request.argv = (const char *const *)argv + at;
	return run(&line, name, argv);
}
