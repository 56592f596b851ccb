/* SPDX-License-Identifier: Apache-2.0 */
/* Containers as text: what ls, inspect and top print. All strings are malloc'd; JSON is ASCII, since what a container says may hold control characters of terminals. */
#ifndef NSRUN_PLAN_CONTAINER_SHOW_H
#define NSRUN_PLAN_CONTAINER_SHOW_H

#include <nsrun/plan/container.h>

/* An array of {id, name, status, exit, pid, owner, created, rootfs, uid, argv}. */
int container_list_json(const struct container *containers, size_t n, char **ret, struct err *err);

/* An array of the records, each with "status", "state_dir" and "live": what the kernel says now of one that runs, null of others. */
int container_inspect_json(const struct container *containers, size_t n, char **ret, struct err *err);
/* The same of one as lines "key: value"; keys of nested values are joined by "." and those of arrays by their number. */
int container_inspect_text(const struct container *container, char **ret, struct err *err);

/* The group of a container that may be read by name: it is the container's own by its last component. NULL: none. */
const char *container_cgroup(const struct container *container);
/* Host id of the container's root; -1 where the record does not say. */
int64_t container_root_uid(const struct container *container);

struct container_process {
	pid_t pid, ppid;
	pid_t nspid;	    /* in the innermost pid namespace that it is in */
	uid_t uid;	    /* effective, as this user namespace numbers it */
	int64_t uid_inside; /* -1: the container's map has it not */
	char state;
	uint64_t cpu_ms, age_ms, rss_bytes;
	char *command; /* as the process shows it: hostile */
};
/* By the control group where it has one; otherwise what shares init's pid namespace or descends from init. */
int container_processes(const struct container *container, struct container_process **ret, size_t *ret_n,
			struct err *err);
void container_processes_free(struct container_process *processes, size_t n);
int container_processes_json(const struct container_process *processes, size_t n, char **ret, struct err *err);

#endif
