/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/reserve.h>
#include <nsrun/plan/state.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/kernel/cgroup.h>
#include <nsrun/kernel/probe.h>
#include <nsrun/kernel/systemd.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int state_open_dir(int dirfd, const char *name, mode_t mode, const char *what, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = FD_NONE;
	bool made = false;
	struct stat st;

	if (mode) {
		if (mkdirat(dirfd, name, mode) == 0)
			made = true;
		else if (errno != EEXIST)
			return err_system_id(err, errno == EROFS ? ERR_ID_STATE_READONLY : ERR_ID_NONE, "%s: making it",
					     what);
	}
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		if (errno == ELOOP || errno == ENOTDIR)
			return err_refused(err, ERR_ID_STATE_ROOT,
					   "%s: is no directory, but something that was put there", what);
		return err_system(err, "%s", what);
	}
	if (fstat(fd, &st) < 0)
		return err_system(err, "%s", what);
	/* Made in advance by another user, it would let that user exchange the locks and records below it. */
	if (st.st_uid != geteuid())
		return err_refused(err, ERR_ID_STATE_ROOT, "%s: belongs to uid %u and not to us, uid %u", what,
				   st.st_uid, geteuid());
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return err_refused(err, ERR_ID_STATE_ROOT, "%s: others can write to it (mode %04o)", what,
				   st.st_mode & 07777);
	/* The caller's umask may have taken bits away that mkdir(2) was asked for. */
	if (made && (st.st_mode & 07777) != mode && fchmod(fd, mode) < 0)
		return err_system(err, "%s: mode", what);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* $XDG_RUNTIME_DIR when it is what the XDG base directory specification promises: absolute, and ours alone. */
static const char *runtime_dir(void)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	struct stat st;

	if (!dir || dir[0] != '/' || stat(dir, &st) < 0)
		return NULL;
	return S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH)) ? dir : NULL;
}

/* Root of a user namespace that an ordinary user made sees /run as that user does: not as its own. */
static bool run_is_ours(void)
{
	struct stat st;

	return geteuid() == 0 && (probe_in_initial_userns() || (stat("/run", &st) == 0 && st.st_uid == 0));
}

int state_root_name(char *ret, size_t size, struct err *err)
{
	const char *dir;
	int n;

	if ((dir = getenv("NSRUN_ROOT")) && *dir == '/')
		n = snprintf(ret, size, "%s", dir);
	else if (run_is_ours())
		n = snprintf(ret, size, "/run/nsrun");
	else if ((dir = runtime_dir()))
		n = snprintf(ret, size, "%s/nsrun", dir);
	else
		n = snprintf(ret, size, "/tmp/nsrun-%u", geteuid());
	if (n < 0 || (size_t)n >= size)
		return err_set(err, ERR_INPUT, ERR_ID_NONE, ENAMETOOLONG, "%s", dir ? dir : "state root");
	return 0;
}

/* What is above an engine's --root may be missing: the engine leaves that to the runtime. */
static int make_parents(const char *path, struct err *err)
{
	_cleanup_free_ char *copy = strdup(path);

	if (!copy)
		return err_oom(err);
	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0711) < 0 && errno != EEXIST)
			return err_system_id(err, errno == EROFS ? ERR_ID_STATE_READONLY : ERR_ID_NONE, "%s: making it",
					     copy);
		*slash = '/';
	}
	return 0;
}

/* As root 0711: a container's root, which is no root of the host, must be able to pass to what is mounted from below it. */
int state_root_make(const char *path, int *ret_fd, struct err *err)
{
	if (access(path, F_OK) < 0 && errno == ENOENT) {
		const int r = make_parents(path, err);

		if (r < 0)
			return r;
	}
	return state_open_dir(AT_FDCWD, path, geteuid() == 0 ? 0711 : 0700, path, ret_fd, err);
}

int state_root_open(char *ret_path, size_t size, struct err *err)
{
	_cleanup_close_ int fd = FD_NONE;
	char path[PATH_MAX];
	int r;

	r = state_root_name(path, sizeof(path), err);
	if (r < 0)
		return r;
	if (strlen(path) >= size)
		return err_set(err, ERR_INPUT, ERR_ID_NONE, ENAMETOOLONG, "XDG_RUNTIME_DIR");
	r = state_root_make(path, &fd, err);
	if (r < 0)
		return r;
	strcpy(ret_path, path);
	return 0;
}

int state_lock(int dirfd, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = openat(dirfd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? -ESTALE : err_system(err, "lock of a container's state directory");
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : err_system(err, "lock of a container's state directory");
	if (fstat(fd, &st) < 0)
		return err_system(err, "lock of a container's state directory");
	if (st.st_nlink ==
	    0) /* opened before, locked after somebody removed it: a lock on a file that no one will find */
		return -ESTALE;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static bool only(const char *s, size_t n, const char *set)
{
	return n > 0 && strspn(s, set) >= n;
}

bool state_is_remap(const char *name)
{
	const char *dot = strchr(name, '.');

	return dot && only(name, (size_t)(dot - name), "0123456789") && only(dot + 1, strlen(dot + 1), "0123456789");
}

bool state_is_id(const char *name)
{
	return strlen(name) == PLAN_ID_LEN && only(name, PLAN_ID_LEN, "0123456789abcdef");
}

bool state_is_cgroup_path(const char *path)
{
	const char *p = path;

	if (strlen(path) >= CGROUP_PATH_MAX)
		return false;
	do {
		if (*p++ != '/')
			return false;
		const size_t n = strcspn(p, "/");

		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p += n;
	} while (*p);
	return true;
}

bool state_is_cgroup(const char *path, const char *id)
{
	return state_is_id(id) && state_is_cgroup_path(path) &&
	       (streq(strrchr(path, '/') + 1, id) || systemd_is_unit_group(path, id));
}
