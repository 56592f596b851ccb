/* SPDX-License-Identifier: Apache-2.0 */
/* create and run: a container from an OCI bundle. */
#include <nsrun/cli/commands.h>

#include <nsrun/base/strings.h>
#include <nsrun/cli/containers.h>
#include <nsrun/cli/globals.h>
#include <nsrun/cli/launching.h>
#include <nsrun/cli/report.h>
#include <nsrun/launch/container.h>
#include <nsrun/launch/trace.h>
#include <nsrun/oci/config.h>
#include <nsrun/plan/ids.h>

#include <string.h>

struct create_line {
	enum tristate help;
	const char *bundle, *config, *pid_file, *console_socket, *preserve_fds;
	enum tristate no_pivot, no_new_keyring, dry_run;
	const char *trace;
	enum tristate keep, detach, no_subreaper; /* run */
};

#define GATE_IS_NEAR_MS 1000

#define LINE(field, ...) COMMAND_OPTION(struct create_line, field, __VA_ARGS__)
#define CREATE_ROWS                                                                                                    \
	OPTION_HELP_ROW,                                                                                               \
		LINE(bundle, "bundle", 'b', "DIR", STRING, "directory of the bundle (default: the working directory)", \
		     "-b /srv/web"),                                                                                   \
		LINE(config, "config", 'f', "FILE", STRING, "configuration (default: config.json of the bundle)",      \
		     "--config other.json"),                                                                           \
		LINE(console_socket, "console-socket", 0, "PATH", STRING, "socket that takes the terminal's master",   \
		     "--console-socket /run/tty.sock"),                                                                \
		LINE(pid_file, "pid-file", 0, "FILE", STRING, "write the pid of its init to a file",                   \
		     "--pid-file /run/web.pid"),                                                                       \
		LINE(no_pivot, "no-pivot", 0, NULL, TRISTATE, "move the rootfs onto / where pivot_root(2) is refused", \
		     "--no-pivot"),                                                                                    \
		LINE(no_new_keyring, "no-new-keyring", 0, NULL, TRISTATE, "keep the caller's session keyring",         \
		     "--no-new-keyring"),                                                                              \
		LINE(dry_run, "dry-run", 0, NULL, TRISTATE, "print the steps, and do nothing", "--dry-run"),           \
		LINE(trace, "trace", 0, "FORMAT", OPTIONAL, "tell every step on standard error: text or json",         \
		     "--trace=json", .values = (const char *const[]){ "text", "json", NULL }),                         \
		LINE(preserve_fds, "preserve-fds", 0, "N", STRING, "pass N descriptors on, from 3",                    \
		     "--preserve-fds 1")

static const struct option_row create_rows[] = { CREATE_ROWS };
const struct option_table create_options = {
	.rows = create_rows, .count = ARRAY_LEN(create_rows), .command = "create", .one_dash = true
};

static const struct option_row run_rows[] = {
	CREATE_ROWS,
	LINE(detach, "detach", 'd', NULL, TRISTATE, "leave it running", "-d"),
	LINE(keep, "keep", 0, NULL, TRISTATE, "keep its state after its end, until nsrun delete", "--keep"),
	LINE(no_subreaper, "no-subreaper", 0, NULL, TRISTATE, "accepted: this program never becomes a subreaper",
	     "--no-subreaper"),
};
const struct option_table run_options = {
	.rows = run_rows, .count = ARRAY_LEN(run_rows), .command = "run", .one_dash = true
};

/* In runc's words, which engines show. */
static int check_terminal(const struct plan *plan, struct err *err)
{
	if (plan->detached && plan->terminal && !plan->bundle->console_socket)
		return err_input(err, "cannot allocate tty if runc will detach without setting console socket: "
				      "process.terminal is true, and --console-socket is missing");
	if (plan->bundle->console_socket && (!plan->detached || !plan->terminal))
		return err_input(err, "cannot use console socket if runc will not detach or allocate tty: %s",
				 plan->terminal ? "--detach is missing" : "process.terminal is false");
	return 0;
}

static int plan_of(const struct create_line *line, const char *id, bool gated, struct plan **ret, struct err *err)
{
	const struct globals *globals = globals_get();
	struct bundle_request request = {
		.id = id,
		.bundle = line->bundle,
		.config = line->config,
		.pidfile = line->pid_file,
		.console_socket = line->console_socket,
		.gated = gated,
		.detached = gated || line->detach == YES,
		.keep = line->keep == YES,
		.cgroup_manager = globals->cgroup_manager	   ? globals->cgroup_manager
				  : globals->systemd_cgroup == YES ? "systemd"
								   : NULL,
		.no_pivot = line->no_pivot == YES,
		.no_new_keyring = line->no_new_keyring == YES,
	};
	_cleanup_(plan_freep) struct plan *plan = NULL;

	struct activation activation = { 0 };

	int r = activation_read(&activation, err);
	if (r == 0)
		r = preserve_descriptors(line->preserve_fds, activation.listen_fds, &request.preserve_fds, err);
	request.listen_fds = activation.listen_fds;
	request.listen_names = activation.listen_names;
	request.notify = activation.notify;
	if (r == 0)
		r = oci_plan(&request, &plan, err);
	if (r == 0)
		r = check_terminal(plan, err);
	if (r == 0)
		r = plan_find_state_root(plan, err);
	if (r == 0)
		*ret = TAKE_PTR(plan);
	return r;
}

/* In runc's words, on which engines wait. */
static struct err exists(const char *id)
{
	struct err err = ERR_INIT;

	err_input(&err, "container with given ID already exists: %.200s", id);
	return err;
}

static int launch(const struct create_line *line, const char *id, bool gated)
{
	_cleanup_(plan_freep) struct plan *plan = NULL;
	_cleanup_(tape_freep) struct tape *tape = NULL;
	struct container_end end = { 0 };
	struct err err = ERR_INIT;

	int r = plan_of(line, id, gated, &plan, &err);
	if (r == 0 && line->dry_run == YES) {
		trace_print_plan(plan, stdout);
		return report_flush(stdout, "standard output");
	}
	if (r == 0)
		r = protect_self(plan, globals_get()->argv, &err);
	const enum trace_format format = trace_format_of(line->trace, NULL);

	for (size_t i = 0; r == 0 && i < plan->bundle->n_warnings; i++)
		report_warning(plan->bundle->warnings[i]);
	if (r == 0)
		r = tape_new(format != TRACE_NONE, &tape, &err);
	struct trace_job job = { .format = format, .tape = tape, .out = stderr };
	const struct launch_observer observer = { .begun = print_trace, .data = &job };
	if (r == 0) {
		r = container_run(plan, tape, NULL, &observer, &end, &err);
		/* What it has told of may not be on the tape yet. */
		if (r == 0 && gated && format != TRACE_NONE)
			tape_await(tape, STEP_GATE_WAIT, GATE_IS_NEAR_MS);
		print_trace(NULL, &job);
	}
	if (r < 0 && err.id == ERR_ID_NAME_IN_USE)
		err = exists(id);
	if (err_is_set(&end.poststop))
		report_cleanup(stderr, &end.poststop);
	const int status = r < 0 ? report_error(stderr, &err) : end.result.exit_status;
	if (err_is_set(&end.cleanup))
		report_cleanup(stderr, &end.cleanup);
	return status;
}

/* "run -it alpine sh" is docker's: what it would be here is told, and not that -i is unknown. */
static int docker_line_check(const struct option_table *table, int argc, char *const *argv, struct err *err)
{
	_cleanup_free_ const char **names = NULL;
	struct create_line line = { 0 };
	struct err why = ERR_INIT;
	size_t n = 0;

	const int r = command_words(table, argc, argv, &line, &names, &n, &why);
	if (r == 0 ? n < 2 : why.id != ERR_ID_UNKNOWN_OPTION)
		return 0;
	return err_set(
		err, ERR_INPUT, ERR_ID_ROOTFS_MISSING, 0,
		"%s takes a bundle, as in nsrun %s -b BUNDLE ID (%s%s); nsrun [OPTIONS] ROOTFS [CMD] makes and starts one from a directory",
		table->command, table->command, r < 0 ? why.message : "one word too many: ", r < 0 ? "" : names[1]);
}

static int command(const struct option_table *table, int argc, char *const *argv, bool gated)
{
	_cleanup_free_ const char **names = NULL;
	struct create_line line = { 0 };
	struct err err = ERR_INIT;
	int status;
	size_t n;

	if (docker_line_check(table, argc, argv, &err) < 0)
		return report_error(stderr, &err);
	if (!command_begin(table, argc, argv, &line, 1, 1, &names, &n, &status))
		return status;
	return launch(&line, names[0], gated);
}

int command_create(int argc, char *const *argv)
{
	return command(&create_options, argc, argv, true);
}

int command_run_bundle(int argc, char *const *argv)
{
	return command(&run_options, argc, argv, false);
}
