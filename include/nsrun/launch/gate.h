/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate of OCI create: init has given up all that the workload will not have, its filter is in force, and it waits for start before it executes
 * the workload.
 *
 * It is a fifo(7), STATE_ROOT/UID.GID/ID/gate, with the launch's tape (launch/tape.h) as a file beside it. Who may open them: whoever can search the state
 * directory, which is its owner's alone (0700), or root. Init has the fifo open for both directions, and maps the tape; nothing that it has open leads to
 * a file that the container could write.
 *
 *   flock(2) on the tape   by start, as long as it waits: of two that start at once one is told that the container runs already
 *   start -> init          one byte; any other one is ignored
 *   POLLERR                nobody reads the fifo any more: execve(2) succeeded (init's end is close-on-exec), or init has ended. The tape tells which,
 *                          and what failed in which row
 *
 * Of init's side nothing is asked but read(2): it is under the workload's filter, which may deny or kill everything else.
 *
 * What ends a container that nobody starts: kill (init has handlers for signals that end a process by default, since the kernel drops those of a PID 1
 * without them), delete --force (SIGKILL), and the end of its pid namespace, of its control group or of the host. It has no bond
 * to a process of the caller's: create has ended by design.
 */
#ifndef NSRUN_LAUNCH_GATE_H
#define NSRUN_LAUNCH_GATE_H

#include <nsrun/launch/tape.h>
#include <nsrun/plan/container.h>

/* In create, before init exists. `dir` is the container's state directory, in which the tape is published. */
int gate_open(const char *dir, struct tape *tape, int *ret_gate, struct err *err);

/* In init: waits for start, by read(2) alone. */
int gate_wait(int gate, struct err *err);

/* In start: opens the gate, and waits until the workload is executed. An error of init's is returned as it was, with its row and role.
 * -EALREADY without an error: somebody else has started it. */
int gate_start(const struct container *container, struct err *err);

#endif
