/* SPDX-License-Identifier: Apache-2.0 */
/* Rows about namespaces that are joined, shared with the host, or made by init itself. */
#include <nsrun/launch/steps.h>

#include <nsrun/base/file.h>
#include <nsrun/kernel/creds.h>
#include <nsrun/kernel/join.h>
#include <nsrun/kernel/mount.h>
#include <nsrun/kernel/userns.h>

#include <fcntl.h>
#include <inttypes.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* Sending the last of them SIGKILL takes a moment at most. */
#define PROCESSES_END_MS 10000

static int compare(const struct plan_namespace *ns, enum ns_kind kind, int fd, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_system(err, "%s", ns->word);
	if (st.st_dev != ns->device || st.st_ino != ns->inode)
		return err_set(err, ERR_REFUSED, ERR_ID_NONE, ESTALE,
			       "%s: another %s namespace than the one that was checked", ns->word, plan_ns_name(kind));
	return 0;
}

int runtime_namespaces_open(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;
	int r = 0, any = FD_NONE;

	for (enum ns_kind kind = 0; r == 0 && kind < NS_COUNT; kind++) {
		const struct plan_namespace *ns = &plan->ns[kind];

		if (ns->use != NS_JOIN || !ns->path)
			continue;
		r = join_open(ns->path, plan_ns_flag(kind), &launch->joined[kind], err);
		if (r == 0)
			r = compare(ns, kind, launch->joined[kind], err);
		any = launch->joined[kind];
	}
	if (r < 0 || plan->ns[NS_USER].use != NS_JOIN || plan->ns[NS_USER].path)
		return r;
	/* The plan has seen that all have one owner. */
	r = userns_open_owner(any, &launch->joined[NS_USER], err);
	return r < 0 ? r : compare(&plan->ns[NS_USER], NS_USER, launch->joined[NS_USER], err);
}

int runtime_namespaces_close(struct launch *launch, struct err *err)
{
	(void)err;
	for (enum ns_kind kind = 0; kind < NS_COUNT; kind++) {
		closep(&launch->joined[kind]);
		launch->joined[kind] = FD_NONE;
	}
	return 0;
}

/* ---- what shows a namespace that init may not mount ---- */

static const struct {
	const char *type;
	uint64_t attr;
} views[NS_COUNT] = {
	[NS_PID] = { "proc", 0 },
	[NS_NET] = { "sysfs", MOUNT_ATTR_RDONLY },
	[NS_IPC] = { "mqueue", 0 },
	[NS_CGROUP] = { "cgroup2", MOUNT_ATTR_RDONLY },
};

/* Each of them shows the namespace of the process that makes it. */
static int provide(struct launch *launch, enum ns_kind kind, struct err *err)
{
	const uint64_t attr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | views[kind].attr;

	/* What a bundle's has it says itself. */
	return mount_new_fs(views[kind].type, views[kind].type, NULL, plan_is_bundle(launch->plan) ? 0 : attr,
			    &launch->provided[kind], err);
}

static int drop(struct launch *launch, enum ns_kind kind)
{
	closep(&launch->provided[kind]);
	launch->provided[kind] = FD_NONE;
	return 0;
}

#define PROVIDED(name, kind)                                                 \
	int runtime_##name##_provide(struct launch *launch, struct err *err) \
	{                                                                    \
		return provide(launch, kind, err);                           \
	}                                                                    \
	int runtime_##name##_drop(struct launch *launch, struct err *err)    \
	{                                                                    \
		(void)err;                                                   \
		return drop(launch, kind);                                   \
	}
PROVIDED(proc, NS_PID)
PROVIDED(sys, NS_NET)
PROVIDED(mqueue, NS_IPC)
PROVIDED(cgroup, NS_CGROUP)

struct inside {
	struct launch *launch;
	int result;
	struct err err;
};

static int provide_proc_inside(void *arg)
{
	struct inside *inside = arg;

	inside->result = provide(inside->launch, NS_PID, &inside->err);
	return 0;
}

/* setns(2) into a pid namespace is for children (pid_namespaces(7)), and a procfs shows that of its maker: a child makes it, which shares memory and
 * descriptors. CLONE_VFORK: its stack lies on this frame, and no handler of ours may run on it. */
static int provide_joined_proc(struct launch *launch, struct err *err)
{
	char stack[16384] __attribute__((aligned(64)));
	struct inside inside = { .launch = launch, .result = -ECHILD, .err = ERR_INIT };
	sigset_t all, saved;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &saved);
	const pid_t pid =
		clone(provide_proc_inside, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | CLONE_FILES, &inside);
	const int errnum = errno;
	if (pid > 0)
		while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
			;
	sigprocmask(SIG_SETMASK, &saved, NULL);
	if (pid < 0) {
		/* alloc_pid() in the kernel says so of a pid namespace whose PID 1 has ended. */
		errno = errnum == ENOMEM ? ESRCH : errnum;
		return err_system(err, "%s: a process in that pid namespace", launch->plan->ns[NS_PID].word);
	}
	if (inside.result < 0 && err_is_set(&inside.err))
		*err = inside.err;
	else if (inside.result < 0)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -inside.result,
			       "proc: the process that makes it was killed");
	return inside.result;
}

int provide_joined(void *data, struct err *err)
{
	struct launch *launch = data;
	const struct plan *plan = launch->plan;
	int r = 0;

	for (enum ns_kind kind = 0; r == 0 && kind < NS_COUNT; kind++)
		if (views[kind].type && plan->ns[kind].use == NS_JOIN && plan_ns_view(plan, kind) == NS_VIEW_PROVIDED &&
		    wants_view(plan, kind))
			r = kind == NS_PID ? provide_joined_proc(launch, err) : provide(launch, kind, err);
	return r;
}

/* ---- the end without a PID 1 ---- */

int runtime_processes_hold(struct launch *launch, struct err *err)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)launch->init.pid);
	launch->userns_fd = open(path, O_RDONLY | O_CLOEXEC);
	return launch->userns_fd < 0 ? err_system(err, "%s", path) : 0;
}

int runtime_processes_end(struct launch *launch, struct err *err)
{
	const int r = userns_kill_all(launch->userns_fd, PROCESSES_END_MS, err);

	closep(&launch->userns_fd);
	launch->userns_fd = FD_NONE;
	return r;
}

/* ---- time ---- */

/* In the host's procfs, where the one that is kept or the tree leads to it. An absolute path needs no directory (openat(2)). */
static const char *proc_path(const struct launch *launch, const char *path, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s", launch->host_proc >= 0 ? "" : "/proc/", path);
	return buf;
}

int init_time_new(struct launch *launch, struct err *err)
{
	(void)launch;
	if (unshare(CLONE_NEWTIME) < 0)
		return err_system(err, "time namespace");
	return 0;
}

int init_time_offsets(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;
	char text[128], path[64];

	snprintf(text, sizeof(text), "monotonic %" PRId64 " %" PRIu32 "\nboottime %" PRId64 " %" PRIu32 "\n",
		 plan->monotonic.seconds, plan->monotonic.nanoseconds, plan->boottime.seconds,
		 plan->boottime.nanoseconds);
	const bool hidden = plan->ns[NS_USER].use == NS_JOIN; /* renew_bond() */
	int r = hidden ? creds_set_dumpable(true, err) : 0;
	if (r == 0)
		r = file_write_at(launch->host_proc, proc_path(launch, "self/timens_offsets", path, sizeof(path)), text,
				  err);
	return r == 0 && hidden ? creds_set_dumpable(false, err) : r;
}

int init_time_enter(struct launch *launch, struct err *err)
{
	char path[64];
	_cleanup_close_ int fd =
		openat(launch->host_proc, proc_path(launch, "self/ns/time_for_children", path, sizeof(path)),
		       O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWTIME) < 0)
		return err_system(err, "time namespace: entering it");
	return 0;
}
