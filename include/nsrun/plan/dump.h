/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSRUN_PLAN_DUMP_H
#define NSRUN_PLAN_DUMP_H

#include <nsrun/plan/plan.h>

#include <stdio.h>

/* The canonical form of a plan, for --dry-run: one "key: value" line a field in a fixed order, "auto" where a range is not yet taken. */
int plan_dump(const struct plan *plan, FILE *out);

/* dump_limits.c: the control groups, each value and each file that is written. Part of plan_dump(). */
int plan_dump_limits(const struct plan *plan, FILE *out);
/* One line; the value escaped, so that none can look like a line of its own. NULL is "none". */
void dump_put(FILE *out, const char *key, const char *value);

#endif
