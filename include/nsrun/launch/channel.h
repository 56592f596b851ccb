/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel between the runtime and init: SOCK_SEQPACKET, close-on-exec. It carries syncs, matched by exact id, with the
 * descriptors that each has by the plan. Errors, and what became of each row, are on the tape. Its end of file means that the other side executed the
 * workload or died; the tape and waitid(P_PIDFD) tell which.
 */
#ifndef NSRUN_LAUNCH_CHANNEL_H
#define NSRUN_LAUNCH_CHANNEL_H

#include <nsrun/base/pidref.h>
#include <nsrun/launch/step.h>

int channel_open(int *ret_runtime, int *ret_init, struct err *err);

#define CHANNEL_FDS_MAX 16

/* Announces the sync `step` with n descriptors, which stay the caller's. */
int channel_send(int channel, enum step_id step, const int *fds, size_t n, struct err *err);

/* Waits for exactly `step` with exactly n descriptors. More or fewer, another id, another length or
 * a truncated message is ERR_BUG. The peer's end is ERR_PEER with -ESRCH: poll(2) watches channel and pidfd, nothing hangs. */
int channel_expect(int channel, const struct pidref *peer, enum step_id step, int *ret_fds, size_t n, struct err *err);

/* The same without descriptors, of a process whose filter is in force already: by write(2) and read(2) alone. Its peer's death is told by the end
 * of the channel, of which nobody else holds the other side by then. */
int channel_write(int channel, enum step_id step, struct err *err);
int channel_read(int channel, enum step_id step, struct err *err);

/* Waits until the other side closed the channel (0) or died (0 too: the caller looks at tape and pidfd). A message is ERR_BUG. */
int channel_wait_end(int channel, const struct pidref *peer, struct err *err);

#endif
