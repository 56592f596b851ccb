/* SPDX-License-Identifier: Apache-2.0 */
/* A container from its reservation to its record, by this process or by a keeper. */
#ifndef NSRUN_LAUNCH_CONTAINER_H
#define NSRUN_LAUNCH_CONTAINER_H

#include <nsrun/launch/launch.h>

struct container_end {
	struct launch_result result;
	struct err cleanup;  /* what could not be undone; kind ERR_NONE: nothing */
	struct err poststop; /* a hook that failed when all was over, which changes nothing */
};

/* plan_reserve(), launch_run() and the end: the record is kept or removed, and attached clients are told. On failure `end` has what
 * could not be undone. The plan is const once it is reserved. */
int container_run(struct plan *plan, struct tape *tape, const struct launch_caller *caller,
		  const struct launch_observer *observer, struct container_end *end, struct err *err);

/* What the keeper tells its caller, once. */
struct keeper_report {
	bool begun;
	char id[PLAN_ID_LEN + 1];
	struct err err, cleanup;
};

/*
 * Forks a keeper: a process in its own session, without the caller's terminal, descriptors and (once the workload executes) directory,
 * which runs the container to its end. Returns in the caller, when the workload executes or the launch has failed: `report` says which.
 * -errno when there is no keeper, or it was killed. ret_client, unless NULL: the caller's end of a control connection that misses nothing.
 */
int keeper_start(struct plan *plan, struct tape *tape, struct keeper_report *report, int *ret_client, struct err *err);

#endif
