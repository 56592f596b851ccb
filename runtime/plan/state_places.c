/* SPDX-License-Identifier: Apache-2.0 */
/* Where the groups of a container are, as its record has it: the keys "cgroup" and "hierarchies". */
#include <nsrun/plan/json_put.h>
#include <nsrun/plan/plan.h>
#include <nsrun/plan/state.h>

#include <nsrun/base/strings.h>

#include <stdint.h>
#include <stdio.h>

static unsigned place_bit(const char *name)
{
	for (enum cgroup_ctl c = 0; c < CGROUP_CONTROLLER_COUNT; c++)
		if (streq(name, cgroup_v1_name(c)))
			return 1U << c;
	return streq(name, "v2") ? CGROUP_STOOD_V2 : 0;
}

/* Before the groups are made: where they will be. Without a controller of it and without v2 there is none. */
int state_put_places(FILE *f, const struct plan *plan, const struct cgroup_stood *stood, struct err *err)
{
	struct cgroup_place places[CGROUP_PLACES_MAX];
	size_t n = 0;

	if (plan->cgroup_path) {
		int r = cgroup_places(plan->cgroup_host, plan->controllers, places, &n, err);

		if (r < 0)
			return r;
	}
	json_put_optional(f, "cgroup", n ? plan->cgroup_path : NULL);
	fputs(",\n \"hierarchies\": [", f);
	for (size_t i = 0; i < n; i++) {
		const unsigned bit = place_bit(places[i].name);

		fprintf(f, "%s{\"name\": \"%s\", \"device\": %ju, \"inode\": %ju%s%s}", i ? ", " : "", places[i].name,
			(uintmax_t)places[i].device, (uintmax_t)places[i].inode,
			(stood->groups & bit) ? ", \"stood\": true" : "",
			(stood->below & bit) ? ", \"below\": true" : "");
	}
	fputc(']', f);
	return 0;
}

int state_check_places(const json_t *record, const char *dir, const struct cgroup_host *host, struct cgroup_end *ret,
		       struct err *err)
{
	const json_t *places = json_object_get(record, "hierarchies"), *entry;
	struct cgroup_stood stood = { 0 };
	unsigned controllers = 0;
	size_t i;

	if (json_array_size(places) == 0)
		return err_input(err,
				 "%s/state.json: without the hierarchies of its cgroup; end what is left of it by "
				 "hand, then remove the directory",
				 dir);
	json_array_foreach(places, i, entry)
	{
		struct cgroup_place place = { 0 };
		json_int_t device, inode;
		const char *name;

		if (json_unpack((json_t *)entry, "{s:s, s:I, s:I}", "name", &name, "device", &device, "inode", &inode) <
		    0)
			return err_input(err, "%s/state.json: \"hierarchies\"", dir);
		snprintf(place.name, sizeof(place.name), "%s", name);
		place.device = (uint64_t)device;
		place.inode = (uint64_t)inode;
		const int r = cgroup_check_place(host, &place, err);
		if (r < 0)
			return r;
		const unsigned bit = place_bit(name);
		controllers |= bit & ~CGROUP_STOOD_V2;
		stood.groups |= json_is_true(json_object_get(entry, "stood")) ? bit : 0;
		stood.below |= json_is_true(json_object_get(entry, "below")) ? bit : 0;
	}
	if (ret) {
		ret->controllers = controllers;
		ret->stood = stood;
	}
	return 0;
}
