/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of reserve.h that the reserving and the collecting side share. */
#ifndef NSRUN_PLAN_STATE_H
#define NSRUN_PLAN_STATE_H

#include <nsrun/base/err.h>
#include <nsrun/kernel/cgroup.h>
#include <nsrun/kernel/idmap.h>

#include <jansson.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>

struct reservation;
struct plan;
struct plan_bundle;

/* Opens a directory of ours, without following a symbolic link, and makes it first unless `mode` is 0. Refuses one that belongs to somebody else or
 * that others can write to. `what` names it in messages. */
int state_open_dir(int dirfd, const char *name, mode_t mode, const char *what, int *ret_fd, struct err *err);

/* Takes the lock of a container's directory. -EBUSY: its owner lives (or somebody is just removing it); -ESTALE: it was removed meanwhile.
 * Neither fills `err`. */
int state_lock(int dirfd, int *ret_fd, struct err *err);
/* The directory of a container that has ended in good order and is kept: a record and no lock. */
bool state_is_ended(int remap_fd, const char *id);
/* Empties and removes the directory `id` in `remap_fd` and its name, then the remap's directory if that was the last. */
int state_remove(int root_fd, const char *remap, int remap_fd, const char *id, struct err *err);

/* Ends and removes what the dead owner of REMAP/ID left, and the marker of its range. 1: removed; 2: the same, and its record is kept; 0: there was
 * nothing, or it has ended in good order; -EBUSY, without filling anything: its owner lives. What it has a group in must be visible here, otherwise the record stays. `timeout_ms` is for the group's end. */
int state_recover(int root_fd, const char *remap, const char *id, unsigned timeout_ms, struct err *err);
/* For nsrun gc: the same, also of a bundle's container whose create was killed. */
int state_recover_any(int root_fd, const char *remap, const char *id, unsigned timeout_ms, struct err *err);
/* Is it a bundle's container whose create has done all? Its lock's text says so. */
bool state_is_created(int dir_fd);
/*
 * Ends the processes and groups of a bundle's container; its lock is held by this process. Where state.json cannot be read, undo.json says what is to be
 * undone, and where that is lost, too, the place that a group has by its id alone. `lost`: there was no lock.
 */
int state_end_bundle(int dir_fd, int lock_fd, const char *id, bool lost, unsigned timeout_ms, struct err *err);
/* How long nsrun gc, or the launch that needs these ids, waits for the end of one container. */
#define STATE_RECOVER_MS 5000

/* The part of plan_reserve() that frees what dead owners left: tries at most STATE_TRIES_MAX locks of other containers, those in
 * `remap` first, beginning at a random one. `id` is our own. Failures are for nsrun gc to report. */
#define STATE_TRIES_MAX 8
void state_collect_some(int root_fd, const char *remap, const char *id);

/* names/NAME for this container, whose directory exists and is locked. ERR_ID_NAME_IN_USE, unless it is of a dead container that leaves nothing. */
int state_name_take(int root_fd, const char *remap, const char *id, const char *name, struct err *err);
/* Removes names/NAME if it is this container's; `dir_fd` is its directory, which tells the name. */
void state_name_release(int root_fd, int dir_fd, const char *remap, const char *id);

/* Removes names/NAME if its container's directory is gone. */
void state_name_forget(int root_fd, const char *name);
/* Removes names whose container's directory is gone. */
void state_names_tidy(int root_fd);

/* RFC 3339, UTC, to the nanosecond. */
#define STATE_TIME_SIZE 48
void state_format_time(const struct timespec *time, char ret[STATE_TIME_SIZE]);
/* The record with its end, NULL: which is not known. */
struct state_exit;
int state_record_end(int dir_fd, const struct plan *plan, const struct reservation *reservation,
		     const struct state_exit *end, struct err *err);
/* Into the record of a container whose nsrun was killed; `state` is what it says. */
int state_record_lost(int dir_fd, json_t *state, struct err *err);
/* What only a living container needs goes, the lock last. */
void state_end_files(int dir_fd);

/* Makes the state root (0711 as root, 0700 otherwise), or takes the one that is there if it is ours. */
int state_root_make(const char *path, int *ret_fd, struct err *err);

/* This boot, as /proc/sys/kernel/random/boot_id names it. */
#define BOOT_ID_SIZE 37
bool state_boot_id(char ret[BOOT_ID_SIZE]);

/* Names that may stand in the state root: "UID.GID" and twelve hexadecimal digits. */
bool state_is_remap(const char *name);
bool state_is_id(const char *name);
/* Is this a path at which nsrun makes the group of the container `id`: absolute, no "." and no "..", the id at the end, or the id's scope
 * unit (systemd.h)? Nothing else is ever
 * destroyed on the word of a file. */
bool state_is_cgroup(const char *path, const char *id);
/* The same of a bundle's, whose engine has named it: absolute, no "." and no "..", and not the root. */
bool state_is_cgroup_path(const char *path);
/* Of a record: "cgroup" and "hierarchies", the place that the groups will have. Without a controller of it and without v2 there is none. */
int state_put_places(FILE *f, const struct plan *plan, const struct cgroup_stood *stood, struct err *err);
/* "hierarchies" of a record that names a group: each must be mounted here as it was when the group was made, since in another mount or cgroup namespace
 * the same path may be another group. At least one is wanted. ret->controllers and ret->stood (`ret` may be NULL) are what the record says. */
int state_check_places(const json_t *record, const char *dir, const struct cgroup_host *host, struct cgroup_end *ret,
		       struct err *err);
/* Of a record: the key "bundle", and of that "rdt". */
void state_put_bundle(FILE *f, const struct plan_bundle *bundle, const char *name);
void state_put_rdt(FILE *f, const struct plan_bundle *bundle, const char *name);

/* An object in a file of the state directory; -ENOENT, without filling `err`: there is no such file. `where` serves messages. */
int state_load(int dirfd, const char *file, const char *where, json_t **ret, struct err *err);
/* The record is of another boot: nothing that it names is there any more. */
bool state_before_boot(const json_t *state);

/* Init, as the lock's text tells it. */
struct state_init {
	pid_t pid; /* 0: not known */
	uint64_t start;
	bool created; /* a bundle's: create has done all */
};
enum state_init_known {
	STATE_INIT_NONE, /* none was made yet */
	STATE_INIT_KNOWN,
	STATE_INIT_LOST, /* the text is none that nsrun writes */
};
#define STATE_LOCK_TEXT_MAX 64
enum state_init_known state_read_init(int lock_fd, struct state_init *ret);
/* Of a bundle's container all is ended and undone: what a delete that is killed now leaves of its files is gc's. */
void state_write_deleted(int lock_fd);

/* "uid_map" or "gid_map" of a record, added to `ret`. False: it has more extents than a map can have. */
bool state_read_map(const json_t *record, const char *key, struct idmap *ret);

/* Field 22 of /proc/PID/stat: when the process started, in clock ticks since boot. With the pid it names one process for good. */
int state_start_time(pid_t pid, uint64_t *ret, struct err *err);
/* Of the process that a record, with its start time, names as init: PID 1 of a pid namespace, where the container has one of its own. */
bool state_may_be_init(const json_t *state, pid_t pid);

#endif
