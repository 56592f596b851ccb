/* SPDX-License-Identifier: Apache-2.0 */
/* Checks: TERM OPERATOR TERM, held against what the kernel says (kernel/observe.h), never against what a command printed. */
#ifndef NSRUN_LAB_CHECK_H
#define NSRUN_LAB_CHECK_H

#include <nsrun/base/arena.h>
#include <nsrun/base/err.h>
#include <nsrun/kernel/observe.h>

#include <stdbool.h>

enum lab_operator { LAB_EQUAL, LAB_DIFFERENT, LAB_LESS, LAB_LESS_EQUAL, LAB_GREATER, LAB_GREATER_EQUAL, LAB_HAS };

struct lab_term {
	const char *text;     /* as written, without quotes */
	const char *subject;  /* "host" or a container; NULL: a word */
	const char *comm;     /* SUBJECT/COMM; NULL: process 1 */
	const char *property; /* "uts.owner" */
	enum observe_kind kind;
};

struct lab_check {
	unsigned line;
	const char *text;
	bool negated;
	enum lab_operator operator;
	struct lab_term left, right;
};

struct lab_checks {
	struct lab_check *at;
	size_t n;
};

/* Who answers for terms: a session, or a test. -ESRCH: there is no such process (any more). */
struct lab_kernel {
	int (*value)(void *data, const struct lab_term *term, char **ret, struct err *err);
	void *data;
};

enum lab_verdict {
	LAB_HOLDS,
	LAB_FAILS,
	LAB_UNKNOWN, /* the kernel could not be asked: neither the check nor its contrary holds */
};

/* `known` (ends with NULL): subjects beside "host". -EINVAL with `err` filled. Text lives in the arena. */
int lab_term_parse(struct arena *arena, const char *word, bool quoted, const char *const *known, struct lab_term *ret,
		   struct err *err);
int lab_check_parse(struct arena *arena, const char *text, unsigned line, const char *const *known,
		    struct lab_check *ret, struct err *err);
/* *ret_story: one or two sentences, malloc'd: what was wanted and what the kernel says. NULL is allowed. */
enum lab_verdict lab_check_try(const struct lab_check *check, const struct lab_kernel *kernel, char **ret_story);
/* Are these the same answer: numbers as numbers, sets in any order, else words apart by single blanks, in either case. */
bool lab_same(const char *a, const char *b);
/* "UTS namespace" of "uts"; NULL of what is none. */
const char *lab_namespace_name(const char *property);

#endif
