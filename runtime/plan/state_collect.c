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

#define SOME_TIMEOUT_MS 200 /* of a launch, which did not ask for this work */
#define SOME_OWN_MAX 6 /* tries in the own remap: the others must not be left out for a remap with many containers */

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
	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0;
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
		if (state_is_ended(fd, id))
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
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : dir_list_at(fd, ".");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		struct err failure = ERR_INIT;
		int r;

		if (!state_is_id(entry->d_name))
			continue;
		r = state_recover_any(c->root_fd, remap, entry->d_name, STATE_RECOVER_MS, &failure);
		if (r == -EBUSY && !err_is_set(&failure))
			continue;
		note(c, r, &failure);
		if (r > 0 && c->on_removed)
			c->on_removed(entry->d_name,
				      r == 1 ? "its runtime is dead"
					     : "its runtime is dead; its record stays until nsrun rm",
				      c->data);
	}
	unlinkat(c->root_fd, remap, AT_REMOVEDIR);
}

/* Markers of ranges that nobody holds any more. */
static void collect_ranges(struct collection *c)
{
	_cleanup_close_ int fd = openat(c->root_fd, "ranges", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : dir_list_at(fd, ".");
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
	dir = dir_list_at(root, ".");
	if (!dir)
		return err_system(err, "%s", state_root);
	while ((entry = readdir(dir)))
		if (state_is_remap(entry->d_name))
			collect_remap(&c, entry->d_name);
	collect_ranges(&c);
	state_names_tidy(root);
	return c.first_error;
}
