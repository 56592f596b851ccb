/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/reserve.h>
#include <nsrun/plan/state.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/kernel/cgroup.h>
#include <nsrun/plan/ids_auto.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATE_FILE_MAX (1u << 20)
#define DESTROY_TIMEOUT_MS 5000

static void json_done(json_t **json)
{
	json_decref(*json);
}

static DIR *open_list(int dirfd)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir && fd >= 0)
		close(fd);
	return dir;
}

int state_remove(int root_fd, const char *remap, int remap_fd, const char *id, struct err *err)
{
	_cleanup_close_ int fd = FD_NONE;
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;

	fd = openat(remap_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_system(err, "%s/%s in the state root", remap, id);
	dir = open_list(fd);
	if (!dir)
		return err_system(err, "%s/%s in the state root", remap, id);
	while ((entry = readdir(dir)))
		if (!streq(entry->d_name, ".") && !streq(entry->d_name, "..") && !streq(entry->d_name, "lock"))
			unlinkat(fd, entry->d_name, 0);
	/* Last, since who finds no lock may take the directory for a new one; see state_lock(). */
	unlinkat(fd, "lock", 0);
	if (unlinkat(remap_fd, id, AT_REMOVEDIR) < 0 && errno != ENOENT && errno != ENOTEMPTY)
		return err_system(err, "%s/%s in the state root: removing it", remap, id);
	unlinkat(root_fd, remap, AT_REMOVEDIR); /* ENOTEMPTY while the remap has other containers */
	return 0;
}

/* Kills the recorded init when it still is that process. A pidfd is opened first and the start time compared after: what the pidfd
 * names cannot change any more in between. */
static int end_init(const json_t *state, struct err *err)
{
	json_int_t pid, start;
	const char *boot = NULL;
	char now[37] = "";
	_cleanup_(pidref_close) struct pidref init = PIDREF_NONE;
	_cleanup_close_ int fd = FD_NONE;
	uint64_t started;

	if (json_unpack((json_t *)state, "{s:{s:I, s:I}, s:s}", "init", "pid", &pid, "start", &start, "boot_id",
			&boot) < 0)
		return 0; /* none was recorded: it dies with the channel to its runtime */
	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, now, 36) != 36 || !streq(now, boot) || pid <= 1 || pid > INT_MAX)
		return 0;
	if (pidref_open((pid_t)pid, &init, NULL) < 0 || state_start_time((pid_t)pid, &started, NULL) < 0 ||
	    started != (uint64_t)start)
		return 0;
	return pidref_kill(&init, SIGKILL, err);
}

/* A group that nsrun made is named after the container; nothing else is ever destroyed on the word of a file. */
static bool is_our_cgroup(const char *path, const char *id)
{
	const char *last = strrchr(path, '/');

	return path[0] == '/' && last != path && streq(last + 1, id) && !strstr(path, "/../") && !strstr(path, "/./");
}

static int end_processes(int dirfd, const char *id, struct err *err)
{
	_cleanup_(json_done) json_t *state = NULL;
	_cleanup_free_ char *text = NULL;
	struct err read_err = ERR_INIT;
	struct cgroup_host host;
	const char *cgroup;
	json_error_t why;
	size_t size;
	int r;

	r = file_read_at(dirfd, "state.json", STATE_FILE_MAX, &text, &size, &read_err);
	if (r == -ENOENT)
		return 0; /* nothing had been made yet: the record comes first */
	if (r < 0) {
		if (err && !err_is_set(err))
			*err = read_err;
		return r;
	}
	state = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(state))
		return err_input(err, "%s/state.json: %s; end what is left of it by hand, then remove the directory",
				 id, state ? "no object" : why.text);
	r = end_init(state, err);
	if (r < 0)
		return r;
	cgroup = json_string_value(json_object_get(state, "cgroup"));
	if (!cgroup)
		return 0;
	if (!is_our_cgroup(cgroup, id))
		return err_input(err, "%s/state.json: \"%s\" is not its cgroup", id, cgroup);
	r = cgroup_probe(&host, err);
	return r < 0 ? r : cgroup_destroy(&host, cgroup, DESTROY_TIMEOUT_MS, err);
}

int state_recover(int root_fd, const char *remap, const char *id, struct err *err)
{
	_cleanup_close_ int remap_fd = FD_NONE, dir = FD_NONE, lock = FD_NONE;
	int r;

	remap_fd = openat(root_fd, remap, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	dir = remap_fd < 0 ? FD_NONE : openat(remap_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? 0 : err_system(err, "%s/%s in the state root", remap, id);
	r = state_lock(dir, &lock, err);
	if (r == -ESTALE)
		return 0;
	if (r < 0)
		return r;
	r = end_processes(dir, id, err);
	if (r < 0)
		return r;
	r = state_remove(root_fd, remap, remap_fd, id, err);
	return r < 0 ? r : 1;
}

struct collection {
	int root_fd;
	void (*on_removed)(const char *id, const char *what, void *data);
	void *data;
	int first_error;
	struct err *err;
};

/* One container that cannot be removed must not keep the others: the first error is kept and the walk goes on. */
static void note(struct collection *c, int r, const struct err *failure)
{
	if (r >= 0 || c->first_error < 0)
		return;
	c->first_error = r;
	if (c->err && !err_is_set(c->err))
		*c->err = *failure;
}

static void collect_remap(struct collection *c, const char *remap)
{
	_cleanup_close_ int fd = openat(c->root_fd, remap, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : open_list(fd);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		struct err failure = ERR_INIT;
		int r;

		if (!state_is_id(entry->d_name))
			continue;
		r = state_recover(c->root_fd, remap, entry->d_name, &failure);
		if (r == -EBUSY && !err_is_set(&failure))
			continue;
		note(c, r, &failure);
		if (r == 1 && c->on_removed)
			c->on_removed(entry->d_name, "its runtime is dead", c->data);
	}
	unlinkat(c->root_fd, remap, AT_REMOVEDIR);
}

/* Markers of ranges that nobody holds any more. */
static void collect_ranges(struct collection *c)
{
	_cleanup_close_ int fd = openat(c->root_fd, "ranges", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : open_list(fd);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		_cleanup_close_ int lock = FD_NONE;
		char target[64] = "", remap[32], id[PLAN_ID_LEN + 1];
		ssize_t n;
		uint32_t first;
		int marker;

		if (parse_u32(entry->d_name, &first) < 0 || ids_auto_lock(fd, first, &lock) < 0)
			continue;
		marker = openat(fd, entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		n = marker < 0 ? -1 : read(marker, target, sizeof(target) - 1);
		if (marker >= 0)
			close(marker);
		/* It stays while its container could not be removed: the next launch must not get these ids. */
		if (n > 0 && sscanf(target, "%31[0-9.]/%12[0-9a-f]", remap, id) == 2) {
			char path[64];

			snprintf(path, sizeof(path), "%s/%s", remap, id);
			if (faccessat(c->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
				continue;
		}
		unlinkat(fd, entry->d_name, 0);
	}
}

int state_collect(const char *state_root, void (*on_removed)(const char *id, const char *what, void *data), void *data,
		  struct err *err)
{
	_cleanup_close_ int root = FD_NONE;
	_cleanup_closedir_ DIR *dir = NULL;
	struct collection c = { .on_removed = on_removed, .data = data, .err = err };
	struct dirent *entry;
	int r;

	r = state_open_dir(AT_FDCWD, state_root, 0, state_root, &root, err);
	if (r < 0)
		return r;
	c.root_fd = root;
	dir = open_list(root);
	if (!dir)
		return err_system(err, "%s", state_root);
	while ((entry = readdir(dir)))
		if (state_is_remap(entry->d_name))
			collect_remap(&c, entry->d_name);
	collect_ranges(&c);
	return c.first_error;
}
