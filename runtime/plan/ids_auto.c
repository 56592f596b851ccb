/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/ids_auto.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define POOL_FIRST UINT32_C(524288)
#define OVERFLOW_ID 65534u /* stands for every id that a map does not have (user_namespaces(7)): nobody's */
#define POOL_LAST UINT32_C(1879048191)
#define ACCOUNTS_MAX (16u << 20)

/* Bytes of `ids` for one extent; see the header. */
static int lock_ids(int fd, short type, enum subid_kind kind, uint32_t first, uint32_t count)
{
	struct flock lock = {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = ((off_t)kind << 32) + first,
		.l_len = count,
	};

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	return errno == EACCES ? -EAGAIN : -errno;
}

static int open_ids(int ranges_fd, struct err *err)
{
	int fd = openat(ranges_fd, "ids", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? err_system(err, "ranges/ids in the state root") : fd;
}

static int hold_map(int fd, enum subid_kind kind, const struct idmap *map, struct err *err)
{
	for (size_t i = 0; i < map->n; i++) {
		const struct idmap_extent *e = &map->extents[i];
		int r = lock_ids(fd, F_RDLCK, kind, e->outside, e->count);

		if (r == -EAGAIN)
			return err_refused(
				err, ERR_ID_SUBID_OVERLAP,
				"host %cids %u to %u: a container that was promised a range of its own uses some of them",
				kind == SUBID_UID ? 'u' : 'g', e->outside, e->outside + (e->count - 1));
		if (r < 0)
			return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "ranges/ids in the state root: locking");
	}
	return 0;
}

int ids_hold(int ranges_fd, const struct idmap *uids, const struct idmap *gids, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = open_ids(ranges_fd, err);
	int r;

	if (fd < 0)
		return fd;
	r = hold_map(fd, SUBID_UID, uids, err);
	if (r < 0)
		return r;
	r = hold_map(fd, SUBID_GID, gids, err);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int lock_auto(int fd, uint32_t first, uint32_t count)
{
	int r = lock_ids(fd, F_WRLCK, SUBID_UID, first, count);

	if (r < 0)
		return r;
	r = lock_ids(fd, F_WRLCK, SUBID_GID, first, count);
	if (r < 0)
		lock_ids(fd, F_UNLCK, SUBID_UID, first, count);
	return r;
}

int ids_auto_lock(int ranges_fd, uint32_t first, int *ret_fd)
{
	_cleanup_close_ int fd = open_ids(ranges_fd, NULL);
	int r;

	if (fd < 0)
		return fd;
	r = lock_auto(fd, first, AUTO_COUNT_MIN); /* no two ranges begin as near as that */
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* Where ranges are taken from: segments of whole ranges, and what is to be left out of them. */
struct pool {
	size_t n, n_busy, room;
	uint64_t total; /* ranges in all segments */
	uint32_t unit;	/* ids in a range */
	struct {
		uint32_t first, ranges;
	} segments[64];
	struct subid_range *busy;
};

static void pool_done(struct pool *pool)
{
	free(pool->busy);
}

static int pool_busy(struct pool *pool, uint32_t first, uint32_t count)
{
	if (pool->n_busy == pool->room) {
		size_t more = pool->room ? 2 * pool->room : 64;
		struct subid_range *grown = reallocarray(pool->busy, more, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		pool->busy = grown;
		pool->room = more;
	}
	pool->busy[pool->n_busy++] = (struct subid_range){ first, count };
	return 0;
}

static bool pool_is_busy(const struct pool *pool, uint32_t first)
{
	for (size_t i = 0; i < pool->n_busy; i++)
		if ((uint64_t)first < (uint64_t)pool->busy[i].first + pool->busy[i].count &&
		    pool->busy[i].first < (uint64_t)first + pool->unit)
			return true;
	return false;
}

static void pool_add(struct pool *pool, uint64_t first, uint64_t end)
{
	uint64_t ranges = end > first ? (end - first) / pool->unit : 0;

	if (ranges == 0 || pool->n == ARRAY_LEN(pool->segments))
		return;
	pool->segments[pool->n].first = (uint32_t)first;
	pool->segments[pool->n++].ranges = (uint32_t)ranges;
	pool->total += ranges;
}

static uint64_t max64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Adds what of [first, end) this user namespace has, as uids and as gids. */
static void pool_add_visible(struct pool *pool, uint64_t first, uint64_t end, bool initial_userns, bool aligned)
{
	struct idmap uids, gids;

	if (!ids_visible(initial_userns, SUBID_UID, &uids) || !ids_visible(initial_userns, SUBID_GID, &gids)) {
		pool_add(pool, first, end);
		return;
	}
	for (size_t i = 0; i < uids.n; i++) {
		for (size_t j = 0; j < gids.n; j++) {
			const struct idmap_extent *u = &uids.extents[i], *g = &gids.extents[j];
			uint64_t from = max64(first, max64(u->inside, g->inside));

			if (aligned)
				from = (from + pool->unit - 1) / pool->unit * pool->unit;
			pool_add(pool, from,
				 min64(end, min64((uint64_t)u->inside + u->count, (uint64_t)g->inside + g->count)));
		}
	}
}

/* Third field of each line of passwd(5) or group(5): an id that somebody may have files with. Read here rather than through
 * getpwent(3), which may ask the network; the remedy against users from there is a range for nsremap. */
static int pool_mark_accounts(struct pool *pool, const char *path, struct err *err)
{
	_cleanup_free_ char *data = NULL;
	struct err read_err = ERR_INIT;
	size_t size;
	int r;

	r = file_read_at(AT_FDCWD, path, ACCOUNTS_MAX, &data, &size, &read_err);
	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		if (err && !err_is_set(err))
			*err = read_err;
		return r;
	}
	for (const char *p = data, *end = data + size; p < end;) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		size_t left = (size_t)((eol ? eol : end) - p);
		const char *name_end = memchr(p, ':', left);
		const char *password_end =
			name_end ? memchr(name_end + 1, ':', left - (size_t)(name_end + 1 - p)) : NULL;

		if (password_end) {
			unsigned long id = strtoul(password_end + 1, NULL, 10);

			if (id > 0 && id <= IDMAP_ID_MAX && pool_busy(pool, (uint32_t)id, 1) < 0)
				return err_oom(err);
		}
		p += left + 1;
	}
	return 0;
}

static bool is_auto_user(const struct subid_line *line)
{
	return streq(line->owner, AUTO_USER);
}

static bool lines_first(const struct subid_line *lines, size_t n, uint32_t *ret)
{
	for (size_t i = 0; i < n; i++)
		if (is_auto_user(&lines[i])) {
			*ret = lines[i].range.first;
			return true;
		}
	return false;
}

/* The rest of nsremap's ranges, where subuid and subgid agree. */
static void pool_add_nsremap(struct pool *pool, struct subid_line *const lines[2], const size_t n[2],
			     bool initial_userns)
{
	for (size_t i = 0; i < n[SUBID_UID]; i++) {
		for (size_t j = 0; j < n[SUBID_GID]; j++) {
			const struct subid_range *u = &lines[SUBID_UID][i].range, *g = &lines[SUBID_GID][j].range;

			if (is_auto_user(&lines[SUBID_UID][i]) && is_auto_user(&lines[SUBID_GID][j]))
				pool_add_visible(pool, max64(u->first, g->first),
						 min64((uint64_t)u->first + u->count, (uint64_t)g->first + g->count),
						 initial_userns, false);
		}
	}
}

/* Inside another container: beyond its first 65536 ids; where there are no more, ranges of a sixteenth, and of a sixteenth of that one level
 * deeper. The first range, which has the ids of the container around, is for no other. */
static int pool_add_nested(struct pool *pool)
{
	while (pool->total == 0 && pool->unit >= AUTO_COUNT_MIN) {
		pool_add_visible(pool, pool->unit, (uint64_t)POOL_LAST + 1, false, true);
		if (pool->total == 0)
			pool->unit /= 16;
	}
	return pool_busy(pool, OVERFLOW_ID, 1);
}

static int pool_build(struct pool *pool, struct subid_line *const lines[2], const size_t n[2],
		      const struct id_files *files, bool initial_userns, struct err *err)
{
	uint32_t first[2];
	bool nsremap = true;
	int r;

	for (int kind = 0; kind < 2; kind++)
		nsremap = nsremap && lines_first(lines[kind], n[kind], &first[kind]);
	if (nsremap) {
		pool_add_nsremap(pool, lines, n, initial_userns);
		for (int kind = 0; kind < 2; kind++)
			if (pool_busy(pool, first[kind], AUTO_COUNT) < 0) /* `default` has these */
				return err_oom(err);
		/* Nothing beyond: nsremap is not meant for auto. */
		if (pool->total == 0 || (pool->total == 1 && pool_is_busy(pool, pool->segments[0].first))) {
			pool->n = pool->total = 0;
			nsremap = false;
		}
	}
	if (!nsremap && initial_userns)
		pool_add_visible(pool, POOL_FIRST, (uint64_t)POOL_LAST + 1, true, true);
	else if (!nsremap && pool_add_nested(pool) < 0)
		return err_oom(err);
	for (int kind = 0; kind < 2; kind++)
		for (size_t i = 0; i < n[kind]; i++)
			if (!(nsremap && is_auto_user(&lines[kind][i])) &&
			    pool_busy(pool, lines[kind][i].range.first, lines[kind][i].range.count) < 0)
				return err_oom(err);
	r = pool_mark_accounts(pool, files->passwd, err);
	return r < 0 ? r : pool_mark_accounts(pool, files->group, err);
}

static int pool_load(struct pool *pool, const struct id_files *files, bool initial_userns, struct err *err)
{
	struct subid_line *lines[2] = { NULL, NULL };
	size_t n[2] = { 0, 0 };
	int r = 0;

	pool->unit = AUTO_COUNT;
	for (int kind = 0; kind < 2 && r == 0; kind++)
		r = subid_read_file(files->subid[kind], &lines[kind], &n[kind], err);
	if (r == 0)
		r = pool_build(pool, lines, n, files, initial_userns, err);
	for (int kind = 0; kind < 2; kind++)
		subid_lines_free(lines[kind], n[kind]);
	return r;
}

static uint32_t pool_range(const struct pool *pool, uint64_t index)
{
	size_t i = 0;

	while (index >= pool->segments[i].ranges)
		index -= pool->segments[i++].ranges;
	return pool->segments[i].first + (uint32_t)index * pool->unit;
}

/* systemd-nspawn keeps a locked file there for each range that it has picked, and removes it at the end. */
static bool nspawn_has(uint32_t first)
{
	char path[64];

	snprintf(path, sizeof(path), "/run/systemd/nspawn-uid/%u", first);
	return access(path, F_OK) == 0;
}

/* The container around nsrun may have too few for any other. */
static int check_divisible(const struct pool *pool, bool initial_userns, struct err *err)
{
	if (initial_userns || pool->total > 0)
		return 0;
	return err_set(err, ERR_REFUSED, ERR_ID_NESTED_IDS, EUSERS,
		       "--userns-remap auto: this user namespace has no %u ids beyond its first %u for a container "
		       "(/proc/self/uid_map, gid_map)",
		       AUTO_COUNT_MIN, AUTO_COUNT_MIN);
}

int ids_auto_take(int ranges_fd, const struct id_files *files, bool initial_userns,
		  int (*usable)(uint32_t first, void *data), void *data, int *ret_fd, struct subid_range *ret,
		  struct err *err)
{
	_cleanup_(pool_done) struct pool pool = { 0 };
	_cleanup_close_ int fd = FD_NONE;
	uint64_t start = 0;
	int r;

	r = pool_load(&pool, files, initial_userns, err);
	if (r == 0)
		r = check_divisible(&pool, initial_userns, err);
	if (r < 0)
		return r;
	fd = open_ids(ranges_fd, err);
	if (fd < 0)
		return fd;
	/* A random start: with few of many ranges in use the first try succeeds, however many containers there are. */
	if (getrandom(&start, sizeof(start), 0) < 0)
		return err_system(err, "getrandom");
	for (uint64_t i = 0; i < pool.total; i++) {
		uint32_t first = pool_range(&pool, (start % pool.total + i) % pool.total);

		if (first == 0 || pool_is_busy(&pool, first) || nspawn_has(first))
			continue;
		r = lock_auto(fd, first, pool.unit);
		if (r == -EAGAIN)
			continue;
		if (r < 0)
			return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "ranges/ids in the state root: locking");
		if (!usable || usable(first, data) > 0) {
			*ret = (struct subid_range){ first, pool.unit };
			*ret_fd = TAKE_FD(fd);
			return 0;
		}
		lock_ids(fd, F_UNLCK, SUBID_UID, first, pool.unit);
		lock_ids(fd, F_UNLCK, SUBID_GID, first, pool.unit);
	}
	return err_set(err, ERR_REFUSED, ERR_ID_SUBID_EXHAUSTED, EUSERS,
		       "--userns-remap auto: none of %llu ranges of %u ids is free", (unsigned long long)pool.total,
		       pool.unit);
}

int ids_auto_at(const struct id_files *files, uint32_t first, uint32_t *ret_count, struct err *err)
{
	_cleanup_(pool_done) struct pool pool = { 0 };
	int r = pool_load(&pool, files, false, err);

	if (r == 0)
		r = check_divisible(&pool, false, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < pool.n; i++) {
		const uint64_t offset = (uint64_t)first - pool.segments[i].first;

		if (first < pool.segments[i].first || offset % pool.unit != 0 ||
		    offset / pool.unit >= pool.segments[i].ranges || pool_is_busy(&pool, first))
			continue;
		*ret_count = pool.unit;
		return 1;
	}
	return 0;
}
