/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a learner has done, in progress.json of the lab's directory: {"version": 1, "chapters": {ID: {"digest", "block", "plays", "begun", "ended", "seconds",
 * "skipped", "asks": {ID: {"answer", "right", "reality", "time"} or {"skipped": reason}}, "tasks": {ID: {"state": "solved"|"shown", "hints", "tries", "time"} or
 * {"skipped"}}}}}. It is replaced by rename(2), so it is always
 * whole. A report takes struct lab_result, which joins it with the chapter.
 */
#ifndef NSRUN_LAB_PROGRESS_H
#define NSRUN_LAB_PROGRESS_H

#include <nsrun/lab/chapter.h>
#include <nsrun/lab/place.h>

#include <jansson.h>

struct lab_progress {
	json_t *root;
	int dir_fd; /* the place's; FD_NONE: nothing is written */
};

/* A missing file is no progress. -EINVAL: it is none of this version's. */
int lab_progress_load(const struct lab_place *place, struct lab_progress *ret, struct err *err);
int lab_progress_save(const struct lab_progress *progress, struct err *err);
void lab_progress_done(struct lab_progress *progress);
/* Forgets a chapter; NULL: all. */
void lab_progress_forget(struct lab_progress *progress, const char *id);

/* Where to go on: the index of a block; 0 of a chapter that is new, was finished, or has changed since. */
size_t lab_progress_block(const struct lab_progress *progress, const struct lab_chapter *chapter);
/* A play begins at `block`: counts it. */
void lab_progress_begin(struct lab_progress *progress, const struct lab_chapter *chapter, size_t block);
void lab_progress_at(struct lab_progress *progress, const struct lab_chapter *chapter, size_t block, unsigned seconds);
void lab_progress_ask(struct lab_progress *progress, const struct lab_chapter *chapter, const char *id,
		      const char *answer, bool right, const char *reality);
/* `state`: "solved", "shown", or NULL while it is not done. */
void lab_progress_task(struct lab_progress *progress, const struct lab_chapter *chapter, const char *id,
		       const char *state, unsigned hints, unsigned tries);
/* A question or a task that this host, or this user, cannot have. */
void lab_progress_leave_out(struct lab_progress *progress, const struct lab_chapter *chapter,
			    const struct lab_block *block, const char *reason);
/* The reason why it was not played; NULL: it was. */
void lab_progress_skip(struct lab_progress *progress, const struct lab_chapter *chapter, const char *reason);

/* ---- results ---- */

enum lab_status {
	LAB_NEW,
	LAB_BEGUN,
	LAB_PLAYED, /* to its end, but a task was shown, or a question left out */
	LAB_SOLVED,
	LAB_SKIPPED, /* this host cannot play it */
};

struct lab_ask_result {
	const char *id, *question;
	const char *answer;  /* NULL: none was given */
	const char *reality; /* what was right when it was told; NULL: it was not */
	const struct lab_block *block;
	const char *skipped; /* why it was not asked here; NULL: it was, or was not reached */
	bool right;
	const char *time;
};

struct lab_task_result {
	const char *id, *text;
	const char *state;  /* "open", "solved", "shown" */
	size_t hints_there; /* that the chapter has */
	unsigned hints, tries;
	const char *skipped, *time;
};

struct lab_result {
	const char *id, *title;
	enum lab_status status;
	size_t block, blocks;
	unsigned plays, seconds;
	const char *begun, *ended, *skipped; /* NULL: not */
	struct lab_ask_result *asks;
	size_t n_asks;
	struct lab_task_result *tasks;
	size_t n_tasks;
	unsigned right, solved;		  /* of these */
	size_t asks_wanted, tasks_wanted; /* without those that were skipped */
};

const char *lab_status_word(enum lab_status status); /* "new", "begun", "played", "solved", "skipped" */
/* Strings are the chapter's and the progress'; vectors are in the arena. */
int lab_result_make(struct arena *arena, const struct lab_chapter *chapter, const struct lab_progress *progress,
		    struct lab_result *ret, struct err *err);
/* One JSON object; the caller has the reference. NULL without memory. */
json_t *lab_result_json(const struct lab_result *result);

#endif
