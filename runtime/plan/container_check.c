/* SPDX-License-Identifier: Apache-2.0 */
/* Is what a record says of the types that its readers take for granted? */
#include <nsrun/plan/container_record.h>

#include <nsrun/base/strings.h>

#include <limits.h>
#include <signal.h>

static int bad(const char *where, const char *key, const char *what, struct err *err)
{
	return err_set(err, ERR_INPUT, ERR_ID_RECORD_DAMAGED, EINVAL, "%s/state.json: \"%s\" is no %s", where, key,
		       what);
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
		return err_set(err, ERR_INPUT, ERR_ID_RECORD_DAMAGED, EINVAL, "%s/state.json: no object", where);
	if (!json_is_integer(version) || json_integer_value(version) < 1)
		return bad(where, "version", "version of a record", err);
	if (json_integer_value(version) > CONTAINER_RECORD_VERSION)
		return err_set(err, ERR_INPUT, ERR_ID_RECORD_DAMAGED, EINVAL,
			       "%s/state.json: version %lld is of a newer nsrun: this one reads up to %d", where,
			       (long long)json_integer_value(version), CONTAINER_RECORD_VERSION);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		value = json_object_get(state, fields[i].key);
		if ((!value || json_is_null(value)) && !fields[i].needed)
			continue;
		if (!fields[i].is(value))
			return bad(where, fields[i].key, fields[i].what, err);
	}
	if (!streq(json_string_value(json_object_get(state, "id")), id))
		return err_set(err, ERR_INPUT, ERR_ID_RECORD_DAMAGED, EINVAL,
			       "%s/state.json: it is the record of another container, by its \"id\"", where);
	return 0;
}
