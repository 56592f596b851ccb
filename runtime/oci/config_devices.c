/* SPDX-License-Identifier: Apache-2.0 */
/* linux.devices and linux.resources.devices: config-linux.md, "Devices" and "Allowed Device list". */
#include <nsrun/oci/config.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/probe.h>

#include <limits.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define DEVICES_MAX 4096
/* kdev_t.h: 12 bits and 20 bits. */
#define MAJOR_MAX ((1 << 12) - 1)
#define MINOR_MAX ((1 << 20) - 1)

/* ---- nodes ---- */

static int read_type(const struct json_at *device, char *ret, struct err *err)
{
	static const char *const words[] = { "c", "b", "p", "u", NULL };
	struct json_at type;
	size_t word = 0;

	if (!json_at_key(device, "type", &type))
		return json_at_err(device, err, "type is missing");
	const int done = json_at_word(&type, words, &word, err);
	if (done == 0)
		*ret = words[word][0] == 'u' ? 'c' : words[word][0]; /* mknod(1): both are character devices */
	return done;
}

static int read_numbers(const struct json_at *at, struct bundle_device *device, struct err *err)
{
	const struct {
		const char *key;
		int64_t max;
		uint32_t *ret;
	} numbers[] = { { "major", MAJOR_MAX, &device->major }, { "minor", MINOR_MAX, &device->minor } };
	int done = 0;

	for (size_t i = 0; done == 0 && i < ARRAY_LEN(numbers); i++) {
		struct json_at member;
		int64_t value = 0;

		if (json_at_key(at, numbers[i].key, &member))
			done = json_at_int(&member, 0, numbers[i].max, &value, err);
		else if (device->type != 'p')
			return json_at_err(at, err, "%s is missing", numbers[i].key);
		*numbers[i].ret = (uint32_t)value;
	}
	return done;
}

static int read_device(const struct oci_reader *r, const struct json_at *at, struct bundle_device *ret, struct err *err)
{
	struct bundle_device device = { .path = "", .where = json_at_path(at, r->plan->arena) };
	int64_t mode = 0666, uid = 0, gid = 0;
	struct json_at path;
	int done = json_at_object(at, err);

	if (!device.where)
		return err_oom(err);
	if (done == 0)
		done = read_type(at, &device.type, err);
	if (done == 0)
		done = read_numbers(at, &device, err);
	if (done == 0 && !json_at_key(at, "path", &path))
		return json_at_err(at, err, "path is missing");
	if (done == 0)
		done = json_at_string(&path, r->plan->arena, &device.path, err);
	if (done == 0)
		done = json_at_int_of(at, "fileMode", 0, UINT32_MAX, &mode, err);
	if (done == 0)
		done = json_at_int_of(at, "uid", 0, IDMAP_ID_MAX, &uid, err);
	if (done == 0)
		done = json_at_int_of(at, "gid", 0, IDMAP_ID_MAX, &gid, err);
	if (done < 0)
		return done;
	if (*device.path != '/')
		return json_at_err(&path, err, "'%s' is not absolute", device.path);
	device.path = oci_clean_path(r->plan->arena, device.path);
	if (!device.path)
		return err_oom(err);
	if (streq(device.path, "/"))
		return json_at_err(&path, err, "the root is no device");
	device.mode = (mode_t)mode & 07777; /* engines leave the type in it */
	device.uid = (uid_t)uid;
	device.gid = (gid_t)gid;
	*ret = device;
	return 0;
}

/* mknod(2) of devices: CAP_MKNOD in the initial user namespace, and a file system of that. */
static bool may_make_nodes(void)
{
	return probe_in_initial_userns() && (probe_effective_caps() & (UINT64_C(1) << CAP_MKNOD));
}

static bool is_node(const char *path, const struct bundle_device *device)
{
	struct stat st;

	return stat(path, &st) == 0 && (st.st_mode & S_IFMT) == (device->type == 'b' ? S_IFBLK : S_IFCHR) &&
	       st.st_rdev == makedev(device->major, device->minor);
}

/* The host's own, to be bound: by the same name, or by the one that udev keeps for its number. */
static int find_on_host(const struct oci_reader *r, const struct json_at *at, const struct bundle_device *device,
			struct plan_device *node, struct err *err)
{
	char by_number[64], real[PATH_MAX];
	const char *path = device->path;

	snprintf(by_number, sizeof(by_number), "/dev/%s/%u:%u", device->type == 'b' ? "block" : "char", device->major,
		 device->minor);
	if (!is_node(path, device))
		path = by_number;
	if (!is_node(path, device) || !realpath(path, real))
		return json_at_err(at, err,
				   "%s: the host has no node %c %u:%u of this name, and in a user namespace none can "
				   "be made (mknod(2))",
				   device->path, device->type, device->major, device->minor);
	node->path = arena_strdup(r->plan->arena, real);
	return node->path ? 0 : err_oom(err);
}

static int add_bound(const struct oci_reader *r, const struct json_at *at, const struct bundle_device *device,
		     struct plan_device *nodes, struct err *err)
{
	struct plan *plan = r->plan;
	struct plan_device *node = &nodes[plan->n_devices];

	*node = (struct plan_device){
		.said = device->where,
		.path = device->path,
		.target = device->path,
		.type = device->type,
		.major = device->major,
		.minor = device->minor,
		.mode = device->mode,
		.uid = device->uid,
		.gid = device->gid,
		.access = DEVICE_ALL,
	};
	const int done = plan->performer[WORK_DEVICES] == BY_INIT ? find_on_host(r, at, device, node, err) : 0;
	if (done == 0)
		plan->n_devices++;
	return done;
}

static int read_devices(struct oci_reader *r, struct err *err)
{
	struct plan *plan = r->plan;
	struct json_at list;

	if (!may_make_nodes() && plan->performer[WORK_DEVICES] == BY_RUNTIME)
		plan->performer[WORK_DEVICES] = BY_INIT;
	/* Where nobody's ids change, init makes them where they are wanted. Otherwise they are made or opened outside, and bound. */
	const bool direct = !plan_has_userns(plan) && plan->performer[WORK_DEVICES] == BY_RUNTIME;
	if (!json_at_key(&r->linux_, "devices", &list))
		return 0;
	int done = json_at_array(&list, err);
	const size_t n = done == 0 ? json_array_size(list.value) : 0;
	if (n > DEVICES_MAX)
		return json_at_err(&list, err, "%zu of them, and at most %u are taken", n, DEVICES_MAX);
	struct bundle_device *made = arena_array(plan->arena, n + 1, sizeof(*made));
	struct plan_device *bound = arena_array(plan->arena, n + 1, sizeof(*bound));
	if (!made || !bound)
		return err_oom(err);
	for (size_t i = 0; done == 0 && i < n; i++) {
		const struct json_at entry = json_at_entry(&list, i);
		struct bundle_device device = { .path = "" };

		done = read_device(r, &entry, &device, err);
		if (done < 0 || streq(device.path, "/dev/ptmx")) /* the container's own: "Default Devices" */
			continue;
		if (direct || device.type == 'p')
			made[r->bundle->n_devices++] = device;
		else
			done = add_bound(r, &entry, &device, bound, err);
	}
	r->bundle->devices = made;
	plan->devices = bound;
	return done;
}

/* ---- rules ---- */

/* What runc appends to the rules of every container: the default devices, terminals, and the making of nodes, which is no use without the right to
 * open them. */
static const struct device_rule usual_rules[] = {
	{ true, 'c', DEVICE_ANY, DEVICE_ANY, DEVICE_MKNOD },
	{ true, 'b', DEVICE_ANY, DEVICE_ANY, DEVICE_MKNOD },
	{ true, 'c', 1, 3, DEVICE_ALL },	    /* null */
	{ true, 'c', 1, 5, DEVICE_ALL },	    /* zero */
	{ true, 'c', 1, 7, DEVICE_ALL },	    /* full */
	{ true, 'c', 1, 8, DEVICE_ALL },	    /* random */
	{ true, 'c', 1, 9, DEVICE_ALL },	    /* urandom */
	{ true, 'c', 5, 0, DEVICE_ALL },	    /* tty */
	{ true, 'c', 5, 2, DEVICE_ALL },	    /* ptmx */
	{ true, 'c', 136, DEVICE_ANY, DEVICE_ALL }, /* pts/N, and console, which is one of them */
	{ true, 'c', 10, 200, DEVICE_ALL },	    /* net/tun */
};

/* Missing, and -1: all. */
static int read_number(const struct json_at *rule, const char *key, int64_t max, int64_t *ret, struct err *err)
{
	int64_t value = DEVICE_ANY;
	const int done = json_at_int_of(rule, key, DEVICE_ANY, max, &value, err);

	*ret = value;
	return done;
}

static int read_rule(const struct json_at *at, struct device_rule *ret, struct err *err)
{
	static const char *const words[] = { "a", "c", "b", "u", NULL };
	struct device_rule rule = { .type = 'a', .access = DEVICE_ALL };
	struct json_at type, allow, access;
	size_t word = 0;
	int done = json_at_object(at, err);

	if (done == 0 && !json_at_key(at, "allow", &allow))
		return json_at_err(at, err, "allow is missing");
	if (done == 0)
		done = json_at_bool(&allow, &rule.allow, err);
	if (done == 0 && json_at_key(at, "type", &type) && json_string_length(type.value))
		done = json_at_word(&type, words, &word, err);
	if (done == 0)
		done = read_number(at, "major", MAJOR_MAX, &rule.major, err);
	if (done == 0)
		done = read_number(at, "minor", MINOR_MAX, &rule.minor, err);
	if (done < 0)
		return done;
	rule.type = words[word][0] == 'u' ? 'c' : words[word][0];
	if (json_at_key(at, "access", &access)) {
		const char *text = "";

		done = json_at_string(&access, NULL, &text, err);
		if (done == 0 && *text && device_access_parse(text, &rule.access) < 0)
			return json_at_err(&access, err, "'%s': of the letters r, w and m each is wanted at most once",
					   text);
	}
	if (done == 0)
		*ret = rule;
	return done;
}

/*
 * An ordinary user, and root within a user namespace, can load no filter (bpf(2)), and no process of theirs makes a node that opens: what is there was
 * bound, and its owner and mode decide. Engines send the rules to everybody alike, so these are not an error then; nor where no control group is wanted.
 */
static bool can_be_held(const struct plan *plan)
{
	return (plan->caller == CALLER_ROOT_HOST || plan->caller == CALLER_ROOT_REMAPPED) && plan->caller_uid == 0 &&
	       probe_in_initial_userns() && plan->cgroup_manager != CGROUP_MANAGER_DISABLED;
}

static int read_rules(struct oci_reader *r, struct err *err)
{
	struct json_at resources, list;
	size_t n = 0;
	int done = 0;

	const bool said = json_at_key(&r->linux_, "resources", &resources) && json_at_key(&resources, "devices", &list);
	if (said)
		done = json_at_array(&list, err);
	if (said && done == 0)
		n = json_array_size(list.value);
	if (done == 0 && n + ARRAY_LEN(usual_rules) > DEVICE_RULES_MAX)
		return json_at_err(&list, err, "%zu of them, and at most %zu are taken", n,
				   DEVICE_RULES_MAX - ARRAY_LEN(usual_rules));
	struct device_rule *rules = arena_array(r->plan->arena, n + ARRAY_LEN(usual_rules), sizeof(*rules));
	if (!rules)
		return err_oom(err);
	for (size_t i = 0; done == 0 && i < n; i++) {
		const struct json_at entry = json_at_entry(&list, i);

		done = read_rule(&entry, &rules[i], err);
	}
	if (done < 0 || !can_be_held(r->plan))
		return done;
	memcpy(rules + n, usual_rules, sizeof(usual_rules));
	return device_policy_make(r->plan->arena, rules, n + ARRAY_LEN(usual_rules), &r->plan->device_policy, err);
}

int oci_read_devices(struct oci_reader *r, struct err *err)
{
	const int done = read_devices(r, err);

	return done == 0 ? read_rules(r, err) : done;
}
