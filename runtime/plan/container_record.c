/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/container_record.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/plan/container_judge.h>
#include <nsrun/plan/container_update.h>
#include <nsrun/plan/state.h>

#include <fcntl.h>
#include <limits.h>
#include <string.h>

static int read_state(int dirfd, const char *where, const char *id, json_t **ret, struct err *err)
{
	json_t *state = NULL;

	int r = state_load(dirfd, "state.json", where, &state, err);
	if (r == 0)
		r = container_record_check(state, id, where, err);
	if (r == 0)
		*ret = state;
	else
		json_decref(state);
	return r;
}

int container_record_read(const char *root, int root_fd, const char *remap, const char *id, struct container *ret,
			  struct err *err)
{
	_cleanup_(container_done) struct container c = { 0 };
	_cleanup_close_ int dir = FD_NONE;
	struct container_lock look;
	char where[64];
	int r;

	snprintf(where, sizeof(where), "%.40s/%s", remap, id);
	dir = openat(root_fd, where, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? -ENOENT : err_system(err, "%s in the state root", where);
	/* The lock before the record: the last record of an owner is written before it lets go, so one that is dead by its lock and
	 * has no end in its record died without one. */
	r = container_look_at_lock(dir, &look, err);
	if (r < 0)
		return r;
	r = read_state(dir, where, id, &c.state, err);
	/* Whoever removes a container takes its lock, then the record: it may be that. */
	if (r == -ENOENT && !look.held && look.init.created) {
		r = container_look_at_lock(dir, &look, err);
		if (r == 0)
			r = look.held || !look.init.created ? -ENOENT
							    : err_set(err, ERR_INPUT, ERR_ID_RECORD_DAMAGED, EINVAL,
								      "%s/state.json: it is missing", where);
	}
	if (r == -ENOENT && look.held) {
		c.state = json_pack("{s:i, s:s}", "version", CONTAINER_RECORD_VERSION, "id", id);
		r = c.state ? 0 : err_oom(err);
	}
	if (r < 0)
		return r;
	strcpy(c.id, id);
	if (asprintf(&c.dir, "%s/%s", root, where) < 0) {
		c.dir = NULL;
		return err_oom(err);
	}
	c.name = json_string_value(json_object_get(c.state, "name"));
	container_judge(&c, &look);
	container_update_take(dir, &c);
	*ret = c;
	c = (struct container){ 0 };
	return 0;
}

/* undo.json, or what there is where nothing was written. */
static int read_undo(int dir, const char *where, const char *id, json_t **ret, struct err *err)
{
	json_t *state = NULL;

	if (state_load(dir, "undo.json", where, &state, NULL) == 0 &&
	    container_record_check(state, id, where, NULL) < 0) {
		json_decref(state);
		state = NULL;
	}
	if (!state)
		state = json_pack("{s:i, s:s, s:{}}", "version", CONTAINER_RECORD_VERSION, "id", id, "bundle");
	if (!state)
		return err_oom(err);
	*ret = state;
	return 0;
}

int container_record_assume(const char *root, int root_fd, const char *remap, const char *id, struct container *ret,
			    struct err *err)
{
	_cleanup_(container_done) struct container c = { 0 };
	_cleanup_close_ int dir = FD_NONE;
	struct container_lock look;
	char where[64], name[NAME_MAX + 1];

	snprintf(where, sizeof(where), "%.40s/%s", remap, id);
	dir = openat(root_fd, where, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? -ENOENT : err_system(err, "%s in the state root", where);
	int r = container_look_at_lock(dir, &look, err);
	if (r == 0)
		r = read_undo(dir, where, id, &c.state, err);
	if (r < 0)
		return r;
	const ssize_t n = readlinkat(dir, "name", name, sizeof(name) - 1);
	json_object_set_new(c.state, "damaged", json_true());
	if (n > 0)
		json_object_set_new(c.state, "name", json_stringn(name, (size_t)n));
	if (asprintf(&c.dir, "%s/%s", root, where) < 0) {
		c.dir = NULL;
		return err_oom(err);
	}
	strcpy(c.id, id);
	c.name = json_string_value(json_object_get(c.state, "name"));
	container_judge_bundle(&c, &look);
	*ret = c;
	c = (struct container){ 0 };
	return 0;
}

void container_done(struct container *container)
{
	json_decref(container->state);
	free(container->dir);
	*container = (struct container){ 0 };
}
