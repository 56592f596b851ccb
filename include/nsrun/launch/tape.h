/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tape: one shared anonymous mapping in which every process of a launch writes what became of its rows. A row runs
 * in exactly one process, so each has one slot and one writer, and no lock is needed. It reports where a channel cannot: after a
 * seccomp filter that denies sendmsg(2), and when the writer is killed between two instructions. execve(2) drops the mapping, so the
 * workload never sees it; under --init the reaper keeps it and is not dumpable.
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

struct tape {
	bool timed;				/* somebody observes: rows take the time */
	struct err child_error;			/* the first error of a child; kind ERR_NONE while there is none */
	_Atomic uint32_t child_claimed;		/* 1 once a child writes child_error: under --init two may fail */
	_Atomic uint32_t child_failed;		/* 1 once child_error is complete */
	_Atomic uint32_t at[ROLE_COUNT];	/* enum step_id that each role is at, by role_index() */
	struct tape_record records[STEP_COUNT]; /* of a sync: by the side that sends */
};

int tape_new(bool timed, struct tape **ret, struct err *err);
/* The same with a descriptor, by which a process that is no child of this one may map it. */
int tape_new_shared(bool timed, struct tape **ret, int *ret_fd, struct err *err);
void tape_free(struct tape *tape);
/* CLOCK_MONOTONIC in nanoseconds; 0 when the tape is not timed. */
int64_t tape_now(const struct tape *tape);

#endif
