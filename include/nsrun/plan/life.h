/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSRUN_PLAN_LIFE_H
#define NSRUN_PLAN_LIFE_H

#include <nsrun/plan/plan.h>

/* The part of plan_resolve() for name, detaching, what is kept, signals and logs. First of all: other parts ask whether it is detached. */
int plan_resolve_life(struct plan *plan, const struct plan_request *request, struct err *err);

#endif
