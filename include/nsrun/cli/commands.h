/* SPDX-License-Identifier: Apache-2.0 */
/* The faces' entry points: each takes main()'s words and returns the exit status. */
#ifndef NSRUN_CLI_COMMANDS_H
#define NSRUN_CLI_COMMANDS_H

#include <nsrun/cli/options.h>

struct command_row {
	const char *name;
	int (*run)(int argc, char *const *argv); /* argv[0] is the command's name */
	const char *help;
	const char *details;		    /* what the manual page has after `help` */
	const char *arguments;		    /* "NAME [CMD [ARG...]]"; NULL: none */
	const struct option_table *options; /* NULL: none but --help */
};

/* Ends with a row without name. */
extern const struct command_row commands[];

/* nsrun [OPTIONS] ROOTFS [--] [CMD [ARG...]] */
int command_run(int argc, char *const *argv);
/* nsrun NAME ...; alphabetical, as commands[] */
int command_checkpoint(int argc, char *const *argv);
int command_events(int argc, char *const *argv);
int command_create(int argc, char *const *argv);
int command_delete(int argc, char *const *argv);
int command_exec(int argc, char *const *argv);
int command_features(int argc, char *const *argv);
int command_gc(int argc, char *const *argv);
int command_help(int argc, char *const *argv); /* [COMMAND|OPTION|GROUP] */
int command_inspect(int argc, char *const *argv);
int command_kill(int argc, char *const *argv);
int command_lab(int argc, char *const *argv); /* [list|check|solve|reset|CHAPTER] */
int command_list(int argc, char *const *argv);
int command_ls(int argc, char *const *argv);
int command_pause(int argc, char *const *argv);
int command_ps(int argc, char *const *argv);
int command_restore(int argc, char *const *argv);
int command_resume(int argc, char *const *argv);
int command_rm(int argc, char *const *argv);
int command_spec(int argc, char *const *argv);
int command_run_bundle(int argc, char *const *argv);
int command_start(int argc, char *const *argv);
int command_state(int argc, char *const *argv);
int command_stats(int argc, char *const *argv);
int command_stop(int argc, char *const *argv);
int command_top(int argc, char *const *argv);
int command_update(int argc, char *const *argv);
int command_wait(int argc, char *const *argv);
int command_version(int argc, char *const *argv);

/* NULL when it is no command. */
const struct command_row *command_find(const char *word);
/* The command that was probably meant; NULL. */
const char *command_nearest(const char *word);

/* Their options. */
extern const struct option_table checkpoint_options, events_options, features_options, list_options, ps_options,
	restore_options, spec_options;
extern const struct option_table create_options, delete_options, run_options, start_options, state_options,
	exec_options, inspect_options, kill_options, lab_options, ls_options, pause_options, resume_options, rm_options,
	stats_options, stop_options, top_options, update_options, wait_options;

#endif
