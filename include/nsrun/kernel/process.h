/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of a process beyond identity and limits: values alone. Each mechanism's calls are in the file that is named with it. */
#ifndef NSRUN_KERNEL_PROCESS_H
#define NSRUN_KERNEL_PROCESS_H

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

/* sched_setaffinity(2): a set of processors. */
struct cpu_list {
	cpu_set_t *set; /* of `size` bytes */
	size_t size;
};

/* process.execCPUAffinity; a NULL set: nothing is said. */
struct exec_affinity {
	struct cpu_list initial, final; /* before the process enters the container's cgroup, and after it */
};

/* set_mempolicy(2): linux.memoryPolicy. */
struct memory_policy {
	int mode; /* MPOL_*, with its flags */
	unsigned long *nodes;
	size_t bits; /* of `nodes`; 0: none */
};

/* What the security modules are told; NULL: nothing. */
struct lsm_labels {
	const char *apparmor; /* profile that holds from execve(2) on */
	const char *selinux;  /* process label, likewise */
	const char *mount;    /* SELinux context of file systems that are mounted */
};

#endif
