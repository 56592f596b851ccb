/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who performs what. For each thing that more than one process could do, one table, indexed by the kind of caller, names the
 * performer; nothing else in nsrun asks whether it is "rootless".
 */
#ifndef NSRUN_PLAN_PRIVILEGE_H
#define NSRUN_PLAN_PRIVILEGE_H

enum caller {
	CALLER_ROOT_HOST,     /* root, no user namespace wanted (--userns=host) */
	CALLER_ROOT_REMAPPED, /* root of the initial user namespace, container remapped */
	CALLER_USER_RANGES,   /* ordinary user, ids by newuidmap and newgidmap */
	CALLER_USER_SINGLE,   /* ordinary user, one id, its own */
	CALLER_NESTED,	      /* full capabilities, but in a user namespace that is not the initial one */
	CALLER_COUNT,
};

enum work {
	WORK_MAPS,    /* uid_map and gid_map */
	WORK_SOURCES, /* open_tree(2) of rootfs and volumes */
	WORK_IDMAP,   /* MOUNT_ATTR_IDMAP: needs CAP_SYS_ADMIN over the file system */
	WORK_OVERLAY, /* an overlay that keeps its marks in trusted.* attributes; plan_resolve() says BY_INIT where user.* ones serve */
	WORK_VIEWS, /* a new procfs, sysfs, mqueue or cgroup2 of a namespace that the host's user namespace owns */
	WORK_DEVICES, /* nodes of --device: the runtime makes them where mknod(2) is allowed, elsewhere init binds those of the host */
	WORK_COUNT,
};

enum performer {
	BY_NOBODY, /* not needed, or the kernel allows it to none: the plan must do without */
	BY_RUNTIME,
	BY_INIT,
	BY_HELPER, /* a set-uid program of the host: newuidmap */
};

enum performer privilege_performer(enum caller caller, enum work work);
const char *caller_name(enum caller caller); /* "root-remapped" */
const char *performer_name(enum performer performer);
const char *work_name(enum work work);

#endif
