/* SPDX-License-Identifier: Apache-2.0 */
/* JSON that a bundle's container hands to others. */
#include <nsrun/plan/plan.h>

#include <jansson.h>
#include <string.h>

static void json_decref_of(json_t **value)
{
	json_decref(*value);
}

int bundle_process_state(const struct plan *plan, pid_t pid, char **ret, struct err *err)
{
	const struct plan_bundle *bundle = plan->bundle;
	json_t *annotations = json_loads(bundle->annotations ?: "{}", 0, NULL);
	_cleanup_(json_decref_of) json_t *state = json_pack(
		"{s:s, s:[s], s:i, s:s, s:{s:s, s:s, s:s, s:i, s:s, s:o*}}", "ociVersion", bundle->oci_version, "fds",
		"seccompFd", "pid", (int)pid, "metadata", bundle->listener.metadata ?: "", "state", "ociVersion",
		bundle->oci_version, "id", plan->name, "status", plan->enter ? "running" : "created", "pid", (int)pid,
		"bundle", bundle->dir, "annotations", annotations);

	if (!state)
		return err_oom(err);
	char *text = json_dumps(state, JSON_COMPACT);
	if (!text)
		return err_oom(err);
	*ret = text;
	return 0;
}
