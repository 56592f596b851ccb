/* SPDX-License-Identifier: Apache-2.0 */
/* Who makes the container's control group: --cgroup-manager. Parts of plan_resolve(), after the limits are parsed and the host's groups known. */
#ifndef NSRUN_PLAN_MANAGER_H
#define NSRUN_PLAN_MANAGER_H

#include <nsrun/plan/plan.h>

/*
 * plan->cgroup_manager, and what does not go with it is refused. "auto" is cgroupfs wherever this caller may make groups. An ordinary user who may not,
 * and who has a systemd of their own, gets a scope from it, which costs milliseconds: so only for a limit, --detach or --name, and for the last
 * two not when that systemd does not answer: of these plan_resolve_scope() is done then, and plan->cgroup_slice set.
 */
int plan_choose_manager(struct plan *plan, const struct plan_request *request, struct err *err);
/* For CGROUP_MANAGER_SYSTEMD: where the scope will be, and whether its manager has the controllers. Asks systemd, changes nothing. plan->cgroup_path is
 * the slice's group; plan_reserve() adds the unit's name. */
int plan_resolve_scope(struct plan *plan, const struct plan_request *request, struct err *err);
/* The same in this slice; `what` asked for it. */
int plan_resolve_scope_in(struct plan *plan, const char *slice, const char *what, struct err *err);
/* "cgroupfs", "systemd", "disabled". */
const char *plan_manager_name(enum cgroup_manager manager);

#endif
