/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of plan_resolve() that are about the process and its confinement. */
#ifndef NSRUN_PLAN_PROCESS_H
#define NSRUN_PLAN_PROCESS_H

#include <nsrun/plan/image.h>

/* argv, env, workdir, user, groups, names, umask, terminal, stdin, reaper, rlimits, and how it is asked to end; with what the image's own
 * configuration says. */
int plan_resolve_process(struct plan *plan, const struct plan_request *request, struct err *err);

/* The same with what `image` says instead of a file: nsrun exec. */
int plan_resolve_process_of(struct plan *plan, const struct plan_request *request, const struct image_config *image,
			    struct err *err);

#define PLAN_STOP_TIMEOUT 10 /* seconds, as docker stop */

/* What the workload inherits as 0 (`stdin_too`), 1 and 2 must be no directories. */
int plan_check_standard_fds(bool stdin_too, struct err *err);

/* The environment alone. */
int plan_resolve_env(struct plan *plan, const struct plan_request *request, const struct image_config *image,
		     struct err *err);

/* --sysctl, and the container's own files of /etc: both after the namespaces are decided. */
int plan_resolve_sysctls(struct plan *plan, const struct plan_request *request, struct err *err);
int plan_resolve_etc(struct plan *plan, const struct plan_request *request, struct err *err);

/* One of them: is its key of a namespace of the container? *ret is in the plan's arena. */
int plan_check_sysctl(const struct plan *plan, const char *key, const char *value, struct plan_sysctl *ret,
		      struct err *err);

/* Capabilities, no_new_privs, the filter, nosuid, masked and read-only paths. */
int plan_resolve_confinement(struct plan *plan, const struct plan_request *request, struct err *err);

/* masked_paths, readonly_paths, asked_masks. Part of plan_resolve_confinement(). */
int plan_resolve_system_paths(struct plan *plan, const struct plan_request *request, struct err *err);

/* The options of limits: plan->resources (limits.c). Those that say "unlimited" are left out where a new group has no limit anyway. */
int plan_resolve_limits(struct plan *plan, const struct plan_request *request, struct err *err);

/* --cgroup-parent. The path alone: no "..", no empty part, nothing that is too long. */
int plan_check_cgroup_parent(const char *path, struct err *err);
/* NAME.slice: of the systemd manager, not a path. */
bool plan_cgroup_parent_is_slice(const char *path);
/* The parent of containers' groups without that manager: cgroup_choose_parent() when `path` is NULL; `path` when it is absolute; else below what
 * cgroup_choose_parent() says. ERR_ID_CGROUP_PARENT_OUTSIDE and what cgroup_choose_parent() refuses by. */
int plan_choose_cgroup_parent(const struct cgroup_host *host, const char *path, char *ret_parent, size_t size,
			      struct err *err);

/* --security-opt writable-cgroups and what else leads to a writable cgroup2, once the group and the namespaces are decided: an error where container
 * root could not make groups, or could lift its own limits. */
int plan_check_writable_cgroups(const struct plan *plan, struct err *err);

#endif
