/* SPDX-License-Identifier: Apache-2.0 */
/* linux.seccomp: config-linux.md, "Seccomp". The rules themselves are read by the reader of profiles, and only where their filter is not compiled already. */
#include <nsrun/oci/config.h>

#include <nsrun/base/strings.h>
#include <nsrun/plan/seccomp_profile.h>

#include <string.h>
#include <sys/un.h>

#define NOTIFY "SCMP_ACT_NOTIFY"
#define WAIT_KILLABLE "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" /* EINVAL without a listener (seccomp.c of the kernel) */

static bool is_notify(const json_t *object, const char *key)
{
	const char *action = json_string_value(json_object_get(object, key));

	return action && streq(action, NOTIFY);
}

static bool uses_notify(const struct json_at *at)
{
	const json_t *list = json_object_get(at->value, "syscalls"), *entry;
	size_t i;

	json_array_foreach(list, i, entry) if (is_notify(entry, "action")) return true;
	return false;
}

static bool has_flag(const struct json_at *at, const char *flag)
{
	const json_t *list = json_object_get(at->value, "flags"), *entry;
	size_t i;

	json_array_foreach(list, i,
			   entry) if (json_is_string(entry) && streq(json_string_value(entry), flag)) return true;
	return false;
}

static int read_listener(struct oci_reader *r, const struct json_at *at, struct err *err)
{
	struct bundle_listener said = { .metadata = "" };
	struct sockaddr_un address;
	struct json_at member;

	int done = json_at_string_of(at, "listenerPath", r->plan->arena, &said.path, err);
	if (done == 0)
		done = json_at_string_of(at, "listenerMetadata", r->plan->arena, &said.metadata, err);
	if (done < 0)
		return done;
	if (said.path && !*said.path)
		said.path = NULL;
	if (*said.metadata && !said.path && json_at_key(at, "listenerMetadata", &member))
		return json_at_err(&member, err, "there is no listenerPath that it could be sent to");
	if (said.path && *said.path != '/' && json_at_key(at, "listenerPath", &member))
		return json_at_err(&member, err, "'%s' is not absolute", said.path);
	if (said.path && strlen(said.path) >= sizeof(address.sun_path) && json_at_key(at, "listenerPath", &member))
		return json_at_err(&member, err, "longer than %zu bytes (unix(7))", sizeof(address.sun_path) - 1);
	const bool notify = is_notify(at->value, "defaultAction") || uses_notify(at);
	if (notify && !said.path)
		return json_at_err(at, err,
				   NOTIFY " needs a listenerPath: without a listener each such call is ENOSYS");
	if (!notify && has_flag(at, WAIT_KILLABLE) && json_at_key(at, "flags", &member))
		return json_at_err(&member, err,
				   WAIT_KILLABLE " is about calls that are handed on, and no rule has " NOTIFY);
	if (notify) /* config-linux.md: otherwise it is ignored */
		r->bundle->listener = said;
	return 0;
}

int oci_read_seccomp(struct oci_reader *r, struct err *err)
{
	struct json_at at;

	if (!json_at_key(&r->linux_, "seccomp", &at))
		return 0;
	int done = json_at_object(&at, err);
	if (done == 0)
		done = read_listener(r, &at, err);
	if (done < 0)
		return done;
	_cleanup_free_ char *text = json_dumps(at.value, JSON_COMPACT);
	if (!text)
		return err_oom(err);
	return plan_resolve_bundle_seccomp(r->plan, text, strlen(text), r->config.key, err);
}
