/* SPDX-License-Identifier: Apache-2.0 */
/* linux.resources of the runtime specification: config-linux.md, "Control groups". */
#include <nsrun/plan/limits.h>

#include <nsrun/base/strings.h>
#include <nsrun/plan/json_whole.h>

#include <inttypes.h>
#include <string.h>

#define KEY_MAX 64
#define MEMBERS_MAX 3

/* How the specification writes a resource. */
enum form {
	FORM_NUMBER,
	FORM_BOOLEAN,
	FORM_TEXT,
	FORM_LIST,   /* an array of objects: of one device, page size or interface each */
	FORM_DEVICE, /* an object of objects by name: rdma */
	FORM_KEYS,   /* an object of strings by name: unified */
};

struct shape {
	enum form form;
	const char *name;   /* FORM_LIST: the member that names it; NULL: "major" and "minor" */
	const char *amount; /* FORM_LIST, FORM_DEVICE: the member with the number */
};

static struct shape shape_of(enum cgroup_resource resource)
{
	switch (resource) {
	case CGROUP_MEMORY_NO_OOM_KILL:
		return (struct shape){ .form = FORM_BOOLEAN };
	case CGROUP_CPUSET_CPUS:
	case CGROUP_CPUSET_MEMS:
		return (struct shape){ .form = FORM_TEXT };
	case CGROUP_IO_WEIGHT_DEVICE:
		return (struct shape){ .form = FORM_LIST, .amount = "weight" };
	case CGROUP_IO_LEAF_WEIGHT_DEVICE:
		return (struct shape){ .form = FORM_LIST, .amount = "leafWeight" };
	case CGROUP_IO_READ_BPS:
	case CGROUP_IO_WRITE_BPS:
	case CGROUP_IO_READ_IOPS:
	case CGROUP_IO_WRITE_IOPS:
		return (struct shape){ .form = FORM_LIST, .amount = "rate" };
	case CGROUP_HUGETLB_LIMIT:
		return (struct shape){ .form = FORM_LIST, .name = "pageSize", .amount = "limit" };
	case CGROUP_NET_PRIORITY:
		return (struct shape){ .form = FORM_LIST, .name = "name", .amount = "priority" };
	case CGROUP_RDMA_HANDLES:
		return (struct shape){ .form = FORM_DEVICE, .amount = "hcaHandles" };
	case CGROUP_RDMA_OBJECTS:
		return (struct shape){ .form = FORM_DEVICE, .amount = "hcaObjects" };
	case CGROUP_UNIFIED:
		return (struct shape){ .form = FORM_KEYS };
	default:
		return (struct shape){ .form = FORM_NUMBER };
	}
}

/* "blockIO.weightDevice[]" as "blockIO" and "weightDevice"; the first is empty where the second is a key of linux.resources itself. */
struct place {
	char parent[KEY_MAX], key[KEY_MAX];
};

static struct place place_of(enum cgroup_resource resource)
{
	const char *path = cgroup_resource_row(resource)->oci, *dot = strchr(path, '.');
	struct place place = { "", "" };

	/* Those by name share a key, whatever stands behind it in the table. */
	if (resource == CGROUP_RDMA_HANDLES || resource == CGROUP_RDMA_OBJECTS || resource == CGROUP_UNIFIED)
		dot = NULL;
	if (dot)
		snprintf(place.parent, sizeof(place.parent), "%.*s", (int)(dot - path), path);
	path = dot ? dot + 1 : path;
	snprintf(place.key, sizeof(place.key), "%.*s", (int)strcspn(path, ".[{"), path);
	return place;
}

/* ---- writing ---- */

/* The member of that name, made where it is missing. Borrowed; NULL: no memory. */
static json_t *member(json_t *object, const char *key, bool array)
{
	json_t *value = json_object_get(object, key);

	if (value)
		return value;
	return json_object_set_new(object, key, array ? json_array() : json_object()) < 0
		       ? NULL
		       : json_object_get(object, key);
}

static bool is_entry_of(const json_t *entry, const struct shape *shape, const struct cgroup_value *value)
{
	if (shape->name)
		return streq(json_string_value(json_object_get(entry, shape->name)) ?: "", value->text);
	return json_integer_value(json_object_get(entry, "major")) == value->major &&
	       json_integer_value(json_object_get(entry, "minor")) == value->minor;
}

/* weight and leafWeight of one device are members of one entry. */
static int put_entry(json_t *list, const struct shape *shape, const struct cgroup_value *value)
{
	json_t *entry = NULL, *known;
	size_t i;

	json_array_foreach(list, i, known) if (is_entry_of(known, shape, value)) entry = known;
	if (!entry) {
		entry = shape->name ? json_pack("{s:s}", shape->name, value->text)
				    : json_pack("{s:I, s:I}", "major", (json_int_t)value->major, "minor",
						(json_int_t)value->minor);
		if (json_array_append_new(list, entry) < 0)
			return -1;
	}
	return json_object_set_new(entry, shape->amount, json_integer(value->number));
}

static int put_value(json_t *json, const struct cgroup_value *value)
{
	const struct shape shape = shape_of(value->resource);
	const struct place place = place_of(value->resource);
	json_t *parent = place.parent[0] ? member(json, place.parent, false) : json;

	if (!parent)
		return -1;
	switch (shape.form) {
	case FORM_NUMBER:
		return json_object_set_new(parent, place.key, json_integer(value->number));
	case FORM_BOOLEAN:
		return json_object_set_new(parent, place.key, json_boolean(value->number));
	case FORM_TEXT:
		return json_object_set_new(parent, place.key, json_string(value->text));
	case FORM_LIST:
		parent = member(parent, place.key, true);
		return parent ? put_entry(parent, &shape, value) : -1;
	case FORM_DEVICE:
		parent = member(parent, place.key, false);
		parent = parent ? member(parent, value->text, false) : NULL;
		return json_object_set_new(parent, shape.amount, json_integer(value->number));
	case FORM_KEYS:
		parent = member(parent, place.key, false);
		return json_object_set_new(parent, value->text, json_string(value->value_text));
	}
	return -1;
}

json_t *limits_to_json(const struct cgroup_resources *resources)
{
	json_t *json = json_object(), *memory;
	int r = json ? 0 : -1;

	for (size_t i = 0; r == 0 && i < resources->n; i++)
		r = put_value(json, &resources->values[i]);
	if (r == 0 && resources->check_before_update) {
		memory = member(json, "memory", false);
		r = memory ? json_object_set_new(memory, "checkBeforeUpdate", json_true()) : -1;
	}
	if (r < 0) {
		json_decref(json);
		return NULL;
	}
	return json;
}

/* ---- reading ---- */

struct reader {
	struct arena *arena;
	const char *where;
	struct cgroup_resources *into;
	struct err *err;
};

/* "blockIO.weightDevice" */
static const char *label(const struct place *place, char ret[2 * KEY_MAX + 2])
{
	snprintf(ret, 2 * KEY_MAX + 2, "%s%s%s", place->parent, place->parent[0] ? "." : "", place->key);
	return ret;
}

/* What is between `where` and the key: "state.json: resources: memory.limit", "config.json: linux.resources.memory.limit". */
static const char *between(const struct reader *r)
{
	const size_t n = strlen(r->where);

	return n && r->where[n - 1] == '.' ? "" : ": ";
}

static int wrong(const struct reader *r, const struct place *place, const char *what)
{
	char text[2 * KEY_MAX + 2];

	return err_input(r->err, "%s%s%s: %s", r->where, between(r), label(place, text), what);
}

static int take_number(const struct reader *r, const struct place *place, const json_t *json,
		       struct cgroup_value *value)
{
	const struct cgroup_resource_row *row = cgroup_resource_row(value->resource);
	char text[2 * KEY_MAX + 2];

	/* 2^63 bytes and more are written by those who mean "no limit". */
	if (json_is_beyond(json) && row->unlimited)
		value->number = -1;
	else if (json_is_beyond(json))
		return wrong(r, place, "it is too large");
	else if (!json_is_integer(json))
		return wrong(r, place, "a number is wanted");
	else
		value->number = json_integer_value(json);
	if ((value->number < row->min || value->number > row->max) && !(value->number == -1 && row->unlimited))
		return err_input(r->err, "%s%s%s: %" PRId64 " is not from %" PRId64 " to %" PRId64 "%s", r->where,
				 between(r), label(place, text), value->number, row->min, row->max,
				 row->unlimited ? ", nor -1 for no limit" : "");
	return cgroup_resources_add(r->arena, r->into, value, r->err);
}

/* A copy; NULL and an error where it is none. */
static const char *take_text(const struct reader *r, const struct place *place, const json_t *json)
{
	const char *text = json_string_value(json) ? arena_strdup(r->arena, json_string_value(json)) : NULL;

	if (!json_is_string(json))
		wrong(r, place, "a string is wanted");
	else if (!text)
		err_oom(r->err);
	return text;
}

static int take_list(const struct reader *r, const struct place *place, const json_t *list,
		     enum cgroup_resource resource)
{
	const struct shape shape = shape_of(resource);
	const json_t *entry;
	size_t i;

	if (!json_is_array(list))
		return wrong(r, place, "an array is wanted");
	if (json_array_size(list) > CGROUP_SETTINGS_MAX)
		return wrong(r, place, "there are more entries than a control group takes settings here");
	json_array_foreach(list, i, entry)
	{
		const json_t *amount = json_object_get(entry, shape.amount), *major = json_object_get(entry, "major"),
			     *minor = json_object_get(entry, "minor");
		struct cgroup_value value = { .resource = resource };
		int k;

		if (!amount && (resource == CGROUP_IO_WEIGHT_DEVICE || resource == CGROUP_IO_LEAF_WEIGHT_DEVICE))
			continue; /* the other one of both is said */
		if (shape.name) {
			value.text = take_text(r, place, json_object_get(entry, shape.name));
			if (!value.text)
				return -EINVAL;
		} else {
			if (!json_is_integer(major) || !json_is_integer(minor) || json_integer_value(major) < 0 ||
			    json_integer_value(major) > UINT32_MAX || json_integer_value(minor) < 0 ||
			    json_integer_value(minor) > UINT32_MAX)
				return wrong(r, place, "the numbers of a device are wanted: major, minor");
			value.major = (uint32_t)json_integer_value(major);
			value.minor = (uint32_t)json_integer_value(minor);
		}
		k = take_number(r, place, amount, &value);
		if (k < 0)
			return k;
	}
	return 0;
}

static int take_names(const struct reader *r, const struct place *place, json_t *object, enum cgroup_resource resource)
{
	const struct shape shape = shape_of(resource);
	const char *name;
	json_t *entry;
	int k = 0;

	if (!json_is_object(object))
		return wrong(r, place, "an object is wanted");
	if (json_object_size(object) > CGROUP_SETTINGS_MAX)
		return wrong(r, place, "there are more entries than a control group takes settings here");
	json_object_foreach(object, name, entry)
	{
		struct cgroup_value value = { .resource = resource, .text = arena_strdup(r->arena, name) };
		json_t *amount = shape.form == FORM_DEVICE ? json_object_get(entry, shape.amount) : NULL;

		if (!value.text)
			return err_oom(r->err);
		if (shape.form == FORM_KEYS) {
			value.value_text = take_text(r, place, entry);
			k = value.value_text ? cgroup_resources_add(r->arena, r->into, &value, r->err) : -EINVAL;
		} else if (amount) {
			k = take_number(r, place, amount, &value);
		}
		if (k < 0)
			return k;
	}
	return 0;
}

static int take_value(const struct reader *r, const struct place *place, json_t *json, enum cgroup_resource resource)
{
	struct cgroup_value value = { .resource = resource };

	switch (shape_of(resource).form) {
	case FORM_NUMBER:
		return take_number(r, place, json, &value);
	case FORM_BOOLEAN:
		if (!json_is_boolean(json))
			return wrong(r, place, "true or false is wanted");
		value.number = json_is_true(json);
		return cgroup_resources_add(r->arena, r->into, &value, r->err);
	case FORM_TEXT:
		value.text = take_text(r, place, json);
		return value.text ? cgroup_resources_add(r->arena, r->into, &value, r->err) : -EINVAL;
	case FORM_LIST:
		return take_list(r, place, json, resource);
	case FORM_DEVICE:
	case FORM_KEYS:
		return take_names(r, place, json, resource);
	}
	return 0;
}

int limits_from_json(struct arena *arena, const json_t *json, const char *where, struct cgroup_resources *ret,
		     struct err *err)
{
	struct cgroup_resources resources = { 0 };
	const struct reader reader = { .arena = arena, .where = where, .into = &resources, .err = err };

	if (!json_is_object(json))
		return err_input(err, "%s: no object", where);
	for (enum cgroup_resource i = 0; i < CGROUP_RESOURCE_COUNT; i++) {
		const struct place place = place_of(i);
		const json_t *parent = place.parent[0] ? json_object_get(json, place.parent) : json;
		json_t *value;

		if (parent && !json_is_null(parent) && !json_is_object(parent))
			return err_input(err, "%s%s%s: an object is wanted", where, between(&reader), place.parent);
		value = json_object_get(parent, place.key);
		if (!value || json_is_null(value))
			continue;
		const int r = take_value(&reader, &place, value, i);
		if (r < 0)
			return r;
	}
	resources.check_before_update =
		json_is_true(json_object_get(json_object_get(json, "memory"), "checkBeforeUpdate"));
	*ret = resources;
	return 0;
}
