/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The error value. It is passed by value and owns nothing, so that a child process hands it whole to its
 * parent. A fallible function returns 0 or a negative errno and, on failure, has filled the `struct err *`
 * that is its last parameter, exactly once, with the object it failed on. It never prints and never exits:
 * the command line words the report (err_print).
 */
#ifndef NSRUN_BASE_ERR_H
#define NSRUN_BASE_ERR_H

#include <nsrun/base/cleanup.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What sort of failure it is; decides the exit status and whether strerror(errnum) is printed. */
enum err_kind {
	ERR_NONE = 0,
	ERR_SYSTEM,	    /* the kernel refused: errnum says how */
	ERR_INPUT,	    /* the caller's options, files or configuration are wrong */
	ERR_REFUSED,	    /* a rule of nsrun forbids it */
	ERR_PEER,	    /* the other process of the launch died or broke the protocol */
	ERR_NOT_FOUND,	    /* CMD does not exist in the container: exit status 127 */
	ERR_NOT_EXECUTABLE, /* CMD exists and cannot be executed: exit status 126 */
	ERR_BUG,	    /* an invariant of nsrun does not hold */
};

/*
 * Errors with a known cause have an id: a stable word for scripts and documentation, and the remedy.
 * The table is err_table.h; an error without a known cause has ERR_ID_NONE and no remedy.
 */
enum err_id {
#define ERR_ID(symbol, word, remedy) ERR_ID_##symbol,
#include <nsrun/base/err_table.h>
#undef ERR_ID
	ERR_ID_COUNT,
};

#define ERR_MESSAGE_MAX 512
#define ERR_STEP_NONE (-1)

struct err {
	enum err_kind kind;
	enum err_id id;
	int errnum; /* positive errno, or 0 */
	int step;   /* row of the score (enum step_id), set by the runner alone; ERR_STEP_NONE outside it */
	int role;   /* enum role of the process that failed; set by the runner */
	char message[ERR_MESSAGE_MAX]; /* "object: what was wanted of it", without strerror and without newline */
};

#define ERR_INIT ((struct err){ .step = ERR_STEP_NONE })

/* Fills `err` (replacing nothing: a filled one is left as it is, the first cause wins). Returns -errnum,
 * or -EINVAL when errnum is 0, so that callers write `return err_set(...)`. `err` may be NULL. */
int err_set(struct err *err, enum err_kind kind, enum err_id id, int errnum, const char *fmt, ...) _printf_(5, 6);

/* The kernel refused: takes errno. */
#define err_system(err, ...) err_set((err), ERR_SYSTEM, ERR_ID_NONE, errno, __VA_ARGS__)
/* The same with a known cause. */
#define err_system_id(err, id, ...) err_set((err), ERR_SYSTEM, (id), errno, __VA_ARGS__)
#define err_input(err, ...) err_set((err), ERR_INPUT, ERR_ID_NONE, 0, __VA_ARGS__)
#define err_refused(err, id, ...) err_set((err), ERR_REFUSED, (id), EPERM, __VA_ARGS__)
#define err_bug(err, ...) err_set((err), ERR_BUG, ERR_ID_NONE, 0, __VA_ARGS__)
#define err_oom(err) err_set((err), ERR_SYSTEM, ERR_ID_NONE, ENOMEM, "memory")

static inline bool err_is_set(const struct err *err)
{
	return err->kind != ERR_NONE;
}

/* The stable word of an id ("no-subid-range"), and its remedy in one or more sentences; NULL for ERR_ID_NONE. */
const char *err_id_word(enum err_id id);
const char *err_id_remedy(enum err_id id);

/* One line: "message: strerror" or "message", control characters escaped (\xNN), since a hostile rootfs can
 * put terminal escape sequences into a name. `buf` is always terminated. Returns buf. */
const char *err_format(const struct err *err, char *buf, size_t size);

/* 127, 126 or 125. */
int err_exit_status(const struct err *err);

#endif
