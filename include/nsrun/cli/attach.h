/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSRUN_CLI_ATTACH_H
#define NSRUN_CLI_ATTACH_H

#include <nsrun/cli/options.h>

/* The terminal of this process belongs to the container at the other end of `client` (a control connection that is attached already),
 * until that ends or `keys` are typed. Returns the exit status. */
int attach_terminal(int client, const char *keys, const char *id);

extern const struct option_table attach_table, logs_table;

/* nsrun attach, nsrun logs */
int command_attach(int argc, char *const *argv);
int command_logs(int argc, char *const *argv);

#endif
