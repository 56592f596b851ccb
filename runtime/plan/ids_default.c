/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/ids_auto.h>

#include <nsrun/kernel/helper.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/file.h>

#define NO_NUMBER UINT32_MAX /* lines are looked for by name alone */

static int find_kind(const struct id_files *files, enum subid_kind kind, struct idmap *map, struct err *err)
{
	_cleanup_(subid_ranges_done) struct subid_ranges ranges = { 0 };
	int r = subid_ranges_in(files, kind, AUTO_USER, NO_NUMBER, &ranges, err);

	if (r < 0 || ranges.n == 0)
		return r;
	*map = (struct idmap){ .n = 1, .extents = { { 0, ranges.ranges[0].first, ranges.ranges[0].count } } };
	if (map->extents[0].count > AUTO_COUNT)
		map->extents[0].count = AUTO_COUNT; /* the rest is for auto */
	return 1;
}

int ids_default_find(const struct id_files *files, struct idmap *uids, struct idmap *gids, struct err *err)
{
	struct idmap u = { 0 }, g = { 0 };
	int has_uids, has_gids;

	has_uids = find_kind(files, SUBID_UID, &u, err);
	if (has_uids < 0)
		return has_uids;
	has_gids = find_kind(files, SUBID_GID, &g, err);
	if (has_gids < 0)
		return has_gids;
	if (!has_uids || !has_gids)
		return 0;
	*uids = u;
	*gids = g;
	return 1;
}

/* shadow's programs, not our own edits: they hold the locks of /etc/passwd and /etc/subuid that other tools respect. */
static int run(const char *const *argv, struct err *err)
{
	char path[PATH_MAX], output[ERR_MESSAGE_MAX / 2];
	int r, status;

	if (helper_find(NULL, argv[0], path, sizeof(path)) < 0)
		return err_input(err,
				 "--userns-remap default: user " AUTO_USER " cannot be made, since %s is not installed",
				 argv[0]);
	r = helper_run(path, argv, NULL, output, sizeof(output), &status, err);
	if (r < 0)
		return r;
	if (status != 0)
		return err_refused(err, ERR_ID_NONE,
				   "--userns-remap default: %s for user " AUTO_USER ": %s (status %d)", path,
				   output[0] ? output : "failed without a word", status);
	return 0;
}

static int make_user(struct err *err)
{
	static const char *const argv[] = {
		"useradd",	"--system",
		"--user-group", "--no-create-home",
		"--home-dir",	"/nonexistent",
		"--shell",	"/usr/sbin/nologin",
		"--comment",	"owner of subordinate ids for nsrun",
		AUTO_USER,	NULL,
	};
	char buffer[16384];
	struct passwd entry, *found = NULL;

	getpwnam_r(AUTO_USER, &entry, buffer, sizeof(buffer), &found);
	return found ? 0 : run(argv, err);
}

static int give_range(enum subid_kind kind, struct subid_range ids, struct err *err)
{
	char range[24];
	const char *argv[] = { "usermod", kind == SUBID_UID ? "--add-subuids" : "--add-subgids", range, AUTO_USER,
			       NULL };

	snprintf(range, sizeof(range), "%u-%u", ids.first, ids.first + ids.count - 1);
	return run(argv, err);
}

int ids_default_make(int ranges_fd, const struct id_files *files, bool initial_userns, struct err *err)
{
	_cleanup_close_ int lock = FD_NONE, range = FD_NONE;
	struct idmap map;
	struct subid_range ids;
	int r;

	lock = openat(ranges_fd, AUTO_USER, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (lock < 0)
		return err_system(err, "ranges/" AUTO_USER " in the state root");
	do
		r = flock(lock, LOCK_EX);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_system(err, "ranges/" AUTO_USER " in the state root: locking");
	r = make_user(err);
	if (r < 0)
		return r;
	/* Any free auto range will do, kept locked until the files give it to nsremap. */
	r = ids_auto_take(ranges_fd, files, initial_userns, NULL, NULL, &range, &ids, err);
	if (r < 0)
		return r;
	/* Another launch may have done it while this one waited for the lock. */
	for (int kind = 0; kind < 2; kind++) {
		r = find_kind(files, kind, &map, err);
		if (r == 0)
			r = give_range(kind, ids, err);
		if (r < 0)
			return r;
	}
	return 0;
}
