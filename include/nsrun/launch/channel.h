/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel between the runtime and init: SOCK_SEQPACKET, close-on-exec. It carries syncs, matched by exact id, with at most
 * one descriptor each. Errors, and what became of each row, are on the tape. Its end of file means that the other side executed the
 * workload or died; the tape and waitid(P_PIDFD) tell which.
 */
#ifndef NSRUN_LAUNCH_CHANNEL_H
#define NSRUN_LAUNCH_CHANNEL_H

#include <nsrun/base/pidref.h>
#include <nsrun/launch/step.h>

int channel_open(int *ret_runtime, int *ret_init, struct err *err);

/* Announces the sync `step`; pass_fd is FD_NONE or a descriptor, which stays the caller's. */
int channel_send(int channel, enum step_id step, int pass_fd, struct err *err);

/* Waits for exactly `step`. *ret_fd is the descriptor that came with it, or FD_NONE; more than one, another id, another length or
 * a truncated message is ERR_BUG. The peer's end is ERR_PEER with -ESRCH: poll(2) watches channel and pidfd, nothing hangs. */
int channel_expect(int channel, const struct pidref *peer, enum step_id step, int *ret_fd, struct err *err);

/* Waits until the other side closed the channel (0) or died (0 too: the caller looks at tape and pidfd). A message is ERR_BUG. */
int channel_wait_end(int channel, const struct pidref *peer, struct err *err);

#endif
