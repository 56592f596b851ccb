/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/oci_state.h>

json_t *oci_state_json(const char *version, const char *id, const char *status, pid_t pid, const char *bundle,
		       json_t *annotations)
{
	json_t *state = json_object();

	if (!state)
		return NULL;
	json_object_set_new(state, "ociVersion", json_string(version ? version : ""));
	json_object_set_new(state, "id", json_string(id));
	json_object_set_new(state, "pid", json_integer(pid));
	json_object_set_new(state, "status", json_string(status));
	json_object_set_new(state, "bundle", json_string(bundle ? bundle : ""));
	if (json_object_size(annotations) > 0)
		json_object_set(state, "annotations", annotations);
	return state;
}

char *oci_state_text(const struct plan *plan, const char *status, pid_t pid)
{
	const struct plan_bundle *bundle = plan->bundle;
	json_t *annotations = bundle->annotations ? json_loads(bundle->annotations, 0, NULL) : NULL;
	json_t *state = oci_state_json(bundle->oci_version, plan->name, status, pid, bundle->dir, annotations);
	char *text = state ? json_dumps(state, JSON_COMPACT) : NULL;

	json_decref(annotations);
	json_decref(state);
	return text;
}
