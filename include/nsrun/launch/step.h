/* SPDX-License-Identifier: Apache-2.0 */
/* A row of the score. The table itself is score_table.h; docs/architecture.md has it as prose, made from here. */
#ifndef NSRUN_LAUNCH_STEP_H
#define NSRUN_LAUNCH_STEP_H

#include <nsrun/base/err.h>
#include <nsrun/plan/plan.h>

enum step_id {
	STEP_NONE = 0,
#define STEP(symbol, ...) STEP_##symbol,
#include <nsrun/launch/score_table.h>
#undef STEP
	STEP_COUNT,
};

/* Which process: bits, since without --init one process is both init and the workload. */
enum role {
	ROLE_RUNTIME = 1 << 0,	/* keeps the caller's privileges */
	ROLE_INIT = 1 << 1,	/* first process in the new namespaces */
	ROLE_WORKLOAD = 1 << 2, /* executes CMD */
};
#define ROLE_COUNT 3

static inline unsigned role_index(enum role role)
{
	return (unsigned)__builtin_ctz(role);
}

enum step_kind {
	STEP_ACTION, /* run() in the process of its role */
	STEP_FORK,   /* run() makes a process that goes on with the next row in role `peer` */
	STEP_SYNC,   /* `role` sends this row's id, `peer` waits for exactly it */
	STEP_EXEC,   /* run() returns only on failure */
};

struct launch;

#define STEP_NEEDS_MAX 20

struct step {
	enum step_id id;
	const char *name; /* "proc.mount": object.verb, stable: scripts and tests use it */
	enum role role;
	enum role peer; /* STEP_FORK: of the new process; STEP_SYNC: who waits; 0 otherwise */
	enum step_kind kind;
	bool (*wanted)(
		const struct plan *plan); /* NULL: always. A sync is wanted when a need crosses it: score_wants() */
	int (*run)(struct launch *launch, struct err *err);
	int (*undo)(
		struct launch *launch,
		struct err
			*err); /* rows of the runtime alone; run in reverse order, also when the container ended well */
	enum step_id needs[STEP_NEEDS_MAX]; /* rows that must have been done, ends with STEP_NONE */
	const char *interface;		    /* "mount_setattr" */
	const char *manual;		    /* "mount_setattr(2)" */
	const char *why;		    /* what it does and why it stands here, one or two sentences */
};

extern const struct step score[STEP_COUNT]; /* score[0] is empty */

/* Is the row run for this plan? Derives the syncs from needs that cross processes. */
bool score_wants(const struct plan *plan, enum step_id id);
/* The row called `name`; STEP_NONE when there is none. */
enum step_id score_find(const char *name);
const char *role_name(enum role role); /* "runtime", "init", "workload" */

#endif
