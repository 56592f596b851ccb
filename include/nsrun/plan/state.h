/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of reserve.h that the reserving and the collecting side share. */
#ifndef NSRUN_PLAN_STATE_H
#define NSRUN_PLAN_STATE_H

#include <nsrun/base/err.h>

#include <sys/types.h>

/* Opens a directory of ours, without following a symbolic link, and makes it first unless `mode` is 0. Refuses one that belongs to somebody else or
 * that others can write to. `what` names it in messages. */
int state_open_dir(int dirfd, const char *name, mode_t mode, const char *what, int *ret_fd, struct err *err);

/* Takes the lock of a container's directory. -EBUSY: its owner lives (or somebody is just removing it); -ESTALE: it was removed meanwhile.
 * Neither fills `err`. */
int state_lock(int dirfd, int *ret_fd, struct err *err);
/* Empties and removes the directory `id` in `remap_fd`, then the remap's directory if that was the last. */
int state_remove(int root_fd, const char *remap, int remap_fd, const char *id, struct err *err);

/* Ends and removes what the dead owner of REMAP/ID left. 1: removed; 0: there was nothing; -EBUSY, without filling anything: its owner lives. */
int state_recover(int root_fd, const char *remap, const char *id, struct err *err);

/* Names that may stand in the state root: "UID.GID" and twelve hexadecimal digits. */
bool state_is_remap(const char *name);
bool state_is_id(const char *name);

/* Field 22 of /proc/PID/stat: when the process started, in clock ticks since boot. With the pid it names one process for good. */
int state_start_time(pid_t pid, uint64_t *ret, struct err *err);

#endif
