/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSRUN_LAUNCH_TRACE_H
#define NSRUN_LAUNCH_TRACE_H

#include <nsrun/launch/tape.h>

#include <stdio.h>

enum trace_format { TRACE_NONE, TRACE_TEXT, TRACE_JSON };

/* Every row that was run, in the order of its begin, one line each: time since the first row, role, row, interface, duration, result, note. */
void trace_print_text(const struct tape *tape, FILE *out);
/* The same, one JSON object a line: step, role, interface, manual, begin_us, duration_us, result ("ok" or the errno's name), note. */
void trace_print_json(const struct tape *tape, FILE *out);
/* The rows that this plan would run, in the table's order: role, row, interface (--dry-run). */
void trace_print_plan(const struct plan *plan, FILE *out);

#endif
