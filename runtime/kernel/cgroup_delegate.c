/* SPDX-License-Identifier: Apache-2.0 */
/* A group that its container manages itself: cgroups(7), delegation. */
#include <nsrun/kernel/cgroup.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LIST_MAX (64 * 1024)
#define PROCS_MAX ((size_t)64 << 20) /* see cgroup_life.c */

static bool has_word(const char *list, const char *word, size_t len)
{
	for (const char *p = list; *(p += strspn(p, " \n"));) {
		const size_t n = strcspn(p, " \n");

		if (n == len && memcmp(p, word, len) == 0)
			return true;
		p += n;
	}
	return false;
}

/*
 * cgroups(7), threaded mode: in a group with processes a threaded controller (cpu, cpuset, pids) can be handed down, but what is below then
 * is "domain invalid" and takes no process. The root of the hierarchy alone may hold processes; it has no cgroup.type.
 */
bool cgroup_may_hand_down_v2(const char *dir)
{
	_cleanup_free_ char *procs = NULL;
	char file[2 * CGROUP_PATH_MAX + 32];

	snprintf(file, sizeof(file), "%s/cgroup.type", dir);
	if (access(file, F_OK) < 0)
		return true;
	snprintf(file, sizeof(file), "%s/cgroup.procs", dir);
	return file_read_virtual_at(AT_FDCWD, file, PROCS_MAX, &procs, NULL, NULL) == 0 && !procs[0];
}

#define BUSY_NAMED 3 /* processes that the message names */

int cgroup_err_busy(const char *dir, const char *what, struct err *err)
{
	_cleanup_free_ char *procs = NULL;
	char file[2 * CGROUP_PATH_MAX + 32], named[BUSY_NAMED * 48] = "";
	char *save = NULL;
	size_t n = 0, used = 0;

	snprintf(file, sizeof(file), "%s/cgroup.procs", dir);
	(void)file_read_virtual_at(AT_FDCWD, file, PROCS_MAX, &procs, NULL, NULL);
	for (char *line = procs ? strtok_r(procs, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		_cleanup_free_ char *comm = NULL;

		if (n++ >= BUSY_NAMED)
			continue;
		snprintf(file, sizeof(file), "/proc/%s/comm", line);
		if (file_read_virtual_at(AT_FDCWD, file, 64, &comm, NULL, NULL) == 0)
			comm[strcspn(comm, "\n")] = '\0';
		used += (size_t)snprintf(named + used, sizeof(named) - used, "%s%.10s %.16s", used ? ", " : "", line,
					 comm ?: "");
		if (used >= sizeof(named))
			used = sizeof(named) - 1;
	}
	return err_set(err, ERR_REFUSED, ERR_ID_CGROUP_BUSY, EBUSY, "%s: %s: it holds processes itself (%s%s)", dir,
		       what, named, n > BUSY_NAMED ? ", ..." : "");
}

static void hand_down_all(const char *dir)
{
	_cleanup_free_ char *offered = NULL, *given = NULL;
	char file[2 * CGROUP_PATH_MAX + 32], word[64];

	snprintf(file, sizeof(file), "%s/cgroup.controllers", dir);
	if (file_read_virtual_at(AT_FDCWD, file, LIST_MAX, &offered, NULL, NULL) < 0)
		return;
	snprintf(file, sizeof(file), "%s/cgroup.subtree_control", dir);
	if (file_read_virtual_at(AT_FDCWD, file, LIST_MAX, &given, NULL, NULL) < 0)
		return;
	if (!cgroup_may_hand_down_v2(dir))
		return;
	/* One by one: one that is refused takes the others of its write with it. */
	for (const char *p = offered; *(p += strspn(p, " \n"));) {
		const size_t n = strcspn(p, " \n");

		if (!has_word(given, p, n) && n < sizeof(word) - 1) {
			snprintf(word, sizeof(word), "+%.*s", (int)n, p);
			(void)file_write_at(AT_FDCWD, file, word, NULL);
		}
		p += n;
	}
}

void cgroup_offer_controllers_v2(const struct cgroup_host *host, const char *path)
{
	char dir[2 * CGROUP_PATH_MAX];
	const size_t mount_len = strlen(host->v2_mount);
	const size_t full_len = (size_t)snprintf(dir, sizeof(dir), "%s%s", host->v2_mount, path);

	for (size_t i = mount_len; i < full_len; i++) {
		if (dir[i] != '/')
			continue;
		dir[i] = '\0';
		hand_down_all(dir);
		dir[i] = '/';
	}
}

/* Returns 0 also for a file that this group does not have: the kernel lists those of every controller. */
static int give(int group_fd, const char *file, uid_t uid, gid_t gid, struct err *err)
{
	if (fchownat(group_fd, file, uid, gid, AT_SYMLINK_NOFOLLOW) == 0 || errno == ENOENT)
		return 0;
	return err_system(err, "control group: giving %s to user %u", file, uid);
}

int cgroup_delegate_v2(int group_fd, uid_t uid, gid_t gid, struct err *err)
{
	/* What every kernel since 4.15 lists there, for a host without its /sys. */
	static const char fallback[] = "cgroup.procs\ncgroup.threads\ncgroup.subtree_control\n";
	_cleanup_free_ char *listed = NULL;
	char files[sizeof(fallback)];
	char *save = NULL;
	int r = 0;

	if (file_read_virtual_at(AT_FDCWD, "/sys/kernel/cgroup/delegate", LIST_MAX, &listed, NULL, NULL) < 0)
		memcpy(files, fallback, sizeof(fallback));
	if (fchownat(group_fd, "", uid, gid, AT_EMPTY_PATH) < 0)
		return err_system(err, "control group: giving it to user %u", uid);
	for (char *file = strtok_r(listed ? listed : files, "\n", &save); r == 0 && file;
	     file = strtok_r(NULL, "\n", &save))
		r = strchr(file, '/') ? 0 : give(group_fd, file, uid, gid, err);
	return r;
}
