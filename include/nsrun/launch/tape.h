/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tape: one shared anonymous mapping in which every process of a launch writes what became of its rows. A row runs
 * in exactly one process, so each has one slot and one writer, and no lock is needed. It reports where a channel cannot: after a
 * seccomp filter that denies sendmsg(2), and when the writer is killed between two instructions. execve(2) drops the mapping, so the
 * workload never sees it; under --init the reaper keeps it and is not dumpable.
 *
 * That of OCI create becomes a file in the state directory, by which start, which is no relative of init's, learns what failed behind the gate. It has been
 * in reach of a process without privileges by then: nothing in it is taken for true before it was checked.
 */
#ifndef NSRUN_LAUNCH_TAPE_H
#define NSRUN_LAUNCH_TAPE_H

#include <nsrun/base/err.h>
#include <nsrun/launch/step.h>

#include <stdatomic.h>
#include <stdint.h>

#define TAPE_NOTE_MAX 80

enum tape_state { TAPE_NOT_RUN = 0, TAPE_BEGUN, TAPE_OK, TAPE_FAILED };

struct tape_record {
	_Atomic uint32_t state;	  /* enum tape_state; written last */
	int32_t errnum;		  /* of a failure, positive */
	int64_t begin_ns, end_ns; /* CLOCK_MONOTONIC; 0 unless the tape is timed */
	int32_t pid;		  /* as its own pid namespace numbers it; 0 unless timed */
	uint32_t role;		  /* enum role that ran it */
	char note[TAPE_NOTE_MAX]; /* what a fallback or a choice made of it; "" mostly */
};

/*
 * Of somebody who holds the launch between rows: the lab. A process that comes to a row that is to be held says so in held[] and waits, in futex(2) on
 * `turn`, until the watcher has taken the row out of hold[] or ended `watched`. Both sides wake the other; whoever dies leaves the other to its parent-death
 * signal. Rows behind the seccomp filter cannot be held where it denies futex(2).
 */
struct tape_watch {
	_Atomic uint32_t watched;	   /* 1: hold[] is looked at */
	_Atomic uint32_t turn;		   /* counts changes of hold[] and held[] */
	_Atomic uint32_t held[ROLE_COUNT]; /* enum step_id before which that role stands; STEP_NONE */
	_Atomic uint8_t hold[STEP_COUNT];  /* 1: stand before this row */
};

struct tape {
	uint32_t size, rows;		 /* of another build of nsrun: an unlike tape is not read further */
	bool timed;			 /* somebody observes: rows take the time */
	bool watchable;			 /* of tape_new_shared(): rows may be held */
	struct err child_error;		 /* the first error of a child; kind ERR_NONE while there is none */
	_Atomic uint32_t child_claimed;	 /* 1 once a child writes child_error: under --init two may fail */
	_Atomic uint32_t child_failed;	 /* 1 once child_error is complete */
	_Atomic uint32_t at[ROLE_COUNT]; /* enum step_id that each role is at, by role_index() */
	struct tape_watch watch;
	struct tape_record records[STEP_COUNT]; /* of a sync: by the side that sends */
};

int tape_new(bool timed, struct tape **ret, struct err *err);
void tape_free(struct tape *tape);
/* CLOCK_MONOTONIC in nanoseconds; 0 when the tape is not timed. */
int64_t tape_now(const struct tape *tape);
/* From here on the mapping is that of a new file "tape" in the directory: before a process that shall share it is made. */
int tape_publish(struct tape *tape, int dir_fd, const char *dir, struct err *err);
/* The one that was published there, read-only, for tape_close(), with its file. -ENOENT without an error: there is none of this build. */
int tape_open(int dir_fd, const char *dir, const struct tape **ret, int *ret_fd, struct err *err);
void tape_close(const struct tape *tape);
/* What a child has left there as the cause of its end; false: nothing. */
bool tape_failure(const struct tape *tape, struct err *ret);
/* The row at which init, or the workload, is or was last; STEP_NONE: at none. */
enum step_id tape_last_row(const struct tape *tape, enum role *ret_role);
/* Waits until whoever runs this row has begun it, at most `ms` milliseconds: what that process ran before is over then, on the tape, too. */
void tape_await(const struct tape *tape, enum step_id step, unsigned ms);

/* ---- one that another process has made and watches ---- */

/* By a descriptor, a sealed memfd, which nsrun --tape takes; timed. */
int tape_new_shared(struct tape **ret, int *ret_fd, struct err *err);
/* Maps what another process has made by tape_new_shared(): -EINVAL unless it is a sealed-size memfd of exactly this version's tape. */
int tape_map(int fd, struct tape **ret, struct err *err);

/* The watcher's side. Holds before every row, or before one (STEP_NONE: none); begins to watch. */
void tape_hold(struct tape *tape, enum step_id step, bool every);
/* Waits until some role stands before a row, at most `ms` milliseconds; STEP_NONE: not within that. *ret_role may be NULL. */
enum step_id tape_wait_held(struct tape *tape, int ms, enum role *ret_role);
/* Lets go what stands at the time of the call, and holds what tape_hold() with these arguments would, in one: what was let go may stand again at once. */
void tape_go(struct tape *tape, enum step_id step, bool every);
/* The launch's side: called before each row. */
void tape_stand(struct tape *tape, enum step_id step, enum role role);

#endif
