/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a group: of its processes, of the groups below it, of itself. */
#include <nsrun/kernel/cgroup.h>

#include <nsrun/base/clock.h>
#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <time.h>

#define PROCS_MAX ((size_t)64 << 20) /* numbers of at most seven digits, since pid_max is at most 4194304 (proc(5)) */
#define KILL_BATCH 64		     /* descriptors that are held at once: far below the usual limit of 1024 */

static unsigned left_ms(uint64_t deadline)
{
	const uint64_t now = now_ms();

	return now < deadline ? (unsigned)(deadline - now) : 0;
}

/* ---- processes ---- */

/* Is this number a line of the text of cgroup.procs? */
static bool procs_has(const char *procs, pid_t pid)
{
	for (char *end, *p = (char *)procs; *p; p = end) {
		if ((pid_t)strtol(p, &end, 10) == pid)
			return true;
		end += strspn(end, "\n");
		if (end == p)
			break;
	}
	return false;
}

/* pidfds of the next numbers of the text; *p moves on. */
static size_t open_some(char **p, int *fds, pid_t *pids)
{
	size_t n = 0;

	for (char *end; **p && n < KILL_BATCH; *p = end) {
		const pid_t pid = (pid_t)strtol(*p, &end, 10);

		if (end == *p) {
			end += strlen(end);
			continue;
		}
		end += strspn(end, "\n");
		if (pid <= 1) /* 0: a process of a pid namespace that we cannot see */
			continue;
		fds[n] = pidfd_open(pid, 0);
		pids[n] = pid;
		n += fds[n] >= 0;
	}
	return n;
}

/* The freezer of v1, unlike that of v2, holds back SIGKILL, too (freezer-subsystem.rst); the other hierarchies have no such file. */
static void thaw(int dirfd)
{
	(void)file_write_at(dirfd, "freezer.state", "THAWED", NULL);
}

/*
 * SIGKILL to every process of one group, for v1, which has no cgroup.kill. A number read from cgroup.procs may belong to another process
 * a moment later, so: take pidfds, look again whether the numbers are still in the group, and only then signal the pidfds. What is signalled
 * forks no more (copy_process() in the kernel looks for signals first), what is forked meanwhile the next round finds.
 */
static void kill_listed(int dirfd)
{
	_cleanup_free_ char *before = NULL;
	char *p;

	thaw(dirfd);
	if (file_read_virtual_at(dirfd, "cgroup.procs", PROCS_MAX, &before, NULL, NULL) < 0)
		return;
	p = before;
	while (*p) {
		_cleanup_free_ char *after = NULL;
		int fds[KILL_BATCH];
		pid_t pids[KILL_BATCH];
		const size_t n = open_some(&p, fds, pids);
		const bool known = n && file_read_virtual_at(dirfd, "cgroup.procs", PROCS_MAX, &after, NULL, NULL) == 0;

		for (size_t i = 0; i < n; i++) {
			if (known && procs_has(after, pids[i]))
				(void)pidfd_send_signal(fds[i], SIGKILL, NULL, 0);
			close(fds[i]);
		}
	}
}

/* ---- groups below ---- */

/* The way down from the group to be removed: a name and the place in its parent's listing for each level. */
struct way {
	char *text; /* names one after another, each with its NUL */
	size_t size, used;
	struct level {
		size_t name;
		long next;
	} * levels;
	size_t depth, room;
};

static void way_done(struct way *way)
{
	free(way->text);
	free(way->levels);
}

static int way_push(struct way *way, const char *name, long next)
{
	const size_t len = strlen(name) + 1;

	if (way->depth == way->room) {
		const size_t room = way->room ? 2 * way->room : 64;
		struct level *more = reallocarray(way->levels, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		way->levels = more;
		way->room = room;
	}
	if (way->used + len > way->size) {
		const size_t size = 2 * way->size + NAME_MAX + 1;
		char *more = realloc(way->text, size);

		if (!more)
			return -ENOMEM;
		way->text = more;
		way->size = size;
	}
	memcpy(way->text + way->used, name, len);
	way->levels[way->depth++] = (struct level){ .name = way->used, .next = next };
	way->used += len;
	return 0;
}

enum descent {
	DESCENT_REMOVE,
	DESCENT_KILL, /* and remove: for v1 */
	DESCENT_THAW, /* and leave all groups */
};

/*
 * Removes what can be removed of one group's listing and stops at the first that cannot: it is put on the way and opened, since
 * it has groups or processes itself. *ret_below is FD_NONE at the end of the listing.
 */
static int prune_level(DIR *dir, struct way *way, enum descent descent, int *ret_below)
{
	for (struct dirent *d; (d = readdir(dir));) {
		int fd;

		if (d->d_type != DT_DIR || streq(d->d_name, ".") || streq(d->d_name, ".."))
			continue;
		if (descent != DESCENT_THAW) {
			if (unlinkat(dirfd(dir), d->d_name, AT_REMOVEDIR) == 0 || errno == ENOENT)
				continue;
			if (errno != EBUSY)
				return -errno;
		}
		fd = openat(dirfd(dir), d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0)
			return -errno;
		if (way_push(way, d->d_name, telldir(dir)) < 0) {
			close(fd);
			return -ENOMEM;
		}
		if (descent == DESCENT_KILL)
			kill_listed(fd);
		else if (descent == DESCENT_THAW)
			thaw(fd);
		*ret_below = fd;
		return 0;
	}
	*ret_below = FD_NONE;
	return 0;
}

/*
 * Removes the groups below `group_fd`, deepest first, each looked at once: a container may have nested thousands, and side by side as many. One
 * descriptor is held at a time, however deep that is; "..", which needs no permission that the way down did not need, leads back: a group cannot be
 * moved to another parent. Returns 0, also when some stay, or why none can be reached.
 */
static int prune_below(int group_fd, enum descent descent, uint64_t deadline)
{
	_cleanup_(way_done) struct way way = { 0 };
	int fd = openat(group_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long next = 0;

	while (fd >= 0) {
		_cleanup_closedir_ DIR *dir = fdopendir(fd);
		int below = FD_NONE, r;

		if (!dir) {
			r = -errno;
			close(fd);
			return r;
		}
		if (next)
			seekdir(dir, next); /* the kernel's own cookie: it outlives what was removed (kernfs_dir_pos) */
		r = prune_level(dir, &way, descent, &below);
		if (r < 0)
			return r;
		next = 0;
		if (below < 0 && way.depth == 0)
			return 0;
		if (below < 0) {
			const struct level *level = &way.levels[--way.depth];

			below = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			if (below < 0)
				return -errno;
			/* EBUSY: a dying task, a moment longer; the next round comes back. */
			if (descent != DESCENT_THAW)
				(void)unlinkat(below, way.text + level->name, AT_REMOVEDIR);
			way.used = level->name;
			next = level->next;
		}
		fd = below;
		if (now_ms() >= deadline) {
			close(fd);
			return -EBUSY;
		}
	}
	return -errno;
}

/* ---- the group ---- */

/* Without cgroup.kill what forks as fast as it is killed would never end: where the container has a limit of its processes, 0 are enough now. */
static void stop_forks(const struct cgroup_host *host, const char *path)
{
	char file[2 * CGROUP_PATH_MAX + 32];

	if (!host->v1_mount[CGROUP_PIDS][0])
		return;
	snprintf(file, sizeof(file), "%s%s/pids.max", host->v1_mount[CGROUP_PIDS], path);
	(void)file_write_at(AT_FDCWD, file, "0", NULL);
}

static int prune_v2(int group_fd, unsigned timeout_ms)
{
	return prune_below(group_fd, DESCENT_REMOVE, now_ms() + timeout_ms);
}

static void wait_a_moment(unsigned *nap_us)
{
	const struct timespec nap = { .tv_nsec = *nap_us * 1000L };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
	if (*nap_us < 10000)
		*nap_us *= 2;
}

/* The same of a group that stood before the container, and stays. `below`: so do those that are in it. */
static int empty_group(const char *full, bool v2, bool below, const struct cgroup_end *how, uint64_t deadline)
{
	unsigned nap_us = 100;

	for (;;) {
		_cleanup_close_ int dir = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		_cleanup_free_ char *procs = NULL;
		int r = 0;

		if (dir < 0)
			return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
		if (!how->empty_only && v2 && file_write_at(dir, "cgroup.kill", "1", NULL) == 0)
			r = cgroup_wait_event(dir, "populated", 0, left_ms(deadline), FD_NONE);
		else if (!how->empty_only)
			kill_listed(dir);
		if (r == 0 && !below)
			r = prune_below(dir, !v2 && !how->empty_only, deadline);
		if (r < 0)
			return r == -ETIMEDOUT ? -EBUSY : r;
		const bool empty =
			file_read_virtual_at(dir, "cgroup.procs", PROCS_MAX, &procs, NULL, NULL) < 0 || !procs[0];
		/* Of a container that was paused: whatever entered it next would stand still. */
		if (empty && v2)
			(void)file_write_at(dir, "cgroup.freeze", "0", NULL);
		if (how->empty_only || empty)
			return 0;
		if (now_ms() >= deadline)
			return -EBUSY;
		wait_a_moment(&nap_us);
	}
}

/* 0, -errno of what keeps it there. `bit`: of the hierarchy, in how->stood. */
static int remove_group(const char *mount, const char *path, unsigned bit, const struct cgroup_end *how,
			uint64_t deadline)
{
	const bool v2 = bit == CGROUP_STOOD_V2;
	char full[2 * CGROUP_PATH_MAX];
	unsigned nap_us = 100;

	snprintf(full, sizeof(full), "%s%s", mount, path);
	if ((how->stood.groups & bit) && !cgroup_is_marked(mount, path))
		return empty_group(full, v2, how->stood.below & bit, how, deadline);
	/* The usual case: the last process has ended and rmdir(2) is all there is to do. libcgroup is no help here: deleting, it moves
	 * processes that are left to the parent group, where no limit holds them, instead of ending them. */
	while (rmdir(full) < 0) {
		_cleanup_close_ int dir = FD_NONE;
		const int saved = errno;
		int r = 0;

		/* ENOTDIR: the hierarchies have different files, so a parent that could be made in one may be the name of a file in another,
		 * where nothing was made then. */
		if (saved == ENOENT || saved == ENOTDIR)
			return 0;
		if (saved != EBUSY)
			return -saved;
		if (now_ms() >= deadline)
			return how->empty_only ? 0 : -EBUSY;
		dir = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			return errno == ENOENT ? 0 : -errno;
		/* cgroup.kill (5.14) reaches the whole sub-tree at once, what is being forked in it and what is frozen, too. */
		if (how->empty_only) {
			/* what ends by itself needs a moment */
		} else if (v2 && file_write_at(dir, "cgroup.kill", "1", NULL) == 0) {
			if (cgroup_wait_event(dir, "populated", 0, left_ms(deadline), FD_NONE) == -ETIMEDOUT)
				return -EBUSY;
		} else {
			kill_listed(dir);
		}
		r = prune_below(dir, !v2 && !how->empty_only ? DESCENT_KILL : DESCENT_REMOVE, deadline);
		if ((r == -EACCES || r == -EPERM) && v2 && how->uids)
			r = cgroup_work_inside(dir, how->uids, how->gids, left_ms(deadline), prune_v2);
		if (rmdir(full) == 0)
			return 0;
		if (r == -EACCES || r == -EPERM)
			return r;
		/* v1 tells nobody that a group became empty, and on v2 a dying task may hold it a moment longer than "populated" says. */
		wait_a_moment(&nap_us);
	}
	return 0;
}

int cgroup_destroy_by(const struct cgroup_host *host, const char *path, const struct cgroup_end *how, struct err *err)
{
	const uint64_t deadline = now_ms() + how->timeout_ms;
	int r, first = 0;

	/* An empty path would be the root of the hierarchy, with everything of this host in it. */
	if (path[0] != '/' || !path[1] || strstr(path, "/.."))
		return err_bug(err, "%s: not the path of a container's control group", path);
	/* v2 first: it holds every process of the container, and killing there is atomic. */
	if (host->v2_mount[0]) {
		r = remove_group(host->v2_mount, path, CGROUP_STOOD_V2, how, deadline);
		if (r < 0)
			first = err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "%s%s: remove control group", host->v2_mount,
					path);
	}
	if (!host->v2_mount[0] && !how->empty_only)
		stop_forks(host, path);
	for (unsigned c = 0; c < CGROUP_CONTROLLER_COUNT; c++) {
		if (!host->v1_mount[c][0] || !(how->controllers & 1U << c))
			continue;
		r = remove_group(host->v1_mount[c], path, 1U << c, how, deadline);
		if (r < 0 && first == 0)
			first = err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "%s%s: remove control group",
					host->v1_mount[c], path);
	}
	return first;
}

void cgroup_thaw_v1(const struct cgroup_host *host, const char *path, unsigned timeout_ms)
{
	char full[2 * CGROUP_PATH_MAX];
	_cleanup_close_ int dir = FD_NONE;

	if (!host->v1_mount[CGROUP_FREEZER][0])
		return;
	snprintf(full, sizeof(full), "%s%s", host->v1_mount[CGROUP_FREEZER], path);
	dir = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return;
	thaw(dir);
	(void)prune_below(dir, DESCENT_THAW, now_ms() + timeout_ms);
}

int cgroup_destroy(const struct cgroup_host *host, const char *path, unsigned timeout_ms, struct err *err)
{
	const struct cgroup_end how = { .controllers = ~0U, .timeout_ms = timeout_ms };

	return cgroup_destroy_by(host, path, &how, err);
}
