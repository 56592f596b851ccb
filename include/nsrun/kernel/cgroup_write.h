/* SPDX-License-Identifier: Apache-2.0 */
/* What making a container's groups and changing them later have in common. Of the kernel layer alone. */
#ifndef NSRUN_KERNEL_CGROUP_WRITE_H
#define NSRUN_KERNEL_CGROUP_WRITE_H

#include <nsrun/kernel/cgroup_resources.h>

#define CGROUP_V2 CGROUP_CONTROLLER_COUNT

/* The group in each hierarchy that is used; CGROUP_V2 the last. */
struct cgroup_dirs {
	const struct cgroup_host *host;
	const char *path;
	int fds[CGROUP_CONTROLLER_COUNT + 1];
	bool made[CGROUP_CONTROLLER_COUNT + 1];
};
struct cgroup_dirs cgroup_dirs_none(const struct cgroup_host *host, const char *path);
void cgroup_dirs_close(struct cgroup_dirs *g);

static inline unsigned cgroup_hierarchy(const struct cgroup_setting *s)
{
	return s->v2 ? CGROUP_V2 : s->controller;
}

static inline const char *cgroup_dirs_mount(const struct cgroup_dirs *g, unsigned hierarchy)
{
	return hierarchy == CGROUP_V2 ? g->host->v2_mount : g->host->v1_mount[hierarchy];
}

/* Of each setting: what was written, also where the kernel then holds another value, is CGROUP_TAKEN. */
enum cgroup_progress { CGROUP_WAITING, CGROUP_TAKEN, CGROUP_LEFT_OUT, CGROUP_AGAIN };
int cgroup_write_settings(const struct cgroup_dirs *g, const struct cgroup_setting *list, size_t n,
			  uint8_t progress[CGROUP_SETTINGS_MAX], struct err *err);

#endif
