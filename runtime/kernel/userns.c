/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/userns.h>

#include <nsrun/base/clock.h>
#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>

#include <dirent.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <time.h>

/* user_namespaces(7): up to 32 nested levels. */
#define USERNS_LEVELS 33

bool ns_is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool ns_is_own(const char *name, const struct stat *ns)
{
	char path[64];
	struct stat own;

	snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	return stat(path, &own) == 0 && ns_is_same(&own, ns);
}

int userns_open_owner(int ns_fd, int *ret_fd, struct err *err)
{
	const int fd = ioctl(ns_fd, NS_GET_USERNS);

	if (fd < 0)
		return err_system(err, "the user namespace that owns it");
	*ret_fd = fd;
	return 0;
}

/* ---- maps ---- */

static int read_map(const struct pidref *child, const char *file, struct idmap *ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct idmap map = { 0 };
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)child->pid, file);
	const int r = file_read_virtual_at(AT_FDCWD, path, 65536, &text, NULL, err);
	if (r < 0)
		return r;
	for (const char *p = text;; map.n++) {
		struct idmap_extent e;
		int used = 0;

		if (sscanf(p, " %u %u %u%n", &e.inside, &e.outside, &e.count, &used) != 3)
			break;
		if (map.n == IDMAP_EXTENTS_MAX)
			return err_input(err, "%s: more than %d extents", path, IDMAP_EXTENTS_MAX);
		map.extents[map.n] = e;
		p += used;
	}
	*ret = map;
	return 0;
}

static int read_setgroups(const struct pidref *child, bool *ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/setgroups", (int)child->pid);
	const int r = file_read_virtual_at(AT_FDCWD, path, 64, &text, NULL, err);
	if (r == 0)
		*ret = str_after(text, "deny") != NULL;
	return r;
}

/* The child: in, then waits for the end of the socket. */
static _Noreturn void stay_in(int userns_fd, int channel)
{
	int answer = setns(userns_fd, CLONE_NEWUSER) < 0 ? errno : 0;
	char end;

	if (write(channel, &answer, sizeof(answer)) == (ssize_t)sizeof(answer))
		while (read(channel, &end, 1) < 0 && errno == EINTR)
			;
	_exit(0);
}

int userns_read_maps(int userns_fd, struct idmap *ret_uids, struct idmap *ret_gids, bool *ret_setgroups_denied,
		     struct err *err)
{
	struct pidref child = PIDREF_NONE;
	struct idmap uids, gids;
	bool denied = false;
	int pair[2], answer = EIO, r;
	siginfo_t info;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_system(err, "socket pair");
	_cleanup_close_ int ours = pair[0], theirs = pair[1];
	child.pid = fork();
	if (child.pid < 0)
		return err_system(err, "a process for the user namespace");
	if (child.pid == 0) {
		closep(&ours);
		stay_in(userns_fd, theirs);
	}
	closep(&theirs);
	theirs = FD_NONE;
	/* Read from here and not by the child: the file shows the ids as its opener's namespace has them. */
	if (read(ours, &answer, sizeof(answer)) != (ssize_t)sizeof(answer))
		answer = EIO;
	errno = answer;
	r = answer ? err_system(err, "entering the user namespace") : read_map(&child, "uid_map", &uids, err);
	if (r == 0)
		r = read_map(&child, "gid_map", &gids, err);
	if (r == 0)
		r = read_setgroups(&child, &denied, err);
	closep(&ours);
	ours = FD_NONE;
	while (waitid(P_PID, (id_t)child.pid, &info, WEXITED) < 0 && errno == EINTR)
		;
	if (r < 0)
		return r;
	*ret_uids = uids;
	*ret_gids = gids;
	*ret_setgroups_denied = denied;
	return 0;
}

/* ---- the end of all that is in it ---- */

/* The process' user namespace or one around it is the one that is meant. A zombie is in it, too, and passed over by its caller. */
static bool is_inside(pid_t pid, const struct stat *userns)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	for (int level = 0; fd >= 0 && level < USERNS_LEVELS; level++) {
		if (fstat(fd, &st) < 0)
			return false;
		if (ns_is_same(&st, userns))
			return true;
		const int parent = ioctl(fd, NS_GET_PARENT); /* EPERM: around the caller's own */
		closep(&fd);
		fd = parent;
	}
	return false;
}

/* One look at every process. Returns how many were there, -errno. */
static int kill_once(const struct stat *userns)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc");
	int found = 0;

	if (!dir)
		return -errno;
	for (struct dirent *d; (d = readdir(dir));) {
		char *end;
		const pid_t pid = (pid_t)strtol(d->d_name, &end, 10);
		struct pidref process = PIDREF_NONE;

		if (pid <= 0 || *end || pid == getpid())
			continue;
		process.pid = pid;
		process.fd = pidfd_open(pid, 0);
		/* The pidfd first: what is found out about the number afterwards is then about that process, while it lives. */
		if (process.fd >= 0 && is_inside(pid, userns) && !pidref_ended(&process)) {
			found++;
			(void)pidref_kill(&process, SIGKILL, NULL);
		}
		pidref_close(&process);
	}
	return found;
}

int userns_kill_all(int userns_fd, unsigned timeout_ms, struct err *err)
{
	const uint64_t deadline = now_ms() + timeout_ms;
	const struct timespec nap = { .tv_nsec = 1000000 };
	struct stat userns;

	if (fstat(userns_fd, &userns) < 0)
		return err_system(err, "the container's user namespace");
	/* One empty look is no proof: a number that was passed already may have been given to a child of the last one. */
	for (int empty = 0; empty < 2;) {
		const int found = kill_once(&userns);

		if (found < 0) {
			errno = -found;
			return err_system(err, "/proc: looking for the container's processes");
		}
		empty = found ? 0 : empty + 1;
		if (found == 0)
			continue;
		if (now_ms() > deadline)
			return err_set(err, ERR_SYSTEM, ERR_ID_NONE, EBUSY,
				       "%d processes of the container's user namespace do not end", found);
		nanosleep(&nap, NULL);
	}
	return 0;
}
