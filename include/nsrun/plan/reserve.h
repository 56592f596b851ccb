/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must be unique, and what outlives a killed runtime.
 *
 *   STATE_ROOT/                 /run/nsrun as root where /run is root's, $XDG_RUNTIME_DIR/nsrun or /tmp/nsrun-UID otherwise; 0711 as root, else 0700; owned by us
 *     ranges/ids                empty; its bytes stand for host ids, and each runtime holds an open file description lock on its own (ids_auto.h)
 *     ranges/FIRST              one file an `auto` range in use: its text is the container's directory, UID.GID/ID
 *     UID.GID/                  one directory a remap (host ids of the container's root), 0700
 *       ID/lock                 flock(2)ed by the owning runtime for as long as it lives; its text is init
 *       ID/state.json           what was made and must be undone; written before it is made
 *       ID/undo.json            a bundle's: the part of it that delete needs, for a delete that cannot read the other file
 *       ID/name                 symbolic link whose text is the container's name, if it has one
 *     names/NAME                symbolic link to ../UID.GID/ID: making it reserves the name
 *
 * A lock that can be taken means that its owner is dead. Its init and what is left in its cgroup are killed then, its groups and
 * directory removed, and its range freed: by every launch, which tries the locks of eight others (of its own remap first, from a random one
 * on: all there are on most hosts, and a bounded time beside a thousand), by the launch that wants the same range, and by `nsrun gc` for all.
 * Of a container that is kept the record stays, and says that its end is not known. A directory with a record and without a lock is such a
 * container that has ended, and is nobody's business but `nsrun rm`'s.
 * A record whose groups cannot be seen (another mount or cgroup namespace) stays, for a collector who sees them.
 */
#ifndef NSRUN_PLAN_RESERVE_H
#define NSRUN_PLAN_RESERVE_H

#include <nsrun/kernel/cgroup_use.h>
#include <nsrun/plan/plan.h>

#include <time.h>

struct reservation {
	int lock_fd; /* STATE/lock */
	int range_fd; /* ranges/ids with the locks on the host ids of this container; FD_NONE for an ordinary user and --userns=host */
	char *dir;    /* the container's state directory; malloc'd, as the next */
	char *marker; /* ranges/FIRST; NULL unless auto */
	struct timespec created;
	struct cgroup_stood stood; /* of a bundle's, whose group's path others name */
};
#define RESERVATION_NONE ((struct reservation){ .lock_fd = FD_NONE, .range_fd = FD_NONE })

/* Takes the id (a fresh random one in plan->id), an `auto` range (never one that overlaps a range in use, that /etc/subuid gives to
 * another user, or that lies outside of what may be mapped here), makes and locks the state directory, and writes the exact values into the plan:
 * afterwards it is frozen. `default` makes its user here when it is missing. plan->state_root is found when it is NULL; plan->cgroup_path, unless
 * NULL, is the parent before and PARENT/ID after; plan->hostname becomes the id when it is NULL. */
int plan_reserve(struct plan *plan, struct reservation *ret, struct err *err);
/* Removes the state directory and lets go of the locks. Errors are reported, everything is tried. */
int reservation_end(struct reservation *reservation, struct err *err);

/* The lock that was let go while the container ran. Negative: somebody else has it, or has removed the container. */
int reservation_lock_again(struct reservation *reservation);

/* Lets go of the locks and leaves the record where it is: something that it names could not be undone, and nsrun gc must find it. */
void reservation_abandon(struct reservation *reservation);

/* How a container ended, as its record tells. */
struct state_exit {
	int status; /* as a shell has it */
	int signal; /* that ended the workload; 0: none */
	struct cgroup_events events;
	const char *log_error; /* why output is missing from the log; NULL: none is */
};

/* For plan->keep, instead of reservation_end(), when all that the container had is undone: writes its end (NULL: it is not known) into the record and
 * removes what only a living one needs, at last the lock. Names, logs and record stay for `nsrun rm`. */
int reservation_keep(const struct plan *plan, struct reservation *reservation, const struct state_exit *end,
		     struct err *err);

/* Record of what is about to be made, as plan/container.h has it. */
int state_record(const struct plan *plan, const struct reservation *reservation, struct err *err);
/* Once init exists: its pid and start time become the text of the lock. `created`: and that it is a bundle's, which from now on nothing but delete
 * removes. */
int state_record_init(const struct reservation *reservation, pid_t init, bool created, struct err *err);

/* Ends what dead owners left, in the whole state root. on_removed (may be NULL) hears the id and the reason of each. */
int state_collect(const char *state_root, void (*on_removed)(const char *id, const char *what, void *data), void *data,
		  struct err *err);
/* Name of the state root for this caller: $NSRUN_ROOT where that is an absolute path (the flag --root), or the default; makes nothing. */
int state_root_name(char *ret, size_t size, struct err *err);
/* The same; makes it (0711 or 0700) and refuses one that belongs to somebody else. */
int state_root_open(char *ret_path, size_t size, struct err *err);

#endif
