/* SPDX-License-Identifier: Apache-2.0 */
/* Is a group somebody's already? A path that a caller names may be that of a group with processes, which would end with the container. */
#include <nsrun/kernel/cgroup.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 32
#define EVENTS_MAX 4096

/* One byte tells whether there is any process. */
static bool has_processes(int dir_fd)
{
	_cleanup_close_ int fd = openat(dir_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	char byte;

	return fd >= 0 && read(fd, &byte, 1) == 1;
}

/* v1 keeps no count of what is below. A group that cannot be read counts as one in use. */
static bool is_busy_v1(int dir_fd, unsigned depth)
{
	const int again = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = again < 0 ? NULL : fdopendir(again);

	if (!dir || depth > DEPTH_MAX || has_processes(dir_fd))
		return true;
	for (struct dirent *d; (d = readdir(dir));) {
		if (d->d_type != DT_DIR || streq(d->d_name, ".") || streq(d->d_name, ".."))
			continue;
		_cleanup_close_ int below = openat(dir_fd, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below >= 0 && is_busy_v1(below, depth + 1))
			return true;
	}
	return false;
}

static bool is_busy_v2(int dir_fd)
{
	_cleanup_free_ char *events = NULL;

	return file_read_virtual_at(dir_fd, "cgroup.events", EVENTS_MAX, &events, NULL, NULL) < 0 ||
	       strstr(events, "populated 1") != NULL;
}

static int check_one(const char *mount, const char *path, bool v2, struct err *err)
{
	char full[2 * CGROUP_PATH_MAX];

	snprintf(full, sizeof(full), "%s%s", mount, path);
	_cleanup_close_ int fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_system(err, "%s", full);
	if (v2 ? !is_busy_v2(fd) : !is_busy_v1(fd, 0))
		return 0;
	return err_set(
		err, ERR_INPUT, ERR_ID_NONE, EBUSY,
		"%s: container's cgroup is not empty: processes are in it already, which would end with the container",
		full);
}

/*
 * Whatever enters a frozen group stands still, so would init be made and never say a word. `file` has `word` where the group is frozen, or one around it. The
 * group may have to be made yet: then the nearest one around it tells.
 */
static int check_thawed(const char *mount, const char *path, const char *file, const char *word, struct err *err)
{
	char group[2 * CGROUP_PATH_MAX], full[2 * CGROUP_PATH_MAX + 32];

	snprintf(group, sizeof(group), "%s%s", mount, path);
	while (strlen(group) > strlen(mount)) {
		_cleanup_free_ char *text = NULL;

		snprintf(full, sizeof(full), "%s/%s", group, file);
		if (file_read_virtual_at(AT_FDCWD, full, EVENTS_MAX, &text, NULL, NULL) < 0) {
			*strrchr(group, '/') = '\0';
			continue;
		}
		if (!strstr(text, word))
			return 0;
		return err_set(err, ERR_INPUT, ERR_ID_NONE, EBUSY,
			       "%s: container's cgroup is unexpectedly frozen: no process would run in it", group);
	}
	return 0;
}

int cgroup_check_unused(const struct cgroup_host *host, const char *path, unsigned controllers, struct err *err)
{
	int r = *host->v2_mount ? check_one(host->v2_mount, path, true, err) : 0;

	if (r == 0 && *host->v2_mount)
		r = check_thawed(host->v2_mount, path, "cgroup.events", "frozen 1", err);
	if (r == 0 && (controllers & 1U << CGROUP_FREEZER) && cgroup_on_v1(host, CGROUP_FREEZER))
		r = check_thawed(host->v1_mount[CGROUP_FREEZER], path, "freezer.state", "FR", err);

	for (enum cgroup_ctl c = 0; r == 0 && c < CGROUP_CONTROLLER_COUNT; c++)
		if ((controllers & 1U << c) && cgroup_on_v1(host, c))
			r = check_one(host->v1_mount[c], path, false, err);
	return r;
}
