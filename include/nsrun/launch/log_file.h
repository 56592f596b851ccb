/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log driver `file`: DIR/log, log.1 and so on, in the format of the Kubernetes container runtime interface:
 *   2026-11-22T06:46:45.123456789Z stdout F a whole line
 *   2026-11-22T06:46:45.123456789Z stderr P the beginning of one, or a last one that did not end
 * Nothing that goes wrong here ends a container: what could not be written is counted, and the file never has half a record.
 */
#ifndef NSRUN_LAUNCH_LOG_FILE_H
#define NSRUN_LAUNCH_LOG_FILE_H

#include <nsrun/plan/plan.h>

enum log_stream { LOG_STDOUT, LOG_STDERR };

struct log_writer;

int log_writer_new(const char *dir, const struct plan_log *settings, struct log_writer **ret, struct err *err);
void log_writer_put(struct log_writer *log, enum log_stream stream, const char *data, size_t n);
/* Lines that did not end are written as they are. False when output is missing, and why. */
bool log_writer_end(struct log_writer *log, char *ret_why, size_t size);
void log_writer_free(struct log_writer *log);

/* One record. `text` points into the line. */
struct log_record {
	const char *time; /* not terminated; time_length bytes */
	size_t time_length;
	enum log_stream stream;
	bool partial;
	const char *text;
	size_t length;
};
/* False: not such a line. `line` is without its newline. */
bool log_record_parse(const char *line, size_t n, struct log_record *ret);

#endif
