/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate of OCI create: init has made the container's view, and waits in it for start before it executes the workload.
 *
 * It is a SOCK_SEQPACKET socket STATE_ROOT/UID.GID/ID/gate. Who may open it: whoever can search the state directory, which is its owner's alone
 * (0700), or root. Init holds the listening descriptor and no path; of what it has open nothing leads to a file that the container could write.
 *
 *   start -> init   START            a client that goes away before it says so, or says anything else, is ignored
 *   init -> start   TAKEN + tape     to the first one that says start; the tape (launch/tape.h) comes as a descriptor
 *   end of file                      execve(2) succeeded (the connection is close-on-exec), or init has ended: the tape tells which, and what
 *                                    failed in which row, also after a filter that denies every way to speak
 *
 * Of two that say start at once one is taken. The other's connection ends without TAKEN: the container runs already.
 *
 * What ends a container that nobody starts: kill (a signal that ends a process by default ends init: it looks at them itself, since
 * the kernel drops them for a PID 1), delete --force (SIGKILL), and the end of its pid namespace, of its control group or of the host. It has no bond
 * to a process of the caller's: create has ended by design.
 */
#ifndef NSRUN_LAUNCH_GATE_H
#define NSRUN_LAUNCH_GATE_H

#include <nsrun/launch/tape.h>
#include <nsrun/plan/container.h>

/* In create, before init exists. `dir` is the container's state directory. */
int gate_listen(const char *dir, int *ret_listener, struct err *err);

/* In init: waits for start. The tape's descriptor goes to the client, whose connection is returned. Exits when a signal says so. */
int gate_wait(int listener, int tape_fd, int *ret_client, struct err *err);

/* In start: opens the gate, and waits until the workload is executed. An error of init's is returned as it was, with its row and role.
 * ERR_ID_NONE with -EALREADY: somebody else has started it. */
int gate_start(const struct container *container, struct err *err);

#endif
