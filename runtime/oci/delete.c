/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/oci/delete.h>

#include <nsrun/base/clock.h>
#include <nsrun/launch/hooks.h>
#include <nsrun/plan/container_group.h>
#include <nsrun/plan/oci_state.h>
#include <nsrun/plan/reserve.h>
#include <nsrun/plan/state.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define DEATH_MS 10000 /* of a process that has got SIGKILL */
#define THAW_MS 50     /* then something of it may be frozen */
#define MAKING_MS 2000 /* for a create that is at work to have an init, or to undo what it did without one */
#define LOCK_MS 15000  /* for another one that deletes it */
#define NAP_MS 1

static void nap(void)
{
	const struct timespec t = { .tv_nsec = NAP_MS * 1000000L };

	nanosleep(&t, NULL);
}

/* ---- state ---- */

json_t *container_oci_state(const struct container *container)
{
	const json_t *bundle = json_object_get(container->state, "bundle");
	const char *rootfs = container_text(container, "rootfs"), *created = container_text(container, "created");
	const bool lives = container->status != CONTAINER_STOPPED;
	json_t *state = oci_state_json(json_string_value(json_object_get(bundle, "oci_version")),
				       container_label(container), container_oci_status(container),
				       lives ? container->init : 0, json_string_value(json_object_get(bundle, "dir")),
				       json_object_get(bundle, "annotations"));

	if (!state)
		return NULL;
	json_object_set_new(state, "rootfs", json_string(rootfs ? rootfs : ""));
	if (created)
		json_object_set_new(state, "created", json_string(created));
	json_object_set_new(state, "owner", json_string(""));
	return state;
}

/* ---- hooks of the record ---- */

static const char *const *strings_of(struct arena *arena, const json_t *array)
{
	const size_t n = json_array_size(array);
	const char **list = arena_alloc(arena, (n + 1) * sizeof(*list));

	for (size_t i = 0; list && i < n; i++)
		list[i] = json_string_value(json_array_get(array, i));
	return list;
}

static int hooks_of(struct arena *arena, const json_t *array, struct plan_hooks *ret, struct err *err)
{
	const size_t n = json_array_size(array);
	struct plan_hook *hooks = arena_alloc(arena, (n + 1) * sizeof(*hooks));

	for (size_t i = 0; i < n; i++) {
		const json_t *hook = json_array_get(array, i), *args = json_object_get(hook, "args");

		if (!hooks)
			return err_oom(err);
		hooks[i].path = json_string_value(json_object_get(hook, "path"));
		hooks[i].timeout = (unsigned)json_integer_value(json_object_get(hook, "timeout"));
		hooks[i].env = strings_of(arena, json_object_get(hook, "env"));
		hooks[i].argv = args ? strings_of(arena, args) : NULL;
		if (!hooks[i].env || (args && !hooks[i].argv))
			return err_oom(err);
	}
	*ret = (struct plan_hooks){ .n = n, .hooks = hooks };
	return 0;
}

static int run_hooks(const struct container *container, enum hook_kind kind, const char *status, pid_t pid,
		     struct err *err)
{
	const json_t *bundle = json_object_get(container->state, "bundle");
	const json_t *array = json_object_get(json_object_get(bundle, "hooks"), hook_kind_name(kind));
	_cleanup_(arena_freep) struct arena *arena = NULL;
	const char *dir = json_string_value(json_object_get(bundle, "dir"));
	struct plan_hooks hooks;

	if (json_array_size(array) == 0)
		return 0;
	arena = arena_new();
	if (!arena)
		return err_oom(err);
	const int r = hooks_of(arena, array, &hooks, err);
	if (r < 0)
		return r;
	json_t *state =
		oci_state_json(json_string_value(json_object_get(bundle, "oci_version")), container_label(container),
			       status, pid, dir, json_object_get(bundle, "annotations"));
	_cleanup_free_ char *text = state ? json_dumps(state, JSON_COMPACT) : NULL;
	json_decref(state);
	/* The bundle may be gone by the time it is deleted. */
	return text ? hooks_run(kind, &hooks, text, access(dir, X_OK) == 0 ? dir : NULL, err) : err_oom(err);
}

int container_poststart(const struct container *container, struct err *err)
{
	_cleanup_(pidref_close) struct pidref init = PIDREF_NONE;

	const int r = run_hooks(container, HOOK_POSTSTART, "running", container->init, err);
	if (r < 0 && container_open_init(container, &init, NULL) == 0)
		(void)pidref_kill(&init, SIGKILL, NULL);
	return r;
}

/* ---- delete ---- */

static int await_end(const struct container *c, const struct pidref *init, struct err *err)
{
	struct pollfd fd = { .fd = init->fd, .events = POLLIN };
	const uint64_t deadline = now_ms() + DEATH_MS;

	while (now_ms() < deadline) {
		if (poll(&fd, 1, THAW_MS) > 0)
			return 0;
		container_thaw(c);
	}
	return err_set(err, ERR_SYSTEM, ERR_ID_NONE, ETIMEDOUT, "%s: process %d has not ended %d s after SIGKILL",
		       container_label(c), (int)init->pid, DEATH_MS / 1000);
}

static void kill_owner(const struct container *c)
{
	_cleanup_(pidref_close) struct pidref owner = PIDREF_NONE;

	if (container_open_owner(c, &owner, NULL) == 0)
		(void)pidref_kill(&owner, SIGKILL, NULL);
}

/* 0: nothing of it runs; 1: it is gone. */
static int end_init(struct container *c, struct err *err)
{
	const uint64_t deadline = now_ms() + MAKING_MS;

	while (c->status != CONTAINER_STOPPED) {
		_cleanup_(pidref_close) struct pidref init = PIDREF_NONE;

		if (container_open_init(c, &init, NULL) == 0) {
			int r = pidref_kill(&init, SIGKILL, err);

			if (r == 0)
				r = await_end(c, &init, err);
			return r;
		}
		if (now_ms() >= deadline) {
			kill_owner(c);
			return 0;
		}
		nap();
		const int r = container_refresh(c, err);
		if (r < 0)
			return r == -ENOENT ? 1 : r;
	}
	return 0;
}

struct place {
	char *root, *remap; /* `remap` lies in `root` */
	int root_fd, remap_fd, dir;
	bool lost; /* its lock: init is not known, but may live */
};

static void place_close(struct place *place)
{
	closep(&place->root_fd);
	closep(&place->remap_fd);
	closep(&place->dir);
	free(place->root);
}

/* -ENOENT without an error: it is gone. */
static int place_open(const struct container *c, struct place *ret, struct err *err)
{
	ret->root = strdup(c->dir);
	if (!ret->root)
		return err_oom(err);
	*strrchr(ret->root, '/') = '\0';
	ret->remap = strrchr(ret->root, '/');
	*ret->remap++ = '\0';
	ret->root_fd = open(ret->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ret->root_fd >= 0)
		ret->remap_fd = openat(ret->root_fd, ret->remap, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (ret->remap_fd >= 0)
		ret->dir = openat(ret->remap_fd, c->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (ret->dir >= 0) {
		ret->lost = faccessat(ret->dir, "lock", F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
		return 0;
	}
	return errno == ENOENT ? -ENOENT : err_system(err, "%s", c->dir);
}

/* 1: it is gone. Its last owner lets go when it has undone what it could, or is killed for that. */
static int take_lock(const struct container *c, const struct place *place, int *ret_lock, struct err *err)
{
	const uint64_t begin = now_ms(), deadline = begin + LOCK_MS;
	bool killed = false;
	int r;

	for (;;) {
		r = state_lock(place->dir, ret_lock, err);
		if (r == -ESTALE || (r < 0 && faccessat(place->remap_fd, c->id, F_OK, AT_SYMLINK_NOFOLLOW) < 0))
			return 1;
		if (r != -EBUSY)
			return r;
		const uint64_t now = now_ms();
		if (now >= deadline)
			return err_set(err, ERR_SYSTEM, ERR_ID_NONE, EBUSY, "%s: somebody else is removing it",
				       container_label(c));
		if (!killed && now >= begin + MAKING_MS) {
			kill_owner(c);
			killed = true;
		}
		nap();
	}
}

static int check(struct container *c, bool force, struct err *err)
{
	container_look_paused(c, 1);
	if (!force && c->init_lost)
		return err_set(err, ERR_INPUT, ERR_ID_RECORD_DAMAGED, EINVAL,
			       "%s/lock: it does not tell its process any more, which may run", c->dir);
	if (force || c->status == CONTAINER_STOPPED || (c->status == CONTAINER_CREATED && !c->paused))
		return 0;
	return err_input(err, "cannot delete container %s that is not stopped: %s", container_label(c),
			 container_oci_status(c));
}

int container_delete(struct container *container, bool force, struct err *ret_poststop, struct err *err)
{
	_cleanup_(place_close) struct place place = { .root_fd = FD_NONE, .remap_fd = FD_NONE, .dir = FD_NONE };
	_cleanup_close_ int lock = FD_NONE;

	int r = check(container, force, err);
	if (r == 0)
		r = end_init(container, err);
	if (r != 0)
		return r < 0 ? r : 0;
	r = place_open(container, &place, err);
	if (r == 0)
		r = take_lock(container, &place, &lock, err);
	if (r == -ENOENT || r == 1)
		return 0;
	if (r == 0)
		r = state_end_bundle(place.dir, lock, container->id, place.lost, STATE_RECOVER_MS, err);
	if (r < 0)
		return r;
	(void)run_hooks(container, HOOK_POSTSTOP, "stopped", 0, ret_poststop);
	state_write_deleted(lock);
	r = state_remove(place.root_fd, place.remap, place.remap_fd, container->id, err);
	if (r == 0) /* the directory of one that was damaged may not have told its name */
		state_name_forget(place.root_fd, container_label(container));
	return r;
}
