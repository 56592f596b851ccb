/* SPDX-License-Identifier: Apache-2.0 */
/* Picks the face, nothing else. */
#include <nsrun/cli/commands.h>
#include <nsrun/cli/globals.h>
#include <nsrun/cli/help.h>
#include <nsrun/cli/report.h>
#include <nsrun/kernel/probe.h>

#include <fcntl.h>
#ifdef NSRUN_STATIC
#include <nss.h>
#endif
#include <signal.h>

/* A descriptor 0, 1 or 2 that is closed would be given to the next file that is opened, and messages or the workload
 * would write into it. */
static int fill_standard_fds(struct err *err)
{
	int fd;

	do {
		/* Without O_CLOEXEC where it fills a gap: it is the workload's too. */
		fd = open("/dev/null", O_RDWR | O_NOCTTY);
		if (fd < 0)
			return err_system(err, "/dev/null: open");
	} while (fd <= STDERR_FILENO);
	close(fd);
	return 0;
}

static int begin(struct err *err)
{
	int r;

	if (probe_is_secure_exec())
		return err_refused(err, ERR_ID_SETUID_BINARY, "nsrun: runs with more privilege than its caller has");
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0) {
			r = fill_standard_fds(err);
			if (r < 0)
				return r;
			break;
		}
	/* A reader of messages or of the trace that goes away must not kill what has something to undo. The workload
	 * gets the default back (signals_reset). */
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return err_system(err, "SIGPIPE: ignore");
#ifdef NSRUN_STATIC
	/* Users of other sources come by libraries (nsswitch.conf(5)), which want the C library that they were linked with. */
	if (__nss_configure_lookup("passwd", "files") < 0 || __nss_configure_lookup("group", "files") < 0)
		return err_system(err, "nsswitch: files");
#endif
	return 0;
}

/* argv[0] is the command's name. */
static int run_command(const struct command_row *command, int argc, char **argv)
{
	if (!help_is_wanted(argc, argv))
		return command->run(argc, argv);
	help_command(stdout, command);
	return report_flush(stdout, "standard output");
}

int main(int argc, char **argv)
{
	struct globals globals = { 0 };
	struct err err = ERR_INIT;
	int at = 0;

	if (begin(&err) < 0)
		return report_error(stderr, &err);

	const struct command_row *command = argc > 1 ? command_find(argv[1]) : NULL;
	if (command)
		at = 1;
	else if (globals_parse(argc, argv, &globals, &at, &err) < 0)
		return report_error(stderr, &err);
	if (!at)
		return command_run(argc, argv);
	if (globals.version == YES)
		return command_version(1, argv);
	if (globals.help == YES)
		return command_help(1, argv);
	globals.argv = argv;
	if (globals_apply(&globals, argv[at], &err) < 0)
		return report_error(stderr, &err);
	return run_command(command_find(argv[at]), argc - at, argv + at);
}
