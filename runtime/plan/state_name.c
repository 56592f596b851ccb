/* SPDX-License-Identifier: Apache-2.0 */
/* STATE_ROOT/names: who has which name. */
#include <nsrun/plan/reserve.h>
#include <nsrun/plan/state.h>

#include <nsrun/base/strings.h>

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define TARGET_SIZE 64 /* "../UID.GID/ID" */

/* Whose name it is. False: nobody's, or something that nsrun did not put there. */
static bool read_target(int names_fd, const char *name, char remap[32], char id[PLAN_ID_LEN + 1])
{
	char target[TARGET_SIZE];
	const ssize_t n = readlinkat(names_fd, name, target, sizeof(target) - 1);

	if (n <= 0)
		return false;
	target[n] = '\0';
	return sscanf(target, "../%31[0-9.]/%12[0-9a-f]", remap, id) == 2 && state_is_remap(remap) && state_is_id(id);
}

/* A bundle's that create has made, whatever has become of its record since. */
static bool is_created(int root_fd, const char *remap, const char *id)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", remap, id);
	_cleanup_close_ int dir = openat(root_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return dir >= 0 && state_is_created(dir);
}

/* The name is somebody's: 0 when it is free now. */
static int make_free(int root_fd, int names_fd, const char *name, struct err *err)
{
	char remap[32], id[PLAN_ID_LEN + 1], path[64];
	struct err why = ERR_INIT;
	int r;

	if (read_target(names_fd, name, remap, id)) {
		r = state_recover(root_fd, remap, id, STATE_RECOVER_MS, &why);
		if (r < 0 && err_is_set(&why)) {
			*err = why;
			return r;
		}
		if (r == -EBUSY)
			return err_refused(err, ERR_ID_NAME_IN_USE, "--name %s: container %s has it and runs", name,
					   id);
		if (is_created(root_fd, remap, id))
			return err_refused(err, ERR_ID_NAME_IN_USE, "--name %s: container %s has it", name, id);
		snprintf(path, sizeof(path), "%s/%s/state.json", remap, id);
		if (faccessat(root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return err_refused(err, ERR_ID_NAME_IN_USE, "--name %s: container %s, which has ended, has it",
					   name, id);
	}
	/* Of a container that is gone. */
	if (unlinkat(names_fd, name, 0) < 0 && errno != ENOENT)
		return err_system(err, "names/%s in the state root", name);
	return 0;
}

int state_name_take(int root_fd, const char *remap, const char *id, const char *name, struct err *err)
{
	_cleanup_close_ int names = FD_NONE, dir = FD_NONE;
	char target[TARGET_SIZE], path[64];
	int r;

	r = state_open_dir(root_fd, "names", 0700, "names in the state root", &names, err);
	if (r < 0)
		return r;
	/* Of two who find a name that died, the second must not remove what the first one made. */
	if (flock(names, LOCK_EX) < 0)
		return err_system(err, "names in the state root: lock");
	snprintf(path, sizeof(path), "%s/%s", remap, id);
	dir = openat(root_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	/* First here, so that whoever removes the directory finds which name to remove. */
	if (dir < 0 || symlinkat(name, dir, "name") < 0)
		return err_system(err, "%s in the state root: name", path);
	snprintf(target, sizeof(target), "../%s/%s", remap, id);
	while (symlinkat(target, names, name) < 0) {
		if (errno != EEXIST)
			return err_system(err, "names/%s in the state root", name);
		r = make_free(root_fd, names, name, err);
		if (r < 0)
			return r;
	}
	return 0;
}

void state_name_release(int root_fd, int dir_fd, const char *remap, const char *id)
{
	char name[NAME_MAX + 1], other_remap[32], other_id[PLAN_ID_LEN + 1];
	_cleanup_close_ int names = FD_NONE;
	const ssize_t n = readlinkat(dir_fd, "name", name, sizeof(name) - 1);

	if (n <= 0)
		return;
	name[n] = '\0';
	names = openat(root_fd, "names", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (names >= 0 && !strchr(name, '/') && read_target(names, name, other_remap, other_id) &&
	    streq(remap, other_remap) && streq(id, other_id))
		unlinkat(names, name, 0);
}

/* With the lock held nobody replaces a name; a directory is there before its name is. */
static void forget(int root_fd, int names_fd, const char *name)
{
	char remap[32], id[PLAN_ID_LEN + 1], path[64];

	if (!read_target(names_fd, name, remap, id))
		return;
	snprintf(path, sizeof(path), "%s/%s", remap, id);
	if (faccessat(root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		unlinkat(names_fd, name, 0);
}

void state_name_forget(int root_fd, const char *name)
{
	_cleanup_close_ int fd = openat(root_fd, "names", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 && flock(fd, LOCK_EX) == 0)
		forget(root_fd, fd, name);
}

void state_names_tidy(int root_fd)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;
	int fd = openat(root_fd, "names", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || !(dir = fdopendir(fd))) {
		closep(&fd);
		return;
	}
	while ((entry = readdir(dir)))
		forget(root_fd, fd, entry->d_name);
}
