/* SPDX-License-Identifier: Apache-2.0 */
/* Control groups: cgroups(7). libcgroup makes, sets and removes groups of controllers; the v2 group that serves cloning
 * into, freezing and killing needs no controller and is a plain directory. */
#ifndef NSRUN_KERNEL_CGROUP_H
#define NSRUN_KERNEL_CGROUP_H

#include <nsrun/base/err.h>
#include <nsrun/base/pidref.h>

#include <limits.h>

enum cgroup_ctl { CGROUP_CPU, CGROUP_MEMORY, CGROUP_PIDS, CGROUP_CONTROLLER_COUNT };

/* Longest path of a mount or a group. Eight of them are in every plan, and each page of it that is touched costs a fault. */
#define CGROUP_PATH_MAX 1024

/* What this host offers to this process. Filled once per launch. */
struct cgroup_host {
	char v2_mount[CGROUP_PATH_MAX]; /* "" where no cgroup2 is mounted */
	/* This process' group, relative to v2_mount, "/" first; "" when that mount shows another part of the tree. */
	char v2_self[CGROUP_PATH_MAX];
	/* Offered by the v2 hierarchy at its root: a v1 mount takes a controller away. */
	bool v2_controller[CGROUP_CONTROLLER_COUNT];
	/* "" where the controller has no v1 hierarchy. */
	char v1_mount[CGROUP_CONTROLLER_COUNT][CGROUP_PATH_MAX];
	char v1_self[CGROUP_CONTROLLER_COUNT][CGROUP_PATH_MAX];
};

#define CGROUP_NO_LIMIT UINT64_MAX
struct cgroup_limits {
	uint64_t memory_max;	/* bytes */
	uint64_t pids_max;	/* tasks */
	uint64_t cpu_quota_us;	/* per period */
	uint64_t cpu_period_us; /* 100000 unless said otherwise; read only when cpu_quota_us is set */
};
bool cgroup_limits_any(const struct cgroup_limits *limits);
/* The controllers that these limits need, as 1 << enum cgroup_ctl. */
unsigned cgroup_limits_controllers(const struct cgroup_limits *limits);

int cgroup_probe(struct cgroup_host *ret, struct err *err);
/* The parsers below cgroup_probe(), for tests: the text of /proc/self/mountinfo, then that of /proc/self/cgroup. They write into `text`. */
struct cgroup_roots {
	char v2[CGROUP_PATH_MAX]; /* what the mount shows of its hierarchy: mountinfo's field 4 */
	char v1[CGROUP_CONTROLLER_COUNT][CGROUP_PATH_MAX];
};
int cgroup_parse_mounts(char *text, struct cgroup_host *host, struct cgroup_roots *roots, struct err *err);
int cgroup_parse_self(char *text, struct cgroup_host *host, const struct cgroup_roots *roots, struct err *err);
/* "cpu", "memory", "pids". */
const char *cgroup_controller_name(enum cgroup_ctl controller);

/* The parent for new groups: "/nsrun" for root; for an ordinary user below its delegated group, see .c. -EACCES when this caller may not
 * make groups (then a launch without limits goes without a group), with ERR_ID_NO_DELEGATION, ERR_ID_CGROUP_READONLY or
 * ERR_ID_CGROUP_NOT_MOUNTED. `parent` is relative to the hierarchy's mount. */
int cgroup_choose_parent(const struct cgroup_host *host, char *ret_parent, size_t size, struct err *err);

/* Can these limits be applied under this parent? Names the controller and remedy otherwise. No side effect. */
int cgroup_check_limits(const struct cgroup_host *host, const char *parent, const struct cgroup_limits *limits,
			struct err *err);

/* Only where host->v2_mount is set. Makes the v2 group `path` (relative to the mount, parents too; it may exist already) and returns an O_PATH|O_DIRECTORY fd for CLONE_INTO_CGROUP. */
int cgroup_make_v2(const struct cgroup_host *host, const char *path, int *ret_fd, struct err *err);
/* Gives the group away as cgroups(7) has it (delegation): the directory, cgroup.procs, cgroup.threads and cgroup.subtree_control. Its limits stay. */
int cgroup_delegate_v2(int group_fd, uid_t uid, gid_t gid, struct err *err);
/* Can the v2 group at this full path give controllers to groups below it that then take processes? */
bool cgroup_may_hand_down_v2(const char *dir);
/* Hands all controllers down to the v2 group `path`, as far as those around it are ours and offer them: the group can be used without, and what a limit
 * needs cgroup_apply_limits() sees to. */
void cgroup_offer_controllers_v2(const struct cgroup_host *host, const char *path);
/* Opens a group that exists, in the same way. */
int cgroup_open_v2(const struct cgroup_host *host, const char *path, int *ret_fd, struct err *err);
/* The same for a further process: where the group gives controllers to groups below it, and so may hold no process itself (cgroups(7)), the group
 * below it that `member` is in. */
int cgroup_open_to_enter(const struct cgroup_host *host, const char *path, const struct pidref *member, int *ret_fd,
			 struct err *err);
/* Is it frozen now, by itself or with a group around it? */
int cgroup_is_frozen(int group_fd, bool *ret, struct err *err);
/* Makes the groups of the needed controllers by libcgroup (v1 directories, or on v2 subtree_control plus the group's files), and
 * writes the limits; reads back what was written. On failure nothing is left but the parent. A memory limit gives no swap beside it. */
int cgroup_apply_limits(const struct cgroup_host *host, const char *path, const struct cgroup_limits *limits,
			struct err *err);
/* v1 only: puts the process into the groups of the controllers that the limits use. */
int cgroup_attach_v1(const struct cgroup_host *host, const char *path, const struct cgroup_limits *limits,
		     const struct pidref *process, struct err *err);

/*
 * One hierarchy in which a group was made, for whoever must remove the group later and perhaps elsewhere: in another mount or cgroup
 * namespace the same path may be another group, or none. The root of the mount, by device and inode, is what tells.
 */
struct cgroup_place {
	char name[16]; /* "v2", or the v1 controller */
	uint64_t device, inode;
};
#define CGROUP_PLACES_MAX (CGROUP_CONTROLLER_COUNT + 1)
/* The hierarchies that a container with these limits has a group in. */
int cgroup_places(const struct cgroup_host *host, const struct cgroup_limits *limits,
		  struct cgroup_place ret[CGROUP_PLACES_MAX], size_t *ret_n, struct err *err);
/* -ENODEV when this hierarchy is not mounted here, is covered by another mount, or shows another part of its tree. */
int cgroup_check_place(const struct cgroup_host *host, const struct cgroup_place *place, struct err *err);
/* Kills all that is left in it (cgroup.kill, or a loop of SIGKILL where 5.14's file is missing), removes sub-groups and the group, in
 * v2 and in every v1 hierarchy of enum cgroup_ctl. A group that does not exist is success, and so is one in a hierarchy that is not visible
 * here: see cgroup_check_place(). At most `timeout_ms`. */
int cgroup_destroy(const struct cgroup_host *host, const char *path, unsigned timeout_ms, struct err *err);
/* OOM kills counted so far in the group (memory.events oom_kill, or v1 memory.oom_control); 0 when there is no such group. */
uint64_t cgroup_oom_kills(const struct cgroup_host *host, const char *path);
/* Waits until `key` of cgroup.events in this v2 group is `value`: the kernel notifies changes of the file by POLLPRI (cgroups(7)), so nothing
 * sleeps longer than needed. `dirfd` may be O_PATH. 0, -ETIMEDOUT, -errno. */
int cgroup_wait_event(int dirfd, const char *key, uint64_t value, unsigned timeout_ms);
/* cgroup.freeze on v2; waits, at most two seconds, until the kernel says that it is so (-ETIMEDOUT). */
int cgroup_freeze(const struct cgroup_host *host, const char *path, bool freeze, struct err *err);

#endif
