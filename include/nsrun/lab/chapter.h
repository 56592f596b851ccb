/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chapters: docs/labs/ID.md as a list of blocks. docs/labs/README.md is the format. Reading one runs nothing; all mistakes of a file are found, not
 * the first alone.
 */
#ifndef NSRUN_LAB_CHAPTER_H
#define NSRUN_LAB_CHAPTER_H

#include <nsrun/base/arena.h>
#include <nsrun/base/err.h>
#include <nsrun/lab/check.h>
#include <nsrun/launch/step.h>

#include <stdbool.h>
#include <stddef.h>

#define LAB_FILE_MAX (1024 * 1024)
#define LAB_CHOICES_MAX 9

enum lab_word {
	LAB_TEXT,  /* what stands between blocks */
	LAB_SHOWN, /* a block that is shown as it stands */
	LAB_RUN,
	LAB_SH,
	LAB_LOOK,
	LAB_TAPE,
	LAB_GO,
	LAB_END,
	LAB_ASK,
	LAB_CHECK,
	LAB_TASK,
};

struct lab_line {
	unsigned line; /* of the file, from 1 */
	const char *text;
};

struct lab_lines {
	struct lab_line *at;
	size_t n;
};

struct lab_solution {
	unsigned line;
	const char *where; /* "host", "run", or a container */
	const char *command;
};

struct lab_block {
	enum lab_word word;
	unsigned line;		  /* of its beginning */
	const char *text;	  /* LAB_TEXT, LAB_SHOWN: as it stands; LAB_ASK, LAB_TASK: the prose; "" without */
	const char *id;		  /* LAB_ASK, LAB_TASK */
	const char *name;	  /* the container; NULL of `sh` on the host */
	bool both;		  /* `sh both` */
	char **words;		  /* LAB_RUN: the command; LAB_LOOK, LAB_TAPE: what; ends with NULL */
	struct lab_lines lines;	  /* LAB_RUN (one), LAB_SH: commands as they were written */
	enum step_id step;	  /* hold=ROW, go NAME ROW */
	bool fails;		  /* LAB_RUN */
	char **needs;		  /* needs=WORD; ends with NULL */
	struct lab_lines choices; /* LAB_ASK: "a" is the first */
	const char *answer;	  /* LAB_ASK: a letter where there are choices, a term, or text */
	bool answer_is_term;
	const char *why;	  /* NULL: none */
	struct lab_checks checks; /* LAB_CHECK; LAB_TASK: check; LAB_ASK: holds */
	struct lab_lines hints;	  /* LAB_TASK */
	struct lab_solution *solutions;
	size_t n_solutions;
};

struct lab_chapter {
	struct arena *arena;
	const char *id, *title, *path;
	const char *goal;
	unsigned minutes;
	char **after, **needs; /* end with NULL */
	struct lab_block *blocks;
	size_t n_blocks;
	char digest[17]; /* of the file: a chapter that changed is played from its beginning */
};

/* Mistakes are lines "PATH:LINE: what is wrong, and what is wanted". */
struct lab_mistakes {
	char **lines;
	size_t n;
};

/* Words that `needs` may have; ends with NULL. */
extern const char *const lab_needs[];
/* What `look` may be asked; ends with NULL. */
extern const char *const lab_looks[];

/* -EINVAL with at least one mistake added. `data` need not be text at all; it is not looked at when `size` is more than LAB_FILE_MAX. */
int lab_chapter_parse(const char *path, const char *id, const char *data, size_t size, struct lab_chapter **ret,
		      struct lab_mistakes *mistakes, struct err *err);
/* The file DIR/ID.md. -ENOENT: there is none. */
int lab_chapter_read(const char *dir, const char *id, struct lab_chapter **ret, struct lab_mistakes *mistakes,
		     struct err *err);
/* Ids of all chapters of a directory, in the order in which they may be played: each behind what its `after` names. Unreadable ones are last. */
int lab_chapters_list(const char *dir, char ***ret, size_t *ret_n, struct err *err);
void lab_chapter_free(struct lab_chapter *chapter);
void lab_mistakes_done(struct lab_mistakes *mistakes);
void lab_words_free(char **words, size_t n);

static inline void lab_chapter_freep(struct lab_chapter **chapter)
{
	lab_chapter_free(*chapter);
}

/* The id that a --name gives in a command of nsrun, or the last word of `create` and `run`; NULL: none. It points into `words`. */
const char *lab_name_of(char *const *words);
/* A command that makes a container of a bundle, and the one that does not start it. */
bool lab_is_of_bundle(char *const *words);
bool lab_is_create(char *const *words);
/* The words of a command line: blanks part them, quotes and backslashes hold together; nothing is expanded. NULL with *ret_wrong (static) set. */
char **lab_split(struct arena *arena, const char *line, const char **ret_wrong);

#endif
