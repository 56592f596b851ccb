/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flags that an engine says before the command: nsrun --root DIR --log FILE --log-format json create ... They are runc's. A command line that begins with
 * them is the OCI runtime's, as are the commands that it alone has; its errors end with status 1 (exec: 255), where those of the one-shot command end with 125.
 */
#ifndef NSRUN_CLI_GLOBALS_H
#define NSRUN_CLI_GLOBALS_H

#include <nsrun/cli/options.h>

struct globals {
	enum tristate help;
	enum tristate debug, systemd_cgroup, version;
	const char *root;	    /* the state root; the environment variable NSRUN_ROOT to all below */
	const char *log;	    /* file for messages, beside standard error; NULL: none */
	const char *log_format;	    /* "text", "json" */
	const char *rootless;	    /* accepted and ignored: "true", "false", "auto"; the kernel decides */
	const char *cgroup_manager; /* "cgroupfs", "systemd", "disabled" */
	const char *criu;	    /* accepted and ignored */
	char *const *argv;	    /* all of main()'s words, for who executes them again */
};

extern const struct option_table globals_options;

/*
 * Flags in front of a command, at argv[1] on. *ret_at: the index of the command's word; 0 where the line does not begin so (it is the one-shot
 * command's then, and nothing has been read).
 */
int globals_parse(int argc, char *const *argv, struct globals *ret, int *ret_at, struct err *err);
/* Makes them hold: environment, log, exit status. Once, by main(), before a command runs; `command` decides the exit status. */
int globals_apply(const struct globals *globals, const char *command, struct err *err);
/* What holds: zeroed where nothing was said. */
const struct globals *globals_get(void);

#endif
