/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/reserve.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/systemd.h>
#include <nsrun/plan/filter_cache.h>
#include <nsrun/plan/ids_auto.h>
#include <nsrun/plan/state.h>
#include <nsrun/plan/tree.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define ID_ATTEMPTS 100

static void reservation_done(struct reservation *reservation)
{
	reservation_end(reservation, NULL);
}

/* The range is locked. When a marker stands there its last owner died: end what it left before anybody else gets these ids. */
static int range_usable(uint32_t first, void *data)
{
	const int *fds = data; /* state root, ranges */
	char name[16], target[64] = "", remap[32], id[PLAN_ID_LEN + 1];
	_cleanup_close_ int fd = FD_NONE;
	struct err why = ERR_INIT;
	ssize_t n;

	snprintf(name, sizeof(name), "%u", first);
	fd = openat(fds[1], name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT;
	n = read(fd, target, sizeof(target) - 1);
	if (n > 0 && sscanf(target, "%31[0-9.]/%12[0-9a-f]", remap, id) == 2 && state_is_remap(remap) &&
	    state_is_id(id) && state_recover(fds[0], remap, id, STATE_RECOVER_MS, &why) < 0)
		return 0; /* still being ended by somebody else, or cannot be: nsrun gc tells the reason */
	return unlinkat(fds[1], name, 0) == 0 || errno == ENOENT;
}

static int take_auto(struct plan *plan, const int *fds, struct reservation *reservation, struct err *err)
{
	struct subid_range ids;
	char *marker;
	int r;

	r = ids_auto_take(fds[1], &id_files_host, plan->caller != CALLER_NESTED, range_usable, (void *)fds,
			  &reservation->range_fd, &ids, err);
	if (r < 0)
		return r;
	if (asprintf(&marker, "%s/ranges/%u", plan->state_root, ids.first) < 0)
		return err_oom(err);
	reservation->marker = marker;
	plan->uids = (struct idmap){ .n = 1, .extents = { { 0, ids.first, ids.count } } };
	plan->gids = plan->uids;
	return 0;
}

static int take_ids(struct plan *plan, const int *fds, struct reservation *reservation, struct err *err)
{
	bool initial = plan->caller != CALLER_NESTED;
	int r;

	/* An ordinary user's locks would be seen by that user's own containers alone, which may share. */
	if (plan_is_bundle(plan)) /* whoever wrote config.json shares them out */
		return 0;
	if (plan->remap == REMAP_NONE || plan->performer[WORK_MAPS] != BY_RUNTIME || plan->remap == REMAP_SINGLE ||
	    plan->caller == CALLER_USER_SINGLE)
		return 0;
	if (plan->remap == REMAP_AUTO) {
		r = take_auto(plan, fds, reservation, err);
		if (r < 0)
			return r;
	} else {
		if (plan->auto_pending) {
			r = ids_default_make(fds[1], &id_files_host, initial, err);
			if (r == 0)
				r = ids_default_find(&id_files_host, &plan->uids, &plan->gids, err);
			if (r < 0)
				return r;
			if (r == 0)
				return err_bug(err,
					       "user " AUTO_USER ": still without ranges after usermod gave it some");
		}
		r = ids_hold(fds[1], &plan->uids, &plan->gids, &reservation->range_fd, err);
		if (r < 0)
			return r;
	}
	if (plan->auto_pending) {
		r = ids_settle_maps(plan, initial, err);
		if (r < 0)
			return r;
		plan->auto_pending = false;
	}
	return 0;
}

static int random_id(char *ret, struct err *err)
{
	unsigned char bytes[PLAN_ID_LEN / 2];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return err_system(err, "getrandom");
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

/* -EAGAIN: met a collector, or the removal of the remap's directory after its last container: try again. */
static int make_dir_once(const char *remap, const char *id, const int *fds, int *ret_lock, struct err *err)
{
	_cleanup_close_ int remap_fd = FD_NONE, dir = FD_NONE;
	int r;

	r = state_open_dir(fds[0], remap, 0700, remap, &remap_fd, NULL);
	if (r == -ENOENT)
		return -EAGAIN;
	if (r < 0) { /* again, for the words */
		r = state_open_dir(fds[0], remap, 0700, remap, &remap_fd, err);
		return r < 0 ? r : -EAGAIN;
	}
	if (mkdirat(remap_fd, id, 0700) < 0)
		return errno == EEXIST || errno == ENOENT
			       ? -EAGAIN
			       : err_system(err, "%s/%s in the state root: making it", remap, id);
	dir = openat(remap_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? -EAGAIN : err_system(err, "%s/%s in the state root", remap, id);
	r = state_lock(dir, ret_lock, err);
	return r == -EBUSY || r == -ESTALE ? -EAGAIN : r;
}

static int make_dir(struct plan *plan, const int *fds, struct reservation *reservation, struct err *err)
{
	char remap[32];
	int r = -EAGAIN;

	snprintf(remap, sizeof(remap), "%u.%u", plan->root_uid, plan->root_gid);
	for (int i = 0; i < ID_ATTEMPTS && r == -EAGAIN; i++) {
		r = random_id(plan->id, err);
		if (r < 0)
			return r;
		r = make_dir_once(remap, plan->id, fds, &reservation->lock_fd, err);
	}
	if (r == -EAGAIN)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, EAGAIN,
			       "%s/%s: no state directory of our own in %d attempts", plan->state_root, remap,
			       ID_ATTEMPTS);
	if (r < 0)
		return r;
	clock_gettime(CLOCK_REALTIME, &reservation->created);
	plan->state_dir = arena_printf(plan->arena, "%s/%s/%s", plan->state_root, remap, plan->id);
	reservation->dir = plan->state_dir ? strdup(plan->state_dir) : NULL;
	return reservation->dir ? 0 : err_oom(err);
}

/* What the launch makes in the state directory for the container to see. */
static int fill_own_trees(struct plan *plan, struct err *err)
{
	for (size_t i = 0; i < plan->n_sources; i++) {
		struct plan_tree *tree = &plan->sources[i];

		if (!tree->own)
			continue;
		tree->source = tree->path = arena_printf(plan->arena, "%s/%s", plan->state_dir, tree->path);
		if (!tree->source)
			return err_oom(err);
	}
	return 0;
}

/* Under the range's lock, so no other launch writes it. */
static int write_marker(const struct plan *plan, int ranges_fd, struct err *err)
{
	_cleanup_close_ int fd = FD_NONE;
	char name[16], text[64];
	int n;

	snprintf(name, sizeof(name), "%u", plan->root_uid);
	n = snprintf(text, sizeof(text), "%u.%u/%s", plan->root_uid, plan->root_gid, plan->id);
	fd = openat(ranges_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, (size_t)n) != n)
		return err_system(err, "ranges/%s in the state root", name);
	return 0;
}

static int open_dirs(const struct plan *plan, int *fds, struct err *err)
{
	int r;

	r = state_root_make(plan->state_root, &fds[0], err);
	return r < 0 ? r : state_open_dir(fds[0], "ranges", 0700, "ranges in the state root", &fds[1], err);
}

static int fill_names(struct plan *plan, struct err *err)
{
	const bool bundle = plan_is_bundle(plan); /* config.json gives its host a name, or none */

	if (!plan->hostname && !bundle)
		plan->hostname = arena_strdup(plan->arena, plan->id);
	if (!plan->hostname && !bundle)
		return err_oom(err);
	if (plan->cgroup_path && (!bundle || plan->bundle->cgroup_by_id)) {
		char unit[SYSTEMD_UNIT_SIZE];

		systemd_unit_name(plan->id, unit);
		plan->cgroup_path =
			arena_printf(plan->arena, "%s/%s", streq(plan->cgroup_path, "/") ? "" : plan->cgroup_path,
				     plan->cgroup_manager == CGROUP_MANAGER_SYSTEMD ? unit : plan->id);
		if (!plan->cgroup_path)
			return err_oom(err);
	}
	return 0;
}

static int reserve(struct plan *plan, struct reservation *ret, struct err *err)
{
	_cleanup_(reservation_done) struct reservation reservation = RESERVATION_NONE;
	_cleanup_close_ int root_fd = FD_NONE, ranges_fd = FD_NONE;
	int fds[2] = { FD_NONE, FD_NONE }, r;
	char remap[32];

	r = open_dirs(plan, fds, err);
	root_fd = fds[0];
	ranges_fd = fds[1];
	if (r < 0)
		return r;
	r = take_ids(plan, fds, &reservation, err);
	if (r < 0)
		return r;
	plan_settle_trees(plan);
	r = make_dir(plan, fds, &reservation, err);
	if (r == 0)
		r = fill_own_trees(plan, err);
	if (r < 0)
		return r;
	if (reservation.marker) {
		r = write_marker(plan, ranges_fd, err);
		if (r < 0)
			return r;
	}
	snprintf(remap, sizeof(remap), "%u.%u", plan->root_uid, plan->root_gid);
	r = fill_names(plan, err);
	if (r == 0 && plan->name)
		r = state_name_take(root_fd, remap, plan->id, plan->name, err);
	if (r < 0)
		return r;
	state_collect_some(root_fd, remap, plan->id);
	if (plan->new_filter)
		(void)filter_cache_keep(NULL, plan->new_filter);
	*ret = reservation;
	reservation = RESERVATION_NONE;
	return 0;
}

int plan_reserve(struct plan *plan, struct reservation *ret, struct err *err)
{
	struct err why = ERR_INIT;
	const int r = reserve(plan, ret, &why);

	if (r == -EROFS)
		return err_set(err, ERR_SYSTEM, ERR_ID_STATE_READONLY, EROFS, "%s: records of containers",
			       plan->state_root);
	if (r < 0 && err && !err_is_set(err))
		*err = why;
	return r;
}

static int remove_dir(const char *path, struct err *err)
{
	_cleanup_close_ int root_fd = FD_NONE, remap_fd = FD_NONE;
	_cleanup_free_ char *copy = strdup(path);
	char *id, *remap;

	if (!copy)
		return err_oom(err);
	id = strrchr(copy, '/');
	*id++ = '\0';
	remap = strrchr(copy, '/');
	*remap++ = '\0';
	root_fd = open(copy, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	remap_fd = root_fd < 0 ? FD_NONE : openat(root_fd, remap, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (remap_fd < 0)
		return errno == ENOENT ? 0 : err_system(err, "%s", path);
	return state_remove(root_fd, remap, remap_fd, id, err);
}

void reservation_abandon(struct reservation *reservation)
{
	closep(&reservation->range_fd);
	closep(&reservation->lock_fd);
	free(reservation->dir);
	free(reservation->marker);
	*reservation = RESERVATION_NONE;
}

int reservation_lock_again(struct reservation *reservation)
{
	_cleanup_close_ int dir = open(reservation->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return dir < 0 ? -errno : state_lock(dir, &reservation->lock_fd, NULL);
}

/* The marker goes before the lock on the ids does: afterwards it may be somebody else's. */
static int remove_marker(const struct reservation *reservation, struct err *err)
{
	if (reservation->marker && unlink(reservation->marker) < 0 && errno != ENOENT)
		return err_system(err, "%s", reservation->marker);
	return 0;
}

int reservation_end(struct reservation *reservation, struct err *err)
{
	int r = 0;

	if (reservation->dir)
		r = remove_dir(reservation->dir, err);
	if (r == 0) /* a directory that stays keeps its marker */
		r = remove_marker(reservation, err);
	reservation_abandon(reservation);
	return r;
}

int reservation_keep(const struct plan *plan, struct reservation *reservation, const struct state_exit *end,
		     struct err *err)
{
	_cleanup_close_ int dir = open(reservation->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (dir < 0)
		r = err_system(err, "%s", reservation->dir);
	else
		r = state_record_end(dir, plan, reservation, end, err);
	if (r == 0)
		r = remove_marker(reservation, err);
	if (r == 0)
		state_end_files(dir);
	reservation_abandon(reservation);
	return r;
}
