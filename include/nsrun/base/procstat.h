/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/stat: proc_pid_stat(5). */
#ifndef NSRUN_BASE_PROCSTAT_H
#define NSRUN_BASE_PROCSTAT_H

#include <nsrun/base/err.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct procstat {
	pid_t pid, ppid;
	char comm[64];		      /* as the process named itself: any byte but NUL */
	char state;		      /* 'R', 'S', 'Z', ... */
	bool forked_only;	      /* PF_FORKNOEXEC: it has not called execve(2) since it was made */
	uint64_t utime, stime, start; /* clock ticks; `start` since boot */
	uint64_t rss_pages;
};

/* Parses the text of the file; false: it is none. */
bool procstat_parse(const char *text, struct procstat *ret);
/* -ENOENT: no such process (any more). */
int procstat_read(pid_t pid, struct procstat *ret, struct err *err);
/* Is it PID 1 of a pid namespace below that of the caller's procfs? By the line NSpid of its status. */
bool procstat_is_namespace_init(pid_t pid);

#endif
