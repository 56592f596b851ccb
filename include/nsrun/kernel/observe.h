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
#include <stdio.h>
#include <sys/types.h>

enum observe_kind {
	OBSERVE_TEXT,
	OBSERVE_NUMBER, /* decimal; "max" and "none" may stand for it */
	OBSERVE_SET,	/* words between single spaces, sorted */
};

struct observe_term;

struct observe_property {
	const char *name;
	enum observe_kind kind;
	bool argument;		 /* NAME:ARGUMENT */
	bool more_needed;	 /* one of `more` must follow */
	const char *const *more; /* what may follow behind a dot; NULL: nothing */
	const char *help;
	int (*read)(pid_t pid, const struct observe_term *term, FILE *out, struct err *err);
};

extern const struct observe_property observe_properties[];
extern const size_t observe_properties_count;

/* One that was asked for: "caps.eff", "mount:/proc.options", "uts.owner". */
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
/* The first process, by its number, of the pid namespace of `pid` that is called `comm` (/proc/PID/comm). -ESRCH: there is none. */
int observe_find(pid_t pid, const char *comm, pid_t *ret, struct err *err);

/* ---- for observe_*.c ---- */

/* /proc/PID/NAME, whole. */
int observe_file(pid_t pid, const char *name, char **ret, struct err *err);
/* Inode of /proc/PID/ns/NAME. */
int observe_ns_inode(pid_t pid, const char *name, ino_t *ret, struct err *err);
/* Every process of the pid namespace of `pid` that this procfs shows, by number. `each` stops the rest by anything but 0, which is returned. */
int observe_processes(pid_t pid, int (*each)(pid_t pid, void *data), void *data, struct err *err);

typedef int observe_reader(pid_t pid, const struct observe_term *term, FILE *out, struct err *err);
observe_reader observe_hostname, observe_domainname, observe_sysctl, observe_links, observe_link, observe_addresses;
observe_reader observe_mount, observe_propagation, observe_path, observe_cgroup_path, observe_cgroup_file,
	observe_oom_kills;

#endif
