/* SPDX-License-Identifier: Apache-2.0 */
/* linux.cgroupsPath and linux.resources but for its devices: config-linux.md, "Control groups". */
#include <nsrun/oci/config.h>

#include <nsrun/plan/bundle_resolve.h>
#include <nsrun/plan/limits.h>

int oci_read_resources(struct oci_reader *r, struct err *err)
{
	struct plan *plan = r->plan;
	struct bundle_cgroup said = { .where = arena_printf(plan->arena, "%s: linux.cgroupsPath", r->config.key) };
	const char *where = arena_printf(plan->arena, "%s: linux.resources.", r->config.key);
	struct json_at at;

	if (!said.where || !where)
		return err_oom(err);
	int done = json_at_string_of(&r->linux_, "cgroupsPath", plan->arena, &said.path, err);
	if (done == 0 && json_at_key(&r->linux_, "resources", &at)) {
		done = json_at_object(&at, err);
		if (done == 0)
			done = limits_from_oci(plan->arena, at.value, where, true, &plan->resources, err);
	}
	if (done == 0)
		done = plan_resolve_bundle_cgroup(plan, &said, err);
	r->bundle->cgroup_by_id = said.by_id;
	return done;
}
