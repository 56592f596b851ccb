/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/bundle.h>

#include <nsrun/plan/oci_state.h>

static void json_done(json_t **value)
{
	json_decref(*value);
}

int bundle_process_state(const struct plan *plan, pid_t pid, char **ret, struct err *err)
{
	const struct plan_bundle *bundle = plan_listener(plan);
	const char *id = plan->enter ? plan->enter->label : plan->name;
	_cleanup_(json_done) json_t *annotations =
		json_loads(bundle->annotations ? bundle->annotations : "{}", 0, NULL);
	_cleanup_(json_done) json_t *said =
		json_pack("{s:s, s:[s], s:i, s:s, s:o}", "ociVersion", bundle->oci_version, "fds", "seccompFd", "pid",
			  (int)pid, "metadata", bundle->listener.metadata ? bundle->listener.metadata : "", "state",
			  oci_state_json(bundle->oci_version, id, plan->enter ? "running" : "creating", pid,
					 bundle->dir, annotations));
	char *text = said ? json_dumps(said, JSON_COMPACT) : NULL;

	if (!text)
		return err_oom(err);
	*ret = text;
	return 0;
}
