/* SPDX-License-Identifier: Apache-2.0 */
/* One line of /proc/PID/mountinfo: proc(5). */
#ifndef NSRUN_BASE_MOUNTINFO_H
#define NSRUN_BASE_MOUNTINFO_H

#include <stdbool.h>

struct mountinfo {
	int id;
	const char *device; /* "MAJOR:MINOR" */
	const char *root;   /* what of the file system is mounted */
	const char *target; /* where */
	const char *type;
	const char *options;	   /* of this mount: "rw,nosuid" */
	const char *super_options; /* of its file system; "" where there are none */
	bool shared, slave;	   /* mount_namespaces(7); a mount can be both */
};

/* Splits the line in place; the fields point into it, with the octal escapes of space, tab, newline and backslash undone. False: not
 * such a line. */
bool mountinfo_parse(char *line, struct mountinfo *ret);

#endif
