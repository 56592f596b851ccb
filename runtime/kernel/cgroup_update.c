/* SPDX-License-Identifier: Apache-2.0 */
/* Changing the limits of a living group, all or none. */
#include <nsrun/kernel/cgroup_write.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_SIZE 4096 /* of a file that has one number */

/* What was there before: the line that, written, brings it back. */
static void keep_old(int dir_fd, const struct cgroup_setting *s, struct cgroup_setting *old)
{
	const size_t key = strcspn(s->value, " ");
	_cleanup_free_ char *text = NULL;

	*old = *s;
	old->value[0] = '\0';
	if (file_read_virtual_at(dir_fd, s->file, 65536, &text, NULL, NULL) < 0)
		return;
	const bool keyed = s->check == CGROUP_CHECK_KEYED || (s->check == CGROUP_CHECK_ANY && s->value[key]);
	for (const char *line = text; keyed && *line; line += strcspn(line, "\n"), line += *line == '\n')
		if (strncmp(line, s->value, key) == 0 && line[key] == ' ') {
			snprintf(old->value, sizeof(old->value), "%.*s", (int)strcspn(line, "\n"), line);
			return;
		}
	if (s->check == CGROUP_CHECK_SECOND) /* "oom_kill_disable 0" */
		snprintf(old->value, sizeof(old->value), "%.1s", text + strcspn(text, " ") + 1);
	else if (s->check != CGROUP_CHECK_KEYED)
		snprintf(old->value, sizeof(old->value), "%.*s", (int)strcspn(text, "\n"), text);
	else if (streq(s->file, "io.max"))
		snprintf(old->value, sizeof(old->value), "%.*s rbps=max wbps=max riops=max wiops=max", (int)key,
			 s->value);
	else /* of a device that had nothing of its own: v1 takes 0 away, v2 a weight by "default" */
		snprintf(old->value, sizeof(old->value), "%.*s %s", (int)key, s->value, s->v2 ? "default" : "0");
}

/* What cannot be put back is said, so that nobody takes the container for what it was. */
static void put_back(const struct cgroup_dirs *g, const struct cgroup_setting *old, size_t n,
		     const uint8_t progress[CGROUP_SETTINGS_MAX], struct err *err)
{
	bool done[CGROUP_SETTINGS_MAX] = { false };
	const struct cgroup_setting *failed = NULL;

	for (int round = 0; round < 2; round++) {
		failed = NULL;
		for (size_t i = n; i-- > 0;) {
			if (done[i] || progress[i] != CGROUP_TAKEN || !old[i].value[0])
				continue;
			done[i] =
				file_write_at(g->fds[cgroup_hierarchy(&old[i])], old[i].file, old[i].value, NULL) == 0;
			if (!done[i])
				failed = &old[i];
		}
	}
	if (failed && err) {
		const size_t used = strlen(err->message);

		snprintf(err->message + used, sizeof(err->message) - used, "; and %s could not be put back to %s",
			 failed->file, failed->value);
	}
}

/* A limit below what is used now makes the kernel reclaim, and then kill. */
static int check_use(const struct cgroup_dirs *g, const struct cgroup_setting *list, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		const struct cgroup_setting *s = &list[i];
		_cleanup_free_ char *text = NULL;
		uint64_t used, limit;
		const char *file = streq(s->file, "memory.max")			   ? "memory.current"
				   : streq(s->file, "memory.limit_in_bytes")	   ? "memory.usage_in_bytes"
				   : streq(s->file, "memory.swap.max")		   ? "memory.swap.current"
				   : streq(s->file, "memory.memsw.limit_in_bytes") ? "memory.memsw.usage_in_bytes"
										   : NULL;

		if (!file || parse_u64(s->value, &limit) < 0 ||
		    file_read_virtual_at(g->fds[cgroup_hierarchy(s)], file, TEXT_SIZE, &text, NULL, NULL) < 0)
			continue;
		text[strcspn(text, "\n")] = '\0';
		if (parse_u64(text, &used) == 0 && used > limit)
			return err_set(err, ERR_REFUSED, ERR_ID_LIMIT_BELOW_USE, EBUSY,
				       "%s%s/%s: %" PRIu64 " bytes are used now, more than %" PRIu64,
				       cgroup_dirs_mount(g, cgroup_hierarchy(s)), g->path, file, used, limit);
	}
	return 0;
}

static int open_group(struct cgroup_dirs *g, unsigned hierarchy)
{
	char full[2 * CGROUP_PATH_MAX];

	if (g->fds[hierarchy] >= 0)
		return 0;
	snprintf(full, sizeof(full), "%s%s", cgroup_dirs_mount(g, hierarchy), g->path);
	g->fds[hierarchy] = open(full, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return g->fds[hierarchy] < 0 ? -1 : 0;
}

static int open_groups(struct cgroup_dirs *g, const struct cgroup_setting *list, size_t n, struct err *err)
{
	unsigned on_v2 = 0;

	for (size_t i = 0; i < n; i++) {
		const unsigned h = cgroup_hierarchy(&list[i]);
		char label[96] = "its limits";

		if (h == CGROUP_V2 && list[i].controller < CGROUP_CONTROLLER_COUNT)
			on_v2 |= 1U << list[i].controller;
		if (open_group(g, h) == 0)
			continue;
		if (list[i].from)
			cgroup_resource_label(list[i].from, label, sizeof(label));
		return err_system_id(err, errno == ENOENT && h != CGROUP_V2 ? ERR_ID_NO_V1_GROUP : ERR_ID_NONE,
				     "%s%s: %s", cgroup_dirs_mount(g, h), g->path, label);
	}
	return on_v2 ? cgroup_enable_v2(g->host, g->path, on_v2, err) : 0;
}

static bool in_list(const struct cgroup_setting *s, const struct cgroup_setting *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s->v2 == list[i].v2 && streq(s->file, list[i].file) && streq(s->value, list[i].value))
			return true;
	return false;
}

static bool is_changed(const struct cgroup_setting *s, const struct cgroup_resources *changes)
{
	for (size_t i = 0; s->from && i < changes->n; i++) {
		const struct cgroup_value *a = s->from, *b = &changes->values[i];

		if (a->resource == b->resource && a->major == b->major && a->minor == b->minor)
			return true;
	}
	return false;
}

/* Of all settings of the changed container those that follow from a change, and those that come out otherwise than before. */
static int list_changes(const struct cgroup_host *host, const struct cgroup_resources *before,
			const struct cgroup_resources *changes, struct arena *arena, struct cgroup_setting *list,
			size_t *ret_n, struct err *err)
{
	struct cgroup_setting *old = arena_array(arena, CGROUP_SETTINGS_MAX, sizeof(*old));
	struct cgroup_resources after = { 0 };
	size_t n = 0, n_old = 0, kept = 0;
	int r = 0;

	if (!old)
		return err_oom(err);
	for (size_t i = 0; r == 0 && i < before->n; i++)
		r = cgroup_resources_add(arena, &after, &before->values[i], err);
	for (size_t i = 0; r == 0 && i < changes->n; i++)
		r = cgroup_resources_add(arena, &after, &changes->values[i], err);
	if (r == 0)
		r = cgroup_settings(host, &after, list, &n, err);
	if (r == 0)
		r = cgroup_settings(host, before, old, &n_old, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (is_changed(&list[i], changes) || !in_list(&list[i], old, n_old)) {
			if (kept != i)
				list[kept] = list[i];
			kept++;
		}
	*ret_n = kept;
	return r;
}

/* Does the group hold all that follows from this one of the values of `list`? */
static bool holds(struct cgroup_dirs *g, const struct cgroup_value *value, const struct cgroup_setting *list, size_t n)
{
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		const struct cgroup_setting *s = &list[i];
		_cleanup_free_ char *text = NULL;

		if (s->from != value)
			continue;
		if (open_group(g, cgroup_hierarchy(s)) < 0 ||
		    file_read_virtual_at(g->fds[cgroup_hierarchy(s)], s->file, 65536, &text, NULL, NULL) < 0) {
			if (s->optional)
				continue;
			return false;
		}
		if (!cgroup_setting_held(s, text))
			return false;
		any = true;
	}
	return any;
}

int cgroup_which_held(const struct cgroup_host *host, const char *path, const struct cgroup_resources *before,
		      const struct cgroup_resources *after, struct arena *arena, struct cgroup_resources *ret,
		      struct err *err)
{
	_cleanup_(cgroup_dirs_close) struct cgroup_dirs groups = cgroup_dirs_none(host, path);
	struct cgroup_setting *list = arena_array(arena, CGROUP_SETTINGS_MAX, sizeof(*list));
	struct cgroup_resources held = { 0 };
	size_t n = 0;
	int r = list ? cgroup_settings(host, after, list, &n, err) : err_oom(err);

	for (size_t i = 0; r == 0 && i < before->n; i++)
		r = cgroup_resources_add(arena, &held, &before->values[i], err);
	for (size_t i = 0; r == 0 && i < after->n; i++)
		if (holds(&groups, &after->values[i], list, n))
			r = cgroup_resources_add(arena, &held, &after->values[i], err);
	if (r == 0)
		*ret = held;
	return r;
}

int cgroup_update_limits(const struct cgroup_host *host, const char *path, const struct cgroup_resources *before,
			 const struct cgroup_resources *changes, struct cgroup_undo *ret_undo, struct err *err)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	_cleanup_free_ struct cgroup_setting *undo = ret_undo ? calloc(CGROUP_SETTINGS_MAX, sizeof(*undo)) : NULL;
	_cleanup_(cgroup_dirs_close) struct cgroup_dirs groups = cgroup_dirs_none(host, path);
	struct cgroup_setting *list = arena ? arena_array(arena, 2 * CGROUP_SETTINGS_MAX, sizeof(*list)) : NULL;
	struct cgroup_setting *old = list ? list + CGROUP_SETTINGS_MAX : NULL;
	uint8_t progress[CGROUP_SETTINGS_MAX] = { 0 };
	size_t n = 0;
	int r;

	if (!list || (ret_undo && !undo))
		return err_oom(err);
	r = list_changes(host, before, changes, arena, list, &n, err);
	if (r == 0)
		r = open_groups(&groups, list, n, err);
	if (r == 0 && changes->check_before_update)
		r = check_use(&groups, list, n, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		keep_old(groups.fds[cgroup_hierarchy(&list[i])], &list[i], &old[i]);
	if (r < 0)
		return r;
	r = cgroup_write_settings(&groups, list, n, progress, err);
	if (r < 0)
		put_back(&groups, old, n, progress, err);
	if (r < 0 || !ret_undo)
		return r;
	size_t kept = 0;
	for (size_t i = 0; i < n; i++)
		if (progress[i] == CGROUP_TAKEN) {
			undo[kept] = old[i];
			undo[kept++].from = NULL; /* of this call */
		}
	ret_undo->list = TAKE_PTR(undo);
	ret_undo->n = kept;
	return 0;
}

void cgroup_undo_update(const struct cgroup_host *host, const char *path, const struct cgroup_undo *undo,
			struct err *err)
{
	_cleanup_(cgroup_dirs_close) struct cgroup_dirs groups = cgroup_dirs_none(host, path);
	uint8_t progress[CGROUP_SETTINGS_MAX];

	memset(progress, CGROUP_TAKEN, sizeof(progress));
	/* A group that is gone has no limits to bring back. */
	if (open_groups(&groups, undo->list, undo->n, NULL) == 0)
		put_back(&groups, undo->list, undo->n, progress, err);
}

void cgroup_undo_done(struct cgroup_undo *undo)
{
	free(undo->list);
	*undo = (struct cgroup_undo){ 0 };
}
