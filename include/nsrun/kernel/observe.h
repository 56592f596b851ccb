/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel says of a process, by the name of a property, as text: /proc, namespace ioctls (ioctl_ns(2)), control group files, and, by a child that
 * enters them, what can only be asked inside its namespaces. Nothing comes from a program of the process' own. docs/labs/README.md lists the properties.
 */
#ifndef NSRUN_KERNEL_OBSERVE_H
#define NSRUN_KERNEL_OBSERVE_H

#include <nsrun/base/err.h>

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum observe_kind {
	OBSERVE_TEXT,
	OBSERVE_NUMBER, /* decimal; "max" and "none" may stand for it */
	OBSERVE_SET,	/* words between single spaces, sorted */
};

struct observe_property {
	const char *name;
	enum observe_kind kind;
	bool argument;		 /* NAME:ARGUMENT */
	const char *const *more; /* what may follow behind a dot; NULL: nothing */
	const char *help;
};

extern const struct observe_property observe_properties[];
extern const size_t observe_properties_count;

/* "caps.eff", "mount:/proc.options", "uts.owner". NULL: no such property; *ret_argument (or NULL) and *ret_more point into `text`'s copy, which the
 * caller frees. */
struct observe_term {
	const struct observe_property *property;
	char *argument; /* NULL: none */
	char *more;	/* NULL: none */
	char *memory;
};
/* -EINVAL with `err` filled: what is wrong with it, and the nearest that there is. */
int observe_parse(const char *text, struct observe_term *ret, struct err *err);
void observe_term_done(struct observe_term *term);

/* The value, malloc'd, no newline at its end. "none" where the kernel says that there is none. Errors: -ESRCH: the process has ended; -EACCES: the caller may
 * not look (ptrace(2), access mode checks). */
int observe(pid_t pid, const struct observe_term *term, char **ret, struct err *err);

#endif
