/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the reader of chapters. */
#ifndef NSRUN_LAB_READER_H
#define NSRUN_LAB_READER_H

#include <nsrun/lab/chapter.h>

/* Containers and programs that one chapter may name; entries are bounded by the file's size. */
#define LAB_NAMES_MAX 64
#define LAB_BLOCKS_MAX 4096
/* The last one says that there are more. */
#define LAB_MISTAKES_MAX 200

struct lab_reader {
	struct lab_chapter *chapter;
	struct arena *arena;
	struct lab_mistakes *mistakes;
	struct lab_lines lines;		      /* of the file */
	const char *names[LAB_NAMES_MAX + 1]; /* that a `run` has made so far; ends with NULL */
	size_t n_names;
	size_t room; /* of chapter->blocks */
	bool begun;  /* the `lab` block was met */
	bool failed; /* memory is exhausted */
	unsigned n_mistakes;
	bool full; /* of mistakes or of blocks: no more is read */
};

/* A fenced block as it was read: words behind the backquotes, and what is within. */
struct lab_fence {
	unsigned line;
	char **words; /* words[0] may be NULL */
	size_t n_words;
	const struct lab_line *body;
	size_t n_body;
};

/* A text to which lines are added; its room doubles, so that a long one costs no more than what it is made of. */
struct lab_long_text {
	char *text; /* NULL until something was added */
	size_t size, room;
};

/* Adds "PATH:LINE: ..." */
void lab_mistake(struct lab_reader *reader, unsigned line, const char *fmt, ...) _printf_(3, 4);
/* Appends to a vector in the arena, doubled when it is full; NULL without memory. */
struct lab_line *lab_lines_add(struct lab_reader *reader, struct lab_lines *lines, unsigned line, const char *text);
/* `separator` unless it is the first, then `len` bytes. The text as it is now; NULL without memory. */
const char *lab_text_add(struct lab_reader *reader, struct lab_long_text *text, const char *separator, const char *more,
			 size_t len);
/* A container that is known from here on. */
void lab_reader_knows(struct lab_reader *reader, const char *name, unsigned line);
/* False, with a mistake: no `run` has made it. */
bool lab_reader_wants(struct lab_reader *reader, const char *name, unsigned line);
/* [a-z0-9][a-z0-9-]* */
bool lab_is_id(const char *text);
bool lab_is_blank(const char *text);
void lab_check_add(struct lab_reader *reader, struct lab_checks *checks, const char *text, unsigned line);

/* Block `lab`, and those with entries: what is within. */
void lab_read_about(struct lab_reader *reader, const struct lab_fence *fence);
void lab_read_ask(struct lab_reader *reader, const struct lab_fence *fence, struct lab_block *block);
void lab_read_task(struct lab_reader *reader, const struct lab_fence *fence, struct lab_block *block);
/* Any block but `lab`; false: nothing is to be added. */
bool lab_read_block(struct lab_reader *reader, const struct lab_fence *fence, struct lab_block *block);
/* Words of a list that blanks or commas part; mistakes where one is not in `known` (NULL: ids). */
char **lab_read_words(struct lab_reader *reader, const char *text, const char *const *known, const char *what,
		      unsigned line);

#endif
