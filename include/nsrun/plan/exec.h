/* SPDX-License-Identifier: Apache-2.0 */
/* nsrun exec: the plan of one more process in a container that runs, from the container's record and what the kernel says of it. */
#ifndef NSRUN_PLAN_EXEC_H
#define NSRUN_PLAN_EXEC_H

#include <nsrun/plan/container.h>
#include <nsrun/plan/request.h>

/*
 * A process whose namespaces may be joined: PID 1 of the container, or, for an ordinary user under --init, its child: the reaper is not
 * dumpable and still has the host's memory descriptor, so that its /proc/PID/ns is closed to who owns the container (ptrace(2)).
 * A container that does not execute anything yet is refused: its tree is still the host's.
 */
int plan_exec_open(const struct container *container, struct pidref *ret, struct err *err);

/*
 * Of the request count argv, env, env_files, workdir, user, group_add, terminal, interactive, detach. Everything else is the container's: ids,
 * capabilities, no_new_privs, filter, umask and control group by its record; namespaces, limits of resources and the out-of-memory score
 * as `process` has them now, but none that is above the caller's own when that is no root. `process` is borrowed by the plan.
 */
int plan_resolve_exec(const struct plan_request *request, const struct container *container,
		      const struct pidref *process, struct plan **ret, struct err *err);

#endif
