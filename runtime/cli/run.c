/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/commands.h>

#include <nsrun/base/strings.h>
#include <nsrun/cli/attach.h>
#include <nsrun/cli/help.h>
#include <nsrun/cli/options.h>
#include <nsrun/cli/launching.h>
#include <nsrun/cli/report.h>
#include <nsrun/cli/site.h>
#include <nsrun/kernel/exec.h>
#include <nsrun/launch/container.h>
#include <nsrun/launch/trace.h>
#include <nsrun/launch/without.h>
#include <nsrun/plan/dump.h>
#include <nsrun/plan/spec.h>

#include <fcntl.h>
#include <limits.h>
#include <signal.h>

static int dry_run(const struct plan *plan, const struct site *site)
{
	if (plan_dump(plan, stdout) == 0) {
		site_print_said(site, stdout);
		fputs("\n", stdout);
		trace_print_plan(plan, stdout);
	}
	return report_flush(stdout, "standard output");
}

static void print_missing(const char *what, void *data)
{
	(void)data;
	fprintf(stderr, "nsrun: --spec: config.json has no words for this: %s\n", what);
}

/* "org.nsrun.option.memory": "512m (/etc/nsrun/nsrun.json:3)": what the command line does not show. */
static int annotate_said(json_t *spec, const struct site *site, struct err *err)
{
	json_t *annotations = json_object_get(spec, "annotations");
	size_t index = 0;

	for (size_t i = 0; i < site->n_said; i++) {
		const struct option_said *said = &site->said[i];
		char key[96];

		index = i && site->said[i - 1].row == said->row ? index + 1 : 0;
		if (!said->file)
			continue;
		if (said->row->kind == OPTION_LIST)
			snprintf(key, sizeof(key), "org.nsrun.option.%s.%zu", said->row->name, index);
		else
			snprintf(key, sizeof(key), "org.nsrun.option.%s", said->row->name);
		if (!annotations && json_object_set_new(spec, "annotations", json_object()) == 0)
			annotations = json_object_get(spec, "annotations");
		if (json_object_set_new(annotations, key,
					json_sprintf("%s (%s:%zu)", said->value, said->file, said->line)) < 0)
			return err_oom(err);
	}
	return 0;
}

/* The ids of an `auto` range are exact once it is taken: for as long as this lasts. */
static int print_spec(struct plan *plan, const struct site *site, struct err *err)
{
	struct reservation reservation = RESERVATION_NONE;
	json_t *spec = NULL;

	int r = plan->auto_pending ? plan_reserve(plan, &reservation, err) : 0;
	if (r == 0)
		r = plan_spec(plan, print_missing, NULL, &spec, err);
	if (r == 0)
		r = annotate_said(spec, site, err);
	/* A failure stays in the stream, for report_flush(). */
	if (r == 0)
		(void)(json_dumpf(spec, stdout, JSON_INDENT(2)) < 0 || puts("") < 0);
	json_decref(spec);
	/* The end is tried in any case, and its failure hides no other. */
	struct err end_err = ERR_INIT;
	const int end = reservation_end(&reservation, &end_err);
	if (r == 0 && end < 0) {
		*err = end_err;
		r = end;
	}
	return r;
}

/* The trace was asked for: one that could not be written is not passed over. */
static int flush_trace(FILE *trace, int status)
{
	const int flushed = trace ? report_flush(trace, "--trace-file") : 0;

	return flushed ? flushed : status;
}

/* By a keeper: the caller waits until the workload executes, then has the id, or the terminal. */
static int launch_kept(struct plan *plan, struct trace_job *job, FILE *trace)
{
	struct keeper_report report = { .err = ERR_INIT, .cleanup = ERR_INIT };
	_cleanup_close_ int client = FD_NONE;
	struct err err = ERR_INIT;
	int status;

	if (keeper_start(plan, (struct tape *)job->tape, &report, plan->detached ? NULL : &client, &err) < 0) {
		print_trace(NULL, job);
		return report_error(stderr, &err);
	}
	print_trace(NULL, job);
	status = report.begun ? 0 : report_error(stderr, &report.err);
	if (err_is_set(&report.cleanup))
		report_cleanup(stderr, &report.cleanup);
	if (!report.begun)
		return status;
	if (plan->detached) {
		puts(report.id);
		return flush_trace(trace, report_flush(stdout, "standard output"));
	}
	return flush_trace(trace, attach_terminal(client, plan->detach_keys, report.id));
}

/* The plan is mutable up to plan_reserve(), const behind it. */
static int launch_planned(struct plan *plan, struct tape *tape, enum trace_format format, FILE *trace)
{
	struct container_end end = { 0 };
	struct err err = ERR_INIT;
	int status, r;

	struct trace_job job = { .format = format, .tape = tape, .out = trace ? trace : stderr };
	const struct launch_observer observer = { .begun = print_trace, .data = &job };
	/* A terminal in raw mode belongs to the workload: what goes there waits until it is given back. */
	const bool later = plan->terminal && isatty(fileno(job.out));

	if (plan->keeper)
		return launch_kept(plan, &job, trace);
	r = container_run(plan, tape, NULL, later ? NULL : &observer, &end, &err);
	print_trace(NULL, &job);
	if (r == 0)
		print_cause(plan, &end.result);
	status = r < 0 ? report_error(stderr, &err) : end.result.exit_status;
	if (err_is_set(&end.cleanup))
		report_cleanup(stderr, &end.cleanup);
	return r == 0 ? flush_trace(trace, status) : status;
}

/* Before descriptors are closed. */
static int take_tape(const char *said, bool timed, struct tape **ret, struct err *err)
{
	uint32_t fd;

	if (!said)
		return tape_new(timed, ret, err);
	if (parse_u32(said, &fd) < 0 || fd <= STDERR_FILENO || fd > INT_MAX)
		return err_input(err, "--tape %s: the number of an open descriptor is wanted, 3 or more", said);
	return tape_map((int)fd, ret, err);
}

static int resolve(struct command_line *line, struct site *site, struct plan **ret, struct err *err)
{
	const struct option_table table = { .rows = option_rows, .count = option_rows_count };
	int r = rootfs_word_check(line->request.rootfs, err);

	if (r < 0)
		return r;
	r = site_load(&table, site, err);
	if (r < 0)
		return r;
	/* Where no file says anything, who said what is of interest to --dry-run and --spec alone. */
	if (site->n_files || line->dry_run == YES || line->spec == YES) {
		r = site_apply(site, &table, line, line->request.rootfs, err);
		if (r < 0)
			return r;
	}
	r = plan_resolve(&line->request, ret, err);
	if (r < 0) {
		site_explain(site, err);
		return r;
	}
	return site_check_plan(site, *ret, err);
}

static int run_line(struct command_line *line, char *const *argv)
{
	_cleanup_(site_done) struct site site = { 0 };
	_cleanup_(plan_freep) struct plan *plan = NULL;
	_cleanup_(tape_freep) struct tape *tape = NULL;
	_cleanup_fclose_ FILE *trace = NULL;
	struct err err = ERR_INIT;

	if (resolve(line, &site, &plan, &err) < 0 || launch_check_without(plan, &err) < 0)
		return report_error(stderr, &err);
	if (line->dry_run == YES)
		return dry_run(plan, &site);
	if (line->spec == YES)
		return print_spec(plan, &site, &err) < 0 ? report_error(stderr, &err)
							 : report_flush(stdout, "standard output");
	if (protect_self(plan, argv, &err) < 0)
		return report_error(stderr, &err);
	const enum trace_format format = trace_format_of(line->trace, line->trace_file);
	if (take_tape(line->tape, format != TRACE_NONE, &tape, &err) < 0)
		return report_error(stderr, &err);
	/* Opened before anything is made, so that a wrong name costs nothing. */
	if (trace_open(line->trace_file, &trace, &err) < 0)
		return report_error(stderr, &err);
	/* What the caller left open is of use up to here, as in --trace-file >(program). From now on a directory among it would be
	 * reachable from the container by /proc/self/fd. The row fds.close is for the same, and is left out together with this. */
	if (!launch_is_without(plan, &score[STEP_FDS_CLOSE]) &&
	    exec_close_from(trace ? TRACE_FD + 1 : TRACE_FD, FD_NONE, &err) < 0)
		return report_error(stderr, &err);
	return launch_planned(plan, tape, format, trace);
}

int command_run(int argc, char *const *argv)
{
	_cleanup_(command_line_done) struct command_line line = { 0 };
	struct err err = ERR_INIT;

	if (command_line_parse(argc, argv, &line, &err) < 0)
		return report_error(stderr, &err);
	if (line.help == YES) {
		help_print(stdout);
		return report_flush(stdout, "standard output");
	}
	if (line.version == YES) {
		return command_version(1, argv);
	}
	if (!line.request.rootfs) {
		if (argc > 1)
			fputs("nsrun: ROOTFS is missing\n", stderr);
		help_usage(stderr);
		return 125;
	}
	return run_line(&line, argv);
}
