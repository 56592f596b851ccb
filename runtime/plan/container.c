/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/container.h>

#include <nsrun/base/file.h>
#include <nsrun/base/procstat.h>
#include <nsrun/base/strings.h>
#include <nsrun/plan/container_record.h>
#include <nsrun/plan/reserve.h>
#include <nsrun/plan/state.h>

#include <fcntl.h>
#include <limits.h>
#include <string.h>

#define PREFIX_MIN 3  /* digits of an id */
#define NEAR_MAX 1024 /* names among which the nearest is looked for */

static int open_root(char path[PATH_MAX], int *ret_fd, struct err *err)
{
	const int r = state_root_name(path, PATH_MAX, err);

	/* Looked at and not made: who lists containers leaves nothing behind. */
	return r < 0 ? r : state_open_dir(AT_FDCWD, path, 0, path, ret_fd, err);
}

/* ---- all of them ---- */

/* Calls `visit` for each directory of a container. It returns 1 to end the walk. */
static int walk(int root_fd, int (*visit)(const char *remap, const char *id, void *data), void *data)
{
	_cleanup_closedir_ DIR *root = dir_list_at(root_fd, ".");
	struct dirent *remap, *id;
	int r = 0;

	while (r == 0 && root && (remap = readdir(root))) {
		_cleanup_closedir_ DIR *dir =
			state_is_remap(remap->d_name) ? dir_list_at(root_fd, remap->d_name) : NULL;

		while (r == 0 && dir && (id = readdir(dir)))
			if (state_is_id(id->d_name))
				r = visit(remap->d_name, id->d_name, data);
	}
	return r;
}

struct listing {
	const char *root;
	int root_fd;
	struct container *list;
	size_t n, room;
	void (*on_bad)(const char *dir, const struct err *why, void *data);
	void *data;
	struct err *err;
};

static bool has_undo(int root_fd, const char *remap, const char *id)
{
	char path[96];

	snprintf(path, sizeof(path), "%.40s/%.12s/undo.json", remap, id);
	return faccessat(root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int add_listed(const char *remap, const char *id, void *data)
{
	struct listing *l = data;
	struct err why = ERR_INIT;
	int r;

	if (l->n == l->room) {
		const size_t room = l->room ? l->room * 2 : 16;
		struct container *more = reallocarray(l->list, room, sizeof(*more));

		if (!more)
			return err_oom(l->err);
		l->list = more;
		l->room = room;
	}
	r = container_record_read(l->root, l->root_fd, remap, id, &l->list[l->n], &why);
	if (r == 0) {
		l->n++;
	} else if (r != -ENOENT && l->on_bad) {
		char dir[PATH_MAX + 64];

		snprintf(dir, sizeof(dir), "%s/%.31s/%.12s", l->root, remap, id);
		l->on_bad(dir, &why, l->data);
	}
	/* Of a bundle's container without its record there is something to be shown, and delete --force must be told its id. */
	if (r < 0 && r != -ENOENT && has_undo(l->root_fd, remap, id) &&
	    container_record_assume(l->root, l->root_fd, remap, id, &l->list[l->n], NULL) == 0)
		l->n++;
	return 0;
}

static int by_age(const void *a, const void *b)
{
	const struct container *x = a, *y = b;
	const char *created[2] = { container_text(x, "created"), container_text(y, "created") };
	const int order = strcmp(created[0] ? created[0] : "", created[1] ? created[1] : "");

	return order ? order : strcmp(x->id, y->id);
}

int container_list(struct container **ret, size_t *ret_n,
		   void (*on_bad)(const char *dir, const struct err *why, void *data), void *data, struct err *err)
{
	_cleanup_close_ int root_fd = FD_NONE;
	char root[PATH_MAX];
	struct err why = ERR_INIT;
	int r;

	r = open_root(root, &root_fd, &why);
	if (r == -ENOENT) {
		*ret = NULL;
		*ret_n = 0;
		return 0;
	}
	if (r < 0) {
		if (err && !err_is_set(err))
			*err = why;
		return r;
	}
	struct listing l = { .root = root, .root_fd = root_fd, .on_bad = on_bad, .data = data, .err = err };

	r = walk(root_fd, add_listed, &l);
	if (r < 0) {
		containers_free(l.list, l.n);
		return r;
	}
	if (l.n > 1)
		qsort(l.list, l.n, sizeof(*l.list), by_age);
	*ret = l.list;
	*ret_n = l.n;
	return 0;
}

void containers_free(struct container *containers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		container_done(&containers[i]);
	free(containers);
}

/* ---- one of them ---- */

struct id_match {
	const char *prefix;
	size_t n;
	char remap[32], id[PLAN_ID_LEN + 1], other[PLAN_ID_LEN + 1];
};

static int match_id(const char *remap, const char *id, void *data)
{
	struct id_match *match = data;

	if (!str_after(id, match->prefix))
		return 0;
	if (match->n++ == 0) {
		snprintf(match->remap, sizeof(match->remap), "%.31s", remap);
		strcpy(match->id, id);
	} else {
		strcpy(match->other, id);
	}
	return strlen(match->prefix) == PLAN_ID_LEN;
}

/* "../UID.GID/ID", which is all that such a link may say. */
static bool read_name(int names_fd, const char *name, struct id_match *match)
{
	char target[64];
	const ssize_t n = readlinkat(names_fd, name, target, sizeof(target) - 1);

	if (n <= 0)
		return false;
	target[n] = '\0';
	return sscanf(target, "../%31[0-9.]/%12[0-9a-f]", match->remap, match->id) == 2 &&
	       state_is_remap(match->remap) && state_is_id(match->id) &&
	       (size_t)n == strlen("../") + strlen(match->remap) + 1 + PLAN_ID_LEN;
}

static int not_found(const char *word, int root_fd, struct err *err)
{
	_cleanup_closedir_ DIR *names = root_fd < 0 ? NULL : dir_list_at(root_fd, "names");
	const char *known[NEAR_MAX + 1] = { NULL };
	char *copies[NEAR_MAX];
	struct dirent *entry;
	const char *near;
	size_t n = 0;
	int r;

	while (names && n < NEAR_MAX && (entry = readdir(names)))
		if (entry->d_name[0] != '.' && (copies[n] = strdup(entry->d_name))) {
			known[n] = copies[n];
			n++;
		}
	near = nearest_word(word, known);
	r = near ? err_set(err, ERR_INPUT, ERR_ID_NO_CONTAINER, ENOENT,
			   "%.80s: no container of that name or id (container does not exist): did you mean %.80s?",
			   word, near)
		 : err_set(err, ERR_INPUT, ERR_ID_NO_CONTAINER, ENOENT,
			   "%.80s: no container of that name or id (container does not exist)", word);
	while (n > 0)
		free(copies[--n]);
	return r;
}

/* A name is one directory entry; what it may consist of beyond that was decided when it was given. */
static bool may_be_name(const char *word)
{
	return word[0] != '\0' && !streq(word, ".") && !streq(word, "..") && !strchr(word, '/') &&
	       strlen(word) <= NAME_MAX;
}

static int find_by_name(const char *word, const char *root, int root_fd, struct container *ret, struct err *err)
{
	_cleanup_close_ int names = openat(root_fd, "names", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct id_match match = { 0 };
	struct container found;
	int r;

	if (names < 0 || !may_be_name(word) || !read_name(names, word, &match))
		return -ENOENT;
	r = container_record_read(root, root_fd, match.remap, match.id, &found, err);
	if (r < 0)
		return r;
	/* The name is reserved before the record is written: without one it is being made. */
	if (found.name && !streq(found.name, word)) {
		container_done(&found);
		return err_input(err, "%s: the name leads to %s/%s, whose record has another one", word, match.remap,
				 match.id);
	}
	*ret = found;
	return 0;
}

static int find_by_id(const char *word, size_t least, const char *root, int root_fd, struct container *ret,
		      struct err *err)
{
	struct id_match match = { .prefix = word };
	const size_t len = strlen(word);

	if (len < least || len > PLAN_ID_LEN || strspn(word, "0123456789abcdef") != len)
		return -ENOENT;
	walk(root_fd, match_id, &match);
	if (match.n == 0)
		return -ENOENT;
	if (match.n > 1)
		return err_set(err, ERR_INPUT, ERR_ID_NONE, 0,
			       "%s: %zu ids begin so, %s and %s among them: give more digits", word, match.n, match.id,
			       match.other);
	return container_record_read(root, root_fd, match.remap, match.id, ret, err);
}

int container_find(const char *word, struct container *ret, struct err *err)
{
	_cleanup_close_ int root_fd = FD_NONE;
	struct err why = ERR_INIT;
	char root[PATH_MAX];
	int r;

	r = open_root(root, &root_fd, &why);
	if (r == 0)
		r = find_by_id(word, PLAN_ID_LEN, root, root_fd, ret, &why);
	if (r == -ENOENT && root_fd >= 0)
		r = find_by_name(word, root, root_fd, ret, &why);
	if (r == -ENOENT && root_fd >= 0)
		r = find_by_id(word, PREFIX_MIN, root, root_fd, ret, &why);
	if (r == -ENOENT)
		return not_found(word, root_fd, err);
	if (r < 0 && err && !err_is_set(err))
		*err = why;
	return r;
}

int container_find_bundle(const char *id, struct container *ret, struct err *err)
{
	_cleanup_close_ int root_fd = FD_NONE;
	struct err why = ERR_INIT;
	struct container found;
	char root[PATH_MAX];

	int r = open_root(root, &root_fd, &why);
	if (r == 0)
		r = find_by_name(id, root, root_fd, &found, &why);
	/* One of the one-shot command is none; of one that has no record yet nobody can say. */
	if (r == 0 && !container_is_bundle(&found) && found.name) {
		container_done(&found);
		r = -ENOENT;
	}
	if (r == -ENOENT)
		return err_set(err, ERR_INPUT, ERR_ID_NO_CONTAINER, ENOENT, "container does not exist: %.200s", id);
	if (r < 0) {
		if (err && !err_is_set(err))
			*err = why;
		return r;
	}
	*ret = found;
	return 0;
}

struct name_match {
	int root_fd;
	const char *name;
	struct id_match *found;
};

/* ID/name, which is there when names/NAME is not any more. */
static int match_name(const char *remap, const char *id, void *data)
{
	const struct name_match *match = data;
	char path[96], name[NAME_MAX + 2];

	snprintf(path, sizeof(path), "%.40s/%.12s/name", remap, id);
	const ssize_t n = readlinkat(match->root_fd, path, name, sizeof(name) - 1);
	if (n <= 0)
		return 0;
	name[n] = '\0';
	if (!streq(name, match->name))
		return 0;
	snprintf(match->found->remap, sizeof(match->found->remap), "%.31s", remap);
	snprintf(match->found->id, sizeof(match->found->id), "%.12s", id);
	return 1;
}

int container_find_damaged(const char *id, struct container *ret, struct err *err)
{
	_cleanup_close_ int root_fd = FD_NONE, names = FD_NONE;
	struct id_match found = { 0 };
	char root[PATH_MAX];

	if (!may_be_name(id))
		return -ENOENT;
	int r = open_root(root, &root_fd, err);
	if (r < 0)
		return r;
	struct name_match match = { .root_fd = root_fd, .name = id, .found = &found };
	names = openat(root_fd, "names", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if ((names < 0 || !read_name(names, id, &found)) && walk(root_fd, match_name, &match) != 1)
		return -ENOENT;
	if (container_record_read(root, root_fd, found.remap, found.id, ret, NULL) == 0) {
		if (container_is_bundle(ret))
			return 0;
		container_done(ret);
		return -ENOENT;
	}
	r = container_record_assume(root, root_fd, found.remap, found.id, ret, err);
	if (r == -ENOENT)
		state_name_forget(root_fd, id);
	if (r == 0 && !ret->name && json_object_set_new(ret->state, "name", json_string(id)) == 0)
		ret->name = json_string_value(json_object_get(ret->state, "name"));
	return r;
}

int container_refresh(struct container *container, struct err *err)
{
	_cleanup_close_ int root_fd = FD_NONE;
	char root[PATH_MAX], *remap, *end;
	struct container fresh;
	int r;

	/* .../UID.GID/ID */
	snprintf(root, sizeof(root), "%s", container->dir);
	end = strrchr(root, '/');
	*end = '\0';
	remap = strrchr(root, '/');
	*remap++ = '\0';
	r = state_open_dir(AT_FDCWD, root, 0, root, &root_fd, err);
	if (r < 0)
		return r;
	r = container_record_read(root, root_fd, remap, container->id, &fresh, err);
	if (r == -ENOENT)
		return err_set(err, ERR_INPUT, ERR_ID_NO_CONTAINER, ENOENT, "%s: it is removed",
			       container_label(container));
	if (r < 0)
		return r;
	container_done(container);
	*container = fresh;
	return 0;
}

/* The pidfd first, the start time after: what the pidfd names cannot change any more in between. */
static bool open_process(pid_t pid, uint64_t start, struct pidref *ret)
{
	_cleanup_(pidref_close) struct pidref process = PIDREF_NONE;
	struct procstat stat;

	if (pid <= 0 || pidref_open(pid, &process, NULL) < 0 || procstat_read(pid, &stat, NULL) < 0 ||
	    stat.start != start || stat.state == 'Z' || stat.state == 'X')
		return false;
	*ret = process;
	process = PIDREF_NONE;
	return true;
}

int container_open_init(const struct container *container, struct pidref *ret, struct err *err)
{
	_cleanup_(pidref_close) struct pidref init = PIDREF_NONE;

	if (open_process(container->init, container->init_start, &init) &&
	    state_may_be_init(container->state, container->init)) {
		*ret = init;
		init = PIDREF_NONE;
		return 0;
	}
	return err_set(err, ERR_INPUT, ERR_ID_NOT_RUNNING, ESRCH,
		       container->status == CONTAINER_STARTING ? "%s: it has no process yet"
							       : "%s: it has no process any more",
		       container_label(container));
}

int container_open_owner(const struct container *container, struct pidref *ret, struct err *err)
{
	const json_t *start = json_object_get(json_object_get(container->state, "owner"), "start");

	if (open_process(container->owner, (uint64_t)json_integer_value(start), ret))
		return 0;
	return err_set(err, ERR_INPUT, ERR_ID_NOT_RUNNING, ESRCH, "%s: its nsrun has ended",
		       container_label(container));
}
