/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/cgroup.h>

#include <nsrun/base/file.h>
#include <nsrun/base/mountinfo.h>
#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define MOUNTINFO_MAX (16 * 1024 * 1024) /* a host of a thousand containers has some megabytes */
#define SMALL_FILE_MAX (64 * 1024)

const char *cgroup_controller_name(enum cgroup_ctl controller)
{
	static const char *const names[] = {
		[CGROUP_CPU] = "cpu",
		[CGROUP_CPUSET] = "cpuset",
		[CGROUP_MEMORY] = "memory",
		[CGROUP_IO] = "io",
		[CGROUP_PIDS] = "pids",
		[CGROUP_HUGETLB] = "hugetlb",
		[CGROUP_RDMA] = "rdma",
		[CGROUP_MISC] = "misc",
		[CGROUP_DMEM] = "dmem",
		[CGROUP_NET_CLS] = "net_cls",
		[CGROUP_NET_PRIO] = "net_prio",
		[CGROUP_DEVICES] = "devices",
		[CGROUP_CPUACCT] = "cpuacct",
		[CGROUP_FREEZER] = "freezer",
		[CGROUP_PERF_EVENT] = "perf_event",
		[CGROUP_NAMED_SYSTEMD] = "systemd",
	};

	return controller < CGROUP_CONTROLLER_COUNT ? names[controller] : "?";
}

const char *cgroup_v1_name(enum cgroup_ctl controller)
{
	switch (controller) {
	case CGROUP_IO:
		return "blkio";
	case CGROUP_NAMED_SYSTEMD:
		return "name=systemd";
	default:
		return cgroup_controller_name(controller);
	}
}

/* ---- probe ---- */

/* Is `word` one of the comma-separated words? "cpu" must not be found in "cpuacct". */
static bool list_has(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = list; *p;) {
		size_t n = strcspn(p, ",");

		if (n == len && memcmp(p, word, len) == 0)
			return true;
		p += n;
		if (*p == ',')
			p++;
	}
	return false;
}

static int copy_path(struct arena *arena, const char **to, const char *from, struct err *err)
{
	if (strlen(from) >= CGROUP_PATH_MAX)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, ENAMETOOLONG, "%.64s...: path of a control group", from);
	*to = streq(from, "/") ? "/" : arena_strdup(arena, from);
	return *to ? 0 : err_oom(err);
}

/* A hierarchy that is mounted at /sys/fs/cgroup after others were mounted below it hides them; mountinfo lists them all the same. */
static void forget_hidden(struct cgroup_host *host, const char *target)
{
	if (streq(host->v2_mount, target) || path_is_below(host->v2_mount, target))
		host->v2_mount = "";
	for (unsigned c = 0; c < CGROUP_CONTROLLER_COUNT; c++)
		if (path_is_below(host->v1_mount[c], target))
			host->v1_mount[c] = "";
}

static int parse_mount_line(struct arena *arena, char *line, struct cgroup_host *host, struct cgroup_roots *roots,
			    struct err *err)
{
	struct mountinfo mount;
	int r = 0;

	if (!mountinfo_parse(line, &mount))
		return 0;
	/* Of several mounts of one hierarchy the first that can be seen is taken. */
	if (streq(mount.type, "cgroup2") || streq(mount.type, "cgroup"))
		forget_hidden(host, mount.target);
	if (streq(mount.type, "cgroup2")) {
		if (host->v2_mount[0])
			return 0;
		roots->v2 = mount.root;
		host->v2_nsdelegate = list_has(mount.super_options, "nsdelegate");
		return copy_path(arena, &host->v2_mount, mount.target, err);
	}
	if (!streq(mount.type, "cgroup"))
		return 0;
	for (unsigned c = 0; r == 0 && c < CGROUP_CONTROLLER_COUNT; c++) {
		if (host->v1_mount[c][0] || !list_has(mount.super_options, cgroup_v1_name(c)))
			continue;
		roots->v1[c] = mount.root;
		r = copy_path(arena, &host->v1_mount[c], mount.target, err);
	}
	return r;
}

int cgroup_parse_mounts(struct arena *arena, char *text, struct cgroup_host *host, struct cgroup_roots *roots,
			struct err *err)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		int r = parse_mount_line(arena, line, host, roots, err);

		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * /proc/self/cgroup counts from the root of the hierarchy (or of the cgroup namespace), a path below the mount point from what the mount
 * shows, its root field. A mount made outside of this cgroup namespace has a root of "/..": then our own group has no path below it.
 */
static int self_below_mount(struct arena *arena, const char *self, const char *root, const char **to, struct err *err)
{
	const char *rest;

	if (streq(root, "/"))
		return copy_path(arena, to, self, err);
	rest = str_after(self, root);
	if (rest && (*rest == '\0' || *rest == '/'))
		return copy_path(arena, to, *rest ? rest : "/", err);
	*to = "";
	return 0;
}

int cgroup_parse_self(struct arena *arena, char *text, struct cgroup_host *host, const struct cgroup_roots *roots,
		      struct err *err)
{
	char *save = NULL;

	/* hierarchy-id:controllers:path; the path may hold colons itself. */
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;
		int r = 0;

		if (!path)
			return err_set(err, ERR_SYSTEM, ERR_ID_NONE, EBADMSG,
				       "/proc/self/cgroup: a line without two colons");
		*list++ = '\0';
		*path++ = '\0';
		if (streq(line, "0") && host->v2_mount[0])
			r = self_below_mount(arena, path, roots->v2, &host->v2_self, err);
		for (unsigned c = 0; r == 0 && *list && c < CGROUP_CONTROLLER_COUNT; c++)
			if (cgroup_on_v1(host, c) && list_has(list, cgroup_v1_name(c)))
				r = self_below_mount(arena, path, roots->v1[c], &host->v1_self[c], err);
		if (r < 0)
			return r;
	}
	return 0;
}

int cgroup_probe(struct arena *arena, struct cgroup_host *ret, struct err *err)
{
	_cleanup_free_ char *mounts = NULL, *self = NULL, *controllers = NULL;
	struct cgroup_host host = CGROUP_HOST_NONE;
	struct cgroup_roots roots = { 0 };
	struct err refused = ERR_INIT;
	char path[CGROUP_PATH_MAX + 32];
	int r;

	r = file_read_virtual_at(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &mounts, NULL, err);
	if (r == 0)
		r = file_read_virtual_at(AT_FDCWD, "/proc/self/cgroup", SMALL_FILE_MAX, &self, NULL, err);
	if (r == 0)
		r = cgroup_parse_mounts(arena, mounts, &host, &roots, err);
	if (r == 0)
		r = cgroup_parse_self(arena, self, &host, &roots, err);
	if (r < 0)
		return r;
	if (host.v2_mount[0]) {
		snprintf(path, sizeof(path), "%s/cgroup.controllers", host.v2_mount);
		r = file_read_virtual_at(AT_FDCWD, path, SMALL_FILE_MAX, &controllers, NULL, &refused);
		/* Something else is mounted over it: open_v2_mount() says so to whom it matters. */
		if (r < 0 && r != -ENOENT) {
			if (err)
				*err = refused;
			return r;
		}
		for (char *s = controllers; s && *s; s++)
			if (*s == ' ' || *s == '\n')
				*s = ',';
		for (unsigned c = 0; c < CGROUP_CONTROLLER_COUNT; c++)
			host.v2_controller[c] = controllers && list_has(controllers, cgroup_controller_name(c));
	}
	*ret = host;
	return 0;
}
