/* SPDX-License-Identifier: Apache-2.0 */
/* linux.resources as engines write it: what they fill in where nothing was said. */
#include <nsrun/plan/limits.h>

#include <nsrun/base/strings.h>

/* Members of which 0, false or "" means that nothing is said. */
static const struct {
	const char *object, *key;
} unset_by_zero[] = {
	{ "memory", "limit" },	     { "memory", "reservation" },
	{ "memory", "swap" },	     { "memory", "kernel" },
	{ "memory", "kernelTCP" },   { "cpu", "shares" },
	{ "cpu", "quota" },	     { "cpu", "period" },
	{ "cpu", "burst" },	     { "cpu", "realtimeRuntime" },
	{ "cpu", "realtimePeriod" }, { "cpu", "cpus" },
	{ "cpu", "mems" },	     { "pids", "limit" },
	{ "blockIO", "weight" },     { "blockIO", "leafWeight" },
	{ "network", "classID" },
};

/* The same of the entries of an array. */
static const char *const device_weights[] = { "weight", "leafWeight" };

static bool is_nothing(const json_t *value)
{
	return (json_is_integer(value) && json_integer_value(value) == 0) ||
	       (json_is_string(value) && json_string_length(value) == 0);
}

static void drop_nothing(json_t *object, const char *key)
{
	if (is_nothing(json_object_get(object, key)))
		json_object_del(object, key);
}

/* -1 is "no limit". Of a new group that is so anyway, and the kernel has no switch for it any more. */
static int check_gone(json_t *memory, const char *where, struct err *err)
{
	static const char *const keys[] = { "kernel", "kernelTCP" };
	const json_t *hierarchy = json_object_get(memory, "useHierarchy");

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const json_t *value = json_object_get(memory, keys[i]);

		if (!value || json_is_null(value) || (json_is_integer(value) && json_integer_value(value) == -1))
			continue;
		if (!json_is_integer(value))
			return err_input(err, "%smemory.%s: a number is wanted", where, keys[i]);
		return err_input(err,
				 "%smemory.%s: no kernel of today bounds it by itself: memory.limit counts it as well",
				 where, keys[i]);
	}
	if (hierarchy && !json_is_null(hierarchy) && !json_is_boolean(hierarchy))
		return err_input(err, "%smemory.useHierarchy: true or false is wanted", where);
	if (json_is_false(hierarchy))
		return err_input(err, "%smemory.useHierarchy: groups below are always counted, since Linux 5.11",
				 where);
	hierarchy = json_object_get(memory, "checkBeforeUpdate");
	if (hierarchy && !json_is_null(hierarchy) && !json_is_boolean(hierarchy))
		return err_input(err, "%smemory.checkBeforeUpdate: true or false is wanted", where);
	return 0;
}

/* config-linux.md: an entry has at least one of both. */
static int check_pairs(const json_t *json, const char *where, struct err *err)
{
	const json_t *list = json_object_get(json_object_get(json, "blockIO"), "weightDevice"), *entry;
	const char *name;
	json_t *device;
	size_t i;

	json_array_foreach(list, i, entry) if (
		!json_object_get(entry, "weight") &&
		!json_object_get(
			entry,
			"leafWeight")) return err_input(err,
							"%sblockIO.weightDevice[%zu]: weight or leafWeight is wanted",
							where, i);
	json_object_foreach(json_object_get(json, "rdma"), name, device)
	{
		if (!json_is_object(device))
			return err_input(err, "%srdma.%.64s: an object is wanted", where, name);
		if (!json_object_get(device, "hcaHandles") && !json_object_get(device, "hcaObjects"))
			return err_input(err, "%srdma.%.64s: hcaHandles or hcaObjects is wanted", where, name);
	}
	return 0;
}

/* v1 takes 2 to 262144 and makes that of everything else. */
static void clamp_shares(json_t *json)
{
	json_t *cpu = json_object_get(json, "cpu"), *shares = json_object_get(cpu, "shares");

	if (json_is_integer(shares) && json_integer_value(shares) == 1)
		json_integer_set(shares, 2);
	else if (json_is_integer(shares) && json_integer_value(shares) > 262144)
		json_integer_set(shares, 262144);
}

/* What a new group has. No limit of swap is one, beside a limit of memory, which is one of swap as well. */
static bool has_already(const struct cgroup_resources *all, const struct cgroup_value *value)
{
	const bool bounded = cgroup_resources_number(all, CGROUP_MEMORY_LIMIT, -1) != -1;

	switch (value->resource) {
	case CGROUP_MEMORY_SWAP:
		return value->number == -1 && !bounded;
	case CGROUP_MEMORY_NO_OOM_KILL:
	case CGROUP_CPU_IDLE:
		return value->number == 0;
	case CGROUP_IO_READ_BPS:
	case CGROUP_IO_WRITE_BPS:
	case CGROUP_IO_READ_IOPS:
	case CGROUP_IO_WRITE_IOPS:
		return value->number <= 0;
	default:
		return value->number == -1;
	}
}

static void drop_unset(json_t *json)
{
	const json_t *list = json_object_get(json_object_get(json, "blockIO"), "weightDevice");
	json_t *entry;
	size_t i;

	for (size_t k = 0; k < ARRAY_LEN(unset_by_zero); k++)
		drop_nothing(json_object_get(json, unset_by_zero[k].object), unset_by_zero[k].key);
	json_array_foreach(list, i, entry)
	{
		for (size_t k = 0; k < ARRAY_LEN(device_weights); k++)
			drop_nothing(entry, device_weights[k]);
	}
}

int limits_from_oci(struct arena *arena, const json_t *json, const char *where, bool is_new,
		    struct cgroup_resources *ret, struct err *err)
{
	_cleanup_(json_decrefp) json_t *copy = json_deep_copy(json);
	struct cgroup_resources all = { 0 }, kept = { 0 };
	struct err why = ERR_INIT;

	if (!copy)
		return err_oom(err);
	int r = check_pairs(copy, where, err);
	drop_unset(copy);
	clamp_shares(copy);
	if (r == 0)
		r = check_gone(json_object_get(copy, "memory"), where, err);
	if (r == 0)
		r = limits_from_json(arena, copy, where, &all, err);
	for (size_t i = 0; r == 0 && i < all.n; i++) {
		all.values[i].from_oci = true;
		if (!is_new || !has_already(&all, &all.values[i]))
			r = cgroup_resources_add(arena, &kept, &all.values[i], err);
	}
	if (r < 0)
		return r;
	if (is_new && cgroup_resources_check(&kept, &why) < 0)
		return err_set(err, why.kind, why.id, why.errnum, "%s%s", where,
			       str_after(why.message, "linux.resources.") ?: why.message);
	kept.check_before_update = all.check_before_update;
	*ret = kept;
	return 0;
}
