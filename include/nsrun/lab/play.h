/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Playing a chapter: its blocks in their order, by a person who answers at a prompt (lab_play), or by the chapter's own solutions, which proves that it
 * holds on this host (lab_solve).
 */
#ifndef NSRUN_LAB_PLAY_H
#define NSRUN_LAB_PLAY_H

#include <nsrun/lab/progress.h>
#include <nsrun/lab/session.h>
#include <nsrun/lab/text.h>

enum lab_end { LAB_TO_ITS_END, LAB_QUIT, LAB_ONCE_MORE };

enum lab_prompt { LAB_AT_BLOCK, LAB_AT_ASK, LAB_AT_TASK };

/* How a play is shown. Text goes to play->view.out; what else the player wants of a view is here. */
struct lab_play;
struct lab_presentation {
	/* The learner's next line, malloc'd, without its end; NULL: there is none. */
	char *(*read_line)(struct lab_play *play, enum lab_prompt where);
	/* The terminal is for a command that wants one, and then the view's again. `say` is a line before it; with `wait` the learner says when he has
	 * read what is there. */
	void (*lend)(struct lab_play *play, const char *say);
	void (*take_back)(struct lab_play *play, bool wait);
	/* The view is over, and frees what it has; with `wait` once the learner has seen it. */
	void (*close)(struct lab_play *play, bool wait);
};

struct lab_play {
	struct lab_view view;
	const struct lab_presentation *shown;
	void *shown_by; /* its own */
	FILE *in;	/* where lines are read; NULL: the chapter is solved by itself */
	bool terminal;	/* `in` is one: commands may have it */
	struct lab_session *session;
	const struct lab_chapter *chapter;
	struct lab_progress *progress; /* NULL: none is kept */
	size_t at;		       /* block */
	bool quiet;		       /* what was played before is set up again */
	/* The question whose answer is told when text follows. */
	const struct lab_block *asked;
	char *answer; /* malloc'd; NULL: none was given */
	/* Containers that are not there since the host lacks what they need. */
	const char *skipped[LAB_CHOICES_MAX * 8];
	size_t n_skipped;
	char *reason;	  /* malloc'd: why the last block was skipped, as it was told */
	bool skipping;	  /* nothing was played since */
	unsigned errors;  /* of the chapter, or of its host: never of the learner */
	unsigned vouched; /* questions whose answer the kernel has confirmed */
};

/* From block `from` on; what stands before it is set up again first. */
int lab_play_run(struct lab_play *play, size_t from, enum lab_end *ret, struct err *err);
/* Proves a chapter: each task's checks fail before its solution and hold after it, wrong answers are graded wrong, what the kernel should say is what it says. The
 * number of errors is in play->errors. */
int lab_play_solve(struct lab_play *play, struct err *err);
void lab_play_done(struct lab_play *play);

/* ---- views ---- */

/* Lines, one below the other: for pipes, screen readers and every terminal. `colour` and `columns` of play->view are said by the caller, `width` too. */
int lab_plain_open(struct lab_play *play, FILE *out, struct err *err);
/* What panes need: NULL, or why this terminal cannot have them (static). */
const char *lab_panes_lack(FILE *in, FILE *out);
/* Panes on the whole screen of a terminal. `colour`: where the terminal has it. */
int lab_panes_open(struct lab_play *play, FILE *in, FILE *out, bool colour, struct err *err);
/* The prompt's words, one a line. */
extern const char lab_help_text[];
/* "uts 3/20 answer> " */
#define LAB_PROMPT_MAX 160
const char *lab_prompt_text(const struct lab_play *play, enum lab_prompt where, char buf[LAB_PROMPT_MAX]);

/* ---- the parts ---- */

enum lab_action { LAB_NEXT, LAB_ANSWER, LAB_TRY, LAB_HINT, LAB_SOLVE, LAB_AGAIN, LAB_LEAVE };

/* Reads lines and does what they say, until one means that the chapter goes on (or ends). *ret_line (malloc'd) of LAB_ANSWER. */
enum lab_action lab_prompt(struct lab_play *play, enum lab_prompt where, const struct lab_block *block,
			   char **ret_line);

struct lab_kernel lab_play_kernel(struct lab_play *play);
/* PATH:LINE: what does not hold; counts it. */
void lab_play_wrong(struct lab_play *play, unsigned line, const char *fmt, ...) _printf_(3, 4);
/* Do all hold? Waits a moment for what is coming. With `tell` each that does not is told. */
bool lab_play_checks(struct lab_play *play, const struct lab_checks *checks, unsigned ms, bool tell);
/* Does what a block says, and shows it unless play->quiet. */
enum lab_end lab_play_effect(struct lab_play *play, const struct lab_block *block);
enum lab_end lab_play_ask(struct lab_play *play, const struct lab_block *block);
enum lab_end lab_play_task(struct lab_play *play, const struct lab_block *block);
/* Right or wrong, and why; nothing when no question is open. */
void lab_play_tell(struct lab_play *play);
/* The lab's own solution of a task; false: it could not be carried out. */
bool lab_play_solution(struct lab_play *play, const struct lab_block *block);
/* A command of nsrun beside the lab, told as a block `run` is. False: it could not be started, or ended with an error (with `fails`: did not). */
bool lab_play_launch(struct lab_play *play, char *const *words, enum step_id hold, bool fails, unsigned line);
void lab_play_error(struct lab_play *play, const struct err *err);

#endif
