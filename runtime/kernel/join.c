/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/join.h>

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

/* What the helper leaves behind. Shared memory and no socket: there is nothing that the new process could inherit and hold open, and the
 * kernel itself writes `child` (CLONE_PARENT_SETTID) before the new process runs, so that it is known even when the helper was
 * killed right after. */
struct legacy {
	pid_t child;
	int result;
	struct err err;
};

static const struct {
	uint64_t flag;
	const char *name;
} kinds[] = {
	{ CLONE_NEWUSER, "user" }, { CLONE_NEWPID, "pid" }, { CLONE_NEWNET, "network" },   { CLONE_NEWNS, "mount" },
	{ CLONE_NEWIPC, "ipc" },   { CLONE_NEWUTS, "uts" }, { CLONE_NEWCGROUP, "cgroup" }, { CLONE_NEWTIME, "time" },
};

static const char *kind_name(uint64_t flag)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (kinds[i].flag == flag)
			return kinds[i].name;
	return "unknown";
}

/* "user, pid, mount" */
static const char *mask_text(uint64_t mask, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(kinds) && len < size; i++)
		if (mask & kinds[i].flag)
			len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? ", " : "", kinds[i].name);
	return buf;
}

int join_open(const char *path, uint64_t flag, int *ret_fd, struct err *err)
{
	_cleanup_close_ int place = FD_NONE, fd = FD_NONE;
	char again[64];
	struct statfs fs;

	/* O_PATH first: opening a FIFO would wait, and opening a device acts. */
	place = open(path, O_PATH | O_CLOEXEC);
	if (place < 0 || fstatfs(place, &fs) < 0)
		return err_system(err, "%s", path);
	if (fs.f_type != NSFS_MAGIC)
		return err_input(err, "%s: is no namespace (namespaces(7)), and a %s namespace is wanted", path,
				 kind_name(flag));
	snprintf(again, sizeof(again), "/proc/self/fd/%d", place);
	fd = open(again, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_system(err, "%s", path);

	/* A pidfd, too, is nsfs' neighbour on newer kernels, and answers no such request. */
	const int type = ioctl(fd, NS_GET_NSTYPE);
	if (type < 0)
		return err_system(err, "%s: kind of namespace", path);
	if ((uint64_t)(unsigned)type != flag)
		return err_input(err, "%s: is a %s namespace, and a %s namespace is wanted", path,
				 kind_name((unsigned)type), kind_name(flag));
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int refused(struct err *err, const char *what)
{
	return err_set(err, ERR_SYSTEM, errno == EPERM || errno == EACCES ? ERR_ID_JOIN_DENIED : ERR_ID_NONE, errno,
		       "%s", what);
}

static int enter(const struct join *join, struct err *err)
{
	char names[96], what[160];

	for (size_t i = 0; i < join->n_before; i++)
		if (setns(join->before[i].fd, (int)join->before[i].flag) < 0) {
			snprintf(what, sizeof(what), "entering a %s namespace", kind_name(join->before[i].flag));
			return refused(err, what);
		}
	if (join->process >= 0 && join->mask && setns(join->process, (int)join->mask) < 0) {
		if (errno == ESRCH)
			return err_set(err, ERR_SYSTEM, ERR_ID_NOT_RUNNING, ESRCH, "entering namespaces of a process");
		snprintf(what, sizeof(what), "entering namespaces of a process (%s)",
			 mask_text(join->mask, names, sizeof(names)));
		return refused(err, what);
	}
	return join->entered ? join->entered(join->data, err) : 0;
}

/* Ends with the caller, whose number is still that of our parent if it has not ended already. */
static int die_with_caller(pid_t caller, struct err *err)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_system(err, "parent-death signal of the helper");
	return getppid() == caller ? 0 : err_set(err, ERR_PEER, ERR_ID_NONE, ESRCH, "the caller has ended");
}

static long raw_clone3(struct clone_args *args)
{
	return syscall(SYS_clone3, args, sizeof(*args));
}

/* In the helper. Returns 0 in the new process alone. */
static long help(const struct join *join, const struct clone_args *args, struct legacy *legacy, pid_t caller)
{
	struct clone_args clone = *args;

	if (join->helper_placed) {
		clone.flags &= ~(uint64_t)CLONE_INTO_CGROUP;
		clone.cgroup = 0;
	}
	int r = die_with_caller(caller, &legacy->err);
	if (r == 0)
		r = enter(join, &legacy->err);
	/* Entering a user namespace may have cleared the signal (commit_creds in the kernel). */
	if (r == 0)
		r = die_with_caller(caller, &legacy->err);
	if (r == 0) {
		/* With CLONE_PARENT the exit signal must be 0 and is this process' own: SIGCHLD (clone(2)). */
		clone.flags |= CLONE_PARENT | CLONE_PARENT_SETTID;
		clone.parent_tid = (uintptr_t)&legacy->child;
		const long pid = raw_clone3(&clone);

		if (pid == 0)
			return 0;
		if (pid < 0)
			r = err_system(&legacy->err, "making a process in the joined namespaces");
	}
	legacy->result = r < 0 ? r : 1;
	_exit(0);
}

/* The new process is our own child and nobody has waited for it, so its number is still its own. */
static long take_child(const struct legacy *legacy, const siginfo_t *end, struct pidref *ret, struct err *err)
{
	struct pidref child = PIDREF_NONE;
	siginfo_t info;
	int r = legacy->result;

	if (r < 0) {
		*err = legacy->err;
		return r;
	}
	if (r == 1)
		r = pidref_open(legacy->child, &child, err);
	else
		r = err_set(err, ERR_SYSTEM, ERR_ID_NONE, EIO, "the helper that enters namespaces ended with status %d",
			    exit_status_of(end));
	if (r == 0) {
		*ret = child;
		return child.pid;
	}
	if (legacy->child > 0 && kill(legacy->child, SIGKILL) == 0)
		while (waitid(P_PID, (id_t)legacy->child, &info, WEXITED | __WALL) < 0 && errno == EINTR)
			;
	return r;
}

static long clone_by_helper(const struct join *join, const struct clone_args *args, struct legacy *legacy,
			    struct pidref *ret, struct err *err)
{
	/* Memory is not shared (no CLONE_VM): entering a user namespace changes dumpable, which belongs to the memory, and a time
	 * namespace is refused to a process that shares it (EUSERS). */
	struct pidref helper = PIDREF_NONE;
	struct clone_args clone = { .flags = CLONE_PIDFD, .pidfd = (uintptr_t)&helper.fd, .exit_signal = SIGCHLD };
	const pid_t caller = getpid();
	siginfo_t end;

	if (join->helper_placed) {
		clone.flags |= args->flags & CLONE_INTO_CGROUP;
		clone.cgroup = args->cgroup;
	}

	const long pid = raw_clone3(&clone);
	if (pid < 0)
		return err_system(err, "the helper that enters namespaces");
	if (pid == 0) {
		help(join, args, legacy, caller); /* returns in the new process alone */
		return 0;
	}
	helper.pid = (pid_t)pid;
	/* Its end is what is waited for: a helper that was killed ends, too. */
	const int r = pidref_wait(&helper, &end, WEXITED, err);
	pidref_close(&helper);
	return r < 0 ? r : take_child(legacy, &end, ret, err);
}

/* Its descriptors are the caller's: what it opens stays open there. */
static _Noreturn void open_root_inside(const struct join *join, struct legacy *legacy, pid_t caller)
{
	int r = die_with_caller(caller, &legacy->err);

	if (r == 0)
		r = enter(join, &legacy->err);
	if (r == 0)
		r = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (r < 0 && !err_is_set(&legacy->err))
		r = err_system(&legacy->err, "the root of a mount namespace");
	legacy->result = r;
	_exit(0);
}

int join_open_root(const struct join *join, int *ret_fd, struct err *err)
{
	struct pidref helper = PIDREF_NONE;
	struct clone_args clone = { .flags = CLONE_PIDFD | CLONE_FILES,
				    .pidfd = (uintptr_t)&helper.fd,
				    .exit_signal = SIGCHLD };
	const pid_t caller = getpid();
	siginfo_t end;

	struct legacy *legacy = mmap(NULL, sizeof(*legacy), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (legacy == MAP_FAILED)
		return err_system(err, "shared page for the helper that enters namespaces");
	*legacy = (struct legacy){ .result = -ECHILD, .err = ERR_INIT };
	const long pid = raw_clone3(&clone);
	if (pid == 0)
		open_root_inside(join, legacy, caller);
	int r = pid < 0 ? err_system(err, "the helper that enters namespaces") : 0;
	helper.pid = (pid_t)pid;
	if (r == 0)
		r = pidref_wait(&helper, &end, WEXITED, err);
	pidref_close(&helper);
	if (r == 0 && legacy->result < 0) {
		r = legacy->result;
		*err = legacy->err;
		if (!err_is_set(err))
			err_set(err, ERR_SYSTEM, ERR_ID_NONE, EIO,
				"the helper that enters namespaces ended with status %d", exit_status_of(&end));
	} else if (r == 0) {
		*ret_fd = legacy->result;
	}
	munmap(legacy, sizeof(*legacy));
	return r;
}

static long clone_plainly(struct clone_args *args, struct pidref *ret, struct err *err)
{
	struct pidref child = PIDREF_NONE;
	struct clone_args clone = *args;

	clone.flags |= CLONE_PIDFD;
	clone.pidfd = (uintptr_t)&child.fd;
	clone.exit_signal = SIGCHLD;
	const long pid = raw_clone3(&clone);
	if (pid < 0)
		return err_system(err, "making a process");
	if (pid > 0) {
		child.pid = (pid_t)pid;
		*ret = child;
	}
	return pid;
}

long join_clone3(const struct join *join, struct clone_args *args, struct pidref *ret, struct err *err)
{
	if (join->n_before == 0 && join->process < 0 && !join->entered)
		return clone_plainly(args, ret, err);

	struct legacy *legacy = mmap(NULL, sizeof(*legacy), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (legacy == MAP_FAILED)
		return err_system(err, "shared page for the helper that enters namespaces");
	legacy->err = ERR_INIT;
	const long pid = clone_by_helper(join, args, legacy, ret, err);
	munmap(legacy, sizeof(*legacy));
	return pid;
}
