/* SPDX-License-Identifier: Apache-2.0 */
/* Words an error for a person. The only place that prints one. */
#ifndef NSRUN_CLI_REPORT_H
#define NSRUN_CLI_REPORT_H

#include <nsrun/base/err.h>

#include <stdio.h>

/*
 * nsrun: proc.mount (init): proc: mounting it: Operation not permitted
 *         fsmount: see proc(5)
 *         remedy: ... [proc-overmounted]
 * Lines without content are left out. Control characters are escaped. Returns err_exit_status().
 */
int report_error(FILE *out, const struct err *err);
/* What could not be undone; does not change the exit status. */
void report_cleanup(FILE *out, const struct err *err);
/* Flushes and looks for a write error: 0, or 125 after a message. A reader that went away (EPIPE) is 141, as a shell
 * has it. */
int report_flush(FILE *out, const char *name);

#endif
