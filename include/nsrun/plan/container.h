/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers as their records tell: what ls, inspect, exec, stop and their like look at, and what `container:NAME` means.
 * Reading takes no lock but to see whether the owner lives; a record is replaced by rename(2), so it is always whole.
 *
 * STATE_ROOT/UID.GID/ID/ (reserve.h) holds
 *   lock         flock(2)ed by the owning nsrun. Its text is "PID START\n" of init once that exists (row state.init): PID on the host,
 *                START its start time (proc_pid_stat(5) field 22), which together name one process for good
 *   state.json   version 2, written before anything is made and again when the container has ended:
 *     version id name keep owner boot_id cgroup hierarchies created rootfs uid_map gid_map argv      (as reserve.h has them)
 *     resources    the limits that were asked for, or that nsrun update has set since: linux.resources of the runtime specification (plan/limits.h),
 *                  {} for none; older records have no such key
 *     terminal     bool
 *     keeper       bool: the owner is a keeper (launch/container.h), whose own exit status says nothing of the container's
 *     namespaces   {"pid": "new"|"host"|"ns:PATH"|"container:NAME", ...}, one key a kind: user pid net mnt ipc uts cgroup time
 *     process      what exec gives a further process: {"env": [...], "cwd", "user", "groups": [...], "umask": 18, "caps": {"bounding": "0x...",
 *                  "effective", "permitted", "inheritable", "ambient"}, "no_new_privs": bool, "seccomp": NAME or null, "seccomp_flags": N, "oom_score_adj": N or null}
 *     stop         {"signal": N, "timeout": SECONDS}
 *     log          {"driver": "none"|"file", "max_size": BYTES, "max_file": COUNT}
 *     exit         null while it lives, then {"status": N, "signal": N or 0, "oom_kills": N, "memory_limit": BYTES of the limit that was met or 0, "forks_refused": N,
 *                  "pids_limit": N, "time": "...", "log_error": only when output is missing from the log}; of a container whose nsrun was killed {"lost": true, "time": ...}
 *   resources.json  the same as state.json's "resources", in whose place it is read, once `nsrun update` has changed a limit
 *   resources.new   the same while an update is at work: one that was killed leaves it, and what the kernel holds of it counts (container_update.h)
 *   name         symbolic link whose text is the name; only with one
 *   filter.bpf   the filter in use, when it is none of nsrun's own: struct sock_filter as the kernel takes them
 *   control      unix(7) socket of the owner: launch/control.h
 *   log, log.1 ...  output, CRI format: TIME STREAM P|F TEXT
 *   gate         fifo(7) at which init waits for start, and
 *   tape         what became of the launch's rows, by which start learns what failed: launch/gate.h
 *
 * The container of an OCI bundle has a record of version 3, with one key more, and its own rules:
 *     bundle       {"oci_version", "dir", "annotations": {...}, "hooks": {"poststart": [...], "poststop": [...]},
 *                  "settings": what exec gives to further processes, too, as config.json says it: {"process": {...}},
 *                  "no_new_keyring": bool}
 * The text of its lock becomes "PID START created\n" when create has done all. Before that it is `creating` while its lock is held, and what is left
 * of a create that was killed when it is not: nsrun gc removes that. Afterwards nobody owns it: its status is told by init alone, which
 * waits for start (it was forked and never executed anything), runs, or has ended. Nothing but `nsrun delete` removes it,
 * which says "deleted" in the place of "created" before it removes the files.
 *
 * undo.json has what delete must know when state.json is damaged, lost, or of a newer nsrun: version id boot_id cgroup hierarchies uid_map gid_map namespaces,
 * and of bundle the key "rdt". An entry of "hierarchies" has {"stood": true} where a group stood there before, which then stays, and {"below": true} where
 * that had groups below it. Older records have no such keys.
 *
 * STATE_ROOT/names/NAME   symbolic link to ../UID.GID/ID: making it reserves the name
 *
 * A container that has ended in good order and is kept has state.json and no lock (state_is_ended()). Times are RFC 3339, UTC, with nanoseconds.
 * A record of version 1 has init as {"pid", "start"} in itself, and is not kept.
 *
 * A container is kept after its end, with its record and logs, when it has a name or was detached, unless --rm: until `nsrun rm`.
 */
#ifndef NSRUN_PLAN_CONTAINER_H
#define NSRUN_PLAN_CONTAINER_H

#include <nsrun/base/err.h>
#include <nsrun/base/pidref.h>
#include <nsrun/kernel/cgroup_use.h>
#include <nsrun/plan/plan.h>

#include <jansson.h>
#include <stdbool.h>

enum container_status {
	CONTAINER_STARTING, /* its owner lives, init is not made yet or does not execute CMD yet */
	CONTAINER_RUNNING,  /* its owner lives; `init` is 0 once that has ended and the owner tidies up */
	CONTAINER_ENDED,    /* the record is kept: container_exit() tells how it ended, or that this is lost */
	CONTAINER_DEAD,	    /* its nsrun was killed: the next launch, or nsrun gc, tidies up */
	/* Of a bundle's container, which STARTING and RUNNING have a meaning for, too: it has no owner once it is created. */
	CONTAINER_CREATED, /* init waits for start */
	CONTAINER_STOPPED, /* init has ended: nsrun delete removes it */
};

struct container {
	json_t *state; /* state.json; owned */
	char id[PLAN_ID_LEN + 1];
	char *dir;	  /* absolute state directory; malloc'd */
	const char *name; /* NULL: none; in `state`, as are all following strings */
	enum container_status status;
	bool init_lost; /* a bundle's whose lock is gone or damaged: it may have processes that nobody knows */
	bool paused;	/* one that runs is frozen: container_look_paused() alone tells */
	pid_t owner;
	pid_t init; /* 0: none (yet, or any more) */
	uint64_t init_start;
};

/* A whole id, "web", or a beginning of at least 3 digits of exactly one id; in this order. ERR_ID_NO_CONTAINER names the nearest name. */
int container_find(const char *word, struct container *ret, struct err *err);
/* The bundle's container of that id, which is a name here: no other word is taken. -ENOENT with ERR_ID_NO_CONTAINER in runc's words. */
int container_find_bundle(const char *id, struct container *ret, struct err *err);
/* The same where its record cannot be read, is lost, or its name is: for delete --force and kill. -ENOENT: nothing is left of it, its name neither. */
int container_find_damaged(const char *id, struct container *ret, struct err *err);
bool container_is_bundle(const struct container *container);
/* "creating", "created", "running", "paused", "stopped": the runtime specification's words. */
const char *container_oci_status(const struct container *container);
/* Every container of this caller's state root, oldest first. Unreadable records are passed on to `on_bad` (may be NULL) and left out; of
 * a bundle's container is listed what can be known without. */
int container_list(struct container **ret, size_t *ret_n,
		   void (*on_bad)(const char *dir, const struct err *why, void *data), void *data, struct err *err);
void container_done(struct container *container);
void containers_free(struct container *containers, size_t n);
/* Reads the same record again. -ENOENT, with ERR_ID_NO_CONTAINER: it was removed meanwhile. */
int container_refresh(struct container *container, struct err *err);

/* A pidfd of its init, proven to be that process by the start time and, where it has a pid namespace of its own, by being PID 1 of one. -ESRCH with ERR_ID_NOT_RUNNING when it has none any more. */
int container_open_init(const struct container *container, struct pidref *ret, struct err *err);
/* The same of its owner: the nsrun that waits for it. */
int container_open_owner(const struct container *container, struct pidref *ret, struct err *err);
const char *container_status_name(enum container_status status); /* "starting", "running", "ended", "dead" */
/* The same, or "paused". */
const char *container_status_word(const struct container *container);

/* What the record says. */
const char *container_label(const struct container *container); /* its name, or its id */
/* A string of the record's top level, NULL when there is none: "created", "rootfs", "cgroup". */
const char *container_text(const struct container *container, const char *key);
struct container_exit {
	int status; /* as a shell has it */
	int signal; /* 0: none */
	struct cgroup_events events;
	bool lost;	  /* its nsrun was killed: nobody saw the status */
	const char *time; /* RFC 3339, UTC; may be NULL; in the record */
};
bool container_exit(const struct container *container, struct container_exit *ret); /* false: it has not ended */
/* Signal and seconds of `nsrun stop`: SIGTERM and 10 where the record says nothing. */
void container_stop_default(const struct container *container, int *ret_signal, unsigned *ret_seconds);
/* The limits that it was started with or updated to; none where the record does not tell. Strings are copied into the arena. */
int container_resources(const struct container *container, struct arena *arena, struct cgroup_resources *ret,
			struct err *err);
/* The command in one malloc'd line, words apart by a space; as hostile as whoever gave it: escape_text() before printing. */
char *container_command(const struct container *container);
/* Its owner is the nsrun that was started, which ends with the container's exit status: not a keeper. */
bool container_in_foreground(const struct container *container);
/* Does somebody hold its lock: the owner, or who removes it? True also when that cannot be told. */
bool container_owner_lives(const struct container *container);

#endif
