/* SPDX-License-Identifier: Apache-2.0 */
/* Control groups: cgroups(7). The group of the v2 hierarchy serves cloning into, freezing and killing, and needs no controller for that; limits
 * are written there or in groups of v1 hierarchies, wherever this host has their controllers (cgroup_resources.h). */
#ifndef NSRUN_KERNEL_CGROUP_H
#define NSRUN_KERNEL_CGROUP_H

#include <nsrun/base/arena.h>
#include <nsrun/base/err.h>
#include <nsrun/base/pidref.h>
#include <nsrun/kernel/idmap.h>

#include <limits.h>

enum cgroup_ctl {
	CGROUP_CPU,
	CGROUP_CPUSET,
	CGROUP_MEMORY,
	CGROUP_IO, /* v1: blkio */
	CGROUP_PIDS,
	CGROUP_HUGETLB,
	CGROUP_RDMA,
	CGROUP_MISC, /* v2 alone; so is dmem */
	CGROUP_DMEM,
	CGROUP_NET_CLS, /* v1 alone; so are those below */
	CGROUP_NET_PRIO,
	CGROUP_DEVICES,
	CGROUP_CPUACCT,
	CGROUP_FREEZER,
	CGROUP_PERF_EVENT,
	CGROUP_NAMED_SYSTEMD, /* no controller: the hierarchy in which systemd tracks units on v1 */
	CGROUP_CONTROLLER_COUNT
};

/* Longer paths of mounts and groups are refused, so that buffers of a mount and a group hold both. */
#define CGROUP_PATH_MAX 1024

/* What this host offers to this process. Filled once per launch. Paths are never NULL. */
struct cgroup_host {
	const char *v2_mount; /* "" where no cgroup2 is mounted */
	/* This process' group, relative to v2_mount, "/" first; "" when that mount shows another part of the tree. */
	const char *v2_self;
	bool v2_nsdelegate; /* cgroups(7): who is in a cgroup namespace cannot write the limits of its root, whoever owns the files */
	/* Offered by the v2 hierarchy at its root: a v1 mount takes a controller away. */
	bool v2_controller[CGROUP_CONTROLLER_COUNT];
	/* "" where the controller has no v1 hierarchy. Two controllers may share one (cpu and cpuacct). */
	const char *v1_mount[CGROUP_CONTROLLER_COUNT];
	const char *v1_self[CGROUP_CONTROLLER_COUNT];
};
#define CGROUP_HOST_NONE                                                                                              \
	{                                                                                                             \
		.v2_mount = "", .v2_self = "", .v1_mount = { [0 ... CGROUP_CONTROLLER_COUNT - 1] = "" }, .v1_self = { \
			[0 ... CGROUP_CONTROLLER_COUNT - 1] = ""                                                      \
		}                                                                                                     \
	}

#define CGROUP_NO_LIMIT UINT64_MAX /* of what is read from a group: no limit is set */

/* Its paths belong to the arena. */
int cgroup_probe(struct arena *arena, struct cgroup_host *ret, struct err *err);
/* The parsers below cgroup_probe(), for tests: the text of /proc/self/mountinfo, then that of /proc/self/cgroup. They write into `text`. `host` is
 * CGROUP_HOST_NONE before, `roots` points into the first text after. */
struct cgroup_roots {
	const char *v2; /* what the mount shows of its hierarchy: mountinfo's field 4 */
	const char *v1[CGROUP_CONTROLLER_COUNT];
};
int cgroup_parse_mounts(struct arena *arena, char *text, struct cgroup_host *host, struct cgroup_roots *roots,
			struct err *err);
int cgroup_parse_self(struct arena *arena, char *text, struct cgroup_host *host, const struct cgroup_roots *roots,
		      struct err *err);
/* "cpu", "io", ...: as v2 spells it. */
const char *cgroup_controller_name(enum cgroup_ctl controller);
/* The same, but "blkio" and "name=systemd": the option of a v1 mount. */
const char *cgroup_v1_name(enum cgroup_ctl controller);
/* Does a v1 hierarchy of this host have it? Then v2 has not. */
static inline bool cgroup_on_v1(const struct cgroup_host *host, enum cgroup_ctl controller)
{
	return host->v1_mount[controller][0] != '\0';
}

/* The parent for new groups: "/nsrun" for root; for an ordinary user below its delegated group, see .c. -EACCES when this caller may not
 * make groups (then a launch without limits goes without a group), with ERR_ID_NO_DELEGATION, ERR_ID_CGROUP_READONLY or
 * ERR_ID_CGROUP_NOT_MOUNTED. `parent` is relative to the hierarchy's mount. */
int cgroup_choose_parent(const struct cgroup_host *host, char *ret_parent, size_t size, struct err *err);

/* May this caller make groups below `parent` and put processes into them? For an ordinary user it must lie in the delegated tree:
 * ERR_ID_CGROUP_PARENT_OUTSIDE with the tree that is theirs. For callers for whom cgroup_choose_parent() succeeds. */
int cgroup_check_parent(const struct cgroup_host *host, const char *parent, struct err *err);

/* Only where host->v2_mount is set. Makes the v2 group `path` (relative to the mount, parents too; it may exist already: *ret_made, which may be NULL)
 * and returns an O_PATH|O_DIRECTORY fd for CLONE_INTO_CGROUP. */
int cgroup_make_v2(const struct cgroup_host *host, const char *path, int *ret_fd, bool *ret_made, struct err *err);
/* No process is in the group `path` or below it, in v2 and in the v1 hierarchies of these controllers (1 << enum cgroup_ctl), or there is no such
 * group; and neither it nor one around it is frozen. */
int cgroup_check_unused(const struct cgroup_host *host, const char *path, unsigned controllers, struct err *err);
/* Gives the group away as cgroups(7) has it (delegation): the directory, and of its files those that /sys/kernel/cgroup/delegate lists (cgroup.procs,
 * cgroup.threads, cgroup.subtree_control and a few of controllers). Its limits stay. */
int cgroup_delegate_v2(int group_fd, uid_t uid, gid_t gid, struct err *err);
/* Can the v2 group at this full path give controllers to groups below it that then take processes? */
bool cgroup_may_hand_down_v2(const char *dir);
/* ERR_ID_CGROUP_BUSY: it cannot, for these processes, and `what` (an option) needs it. */
int cgroup_err_busy(const char *dir, const char *what, struct err *err);
/* Hands all controllers down to the v2 group `path`, as far as those around it are ours and offer them: the group can be used without, and what a limit
 * needs cgroup_apply_limits() sees to. */
void cgroup_offer_controllers_v2(const struct cgroup_host *host, const char *path);
/* Opens a group that exists, in the same way. */
int cgroup_open_v2(const struct cgroup_host *host, const char *path, int *ret_fd, struct err *err);
/* The same for a further process: where the group gives controllers to groups below it, and so may hold no process itself (cgroups(7)), the group
 * below it that `member` is in. */
int cgroup_open_to_enter(const struct cgroup_host *host, const char *path, const struct pidref *member, int *ret_fd,
			 struct err *err);
/* May this caller put a process of its own into the v2 group at `path`? cgroups(7), delegation containment: that takes the right to write to cgroup.procs
 * of the group around both. */
bool cgroup_may_enter_v2(const struct cgroup_host *host, const char *path);
/* Hands these controllers (1 << enum cgroup_ctl) down to the v2 group `path`, at each group around it where that is not so already. */
int cgroup_enable_v2(const struct cgroup_host *host, const char *path, unsigned controllers, struct err *err);
/* v1: makes the group `path` (parents too; it may exist already) in the controller's hierarchy and returns an O_PATH|O_DIRECTORY fd. Where that
 * hierarchy has cpusets they are taken over from the group around: cpuset(7) lets no process into a group without. */
int cgroup_make_v1(const struct cgroup_host *host, const char *path, enum cgroup_ctl controller, int *ret_fd,
		   bool *ret_made, struct err *err);
/*
 * v1 cannot be cloned into. A process of one thread enters the v1 groups of these controllers (1 << enum cgroup_ctl) by itself, through descriptors that
 * another one with the right to it has opened: the kernel judges by who opened (5.16), and a thread that moves itself waits for no RCU grace period,
 * which a move by pid does, 10 to 20 ms (kernel/cgroup/cgroup.c, cgroup_procs_write_start()). fds[] is FD_NONE before, and after for controllers that v2
 * has or that share a hierarchy with an earlier one.
 */
int cgroup_open_tasks_v1(const struct cgroup_host *host, const char *path, unsigned controllers,
			 int fds[CGROUP_CONTROLLER_COUNT], struct err *err);
/* Closes them, too, success or not: what leads to a directory of the host stays open in nobody. */
int cgroup_enter_v1(const struct cgroup_host *host, const char *path, int fds[CGROUP_CONTROLLER_COUNT],
		    struct err *err);
void cgroup_close_tasks(int fds[CGROUP_CONTROLLER_COUNT]);
/* Does cgroup_open_tasks_v1() open a file for this controller? One for each hierarchy. */
bool cgroup_has_tasks_v1(const struct cgroup_host *host, unsigned controllers, enum cgroup_ctl controller);

/*
 * One hierarchy in which a group was made, for whoever must remove the group later and perhaps elsewhere: in another mount or cgroup
 * namespace the same path may be another group, or none. The root of the mount, by device and inode, is what tells.
 */
struct cgroup_place {
	char name[16]; /* "v2", or the controller as v1 spells it */
	uint64_t device, inode;
};
#define CGROUP_PLACES_MAX (CGROUP_CONTROLLER_COUNT + 1)
/* The hierarchies that a container which uses these controllers (1 << enum cgroup_ctl) has a group in: v2 where it is mounted, and v1. */
int cgroup_places(const struct cgroup_host *host, unsigned controllers, struct cgroup_place ret[CGROUP_PLACES_MAX],
		  size_t *ret_n, struct err *err);
/* -ENODEV when this hierarchy is not mounted here, is covered by another mount, or shows another part of its tree. */
int cgroup_check_place(const struct cgroup_host *host, const struct cgroup_place *place, struct err *err);
/*
 * A path that others name may be that of a group which stood there before. Those that nsrun makes get a mark, an extended attribute of the group, which so
 * lasts as long as the group itself: the last container that leaves a marked group removes it, whichever made it. Where the kernel keeps no such attribute
 * for this caller, cgroup_stood alone tells.
 */
void cgroup_mark(const char *mount, const char *path, const char *id);
bool cgroup_is_marked(const char *mount, const char *path);
/* 1 << enum cgroup_ctl of v1 hierarchies, and CGROUP_STOOD_V2: where a group without a mark stood, and where there were others below it. */
struct cgroup_stood {
	unsigned groups, below;
};
#define CGROUP_STOOD_V2 (1U << CGROUP_CONTROLLER_COUNT)
void cgroup_look_stood(const struct cgroup_host *host, const char *path, unsigned controllers,
		       struct cgroup_stood *ret);

/* What is frozen in it, and in the groups below, by the freezer of v1, which a process of the container may be that can write to its own groups. */
void cgroup_thaw_v1(const struct cgroup_host *host, const char *path, unsigned timeout_ms);
/* Kills all that is left in it (cgroup.kill, or a loop of SIGKILL where 5.14's file is missing), removes sub-groups and the group, in
 * v2 and in every v1 hierarchy of enum cgroup_ctl. A group that does not exist is success, and so is one in a hierarchy that is not visible
 * here: see cgroup_check_place(). At most `timeout_ms`. */
int cgroup_destroy(const struct cgroup_host *host, const char *path, unsigned timeout_ms, struct err *err);
/* The same with more said of it. */
struct cgroup_end {
	unsigned controllers; /* 1 << enum cgroup_ctl: no other v1 hierarchy is looked at */
	unsigned timeout_ms;
	/* The container's maps: its processes may have given groups below to other ids, which an ordinary user cannot remove otherwise. NULL: by the
	 * caller's own rights alone. */
	const struct idmap *uids, *gids;
	/* Nobody is killed: processes that are left when the time is over are somebody else's, and their group stays, without an error. */
	bool empty_only;
	/* These stay: what is in them is ended, and removed are the groups below that were not there before. */
	struct cgroup_stood stood;
};
int cgroup_destroy_by(const struct cgroup_host *host, const char *path, const struct cgroup_end *how, struct err *err);
/* Runs `work` in a child that has all rights in a new user namespace with these maps; its -errno, as far as an exit status carries it. */
int cgroup_work_inside(int group_fd, const struct idmap *uids, const struct idmap *gids, unsigned timeout_ms,
		       int (*work)(int group_fd, unsigned timeout_ms));
/* OOM kills counted so far in the group (memory.events oom_kill, or v1 memory.oom_control); 0 when there is no such group. */
uint64_t cgroup_oom_kills(const struct cgroup_host *host, const char *path);
/* Waits until `key` of cgroup.events in this v2 group is `value`: the kernel notifies changes of the file by POLLPRI (cgroups(7)), so nothing
 * sleeps longer than needed. `dirfd` may be O_PATH. 0, -ETIMEDOUT, -EINTR: `interrupt_fd`, where it is one, became readable before; -errno. */
int cgroup_wait_event(int dirfd, const char *key, uint64_t value, unsigned timeout_ms, int interrupt_fd);

#endif
