/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/helper.h>
#include <nsrun/kernel/idmap.h>

#include <nsrun/base/strings.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
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

/* posix_spawn(3) rather than fork(2): it shares memory until execve, so nothing is copied. */
static int spawn(const char *path, const char *const *argv, int output_fd, pid_t *ret_pid)
{
	static const char *const environment[] = { "PATH=" SYSTEM_PATH, "LC_ALL=C", NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t all, none;
	pid_t pid;
	int r;

	r = posix_spawn_file_actions_init(&actions);
	if (r)
		return -r;
	r = posix_spawnattr_init(&attributes);
	if (r) {
		posix_spawn_file_actions_destroy(&actions);
		return -r;
	}
	sigfillset(&all);
	sigdelset(&all, SIGKILL);
	sigdelset(&all, SIGSTOP);
	sigemptyset(&none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	r = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&actions, output_fd, STDOUT_FILENO);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&actions, output_fd, STDERR_FILENO);
	if (!r)
		r = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
	if (!r)
		r = posix_spawn(&pid, path, &actions, &attributes, (char *const *)argv, (char *const *)environment);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	if (r)
		return -r;
	*ret_pid = pid;
	return 0;
}

/* Reads to the end, so that the program never blocks on a full pipe, and keeps what fits. */
static void drain(int fd, char *output, size_t size)
{
	size_t len = 0;
	char waste[512];

	for (;;) {
		bool fits = size > 0 && len + 1 < size;
		ssize_t n = fits ? read(fd, output + len, size - 1 - len) : read(fd, waste, sizeof(waste));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (fits)
			len += (size_t)n;
	}
	if (size > 0)
		output[len] = '\0';
}

int helper_run(const char *path, const char *const *argv, char *output, size_t size, int *ret_status, struct err *err)
{
	_cleanup_close_ int in = FD_NONE, out = FD_NONE;
	siginfo_t info = { 0 };
	int fds[2], r;
	pid_t pid = 0;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_system(err, "%s: a pipe for its output", path);
	in = fds[0];
	out = fds[1];
	r = spawn(path, argv, out, &pid);
	if (r < 0)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "%s: running it", path);
	close(TAKE_FD(out));
	drain(in, output, size);
	do
		r = waitid(P_PID, (id_t)pid, &info, WEXITED);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_system(err, "%s: waiting for it", path);
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

	r = helper_run(path, argv, output, sizeof(output), &status, err);
	if (r < 0)
		return r;
	if (status == 0)
		return 0;
	why = powerless(path);
	if (why)
		return err_refused(err, ERR_ID_NEWIDMAP_NOT_SETUID, "%s: it %s", path, why);
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return err_refused(
			err, ERR_ID_NONE,
			"%s: no_new_privs is set for nsrun itself, which makes set-uid programs powerless (prctl(2))",
			path);
	output[strcspn(output, "\n")] = '\0';
	return err_set(err, ERR_REFUSED, ERR_ID_NONE, EPERM, "%s: %s (status %d)", path,
		       output[0] ? output : "failed without a word", status);
}
