/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/helper.h>
#include <nsrun/kernel/idmap.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SYSTEM_PATH "/usr/bin:/usr/sbin:/bin:/sbin"

static int find_in(const char *path, const char *name, char *ret, size_t size)
{
	while (*path) {
		size_t len = strcspn(path, ":");
		char candidate[PATH_MAX];
		struct stat st;

		/* A relative entry would mean whatever directory the caller stands in. */
		if (path[0] == '/' && len + strlen(name) + 2 <= sizeof(candidate)) {
			snprintf(candidate, sizeof(candidate), "%.*s/%s", (int)len, path, name);
			if (stat(candidate, &st) == 0 && S_ISREG(st.st_mode) && access(candidate, X_OK) == 0 &&
			    strlen(candidate) < size) {
				strcpy(ret, candidate);
				return 0;
			}
		}
		path += len + (path[len] == ':');
	}
	return -ENOENT;
}

int helper_find(const char *path, const char *name, char *ret, size_t size)
{
	if (strchr(name, '/'))
		return -ENOENT;
	if (path && find_in(path, name, ret, size) == 0)
		return 0;
	return find_in(SYSTEM_PATH, name, ret, size);
}

/* What the child between clone and execve needs; it shares the caller's memory. */
struct launching {
	const char *path;
	const char *const *argv;
	int output; /* its standard output and error */
	int bond;   /* FD_NONE: it may outlive us */
	sigset_t mask;
	int failed; /* errno */
};

/*
 * Death of the caller is death of the program. PR_SET_PDEATHSIG does not do here: execve(2) of a set-uid program clears it (prctl(2)), and
 * newuidmap is one. Signal-driven input (fcntl(2), O_ASYNC) survives: the program holds the reading end of a pipe that nobody
 * writes to, and when its other end closes with the caller, the kernel sends the signal chosen by F_SETSIG. The right to send it
 * is that of whoever called F_SETOWN, and the program's real uid is still that one's.
 */
static int bind_to_caller(int fd)
{
	const struct f_owner_ex self = { F_OWNER_PID, getpid() };
	struct pollfd gone = { .fd = fd };

	if (fcntl(fd, F_SETFD, 0) < 0 || fcntl(fd, F_SETOWN_EX, &self) < 0 || fcntl(fd, F_SETSIG, SIGKILL) < 0 ||
	    fcntl(fd, F_SETFL, O_RDONLY | O_ASYNC) < 0)
		return -1;
	errno = ESRCH;
	return poll(&gone, 1, 0) == 0 ? 0 : -1; /* it closed before */
}

/* AddressSanitizer takes its marks around a frame's variables away when the function returns. This one never does, and its stack is the
 * caller's memory, where they would be found. */
__attribute__((no_sanitize("address"))) static int become_program(void *data)
{
	static const char *const environment[] = { "PATH=" SYSTEM_PATH, "LC_ALL=C", NULL };
	static const unsigned long dfl[8]; /* the kernel's struct sigaction is smaller; SIG_DFL without flags is zero */
	struct launching *l = data;
	int null, bond = l->bond;

	for (int s = 1; s <= SIGRTMAX; s++)
		if (s != SIGKILL && s != SIGSTOP)
			syscall(SYS_rt_sigaction, s, dfl, NULL, 8);
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	/* The program's own 0 to 2 are open (main.c), so what is duplicated lies above; dup2(2) clears close-on-exec. */
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(l->output, STDOUT_FILENO) < 0 ||
	    dup2(l->output, STDERR_FILENO) < 0)
		goto fail;
	if (bond >= 0 && (dup2(bond, STDERR_FILENO + 1) < 0 || bind_to_caller(STDERR_FILENO + 1) < 0))
		goto fail;
	if (close_range(STDERR_FILENO + (bond >= 0 ? 2 : 1), UINT_MAX, 0) < 0)
		goto fail;
	sigprocmask(SIG_SETMASK, &l->mask, NULL);
	execve(l->path, (char *const *)l->argv, (char *const *)environment);
fail:
	l->failed = errno;
	_exit(127);
}

/* CLONE_VM and CLONE_VFORK, as posix_spawn(3) does: nothing is copied, and the caller sleeps until execve. Unlike it, this yields
 * a pidfd, and binds the program to the caller before it runs. */
static int spawn(struct launching *l, struct pidref *ret)
{
	char stack[16384] __attribute__((aligned(64)));
	struct pidref child = PIDREF_NONE;
	sigset_t all, saved;
	siginfo_t info;
	int r;

	sigfillset(&all);
	sigemptyset(&l->mask);
	sigprocmask(SIG_SETMASK, &all, &saved); /* no handler of the caller runs in its memory */
	child.pid = clone(become_program, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, l,
			  &child.fd);
	r = child.pid < 0 ? -errno : 0;
	sigprocmask(SIG_SETMASK, &saved, NULL);
	if (r < 0)
		return r;
	if (l->failed) {
		pidref_wait(&child, &info, WEXITED, NULL);
		pidref_close(&child);
		return -l->failed;
	}
	*ret = child;
	return 0;
}

/* Takes what is there of its output: what fits is kept. False at its end. */
static bool take_output(int fd, char *output, size_t size, size_t *len)
{
	char waste[512];

	for (;;) {
		bool fits = size > 0 && *len + 1 < size;
		ssize_t n = fits ? read(fd, output + *len, size - 1 - *len) : read(fd, waste, sizeof(waste));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		if (fits)
			*len += (size_t)n;
	}
}

/* A descriptor that is readable while a terminating signal is pending. Nobody reads it: the signal remains for whoever blocked it. */
static int open_signals(void)
{
	sigset_t ending;

	sigemptyset(&ending);
	sigaddset(&ending, SIGHUP);
	sigaddset(&ending, SIGINT);
	sigaddset(&ending, SIGQUIT);
	sigaddset(&ending, SIGTERM);
	return signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Until the program has ended: its output may be held open longer, by what it started. */
static int wait_program(const char *path, const struct pidref *program, const struct pidref *served, int in,
			char *output, size_t size, struct err *err)
{
	_cleanup_close_ int signals = served ? open_signals() : FD_NONE;
	struct pollfd fds[] = {
		{ .fd = program->fd, .events = POLLIN },
		{ .fd = in, .events = POLLIN },
		{ .fd = served ? served->fd : FD_NONE, .events = POLLIN },
		{ .fd = signals, .events = POLLIN },
	};
	size_t len = 0;

	if (served && signals < 0)
		return err_system(err, "%s: a descriptor for signals", path);
	for (;;) {
		if (poll(fds, ARRAY_LEN(fds), -1) < 0) {
			if (errno == EINTR)
				continue;
			return err_system(err, "%s: waiting for it", path);
		}
		if (fds[1].revents && !take_output(in, output, size, &len))
			fds[1].fd = FD_NONE;
		if (size > 0)
			output[len] = '\0';
		if (fds[0].revents) {
			if (fds[1].fd >= 0)
				take_output(in, output, size, &len);
			if (size > 0)
				output[len] = '\0';
			return 0;
		}
		if (fds[2].revents)
			return err_set(err, ERR_PEER, ERR_ID_NONE, ESRCH,
				       "%s: process %d, which it was run for, has ended", path, (int)served->pid);
		if (fds[3].revents)
			return err_set(err, ERR_SYSTEM, ERR_ID_NONE, EINTR, "%s: ended by a signal to nsrun", path);
	}
}

int helper_run(const char *path, const char *const *argv, const struct pidref *served, char *output, size_t size,
	       int *ret_status, struct err *err)
{
	_cleanup_close_ int in = FD_NONE, out = FD_NONE, bond = FD_NONE, bond_end = FD_NONE;
	_cleanup_(pidref_close) struct pidref program = PIDREF_NONE;
	struct launching launching = { .path = path, .argv = argv, .bond = FD_NONE };
	siginfo_t info = { 0 };
	int fds[2], r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_system(err, "%s: a pipe for its output", path);
	in = fds[0];
	out = launching.output = fds[1];
	if (served) {
		if (pipe2(fds, O_CLOEXEC) < 0)
			return err_system(err, "%s: a pipe that binds it to nsrun", path);
		bond = launching.bond = fds[0];
		bond_end = fds[1];
	}
	r = spawn(&launching, &program);
	if (r < 0)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "%s: running it", path);
	closep(&out);
	out = FD_NONE;
	if (fcntl(in, F_SETFL, O_RDONLY | O_NONBLOCK) < 0)
		r = err_system(err, "%s: its output", path);
	else
		r = wait_program(path, &program, served, in, output, size, err);
	/* One that changed its real uid cannot be killed, and is not waited for. */
	if (r < 0 && pidref_kill(&program, SIGKILL, NULL) < 0)
		return r;
	if (pidref_wait(&program, &info, WEXITED, r < 0 ? NULL : err) < 0 && r == 0)
		return -ECHILD;
	if (r < 0)
		return r;
	*ret_status = exit_status_of(&info);
	return 0;
}

/* Why a set-uid program of this path would run without its power; NULL when nothing is seen. */
static const char *powerless(const char *path)
{
	struct statvfs fs;
	struct stat st;

	if (stat(path, &st) < 0)
		return NULL;
	if ((!(st.st_mode & S_ISUID) || st.st_uid != 0) && getxattr(path, "security.capability", NULL, 0) <= 0)
		return "has neither the set-uid bit of root nor file capabilities";
	if (statvfs(path, &fs) == 0 && (fs.f_flag & ST_NOSUID))
		return "lies on a file system mounted with nosuid";
	return NULL;
}

int idmap_write_by_helper(const struct pidref *child, const char *program, const struct idmap *map, struct err *err)
{
	char path[PATH_MAX], output[ERR_MESSAGE_MAX / 2], numbers[3 * IDMAP_EXTENTS_MAX + 1][11];
	const char *argv[3 * IDMAP_EXTENTS_MAX + 3];
	const char *why;
	size_t n = 0;
	int r, status;

	r = idmap_check(map, program, err);
	if (r < 0)
		return r;
	if (helper_find(getenv("PATH"), program, path, sizeof(path)) < 0)
		return err_set(err, ERR_INPUT, ERR_ID_NEWIDMAP_MISSING, ENOENT,
			       "%s: not found in PATH and " SYSTEM_PATH, program);

	snprintf(numbers[n++], sizeof(numbers[0]), "%d", (int)child->pid);
	for (size_t i = 0; i < map->n; i++) {
		snprintf(numbers[n++], sizeof(numbers[0]), "%u", map->extents[i].inside);
		snprintf(numbers[n++], sizeof(numbers[0]), "%u", map->extents[i].outside);
		snprintf(numbers[n++], sizeof(numbers[0]), "%u", map->extents[i].count);
	}
	argv[0] = program;
	for (size_t i = 0; i < n; i++)
		argv[i + 1] = numbers[i];
	argv[n + 1] = NULL;

	r = helper_run(path, argv, child, output, sizeof(output), &status, err);
	if (r < 0)
		return r;
	if (status == 0)
		return 0;
	why = powerless(path);
	if (why)
		return err_refused(err, ERR_ID_NEWIDMAP_NOT_SETUID, "%s: it %s", path, why);
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return err_refused(
			err, ERR_ID_NEWIDMAP_POWERLESS,
			"%s: no_new_privs is set for nsrun itself, which makes set-uid programs powerless (prctl(2))",
			path);
	output[strcspn(output, "\n")] = '\0';
	return err_set(err, ERR_REFUSED, ERR_ID_NONE, EPERM, "%s: %s (status %d)", path,
		       output[0] ? output : "failed without a word", status);
}
