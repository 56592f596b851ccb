/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/container_group.h>

#include <nsrun/base/arena.h>
#include <nsrun/plan/container_show.h>
#include <nsrun/plan/state.h>

static int probe(const struct container *container, struct arena *arena, struct cgroup_host *ret_host,
		 const char **ret_path, struct err *err)
{
	const char *path = container_cgroup(container);

	if (!path)
		return err_set(err, ERR_INPUT, ERR_ID_NO_CGROUP, ENOENT,
			       "%s: it was started without a control group of its own", container_label(container));
	const int r = cgroup_probe(arena, ret_host, err);
	if (r < 0)
		return r;
	*ret_path = path;
	return 0;
}

int container_group(const struct container *container, struct arena *arena, struct cgroup_host *ret_host,
		    const char **ret_path, struct err *err)
{
	int r = probe(container, arena, ret_host, ret_path, err);

	if (r == 0)
		r = state_check_places(container->state, container->dir, ret_host, NULL, err);
	return r;
}

int container_group_open(const struct container *container, int *ret_fd, struct err *err)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct cgroup_host host;
	const char *path;

	if (!arena)
		return err_oom(err);
	int r = probe(container, arena, &host, &path, err);
	if (r < 0)
		return r;
	if (!host.v2_mount[0])
		return err_set(err, ERR_INPUT, ERR_ID_CGROUP_NOT_MOUNTED, ENOENT,
			       "%s: no cgroup2 is mounted here, and its freezer is what pauses",
			       container_label(container));
	r = state_check_places(container->state, container->dir, &host, NULL, err);
	return r < 0 ? r : cgroup_open_v2(&host, path, ret_fd, err);
}

#define THAW_MS 1000

void container_thaw(const struct container *container)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct cgroup_host host;
	const char *path;

	if (arena && container_group(container, arena, &host, &path, NULL) == 0)
		cgroup_thaw_v1(&host, path, THAW_MS);
}

void container_look_paused(struct container *containers, size_t n)
{
	_cleanup_(arena_freep) struct arena *arena = NULL;
	struct cgroup_host host;

	for (size_t i = 0; i < n; i++) {
		struct container *c = &containers[i];
		const char *path = c->status == CONTAINER_RUNNING && c->init > 0 ? container_cgroup(c) : NULL;
		_cleanup_close_ int fd = FD_NONE;
		enum cgroup_freezer state;

		if (!path)
			continue;
		if (!arena) {
			arena = arena_new();
			if (!arena || cgroup_probe(arena, &host, NULL) < 0)
				return;
		}
		if (host.v2_mount[0] && state_check_places(c->state, c->dir, &host, NULL, NULL) == 0 &&
		    cgroup_open_v2(&host, path, &fd, NULL) == 0 && cgroup_freezer_state(fd, &state, NULL) == 0)
			c->paused = state != CGROUP_THAWED;
	}
}
