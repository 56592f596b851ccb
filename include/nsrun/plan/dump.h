/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSRUN_PLAN_DUMP_H
#define NSRUN_PLAN_DUMP_H

#include <nsrun/plan/plan.h>

#include <stdio.h>

/* The canonical form of a plan, for --dry-run: one "key: value" line a field in a fixed order, "auto" where a range is not yet taken. */
int plan_dump(const struct plan *plan, FILE *out);

#endif
