/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a face asks for, as it was said: strings not yet interpreted, NULL or 0 where nothing was said. A face fills it and hands
 * it to plan_resolve(); all parsing, defaults and cross-checks are there, once, for every face. Pointers are borrowed.
 */
#ifndef NSRUN_PLAN_REQUEST_H
#define NSRUN_PLAN_REQUEST_H

#include <stdbool.h>

enum tristate { UNSET = 0, NO, YES };

struct plan_request {
	const char *rootfs;	 /* a directory of the host */
	const char *const *argv; /* CMD and its arguments; NULL or empty: the user's shell */

	const char *userns_remap; /* USER[:GROUP], UID[:GID], "default", "auto" */
	const char *userns;	  /* "host" */
	const char *const
		*uid_map; /* INSIDE:OUTSIDE:COUNT each; vectors end with NULL, the pointer itself may be NULL */
	const char *const *gid_map;
	enum tristate trust_rootfs;

	enum tristate terminal;	   /* UNSET: when stdin and stdout are terminals */
	enum tristate interactive; /* NO: stdin is /dev/null */
	enum tristate init;	   /* a reaper as PID 1 */
	const char *const *env;	   /* NAME=VALUE, or NAME to take it from the caller */
	const char *workdir;
	const char *user; /* inside the container */
	const char *hostname, *domainname;
	const char *const *ulimits;
	const char *const *env_files; /* NAME=VALUE or NAME a line; before `env` */
	const char *const *group_add; /* names or numbers, of the container */
	const char *umask;	      /* octal */
	const char *const *sysctls;   /* KEY=VALUE */
	const char *entrypoint;	      /* program; argv become its arguments */
	const char *stop_signal;      /* "SIGTERM", "TERM", "15" */
	const char *stop_timeout;     /* seconds until SIGKILL */
	const char *oom_score_adj;    /* -1000 to 1000 */
	const char *const *add_hosts; /* NAME:ADDRESS */
	const char *const *dns;	      /* addresses of name servers */
	const char *image_config;     /* a file, or "none"; NULL: ROOTFS.image.json where it is there */

	const char *const *volumes; /* SRC:DST[:OPTION,...] */
	const char *const *mounts;  /* type=bind|tmpfs|overlay,... */
	const char *const *tmpfs;   /* DST[:OPTION,...] */
	const char *shm_size;	    /* bytes with a suffix */
	enum tristate read_only;
	enum tristate ephemeral;

	/* Life */
	enum tristate detach, rm;
	const char *name, *detach_keys, *cidfile, *pidfile;
	const char *log_driver;	     /* "none", "file" */
	const char *const *log_opts; /* max-size=SIZE, max-file=COUNT */

	/* Namespaces: "private", "host", "ns:PATH", "container:NAME"; network also "none" */
	const char *pid, *ipc, *uts, *cgroupns, *time, *network;
	const char *const *time_offsets; /* monotonic=SECONDS, boottime=SECONDS */

	/* Limits: plan/limits.c; the values of kernel/cgroup_resources.h */
	const char *memory, *memory_reservation, *memory_swap; /* bytes with a suffix; "-1", "unlimited" */
	const char *cpus;				       /* "1.5" */
	const char *cpu_shares, *cpuset_cpus, *cpuset_mems;
	const char *pids_limit;
	const char *const *device_read_bps,
		*const *device_write_bps; /* PATH:RATE, or MAJOR:MINOR:RATE; bytes with a suffix */
	const char *const *device_read_iops, *const *device_write_iops; /* the same; a number a second */
	const char *const *io_weight;					/* WEIGHT, or DEVICE:WEIGHT */
	const char *const *hugetlb;					/* PAGESIZE=LIMIT: "2m=64m" */
	const char *const *cgroup;					/* KEY=VALUE: a file of the v2 group */
	const char *cgroup_parent;					/* PATH, or NAME.slice of the systemd manager */
	const char *cgroup_manager;					/* "auto", "cgroupfs", "systemd", "disabled" */

	const char *const *devices;	 /* PATH[:DST][:rwm] */
	const char *const *device_rules; /* "c 10:200 rwm", "b *:* r", "a": cgroup-v1/devices.rst */

	const char *const *cap_add, *const *cap_drop;
	const char *const *security_opts; /* seccomp=FILE|default|strict|docker|unconfined, no-new-privileges[=BOOL] */
	enum tristate privileged;
	const char *const *masked_paths;

	const char *const *without; /* rows of the launch that are left out: launch/without.h */
};

#endif
