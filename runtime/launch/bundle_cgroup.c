/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mount of type "cgroup" in config.json: what the host has at /sys/fs/cgroup, as the container is to see it. Where that is cgroup2 alone, the same;
 * where there are v1 hierarchies, a tmpfs with a directory for each, which shows the container's own group. A new mount does so in a cgroup namespace
 * (cgroup_namespaces(7)); without one the group's directory is bound.
 */
#include <nsrun/launch/bundle_mounts.h>

#include <nsrun/base/mountinfo.h>
#include <nsrun/base/strings.h>
#include <nsrun/kernel/mount.h>
#include <nsrun/kernel/mount_data.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define HIERARCHIES_MAX 32

struct hierarchy {
	char device[24];
	char name[64];	   /* of the directory: "cpu,cpuacct" */
	char options[256]; /* what tells it from others: "cpu,cpuacct", "name=systemd"; "" of cgroup2 */
	char target[PATH_MAX], root[PATH_MAX];
	bool v2;
};

struct hierarchies {
	struct hierarchy *list;
	size_t n;
};

static void hierarchies_done(struct hierarchies *h)
{
	free(h->list);
}

/* The controllers and the name; the rest of the superblock's options is about how it was mounted. */
static void identify(const char *super_options, struct hierarchy *h)
{
	static const char *const other[] = { "rw",
					     "ro",
					     "seclabel",
					     "xattr",
					     "noprefix",
					     "clone_children",
					     "cpuset_v2_mode",
					     "favordynmods",
					     "nofavordynmods" };
	const char *rest = super_options;
	char word[256];

	h->options[0] = '\0';
	while (mount_data_next(&rest, word, sizeof(word)) > 0) {
		bool skip = strchr(word, '=') && !str_after(word, "name=");

		for (size_t i = 0; i < ARRAY_LEN(other); i++)
			skip = skip || streq(word, other[i]);
		const size_t used = strlen(h->options);
		if (!skip && used + strlen(word) + 2 < sizeof(h->options))
			snprintf(h->options + used, sizeof(h->options) - used, "%s%s", used ? "," : "", word);
	}
}

static void add(struct hierarchies *all, const struct mountinfo *mount)
{
	const char *name = strrchr(mount->target, '/');

	for (size_t i = 0; i < all->n; i++)
		if (streq(all->list[i].device, mount->device))
			return;
	if (all->n == HIERARCHIES_MAX || !name || !name[1])
		return;
	struct hierarchy *h = &all->list[all->n++];
	h->v2 = streq(mount->type, "cgroup2");
	snprintf(h->device, sizeof(h->device), "%s", mount->device);
	snprintf(h->name, sizeof(h->name), "%s", name + 1);
	snprintf(h->target, sizeof(h->target), "%s", mount->target);
	snprintf(h->root, sizeof(h->root), "%s", mount->root);
	if (!h->v2)
		identify(mount->super_options, h);
}

/* What was mounted below `target` is hidden by what is mounted on it. */
static void forget_hidden(struct hierarchies *all, const char *target)
{
	size_t kept = 0;

	for (size_t i = 0; i < all->n; i++)
		if (!path_is_below(all->list[i].target, target))
			all->list[kept++] = all->list[i];
	all->n = kept;
}

/* Of the host: the first mount of each that can be seen. */
static int find_hierarchies(struct hierarchies *ret, struct err *err)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	struct mountinfo mount;
	size_t size = 0;

	if (!f)
		return err_system(err, "/proc/self/mountinfo of the host");
	ret->list = calloc(HIERARCHIES_MAX, sizeof(*ret->list));
	if (!ret->list)
		return err_oom(err);
	while (getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (!mountinfo_parse(line, &mount) || (!streq(mount.type, "cgroup") && !streq(mount.type, "cgroup2")))
			continue;
		forget_hidden(ret, mount.target);
		add(ret, &mount);
	}
	return 0;
}

/* This process' group in it, as /proc/self/cgroup has it: "4:cpu,cpuacct:/nsrun/x", "0::/nsrun/x". */
static int own_group(const struct hierarchy *h, char *ret, size_t size, struct err *err)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/cgroup", "re");
	_cleanup_free_ char *line = NULL;
	size_t room = 0;

	if (!f)
		return err_system(err, "/proc/self/cgroup of the host");
	while (getline(&line, &room, f) > 0) {
		char *words = strchr(line, ':'), *path = words ? strchr(words + 1, ':') : NULL;

		if (!path)
			continue;
		*path++ = '\0';
		path[strcspn(path, "\n")] = '\0';
		if (!streq(words + 1, h->options))
			continue;
		/* The mount may show a part of the tree, as within a container. */
		const char *below = streq(h->root, "/") ? path : str_after(path, h->root);
		const int n = snprintf(ret, size, "%s%s%s", h->target, below && *below && *below != '/' ? "/" : "",
				       below && !streq(below, "/") ? below : "");
		return n >= 0 && (size_t)n < size
			       ? 0
			       : err_set(err, ERR_SYSTEM, ERR_ID_NONE, ENAMETOOLONG, "%s", h->target);
	}
	return err_set(err, ERR_SYSTEM, ERR_ID_NONE, ENOENT, "/proc/self/cgroup: %s", h->name);
}

static int bind_group(const struct hierarchy *h, uint64_t attr, int *ret_fd, struct err *err)
{
	_cleanup_close_ int mount = FD_NONE;
	char path[2 * PATH_MAX];

	int r = own_group(h, path, sizeof(path), err);
	if (r == 0)
		r = mount_clone_tree(AT_FDCWD, path, false, &mount, err);
	if (r == 0)
		r = mount_set_attr(mount, "", attr, 0, MS_PRIVATE, false, path, err);
	if (r == 0)
		*ret_fd = TAKE_FD(mount);
	return r;
}

/* Has this process a cgroup namespace of its own, or a joined one, whose owner it is? */
static bool mounts_anew(const struct plan *plan)
{
	return plan->ns[NS_CGROUP].use != NS_HOST && plan_ns_view(plan, NS_CGROUP) == NS_VIEW_MOUNTED;
}

static int open_hierarchy(const struct launch *launch, const struct hierarchy *h, uint64_t attr, int *ret_fd,
			  struct err *err)
{
	const struct mount_fs fs = {
		.type = h->v2 ? "cgroup2" : "cgroup", .source = "cgroup", .data = h->options, .attr = attr
	};

	return mounts_anew(launch->plan) ? mount_new_fs_of(&fs, ret_fd, err) : bind_group(h, attr, ret_fd, err);
}

static int place_hierarchy(const struct launch *launch, const struct hierarchy *h, uint64_t attr, int dir,
			   struct err *err)
{
	_cleanup_close_ int mount = FD_NONE, target = FD_NONE;
	const char *rest = h->options;
	char word[256];

	int r = open_hierarchy(launch, h, attr, &mount, err);
	if (r < 0)
		return r;
	if (mkdirat(dir, h->name, 0755) < 0)
		return errno == EEXIST ? 0 : err_system(err, "%s", h->name);
	target = openat(dir, h->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0)
		return err_system(err, "%s", h->name);
	r = mount_attach(mount, target, h->name, err);
	/* Programs look for "cpu" where the host has both as "cpu,cpuacct". */
	while (r == 0 && mount_data_next(&rest, word, sizeof(word)) > 0)
		if (!streq(word, h->name) && !strchr(word, '=') && symlinkat(h->name, dir, word) < 0 && errno != EEXIST)
			r = err_system(err, "%s", word);
	return r;
}

static int fill(const struct launch *launch, const struct hierarchies *all, uint64_t attr, int mount, struct err *err)
{
	_cleanup_close_ int dir = openat(mount, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = dir < 0 ? err_system(err, "tmpfs for control groups") : 0;

	for (size_t i = 0; r == 0 && i < all->n; i++)
		r = place_hierarchy(launch, &all->list[i], attr, dir, err);
	if (r == 0 && (attr & MOUNT_ATTR_RDONLY))
		r = mount_set_attr(mount, "", MOUNT_ATTR_RDONLY, 0, 0, false, "tmpfs for control groups", err);
	return r;
}

int mount_cgroup_at(struct launch *launch, const struct bundle_mount *mount, int target, int *ret_fd, struct err *err)
{
	const char *context = launch->plan->labels.mount;
	const struct mount_option options[] = { { "mode", "755" },
						{ context ? "context" : NULL, context },
						{ NULL, NULL } };
	_cleanup_(hierarchies_done) struct hierarchies all = { 0 };
	_cleanup_close_ int fd = FD_NONE;

	int r = find_hierarchies(&all, err);
	if (r < 0)
		return r;
	if (all.n == 0)
		return err_set(err, ERR_SYSTEM, ERR_ID_CGROUP_NOT_MOUNTED, ENOENT,
			       "%s: the host has no hierarchy of control groups", mount->where);
	if (all.n == 1 && all.list[0].v2) {
		const struct mount_fs fs = {
			.type = "cgroup2", .source = "cgroup", .data = mount->data, .attr = mount->attr_set
		};
		const bool anew = plan_ns_view(launch->plan, NS_CGROUP) == NS_VIEW_MOUNTED;

		r = anew ? mount_new_fs_of(&fs, &fd, err) : bind_group(&all.list[0], mount->attr_set, &fd, err);
		if (r == 0)
			r = mount_attach(fd, target, mount->where, err);
	} else {
		struct err why = ERR_INIT;

		r = mount_new_fs("tmpfs", "cgroup", options, mount->attr_set & ~(uint64_t)MOUNT_ATTR_RDONLY, &fd, &why);
		if (r < 0)
			r = mount_say_why(launch, mount->where, &why, err);
		else
			r = mount_attach(fd, target, mount->where, err);
		if (r == 0)
			r = fill(launch, &all, mount->attr_set, fd, err);
	}
	if (r == 0)
		*ret_fd = TAKE_FD(fd);
	return r;
}
