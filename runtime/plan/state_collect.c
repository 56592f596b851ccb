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
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#define STATE_FILE_MAX (1u << 20)
#define SOME_TIMEOUT_MS 200 /* of a launch, which did not ask for this work */
#define SOME_OWN_MAX 6 /* tries in the own remap: the others must not be left out for a remap with many containers */

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
	_cleanup_(pidref_close) struct pidref init = PIDREF_NONE;
	uint64_t started;

	if (json_unpack((json_t *)state, "{s:{s:I, s:I}}", "init", "pid", &pid, "start", &start) < 0)
		return 0; /* none was recorded: it dies with the channel to its runtime */
	if (pid <= 1 || pid > INT_MAX)
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

/* The record is of another boot: nothing that it names is there any more. */
static bool before_boot(const json_t *state)
{
	const char *then = json_string_value(json_object_get(state, "boot_id"));
	char now[BOOT_ID_SIZE];

	return then && state_boot_id(now) && !streq(now, then);
}

static int end_cgroup(const json_t *state, const char *id, unsigned timeout_ms, struct err *err)
{
	const char *cgroup = json_string_value(json_object_get(state, "cgroup"));
	const json_t *places = json_object_get(state, "hierarchies"), *entry;
	struct cgroup_host host;
	size_t i;
	int r;

	if (!cgroup)
		return 0;
	if (!is_our_cgroup(cgroup, id))
		return err_input(err, "%s/state.json: \"%s\" is not its cgroup", id, cgroup);
	if (!json_is_array(places))
		return err_input(err,
				 "%s/state.json: without the hierarchies of its cgroup; end what is left of it by "
				 "hand, then remove the directory",
				 id);
	r = cgroup_probe(&host, err);
	if (r < 0)
		return r;
	/* All of them first: a group that is only out of sight must not pass for one that is gone. */
	json_array_foreach(places, i, entry)
	{
		struct cgroup_place place = { 0 };
		json_int_t device, inode;
		const char *name;

		if (json_unpack((json_t *)entry, "{s:s, s:I, s:I}", "name", &name, "device", &device, "inode", &inode) <
		    0)
			return err_input(err, "%s/state.json: \"hierarchies\"", id);
		snprintf(place.name, sizeof(place.name), "%s", name);
		place.device = (uint64_t)device;
		place.inode = (uint64_t)inode;
		r = cgroup_check_place(&host, &place, err);
		if (r < 0)
			return r;
	}
	return cgroup_destroy(&host, cgroup, timeout_ms, err);
}

static int end_processes(int dirfd, const char *id, unsigned timeout_ms, struct err *err)
{
	_cleanup_(json_done) json_t *state = NULL;
	_cleanup_free_ char *text = NULL;
	struct err read_err = ERR_INIT;
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
	if (before_boot(state))
		return 0;
	r = end_init(state, err);
	return r < 0 ? r : end_cgroup(state, id, timeout_ms, err);
}

/* "UID.GID/ID" in ranges/UID: an `auto` range. 1: the marker names this container; 0: it does not, or there is none. */
static int marker_is_of(int ranges_fd, const char *name, const char *remap, const char *id)
{
	_cleanup_close_ int fd = openat(ranges_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char text[64] = "", wanted[64];

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return 0;
	snprintf(wanted, sizeof(wanted), "%s/%s", remap, id);
	return streq(text, wanted);
}

/* After its container: a marker alone is harmless, whoever takes the range removes it. */
static void remove_marker(int root_fd, const char *remap, const char *id)
{
	_cleanup_close_ int ranges = FD_NONE, lock = FD_NONE;
	char name[16] = "";
	uint32_t first;

	if (sscanf(remap, "%15[0-9]", name) != 1 || parse_u32(name, &first) < 0)
		return;
	ranges = openat(root_fd, "ranges", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (ranges < 0 || !marker_is_of(ranges, name, remap, id) || ids_auto_lock(ranges, first, &lock) < 0)
		return;
	if (marker_is_of(ranges, name, remap, id)) /* with the lock held nobody writes another one */
		unlinkat(ranges, name, 0);
}

int state_recover(int root_fd, const char *remap, const char *id, unsigned timeout_ms, struct err *err)
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
	r = end_processes(dir, id, timeout_ms, err);
	if (r < 0)
		return r;
	r = state_remove(root_fd, remap, remap_fd, id, err);
	if (r < 0)
		return r;
	remove_marker(root_fd, remap, id);
	return 1;
}

#define NAMES_SIZE 32768 /* some 900 names of a state root */
#define NAMES_MAX 1024

/* The names that one getdents64(2) yields and that `is` accepts; they lie in `buffer`. */
static size_t read_names(int dirfd, char *buffer, bool (*is)(const char *name), const char **ret)
{
	ssize_t size = getdents64(dirfd, buffer, NAMES_SIZE);
	size_t n = 0;

	for (ssize_t at = 0; at < size && n < NAMES_MAX;) {
		const struct dirent64 *entry = (const void *)(buffer + at);

		if (is(entry->d_name))
			ret[n++] = entry->d_name;
		at += entry->d_reclen;
	}
	return n;
}

/* Names are taken from a random one on: else those at the end of a long list would never have their turn. */
static size_t random_below(size_t n)
{
	uint32_t number = 0;

	(void)!getrandom(&number, sizeof(number), GRND_NONBLOCK);
	return number % n;
}

/* The quick look at a container, which nearly always lives. False: state_recover() is to judge. */
static bool lives(int remap_fd, const char *id)
{
	char path[PLAN_ID_LEN + sizeof("/lock")];
	_cleanup_close_ int fd = FD_NONE;

	snprintf(path, sizeof(path), "%s/lock", id);
	fd = openat(remap_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0;
}

/* Returns how many locks it tried, at most `tries`; a directory with none counts as one. */
static unsigned collect_some_of(int root_fd, const char *remap, const char *own_id, unsigned tries)
{
	_cleanup_close_ int fd = openat(root_fd, remap, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char buffer[NAMES_SIZE] __attribute__((aligned(8), uninitialized));
	const char *ids[NAMES_MAX] __attribute__((uninitialized));
	unsigned tried = 0;
	size_t n, start;

	n = fd < 0 ? 0 : read_names(fd, buffer, state_is_id, ids);
	start = n > 1 ? random_below(n) : 0;
	for (size_t i = 0; i < n && tried < tries; i++) {
		const char *id = ids[(start + i) % n];

		if (streq(id, own_id))
			continue;
		if (!lives(fd, id))
			(void)state_recover(root_fd, remap, id, SOME_TIMEOUT_MS, NULL);
		tried++;
	}
	return tried ? tried : 1;
}

void state_collect_some(int root_fd, const char *remap, const char *id)
{
	_cleanup_close_ int list = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char buffer[NAMES_SIZE] __attribute__((aligned(8), uninitialized));
	const char *remaps[NAMES_MAX] __attribute__((uninitialized));
	unsigned tried;
	size_t n, start;

	tried = collect_some_of(root_fd, remap, id, SOME_OWN_MAX);
	n = list < 0 ? 0 : read_names(list, buffer, state_is_remap, remaps);
	start = n > 1 ? random_below(n) : 0;
	for (size_t i = 0; i < n && tried < STATE_TRIES_MAX; i++) {
		const char *other = remaps[(start + i) % n];

		if (!streq(other, remap))
			tried += collect_some_of(root_fd, other, id, STATE_TRIES_MAX - tried);
	}
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
		r = state_recover(c->root_fd, remap, entry->d_name, STATE_RECOVER_MS, &failure);
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
