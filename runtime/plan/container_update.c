/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/container_update.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/kernel/systemd.h>
#include <nsrun/plan/container_group.h>
#include <nsrun/plan/limits.h>
#include <nsrun/plan/state.h>

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>

#define NEW_RECORD "resources.new"
#define RECORD "resources.json"

struct update {
	struct arena *arena;
	struct container now; /* its record, read with the lock held */
	struct cgroup_host host;
	const char *path;
	struct cgroup_resources before, changes, after;
};

/* ---- reading ---- */

static void take_file(int dir_fd, struct container *c)
{
	json_t *resources = NULL;

	if (state_load(dir_fd, RECORD, c->id, &resources, NULL) == 0)
		json_object_set(c->state, "resources", resources);
	json_decref(resources);
}

/* NULL: nothing can be told, and what was recorded before is as good as anything. */
static json_t *which_held(const struct container *c, const json_t *new_record)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct cgroup_resources before, after, held;
	struct cgroup_host host;
	const char *path;

	if (!arena || container_group(c, arena, &host, &path, NULL) < 0 ||
	    container_resources(c, arena, &before, NULL) < 0 ||
	    limits_from_json(arena, new_record, NEW_RECORD, &after, NULL) < 0 ||
	    cgroup_which_held(&host, path, &before, &after, arena, &held, NULL) < 0)
		return NULL;
	return limits_to_json(&held);
}

void container_update_take(int dir_fd, struct container *c)
{
	json_t *new_record = NULL, *resources = NULL;
	/* Before the other one: an update that ends meanwhile moves it there. */
	const bool unsure = c->init > 0 && state_load(dir_fd, NEW_RECORD, c->id, &new_record, NULL) == 0;

	take_file(dir_fd, c);
	if (unsure)
		resources = which_held(c, new_record);
	if (resources)
		json_object_set(c->state, "resources", resources);
	json_decref(resources);
	json_decref(new_record);
}

/* ---- changing ---- */

int container_update_parse(struct arena *arena, const struct plan_request *request, struct cgroup_resources *ret,
			   struct err *err)
{
	const struct cgroup_value none = { .resource = CGROUP_CPU_QUOTA, .number = -1 };
	struct plan_request rest = *request;
	const bool unlimited = rest.cpus && (streq(rest.cpus, "-1") || streq(rest.cpus, "unlimited"));

	/* At a launch it would be a mistake: no limit is what there is without the option. */
	if (unlimited)
		rest.cpus = NULL;
	const int r = plan_parse_limits(arena, &rest, ret, err);

	return r == 0 && unlimited ? cgroup_resources_add(arena, ret, &none, err) : r;
}

static void update_done(struct update *u)
{
	container_done(&u->now);
	arena_free(u->arena);
}

static int begin(struct update *u, const struct cgroup_resources *changes, struct err *err)
{
	struct pidref init = PIDREF_NONE;

	int r = container_open_init(&u->now, &init, err);
	if (r < 0)
		return r;
	pidref_close(&init);
	r = container_group(&u->now, u->arena, &u->host, &u->path, err);
	if (r == 0)
		r = container_resources(&u->now, u->arena, &u->before, err);
	for (size_t i = 0; r == 0 && i < u->before.n; i++)
		r = cgroup_resources_add(u->arena, &u->after, &u->before.values[i], err);
	for (size_t i = 0; r == 0 && i < changes->n; i++)
		r = cgroup_resources_add(u->arena, &u->after, &changes->values[i], err);
	u->changes = *changes;
	return r < 0 ? r : plan_check_limits(&u->after, err);
}

/*
 * Gives up what the group could do without, so that a limit which it then fits below kills nobody: memory.reclaim (5.19) reclaims as the limit would, and does
 * not kill. What it could not reclaim cgroup_update_limits() finds in use.
 */
static void reclaim(const struct update *u)
{
	const int64_t limit = cgroup_resources_number(&u->changes, CGROUP_MEMORY_LIMIT, -1);
	_cleanup_close_ int group = FD_NONE;
	_cleanup_free_ char *text = NULL;
	char amount[24];
	uint64_t used;

	if (limit < 0 || cgroup_on_v1(&u->host, CGROUP_MEMORY) || cgroup_open_v2(&u->host, u->path, &group, NULL) < 0 ||
	    file_read_virtual_at(group, "memory.current", 64, &text, NULL, NULL) < 0)
		return;
	text[strcspn(text, "\n")] = '\0';
	if (parse_u64(text, &used) < 0 || used <= (uint64_t)limit)
		return;
	snprintf(amount, sizeof(amount), "%" PRIu64, used - (uint64_t)limit);
	(void)file_write_at(group, "memory.reclaim", amount, NULL);
}

/*
 * systemd writes its own idea of limits at every change and reload: it is to have the same. What it rounds (a quota, to whole per cent) is written once
 * more. `undo` has what the files held before all of it: also of a limit that the container did not have.
 */
static int tell_systemd(const struct update *u, const struct cgroup_undo *undo, struct err *err)
{
	int r = systemd_update_limits(&u->host, u->path, &u->after, err);

	if (r == 0) {
		r = cgroup_update_limits(&u->host, u->path, &u->before, &u->changes, NULL, err);
		if (r < 0) /* first, since it writes files */
			(void)systemd_update_limits(&u->host, u->path, &u->before, NULL);
	}
	if (r < 0)
		cgroup_undo_update(&u->host, u->path, undo, err);
	return r;
}

static int write_limits(struct update *u, bool force, struct err *err)
{
	_cleanup_(cgroup_undo_done) struct cgroup_undo undo = { 0 };
	const bool v1 = cgroup_on_v1(&u->host, CGROUP_MEMORY);
	struct err why = ERR_INIT;

	/* v1 reclaims by itself, and refuses what does not fit then: it never kills here. */
	u->changes.check_before_update = !force && !v1;
	if (u->changes.check_before_update)
		reclaim(u);
	const int r = cgroup_update_limits(&u->host, u->path, &u->before, &u->changes, &undo, &why);
	if (r < 0 && why.errnum == EBUSY && v1)
		why.id = ERR_ID_LIMIT_BELOW_USE;
	if (r == 0 && systemd_unit_of_group(u->path)) {
		u->changes.check_before_update = false;
		return tell_systemd(u, &undo, err);
	}
	if (r < 0 && err && !err_is_set(err))
		*err = why;
	return r;
}

/* The new one is on disk before the limits are changed, so that nothing but a rename(2) is left to do afterwards. */
static int write_record(const struct cgroup_resources *resources, const char *file, int dir, struct err *err)
{
	json_t *json = limits_to_json(resources);
	_cleanup_free_ char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;

	json_decref(json);
	if (!text)
		return err_oom(err);
	return file_replace_at(dir, file, 0600, text, strlen(text), err);
}

static int locked(const struct container *container, int dir, const struct cgroup_resources *changes, bool force,
		  struct err *err)
{
	_cleanup_(update_done) struct update u = { .arena = arena_new(), .host = CGROUP_HOST_NONE };

	if (!u.arena)
		return err_oom(err);
	/* What another update has changed meanwhile counts. */
	int r = container_find(container->id, &u.now, err);
	if (r == 0)
		r = begin(&u, changes, err);
	/* Of one that was killed: what it has reached becomes the record, before this one takes its place. */
	if (r == 0 && faccessat(dir, NEW_RECORD, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		r = write_record(&u.before, RECORD, dir, err);
	if (r == 0)
		r = write_record(&u.after, NEW_RECORD, dir, err);
	if (r < 0)
		return r;
	r = write_limits(&u, force, err);
	if (r == 0 && renameat(dir, NEW_RECORD, dir, RECORD) < 0)
		r = err_system(err, "%s/" RECORD ": the limits are changed, and the record is not", container->dir);
	if (r < 0)
		unlinkat(dir, NEW_RECORD, 0);
	return r;
}

int container_update(const struct container *container, const struct cgroup_resources *changes, bool force,
		     struct err *err)
{
	_cleanup_close_ int dir = open(container->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir < 0)
		return err_system(err, "%s", container->dir);
	/* Of the directory: that of the file `lock` says that the owner lives. It ends with the descriptor. */
	while (flock(dir, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_system(err, "%s: lock", container->dir);
	return locked(container, dir, changes, force, err);
}
