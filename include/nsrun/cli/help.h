/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSRUN_CLI_HELP_H
#define NSRUN_CLI_HELP_H

#include <nsrun/cli/commands.h>
#include <nsrun/cli/options.h>

#include <stdio.h>

#ifndef NSRUN_VERSION
#define NSRUN_VERSION "0.1.0"
#endif

/* Three lines: the synopsis, and where more is. */
void help_usage(FILE *out);
/* All groups, a line for each built option, an example for each group. At most 96 lines of at most 100 columns,
 * which is two screens, however many options are built. */
void help_print(FILE *out);
/* Usage of any command: what it does, and its options. */
void help_command(FILE *out, const struct command_row *command);
/* "-m, --memory=SIZE": as --help and the manual page write it. Returns buf. */
const char *help_option_text(const struct option_row *row, char *buf, size_t size);

/* "nsrun exec [OPTIONS] NAME CMD [ARG...]". Returns buf. */
const char *help_command_usage(const struct command_row *command, char *buf, size_t size);
/* argv[1] is --help or -h. */
bool help_is_wanted(int argc, char *const *argv);

#endif
