/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of the resctrl file system: linux.intelRdt. resctrl.rst in the kernel's documentation. */
#ifndef NSRUN_KERNEL_RESCTRL_H
#define NSRUN_KERNEL_RESCTRL_H

#include <nsrun/base/err.h>

#include <sys/types.h>

struct resctrl_group {
	const char *name;	     /* a directory in the root; "/": the root itself */
	const char *const *schemata; /* lines, in the order in which they are written; NULL or empty: none */
	const char *monitor;	     /* a monitoring group of its own below it; NULL: none */
	bool may_make;		     /* otherwise it must be there */
};

/* What was made, and is the runtime's to remove. */
struct resctrl_made {
	bool group, monitor;
};

/* The root of the mounted one, as O_PATH. -ENOENT with ERR_ID_RESCTRL: none is mounted. */
int resctrl_open(int *ret_fd, struct err *err);
/* Makes the group and writes its lines; one that is there must have exactly these. On failure nothing new is left. */
int resctrl_make(int root_fd, const struct resctrl_group *group, const char *said, struct resctrl_made *ret,
		 struct err *err);
/* Puts a process into the group, and into its monitoring group. */
int resctrl_place(int root_fd, const struct resctrl_group *group, pid_t pid, const char *said, struct err *err);
/* What is not there any more is no failure. */
int resctrl_remove(int root_fd, const struct resctrl_group *group, const struct resctrl_made *made, struct err *err);

/* Do the schemata of a group, as the kernel writes them ("    L3:0=00ff;1=00ff"), have each domain of this line with the same value? */
bool resctrl_line_holds(const char *schemata, const char *line);

#endif
