/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/systemd.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/kernel/systemd_bus.h>

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define DESTINATION "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER "org.freedesktop.systemd1.Manager"
#define UNIT_SUFFIX ".scope"
#define UNIT_NAME_MAX 255 /* systemd.unit(5) */
#define JOB_TIMEOUT_US (30 * 1000000ULL)
#define REFUSED_PROPERTIES_MAX 16

void systemd_unit_name(const char *id, char ret[SYSTEMD_UNIT_SIZE])
{
	snprintf(ret, SYSTEMD_UNIT_SIZE, SYSTEMD_UNIT_PREFIX "%s" UNIT_SUFFIX, id);
}

const char *systemd_unit_of_group(const char *path)
{
	const char *last = strrchr(path, '/');
	const size_t n = last ? strlen(last + 1) : 0, suffix = strlen(UNIT_SUFFIX);

	return n > suffix && streq(last + 1 + n - suffix, UNIT_SUFFIX) ? last + 1 : NULL;
}

bool systemd_is_unit_group(const char *path, const char *id)
{
	char unit[SYSTEMD_UNIT_SIZE];
	const char *last = systemd_unit_of_group(path);

	systemd_unit_name(id, unit);
	return last && streq(last, unit);
}

const char *systemd_default_slice(bool user)
{
	/* app.slice is where a user's programs are, user.slice of a user's manager is nobody's: systemd.special(7). */
	return user ? "app.slice" : "system.slice";
}

int systemd_slice_path(const char *slice, char *ret, size_t size, struct err *err)
{
	static const char suffix[] = ".slice";
	static const char valid[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:_.\\-";
	const size_t len = strlen(slice), stem = len - strlen(suffix);
	size_t n = 0;

	if (len <= strlen(suffix) || !streq(slice + stem, suffix) || len > UNIT_NAME_MAX || strspn(slice, valid) != len)
		goto invalid;
	ret[0] = '\0';
	if (streq(slice, "-.slice"))
		return 0;
	for (size_t i = 0; i <= stem; i++) {
		if (i < stem && slice[i] != '-')
			continue;
		/* No empty part: "-a", "a-", "a--b". */
		if (i == 0 || slice[i - 1] == '-')
			goto invalid;
		if (n + i + sizeof(suffix) + 1 > size)
			return err_set(err, ERR_INPUT, ERR_ID_NONE, ENAMETOOLONG, "%s: path of its control group",
				       slice);
		n += (size_t)snprintf(ret + n, size - n, "/%.*s%s", (int)i, slice, suffix);
	}
	return 0;
invalid:
	return err_input(err,
			 "%s: no name of a slice: NAME.slice, whose parts between dashes are the slices around it "
			 "(systemd.slice(5))",
			 slice);
}

int systemd_group(struct systemd *manager, char *ret, size_t size, struct err *err)
{
	_cleanup_free_ char *group = NULL;
	sd_bus_error error = { 0 };
	int r;

	r = manager->calls.get_property_string(manager->bus, DESTINATION, MANAGER_PATH, MANAGER, "ControlGroup", &error,
					       &group);
	if (r < 0)
		return systemd_failed(manager, r, &error, err, "asking for its control group");
	if (streq(group, "/"))
		group[0] = '\0';
	if (strlen(group) >= size)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, ENAMETOOLONG, "%.64s...: systemd's control group", group);
	memcpy(ret, group, strlen(group) + 1);
	return 0;
}

/* ---- messages ---- */

/* Appends one thing after the other until one fails; the first failure stays. */
struct writer {
	const struct sd_bus_calls *calls;
	sd_bus_message *message;
	int r;
};

static void put(struct writer *w, char type, const void *value)
{
	if (w->r >= 0)
		w->r = w->calls->message_append_basic(w->message, type, value);
}

static void open_container(struct writer *w, char type, const char *contents)
{
	if (w->r >= 0)
		w->r = w->calls->message_open_container(w->message, type, contents);
}

static void close_containers(struct writer *w, unsigned n)
{
	while (n-- && w->r >= 0)
		w->r = w->calls->message_close_container(w->message);
}

/* (sv), up to and with the variant; close_containers(w, 2) ends it. */
static void open_property(struct writer *w, const char *name, const char *signature)
{
	open_container(w, 'r', "sv");
	put(w, 's', name);
	open_container(w, 'v', signature);
}

static void put_property(struct writer *w, const struct systemd_property *p)
{
	switch (p->kind) {
	case SYSTEMD_NUMBER:
		open_property(w, p->name, "t");
		put(w, 't', &p->number);
		break;
	case SYSTEMD_BYTES:
		open_property(w, p->name, "ay");
		if (w->r >= 0)
			w->r = w->calls->message_append_array(w->message, 'y', p->bytes, p->n_bytes);
		break;
	case SYSTEMD_DEVICE:
		open_property(w, p->name, "a(st)");
		open_container(w, 'a', "(st)");
		open_container(w, 'r', "st");
		put(w, 's', p->device);
		put(w, 't', &p->number);
		close_containers(w, 2);
		break;
	}
	close_containers(w, 2);
}

static void put_text(struct writer *w, const char *name, const char *text)
{
	open_property(w, name, "s");
	put(w, 's', text);
	close_containers(w, 2);
}

static void put_bool(struct writer *w, const char *name, int yes)
{
	open_property(w, name, "b");
	put(w, 'b', &yes);
	close_containers(w, 2);
}

/* Properties that this systemd refused: left out at the next attempt. */
struct refused {
	const char *names[REFUSED_PROPERTIES_MAX];
	size_t n;
};

static bool is_refused(const struct refused *refused, const char *name)
{
	for (size_t i = 0; i < refused->n; i++)
		if (streq(refused->names[i], name))
			return true;
	return false;
}

static void put_properties(struct writer *w, const struct systemd_properties *properties, const struct refused *refused)
{
	for (size_t i = 0; properties && i < properties->n; i++)
		if (!is_refused(refused, properties->list[i].name))
			put_property(w, &properties->list[i]);
}

static bool has_property(const struct systemd_properties *properties, const char *name)
{
	for (size_t i = 0; properties && i < properties->n; i++)
		if (streq(properties->list[i].name, name))
			return true;
	return false;
}

/* "Cannot set property MemoryZSwapMax, or unknown property." of an older systemd, "Value specified in CPUWeight is out of range": which one is it? */
static bool note_refused(const struct systemd_properties *properties, const sd_bus_error *error,
			 struct refused *refused)
{
	if (!error->name || !error->message || refused->n == REFUSED_PROPERTIES_MAX ||
	    (!streq(error->name, "org.freedesktop.DBus.Error.PropertyReadOnly") &&
	     !streq(error->name, "org.freedesktop.DBus.Error.UnknownProperty") &&
	     !streq(error->name, "org.freedesktop.DBus.Error.InvalidArgs")))
		return false;
	for (size_t i = 0; properties && i < properties->n; i++) {
		const char *name = properties->list[i].name, *at = strstr(error->message, name);
		const size_t n = strlen(name);

		if (!at || is_refused(refused, name))
			continue;
		if ((at == error->message || at[-1] == ' ') && strchr(" ,.:=", at[n])) {
			refused->names[refused->n++] = name;
			return true;
		}
	}
	return false;
}

static int new_call(struct systemd *manager, const char *member, struct writer *w, struct err *err)
{
	*w = (struct writer){ .calls = &manager->calls };
	w->r = manager->calls.message_new_method_call(manager->bus, &w->message, DESTINATION, MANAGER_PATH, MANAGER,
						      member);
	if (w->r < 0)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -w->r, "D-Bus message %s", member);
	return 0;
}

/* Sends it, for whose answer nobody cares beyond that it came. Frees the message. */
static int send_call(struct systemd *manager, struct writer *w, sd_bus_error *error)
{
	sd_bus_message *reply = NULL;

	if (w->r >= 0)
		w->r = manager->calls.call(manager->bus, w->message, 0, error, &reply);
	manager->calls.message_unref(reply);
	manager->calls.message_unref(w->message);
	return w->r;
}

/* ---- scopes ---- */

static int start_transient(struct systemd *manager, const struct systemd_scope *scope, const struct refused *refused,
			   sd_bus_error *error, struct err *err)
{
	const uint32_t pid = (uint32_t)scope->process->pid;
	struct writer w;
	int r;

	r = new_call(manager, "StartTransientUnit", &w, err);
	if (r < 0)
		return r;
	put(&w, 's', scope->unit);
	put(&w, 's', "fail");
	open_container(&w, 'a', "(sv)");
	put_text(&w, "Description", scope->description);
	put_text(&w, "Slice", scope->slice);
	put_text(&w, "CollectMode", "inactive-or-failed");
	/* Otherwise DefaultTimeoutStopSec=, 90 s. 0 would be none after a reload (systemd.service(5)). */
	put_property(&w, &(const struct systemd_property){ "TimeoutStopUSec", SYSTEMD_NUMBER,
							   scope->stop_us ? scope->stop_us : 1 });
	/* No ordering against the shutdown that services have: a container of a user's is stopped with its slice. */
	put_bool(&w, "DefaultDependencies", 0);
	/* Either: Delegate=yes is every controller that systemd has. */
	if (!scope->controllers) {
		put_bool(&w, "Delegate", 1);
	} else {
		open_property(&w, "DelegateControllers", "as");
		open_container(&w, 'a', "s");
		for (size_t i = 0; scope->controllers[i]; i++)
			put(&w, 's', scope->controllers[i]);
		close_containers(&w, 3);
	}
	/* Otherwise DefaultTasksMax= would be a limit that nobody asked for: systemd-system.conf(5). */
	if (!has_property(scope->properties, "TasksMax"))
		put_property(&w, &(const struct systemd_property){ "TasksMax", SYSTEMD_NUMBER, UINT64_MAX });
	put_properties(&w, scope->properties, refused);
	open_property(&w, "PIDs", "au");
	if (w.r >= 0)
		w.r = manager->calls.message_append_array(w.message, 'u', &pid, sizeof(pid));
	close_containers(&w, 3);
	open_container(&w, 'a', "(sa(sv))");
	close_containers(&w, 1);
	return send_call(manager, &w, error);
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/*
 * Asks the bus for the signal JobRemoved of this unit: before the call, since the job may be over sooner than its answer is read. Not by
 * sd_bus_add_match(3), which looks at no argument behind the first that is no string, so that every job of the machine would wake us.
 */
static int watch_unit(struct systemd *manager, const char *unit, sd_bus_error *error)
{
	struct writer w = { .calls = &manager->calls };
	char match[512];

	if (manager->direct)
		return 0; /* without a bus systemd sends all its signals */
	snprintf(match, sizeof(match),
		 "type='signal',sender='" DESTINATION "',path='" MANAGER_PATH "',interface='" MANAGER
		 "',member='JobRemoved',arg2='%s'",
		 unit);
	w.r = manager->calls.message_new_method_call(manager->bus, &w.message, "org.freedesktop.DBus",
						     "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch");
	put(&w, 's', match);
	return send_call(manager, &w, error);
}

/* Is it the end of the unit's job? Then how it ended. */
static bool job_result(struct systemd *manager, sd_bus_message *message, const char *unit, char *ret, size_t size)
{
	const char *path, *name, *result;
	uint32_t id;

	if (manager->calls.message_is_signal(message, MANAGER, "JobRemoved") <= 0 ||
	    manager->calls.message_read_basic(message, 'u', &id) <= 0 ||
	    manager->calls.message_read_basic(message, 'o', &path) <= 0 ||
	    manager->calls.message_read_basic(message, 's', &name) <= 0 ||
	    manager->calls.message_read_basic(message, 's', &result) <= 0 || !streq(name, unit))
		return false;
	snprintf(ret, size, "%s", result);
	return true;
}

static int wait_for_job(struct systemd *manager, const char *unit, struct err *err)
{
	const uint64_t end = now_us() + JOB_TIMEOUT_US;
	char result[32] = "";

	while (!*result) {
		sd_bus_message *message = NULL;
		sd_bus_error none = { 0 };
		const uint64_t now = now_us();
		int r;

		if (now >= end)
			return err_set(err, ERR_SYSTEM, ERR_ID_SYSTEMD_FAILED, ETIMEDOUT,
				       "systemd: %s: not started within %d s", unit, (int)(JOB_TIMEOUT_US / 1000000));
		r = manager->calls.process(manager->bus, &message);
		if (message)
			job_result(manager, message, unit, result, sizeof(result));
		manager->calls.message_unref(message);
		if (r == 0)
			r = manager->calls.wait(manager->bus, end - now);
		if (r < 0 && r != -EINTR)
			return systemd_failed(manager, r, &none, err, "%s: waiting for its start", unit);
	}
	if (!streq(result, "done"))
		return err_set(err, ERR_REFUSED, ERR_ID_SYSTEMD_FAILED, EIO, "systemd: %s: its start ended as \"%s\"",
			       unit, result);
	return 0;
}

/* Object paths have letters and digits; other bytes are _XX: sd_bus_path_encode(3). */
static void unit_object(const char *unit, char *ret, size_t size)
{
	size_t n = (size_t)snprintf(ret, size, "/org/freedesktop/systemd1/unit/");

	for (const char *p = unit; *p && n + 4 < size; p++) {
		const bool plain =
			(*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9' && p != unit);

		n += (size_t)snprintf(ret + n, size - n, plain ? "%c" : "_%02x", (unsigned char)*p);
	}
}

static int unit_group(struct systemd *manager, const char *unit, char *ret, size_t size, struct err *err)
{
	_cleanup_free_ char *group = NULL;
	sd_bus_error error = { 0 };
	char object[128 + 3 * UNIT_NAME_MAX];
	int r;

	unit_object(unit, object, sizeof(object));
	r = manager->calls.get_property_string(manager->bus, DESTINATION, object, "org.freedesktop.systemd1.Scope",
					       "ControlGroup", &error, &group);
	if (r < 0)
		return systemd_failed(manager, r, &error, err, "%s: asking for its control group", unit);
	if (strlen(group) >= size)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, ENAMETOOLONG, "%.64s...: control group of %s", group,
			       unit);
	memcpy(ret, group, strlen(group) + 1);
	return 0;
}

static int start_and_wait(struct systemd *manager, const struct systemd_scope *scope, struct err *err)
{
	struct refused refused = { 0 };
	sd_bus_error error = { 0 };
	int r;

	r = watch_unit(manager, scope->unit, &error);
	if (r < 0)
		return systemd_failed(manager, r, &error, err, "waiting for %s", scope->unit);
	for (;;) {
		r = start_transient(manager, scope, &refused, &error, err);
		if (r >= 0)
			return wait_for_job(manager, scope->unit, err);
		if (!note_refused(scope->properties, &error, &refused))
			return systemd_failed(manager, r, &error, err, "starting %s in %s", scope->unit, scope->slice);
		manager->calls.error_free(&error);
	}
}

int systemd_start_scope(struct systemd *manager, const struct systemd_scope *scope, char *ret_group, size_t size,
			struct err *err)
{
	const int r = start_and_wait(manager, scope, err);

	return r < 0 ? r : unit_group(manager, scope->unit, ret_group, size, err);
}

int systemd_set_properties(struct systemd *manager, const char *unit, const struct systemd_properties *properties,
			   struct err *err)
{
	struct refused refused = { 0 };

	for (;;) {
		sd_bus_error error = { 0 };
		const int runtime = 1;
		struct writer w;
		int r;

		r = new_call(manager, "SetUnitProperties", &w, err);
		if (r < 0)
			return r;
		put(&w, 's', unit);
		put(&w, 'b', &runtime);
		open_container(&w, 'a', "(sv)");
		put_properties(&w, properties, &refused);
		close_containers(&w, 1);
		r = send_call(manager, &w, &error);
		if (r >= 0)
			return 0;
		if (!note_refused(properties, &error, &refused))
			return systemd_failed(manager, r, &error, err, "%s: changing its limits", unit);
		manager->calls.error_free(&error);
	}
}

int systemd_attach(struct systemd *manager, const char *unit, const char *below, const struct pidref *process,
		   struct err *err)
{
	const uint32_t pid = (uint32_t)process->pid;
	sd_bus_error error = { 0 };
	struct writer w;
	int r;

	r = new_call(manager, "AttachProcessesToUnit", &w, err);
	if (r < 0)
		return r;
	put(&w, 's', unit);
	put(&w, 's', below);
	if (w.r >= 0)
		w.r = manager->calls.message_append_array(w.message, 'u', &pid, sizeof(pid));
	r = send_call(manager, &w, &error);
	return r < 0 ? systemd_failed(manager, r, &error, err, "%s: taking in a process", unit) : 0;
}

void systemd_end_scope(const struct cgroup_host *host, const char *path, unsigned timeout_ms)
{
	const uint64_t end = now_us() + timeout_ms * 1000ULL;
	char dir[2 * CGROUP_PATH_MAX], file[2 * CGROUP_PATH_MAX + 32];
	struct stat st;
	int pause_ms = 1;

	snprintf(dir, sizeof(dir), "%s%s", host->v2_mount, path);
	snprintf(file, sizeof(file), "%s/cgroup.kill", dir);
	if (file_write_at(AT_FDCWD, file, "1", NULL) < 0)
		return;
	while (stat(dir, &st) == 0 && now_us() < end) {
		poll(NULL, 0, pause_ms);
		pause_ms = pause_ms < 16 ? 2 * pause_ms : pause_ms;
	}
}

bool systemd_has_controller(enum cgroup_ctl controller)
{
	return controller == CGROUP_CPU || controller == CGROUP_CPUSET || controller == CGROUP_IO ||
	       controller == CGROUP_MEMORY || controller == CGROUP_PIDS;
}

int systemd_update_limits(const struct cgroup_host *host, const char *path, const struct cgroup_resources *resources,
			  struct err *err)
{
	_cleanup_(systemd_closep) struct systemd *manager = NULL;
	_cleanup_free_ struct cgroup_setting *settings = calloc(CGROUP_SETTINGS_MAX, sizeof(*settings));
	_cleanup_free_ struct systemd_properties *properties = calloc(1, sizeof(*properties));
	const char *unit = systemd_unit_of_group(path);
	char group[CGROUP_PATH_MAX];
	size_t n = 0;
	int r;

	if (!unit)
		return err_bug(err, "%s: not the group of a scope", path);
	if (!settings || !properties)
		return err_oom(err);
	r = cgroup_settings(host, resources, settings, &n, err);
	if (r == 0)
		r = systemd_properties(settings, n, properties, err);
	if (r == 0)
		r = systemd_open(&manager, err);
	if (r < 0 || !manager)
		return r;
	r = systemd_set_properties(manager, unit, properties, err);
	/* systemd answers first and writes the files then, before it reads the next message. */
	return r < 0 ? r : unit_group(manager, unit, group, sizeof(group), err);
}
