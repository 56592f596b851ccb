/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/container_record.h>

#include <nsrun/base/file.h>
#include <nsrun/base/procstat.h>
#include <nsrun/base/strings.h>
#include <nsrun/plan/limits.h>
#include <nsrun/plan/state.h>

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define RECORD_MAX (8U << 20) /* the environment is in it */
#define RECORD_VERSION 3
#define LOCK_TEXT_MAX 64
#define STOP_SECONDS 10 /* as docker has it */

/* What the lock tells. */
struct lock_look {
	bool held;
	pid_t init;   /* 0: not there */
	bool created; /* a bundle's: create has done all */
	uint64_t start;
};

/*
 * A shared lock that is let go at once: held by its owner, the probe fails and changes nothing. It succeeds for a moment on a
 * dead one only, and on one that is just being made, between open and flock: that launch takes another id then. A second reader
 * is not in the way. Without a lock there is the record of a container that has ended and is kept, or one that is being removed.
 */
static int look_at_lock(int dirfd, struct lock_look *ret, struct err *err)
{
	_cleanup_close_ int fd = openat(dirfd, "lock", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct lock_look look = { 0 };
	char text[LOCK_TEXT_MAX] = "";
	unsigned long long start;
	struct stat st;
	ssize_t n;
	int pid;

	if (fd < 0 && errno == ENOENT) {
		*ret = look;
		return 0;
	}
	if (fd < 0)
		return err_system(err, "lock of the container");
	if (flock(fd, LOCK_SH | LOCK_NB) == 0)
		flock(fd, LOCK_UN);
	else if (errno == EWOULDBLOCK)
		look.held = true;
	else
		return err_system(err, "lock of the container");
	if (fstat(fd, &st) < 0)
		return err_system(err, "lock of the container");
	if (!S_ISREG(st.st_mode))
		return err_input(err, "lock of the container: no regular file");
	n = pread(fd, text, sizeof(text) - 1, 0);
	/* Written by one write(2), which may still be under way: half a line is none. */
	if (n > 0 && text[n - 1] == '\n' && sscanf(text, "%d %llu\n", &pid, &start) == 2 && pid > 1) {
		look.init = pid;
		look.created = strstr(text, " created\n") != NULL;
		look.start = start;
	}
	*ret = look;
	return 0;
}

/* ---- checking ---- */

static int bad(const char *where, const char *key, const char *what, struct err *err)
{
	return err_input(err, "%s/state.json: \"%s\" is no %s", where, key, what);
}

static bool is_process(const json_t *value)
{
	const json_t *pid = json_object_get(value, "pid"), *start = json_object_get(value, "start");

	return json_is_integer(pid) && json_is_integer(start) && json_integer_value(pid) > 0 &&
	       json_integer_value(pid) <= INT_MAX && json_integer_value(start) >= 0;
}

static bool is_strings(const json_t *value)
{
	const json_t *entry;
	size_t i;

	if (!json_is_array(value))
		return false;
	json_array_foreach(value, i, entry) if (!json_is_string(entry)) return false;
	return true;
}

static bool is_map(const json_t *value)
{
	const json_t *extent;
	size_t i;

	if (!json_is_array(value))
		return false;
	json_array_foreach(value, i, extent)
	{
		if (json_array_size(extent) != 3)
			return false;
		for (size_t k = 0; k < 3; k++) {
			const json_t *number = json_array_get(extent, k);

			if (!json_is_integer(number) || json_integer_value(number) < 0 ||
			    json_integer_value(number) > UINT32_MAX)
				return false;
		}
	}
	return true;
}

static bool in_range(const json_t *value, json_int_t low, json_int_t high)
{
	return json_is_integer(value) && json_integer_value(value) >= low && json_integer_value(value) <= high;
}

static bool is_exit(const json_t *value)
{
	static const char *const counts[] = { "oom_kills", "memory_limit", "forks_refused", "pids_limit" };
	const json_t *time = json_object_get(value, "time");

	if (!json_is_object(value) || (time && !json_is_string(time)))
		return false;
	if (json_is_true(json_object_get(value, "lost")))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		if (json_object_get(value, counts[i]) && !in_range(json_object_get(value, counts[i]), 0, INT64_MAX))
			return false;
	return in_range(json_object_get(value, "status"), 0, 255) &&
	       in_range(json_object_get(value, "signal"), 0, NSIG);
}

static bool is_stop(const json_t *value)
{
	return in_range(json_object_get(value, "signal"), 1, NSIG - 1) &&
	       in_range(json_object_get(value, "timeout"), -1, UINT32_MAX);
}

static bool is_boolean(const json_t *value)
{
	return json_is_boolean(value);
}

static bool is_string(const json_t *value)
{
	return json_is_string(value);
}

static bool is_object(const json_t *value)
{
	return json_is_object(value);
}

static bool is_hooks(const json_t *hooks)
{
	const json_t *hook;
	size_t i;

	if (hooks && !json_is_array(hooks))
		return false;
	json_array_foreach(hooks, i, hook)
	{
		const json_t *args = json_object_get(hook, "args"), *env = json_object_get(hook, "env");
		const json_t *timeout = json_object_get(hook, "timeout");

		if (!json_is_string(json_object_get(hook, "path")) || (args && !is_strings(args)) ||
		    (env && !is_strings(env)) || (timeout && !in_range(timeout, 0, INT_MAX)))
			return false;
	}
	return true;
}

static bool is_bundle(const json_t *value)
{
	const json_t *annotations = json_object_get(value, "annotations"), *hooks = json_object_get(value, "hooks");
	const json_t *settings = json_object_get(value, "settings"),
		     *keyring = json_object_get(value, "no_new_keyring");

	return json_is_string(json_object_get(value, "dir")) && json_is_string(json_object_get(value, "oci_version")) &&
	       (!annotations || json_is_object(annotations)) && (!settings || json_is_object(settings)) &&
	       (!keyring || json_is_boolean(keyring)) && is_hooks(json_object_get(hooks, "poststart")) &&
	       is_hooks(json_object_get(hooks, "poststop"));
}

int container_record_check(const json_t *state, const char *id, const char *where, struct err *err)
{
	static const struct {
		const char *key, *what;
		bool (*is)(const json_t *value);
		bool needed;
	} fields[] = {
		{ "id", "string", is_string, true },
		{ "name", "string", is_string, false },
		{ "created", "string", is_string, false },
		{ "rootfs", "string", is_string, false },
		{ "cgroup", "string", is_string, false },
		{ "boot_id", "string", is_string, false },
		{ "owner", "process", is_process, false },
		{ "init", "process", is_process, false },
		{ "uid_map", "list of extents", is_map, false },
		{ "gid_map", "list of extents", is_map, false },
		{ "argv", "list of strings", is_strings, false },
		{ "keep", "boolean", is_boolean, false },
		{ "terminal", "boolean", is_boolean, false },
		{ "keeper", "boolean", is_boolean, false },
		{ "namespaces", "object", is_object, false },
		{ "process", "object", is_object, false },
		{ "resources", "object", is_object, false },

		{ "devices", "object", is_object, false },
		{ "bundle", "bundle", is_bundle, false },
		{ "stop", "signal and timeout", is_stop, false },
		{ "log", "object", is_object, false },
		{ "exit", "end of a container", is_exit, false },
	};
	const json_t *version = json_object_get(state, "version"), *value;

	if (!json_is_object(state))
		return err_input(err, "%s/state.json: no object", where);
	if (!json_is_integer(version) || json_integer_value(version) < 1)
		return bad(where, "version", "version of a record", err);
	if (json_integer_value(version) > RECORD_VERSION)
		return err_input(err, "%s/state.json: version %lld is of a newer nsrun: this one reads up to %d", where,
				 (long long)json_integer_value(version), RECORD_VERSION);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		value = json_object_get(state, fields[i].key);
		if ((!value || json_is_null(value)) && !fields[i].needed)
			continue;
		if (!fields[i].is(value))
			return bad(where, fields[i].key, fields[i].what, err);
	}
	if (!streq(json_string_value(json_object_get(state, "id")), id))
		return err_input(err, "%s/state.json: it is the record of another container, by its \"id\"", where);
	return 0;
}

/* ---- reading ---- */

static int read_state(int dirfd, const char *where, const char *id, json_t **ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct err why = ERR_INIT;
	json_error_t parse;
	json_t *state;
	size_t size;
	int r;

	r = file_read_at(dirfd, "state.json", RECORD_MAX, &text, &size, &why);
	if (r == -ENOENT)
		return r;
	if (r < 0)
		return err_set(err, why.kind, why.id, why.errnum, "%s/%s", where, why.message);
	state = json_loadb(text, size, JSON_REJECT_DUPLICATES, &parse);
	if (!state)
		return err_input(err, "%s/state.json: line %d: %s", where, parse.line, parse.text);
	r = container_record_check(state, id, where, err);
	if (r < 0) {
		json_decref(state);
		return r;
	}
	*ret = state;
	return 0;
}

static void take_process(const json_t *process, pid_t *ret_pid, uint64_t *ret_start)
{
	if (!json_is_object(process))
		return;
	*ret_pid = (pid_t)json_integer_value(json_object_get(process, "pid"));
	*ret_start = (uint64_t)json_integer_value(json_object_get(process, "start"));
}

static bool is_process_now(pid_t pid, uint64_t start, struct procstat *ret)
{
	return pid > 0 && procstat_read(pid, ret, NULL) == 0 && ret->start == start;
}

/* A record of version 1 names init only where there is no control group: it is the owner's child. */
static void find_init_child(struct container *c)
{
	_cleanup_free_ char *text = NULL;
	char path[64];
	pid_t found = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)c->owner, (int)c->owner);
	if (file_read_virtual_at(AT_FDCWD, path, 65536, &text, NULL, NULL) < 0)
		return;
	for (char *word, *rest = text; !found && (word = strsep(&rest, " \n"));) {
		uint32_t pid;

		if (parse_u32(word, &pid) == 0 && pid <= INT_MAX && procstat_is_namespace_init((pid_t)pid))
			found = (pid_t)pid;
	}
	struct procstat stat;

	if (found && procstat_read(found, &stat, NULL) == 0 && stat.ppid == c->owner) {
		c->init = found;
		c->init_start = stat.start;
	}
}

/* Under --init PID 1 never executes anything: it names itself once the container's tree is complete (row workload.fork). */
static bool executes(const struct procstat *init)
{
	return !init->forked_only || streq(init->comm, "nsrun-init");
}

static bool of_another_boot(const json_t *state)
{
	const char *then = json_string_value(json_object_get(state, "boot_id"));
	char now[BOOT_ID_SIZE];

	return then && state_boot_id(now) && !streq(now, then);
}

/* The lock tells of an init that is not known yet, and nothing else: who looks takes it for a moment, too. */
static void judge_bundle(struct container *c, const struct lock_look *look)
{
	struct procstat stat;

	const bool known = look->init > 0 && !of_another_boot(c->state);
	if (known && is_process_now(look->init, look->start, &stat) && stat.state != 'Z' && stat.state != 'X') {
		c->init = look->init;
		c->init_start = look->start;
		c->status = executes(&stat) ? CONTAINER_RUNNING
			    : look->created ? CONTAINER_CREATED
					    : CONTAINER_STARTING;
		return;
	}
	c->status = !known && look->held ? CONTAINER_STARTING : CONTAINER_STOPPED;
}

static void judge(struct container *c, const struct lock_look *look)
{
	struct procstat stat;
	uint64_t owner_start = 0;
	bool known;

	take_process(json_object_get(c->state, "owner"), &c->owner, &owner_start);
	if (container_is_bundle(c)) {
		judge_bundle(c, look);
		return;
	}
	if (json_is_object(json_object_get(c->state, "exit"))) {
		c->status = CONTAINER_ENDED;
		return;
	}
	if (!look->held || of_another_boot(c->state)) {
		c->status = CONTAINER_DEAD;
		return;
	}
	take_process(json_object_get(c->state, "init"), &c->init, &c->init_start);
	if (look->init > 0) {
		c->init = look->init;
		c->init_start = look->start;
	}
	if (c->init == 0 && json_integer_value(json_object_get(c->state, "version")) == 1 &&
	    is_process_now(c->owner, owner_start, &stat))
		find_init_child(c);
	known = c->init > 0;
	if (known && is_process_now(c->init, c->init_start, &stat) && stat.state != 'Z' && stat.state != 'X') {
		c->status = executes(&stat) ? CONTAINER_RUNNING : CONTAINER_STARTING;
		return;
	}
	c->init = 0;
	c->init_start = 0;
	c->status = known ? CONTAINER_RUNNING : CONTAINER_STARTING;
}

/* What `nsrun update` has changed: the owner's record stays the owner's. A bad one is passed over for what the container was started with. */
static void take_update(int dirfd, struct container *c)
{
	_cleanup_free_ char *text = NULL;
	json_t *resources;
	size_t size;

	if (file_read_at(dirfd, "resources.json", RECORD_MAX, &text, &size, NULL) < 0)
		return;
	resources = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(resources))
		json_object_set(c->state, "resources", resources);
	json_decref(resources);
}

int container_record_read(const char *root, int root_fd, const char *remap, const char *id, struct container *ret,
			  struct err *err)
{
	_cleanup_(container_done) struct container c = { 0 };
	_cleanup_close_ int dir = FD_NONE;
	struct lock_look look;
	char where[64];
	int r;

	snprintf(where, sizeof(where), "%.40s/%s", remap, id);
	dir = openat(root_fd, where, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? -ENOENT : err_system(err, "%s in the state root", where);
	/* The lock before the record: the last record of an owner is written before it lets go, so one that is dead by its lock and
	 * has no end in its record died without one. */
	r = look_at_lock(dir, &look, err);
	if (r < 0)
		return r;
	r = read_state(dir, where, id, &c.state, err);
	if (r == -ENOENT && look.held) {
		c.state = json_pack("{s:i, s:s}", "version", RECORD_VERSION, "id", id);
		r = c.state ? 0 : err_oom(err);
	}
	if (r < 0)
		return r;
	take_update(dir, &c);
	strcpy(c.id, id);
	if (asprintf(&c.dir, "%s/%s", root, where) < 0) {
		c.dir = NULL;
		return err_oom(err);
	}
	c.name = json_string_value(json_object_get(c.state, "name"));
	judge(&c, &look);
	*ret = c;
	c = (struct container){ 0 };
	return 0;
}

int container_record_assume(const char *root, int root_fd, const char *remap, const char *id, const char *name,
			    struct container *ret, struct err *err)
{
	_cleanup_(container_done) struct container c = { 0 };
	_cleanup_close_ int dir = FD_NONE;
	struct lock_look look;
	char where[64];

	snprintf(where, sizeof(where), "%.40s/%s", remap, id);
	dir = openat(root_fd, where, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? -ENOENT : err_system(err, "%s in the state root", where);
	const int r = look_at_lock(dir, &look, err);
	if (r < 0)
		return r;
	c.state = json_pack("{s:i, s:s, s:s, s:b, s:{}}", "version", RECORD_VERSION, "id", id, "name", name, "damaged",
			    1, "bundle");
	if (!c.state || asprintf(&c.dir, "%s/%s", root, where) < 0) {
		c.dir = NULL;
		return err_oom(err);
	}
	strcpy(c.id, id);
	c.name = json_string_value(json_object_get(c.state, "name"));
	judge_bundle(&c, &look);
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

bool container_owner_lives(const struct container *container)
{
	_cleanup_close_ int dir = open(container->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct lock_look look;
	int r;

	if (dir < 0)
		return errno != ENOENT;
	r = look_at_lock(dir, &look, NULL);
	return r < 0 || look.held;
}

/* ---- what it says ---- */

const char *container_status_name(enum container_status status)
{
	static const char *const names[] = {
		[CONTAINER_STARTING] = "starting", [CONTAINER_RUNNING] = "running", [CONTAINER_ENDED] = "ended",
		[CONTAINER_DEAD] = "dead",	   [CONTAINER_CREATED] = "created", [CONTAINER_STOPPED] = "stopped",
	};

	return names[status];
}

const char *container_status_word(const struct container *container)
{
	return container->paused ? "paused" : container_status_name(container->status);
}

bool container_is_bundle(const struct container *container)
{
	return json_is_object(json_object_get(container->state, "bundle"));
}

const char *container_oci_status(const struct container *container)
{
	return container->status == CONTAINER_STARTING ? "creating" : container_status_word(container);
}

const char *container_label(const struct container *container)
{
	return container->name ? container->name : container->id;
}

const char *container_text(const struct container *container, const char *key)
{
	return json_string_value(json_object_get(container->state, key));
}

bool container_exit(const struct container *container, struct container_exit *ret)
{
	const json_t *end = json_object_get(container->state, "exit");

	if (!json_is_object(end))
		return false;
	*ret = (struct container_exit){
		.status = (int)json_integer_value(json_object_get(end, "status")),
		.signal = (int)json_integer_value(json_object_get(end, "signal")),
		.events = {
			.oom_kills = (uint64_t)json_integer_value(json_object_get(end, "oom_kills")),
			.memory_limit = (uint64_t)json_integer_value(json_object_get(end, "memory_limit")),
			.forks_refused = (uint64_t)json_integer_value(json_object_get(end, "forks_refused")),
			.pids_limit = (uint64_t)json_integer_value(json_object_get(end, "pids_limit")),
		},
		.lost = json_is_true(json_object_get(end, "lost")),
		.time = json_string_value(json_object_get(end, "time")),
	};
	return true;
}

void container_stop_default(const struct container *container, int *ret_signal, unsigned *ret_seconds)
{
	const json_t *stop = json_object_get(container->state, "stop");

	*ret_signal = SIGTERM;
	*ret_seconds = STOP_SECONDS;
	if (!json_is_object(stop))
		return;
	*ret_signal = (int)json_integer_value(json_object_get(stop, "signal"));
	*ret_seconds = (unsigned)json_integer_value(json_object_get(stop, "timeout"));
}

int container_resources(const struct container *container, struct arena *arena, struct cgroup_resources *ret,
			struct err *err)
{
	const json_t *resources = json_object_get(container->state, "resources");
	char where[PLAN_ID_LEN + 64];

	if (!json_is_object(resources)) {
		*ret = (struct cgroup_resources){ 0 };
		return 0;
	}
	snprintf(where, sizeof(where), "%s/state.json: resources", container->id);
	return limits_from_json(arena, resources, where, ret, err);
}

bool container_in_foreground(const struct container *container)
{
	const json_t *keeper = json_object_get(container->state, "keeper");

	/* Version 1 knows no keepers; a record that is not written yet tells nothing. */
	return json_is_boolean(keeper) ? json_is_false(keeper)
				       : json_integer_value(json_object_get(container->state, "version")) == 1;
}

char *container_command(const struct container *container)
{
	const json_t *argv = json_object_get(container->state, "argv"), *word;
	char *text = NULL;
	size_t size, i;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	json_array_foreach(argv, i, word) fprintf(f, "%s%s", i ? " " : "", json_string_value(word));
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
