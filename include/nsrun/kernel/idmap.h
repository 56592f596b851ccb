/* SPDX-License-Identifier: Apache-2.0 */
/* uid_map and gid_map of a user namespace: user_namespaces(7), newuidmap(1). */
#ifndef NSRUN_KERNEL_IDMAP_H
#define NSRUN_KERNEL_IDMAP_H

#include <nsrun/base/err.h>
#include <nsrun/base/pidref.h>

/* The kernel takes 340 lines since 4.15 and 5 before; nobody needs more than a few. */
#define IDMAP_EXTENTS_MAX 32
/* (uid_t)-1 is "no id" to every system call that takes one, so the last usable id is one below. */
#define IDMAP_ID_MAX UINT32_C(4294967294)

struct idmap_extent {
	uint32_t inside;  /* first id in the namespace */
	uint32_t outside; /* first id in the namespace of the process that writes the map */
	uint32_t count;	  /* at least 1 */
};

struct idmap {
	size_t n;
	struct idmap_extent extents[IDMAP_EXTENTS_MAX];
};

/* Refuses what the kernel refuses with a bare EINVAL, and names the extent: no extent, more than the maximum,
 * count 0, an end beyond IDMAP_ID_MAX, overlap inside or outside. `what` names the map in messages. */
int idmap_check(const struct idmap *map, const char *what, struct err *err);

/* Both return false when the id has no counterpart. */
bool idmap_to_outside(const struct idmap *map, uint32_t inside, uint32_t *ret_outside);
bool idmap_to_inside(const struct idmap *map, uint32_t outside, uint32_t *ret_inside);

/* The text that uid_map takes: "INSIDE OUTSIDE COUNT\n" an extent. Returns the length, or -ENOSPC. */
int idmap_format(const struct idmap *map, char *buf, size_t size);

/* One write(2) to /proc/PID/FILE ("uid_map", "gid_map"). The child must not have been reaped. */
int idmap_write(const struct pidref *child, const char *file, const struct idmap *map, struct err *err);
/* "deny" to /proc/PID/setgroups: without it an unprivileged gid_map is EPERM, since a process could drop a
 * group that a file denies access to (CVE-2014-8989). */
int idmap_deny_setgroups(const struct pidref *child, struct err *err);
/* Runs newuidmap or newgidmap (`program`, looked up in PATH and the usual sbin directories) for the child. Names the
 * cause on failure: ERR_ID_NEWIDMAP_MISSING, ERR_ID_NEWIDMAP_NOT_SETUID, or the program's own words. */
int idmap_write_by_helper(const struct pidref *child, const char *program, const struct idmap *map, struct err *err);

/* A user namespace with these maps and no process in it, for mount_setattr(2). The fd belongs to the caller. */
int idmap_make_userns(const struct idmap *uids, const struct idmap *gids, int *ret_fd, struct err *err);

#endif
