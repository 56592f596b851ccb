/* SPDX-License-Identifier: Apache-2.0 */
/* linux.devices and linux.resources.devices of config.json. */
#include <nsrun/plan/spec.h>

static void put_device_rule(json_t *array, bool allow, const struct device_cell *cell, unsigned access)
{
	const char type[2] = { cell->type };
	char letters[4];
	json_t *rule = json_pack("{s:b, s:s, s:s}", "allow", allow, "type", type, "access",
				 device_access_text(access, letters));

	if (!access) {
		json_decref(rule);
		return;
	}
	if (cell->major != DEVICE_ANY)
		json_object_set_new(rule, "major", json_integer(cell->major));
	if (cell->minor != DEVICE_ANY)
		json_object_set_new(rule, "minor", json_integer(cell->minor));
	json_array_append_new(array, rule);
}

/* The later rule counts: all is denied, then from the general to the specific. */
json_t *spec_device_rules(const struct device_policy *policy)
{
	json_t *array = json_pack("[{s:b, s:s}]", "allow", 0, "access", "rwm");

	for (size_t i = policy->n; i-- > 0;) {
		const struct device_cell *cell = &policy->cells[i];
		const unsigned denied = DEVICE_ALL & ~cell->access;
		bool within = false;

		for (size_t k = i + 1; k < policy->n; k++)
			within = within || (policy->cells[k].type == cell->type && (policy->cells[k].access & denied));
		if (within)
			put_device_rule(array, false, cell, denied);
		put_device_rule(array, true, cell, cell->access);
	}
	return array;
}

json_t *spec_devices(const struct plan *plan)
{
	json_t *array = json_array();

	for (size_t i = 0; i < plan->n_devices; i++) {
		const struct plan_device *device = &plan->devices[i];
		const char type[2] = { device->type };

		json_array_append_new(array,
				      json_pack("{s:s, s:s, s:I, s:I, s:i, s:I, s:I}", "path", device->target, "type",
						type, "major", (json_int_t)device->major, "minor",
						(json_int_t)device->minor, "fileMode", (int)(device->mode & 0777),
						"uid", (json_int_t)device->uid, "gid", (json_int_t)device->gid));
	}
	return array;
}
