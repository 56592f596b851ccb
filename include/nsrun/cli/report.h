/* SPDX-License-Identifier: Apache-2.0 */
/* Words an error for a person. The only place that prints one. */
#ifndef NSRUN_CLI_REPORT_H
#define NSRUN_CLI_REPORT_H

#include <nsrun/base/err.h>

#include <stdbool.h>
#include <stdio.h>

/*
 * nsrun: proc.mount (init): proc: mounting it: Operation not permitted
 *         fsmount: see proc(5)
 *         remedy: ... [proc-overmounted]
 * Lines without content are left out. Control characters are escaped. Returns err_exit_status(), or what report_exit_with() was told.
 */
int report_error(FILE *out, const struct err *err);
/* Errors are appended to this file as well: a line each, or an object a line with level, msg and time, of which engines show the last one. Once. */
int report_to_file(const char *path, bool json, struct err *err);
/* The descriptor of that file; FD_NONE. */
int report_log_fd(void);
/* What report_error() returns from now on, instead of 125, 126 and 127. */
void report_exit_with(int status);
/* Begins each error from now on: "exec failed: ". Static storage. */
void report_begin_with(const char *prefix);
/* What is no error, to the log, or without one to standard error. */
void report_warning(const char *text);
/* What could not be undone; does not change the exit status. */
void report_cleanup(FILE *out, const struct err *err);
/* Flushes and looks for a write error: 0, or 125 after a message. A reader that went away (EPIPE) is 141, as a shell
 * has it. */
int report_flush(FILE *out, const char *name);

#endif
