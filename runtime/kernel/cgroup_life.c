/* SPDX-License-Identifier: Apache-2.0 */
/* What goes on inside a group. */
#include <nsrun/kernel/cgroup.h>

#include <nsrun/base/clock.h>
#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EVENTS_MAX (64 * 1024)

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

int cgroup_wait_event(int dirfd, const char *key, uint64_t value, unsigned timeout_ms, int interrupt_fd)
{
	_cleanup_close_ int fd = openat(dirfd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	const uint64_t deadline = now_ms() + timeout_ms;

	if (fd < 0)
		return -errno;
	for (;;) {
		struct pollfd p[] = { { .fd = interrupt_fd, .events = POLLIN }, { .fd = fd, .events = POLLPRI } };
		const uint64_t now = now_ms();
		char text[256];
		ssize_t n;

		/* Looked at first: an interruption that came before the end of the wait is one. */
		if (interrupt_fd >= 0 && poll(p, 1, 0) > 0)
			return -EINTR;
		n = pread(fd, text, sizeof(text) - 1, 0);
		if (n < 0)
			return -errno;
		text[n] = '\0';
		if (keyed_value(text, key) == value)
			return 0;
		if (now >= deadline)
			return -ETIMEDOUT;
		if (poll(p, ARRAY_LEN(p), (int)(deadline - now)) < 0 && errno != EINTR)
			return -errno;
	}
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
