/* SPDX-License-Identifier: Apache-2.0 */
/* nsrun exec: the plan of one more process in a container that runs, from the container's record and what the kernel says of it. */
#ifndef NSRUN_PLAN_EXEC_H
#define NSRUN_PLAN_EXEC_H

#include <nsrun/plan/container.h>
#include <nsrun/plan/request.h>

/* What exec says. Pointers are borrowed. */
struct exec_request {
	struct plan_request
		process; /* of it count argv, env, env_files, workdir, user, group_add, terminal, interactive, detach */
	bool engine; /* as the OCI runtime's: no terminal unless it is said, and detached its standard descriptors are the caller's own */
	const char *const *cgroups;	    /* groups below the container's: PATH, or CONTROLLER[,CONTROLLER...]:PATH */
	const char *const *additional_gids; /* beside the container's supplementary groups */
	const char *pidfile, *console_socket;
	unsigned preserve_fds;
};

/*
 * A process whose namespaces may be joined: PID 1 of the container, or, for an ordinary user under --init, its child: the reaper is not
 * dumpable and still has the host's memory descriptor, so that its /proc/PID/ns is closed to who owns the container (ptrace(2)).
 * A container whose tree is still the host's is refused. One of a bundle that waits for start has its own: it is entered as runc enters it. Its init has
 * nothing open that leads to the host but, with a label or a listener, the host's procfs; it is undumpable, and its program
 * is sealed where a process of the container could write to it (kernel/self.h). So what is inside gets no more of it than of nsrun exec itself.
 */
int plan_exec_open(const struct container *container, struct pidref *ret, struct err *err);

/*
 * What the request does not say is the container's: ids, capabilities, no_new_privs, filter, umask and control group by its record; namespaces,
 * limits of resources and the out-of-memory score as `process` has them now, but none that is above the caller's own when that is no root. `process`
 * is borrowed by the plan. The plan has a bundle when the container has one or the request is an engine's; what else config.json
 * said is read by oci_plan_exec().
 */
int plan_resolve_exec(const struct exec_request *request, const struct container *container,
		      const struct pidref *process, struct plan **ret, struct err *err);

/* Once the plan is whole: is there somebody who takes the terminal? In runc's words, which engines show. */
int plan_check_exec(const struct plan *plan, struct err *err);

#endif
