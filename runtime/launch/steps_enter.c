/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of nsrun exec: one more process in a container that runs, and that may be hostile; and of a container whose root somebody else has made. */
#include <nsrun/launch/steps.h>

#include <nsrun/kernel/cgroup_freezer.h>
#include <nsrun/kernel/join.h>
#include <nsrun/kernel/mount.h>

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#define PROC_ROOT_INODE 1 /* PROC_ROOT_INO, which proc(5) does not name but every procfs has */

/* The group that a new process would enter is frozen. A container with groups of its own may have done that itself. */
static int refuse_frozen(const struct plan *plan, struct err *err)
{
	_cleanup_close_ int top = FD_NONE;
	enum cgroup_freezer state = CGROUP_THAWED;

	int r = cgroup_open_v2(plan->cgroup_host, plan->cgroup_path, &top, err);
	if (r == 0)
		r = cgroup_freezer_state(top, &state, err);
	if (r < 0)
		return r;
	if (state == CGROUP_THAWED && !plan->enter->group_v2)
		return err_set(err, ERR_REFUSED, ERR_ID_FROZEN_INSIDE, EAGAIN,
			       "%s: the group of its process 1, one of its own, is frozen, and not by nsrun pause",
			       plan->enter->label);
	/* runc's words, which engines show. */
	if (plan_is_bundle(plan))
		return err_set(err, ERR_INPUT, ERR_ID_PAUSED, EAGAIN,
			       "cannot exec in a paused container (use --ignore-paused to override)");
	return err_set(err, ERR_INPUT, ERR_ID_PAUSED, EAGAIN, "%s: it is paused", plan->enter->label);
}

int enter_open_group(const struct plan *plan, int *ret_fd, struct err *err)
{
	const struct plan_enter *enter = plan->enter;

	if (enter->group_v2)
		return cgroup_open_v2(plan->cgroup_host, enter->group_v2, ret_fd, err);
	return cgroup_open_to_enter(plan->cgroup_host, plan->cgroup_path, enter->process, ret_fd, err);
}

static int open_group(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;
	_cleanup_close_ int fd = FD_NONE;
	enum cgroup_freezer state = CGROUP_THAWED;

	if (!plan->cgroup_path || !*plan->cgroup_host->v2_mount)
		return 0;
	int r = enter_open_group(plan, &fd, err);
	if (r == 0)
		r = cgroup_freezer_state(fd, &state, err);
	if (r == 0 && state != CGROUP_THAWED)
		return refuse_frozen(plan, err);
	if (r == 0 && !wants_scope_entered(plan))
		launch->cgroup_fd = TAKE_FD(fd);
	return r;
}

int runtime_container_open(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;
	char path[64];

	int r = open_group(launch, err);
	if (r == 0 && plan->enter->cgroupns) {
		snprintf(path, sizeof(path), "/proc/%d/ns/cgroup", (int)plan->enter->process->pid);
		r = join_open(path, CLONE_NEWCGROUP, &launch->joined[NS_CGROUP], err);
	}
	/* The new process is not dumpable, so that its files in /proc are root's (proc(5)). */
	if (r == 0 && plan->enter->raises_score)
		r = oom_score_write(&launch->runtime, plan->oom_score_adj, plan->enter->label, err);
	if (r == 0 && plan->stdin_null) {
		launch->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (launch->null_fd < 0)
			r = err_system(err, "/dev/null");
	}
	return r;
}

int runtime_container_close(struct launch *launch, struct err *err)
{
	int *const fds[] = { &launch->cgroup_fd, &launch->joined[NS_CGROUP], &launch->null_fd };

	(void)err;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		closep(fds[i]);
		*fds[i] = FD_NONE;
	}
	return 0;
}

/* What the rows up to caps.set need. */
#define CAPS_NEEDED (CAP_MASK(CAP_SETUID) | CAP_MASK(CAP_SETGID) | CAP_MASK(CAP_SETPCAP) | CAP_MASK(CAP_CHOWN))

/*
 * --userns=host: undumpable keeps nobody away who has CAP_SYS_PTRACE in the initial user namespace, as such a container may (ptrace(2)). So the new
 * process has no more than the container when it appears in the pid namespace, but for what changing ids takes.
 */
int shed_caps(void *launch, struct err *err)
{
	const struct plan *plan = ((struct launch *)launch)->plan;
	uint64_t kept = plan->caps.permitted | CAPS_NEEDED;
	struct cap_sets own;

	if (wants_caps_final(plan))
		kept |= CAP_MASK(CAP_SYS_ADMIN);
	int r = caps_get(&own, err);
	if (r == 0)
		r = caps_limit_bounding(plan->caps.bounding, err);
	if (r < 0)
		return r;
	kept &= own.permitted;
	const struct cap_sets sets = { .bounding = plan->caps.bounding, .effective = kept, .permitted = kept };

	return caps_set(&sets, 0, err);
}

int init_cgroupns_enter(struct launch *launch, struct err *err)
{
	if (setns(launch->joined[NS_CGROUP], CLONE_NEWCGROUP) < 0)
		return err_system(err, "%s: entering its cgroup namespace", launch->plan->enter->label);
	return 0;
}

/* A directory of the container as it is mounted there. Links are refused: nsrun made directories, whatever is there now. */
static int open_directory(int root_fd, const char *path)
{
	const struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				      .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS };

	return (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
}

/* The root of a procfs, and not a part of one or something that looks like one. FD_NONE: there is none. */
static int open_proc(int root_fd)
{
	_cleanup_close_ int fd = open_directory(root_fd, "proc");
	struct statfs fs;
	struct stat st;

	if (fd < 0 || fstatfs(fd, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC || fstat(fd, &st) < 0 ||
	    st.st_ino != PROC_ROOT_INODE)
		return FD_NONE;
	return TAKE_FD(fd);
}

/* setns(2) into a mount namespace leads to its root; what a process there made of its own with chroot(2) does not count. */
static int find_places(struct launch *launch, struct err *err)
{
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return err_system(err, "/ in the container");
	launch->proc_fd = open_proc(root);
	if (launch->proc_fd < 0)
		launch_note(launch, "no procfs on /proc");
	if (!launch->plan->terminal)
		return 0;
	launch->pts_fd = open_directory(root, "dev/pts");
	if (launch->pts_fd < 0)
		return err_system(err, "/dev/pts in the container");
	return 0; /* tty_open_pty() takes nothing but a devpts */
}

int init_container_enter(struct launch *launch, struct err *err)
{
	return find_places(launch, err);
}

int init_root_adopt(struct launch *launch, struct err *err)
{
	const int r = find_places(launch, err);

	if (r < 0 || !launch->plan->n_sysctls)
		return r;
	/* For what is written through it: the one that lies there may be of other namespaces. */
	closep(&launch->proc_fd);
	launch->proc_fd = FD_NONE;
	return mount_new_fs("proc", "proc", NULL, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
			    &launch->proc_fd, err);
}

int workload_parent_release(struct launch *launch, struct err *err)
{
	(void)launch;
	if (prctl(PR_SET_PDEATHSIG, 0L) < 0)
		return err_system(err, "PR_SET_PDEATHSIG");
	return 0;
}
