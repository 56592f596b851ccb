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
/* All groups, a line for each built option, an example for each group. At most 48 lines of at most 100 columns. */
void help_print(FILE *out);
/* Usage of any command: what it does, and its options. */
void help_command(FILE *out, const struct command_row *command);
/* "-m, --memory=SIZE": as --help and the manual page write it. Returns buf. */
const char *help_option_text(const struct option_row *row, char *buf, size_t size);

#endif
