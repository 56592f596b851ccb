/* SPDX-License-Identifier: Apache-2.0 */
/* linux.namespaces, uidMappings, gidMappings and timeOffsets: config-linux.md, "Namespaces", "User namespace mappings", "Offset for Time Namespace". */
#include <nsrun/oci/config.h>

#include <nsrun/base/strings.h>
#include <nsrun/plan/ids.h>
#include <nsrun/plan/namespaces.h>

/* In the order of enum ns_kind, which the specification calls so. */
static const char *const type_names[] = {
	[NS_USER] = "user", [NS_PID] = "pid",	    [NS_NET] = "network", [NS_MNT] = "mount", [NS_IPC] = "ipc",
	[NS_UTS] = "uts",   [NS_CGROUP] = "cgroup", [NS_TIME] = "time",	  [NS_COUNT] = NULL,
};

const char *oci_namespace_name(enum ns_kind kind)
{
	return type_names[kind];
}

static int read_namespace(struct oci_reader *r, const struct json_at *at, struct err *err)
{
	struct arena *arena = r->plan->arena;
	struct json_at type;
	const char *path = NULL;
	size_t kind = 0;
	int done = json_at_object(at, err);

	if (done == 0 && !json_at_key(at, "type", &type))
		done = json_at_err(at, err, "type is missing");
	if (done == 0)
		done = json_at_word(&type, type_names, &kind, err);
	if (done == 0)
		done = json_at_string_of(at, "path", arena, &path, err);
	if (done < 0)
		return done;
	struct plan_namespace *ns = &r->plan->ns[kind];
	if (ns->use != NS_HOST)
		return json_at_err(&type, err, "a %s namespace is there already, at %s", type_names[kind], ns->word);
	ns->word = json_at_path(at, arena);
	if (!ns->word)
		return err_oom(err);
	ns->use = NS_NEW;
	if (!path || !*path) /* engines write an empty one for a new one */
		return 0;
	struct json_at path_at;
	json_at_key(at, "path", &path_at);
	if (*path != '/')
		return json_at_err(&path_at, err, "'%s' is not absolute", path);
	ns->use = NS_JOIN;
	ns->path = path;
	return 0;
}

static int read_namespaces(struct oci_reader *r, struct err *err)
{
	struct json_at list;

	for (enum ns_kind kind = 0; kind < NS_COUNT; kind++)
		r->plan->ns[kind] = (struct plan_namespace){ .use = NS_HOST, .word = "host" };
	if (!json_at_key(&r->linux_, "namespaces", &list))
		return json_at_err(&r->config, err,
				   "linux.namespaces is missing: at least a mount namespace is wanted");
	int done = json_at_array(&list, err);
	for (size_t i = 0; done == 0 && i < json_array_size(list.value); i++) {
		const struct json_at entry = json_at_entry(&list, i);

		done = read_namespace(r, &entry, err);
	}
	if (done == 0 && r->plan->ns[NS_MNT].use == NS_HOST)
		return json_at_err(&list, err,
				   "no mount namespace: in the host's own its root could not be changed for this "
				   "container alone");
	return done;
}

/* ---- maps ---- */

static int read_extent(const struct json_at *at, struct idmap_extent *ret, struct err *err)
{
	static const char *const keys[] = { "containerID", "hostID", "size" };
	int64_t values[ARRAY_LEN(keys)];
	int done = json_at_object(at, err);

	for (size_t i = 0; done == 0 && i < ARRAY_LEN(keys); i++) {
		struct json_at member;

		done = json_at_key(at, keys[i], &member) ? json_at_int(&member, i == 2, IDMAP_ID_MAX, &values[i], err)
							 : json_at_err(at, err, "%s is missing", keys[i]);
	}
	if (done < 0)
		return done;
	*ret = (struct idmap_extent){ (uint32_t)values[0], (uint32_t)values[1], (uint32_t)values[2] };
	return 0;
}

int oci_read_map(const struct json_at *at, struct idmap *ret, struct err *err)
{
	struct idmap map = { 0 };
	struct err why = ERR_INIT;
	int done = json_at_array(at, err);

	if (done == 0 && json_array_size(at->value) > IDMAP_EXTENTS_MAX)
		return json_at_err(at, err, "more than %d extents", IDMAP_EXTENTS_MAX);
	for (size_t i = 0; done == 0 && i < json_array_size(at->value); i++) {
		const struct json_at entry = json_at_entry(at, i);

		done = read_extent(&entry, &map.extents[map.n++], err);
	}
	if (done < 0)
		return done;
	if (map.n && idmap_check(&map, "map", &why) < 0)
		return json_at_err_id(at, err, why.id, "%s", why.message);
	*ret = map;
	return 0;
}

static int read_maps(struct oci_reader *r, struct idmap *uids, struct idmap *gids, struct err *err)
{
	struct json_at at;
	int done = 0;

	if (json_at_key(&r->linux_, "uidMappings", &at))
		done = oci_read_map(&at, uids, err);
	if (done == 0 && json_at_key(&r->linux_, "gidMappings", &at))
		done = oci_read_map(&at, gids, err);
	return done;
}

static int resolve_ids(struct oci_reader *r, struct err *err)
{
	const enum ns_use use = r->plan->ns[NS_USER].use;
	const char *where = r->config.key;
	struct idmap uids = { 0 }, gids = { 0 };
	struct ids_given given = {
		.userns = use,
		.uids = &uids,
		.gids = &gids,
		.userns_said = arena_printf(r->plan->arena, "%s: linux.namespaces without \"user\"", where),
		.uids_said = arena_printf(r->plan->arena, "%s: linux.uidMappings", where),
		.gids_said = arena_printf(r->plan->arena, "%s: linux.gidMappings", where),
	};

	if (!given.userns_said || !given.uids_said || !given.gids_said)
		return err_oom(err);
	const int done = read_maps(r, &uids, &gids, err);
	if (done < 0)
		return done;
	if (use == NS_HOST && (uids.n || gids.n))
		return err_input(err, "%s: no user namespace that they could be the map of is in linux.namespaces",
				 uids.n ? given.uids_said : given.gids_said);
	if (use == NS_NEW && (!uids.n || !gids.n))
		return err_input(err, "%s: missing: a new user namespace has no ids without",
				 uids.n ? given.gids_said : given.uids_said);
	if (use == NS_JOIN && !uids.n && !gids.n)
		given.uids = given.gids = NULL;
	return plan_resolve_given_ids(r->plan, &given, err);
}

/* The user namespace first: what it owns is entered from within. */
static int join_namespaces(struct oci_reader *r, struct err *err)
{
	struct plan *plan = r->plan;
	const bool maps_said = plan->uids.n || plan->gids.n;
	int done = 0;

	for (enum ns_kind kind = 0; done == 0 && kind < NS_COUNT; kind++) {
		if (plan->ns[kind].use != NS_JOIN)
			continue;
		const char *what = arena_printf(plan->arena, "%s: %s.path", r->config.key, plan->ns[kind].word);
		done = what ? plan_join_namespace(plan, kind, what, maps_said, err) : err_oom(err);
	}
	return done;
}

/* ---- clocks ---- */

static int read_offset(const struct json_at *at, bool boottime, struct time_offset *ret, struct err *err)
{
	struct err why = ERR_INIT;
	int64_t seconds = 0, nanoseconds = 0;
	int done = json_at_object(at, err);

	if (done == 0)
		done = json_at_int_of(at, "secs", INT64_MIN, INT64_MAX, &seconds, err);
	if (done == 0)
		done = json_at_int_of(at, "nanosecs", 0, 999999999, &nanoseconds, err);
	if (done < 0)
		return done;
	const struct time_offset offset = { seconds, (uint32_t)nanoseconds };
	if (ns_check_time_offset(boottime, &offset, &why) < 0)
		return json_at_err(at, err, "%s", why.message);
	*ret = offset;
	return 0;
}

static int read_offsets(struct oci_reader *r, struct err *err)
{
	static const char *const clocks[] = { "monotonic", "boottime", NULL };
	struct plan *plan = r->plan;
	struct json_at at;
	const char *name;
	json_t *value;

	if (!json_at_key(&r->linux_, "timeOffsets", &at))
		return 0;
	int done = json_at_object(&at, err);
	if (done < 0)
		return done;
	if (json_object_size(at.value) && !plan_owns_ns(plan, NS_TIME))
		return json_at_err(&at, err,
				   "linux.namespaces has no new time namespace: the offsets of another one are fixed "
				   "(time_namespaces(7))");
	json_object_foreach((json_t *)(uintptr_t)at.value, name, value)
	{
		const struct json_at entry = { .value = value, .up = &at, .key = name };
		const bool boottime = streq(name, clocks[1]);

		if (!boottime && !streq(name, clocks[0]))
			return json_at_err(&entry, err, "this clock has no offset: monotonic and boottime have");
		done = read_offset(&entry, boottime, boottime ? &plan->boottime : &plan->monotonic, err);
		if (done < 0)
			return done;
	}
	return 0;
}

int oci_read_ids(struct oci_reader *r, struct err *err)
{
	int done = read_namespaces(r, err);

	if (done == 0)
		done = resolve_ids(r, err);
	if (done == 0)
		done = join_namespaces(r, err);
	if (done == 0)
		done = oci_join_mounts(r, err);
	if (done == 0)
		done = read_offsets(r, err);
	return done;
}
