/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan: the complete, immutable description of one container. plan_resolve() makes it from a request (every default
 * applied, every path resolved, every conflict refused), plan_reserve() takes what must be unique and writes the exact values in,
 * and from then on it is const: the runtime process and init share it by fork and cannot disagree.
 *
 * Names that live in the hostile rootfs (user, shell, CMD) stay names here; the rows user.resolve and argv.resolve look
 * them up inside, with the care that hostile input needs.
 */
#ifndef NSRUN_PLAN_PLAN_H
#define NSRUN_PLAN_PLAN_H

#include <nsrun/base/arena.h>
#include <nsrun/base/err.h>
#include <nsrun/kernel/caps.h>
#include <nsrun/kernel/cgroup_resources.h>
#include <nsrun/kernel/devices.h>
#include <nsrun/kernel/idmap.h>
#include <nsrun/kernel/process.h>
#include <nsrun/kernel/rlimit.h>
#include <nsrun/kernel/seccomp.h>
#include <nsrun/plan/bundle.h>
#include <nsrun/plan/privilege.h>
#include <nsrun/plan/request.h>

#include <sys/stat.h>

#define PLAN_ID_LEN 12 /* hexadecimal digits */

/* How a tree of the host appears inside (the table "Who owns what on disk" in docs/architecture.md). */
enum tree_view {
	VIEW_AS_IS,    /* bound as it is */
	VIEW_IDMAPPED, /* through the container's own map: host root's files are container root's */
	VIEW_OWNER_ONLY, /* its owner appears as container root, and no other id is granted; or exactly what idmap=uids= grants */
};

struct plan_tree {
	const char *source; /* as the caller said it */
	const char *path;   /* the same, absolute and without links, for records */
	enum tree_view view;
	bool readonly;
	bool is_directory;
	bool recursive;	      /* with what is mounted below it; never where ids are changed */
	uint64_t propagation; /* MS_PRIVATE, MS_SLAVE or MS_SHARED, for all of it */
	const char *why;      /* one clause: which row of the ownership rule decided */
	struct idmap owner_uids,
		owner_gids; /* VIEW_OWNER_ONLY: disk id -> host id of container root or, with idmap=uids=, of others */
	bool idmap_top;	    /* of a recursive one: ids are changed for the topmost mount alone */
	bool owner_pending; /* the second ids of these are still the container's: the `auto` range is not taken yet */
	bool own;	    /* a directory that the launch makes in its state: nothing to compare */
	dev_t device;	    /* of the source when it was checked: the row that opens it compares, */
	ino_t inode;	    /* so that an exchange in between is noticed */
};

enum mount_kind { MOUNT_BIND, MOUNT_TMPFS, MOUNT_OVERLAY, MOUNT_KIND_COUNT };

/* A directory that overlayfs is given, by its name in the one that holds it. */
struct plan_layer {
	const char *name; /* NULL: none */
	dev_t device;
	ino_t inode;
};

/* One entry of --volume, --mount or --tmpfs. */
struct plan_mount {
	enum mount_kind kind;
	const char *said;   /* "--volume ./data:/data", for messages */
	const char *text;   /* the request's own string */
	const char *target; /* absolute path in the container */
	bool is_directory;
	uint64_t attr_set, attr_clear; /* MOUNT_ATTR_*: of a bind with everything below it, */
	uint64_t attr_top;	       /* and of its topmost mount alone (read-only by bind-recursive=writable) */

	/* Its trees of the host, in plan->sources: of a bind one; of an overlay the lower layers, topmost first, and after them the directory
	 * that holds upperdir and workdir. */
	size_t first_source, n_sources;

	/* MOUNT_TMPFS: file system options in the kernel's words, NULL where nothing was said */
	const char *size, *mode, *nr_inodes, *uid, *gid;

	/* MOUNT_OVERLAY */
	size_t n_lower;
	struct plan_layer upper, work;
	bool in_memory; /* :O, upper and work are in a new tmpfs */
};

/* A device node of the host that is inside, too. */
struct plan_device {
	const char *said;   /* "--device /dev/fuse" */
	const char *path;   /* of the host, without links */
	const char *target; /* absolute path in the container */
	char type;	    /* 'c', 'b' */
	uint32_t major, minor;
	mode_t mode; /* permissions, */
	uid_t uid;   /* and owner, as the host's node has them */
	gid_t gid;
	unsigned access; /* DEVICE_*: what the container may do with it, where there is a filter */
};

/* What holds the processes of the container to plan->device_policy. */
enum device_filter {
	DEVICE_FILTER_NONE, /* nothing: no node can be made, or all may be opened */
	DEVICE_FILTER_V2,   /* a program of the v2 group */
	DEVICE_FILTER_V1,   /* the v1 controller */
};

/* What becomes of each kind of namespace. */
enum ns_kind { NS_USER, NS_PID, NS_NET, NS_MNT, NS_IPC, NS_UTS, NS_CGROUP, NS_TIME, NS_COUNT };
enum ns_use { NS_NEW, NS_HOST, NS_JOIN };
const char *plan_ns_name(enum ns_kind kind);   /* as in /proc/PID/ns: "user", "pid", ... */
uint64_t plan_ns_flag(enum ns_kind kind);      /* CLONE_NEW* */
const char *plan_ns_use_name(enum ns_use use); /* "new", "host", "join" */

struct plan_namespace {
	enum ns_use use;
	const char *word; /* as it was said, for --dry-run and records: "ns:/run/netns/blue", "container:web" */
	const char *
		path; /* NS_JOIN: the file to open; of another container /proc/PID/ns/NAME. NULL for NS_USER: the owner of the others */
	bool inside; /* NS_JOIN: it belongs to the user namespace that is joined, and so is entered after that one; all others before it */
	dev_t device; /* NS_JOIN: which namespace that was when it was checked; the row that opens it compares */
	ino_t inode;
};

/*
 * How the file system that shows a namespace gets inside: procfs of NS_PID, sysfs of NS_NET, mqueue of NS_IPC, cgroup2 of NS_CGROUP. A new mount
 * of it takes CAP_SYS_ADMIN over the user namespace that owns that namespace.
 */
enum ns_view {
	NS_VIEW_MOUNTED, /* init mounts it: the namespace belongs to the container's user namespace, or there is none */
	NS_VIEW_PROVIDED, /* made outside, with the caller's privileges, and passed as a detached mount */
	NS_VIEW_BOUND,	  /* what the host has mounted, read-only: nobody here may make another mount */
};

/* --time-offset, as timens_offsets takes it (time_namespaces(7)): 0 <= nanoseconds < 10^9 also when seconds is negative. */
struct time_offset {
	int64_t seconds;
	uint32_t nanoseconds;
};

/* A kernel parameter below /proc/sys, which a namespace of the container covers. */
struct plan_sysctl {
	const char *path; /* "net/ipv4/ip_forward" */
	const char *value;
};

/* Who decided a part of the process: the command line, the image's own configuration, or nobody. */
enum origin { ORIGIN_DEFAULT, ORIGIN_OPTION, ORIGIN_IMAGE, ORIGIN_BOTH };

/* The image configuration that is kept beside the rootfs, and what it says that nsrun does not act on. */
struct plan_image {
	const char *path;					   /* NULL: none */
	const char *const *volumes, *const *ports, *const *labels; /* for --dry-run alone; labels as NAME=VALUE */
	enum origin user, env, argv, workdir, stop_signal;
};

/* What becomes of the workload's output besides going to whoever looks at it. */
enum log_driver { LOG_NONE, LOG_FILE };

struct plan_log {
	enum log_driver driver;
	uint64_t max_size; /* bytes of one file */
	unsigned max_file; /* how many: log, log.1, ... */
};

/* Where subordinate ids come from; "auto" is decided by plan_reserve(). */
enum remap_source { REMAP_NONE, REMAP_USER, REMAP_EXPLICIT, REMAP_AUTO, REMAP_OWN_RANGES, REMAP_SINGLE };

/* Who makes the control group. */
enum cgroup_manager { CGROUP_MANAGER_CGROUPFS, CGROUP_MANAGER_SYSTEMD, CGROUP_MANAGER_DISABLED };

/* nsrun exec: what is joined. */
struct plan_enter {
	const char *label;	      /* the container's name, or its id */
	const struct pidref *process; /* the one in it whose namespaces are joined; borrowed */
	uint64_t mask; /* CLONE_NEW*: where it is in another one than the caller, but the cgroup namespace */
	bool sheds; /* no user namespace is entered: root of the host gives up beforehand what the container does not have */
	bool raises_score; /* an ordinary user's: nsrun takes the container's out-of-memory score itself, and the new process inherits it */
	const struct plan_bundle *
		bundle; /* of a bundle's container: what its filter's listener is told; NULL: it has none. Not plan->bundle: that is of a launch */
	bool cgroupns;	/* that is another one, too; entered last, by the new process, once that is in its group */
	struct cgroup_resources limits; /* of the container, for messages: none are set */
	bool ignore_paused;		/* its group may be frozen: the process begins when somebody resumes it */
	/* --cgroup: groups below the container's, as paths like its own; NULL: that one, or where `process` is */
	const char *group_v2, *group_v1[CGROUP_CONTROLLER_COUNT];
};

struct plan {
	struct arena *arena; /* owns everything the plan points to, the plan too */
	char id[PLAN_ID_LEN + 1];
	const struct plan_enter *
		enter; /* NULL: the plan makes a container. Otherwise it is of one more process in a container that runs */

	const struct plan_bundle
		*bundle; /* NULL: the one-shot command's; otherwise what config.json says beyond the rest of the plan */

	/* Identity */
	enum caller caller;
	uid_t caller_uid;
	gid_t caller_gid;
	enum performer performer[WORK_COUNT];
	struct plan_namespace ns[NS_COUNT];
	uint64_t namespaces;	   /* CLONE_NEW* made by clone3(2) at once: the NS_NEW ones but namespaces_later */
	uint64_t namespaces_later; /* CLONE_NEW* that init makes itself (cgroup on v1, time) */
	struct time_offset monotonic, boottime; /* of the new time namespace */
	enum remap_source remap;
	const char *remap_word; /* for messages and --dry-run: "dummy", "auto", ... */
	bool auto_pending; /* REMAP_AUTO: the range is not taken yet; REMAP_USER: `default`, and its user is not made yet */
	struct idmap uids,
		gids; /* empty while auto_pending; all ids that there are, onto themselves, with REMAP_NONE */
	bool deny_setgroups;
	uid_t root_uid; /* host ids of the container's root; (uid_t)-1 while auto_pending */
	gid_t root_gid;

	/* Files */
	struct plan_tree rootfs;
	bool ephemeral;
	bool rootfs_copied; /* --ephemeral where idmapped mounts are missing or not allowed: a copy in a tmpfs, which has them, serves instead of an overlay */
	bool root_nosuid;
	size_t n_sources;
	struct plan_tree *sources; /* the trees of the host that mounts are made of */
	size_t n_mounts;
	struct plan_mount *mounts; /* sorted so that a parent is mounted before what lies below */
	const char *const *masked_paths, *const *readonly_paths;
	const char *const *
		asked_masks; /* --masked-path and mask=: anywhere in the container, and an error where they are missing */
	const char *shm_size; /* tmpfs option text */
	size_t n_devices;
	const struct plan_device *devices;
	/* Files of /etc that are the container's own, bound over the rootfs' (etc.mount). What is not there is not made, but for
	 * what an option asks for. */
	bool etc_wanted;	 /* at least one of them */
	const char *hosts;	 /* lines of /etc/hosts beside the container's own name */
	const char *resolv_conf; /* whole; NULL: the rootfs' own stays */
	bool hosts_required, resolv_conf_required;

	/* Process */
	const char *const *argv; /* NULL: the user's shell */
	const char *const *env;	 /* NAME=VALUE; HOME is added by user.resolve unless it is here */
	const char *workdir;
	const char *user; /* "0:0" */
	const char *hostname;
	const char *domainname;	   /* NULL: the kernel's "(none)" */
	const char *const *groups; /* --group-add: names or numbers of the container; NULL: none */
	mode_t umask;		   /* of the workload */
	int stop_signal;	   /* what asks the workload to end */
	unsigned stop_timeout;	   /* seconds from it to SIGKILL */
	int oom_score_adj;	   /* with has_oom_score_adj */
	bool has_oom_score_adj;
	size_t n_sysctls;
	const struct plan_sysctl *sysctls;
	struct plan_image image;
	bool terminal;
	bool stdin_null;
	bool reaper; /* --init */
	size_t n_rlimits;
	const struct rlimit_setting *rlimits;
	/* NULL: as it is inherited */
	const struct scheduler_setting *scheduler;
	const struct io_priority *io_priority;
	const struct exec_affinity *exec_affinity; /* exec alone */
	const struct memory_policy *memory_policy;
	bool has_personality;
	unsigned long personality; /* personality(2) */
	struct lsm_labels labels;

	/* Confinement */
	struct cap_sets caps; /* for a workload whose uid is 0; for others effective, permitted become 0 */
	bool no_new_privs;
	bool privileged; /* every capability, no filter, nothing masked, /sys and the control groups writable */
	const char *seccomp_name;	       /* "default", a file, "unconfined" */
	const struct seccomp_program *seccomp; /* NULL: none */
	const char *const *
		without; /* names of rows that are left out (--without); NULL: none. Which may be is launch_check_without()'s to say */
	const struct filter_entry
		*new_filter; /* compiled here and now: plan_reserve() hands it to the cache; NULL: nothing new */

	struct device_policy device_policy; /* what the filter allows; with DEVICE_FILTER_NONE what it would */
	bool device_rules_asked;	    /* by an option: they hold, or there is no container */
	enum device_filter device_filter;

	/* Limits */
	const struct cgroup_host *cgroup_host;
	const char *
		cgroup_path; /* relative to each hierarchy; NULL: no group of its own (an ordinary user without delegation) */
	struct cgroup_resources resources;
	unsigned
		controllers; /* 1 << enum cgroup_ctl: those that its limits and rules need; a v1 hierarchy of one has a group of the container */
	bool cgroup_writable; /* --privileged, --security-opt writable-cgroups: container root manages groups below its own */
	bool placed_late; /* some group is entered after clone, one of a v1 hierarchy: then the cgroup namespace is made after that */

	enum cgroup_manager
		cgroup_manager;	  /* exec: systemd where the caller itself may not put a process into the group */
	const char *cgroup_slice; /* of the systemd manager: the unit that the scope is in */

	/* Life */
	const char *name;  /* NULL: none */
	bool detached;	   /* no caller waits */
	bool keeper;	   /* a process of its own supervises it: detached, or its caller may leave it by detach keys */
	bool output_pipes; /* standard output and error are relayed, since others than the caller have them, too */
	bool stdin_pipe;   /* standard input is what attached clients send */
	bool keep;	   /* its record and log stay after its end */
	bool attachable;   /* there is a control socket: it has a name, is detached, or may be left by detach keys */
	const char *detach_keys;
	const char *cidfile, *pidfile; /* absolute; NULL: none */
	struct plan_log log;

	/* State */
	const char *state_dir; /* .../UID.GID/ID, below the state root; NULL while auto_pending */
	const char *state_root;
};

/* Phase 1. Nothing is made. On failure *ret is untouched. */
int plan_resolve(const struct plan_request *request, struct plan **ret, struct err *err);

/* Phases 2 and 3: takes id, range and state directory under locks that die with this process, and freezes the plan. The
 * reservation is released by reservation_end(). See plan/reserve.h. */

/* Is this namespace the container's own, made with it? Nothing of one that it shares with others may be changed for it: host name, loopback,
 * sysctls. */
static inline bool plan_owns_ns(const struct plan *plan, enum ns_kind kind)
{
	return plan->ns[kind].use == NS_NEW;
}
/* Made from an OCI bundle? */
static inline bool plan_is_bundle(const struct plan *plan)
{
	return plan->bundle != NULL;
}
/* Whose listener takes the filter's descriptor; NULL: nobody's. */
static inline const struct plan_bundle *plan_listener(const struct plan *plan)
{
	const struct plan_bundle *bundle = plan->enter ? plan->enter->bundle : plan->bundle;

	return bundle && bundle->listener.path && plan->seccomp ? bundle : NULL;
}
/* Is there a user namespace around it, a new one or another container's? */
bool plan_has_userns(const struct plan *plan);
enum ns_view plan_ns_view(const struct plan *plan, enum ns_kind kind);
/* Does any namespace have to be entered? */
bool plan_joins(const struct plan *plan);
/* The container has no PID 1 with which the kernel would end it, and no control group: its user namespace tells which processes are its own. */
bool plan_ends_by_userns(const struct plan *plan);

/* Could a process of the container write this file of the host, if it got hold of it? By the ids that its map grants and the file's
 * owner, group and mode; an `auto` range that is not taken yet counts as any id but host root's. */
bool plan_may_write(const struct plan *plan, const struct stat *file);

void plan_free(struct plan *plan);
static inline void plan_freep(struct plan **p)
{
	plan_free(*p);
}

#endif
