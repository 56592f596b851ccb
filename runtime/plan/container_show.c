/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/container_show.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/kernel/cgroup_use.h>
#include <nsrun/plan/state.h>

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define DUMP_FLAGS (JSON_INDENT(2) | JSON_ENSURE_ASCII)
#define KEY_MAX 256
#define VALUE_MAX 65536
#define MOUNTINFO_MAX ((size_t)64 << 20)

static int dump(json_t *json, char **ret, struct err *err)
{
	char *text = json ? json_dumps(json, DUMP_FLAGS) : NULL;

	json_decref(json);
	if (!text)
		return err_oom(err);
	*ret = text;
	return 0;
}

/* Bytes that are no UTF-8 become escapes, as everywhere where they are shown. */
static json_t *text_json(const char *text)
{
	json_t *json = text ? json_string(text) : json_null();
	char escaped[VALUE_MAX];

	if (json)
		return json;
	escape_text(text, escaped, sizeof(escaped));
	return json_string(escaped);
}

static json_t *count_json(uint64_t value)
{
	return value == CGROUP_UNKNOWN || value > INT64_MAX ? json_null() : json_integer((json_int_t)value);
}

static json_t *limit_json(uint64_t value)
{
	return value == CGROUP_NO_LIMIT ? json_string("max") : count_json(value);
}

static void copy(json_t *to, const char *key, const json_t *from)
{
	json_t *value = json_object_get(from, key);

	json_object_set_new(to, key, value ? json_incref(value) : json_null());
}

static json_t *pid_json(pid_t pid)
{
	return pid > 0 ? json_integer(pid) : json_null();
}

const char *container_cgroup(const struct container *container)
{
	const char *path = container_text(container, "cgroup");

	if (path && container_is_bundle(container))
		return state_is_cgroup_path(path) ? path : NULL;
	return path && state_is_cgroup(path, container->id) ? path : NULL;
}

int64_t container_root_uid(const struct container *container)
{
	const json_t *map = json_object_get(container->state, "uid_map"), *extent;
	size_t i;

	json_array_foreach(map, i, extent) if (json_integer_value(json_array_get(extent, 0)) ==
					       0) return json_integer_value(json_array_get(extent, 1));
	return -1;
}

int container_list_json(const struct container *containers, size_t n, char **ret, struct err *err)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		const struct container *c = &containers[i];
		const int64_t uid = container_root_uid(c);
		json_t *entry = json_object();

		json_object_set_new(entry, "id", json_string(c->id));
		copy(entry, "name", c->state);
		json_object_set_new(entry, "status", json_string(container_status_word(c)));
		copy(entry, "exit", c->state);
		json_object_set_new(entry, "pid", pid_json(c->init));
		json_object_set_new(entry, "owner", pid_json(c->owner));
		copy(entry, "created", c->state);
		copy(entry, "rootfs", c->state);
		json_object_set_new(entry, "uid", uid < 0 ? json_null() : json_integer(uid));
		copy(entry, "argv", c->state);
		json_array_append_new(list, entry);
	}
	return dump(list, ret, err);
}

/* ---- inspect ---- */

/* Null where the caller may not look: ptrace(2), access mode checks. */
static json_t *namespaces_json(pid_t pid)
{
	static const char *const names[] = { "user", "pid", "net", "mnt", "ipc", "uts", "cgroup", "time" };
	json_t *json = json_object();

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct stat st;
		char path[64];

		snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, names[i]);
		json_object_set_new(json, names[i],
				    stat(path, &st) == 0 ? json_integer((json_int_t)st.st_ino) : json_null());
	}
	return json;
}

static json_t *mounts_json(pid_t pid)
{
	_cleanup_free_ char *text = NULL;
	json_int_t lines = 0;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)pid);
	if (file_read_virtual_at(AT_FDCWD, path, MOUNTINFO_MAX, &text, NULL, NULL) < 0)
		return json_null();
	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	return json_integer(lines);
}

static json_t *cgroup_json(const struct container *c)
{
	const char *path = container_cgroup(c);
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct cgroup_host host;
	struct cgroup_use use;

	if (!path || !arena || cgroup_probe(arena, &host, NULL) < 0)
		return json_null();
	cgroup_read_use(&host, path, &use);
	if (!use.exists)
		return json_null();
	return json_pack("{s:s, s:{s:o, s:o, s:o}, s:{s:o, s:o}, s:{s:o, s:o, s:o}}", "path", path, "memory", "current",
			 count_json(use.memory_bytes), "max", limit_json(use.memory_max), "oom_kills",
			 count_json(use.oom_kills), "pids", "current", count_json(use.pids), "max",
			 limit_json(use.pids_max), "cpu", "usage_us", count_json(use.cpu_usage_us), "quota_us",
			 limit_json(use.cpu_quota_us), "period_us", count_json(use.cpu_period_us));
}

static json_t *live_json(const struct container *c)
{
	struct pidref init = PIDREF_NONE;
	json_t *json;

	if (container_open_init(c, &init, NULL) < 0)
		return json_null();
	json = json_pack("{s:i, s:o, s:o, s:o}", "pid", (int)c->init, "namespaces", namespaces_json(c->init), "mounts",
			 mounts_json(c->init), "cgroup", cgroup_json(c));
	/* What was read of a number that is free by now may be another process'. */
	if (pidref_ended(&init)) {
		json_decref(json);
		json = json_null();
	}
	pidref_close(&init);
	return json;
}

static json_t *inspect(const struct container *c)
{
	json_t *json = json_object(), *value;
	const char *key;

	json_object_set_new(json, "id", json_string(c->id));
	copy(json, "name", c->state);
	json_object_set_new(json, "status", json_string(container_status_word(c)));
	json_object_set_new(json, "state_dir", text_json(c->dir));
	json_object_set_new(json, "live", live_json(c));
	/* "status" and the others are ours, whatever a record has of that name. */
	json_object_foreach(c->state, key, value) if (!json_object_get(json, key)) json_object_set(json, key, value);
	return json;
}

int container_inspect_json(const struct container *containers, size_t n, char **ret, struct err *err)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, inspect(&containers[i]));
	return dump(list, ret, err);
}

static void print_value(FILE *f, const char *key, const json_t *value);

static void print_member(FILE *f, const char *key, const char *name, const json_t *value)
{
	char full[KEY_MAX];

	snprintf(full, sizeof(full), "%s%s%s", key, key[0] ? "." : "", name);
	print_value(f, full, value);
}

static void print_scalar(FILE *f, const char *key, const json_t *value)
{
	char escaped_key[KEY_MAX * 4 + 1], escaped[VALUE_MAX];

	escape_text(key, escaped_key, sizeof(escaped_key));
	if (json_is_string(value)) {
		escape_text(json_string_value(value), escaped, sizeof(escaped));
		fprintf(f, "%s: %s\n", escaped_key, escaped);
	} else if (json_is_integer(value)) {
		fprintf(f, "%s: %lld\n", escaped_key, (long long)json_integer_value(value));
	} else if (json_is_real(value)) {
		fprintf(f, "%s: %g\n", escaped_key, json_real_value(value));
	} else {
		fprintf(f, "%s: %s\n", escaped_key,
			json_is_true(value)    ? "true"
			: json_is_false(value) ? "false"
					       : "null");
	}
}

/* Its depth is that of a record, which jansson limits. */
static void print_value(FILE *f, const char *key, const json_t *value)
{
	const json_t *entry;
	const char *name;
	char number[24];
	void *at;
	size_t i;

	if (json_is_array(value)) {
		json_array_foreach(value, i, entry)
		{
			snprintf(number, sizeof(number), "%zu", i);
			print_member(f, key, number, entry);
		}
		return;
	}
	if (!json_is_object(value)) {
		print_scalar(f, key, value);
		return;
	}
	for (at = json_object_iter((json_t *)value); at; at = json_object_iter_next((json_t *)value, at)) {
		name = json_object_iter_key(at);
		print_member(f, key, name, json_object_iter_value(at));
	}
}

int container_inspect_text(const struct container *container, char **ret, struct err *err)
{
	json_t *json = inspect(container);
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f || !json) {
		json_decref(json);
		if (f)
			fclose(f);
		free(text);
		return err_oom(err);
	}
	print_value(f, "", json);
	json_decref(json);
	if (fclose(f) != 0) {
		free(text);
		return err_oom(err);
	}
	*ret = text;
	return 0;
}

/* ---- top ---- */

int container_processes_json(const struct container_process *processes, size_t n, char **ret, struct err *err)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		const struct container_process *p = &processes[i];
		const char state[2] = { p->state, '\0' };

		json_array_append_new(list, json_pack("{s:i, s:i, s:i, s:I, s:o, s:s, s:I, s:I, s:I, s:o}", "pid",
						      (int)p->pid, "nspid", (int)p->nspid, "ppid", (int)p->ppid, "uid",
						      (json_int_t)p->uid, "uid_inside",
						      p->uid_inside < 0 ? json_null() : json_integer(p->uid_inside),
						      "state", state, "cpu_ms", (json_int_t)p->cpu_ms, "age_ms",
						      (json_int_t)p->age_ms, "rss_bytes", (json_int_t)p->rss_bytes,
						      "command", text_json(p->command)));
	}
	return dump(list, ret, err);
}
