/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line, from one table: parsing, usage, --help and the manual page are all made from option_rows[]. An
 * option that is planned and not built is in it too, so that using it is a clear error and never "unknown".
 *
 * The rules, which are those of getopt_long(3) and of docker run where both agree:
 *   - options end at ROOTFS, the first word that is not an option, or at "--"; what follows ROOTFS is CMD and its
 *     arguments, as it stands. One "--" between ROOTFS and CMD is dropped; without it CMD may not begin with "-", which
 *     is a wrong order of words far more often than a program's name;
 *   - "--name=value" and "--name value"; a yes-or-no option and one whose value is optional take it after "=" alone;
 *   - letters cluster ("-it"), and the last of a cluster may take a value: "-eA=B", "-e=A=B", "-e A=B", "-it=false";
 *   - names are not abbreviated: a script must not break when an option is added;
 *   - an empty value is an error: a limit that an unset variable was meant to give must not vanish;
 *   - an option with one value may be said again with the same value only: which of two maps or limits was meant is not
 *     guessed (docker takes the last one). Lists add up.
 */
#ifndef NSRUN_CLI_OPTIONS_H
#define NSRUN_CLI_OPTIONS_H

#include <nsrun/base/err.h>
#include <nsrun/plan/request.h>

#include <stddef.h>

/* What one command line says. Pointers go into argv; the vectors are malloc'd. */
struct command_line {
	struct plan_request request;
	const char *trace;	/* "text", "json"; NULL: none */
	const char *trace_file; /* NULL: standard error */
	const char *tape;	/* descriptor of tape_new_shared(); NULL: the launch makes its own */
	enum tristate dry_run, spec;
	enum tristate help, version;
	bool dashes; /* "--" stood before CMD */
};

enum option_kind {
	OPTION_FLAG,	 /* no value; enum tristate becomes YES */
	OPTION_TRISTATE, /* [=true|false] */
	OPTION_STRING,	 /* one value */
	OPTION_OPTIONAL, /* [=VALUE]; alone it means values[0] */
	OPTION_LIST,	 /* one value each time, collected */
};

enum option_status { OPTION_BUILT, OPTION_PLANNED };

enum option_group {
	GROUP_IDENTITY,
	GROUP_TERMINAL,
	GROUP_PROCESS,
	GROUP_FILES,
	GROUP_LIMITS,
	GROUP_CONFINEMENT,
	GROUP_NETWORK,
	GROUP_OBSERVE,
	GROUP_COUNT,
};

struct option_row {
	const char *name;     /* long name, without dashes */
	char letter;	      /* 0: none */
	const char *argument; /* "SIZE"; NULL without a value */
	enum option_kind kind;
	enum option_group group;
	enum option_status status;
	size_t offset; /* in the command's own structure: const char *, const char *const * or enum tristate by kind */
	const char *const *values; /* what it may be (NULL: anything); one that ends in "=" or ":" is a beginning */
	const char *const *planned_values;
	const char *help;    /* one line, at most 72 columns */
	const char *example; /* for the manual page; NULL for planned ones */
};

struct option_group_row {
	const char *title;
	const char *example;
};

/* The options of one command. */
struct option_table {
	const struct option_row *rows;
	size_t count;
	const char *command; /* for messages: "exec"; NULL for the one-shot command */
	bool one_dash;	     /* a long option may have one dash, as engines' clients have it (Go's flag package), */
	bool last_wins;	     /* and the last value of one that is said again is meant */
};

/* The one-shot command's. */
extern const struct option_row option_rows[];
extern const size_t option_rows_count;
extern const struct option_group_row option_groups[GROUP_COUNT];

/* Reads options from argv[1] on, up to the first word that is none, or past "--". `into` is the structure that the rows' offsets mean, zeroed;
 * *ret_at becomes the index of the next word. On failure `into` is to be given to options_done() all the same. */
int options_parse(const struct option_table *table, int argc, char *const *argv, void *into, int *ret_at,
		  struct err *err);
/* For those who take values from elsewhere than a command line. NULL when there is no such option. */
const struct option_row *option_find(const struct option_table *table, const char *name);
/* The option that was probably meant; NULL. */
const char *option_nearest(const struct option_table *table, const char *name);
/* Is it built, and is this one of its values? `spelling` begins the message. Not for switches. */
int option_check(const struct option_row *row, const char *spelling, const char *value, struct err *err);
bool option_is_switch(const struct option_row *row);
/* true, yes, on, 1 and false, no, off, 0; UNSET for anything else. */
enum tristate option_tristate(const char *value);
/* Frees the lists in it. */
void options_done(const struct option_table *table, void *into);
/* argv[0] is the program. Time and memory grow with argc, not with its square. On failure *ret is untouched. */
int command_line_parse(int argc, char *const *argv, struct command_line *ret, struct err *err);
void command_line_done(struct command_line *line);

/* What to do here instead of an option that is unknown: ": did you mean --network?" for "net". -ENOENT when there is nothing to say. */
int option_hint(const struct option_table *table, const char *word, char *buf, size_t size);
int letter_hint(const struct option_table *table, char letter, char *buf, size_t size);
/* For tests: the i-th option that a hint can name; NULL behind the last. */
const char *option_spelling(size_t i);

/* ROOTFS is no existing directory and is the word of a planned command, of docker or of an image: says what to do
 * instead. 0 when there is nothing to say. */
int rootfs_word_check(const char *rootfs, struct err *err);

#endif
