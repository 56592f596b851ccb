/* SPDX-License-Identifier: Apache-2.0 */
/* linux.netDevices, intelRdt, memoryPolicy, personality, mountLabel. */
#include <nsrun/oci/config.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/lsm.h>
#include <nsrun/kernel/netdev.h>

#include <limits.h>
#include <linux/mempolicy.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/personality.h>

#define NODES_MAX 1024 /* the most that any kernel is built for (CONFIG_NODES_SHIFT) */
#define NETDEVS_MAX 1024
#define SCHEMATA_LINES_MAX 1024

/* ---- netDevices ---- */

static int read_netdev(const struct json_at *at, struct arena *arena, struct bundle_netdev *ret, struct err *err)
{
	struct json_at name = *at;
	const char *inside = NULL;

	ret->host_name = arena_strdup(arena, at->key);
	if (!ret->host_name)
		return err_oom(err);
	if (!netdev_name_is_valid(at->key, false))
		return json_at_err(at, err,
				   "this is no name of a network device: 1 to %d bytes without /, : and blanks",
				   NETDEV_NAME_MAX);
	int r = json_at_object(at, err);
	if (r == 0 && json_at_key(at, "name", &name))
		r = json_at_string(&name, arena, &inside, err);
	if (r < 0)
		return r;
	ret->name = inside && *inside ? inside : ret->host_name;
	if (!netdev_name_is_valid(ret->name, true))
		return json_at_err(
			&name, err,
			"'%s' is no name of a network device: 1 to %d bytes without /, : and blanks, with one "
			"%%d at most",
			ret->name, NETDEV_NAME_MAX);
	return 0;
}

static int check_netdev_names(const struct json_at *devices, const struct bundle_netdev *list, size_t n,
			      struct err *err)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < i; j++)
			if (streq(list[i].name, list[j].name) && !strchr(list[i].name, '%'))
				return json_at_err(devices, err, "%s and %s would both be called %s", list[j].host_name,
						   list[i].host_name, list[i].name);
	return 0;
}

static int read_netdevs(struct oci_reader *r, struct err *err)
{
	struct json_at devices;
	const char *key;
	json_t *value;
	size_t n = 0;

	if (!json_at_key(&r->linux_, "netDevices", &devices))
		return 0;
	int result = json_at_object(&devices, err);
	if (result < 0)
		return result;
	const size_t size = json_object_size(devices.value);
	if (size == 0)
		return 0;
	if (size > NETDEVS_MAX)
		return json_at_err(&devices, err, "more than %d", NETDEVS_MAX);
	if (r->plan->ns[NS_NET].use == NS_HOST)
		return json_at_err(
			&devices, err,
			"devices are moved into a network namespace of the container's, and linux.namespaces "
			"has none");
	struct bundle_netdev *list = arena_array(r->plan->arena, size, sizeof(*list));
	if (!list)
		return err_oom(err);
	json_object_foreach((json_t *)(uintptr_t)devices.value, key, value)
	{
		const struct json_at at = { .value = value, .up = &devices, .key = key };

		result = read_netdev(&at, r->plan->arena, &list[n++], err);
		if (result < 0)
			return result;
	}
	r->bundle->netdevs = list;
	r->bundle->n_netdevs = n;
	return check_netdev_names(&devices, list, n, err);
}

/* ---- intelRdt ---- */

struct lines {
	struct arena *arena;
	size_t n;
	const char **list; /* SCHEMATA_LINES_MAX of them, and NULL */
};

static int add_lines(struct lines *lines, const struct json_at *at, const char *text, const char *without,
		     struct err *err)
{
	while (*text) {
		const size_t size = strcspn(text, "\n");

		if (size && !(without && strncmp(text, without, strlen(without)) == 0)) {
			if (lines->n == SCHEMATA_LINES_MAX)
				return json_at_err(at, err, "more than %d lines", SCHEMATA_LINES_MAX);
			if (!memchr(text, ':', size))
				return json_at_err(at, err, "'%.*s' is no line of schemata, as L3:0=ff;1=ff is",
						   (int)(size < 64 ? size : 64), text);
			lines->list[lines->n] = arena_strndup(lines->arena, text, size);
			if (!lines->list[lines->n++])
				return err_oom(err);
		}
		text += size + (text[size] == '\n');
	}
	return 0;
}

/* config-linux.md: l3CacheSchema without the lines that memBwSchema has, then that, and `schemata` last. */
static int read_schemata(const struct json_at *rdt, struct lines *lines, struct err *err)
{
	struct json_at l3, bandwidth, all;
	const char *text = "";
	const bool has_bandwidth = json_at_key(rdt, "memBwSchema", &bandwidth);
	int r = 0;

	if (json_at_key(rdt, "l3CacheSchema", &l3)) {
		r = json_at_string(&l3, NULL, &text, err);
		if (r == 0)
			r = add_lines(lines, &l3, text, has_bandwidth ? "MB:" : NULL, err);
	}
	if (r == 0 && has_bandwidth) {
		r = json_at_string(&bandwidth, NULL, &text, err);
		if (r == 0 && (!str_after(text, "MB:") || strchr(text, '\n')))
			return json_at_err(&bandwidth, err, "it is one line that begins with MB:");
		if (r == 0)
			r = add_lines(lines, &bandwidth, text, NULL, err);
	}
	if (r < 0 || !json_at_key(rdt, "schemata", &all))
		return r;
	r = json_at_array(&all, err);
	for (size_t i = 0; r == 0 && i < json_array_size(all.value); i++) {
		const struct json_at entry = json_at_entry(&all, i);

		r = json_at_string(&entry, NULL, &text, err);
		if (r == 0)
			r = add_lines(lines, &entry, text, NULL, err);
	}
	return r;
}

static int read_clos(const struct json_at *rdt, struct arena *arena, const char **ret, struct err *err)
{
	struct json_at at;
	const char *id = NULL;

	if (!json_at_key(rdt, "closID", &at))
		return 0;
	const int r = json_at_string(&at, arena, &id, err);
	if (r < 0 || !*id)
		return r;
	/* "/" is the group of all that have no other. */
	if (!streq(id, "/") && (strchr(id, '/') || streq(id, ".") || streq(id, "..") || strlen(id) > NAME_MAX ||
				streq(id, "info") || streq(id, "mon_groups") || streq(id, "mon_data")))
		return json_at_err(&at, err, "'%s' is no name of a group: one directory of the resctrl file system",
				   id);
	*ret = id;
	return 0;
}

static int read_rdt(struct oci_reader *r, struct err *err)
{
	struct arena *arena = r->plan->arena;
	struct bundle_rdt *rdt = arena_alloc(arena, sizeof(*rdt));
	struct lines lines = { .arena = arena };
	bool old[2] = { false };
	struct json_at at;

	if (!json_at_key(&r->linux_, "intelRdt", &at))
		return 0;
	lines.list = arena_array(arena, SCHEMATA_LINES_MAX + 1, sizeof(*lines.list));
	if (!rdt || !lines.list)
		return err_oom(err);
	int result = json_at_object(&at, err);
	if (result == 0)
		result = read_clos(&at, arena, &rdt->clos_id, err);
	if (result == 0)
		result = read_schemata(&at, &lines, err);
	if (result == 0)
		result = json_at_bool_of(&at, "enableMonitoring", &rdt->monitoring, err);
	/* Before 1.3 these two asked for what a monitoring group shows. */
	if (result == 0)
		result = json_at_bool_of(&at, "enableCMT", &old[0], err);
	if (result == 0)
		result = json_at_bool_of(&at, "enableMBM", &old[1], err);
	if (result < 0)
		return result;
	rdt->monitoring |= old[0] || old[1];
	rdt->schemata = lines.n ? lines.list : NULL;
	r->bundle->rdt = rdt;
	return 0;
}

/* ---- memoryPolicy ---- */

const char *const oci_memory_modes[] = { "MPOL_DEFAULT",    "MPOL_BIND",
					 "MPOL_INTERLEAVE", "MPOL_WEIGHTED_INTERLEAVE",
					 "MPOL_PREFERRED",  "MPOL_PREFERRED_MANY",
					 "MPOL_LOCAL",	    NULL };
const int oci_memory_mode_values[] = { MPOL_DEFAULT,   MPOL_BIND,	    MPOL_INTERLEAVE, 6 /* since Linux 6.9 */,
				       MPOL_PREFERRED, MPOL_PREFERRED_MANY, MPOL_LOCAL };

const char *const oci_memory_flags[] = { "MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES",
					 NULL };
const int oci_memory_flag_values[] = { MPOL_F_NUMA_BALANCING, MPOL_F_RELATIVE_NODES, MPOL_F_STATIC_NODES };

static int read_mode(const struct json_at *policy, int *ret, struct err *err)
{
	struct json_at at;
	size_t i = 0;

	if (!json_at_key(policy, "mode", &at))
		return json_at_err(policy, err, "\"mode\" is missing");
	const int r = json_at_word(&at, oci_memory_modes, &i, err);
	if (r == 0)
		*ret = oci_memory_mode_values[i];
	return r;
}

static int read_mode_flags(const struct json_at *policy, int *ret, struct err *err)
{
	struct json_at list;

	if (!json_at_key(policy, "flags", &list))
		return 0;
	int r = json_at_array(&list, err);
	for (size_t i = 0; r == 0 && i < json_array_size(list.value); i++) {
		const struct json_at entry = json_at_entry(&list, i);
		size_t n = 0;

		r = json_at_word(&entry, oci_memory_flags, &n, err);
		*ret |= oci_memory_flag_values[n];
	}
	if (r == 0 && (*ret & MPOL_F_RELATIVE_NODES) && (*ret & MPOL_F_STATIC_NODES))
		return json_at_err(&list, err, "MPOL_F_RELATIVE_NODES and MPOL_F_STATIC_NODES contradict each other");
	return r;
}

static int read_nodes(const struct json_at *policy, int mode, struct arena *arena, struct number_set *ret,
		      struct err *err)
{
	const bool none = mode == MPOL_DEFAULT || mode == MPOL_LOCAL;
	struct json_at at = *policy;
	const char *text = "";
	int r = 0;

	if (json_at_key(policy, "nodes", &at))
		r = json_at_string(&at, NULL, &text, err);
	if (r < 0)
		return r;
	r = number_set_parse(arena, text, NODES_MAX, ret);
	if (r == -ENOMEM)
		return err_oom(err);
	if (r < 0)
		return json_at_err(&at, err, "'%s': nodes are listed as in 0-3,7, each below %d", text, NODES_MAX);
	if (none && ret->words)
		return json_at_err(&at, err, "MPOL_DEFAULT and MPOL_LOCAL take no nodes");
	/* MPOL_PREFERRED without any is MPOL_LOCAL (set_mempolicy(2)). */
	if (!none && mode != MPOL_PREFERRED && !ret->words)
		return json_at_err(policy, err, "this mode takes \"nodes\"");
	return 0;
}

static int read_memory_policy(struct oci_reader *r, struct err *err)
{
	struct memory_policy *policy = arena_alloc(r->plan->arena, sizeof(*policy));
	struct json_at at;
	int mode = 0, flags = 0;

	if (!json_at_key(&r->linux_, "memoryPolicy", &at))
		return 0;
	if (!policy)
		return err_oom(err);
	int result = json_at_object(&at, err);
	if (result == 0)
		result = read_mode(&at, &mode, err);
	if (result == 0)
		result = read_mode_flags(&at, &flags, err);
	if (result == 0)
		result = read_nodes(&at, mode, r->plan->arena, &policy->nodes, err);
	if (result < 0)
		return result;
	policy->mode = mode | flags;
	r->plan->memory_policy = policy;
	return 0;
}

/* ---- the rest ---- */

static int read_personality(struct oci_reader *r, struct err *err)
{
	static const char *const domains[] = { "LINUX", "LINUX32", NULL };
	static const unsigned long values[] = { PER_LINUX, PER_LINUX32 };
	struct json_at object, at;
	size_t i = 0;

	if (!json_at_key(&r->linux_, "personality", &object))
		return 0;
	int result = json_at_object(&object, err);
	if (result == 0 && !json_at_key(&object, "domain", &at))
		return json_at_err(&object, err, "\"domain\" is missing");
	if (result == 0)
		result = json_at_word(&at, domains, &i, err);
	if (result == 0 && json_at_key(&object, "flags", &at)) {
		result = json_at_array(&at, err);
		if (result == 0 && json_array_size(at.value))
			return json_at_err(&at, err, "the specification has no flags yet");
	}
	if (result < 0)
		return result;
	r->plan->personality = values[i];
	r->plan->has_personality = true;
	return 0;
}

static int read_mount_label(struct oci_reader *r, struct err *err)
{
	const char *label = NULL;
	struct json_at at;

	if (!json_at_key(&r->linux_, "mountLabel", &at))
		return 0;
	const int result = json_at_string(&at, r->plan->arena, &label, err);
	if (result < 0 || !*label)
		return result;
	if (!lsm_enabled(LSM_SELINUX))
		return json_at_err_id(&at, err, ERR_ID_LSM_ABSENT, "'%s': SELinux is not active on this host", label);
	if (strpbrk(label, "\"\n"))
		return json_at_err(&at, err, "'%s' is no security context", label);
	r->plan->labels.mount = label;
	return 0;
}

/* sched(7): a process with a deadline cannot make another one, and these hooks are children of init. */
static int check_deadline(const struct oci_reader *r, struct err *err)
{
	static const struct {
		enum hook_kind kind;
		const char *name;
	} kinds[] = { { HOOK_CREATE_CONTAINER, "createContainer" }, { HOOK_START_CONTAINER, "startContainer" } };
	const struct scheduler_setting *s = r->plan->scheduler;

	if (!s || s->policy != SCHED_DEADLINE || (s->flags & SCHED_FLAG_RESET_ON_FORK))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (r->bundle->hooks[kinds[i].kind].n)
			return err_input(err,
					 "%s: process.scheduler: SCHED_DEADLINE without SCHED_FLAG_RESET_ON_FORK "
					 "makes no processes (sched(7)), and hooks.%s are some",
					 r->config.key, kinds[i].name);
	return 0;
}

int oci_read_linux(struct oci_reader *r, struct err *err)
{
	static int (*const parts[])(struct oci_reader * r, struct err * err) = {
		read_netdevs, read_rdt, read_memory_policy, read_personality, read_mount_label,
	};
	int result = check_deadline(r, err);

	for (size_t i = 0; i < ARRAY_LEN(parts) && result == 0 && r->linux_.value; i++)
		result = parts[i](r, err);
	return result;
}
