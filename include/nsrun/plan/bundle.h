/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plan has beside the rest when it was made from an OCI bundle: the runtime specification's own notions. A plan without one is
 * of the one-shot command. Rows that only one of the two wants ask plan_is_bundle(). runtime/oci makes it, from config.json and the command's options.
 */
#ifndef NSRUN_PLAN_BUNDLE_H
#define NSRUN_PLAN_BUNDLE_H

#include <nsrun/kernel/idmap.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* hooks: config.md, "POSIX-platform Hooks". */
enum hook_kind {
	HOOK_PRESTART,	       /* runtime's namespaces, after they exist and before pivot_root(2) */
	HOOK_CREATE_RUNTIME,   /* the same, after those */
	HOOK_CREATE_CONTAINER, /* the container's namespaces, the host's tree, before pivot_root(2) */
	HOOK_START_CONTAINER,  /* the container's namespaces and tree, after start, before execve(2) */
	HOOK_POSTSTART,	       /* runtime's namespaces, after execve(2) */
	HOOK_POSTSTOP,	       /* runtime's namespaces, when it is deleted */
	HOOK_KIND_COUNT,
};
const char *hook_kind_name(enum hook_kind kind); /* "createRuntime" */

struct plan_hook {
	const char *path;	 /* absolute */
	const char *const *argv; /* NULL: the path alone */
	const char *const *env;	 /* empty where nothing is said: a hook inherits nothing */
	unsigned timeout;	 /* seconds; 0: none */
};

struct plan_hooks {
	size_t n;
	const struct plan_hook *hooks;
};

/* One entry of `mounts`, in their order. */
struct bundle_mount {
	const char *where;	 /* "mounts[3]", for messages */
	const char *destination; /* in the container: absolute, without ".", ".." and doubled slashes */
	const char *type;	 /* NULL: a bind mount */
	const char *
		source; /* NULL: none. Of a bind its tree is plan->sources[source_index], which also says what ids it shows */
	bool bind, recursive; /* "bind", "rbind" */
	bool is_directory;    /* a bind's source is one */
	size_t source_index;
	uint64_t attr_set, attr_clear;		   /* MOUNT_ATTR_* of this mount */
	uint64_t attr_set_below, attr_clear_below; /* and of all of it: the r* forms */
	uint64_t superblock_flags; /* MS_SYNCHRONOUS, MS_DIRSYNC, MS_MANDLOCK, MS_I_VERSION, MS_LAZYTIME */
	uint64_t
		propagation; /* MS_PRIVATE ... with MS_REC; 0: as it is. MS_SLAVE | MS_SHARED: first the one, then the other */
	bool remount;
	bool copy_up;	  /* tmpcopyup */
	const char *data; /* what is left: for the file system, comma-separated; NULL: none */
};

/* A node that is made, or bound from the host's where mknod(2) is not allowed: linux.devices, and the specification's default ones. */
struct bundle_device {
	const char *where; /* "linux.devices[0]"; "default device" */
	const char *path;  /* in the container */
	char type;	   /* 'c', 'b', 'p' */
	uint32_t major, minor;
	mode_t mode;
	uid_t uid; /* in the container */
	gid_t gid;
};

/* linux.netDevices: moved into the container's network namespace. */
struct bundle_netdev {
	const char *host_name;
	const char *name; /* inside; may have %d */
};

/* linux.intelRdt. */
struct bundle_rdt {
	const char *clos_id;	     /* NULL: the container's id */
	const char *const *schemata; /* lines; NULL: none */
	bool monitoring;
};

/* linux.seccomp.listenerPath. */
struct bundle_listener {
	const char *path;     /* NULL: none */
	const char *metadata; /* "" */
};

/* In the container. */
#define PLAN_NOTIFY_DIR "/run/notify"

struct plan_bundle {
	const char *dir;	 /* absolute path of the bundle */
	const char *oci_version; /* as config.json says it */
	const char *annotations; /* JSON text of the object; "{}" */
	const char *
		settings; /* JSON text of what config.json says that exec gives to further processes, too, and the plan's record has no words for; NULL: nothing */
	struct plan_hooks hooks[HOOK_KIND_COUNT];
	size_t n_warnings;
	const char *const *
		warnings; /* what config.json asks for, cannot be granted, and is no error by the specification: for the log */

	/* Files */
	bool root_readonly;
	bool no_pivot;
	bool root_joined; /* its root is that of a mount namespace which it joins, as it is there */
	uint64_t
		rootfs_propagation; /* MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE with MS_REC; 0: nothing is said */
	size_t n_mounts;
	const struct bundle_mount *mounts;
	size_t n_devices;
	const struct bundle_device *devices;
	size_t n_netdevs;
	const struct bundle_netdev *netdevs;
	const struct bundle_rdt *rdt; /* NULL: none */
	struct bundle_listener listener;

	bool cgroup_by_id; /* no cgroupsPath: plan_reserve() puts the inner id behind plan->cgroup_path, since several state roots may have the same name */

	/* The command's options; those of exec among them */
	bool gated; /* create: init waits for start, and the runtime ends */
	bool keep;  /* run --keep: stays after its end */
	bool no_new_keyring;
	unsigned preserve_fds; /* 3 to 2 + this stay open in the workload, the next among them */
	unsigned listen_fds; /* LISTEN_FDS: the first of them are sockets that it is activated by (sd_listen_fds(3)) */
	const char *listen_names;   /* LISTEN_FDNAMES; NULL: none */
	const char *notify;	    /* NOTIFY_SOCKET: whom the workload's READY=1 is passed on to; NULL: nobody */
	const char *console_socket; /* absolute; NULL: the runtime keeps the terminal */
	bool has_console_size;
	uint16_t console_rows, console_columns;
};

/* The container process state of config-linux.md, which goes to the filter's listener with its descriptor. `pid` is as the runtime sees it. The text is
 * the caller's (free(3)). */
struct plan;
int bundle_process_state(const struct plan *plan, pid_t pid, char **ret, struct err *err);

#endif
