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
#include <nsrun/plan/dump.h>
#include <nsrun/plan/spec.h>

#include <fcntl.h>
#include <signal.h>

const struct command_row commands[] = {
	{ .name = "attach",
	  .run = command_attach,
	  .help = "show a running container's output, and type into it",
	  .details =
		  "The keys ctrl-p,ctrl-q leave its terminal. If it has none, ^C goes to process 1, and leaves one that "
		  "does not handle it. The exit status is the container's when it ends.",
	  .arguments = "NAME",
	  .options = &attach_table },
	{ .name = "exec",
	  .run = command_exec,
	  .help = "run a command in a container that runs",
	  .details =
		  "With the container's own namespaces, ids, capabilities, filter, limits, environment and working directory; without CMD its "
		  "user's shell. The exit status is CMD's, 128+N when signal N ended it, 127 and 126 when it is not found or cannot be "
		  "executed, 125 when nsrun failed. CMD ends with nsrun, unless -d, and with the container.",
	  .arguments = "NAME [--] [CMD [ARG...]]",
	  .options = &exec_options },
	{ .name = "gc",
	  .run = command_gc,
	  .help = "remove what dead containers left",
	  .details =
		  "Processes, control groups, state and id ranges of containers whose nsrun was killed; of those with a name or --detach the "
		  "record and the output stay, as lost, until nsrun rm. Later launches do the same for up to eight others each." },
	{ .name = "help",
	  .run = command_help,
	  .arguments = "[WORD...]",
	  .help = "explain a command, an option, or a group of options",
	  .details =
		  "Without a word the same as nsrun --help. Groups are named by the first words of their titles there: nsrun help files." },
	{ .name = "inspect",
	  .run = command_inspect,
	  .help = "show all that is known of containers",
	  .details =
		  "The record of each, and of one that runs what the kernel says now: process, namespaces by inode, mounts, use and limits "
		  "of its control group. A JSON array, or lines with --format=text.",
	  .arguments = "NAME...",
	  .options = &inspect_options },
	{ .name = "kill",
	  .run = command_kill,
	  .help = "send a signal to process 1 of containers",
	  .details =
		  "SIGKILL unless another one is named: -s TERM, -TERM, -15. The kernel drops a signal that process 1 of a pid namespace "
		  "neither handles nor blocks, SIGKILL and SIGSTOP apart (pid_namespaces(7)); nsrun says so then.",
	  .arguments = "NAME...",
	  .options = &kill_options },
	{ .name = "logs",
	  .run = command_logs,
	  .help = "show what a container has written",
	  .details = "Of containers that were detached or started with --log-driver file, until nsrun rm.",
	  .arguments = "NAME",
	  .options = &logs_table },
	{ .name = "ls",
	  .run = command_ls,
	  .help = "list the containers of this user",
	  .details =
		  "Those that run or are paused; with --all also those that have ended and are kept, those that nsrun lost (it was killed, and nobody saw "
		  "their end), and dead ones that nsrun gc will tidy up.",
	  .options = &ls_options },
	{ .name = "pause",
	  .run = command_pause,
	  .help = "stop all processes of containers for a while",
	  .details =
		  "By the freezer of cgroup v2, which a process can neither notice nor prevent; memory stays in use. Each is named once nothing in it "
		  "runs. One that cannot be stopped within ten seconds, or ^C meanwhile, leaves it running. If this command is killed (SIGKILL) "
		  "halfway, the container may be paused all the same: nsrun ls shows it, nsrun resume continues it. A paused container can be "
		  "stopped, killed and removed.",
	  .arguments = "NAME...",
	  .options = &pause_options },
	{ .name = "resume",
	  .run = command_resume,
	  .help = "continue paused containers",
	  .arguments = "NAME...",
	  .options = &resume_options },
	{ .name = "rm",
	  .run = command_rm,
	  .help = "remove containers that have ended",
	  .details =
		  "Record, output and name of each. One that runs is refused unless --force, which kills it first; of one whose nsrun was "
		  "killed it ends what is left.",
	  .arguments = "NAME...",
	  .options = &rm_options },
	{ .name = "stats",
	  .run = command_stats,
	  .help = "show what containers use",
	  .details =
		  "Of all that run and have a control group, or of those that are named; on a terminal anew each second until ^C. Processor time is that of "
		  "the last interval, 100% being one processor; THROTTLED is the share of periods in which --cpus held it back. Memory is without pages of "
		  "files that were not used lately, which are given up first; OOM counts processes that were killed for want of memory. A counter "
		  "whose controller the container does not have is \"-\": a limit asks for it, and one that is never met does so too. --json has all "
		  "counters as the kernel has them (docs/stats.md).",
	  .arguments = "[NAME...]",
	  .options = &stats_options },
	{ .name = "stop",
	  .run = command_stop,
	  .help = "end containers and wait until they are gone",
	  .details =
		  "Sends process 1 the container's stop signal (--stop-signal, SIGTERM) and SIGKILL when it still runs after the timeout. "
		  "When process 1 does not handle the signal the kernel would drop it (pid_namespaces(7)): it is killed at once then. Several "
		  "are stopped at the same time.",
	  .arguments = "NAME...",
	  .options = &stop_options },
	{ .name = "top",
	  .run = command_top,
	  .help = "list the processes of a container",
	  .details =
		  "NSPID and UID-IN are as the container sees them, PID, PPID and UID as the host does. Commands are what the processes "
		  "say themselves.",
	  .arguments = "NAME",
	  .options = &top_options },
	{ .name = "update",
	  .run = command_update,
	  .help = "change limits of containers that run",
	  .details =
		  "The options are those of a launch; what is not said stays as it is, and -1 takes a limit away. Of one container all are changed or none. "
		  "A memory limit below what is used makes the kernel reclaim first; what does not fit then is refused, unless --force: on cgroup v2 "
		  "the kernel kills until the rest fits, on v1 it refuses. What forbids an option of a launch (nsrun.json(5)) forbids it here.",
	  .arguments = "NAME...",
	  .options = &update_options },
	{ .name = "version", .run = command_version, .help = "print the version" },
	{ .name = "wait",
	  .run = command_wait,
	  .help = "wait for the end of containers and print their exit statuses",
	  .details =
		  "One line each, in the order of the names: the status as a shell has it. Of one that has ended it is in the record.",
	  .arguments = "NAME...",
	  .options = &wait_options },
	{ .name = NULL },
};

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
static int launch_planned(struct plan *plan, enum trace_format format, FILE *trace)
{
	_cleanup_(tape_freep) struct tape *tape = NULL;
	struct container_end end = { 0 };
	struct err err = ERR_INIT;
	int status, r;

	r = tape_new(format != TRACE_NONE, &tape, &err);
	if (r < 0)
		return report_error(stderr, &err);

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
	_cleanup_fclose_ FILE *trace = NULL;
	struct err err = ERR_INIT;

	if (resolve(line, &site, &plan, &err) < 0)
		return report_error(stderr, &err);
	if (line->dry_run == YES)
		return dry_run(plan, &site);
	if (line->spec == YES)
		return print_spec(plan, &site, &err) < 0 ? report_error(stderr, &err)
							 : report_flush(stdout, "standard output");
	if (protect_self(plan, argv, &err) < 0)
		return report_error(stderr, &err);
	/* Opened before anything is made, so that a wrong name costs nothing. */
	if (trace_open(line->trace_file, &trace, &err) < 0)
		return report_error(stderr, &err);
	/* What the caller left open is of use up to here, as in --trace-file >(program). From now on a directory among it would be
	 * reachable from the container by /proc/self/fd. */
	if (exec_close_from(trace ? TRACE_FD + 1 : TRACE_FD, FD_NONE, &err) < 0)
		return report_error(stderr, &err);
	return launch_planned(plan, trace_format_of(line->trace, line->trace_file), trace);
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
		puts("nsrun " NSRUN_VERSION);
		return report_flush(stdout, "standard output");
	}
	if (!line.request.rootfs) {
		if (argc > 1)
			fputs("nsrun: ROOTFS is missing\n", stderr);
		help_usage(stderr);
		return 125;
	}
	return run_line(&line, argv);
}
