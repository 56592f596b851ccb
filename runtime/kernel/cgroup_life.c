/* SPDX-License-Identifier: Apache-2.0 */
/* What goes on inside a group, and its end. */
#include <nsrun/kernel/cgroup.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <time.h>

#define EVENTS_MAX (64 * 1024)
#define PROCS_MAX ((size_t)64 << 20) /* numbers of at most seven digits, since pid_max is at most 4194304 (proc(5)) */

/* The number after "KEY " in a flat keyed file; UINT64_MAX when it is not there. */
static uint64_t keyed_value(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		if (strncmp(line, key, len) == 0 && line[len] == ' ')
			return strtoull(line + len + 1, NULL, 10);
	return UINT64_MAX;
}

uint64_t cgroup_oom_kills(const struct cgroup_host *host, const char *path)
{
	bool v1 = host->v1_mount[CGROUP_MEMORY][0];
	_cleanup_free_ char *text = NULL;
	char file[2 * CGROUP_PATH_MAX + 32];
	uint64_t n;

	snprintf(file, sizeof(file), "%s%s/%s", v1 ? host->v1_mount[CGROUP_MEMORY] : host->v2_mount, path,
		 v1 ? "memory.oom_control" : "memory.events");
	if (file_read_virtual_at(AT_FDCWD, file, EVENTS_MAX, &text, NULL, NULL) < 0)
		return 0;
	n = keyed_value(text, "oom_kill");
	return n == UINT64_MAX ? 0 : n;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Waits until `key` of cgroup.events in this group is `value`: the kernel notifies changes of the file by POLLPRI (cgroups(7)), so
 * nothing sleeps longer than needed. `dirfd` may be O_PATH. Returns 0 or -errno. */
static int wait_event(int dirfd, const char *key, uint64_t value, uint64_t deadline)
{
	_cleanup_close_ int fd = openat(dirfd, "cgroup.events", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLPRI };
		char text[256];
		ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
		uint64_t now;

		if (n < 0)
			return -errno;
		text[n] = '\0';
		if (keyed_value(text, key) == value)
			return 0;
		now = now_ms();
		if (now >= deadline)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)(deadline - now)) < 0 && errno != EINTR)
			return -errno;
	}
}

int cgroup_freeze(const struct cgroup_host *host, const char *path, bool freeze, struct err *err)
{
	_cleanup_close_ int dir = FD_NONE;
	char full[2 * CGROUP_PATH_MAX];
	int r;

	snprintf(full, sizeof(full), "%s%s", host->v2_mount, path);
	dir = open(full, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_system(err, "%s", full);
	r = file_write_at(dir, "cgroup.freeze", freeze ? "1" : "0", err);
	if (r < 0)
		return r;
	r = wait_event(dir, "frozen", freeze, now_ms() + 2000);
	if (r < 0)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "%s/cgroup.events: frozen %d", full, freeze);
	return 0;
}

int cgroup_open_v2(const struct cgroup_host *host, const char *path, int *ret_fd, struct err *err)
{
	char full[2 * CGROUP_PATH_MAX];

	snprintf(full, sizeof(full), "%s%s", host->v2_mount, path);
	const int fd = open(full, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_system(err, "%s", full);
	*ret_fd = fd;
	return 0;
}

/* The v2 line of /proc/PID/cgroup from `path` on; NULL when the process is in another group. */
static const char *v2_group_within(char *text, const char *path)
{
	const size_t len = strlen(path);
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		/* Counted from the root of this cgroup namespace, `path` from what is mounted: it may be the end of the line's beginning. */
		const char *found = str_after(line, "0::");

		if (!found)
			continue;
		found = strstr(found, path);
		return found && (found[len] == '/' || found[len] == '\0') ? found : NULL;
	}
	return NULL;
}

int cgroup_open_to_enter(const struct cgroup_host *host, const char *path, const struct pidref *member, int *ret_fd,
			 struct err *err)
{
	_cleanup_free_ char *below = NULL, *groups = NULL;
	_cleanup_close_ int fd = FD_NONE;
	char proc[64];

	int r = cgroup_open_v2(host, path, &fd, err);
	if (r == 0)
		r = file_read_virtual_at(fd, "cgroup.subtree_control", EVENTS_MAX, &below, NULL, err);
	if (r == 0 && below[0] && below[0] != '\n') {
		snprintf(proc, sizeof(proc), "/proc/%d/cgroup", (int)member->pid);
		r = file_read_virtual_at(AT_FDCWD, proc, EVENTS_MAX, &groups, NULL, err);
		if (r < 0)
			return r;
		const char *within = v2_group_within(groups, path);
		if (!within)
			return err_set(
				err, ERR_SYSTEM, ERR_ID_CGROUP_BUSY, EBUSY,
				"%s%s: it gives controllers to groups below it, and process %d is in none of them",
				host->v2_mount, path, (int)member->pid);
		closep(&fd);
		fd = FD_NONE;
		r = cgroup_open_v2(host, within, &fd, err);
	}
	if (r == 0)
		*ret_fd = TAKE_FD(fd);
	return r;
}

int cgroup_is_frozen(int group_fd, bool *ret, struct err *err)
{
	_cleanup_free_ char *events = NULL, *asked = NULL;

	/* "frozen" comes when the last process has stopped; what is asked for counts already. */
	int r = file_read_virtual_at(group_fd, "cgroup.events", EVENTS_MAX, &events, NULL, err);
	if (r == 0)
		r = file_read_virtual_at(group_fd, "cgroup.freeze", EVENTS_MAX, &asked, NULL, err);
	if (r == 0)
		*ret = keyed_value(events, "frozen") == 1 || asked[0] == '1';
	return r;
}

/* ---- the end ---- */

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

/*
 * SIGKILL to every process of one group, for v1, which has no cgroup.kill. A number read from cgroup.procs may belong to another process
 * a moment later, so: take a pidfd, look again whether the number is still in the group, and only then signal the pidfd.
 */
static void kill_listed(int dirfd)
{
	_cleanup_free_ char *before = NULL;

	if (file_read_virtual_at(dirfd, "cgroup.procs", PROCS_MAX, &before, NULL, NULL) < 0)
		return;
	for (char *end, *p = before; *p; p = end) {
		const pid_t pid = (pid_t)strtol(p, &end, 10);
		_cleanup_free_ char *after = NULL;
		_cleanup_close_ int fd = FD_NONE;

		if (end == p)
			break;
		end += strspn(end, "\n");
		if (pid <= 1) /* 0: a process of a pid namespace that we cannot see */
			continue;
		fd = pidfd_open(pid, 0);
		if (fd < 0 || file_read_virtual_at(dirfd, "cgroup.procs", PROCS_MAX, &after, NULL, NULL) < 0)
			continue;
		if (procs_has(after, pid))
			(void)pidfd_send_signal(fd, SIGKILL, NULL, 0);
	}
}

/*
 * One pass over the groups below `dirfd` (which it closes): removes what can be removed, and descends into what cannot, since that has
 * groups or processes itself. It holds one descriptor, however deep a container nested its groups. `kill` is for v1.
 */
static void prune_below(int dirfd, bool kill)
{
	for (;;) {
		_cleanup_closedir_ DIR *dir = fdopendir(dirfd);
		char stuck[NAME_MAX + 1] = "";
		int next;

		if (!dir) {
			close(dirfd);
			return;
		}
		for (struct dirent *d; (d = readdir(dir));) {
			if (d->d_type != DT_DIR || streq(d->d_name, ".") || streq(d->d_name, ".."))
				continue;
			if (unlinkat(dirfd, d->d_name, AT_REMOVEDIR) < 0)
				snprintf(stuck, sizeof(stuck), "%s", d->d_name);
		}
		if (!stuck[0])
			return;
		next = openat(dirfd, stuck, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return;
		if (kill)
			kill_listed(next);
		dirfd = next;
	}
}

/* 0, -errno of what keeps it there. */
static int remove_group(const char *mount, const char *path, bool v2, uint64_t deadline)
{
	char full[2 * CGROUP_PATH_MAX];
	unsigned nap_us = 100;

	snprintf(full, sizeof(full), "%s%s", mount, path);
	/* The usual case: the last process has ended and rmdir(2) is all there is to do. libcgroup is no help here: deleting, it moves
	 * processes that are left to the parent group, where no limit holds them, instead of ending them. */
	while (rmdir(full) < 0) {
		_cleanup_close_ int dir = FD_NONE;
		struct timespec nap = { .tv_nsec = nap_us * 1000L };
		int saved = errno, copy;

		if (saved == ENOENT)
			return 0;
		if (saved != EBUSY)
			return -saved;
		if (now_ms() >= deadline)
			return -EBUSY;
		dir = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			return errno == ENOENT ? 0 : -errno;
		/* cgroup.kill (5.14) reaches the whole sub-tree at once, and what is being forked in it too. */
		if (v2 && file_write_at(dir, "cgroup.kill", "1", NULL) == 0) {
			if (wait_event(dir, "populated", 0, deadline) == -ETIMEDOUT)
				return -EBUSY;
		} else {
			kill_listed(dir);
		}
		copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (copy >= 0)
			prune_below(copy, !v2);
		if (rmdir(full) == 0)
			return 0;
		/* v1 tells nobody that a group became empty, and on v2 a dying task may hold it a moment longer than "populated" says. */
		clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
		if (nap_us < 10000)
			nap_us *= 2;
	}
	return 0;
}

static const char *place_mount(const struct cgroup_host *host, const char *name)
{
	if (streq(name, "v2"))
		return host->v2_mount;
	for (unsigned c = 0; c < CGROUP_CONTROLLER_COUNT; c++)
		if (streq(name, cgroup_v1_name(c)))
			return host->v1_mount[c];
	return "";
}

static int stat_place(const char *mount, struct cgroup_place *place)
{
	struct stat st;

	if (stat(mount, &st) < 0)
		return -errno;
	place->device = st.st_dev;
	place->inode = st.st_ino;
	return 0;
}

int cgroup_places(const struct cgroup_host *host, unsigned controllers, struct cgroup_place ret[CGROUP_PLACES_MAX],
		  size_t *ret_n, struct err *err)
{
	size_t n = 0;

	for (unsigned c = 0; c <= CGROUP_CONTROLLER_COUNT; c++) {
		const bool v2 = c == CGROUP_CONTROLLER_COUNT;
		const char *mount = v2 ? host->v2_mount : host->v1_mount[c];
		int r;

		if (!mount[0] || (!v2 && !(controllers & 1U << c)))
			continue;
		snprintf(ret[n].name, sizeof(ret[n].name), "%s", v2 ? "v2" : cgroup_v1_name(c));
		r = stat_place(mount, &ret[n]);
		if (r < 0)
			return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "%s", mount);
		n++;
	}
	*ret_n = n;
	return 0;
}

int cgroup_check_place(const struct cgroup_host *host, const struct cgroup_place *place, struct err *err)
{
	const char *mount = place_mount(host, place->name);
	struct cgroup_place here = { 0 };

	if (!mount[0])
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, ENODEV, "control groups, %s: not mounted here",
			       place->name);
	if (stat_place(mount, &here) < 0 || here.device != place->device || here.inode != place->inode)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, ENODEV,
			       "control groups, %s: %s is not what the group was made in", place->name, mount);
	return 0;
}

int cgroup_destroy(const struct cgroup_host *host, const char *path, unsigned timeout_ms, struct err *err)
{
	uint64_t deadline = now_ms() + timeout_ms;
	int r, first = 0;

	/* An empty path would be the root of the hierarchy, with everything of this host in it. */
	if (path[0] != '/' || !path[1] || strstr(path, "/.."))
		return err_bug(err, "%s: not the path of a container's control group", path);
	/* v2 first: it holds every process of the container, and killing there is atomic. */
	if (host->v2_mount[0]) {
		r = remove_group(host->v2_mount, path, true, deadline);
		if (r < 0)
			first = err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "%s%s: remove control group", host->v2_mount,
					path);
	}
	for (unsigned c = 0; c < CGROUP_CONTROLLER_COUNT; c++) {
		if (!host->v1_mount[c][0])
			continue;
		r = remove_group(host->v1_mount[c], path, false, deadline);
		if (r < 0 && first == 0)
			first = err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "%s%s: remove control group",
					host->v1_mount[c], path);
	}
	return first;
}
