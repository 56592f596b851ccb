/* SPDX-License-Identifier: Apache-2.0 */
/* linux.cgroupsPath and linux.resources but for its devices: config-linux.md, "Control groups". */
#include <nsrun/oci/config.h>

#include <nsrun/plan/bundle_resolve.h>

int oci_read_resources(struct oci_reader *r, struct err *err)
{
	struct plan *plan = r->plan;
	struct bundle_cgroup said = { .where = arena_printf(plan->arena, "%s: linux.cgroupsPath", r->config.key) };
	const int done = json_at_string_of(&r->linux_, "cgroupsPath", plan->arena, &said.path, err);

	if (done < 0)
		return done;
	return said.where ? plan_resolve_bundle_cgroup(plan, &said, err) : err_oom(err);
}
