/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/devices.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/probe.h>
#include <nsrun/plan/volumes.h>

#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

/* Of a directory, so that one of many files takes no time: /dev of a large host has some hundreds. */
#define DEPTH_MAX 16
#define ENTRIES_MAX 4096

const char *device_filter_name(enum device_filter filter)
{
	return filter == DEVICE_FILTER_V2 ? "v2" : filter == DEVICE_FILTER_V1 ? "v1" : "none";
}

void device_words_split(const char *text, struct device_words *ret)
{
	size_t end = strlen(text);
	const char *colon = memrchr(text, ':', end);
	struct device_words words = { 0 };

	if (colon && colon[1] && strspn(colon + 1, "rwm") == strlen(colon + 1)) {
		words.access = colon + 1;
		end = (size_t)(colon - text);
		colon = memrchr(text, ':', end);
	}
	if (colon && colon[1] == '/') {
		words.target = colon + 1;
		words.target_length = end - (size_t)(colon + 1 - text);
		end = (size_t)(colon - text);
	}
	words.path = end;
	*ret = words;
}

struct list {
	struct plan *plan;
	struct plan_device *devices;
	size_t n;
	const char *said; /* of the option that is being read */
	unsigned access;
	unsigned entries; /* that were looked at in its directory */
};

static int add_device(struct list *list, const char *path, const char *target, const struct stat *st, struct err *err)
{
	if (list->n == PLAN_DEVICES_MAX)
		return err_set(err, ERR_INPUT, ERR_ID_DEVICE_MANY, 0, "%s: more than %u device nodes", list->said,
			       PLAN_DEVICES_MAX);
	for (size_t i = 0; i < list->n; i++)
		if (streq(list->devices[i].target, target))
			return err_set(err, ERR_INPUT, ERR_ID_DEVICE_TWICE, 0, "%s: %s is on %s, too", list->said,
				       list->devices[i].said, target);
	for (size_t i = 0; i < list->plan->n_mounts; i++)
		if (streq(list->plan->mounts[i].target, target))
			return err_set(err, ERR_INPUT, ERR_ID_DEVICE_TWICE, 0, "%s: %s is on %s, too", list->said,
				       list->plan->mounts[i].said, target);
	list->devices[list->n++] = (struct plan_device){
		.said = list->said,
		.path = path,
		.target = target,
		.type = S_ISBLK(st->st_mode) ? 'b' : 'c',
		.major = major(st->st_rdev),
		.minor = minor(st->st_rdev),
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.access = list->access,
	};
	return 0;
}

/* Every node below a directory, but for what is in every /dev already. Links in it are passed over: what they lead to has a name of its own. */
static int add_directory(struct list *list, const char *top, const char *path, const char *target, unsigned depth,
			 struct err *err)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	int r = 0;

	if (!dir)
		return err_system(err, "%s: %s", list->said, path);
	if (depth > DEPTH_MAX)
		return err_set(err, ERR_INPUT, ERR_ID_DEVICE_MANY, 0, "%s: %.200s: more than %d directories deep",
			       list->said, path, DEPTH_MAX);
	for (struct dirent *d; r == 0 && (d = readdir(dir));) {
		const char *below, *inside;
		struct stat st;

		if (streq(d->d_name, ".") || streq(d->d_name, ".."))
			continue;
		if (list->entries++ == ENTRIES_MAX)
			return err_set(err, ERR_INPUT, ERR_ID_DEVICE_MANY, 0,
				       "%s: more than %d files are in and below %s", list->said, ENTRIES_MAX, top);
		if (fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		below = arena_printf(list->plan->arena, "%s/%s", path, d->d_name);
		inside = arena_printf(list->plan->arena, "%s/%s", streq(target, "/") ? "" : target, d->d_name);
		if (!below || !inside)
			return err_oom(err);
		if (plan_target_owner(inside) || streq(inside, "/dev/shm"))
			continue;
		if (S_ISDIR(st.st_mode))
			r = add_directory(list, top, below, inside, depth + 1, err);
		else if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
			r = add_device(list, below, inside, &st, err);
	}
	return r;
}

static int compare_targets(const void *a, const void *b)
{
	return strcmp(((const struct plan_device *)a)->target, ((const struct plan_device *)b)->target);
}

/* Bound, a node opens only if the mount that it is taken from lets it. */
static int check_nodev(const struct list *list, const char *path, struct err *err)
{
	struct statvfs fs;

	if (list->plan->performer[WORK_DEVICES] != BY_INIT || statvfs(path, &fs) < 0 || !(fs.f_flag & ST_NODEV))
		return 0;
	return err_refused(err, ERR_ID_DEVICE_NODEV, "%s: %s is on a file system that is mounted nodev", list->said,
			   path);
}

static int resolve_path(struct list *list, const char *text, size_t length, const char **ret, struct stat *ret_st,
			struct err *err)
{
	const char *path = arena_strndup(list->plan->arena, text, length);
	char real[PATH_MAX];

	if (!path)
		return err_oom(err);
	if (*path != '/')
		return err_set(err, ERR_INPUT, ERR_ID_DEVICE_MISSING, 0,
			       "%s: PATH[:DST][:rwm] is wanted, with the absolute path of a %s", list->said,
			       strchr(path, '=') ? "device node: names of CDI are not known here" : "device node");
	if (!realpath(path, real) || stat(real, ret_st) < 0)
		return err_set(err, ERR_INPUT, ERR_ID_DEVICE_MISSING, errno, "%s: %s: %s", list->said, path,
			       errno == ENOENT ? "does not exist" : strerrordesc_np(errno));
	if (!S_ISCHR(ret_st->st_mode) && !S_ISBLK(ret_st->st_mode) && !S_ISDIR(ret_st->st_mode))
		return err_set(err, ERR_INPUT, ERR_ID_DEVICE_MISSING, 0, "%s: %s is no device", list->said, real);
	*ret = arena_strdup(list->plan->arena, real);
	return *ret ? 0 : err_oom(err);
}

static int read_device(struct list *list, const char *text, struct err *err)
{
	struct arena *arena = list->plan->arena;
	const char *path = NULL, *target = NULL;
	struct device_words words;
	struct stat st;

	list->said = arena_printf(arena, "--device %.200s", text);
	list->access = DEVICE_ALL;
	device_words_split(text, &words);
	const char *inside = words.target ? arena_strndup(arena, words.target, words.target_length)
					  : arena_strndup(arena, text, words.path);
	if (!list->said || !inside)
		return err_oom(err);
	if (words.access && device_access_parse(words.access, &list->access) < 0)
		return err_input(err, "%s: of the letters r, w and m each is wanted at most once", list->said);
	int r = resolve_path(list, text, words.path, &path, &st, err);
	if (r == 0)
		r = plan_container_path(arena, list->said, inside, &target, err);
	if (r == 0 && !S_ISDIR(st.st_mode) && plan_target_owner(target))
		r = err_refused(err, ERR_ID_MOUNT_TARGET, "%s: %s %s", list->said, target, plan_target_owner(target));
	if (r == 0 && streq(target, "/"))
		r = err_set(err, ERR_INPUT, ERR_ID_MOUNT_TARGET, 0, "%s: nothing can be mounted over the rootfs itself",
			    list->said);
	if (r == 0)
		r = check_nodev(list, path, err);
	if (r < 0)
		return r;
	if (!S_ISDIR(st.st_mode))
		return add_device(list, path, target, &st, err);
	const size_t first = list->n;
	list->entries = 0;
	r = add_directory(list, path, path, target, 0, err);
	if (r == 0 && list->n == first)
		return err_set(err, ERR_INPUT, ERR_ID_DEVICE_MISSING, 0, "%s: there is no device in %s", list->said,
			       path);
	/* As readdir(3) gives them is no order. */
	qsort(list->devices + first, list->n - first, sizeof(*list->devices), compare_targets);
	return r;
}

static int resolve_nodes(struct plan *plan, const struct plan_request *request, struct err *err)
{
	struct list list = { .plan = plan };
	int r = 0;

	if (!request->devices || !*request->devices)
		return 0;
	list.devices = arena_array(plan->arena, PLAN_DEVICES_MAX, sizeof(*list.devices));
	if (!list.devices)
		return err_oom(err);
	for (const char *const *p = request->devices; r == 0 && *p; p++)
		r = read_device(&list, *p, err);
	plan->devices = list.devices;
	plan->n_devices = list.n;
	return r;
}

/* ---- the rules ---- */

/*
 * What every container may use ("Default Devices" in config-linux.md of the runtime specification) and terminals of its own. mknod(2) is allowed for these
 * alone. Other runtimes allow it for all, since a node that cannot be opened is harmless; but on a rootfs or volume that others can reach it is not: there
 * the host's users open it, whom no filter of the container holds.
 */
static const struct device_rule usual_rules[] = {
	{ false, 'a', DEVICE_ANY, DEVICE_ANY, DEVICE_ALL },
	{ true, 'c', 1, 3, DEVICE_ALL },	    /* null */
	{ true, 'c', 1, 5, DEVICE_ALL },	    /* zero */
	{ true, 'c', 1, 7, DEVICE_ALL },	    /* full */
	{ true, 'c', 1, 8, DEVICE_ALL },	    /* random */
	{ true, 'c', 1, 9, DEVICE_ALL },	    /* urandom */
	{ true, 'c', 5, 0, DEVICE_ALL },	    /* tty */
	{ true, 'c', 5, 2, DEVICE_ALL },	    /* ptmx */
	{ true, 'c', 136, DEVICE_ANY, DEVICE_ALL }, /* pts/N, and console, which is one of them */
};
static const struct device_rule all_allowed = { true, 'a', DEVICE_ANY, DEVICE_ANY, DEVICE_ALL };

/* Root of the host, and no user namespace in between: only there mknod(2) and what was mounted without nodev open devices. */
static bool is_host_root(const struct plan *plan)
{
	return plan->caller == CALLER_ROOT_HOST && plan->caller_uid == 0 && probe_in_initial_userns();
}

static struct device_rule rule_of(const struct plan_device *device, bool allow, unsigned access)
{
	return (struct device_rule){ allow, device->type, device->major, device->minor, access };
}

static int resolve_rules(struct plan *plan, const struct plan_request *request, struct err *err)
{
	const bool open = plan->privileged && is_host_root(plan);
	size_t n = 0, said = 0;

	while (request->device_rules && request->device_rules[said])
		said++;
	struct device_rule *rules =
		arena_array(plan->arena, ARRAY_LEN(usual_rules) + 2 * plan->n_devices + said, sizeof(*rules));
	if (!rules)
		return err_oom(err);
	if (open) {
		rules[n++] = all_allowed;
	} else {
		memcpy(rules, usual_rules, sizeof(usual_rules));
		n = ARRAY_LEN(usual_rules);
	}
	/* Where all may be opened, the letters take something back. */
	for (size_t i = 0; open && i < plan->n_devices; i++)
		rules[n++] = rule_of(&plan->devices[i], false, DEVICE_ALL);
	for (size_t i = 0; i < plan->n_devices; i++) {
		rules[n++] = rule_of(&plan->devices[i], true, plan->devices[i].access);
		plan->device_rules_asked = plan->device_rules_asked || plan->devices[i].access != DEVICE_ALL;
	}
	for (size_t i = 0; i < said; i++) {
		const int r = device_rule_parse(request->device_rules[i], "--device-cgroup-rule", &rules[n++], err);

		if (r < 0)
			return r;
		plan->device_rules_asked = true;
	}
	return device_policy_make(plan->arena, rules, n, &plan->device_policy, err);
}

/* Of a workload that could come by other nodes than those that it is given. */
static bool could_make_nodes(const struct plan *plan)
{
	return is_host_root(plan) && (plan->caps.bounding & (CAP_MASK(CAP_MKNOD) | CAP_MASK(CAP_SYS_ADMIN)));
}

static bool allows_everything(const struct plan *plan)
{
	unsigned access;

	return device_policy_is_flat(&plan->device_policy, &access) && access == DEVICE_ALL;
}

bool plan_needs_device_filter(const struct plan *plan)
{
	return plan->device_policy.n && !allows_everything(plan) &&
	       (plan->device_rules_asked || could_make_nodes(plan));
}

/* Loading a program takes privilege over the initial user namespace (bpf(2)), and so does what is written on v1. */
static bool may_load_filter(const struct plan *plan)
{
	return plan->caller_uid == 0 && probe_in_initial_userns();
}

static int no_filter(const struct plan *plan, struct err *err)
{
	return err_set(err, ERR_REFUSED, ERR_ID_DEVICE_FILTER, EPERM, "%s: nothing here can hold the container to them",
		       plan->device_rules_asked ? "--device-cgroup-rule, and --device with less than rwm"
						: "the usual device rules");
}

int plan_resolve_devices(struct plan *plan, const struct plan_request *request, struct err *err)
{
	struct cap_sets own;

	/* Root in a user namespace, as within another container, makes no nodes either. */
	if (plan->performer[WORK_DEVICES] == BY_RUNTIME && request->devices &&
	    (!probe_in_initial_userns() || caps_get(&own, NULL) < 0 || !(own.effective & CAP_MASK(CAP_MKNOD))))
		plan->performer[WORK_DEVICES] = BY_INIT;
	int r = resolve_nodes(plan, request, err);
	if (r == 0 && (plan->n_devices || request->device_rules || is_host_root(plan)))
		r = resolve_rules(plan, request, err);
	/* Before the control group: no delegation of one would help. */
	if (r == 0 && plan_needs_device_filter(plan) && !may_load_filter(plan))
		r = no_filter(plan, err);
	return r;
}

/* It takes 0.2 ms, so there is none where nothing could be opened that is not there: in a user namespace without --device. */
int plan_settle_devices(struct plan *plan, struct err *err)
{
	plan->device_filter = DEVICE_FILTER_NONE;
	if (!plan->device_policy.n || allows_everything(plan))
		return 0;
	if (may_load_filter(plan) && plan->cgroup_path && *plan->cgroup_host->v2_mount) {
		plan->device_filter = DEVICE_FILTER_V2;
	} else if (may_load_filter(plan) && plan->cgroup_path && cgroup_on_v1(plan->cgroup_host, CGROUP_DEVICES)) {
		const int r = devices_v1_check(&plan->device_policy, err);

		if (r < 0)
			return r;
		plan->device_filter = DEVICE_FILTER_V1;
		plan->controllers |= 1U << CGROUP_DEVICES;
		plan->placed_late = true;
	}
	if (plan->device_filter == DEVICE_FILTER_NONE && plan_needs_device_filter(plan))
		return no_filter(plan, err);
	return 0;
}
