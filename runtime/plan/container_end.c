/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/container_end.h>

#include <nsrun/base/clock.h>
#include <nsrun/base/procstat.h>
#include <nsrun/base/strings.h>
#include <nsrun/plan/container_record.h>
#include <nsrun/plan/reserve.h>
#include <nsrun/plan/state.h>

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <time.h>

/* A lock has no event to wait for that would not take it; an owner is done within milliseconds. */
#define NAP_MS_MIN 1
#define NAP_MS_MAX 20
#define STOPPED_MS 500 /* one that is stopped for so long waits for somebody to continue it */

struct place {
	char root[PATH_MAX];
	const char *remap; /* in `root`'s buffer */
	int root_fd;
};

static void nap(unsigned *ms)
{
	const struct timespec t = { .tv_nsec = *ms * 1000000L };

	nanosleep(&t, NULL);
	*ms = *ms * 2 < NAP_MS_MAX ? *ms * 2 : NAP_MS_MAX;
}

static int place_open(const struct container *c, struct place *ret, struct err *err)
{
	char *end;

	snprintf(ret->root, sizeof(ret->root), "%s", c->dir);
	end = strrchr(ret->root, '/');
	*end = '\0';
	end = strrchr(ret->root, '/');
	*end = '\0';
	ret->remap = end + 1;
	return state_open_dir(AT_FDCWD, ret->root, 0, ret->root, &ret->root_fd, err);
}

static void place_close(struct place *place)
{
	closep(&place->root_fd);
}

/* What becomes of a container whose end is awaited. */
enum turn { TURN_WAIT, TURN_GONE, TURN_ENDED };

static int take_turn(const struct container *c, const struct place *place, enum turn *ret, struct err *err)
{
	_cleanup_(container_done) struct container now = { 0 };
	int r;

	r = container_record_read(place->root, place->root_fd, place->remap, c->id, &now, err);
	if (r == -ENOENT) {
		*ret = TURN_GONE;
		return 0;
	}
	if (r < 0)
		return r;
	switch (now.status) {
	case CONTAINER_ENDED:
		/* The end is written before the owner lets go. */
		*ret = container_owner_lives(&now) ? TURN_WAIT : TURN_ENDED;
		return 0;
	case CONTAINER_DEAD:
		r = state_recover(place->root_fd, place->remap, c->id, STATE_RECOVER_MS, err);
		*ret = TURN_WAIT; /* what came of it, the record tells; or somebody else is at it */
		return r == -EBUSY && !(err && err_is_set(err)) ? 0 : r < 0 ? r : 0;
	default:
		*ret = TURN_WAIT;
		return 0;
	}
}

/* By job control: a shell's foreground job that was suspended. */
static bool owner_is_stopped(const struct container *c)
{
	struct procstat stat;

	return c->owner > 0 && procstat_read(c->owner, &stat, NULL) == 0 && stat.state == 'T';
}

static int late(const struct container *c, int errnum, unsigned timeout_ms, struct err *err)
{
	if (owner_is_stopped(c))
		return err_set(
			err, ERR_SYSTEM, ERR_ID_NONE, errnum,
			"%s: its nsrun, process %d, is stopped and cannot tidy up: continue it (fg, or kill -CONT %d)",
			container_label(c), (int)c->owner, (int)c->owner);
	return err_set(err, ERR_SYSTEM, ERR_ID_NONE, errnum, "%s: its nsrun, process %d, has not ended it within %u ms",
		       container_label(c), (int)c->owner, timeout_ms);
}

int container_settle(const struct container *container, unsigned timeout_ms, struct err *err)
{
	_cleanup_(place_close) struct place place = { .root_fd = FD_NONE };
	const uint64_t begin = now_ms(), deadline = begin + timeout_ms;
	unsigned ms = NAP_MS_MIN;
	enum turn turn;
	int r;

	r = place_open(container, &place, err);
	while (r == 0) {
		r = take_turn(container, &place, &turn, err);
		if (r < 0 || turn != TURN_WAIT)
			return r;
		if (now_ms() >= deadline || (now_ms() >= begin + STOPPED_MS && owner_is_stopped(container)))
			return late(container, ETIMEDOUT, timeout_ms, err);
		nap(&ms);
	}
	return r;
}

int container_remove(const struct container *container, unsigned timeout_ms, struct err *err)
{
	_cleanup_(place_close) struct place place = { .root_fd = FD_NONE };
	_cleanup_close_ int remap_fd = FD_NONE;
	int r;

	struct err why = ERR_INIT;
	r = container_settle(container, timeout_ms, &why);
	/* Its processes are ended before the record says so; that there is no room for a last record must not keep what takes the room. */
	if (r < 0 && r != -ENOSPC && r != -EDQUOT) {
		*err = why;
		return r == -ETIMEDOUT ? -EBUSY : r;
	}
	r = place_open(container, &place, err);
	if (r < 0)
		return r;
	remap_fd = openat(place.root_fd, place.remap, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (remap_fd < 0)
		return errno == ENOENT ? 0 : err_system(err, "%s/%s", place.root, place.remap);
	return state_remove(place.root_fd, place.remap, remap_fd, container->id, err);
}
