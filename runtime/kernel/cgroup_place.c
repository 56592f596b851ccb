/* SPDX-License-Identifier: Apache-2.0 */
/* Where groups are made, and in which hierarchies, for whoever must find them again later. */
#include <nsrun/kernel/cgroup.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PROCS_MAX (4 * 1024 * 1024)

/* ---- where groups go ---- */

static bool v2_writable(const struct cgroup_host *host, const char *group)
{
	static const char *const files[] = { "", "/cgroup.procs", "/cgroup.subtree_control" };
	char path[2 * CGROUP_PATH_MAX + 32];

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(path, sizeof(path), "%s%s%s", host->v2_mount, group, files[i]);
		if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) < 0)
			return false;
	}
	return true;
}

static bool v2_without_processes(const struct cgroup_host *host, const char *group)
{
	_cleanup_free_ char *procs = NULL;
	char path[2 * CGROUP_PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s%s/cgroup.procs", host->v2_mount, group);
	return file_read_virtual_at(AT_FDCWD, path, PROCS_MAX, &procs, NULL, NULL) == 0 && procs[0] == '\0';
}

/*
 * An ordinary user owns a delegated sub-tree of v2. Walking up from our own group: the nearest one that is writable and holds no process
 * itself, since only such a group can give controllers to its children (cgroups(7), "no internal processes"; a scope of systemd-run holds
 * us, the slice around it does not). Where none is empty, the nearest writable one: it serves without limits. The chosen group is an
 * ancestor of ours or ours, so that its cgroup.procs is the one on which CLONE_INTO_CGROUP checks write permission.
 */
static int choose_delegated(const struct cgroup_host *host, char *ret_parent, size_t size, struct err *err)
{
	char group[CGROUP_PATH_MAX], chosen[CGROUP_PATH_MAX + 2] = "";

	if (!host->v2_self[0])
		return err_set(err, ERR_REFUSED, ERR_ID_NO_DELEGATION, EACCES,
			       "%s: this process' control group lies outside of what is mounted there", host->v2_mount);
	snprintf(group, sizeof(group), "%s", host->v2_self);
	for (;;) {
		char *slash;

		if (streq(group, "/"))
			group[0] = '\0';
		if (v2_writable(host, group)) {
			bool empty = v2_without_processes(host, group);

			if (empty || !chosen[0])
				snprintf(chosen, sizeof(chosen), "%s/", group);
			if (empty)
				break;
		}
		slash = strrchr(group, '/');
		if (!slash)
			break;
		*slash = '\0';
	}
	if (!chosen[0])
		return err_set(err, ERR_REFUSED, ERR_ID_NO_DELEGATION, EACCES,
			       "%s%s: neither this control group nor one around it is delegated to this user",
			       host->v2_mount, host->v2_self);
	if ((size_t)snprintf(NULL, 0, "%snsrun", chosen) >= size)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, ENAMETOOLONG, "%s: control group", chosen);
	snprintf(ret_parent, size, "%snsrun", chosen);
	return 0;
}

int cgroup_choose_parent(const struct cgroup_host *host, char *ret_parent, size_t size, struct err *err)
{
	const char *mount = host->v2_mount;

	for (unsigned c = 0; !mount[0] && c < CGROUP_CONTROLLER_COUNT; c++)
		mount = host->v1_mount[c];
	if (!mount[0])
		return err_set(err, ERR_REFUSED, ERR_ID_CGROUP_NOT_MOUNTED, EACCES,
			       "no control groups are mounted here");
	/* Not the user id is asked but the file system: root of a container has the id and often not the right. */
	if (faccessat(AT_FDCWD, mount, W_OK, AT_EACCESS) == 0) {
		if (size < sizeof("/nsrun"))
			return err_bug(err, "cgroup_choose_parent: buffer of %zu bytes", size);
		memcpy(ret_parent, "/nsrun", sizeof("/nsrun"));
		return 0;
	}
	if (errno == EROFS)
		return err_set(err, ERR_REFUSED, ERR_ID_CGROUP_READONLY, EACCES, "%s: read-only", mount);
	/* mountinfo lists also what lies below another mount. */
	if (errno == ENOENT)
		return err_set(err, ERR_REFUSED, ERR_ID_CGROUP_NOT_MOUNTED, ENOENT,
			       "%s: something is mounted over the control groups there, and hides them", mount);
	if (host->v2_mount[0])
		return choose_delegated(host, ret_parent, size, err);
	return err_set(err, ERR_REFUSED, ERR_ID_NO_DELEGATION, EACCES,
		       "%s: cgroup v1 groups cannot be delegated safely, only root makes them", mount);
}

/* The group around that this user owns and that is furthest up; "" when there is none. */
static void outermost_delegated(const struct cgroup_host *host, char *ret, size_t size)
{
	char group[CGROUP_PATH_MAX];

	ret[0] = '\0';
	snprintf(group, sizeof(group), "%s", host->v2_self);
	for (;;) {
		char *slash;

		if (streq(group, "/"))
			group[0] = '\0';
		if (v2_writable(host, group))
			snprintf(ret, size, "%s", group[0] ? group : "/");
		slash = strrchr(group, '/');
		if (!slash)
			return;
		*slash = '\0';
	}
}

/* The group that is around both, as the beginning of `a`. */
static size_t common_length(const char *a, const char *b)
{
	size_t common = 0;

	for (size_t i = 0;; i++) {
		if ((a[i] == '/' || !a[i]) && (b[i] == '/' || !b[i]))
			common = i;
		if (a[i] != b[i] || !a[i])
			return common;
	}
}

bool cgroup_may_enter_v2(const struct cgroup_host *host, const char *path)
{
	char file[2 * CGROUP_PATH_MAX + 32];

	if (!*host->v2_self)
		return true; /* not to be told from here: the clone will */
	snprintf(file, sizeof(file), "%s%.*s/cgroup.procs", host->v2_mount, (int)common_length(path, host->v2_self),
		 path);
	return faccessat(AT_FDCWD, file, W_OK, AT_EACCESS) == 0;
}

int cgroup_check_parent(const struct cgroup_host *host, const char *parent, struct err *err)
{
	char around[CGROUP_PATH_MAX], own[CGROUP_PATH_MAX];

	if (!host->v2_mount[0] || faccessat(AT_FDCWD, host->v2_mount, W_OK, AT_EACCESS) == 0)
		return 0;
	/* Whoever owns less: cgroups(7), "Delegation containment rule", is about the group around both, its own and the one to be entered. */
	snprintf(around, sizeof(around), "%.*s", (int)common_length(host->v2_self, parent), host->v2_self);
	if (host->v2_self[0] && v2_writable(host, streq(around, "/") ? "" : around))
		return 0;
	outermost_delegated(host, own, sizeof(own));
	return err_set(err, ERR_REFUSED, ERR_ID_CGROUP_PARENT_OUTSIDE, EACCES,
		       "outside of the control group that is delegated to this user, %s", own);
}

/* ---- where they were made ---- */

static const char *place_mount(const struct cgroup_host *host, const char *name)
{
	if (streq(name, "v2"))
		return host->v2_mount;
	for (unsigned c = 0; c < CGROUP_CONTROLLER_COUNT; c++)
		if (streq(name, cgroup_v1_name(c)))
			return host->v1_mount[c];
	return "";
}

static int stat_place(const char *mount, struct cgroup_place *place)
{
	struct stat st;

	if (stat(mount, &st) < 0)
		return -errno;
	place->device = st.st_dev;
	place->inode = st.st_ino;
	return 0;
}

int cgroup_places(const struct cgroup_host *host, unsigned controllers, struct cgroup_place ret[CGROUP_PLACES_MAX],
		  size_t *ret_n, struct err *err)
{
	size_t n = 0;

	for (unsigned c = 0; c <= CGROUP_CONTROLLER_COUNT; c++) {
		const bool v2 = c == CGROUP_CONTROLLER_COUNT;
		const char *mount = v2 ? host->v2_mount : host->v1_mount[c];
		int r;

		if (!mount[0] || (!v2 && !(controllers & 1U << c)))
			continue;
		snprintf(ret[n].name, sizeof(ret[n].name), "%s", v2 ? "v2" : cgroup_v1_name(c));
		r = stat_place(mount, &ret[n]);
		if (r < 0)
			return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "%s", mount);
		n++;
	}
	*ret_n = n;
	return 0;
}

int cgroup_check_place(const struct cgroup_host *host, const struct cgroup_place *place, struct err *err)
{
	const char *mount = place_mount(host, place->name);
	struct cgroup_place here = { 0 };

	if (!mount[0])
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, ENODEV, "control groups, %s: not mounted here",
			       place->name);
	if (stat_place(mount, &here) < 0 || here.device != place->device || here.inode != place->inode)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, ENODEV,
			       "control groups, %s: %s is not what the group was made in", place->name, mount);
	return 0;
}
