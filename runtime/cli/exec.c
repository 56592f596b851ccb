/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/commands.h>

#include <nsrun/base/strings.h>
#include <nsrun/cli/containers.h>
#include <nsrun/cli/globals.h>
#include <nsrun/cli/help.h>
#include <nsrun/cli/launching.h>
#include <nsrun/cli/report.h>
#include <nsrun/cli/site.h>
#include <nsrun/kernel/cgroup.h>
#include <nsrun/kernel/exec.h>
#include <nsrun/oci/exec.h>
#include <nsrun/plan/container_group.h>

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#define EXIT_OCI_EXEC 255
#define RESUME_MS 3600000 /* between two looks */

struct exec_line {
	enum tristate help;
	struct plan_request request;
	const char *trace, *trace_file;
	enum tristate dry_run;
	/* Of the OCI runtime. */
	const char *process, *pid_file, *console_socket, *cwd, *preserve_fds, *apparmor, *process_label;
	const char *const *additional_gids, *const *caps, *const *cgroups;
	enum tristate no_new_privs, ignore_paused;
};

#define LINE(field, ...) COMMAND_OPTION(struct exec_line, field, __VA_ARGS__)
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
	LINE(process, "process", 'p', "FILE", STRING, "the process object of an engine; -: standard input",
	     "-p top.json"),
	LINE(cwd, "cwd", 0, "DIR", STRING, "the same as --workdir", "--cwd /srv"),
	LINE(additional_gids, "additional-gids", 'g', "GID", LIST, "a supplementary group beside the container's",
	     "-g 33"),
	LINE(caps, "cap", 'c', "CAP", LIST, "a capability beside the container's", "-c CAP_NET_ADMIN"),
	LINE(no_new_privs, "no-new-privs", 0, NULL, TRISTATE, "set-uid programs give nothing", "--no-new-privs"),
	LINE(apparmor, "apparmor", 0, "PROFILE", STRING, "another AppArmor profile", "--apparmor docker-default"),
	LINE(process_label, "process-label", 0, "LABEL", STRING, "another SELinux label",
	     "--process-label system_u:system_r:container_t:s0"),
	LINE(cgroups, "cgroup", 0, "[CONTROLLER:]PATH", LIST, "into a control group below the container's",
	     "--cgroup jobs"),
	LINE(pid_file, "pid-file", 0, "FILE", STRING, "write the pid of the process to a file",
	     "--pid-file /run/top.pid"),
	LINE(console_socket, "console-socket", 0, "PATH", STRING, "socket that takes the terminal's master",
	     "--console-socket /run/tty.sock"),
	LINE(preserve_fds, "preserve-fds", 0, "N", STRING, "pass N descriptors on, from 3", "--preserve-fds 1"),
	LINE(ignore_paused, "ignore-paused", 0, NULL, TRISTATE, "of one that is paused: begin when it is resumed",
	     "--ignore-paused"),
	PLANNED("detach-keys", "KEYS", "keys that leave the terminal"),
	PLANNED("privileged", NULL, "more than the container has"),
};
const struct option_table exec_options = {
	.rows = rows, .count = ARRAY_LEN(rows), .command = "exec", .one_dash = true
};

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

/* Engines say flags before the command, or a process object. */
static bool is_engines(const struct exec_line *line)
{
	return globals_is_engine() || line->process || line->console_socket || line->pid_file;
}

/* The process object is read before this program knows whether it has to execute a sealed copy of itself, which reads it again. */
static int keep_standard_input(struct err *err)
{
	_cleanup_close_ int copy = memfd_create("process", MFD_CLOEXEC);
	char buf[16384];
	ssize_t n;

	if (copy < 0)
		return err_system(err, "--process -");
	for (size_t all = 0; (n = read(STDIN_FILENO, buf, sizeof(buf))) > 0; all += (size_t)n)
		if (all > OCI_PROCESS_MAX || write(copy, buf, (size_t)n) != n)
			return err_input(err, "--process -: larger than %u bytes", OCI_PROCESS_MAX);
	if (n < 0 || lseek(copy, 0, SEEK_SET) < 0 || dup2(copy, STDIN_FILENO) < 0)
		return err_system(err, "--process -");
	return 0;
}

static int find_container(const struct exec_line *line, const char *name, struct container *ret, struct err *err)
{
	struct err none = ERR_INIT;
	int r;

	if (!globals_is_engine()) {
		r = container_find(name, ret, err);
		if (r == 0 && (container_is_bundle(ret) || is_engines(line))) {
			report_exit_with(EXIT_OCI_EXEC);
			report_begin_with("exec failed: ");
		}
		return r;
	}
	r = container_find_bundle(name, ret, err);
	if (r == -ENOENT && container_find(name, ret, &none) == 0) {
		*err = ERR_INIT;
		return 0;
	}
	return r;
}

static int check_line(const struct exec_line *line, struct err *err)
{
	const struct plan_request *request = &line->request;

	if (line->cwd && request->workdir)
		return err_input(err, "--cwd and --workdir are the same: say one");
	if (line->trace_file && line->preserve_fds)
		return err_input(err, "--trace-file and --preserve-fds contradict each other: both mean descriptor 3");
	if (!line->process)
		return 0;
	if (request->argv)
		return err_input(err, "--process %s: it says what is executed: '%s' is one word too many",
				 line->process, request->argv[0]);
	if (request->env || request->env_files || request->user || request->group_add || request->workdir ||
	    line->cwd || line->additional_gids)
		return err_input(err, "--process %s: environment, user, groups and directory are said in it",
				 line->process);
	return 0;
}

static int make_plan(struct exec_line *line, const struct container *container, const struct pidref *process,
		     unsigned preserved, struct plan **ret, struct err *err)
{
	static const char *const nothing[] = { "/", NULL };
	struct oci_exec_request request = {
		.base = {
			.process = line->request,
			.engine = is_engines(line),
			.cgroups = line->cgroups,
			.additional_gids = line->additional_gids,
			.pidfile = line->pid_file,
			.console_socket = line->console_socket,
			.preserve_fds = preserved,
		},
		.process_file = line->process,
		.caps = line->caps,
		.no_new_privs = line->no_new_privs,
		.apparmor = line->apparmor,
		.selinux = line->process_label,
	};

	if (line->cwd)
		request.base.process.workdir = line->cwd;
	if (line->process) /* is replaced by what the object says */
		request.base.process.argv = nothing;
	else if (request.base.engine && !line->request.argv)
		return err_input(err, "process args cannot be empty");
	return oci_plan_exec(&request, container, process, ret, err);
}

/* Nothing is made meanwhile, and a signal ends this program as any other. */
static int await_resume(struct container *container, struct err *err)
{
	_cleanup_close_ int group = FD_NONE;

	container_look_paused(container, 1);
	if (!container->paused)
		return 0;
	int r = container_group_open(container, &group, err);
	while (r == 0 && (r = cgroup_wait_event(group, "frozen", 0, RESUME_MS, FD_NONE)) == -ETIMEDOUT)
		r = 0;
	return r < 0 ? err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "%s: waiting until it is resumed",
			       container_label(container))
		     : 0;
}

static int find_and_plan(struct exec_line *line, const char *name, unsigned preserved, struct container *container,
			 struct pidref *process, struct plan **ret, struct err *err)
{
	int r = find_container(line, name, container, err);

	if (r == 0)
		r = check_line(line, err);
	if (r == 0 && line->ignore_paused == YES)
		r = await_resume(container, err);
	if (r == 0)
		r = plan_exec_open(container, process, err);
	return r < 0 ? r : make_plan(line, container, process, preserved, ret, err);
}

static int run(struct exec_line *line, const char *name)
{
	_cleanup_(pidref_close) struct pidref process = PIDREF_NONE;
	_cleanup_(container_done) struct container container = { 0 };
	_cleanup_(plan_freep) struct plan *plan = NULL;
	_cleanup_fclose_ FILE *trace = NULL;
	const struct option_table launch_options = { .rows = option_rows, .count = option_rows_count };
	const bool from_stdin = line->process && streq(line->process, "-");
	struct err err = ERR_INIT;
	unsigned preserved = 0;

	/* Before a file is opened that may be forbidden. */
	int r = site_check_command(&launch_options, &exec_options, line, &err);
	/* What the caller left open must not be open inside, where a directory among it would be reachable by /proc/self/fd. */
	if (r == 0)
		r = trace_open(line->trace_file, &trace, &err);
	if (r == 0)
		r = trace ? close_descriptors(TRACE_FD + 1, &err)
			  : preserve_descriptors(line->preserve_fds, 0, &preserved, &err);
	if (r == 0 && from_stdin)
		r = keep_standard_input(&err);
	if (r == 0)
		r = find_and_plan(line, name, preserved, &container, &process, &plan, &err);
	for (size_t i = 0; r == 0 && plan->bundle && i < plan->bundle->n_warnings; i++)
		report_warning(plan->bundle->warnings[i]);
	if (r == 0 && line->dry_run == YES) {
		trace_print_plan(plan, stdout);
		return report_flush(stdout, "standard output");
	}
	if (r == 0 && from_stdin)
		(void)lseek(STDIN_FILENO, 0, SEEK_SET);
	if (r == 0)
		r = protect_self(plan, globals_get()->argv, &err);
	if (r == 0 && from_stdin)
		(void)lseek(STDIN_FILENO, 0, SEEK_END);
	if (r < 0 || !plan)
		return report_error(stderr, &err);
	return walk(plan, trace_format_of(line->trace, line->trace_file), trace);
}

/* What follows NAME: CMD, or more options where an engine says so. */
static int take_words(struct exec_line *line, int argc, char *const *argv, int at, struct err *err)
{
	bool dashes = at < argc && streq(argv[at], "--");

	if (!dashes && at < argc && argv[at][0] == '-' && argv[at][1] != '\0') {
		int used = 0;

		if (!is_engines(line))
			return err_set(err, ERR_INPUT, ERR_ID_OPTION_ORDER, 0, "%s: an option behind NAME (%s)",
				       argv[at], argv[at - 1]);
		/* The parser begins behind a word that it does not look at. */
		const int r = options_parse(&exec_options, argc - at + 1, argv + at - 1, line, &used, err);
		if (r < 0)
			return r;
		at += used - 1;
	} else {
		at += dashes;
	}
	if (at < argc)
		line->request.argv = (const char *const *)argv + at;
	return 0;
}

int command_exec(int argc, char *const *argv)
{
	_cleanup_(line_done) struct exec_line line = { 0 };
	struct err err = ERR_INIT;
	int at = 0;

	if (globals_is_engine())
		report_begin_with("exec failed: ");
	if (options_parse(&exec_options, argc, argv, &line, &at, &err) < 0)
		return report_error(stderr, &err);
	if (is_engines(&line))
		report_exit_with(EXIT_OCI_EXEC);
	if (line.help == YES) {
		help_command(stdout, command_find(argv[0]));
		return report_flush(stdout, "standard output");
	}
	if (at >= argc) {
		err_set(&err, ERR_INPUT, ERR_ID_NONE, 0, "exec: which container? nsrun exec --help");
		return report_error(stderr, &err);
	}
	const char *name = argv[at++];
	if (take_words(&line, argc, argv, at, &err) < 0)
		return report_error(stderr, &err);
	return run(&line, name);
}
