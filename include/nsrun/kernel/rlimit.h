/* SPDX-License-Identifier: Apache-2.0 */
/* Resource limits: getrlimit(2), prlimit(2). */
#ifndef NSRUN_KERNEL_RLIMIT_H
#define NSRUN_KERNEL_RLIMIT_H

#include <nsrun/base/err.h>
#include <nsrun/base/pidref.h>

#include <sys/resource.h>

struct rlimit_setting {
	int resource; /* RLIMIT_* */
	struct rlimit limit;
};

/* "nofile=1024", "nofile=1024:2048", "core=unlimited", "-1" for unlimited. Names as in docker run --ulimit, which are those of
 * limits.conf(5). */
int rlimit_parse(const char *text, struct rlimit_setting *ret, struct err *err);
const char *rlimit_name(int resource);
/* Would it be EPERM for this caller? Says so before anything is made (ERR_ID_LIMIT_ABOVE_HARD). */
int rlimit_check(const struct rlimit_setting *setting, struct err *err);
/* prlimit(2) on a child, by the runtime: the hard limit can be raised with the caller's privileges alone. */
int rlimit_apply(const struct pidref *child, const struct rlimit_setting *setting, struct err *err);

int oom_score_read(pid_t pid, int *ret, struct err *err);
/* /proc/PID/oom_score_adj of a child (proc(5)). ERR_ID_OOM_SCORE_LOWER where that needs CAP_SYS_RESOURCE. */
int oom_score_write(const struct pidref *child, int score, const char *said, struct err *err);

#endif
