/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of a process beyond identity and limits: values alone. Each mechanism's calls are in the file that is named with it. */
#ifndef NSRUN_KERNEL_PROCESS_H
#define NSRUN_KERNEL_PROCESS_H

#include <nsrun/base/arena.h>
#include <nsrun/base/err.h>
#include <nsrun/base/pidref.h>

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* sched_setattr(2): process.scheduler of the runtime specification. */
struct scheduler_setting {
	uint32_t policy; /* SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_IDLE, SCHED_DEADLINE */
	int32_t nice;
	uint32_t priority;
	uint64_t flags;			    /* SCHED_FLAG_* */
	uint64_t runtime, deadline, period; /* nanoseconds, SCHED_DEADLINE */
};

/* ioprio_set(2): process.ioPriority. */
struct io_priority {
	int class; /* IOPRIO_CLASS_* */
	int level; /* 0 to 7 */
};

/* Processors or memory nodes, as the kernel takes them: a bit each. */
struct number_set {
	unsigned long *words; /* NULL: nothing is said */
	size_t bits;	      /* of `words`, a multiple of those of a long */
};

static inline bool number_set_has(const struct number_set *set, size_t i)
{
	const size_t bits = sizeof(*set->words) * 8;

	return i < set->bits && (set->words[i / bits] & 1UL << i % bits);
}

/* process.execCPUAffinity, sched_setaffinity(2). */
struct exec_affinity {
	struct number_set initial, final; /* before the process enters the container's cgroup, and after it */
};

/* set_mempolicy(2): linux.memoryPolicy. */
struct memory_policy {
	int mode;		 /* MPOL_*, with its flags */
	struct number_set nodes; /* words NULL: none */
};

/* What the security modules are told; NULL: nothing. See kernel/lsm.h. */
struct lsm_labels {
	const char *apparmor; /* profile that holds from execve(2) on */
	const char *selinux;  /* process label, likewise */
	const char *mount;    /* SELinux context of file systems that are mounted */
};

/* `said` begins the message: the field as its author knows it. The caller must be the process' owner or have CAP_SYS_NICE in the initial user
 * namespace; more than is inherited takes the latter. */
int scheduler_apply(const struct pidref *process, const struct scheduler_setting *setting, const char *said,
		    struct err *err);
int io_priority_apply(const struct pidref *process, const struct io_priority *priority, const char *said,
		      struct err *err);

/* "0-3,7": List format of cpuset(7), each number below `max`. 0, -EINVAL, -ERANGE or -ENOMEM. An empty text is an empty set, words NULL. */
int number_set_parse(struct arena *arena, const char *text, size_t max, struct number_set *ret);
/* Of the calling process. Without a set: all that its control group allows. */
int affinity_apply(const struct number_set *set, const char *said, struct err *err);
/* Of the calling process: what is saved can be put back. */
int affinity_save(struct arena *arena, struct number_set *ret, struct err *err);
int memory_policy_apply(const struct memory_policy *policy, const char *said, struct err *err);

#endif
