/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/image.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/plan/tree.h>

#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>

#define IMAGE_CONFIG_MAX ((size_t)4 << 20)
#define SUFFIX ".image.json"

struct reader {
	const char *name;   /* of the file */
	const char *prefix; /* "config.", "Config.", "" */
	struct arena *arena;
	struct err *err;
};

static void json_freep(json_t **json)
{
	json_decref(*json);
}

static int wrong_type(const struct reader *reader, const char *key, const char *wanted)
{
	return err_input(reader->err, "%s: %s%s: %s is wanted", reader->name, reader->prefix, key, wanted);
}

static const char *keep(const struct reader *reader, const char *text)
{
	const char *copy = arena_strdup(reader->arena, text);

	if (!copy)
		(void)err_oom(reader->err);
	return copy;
}

/* "" says nothing, as docker writes it. */
static int read_text(const struct reader *reader, const json_t *object, const char *key, const char **ret)
{
	const json_t *value = json_object_get(object, key);

	if (!value || json_is_null(value))
		return 0;
	if (!json_is_string(value))
		return wrong_type(reader, key, "a string");
	if (json_string_length(value) == 0)
		return 0;
	*ret = keep(reader, json_string_value(value));
	return *ret ? 0 : -ENOMEM;
}

static int read_list(const struct reader *reader, const json_t *object, const char *key, bool variables,
		     const char *const **ret)
{
	const json_t *value = json_object_get(object, key);
	char where[96];

	if (!value || json_is_null(value))
		return 0;
	if (!json_is_array(value))
		return wrong_type(reader, key, "an array of strings");
	const size_t n = json_array_size(value);
	if (n == 0)
		return 0;
	const char **list = arena_array(reader->arena, n + 1, sizeof(*list));
	if (!list)
		return err_oom(reader->err);
	for (size_t i = 0; i < n; i++) {
		const json_t *entry = json_array_get(value, i);

		snprintf(where, sizeof(where), "%s[%zu]", key, i);
		if (!json_is_string(entry))
			return wrong_type(reader, where, "a string");
		const char *text = json_string_value(entry);
		if (variables && (*text == '=' || !strchr(text, '=')))
			return wrong_type(reader, where, "NAME=VALUE");
		list[i] = keep(reader, text);
		if (!list[i])
			return -ENOMEM;
	}
	*ret = list;
	return 0;
}

/* The names of an object's members; with their values, which must be strings, where `values` is set. */
static int read_names(const struct reader *reader, json_t *object, const char *key, bool values,
		      const char *const **ret)
{
	json_t *members = json_object_get(object, key), *value;
	const char *name;
	char where[160];
	size_t n = 0;

	if (!members || json_is_null(members))
		return 0;
	if (!json_is_object(members))
		return wrong_type(reader, key, "an object");
	if (json_object_size(members) == 0)
		return 0;
	const char **list = arena_array(reader->arena, json_object_size(members) + 1, sizeof(*list));
	if (!list)
		return err_oom(reader->err);
	json_object_foreach(members, name, value)
	{
		snprintf(where, sizeof(where), "%s.%s", key, name);
		if (values ? !json_is_string(value) : !json_is_object(value) && !json_is_null(value))
			return wrong_type(reader, where, values ? "a string" : "an empty object");
		list[n] = values ? arena_printf(reader->arena, "%s=%s", name, json_string_value(value))
				 : keep(reader, name);
		if (!list[n++])
			return err_oom(reader->err);
	}
	*ret = list;
	return 0;
}

/* The object that has User, Env and the others, wherever this form of the file has it. */
static json_t *find_config(json_t *root, struct reader *reader)
{
	static const char *const members[] = { "User",	     "Env",    "Entrypoint", "Cmd",	    "WorkingDir",
					       "StopSignal", "Labels", "Volumes",    "ExposedPorts" };
	static const char *const holders[] = { "config", "Config" };

	if (json_is_array(root)) { /* docker inspect NAME... */
		if (json_array_size(root) != 1) {
			(void)err_input(reader->err, "%s: an array of %zu: exactly one image is wanted", reader->name,
					json_array_size(root));
			return NULL;
		}
		root = json_array_get(root, 0);
	}
	for (size_t i = 0; json_is_object(root) && i < ARRAY_LEN(holders); i++) {
		json_t *held = json_object_get(root, holders[i]);

		if (json_is_object(held)) {
			reader->prefix = i == 0 ? "config." : "Config.";
			return held;
		}
		if (held && !json_is_null(held)) {
			(void)wrong_type(reader, holders[i], "an object");
			return NULL;
		}
	}
	for (size_t i = 0; json_is_object(root) && i < ARRAY_LEN(members); i++)
		if (json_object_get(root, members[i]))
			return root;
	(void)err_input(
		reader->err,
		"%s: no image configuration: an object with \"config\" or \"Config\", or an array of one, is wanted",
		reader->name);
	return NULL;
}

int image_config_parse(const char *text, size_t size, const char *name, struct arena *arena, struct image_config *ret,
		       struct err *err)
{
	struct reader reader = { .name = name, .prefix = "", .arena = arena, .err = err };
	struct image_config image = { .path = name };
	json_error_t where;

	/* Duplicate keys: two readers of the file would see two different images. NUL bytes are refused by default. */
	_cleanup_(json_freep) json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
	if (!root)
		return err_input(err, "%s:%d: %s", name, where.line, where.text);
	json_t *config = find_config(root, &reader);
	if (!config)
		return -EINVAL;

	int r = read_text(&reader, config, "User", &image.user);
	if (r == 0)
		r = read_text(&reader, config, "WorkingDir", &image.workdir);
	if (r == 0)
		r = read_text(&reader, config, "StopSignal", &image.stop_signal);
	if (r == 0)
		r = read_list(&reader, config, "Env", true, &image.env);
	if (r == 0)
		r = read_list(&reader, config, "Entrypoint", false, &image.entrypoint);
	if (r == 0)
		r = read_list(&reader, config, "Cmd", false, &image.cmd);
	if (r == 0)
		r = read_names(&reader, config, "Volumes", false, &image.volumes);
	if (r == 0)
		r = read_names(&reader, config, "ExposedPorts", false, &image.ports);
	if (r == 0)
		r = read_names(&reader, config, "Labels", true, &image.labels);
	if (r == 0)
		*ret = image;
	return r;
}

/* ---- the file ---- */

static int read_trusted(const struct plan *plan, int fd, const char *path, struct image_config *ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t size;

	if (fstat(fd, &st) < 0)
		return err_system(err, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_input(err, "%s: not a regular file", path);
	/* It decides what runs, and as whom. */
	if ((st.st_uid != 0 && st.st_uid != plan->caller_uid) || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return err_refused(err, ERR_ID_IMAGE_CONFIG,
				   "%s: another user could have written it (owner %u, mode %04o)", path, st.st_uid,
				   st.st_mode & 07777);
	const int r = file_read_fd(fd, path, (size_t)st.st_size, IMAGE_CONFIG_MAX, &text, &size, err);
	return r < 0 ? r : image_config_parse(text, size, path, plan->arena, ret, err);
}

/* "/srv/web.image.json" of the rootfs /srv/web, however it was said; NULL where no such name can be. */
static int path_beside(const struct plan *plan, const char *rootfs, const char **ret, struct err *err)
{
	_cleanup_close_ int fd = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char path[PATH_MAX];

	*ret = NULL;
	if (fd < 0)
		return 0; /* resolve_rootfs() tells */
	const int r = tree_path_of(fd, rootfs, path, err);
	if (r < 0 || streq(path, "/"))
		return r;
	*ret = arena_printf(plan->arena, "%s" SUFFIX, path);
	return *ret ? 0 : err_oom(err);
}

int image_config_load(const struct plan *plan, const struct plan_request *request, struct image_config *ret,
		      struct err *err)
{
	const char *path = request->image_config;
	int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

	*ret = (struct image_config){ 0 };
	if (path && (streq(path, "none") || streq(path, "false")))
		return 0;
	if (!path) {
		const int r = request->rootfs && *request->rootfs ? path_beside(plan, request->rootfs, &path, err) : 0;

		if (r < 0 || !path)
			return r;
		/* In a directory where others may put links, one could lead to any file of root's. */
		flags |= O_NOFOLLOW;
	} else {
		path = arena_strdup(plan->arena, path);
		if (!path)
			return err_oom(err);
	}
	_cleanup_close_ int fd = open(path, flags);
	/* EACCES may come from the way there, by which the caller did not come: a relative ROOTFS. */
	if (fd < 0 && !request->image_config &&
	    (errno == ENOENT || errno == ENAMETOOLONG || (errno == EACCES && access(path, F_OK) < 0)))
		return 0;
	if (fd < 0 && errno == ELOOP)
		return err_refused(err, ERR_ID_IMAGE_CONFIG, "%s: a symbolic link", path);
	if (fd < 0)
		return err_system(err, "%s%s", request->image_config ? "--image-config " : "", path);
	return read_trusted(plan, fd, path, ret, err);
}
