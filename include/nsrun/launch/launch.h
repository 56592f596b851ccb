/* SPDX-License-Identifier: Apache-2.0 */
/* One launch: the small mutable half beside the frozen plan, and the calls that faces use. */
#ifndef NSRUN_LAUNCH_LAUNCH_H
#define NSRUN_LAUNCH_LAUNCH_H

#include <nsrun/base/pidref.h>
#include <nsrun/kernel/cgroup_use.h>
#include <nsrun/kernel/netdev.h>
#include <nsrun/kernel/resctrl.h>
#include <nsrun/kernel/tty.h>
#include <nsrun/kernel/user.h>
#include <nsrun/launch/control_server.h>
#include <nsrun/launch/log_file.h>
#include <nsrun/launch/tape.h>
#include <nsrun/plan/reserve.h>

#include <termios.h>

/* A fault that a build with -Dfault_points=true takes from NSRUN_FAULT=ROW=ERRNO|KILL|KILL_AFTER. */
struct fault {
	enum step_id step;
	enum { FAULT_NONE, FAULT_ERRNO, FAULT_KILL, FAULT_KILL_AFTER } kind;
	int errnum;
};

struct launch {
	const struct plan *plan;
	struct reservation *reservation;
	unsigned roles;	      /* enum role bits of this process */
	enum step_id current; /* the row that this process is at */
	struct tape *tape;
	bool watched; /* the tape is somebody's who may hold rows: not asked of the tape again, which others can write to */
	bool wanted[STEP_COUNT]; /* score_wants() of every row, computed once before the clone */
	bool done[STEP_COUNT];	 /* rows of the runtime to be undone */
	struct fault fault;	 /* tests only */

	/* Channel and processes */
	int channel;	       /* this process' end */
	int channel_child;     /* the child's end, until the clone */
	struct pidref runtime; /* as init sees it: inherited pidfd */
	struct pidref init;
	pid_t workload; /* under --init: in the reaper, its child */

	/* What the rows hand to each other */
	int cgroup_fd;
	int tasks_fds[CGROUP_CONTROLLER_COUNT]; /* of the v1 groups, until init has entered them */
	int joined[NS_COUNT];			/* namespaces to enter */
	int provided
		[NS_COUNT]; /* detached mounts of what shows a namespace that init may not mount itself (enum ns_view) */
	int userns_fd;	    /* of the container, held to end all that is in it */
	int rootfs_mount;   /* detached */
	int *source_mounts; /* plan->n_sources of them, detached */
	int devices_mount;  /* a tmpfs with the nodes of --device, detached; */
	int *device_mounts; /* or plan->n_devices of the host's own, detached */
	int *late_mounts;   /* of a bundle: n_late_mounts that become read-only at the end */
	size_t n_late_mounts;
	int root_fd;	   /* the container's "/", once attached */
	bool root_stacked; /* over the root of a mount namespace that stays: what fails before the pivot takes it off again */
	int proc_fd, sys_fd;	/* roots of its procfs and sysfs */
	int dev_fd;		/* the container's /dev */
	int null_fd;		/* exec: the host's /dev/null, since the container may have replaced its own */
	int pts_fd;		/* root of its devpts */
	int cidfile_dir;	/* the directory that holds --cidfile; */
	int pidfile_dir;	/* and --pidfile */
	int host_proc;		/* root of the host's procfs, where it serves after the pivot, too */
	int listener;		/* stream socket that takes the filter's listener, */
	char *listener_message; /* and what goes with it */
	int rdt_root;
	struct resctrl_made rdt_made;
	struct netdev_way netdev_way;
	struct netdev_moved *netdevs_moved; /* of plan->bundle->netdevs, until the workload executes */
	struct number_set affinity_before;
	struct arena *arena; /* of what the rows remember */
	int pty_peer, pty_master;
	int outputs[2], input; /* our ends of the workload's standard output, error and input */
	int workload_fds[3];   /* the other ends, by descriptor */
	int gate;	       /* create: where init waits for start */
	int notify;	       /* where the workload says READY=1 (launch/notify.h) */
	int client;	       /* FD_NONE, or a connected client of the control socket: the keeper's caller */
	struct winsize size;   /* of the caller's terminal, where only the caller has it */
	struct log_writer *log;
	struct control_server *server;
	bool begun;		   /* the workload executes */
	bool stays;		   /* a bundle's container, which this process leaves: nothing is undone */
	uint64_t oom_kills_before; /* exec: of the container */
	struct termios terminal_saved;
	struct tty_guard terminal_guard;
	struct user_entry user;
	char *executable; /* found in the container */
	const char **argv, **env;
	const char *shell[2]; /* argv when no CMD was given */
};

struct launch_result {
	int exit_status;	       /* the workload's, as a shell has it */
	int signal;		       /* that ended it; 0: none */
	struct cgroup_events events;   /* of exec: those of the container while it lasted */
	char log_error[128];	       /* why output is missing from the log; "" */
	struct control_server *server; /* its clients are still to be told; owned */
	bool stays; /* it was created, or runs detached: this process has nothing more to do with it */
};

/* What a keeper has of its caller. */
struct launch_caller {
	int client; /* end of a control connection; FD_NONE. Taken */
	struct winsize size;
};
#define LAUNCH_CALLER_NONE ((struct launch_caller){ .client = FD_NONE })

/* Called once, in the runtime, when the workload executes and before it is supervised: nothing is undone yet, and the tape is complete. */
struct launch_observer {
	void (*begun)(const struct launch *launch, void *data);
	void *data;
};

/* Walks the score, supervises the workload until it ends, undoes everything. On an error nothing is left, and `err` names the row;
 * a failure of cleaning up is reported in `cleanup_err` without hiding it. `tape` is the caller's. `caller` and `observer` may be NULL. */
int launch_run(const struct plan *plan, struct reservation *reservation, struct tape *tape,
	       const struct launch_caller *caller, const struct launch_observer *observer, struct launch_result *ret,
	       struct err *err, struct err *cleanup_err);

/* The hooks that follow execve(2); one that fails ends the container. */
int launch_poststart(struct launch *launch, struct err *err);

/* Closes the ends of the workload's pipes that this process does not need. */
void launch_close_streams(struct launch *launch, bool ours, bool workloads);
/* Does a path of the container, opened as `fd`, lead to what the kernel or nsrun itself has put there: procfs, sysfs, /dev, device nodes? */
int launch_is_made_here(const struct launch *launch, int fd, const char *path, bool *ret, struct err *err);

/* May something be mounted there? `said` begins the message. */
int launch_check_place(const struct launch *launch, int target, const char *path, const char *said, struct err *err);

/* A word for the observer about what this row chose ("bind instead of procfs"). */
void launch_note(struct launch *launch, const char *fmt, ...) _printf_(2, 3);

#endif
