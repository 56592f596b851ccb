/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/idmap.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static bool overlap(uint32_t a, uint32_t a_count, uint32_t b, uint32_t b_count)
{
	return (uint64_t)a < (uint64_t)b + b_count && (uint64_t)b < (uint64_t)a + a_count;
}

int idmap_check(const struct idmap *map, const char *what, struct err *err)
{
	if (map->n == 0)
		return err_input(err, "%s: the map is empty", what);
	if (map->n > IDMAP_EXTENTS_MAX)
		return err_input(err, "%s: %zu extents, and at most %d are possible", what, map->n, IDMAP_EXTENTS_MAX);
	for (size_t i = 0; i < map->n; i++) {
		const struct idmap_extent *e = &map->extents[i];

		if (e->count == 0)
			return err_input(err, "%s: extent %u:%u:0 holds no id", what, e->inside, e->outside);
		if ((uint64_t)e->inside + e->count - 1 > IDMAP_ID_MAX ||
		    (uint64_t)e->outside + e->count - 1 > IDMAP_ID_MAX)
			return err_input(err, "%s: extent %u:%u:%u ends beyond the last id, %u", what, e->inside,
					 e->outside, e->count, IDMAP_ID_MAX);
		for (size_t j = 0; j < i; j++) {
			const struct idmap_extent *f = &map->extents[j];
			bool inside = overlap(e->inside, e->count, f->inside, f->count);

			if (inside || overlap(e->outside, e->count, f->outside, f->count))
				return err_input(err, "%s: extents %u:%u:%u and %u:%u:%u overlap %s", what, f->inside,
						 f->outside, f->count, e->inside, e->outside, e->count,
						 inside ? "inside the container" : "on the host");
		}
	}
	return 0;
}

bool idmap_to_outside(const struct idmap *map, uint32_t inside, uint32_t *ret_outside)
{
	for (size_t i = 0; i < map->n; i++) {
		const struct idmap_extent *e = &map->extents[i];

		if (inside >= e->inside && inside - e->inside < e->count) {
			*ret_outside = e->outside + (inside - e->inside);
			return true;
		}
	}
	return false;
}

bool idmap_to_inside(const struct idmap *map, uint32_t outside, uint32_t *ret_inside)
{
	for (size_t i = 0; i < map->n; i++) {
		const struct idmap_extent *e = &map->extents[i];

		if (outside >= e->outside && outside - e->outside < e->count) {
			*ret_inside = e->inside + (outside - e->outside);
			return true;
		}
	}
	return false;
}

int idmap_format(const struct idmap *map, char *buf, size_t size)
{
	size_t len = 0;

	if (size == 0)
		return -ENOSPC;
	buf[0] = '\0';
	for (size_t i = 0; i < map->n; i++) {
		const struct idmap_extent *e = &map->extents[i];
		int n = snprintf(buf + len, size - len, "%u %u %u\n", e->inside, e->outside, e->count);

		if (n < 0 || (size_t)n >= size - len)
			return -ENOSPC;
		len += (size_t)n;
	}
	return (int)len;
}

/* One write(2): the kernel accepts a map once, whole, and refuses a second write with EPERM. */
static int write_proc(const struct pidref *child, const char *file, const char *text, size_t len, struct err *err)
{
	char path[64];
	_cleanup_close_ int fd = FD_NONE;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)child->pid, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_system(err, "%s", path);
	n = write(fd, text, len);
	if (n < 0)
		return err_system(err, "%s: writing \"%.200s\"", path, text);
	if ((size_t)n != len)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, EIO, "%s: taken in part", path);
	return 0;
}

int idmap_write(const struct pidref *child, const char *file, const struct idmap *map, struct err *err)
{
	char text[IDMAP_EXTENTS_MAX * sizeof("4294967295 4294967295 4294967295\n")];
	int r;

	r = idmap_check(map, file, err);
	if (r < 0)
		return r;
	r = idmap_format(map, text, sizeof(text));
	if (r < 0)
		return err_bug(err, "%s: the text of the map does not fit", file);
	return write_proc(child, file, text, (size_t)r, err);
}

int idmap_deny_setgroups(const struct pidref *child, struct err *err)
{
	return write_proc(child, "setgroups", "deny", 4, err);
}

/* Lends its user namespace until it is killed. It shares the caller's memory, so it must do nothing but wait. */
static int wait_forever(void *parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != *(pid_t *)parent)
		_exit(0);
	for (;;)
		pause();
}

static int open_userns_of(const struct pidref *child, const struct idmap *uids, const struct idmap *gids, int *ret_fd,
			  struct err *err)
{
	char path[64];
	int r, fd;

	r = idmap_write(child, "uid_map", uids, err);
	if (r < 0)
		return r;
	r = idmap_write(child, "gid_map", gids, err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)child->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_system(err, "%s", path);
	*ret_fd = fd;
	return 0;
}

/* CLONE_VM: copying the page tables of the caller would cost more than all the rest. The child then runs on a stack of this frame with
 * every signal blocked, so that no handler of the caller runs on it. No exit signal: the caller's SIGCHLD handling never sees this child. */
int idmap_make_userns(const struct idmap *uids, const struct idmap *gids, int *ret_fd, struct err *err)
{
	char stack[16384] __attribute__((aligned(64)));
	struct pidref child = PIDREF_NONE;
	struct err undo_err = ERR_INIT;
	pid_t self = getpid();
	sigset_t all, saved;
	siginfo_t info;
	int r, undo, fd = FD_NONE;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &saved);
	child.pid =
		clone(wait_forever, stack + sizeof(stack), CLONE_VM | CLONE_NEWUSER | CLONE_PIDFD, &self, &child.fd);
	r = child.pid < 0 ? -errno : 0;
	sigprocmask(SIG_SETMASK, &saved, NULL);
	if (r < 0) {
		errno = -r;
		return err_system(err, "a user namespace for idmapped mounts");
	}

	r = open_userns_of(&child, uids, gids, &fd, err);
	/* The child stands on this frame's stack: it must have ended before we return. */
	undo = pidref_kill(&child, SIGKILL, &undo_err);
	if (undo == 0)
		undo = pidref_wait(&child, &info, WEXITED | __WALL, &undo_err);
	pidref_close(&child);
	if (r == 0 && undo < 0) {
		closep(&fd);
		if (err)
			*err = undo_err;
		return undo;
	}
	if (r < 0)
		return r;
	*ret_fd = fd;
	return 0;
}
