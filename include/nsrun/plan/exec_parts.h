/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of plan_resolve_exec(), in its order. Of no use to others. */
#ifndef NSRUN_PLAN_EXEC_PARTS_H
#define NSRUN_PLAN_EXEC_PARTS_H

#include <nsrun/plan/exec.h>

/* exec_record.c: `process` is that object of the record. */
int plan_exec_read_confinement(struct plan *plan, const struct container *container, const json_t *process,
			       struct err *err);
int plan_exec_read_settings(struct plan *plan, struct plan_enter *enter, const struct container *container,
			    const json_t *process, struct err *err);
int plan_exec_read_process(struct plan *plan, const struct exec_request *whole, const struct container *container,
			   const json_t *process, struct err *err);

/* exec_limits.c: as enter->process has them now, and the container's group. */
int plan_exec_resolve_rlimits(struct plan *plan, struct err *err);
int plan_exec_resolve_oom_score(struct plan *plan, struct plan_enter *enter, struct err *err);
int plan_exec_resolve_cgroup(struct plan *plan, struct plan_enter *enter, const struct container *container,
			     struct err *err);
int plan_exec_resolve_groups(const struct plan *plan, struct plan_enter *enter, const char *const *groups,
			     struct err *err);

#endif
