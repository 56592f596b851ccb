/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of plan_resolve() that are about the process and its confinement. */
#ifndef NSRUN_PLAN_PROCESS_H
#define NSRUN_PLAN_PROCESS_H

#include <nsrun/plan/plan.h>

/* argv, env, workdir, user, hostname, terminal, stdin, reaper, rlimits. */
int plan_resolve_process(struct plan *plan, const struct plan_request *request, struct err *err);

/* Capabilities, no_new_privs, the filter, nosuid, masked and read-only paths. */
int plan_resolve_confinement(struct plan *plan, const struct plan_request *request, struct err *err);

/* --memory, --pids-limit, --cpus. What was not said is CGROUP_NO_LIMIT. */
int plan_parse_limits(const struct plan_request *request, struct cgroup_limits *ret, struct err *err);

#endif
