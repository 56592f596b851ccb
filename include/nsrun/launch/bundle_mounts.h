/* SPDX-License-Identifier: Apache-2.0 */
/* One entry of a bundle's `mounts`, while init mounts it: the parts of the row mounts.all. */
#ifndef NSRUN_LAUNCH_BUNDLE_MOUNTS_H
#define NSRUN_LAUNCH_BUNDLE_MOUNTS_H

#include <nsrun/launch/launch.h>

/* Where it goes. */
struct place {
	int fd;	      /* O_PATH */
	bool existed; /* before it was made as a mount point */
};
#define PLACE_NONE ((struct place){ .fd = FD_NONE })
void place_done(struct place *place);
/* Finds its destination or makes it, and refuses what a link of the rootfs, or config.json itself, must not lead to. */
int place_find(const struct launch *launch, const struct bundle_mount *mount, struct place *ret, struct err *err);

/* Refuses a place that a link of the rootfs led into a procfs, where a mount would take what is written there (CVE-2025-31133, CVE-2025-52881). */
int place_refuse_procfs(int target, const char *path, struct err *err);

/* Is the open file in a file system of this type (statfs(2))? */
bool is_of(int fd, unsigned long magic);

/* Files are made on it until the last of the mounts, and by hooks: read-only comes at the end (root.readonly). */
bool mount_is_readonly_later(const struct bundle_mount *mount);
/* MOUNT_ATTR_* of it until then. */
uint64_t mount_attr_now(const struct bundle_mount *mount);

/* Why something was not mounted at `where`: linux.mountLabel, should it be about that. */
int mount_say_why(const struct launch *launch, const char *where, const struct err *why, struct err *err);
/* A new file system of mount->type at `place`, with what it copies up; *ret_fd is its mount. */
int mount_new_at(struct launch *launch, const struct bundle_mount *mount, const struct place *place, int *ret_fd,
		 struct err *err);
/* The root of what is mounted at its destination already. */
int mount_find_there(const struct launch *launch, const struct bundle_mount *mount, int *ret_fd, struct err *err);
/* Type "cgroup", attached at `target`. */
int mount_cgroup_at(struct launch *launch, const struct bundle_mount *mount, int target, int *ret_fd, struct err *err);

#endif
