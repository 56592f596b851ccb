/* SPDX-License-Identifier: Apache-2.0 */
/* Where containers' groups are made (--cgroup-parent), and who owns them (--security-opt writable-cgroups). */
#include <nsrun/plan/process.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/cgroup_resources.h>

#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

/* Room for what is put around it: the mount, the default parent, the container's id, a file's name. */
#define PATH_LEN_MAX (CGROUP_PATH_MAX - 128)

#define ID_DIGITS 12 /* of a container */

static int wrong(const char *path, const char *why, struct err *err)
{
	return err_set(err, ERR_INPUT, ERR_ID_CGROUP_PARENT, 0, "--cgroup-parent %.64s%s: %s", path,
		       strlen(path) > 64 ? "..." : "", why);
}

int plan_check_cgroup_parent(const char *path, struct err *err)
{
	const char *p = path;

	if (!*path)
		return wrong(path, "the path of a control group is wanted, such as /jobs", err);
	if (strlen(path) > PATH_LEN_MAX)
		return wrong(path, "too long", err);
	for (const char *c = path; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return wrong(path, "control characters are in it", err);
	if (streq(path, "/"))
		return 0;
	p += *p == '/';
	for (;;) {
		const size_t n = strcspn(p, "/");

		if (n == 0)
			return wrong(path, "an empty part: no \"//\", and no \"/\" at the end", err);
		if ((n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return wrong(path, "\".\" and \"..\" are no names of control groups", err);
		if (n > NAME_MAX)
			return wrong(path, "a part of it is longer than 255 bytes", err);
		if (!p[n])
			break;
		p += n + 1;
	}
	return 0;
}

bool plan_cgroup_parent_is_slice(const char *path)
{
	const size_t len = strlen(path);

	return !strchr(path, '/') && len > strlen(".slice") && streq(path + len - strlen(".slice"), ".slice");
}

/* The names that the managers give: ID, and nsrun-ID.scope. */
static bool is_containers_name(const char *name, size_t n)
{
	static const char prefix[] = "nsrun-", suffix[] = ".scope";
	const size_t around = sizeof(prefix) - 1 + sizeof(suffix) - 1;

	if (n == around + ID_DIGITS && strncmp(name, prefix, sizeof(prefix) - 1) == 0 &&
	    strncmp(name + n - (sizeof(suffix) - 1), suffix, sizeof(suffix) - 1) == 0) {
		name += sizeof(prefix) - 1;
		n = ID_DIGITS;
	}
	return n == ID_DIGITS && strspn(name, "0123456789abcdef") >= n;
}

/*
 * A group of a container's own is ended and removed with it, and what is in it besides would be, too. By the name alone: a group that is made later, or that
 * another user's state root tells of, is as bad. But for those that nsrun itself is in, as in a container that shares the control groups of the host.
 */
static int check_containers_own(const struct cgroup_host *host, const char *said, const char *parent, struct err *err)
{
	size_t end = 0;

	while (parent[end]) {
		const char *name = parent + end + (parent[end] == '/');
		const size_t n = strcspn(name, "/");

		end = (size_t)(name - parent) + n;
		if (is_containers_name(name, n) &&
		    !(strncmp(host->v2_self, parent, end) == 0 && (host->v2_self[end] == '/' || !host->v2_self[end])))
			return err_set(
				err, ERR_INPUT, ERR_ID_CGROUP_PARENT, 0,
				"--cgroup-parent %.64s%s: %.*s is the name of a container's own group, which ends with it",
				said, strlen(said) > 64 ? "..." : "", (int)n, name);
	}
	return 0;
}

int plan_choose_cgroup_parent(const struct cgroup_host *host, const char *path, char *ret_parent, size_t size,
			      struct err *err)
{
	char parent[CGROUP_PATH_MAX];
	struct err refused = ERR_INIT;
	int r;

	if (!path)
		return cgroup_choose_parent(host, ret_parent, size, err);
	r = plan_check_cgroup_parent(path, err);
	if (r < 0)
		return r;
	if (plan_cgroup_parent_is_slice(path))
		return err_input(
			err,
			"--cgroup-parent %s: slices are made by systemd: say --cgroup-manager=systemd, too, or name "
			"the path of a control group",
			path);
	/* Also for an absolute one: who may make no groups at all learns why. */
	r = cgroup_choose_parent(host, parent, sizeof(parent), &refused);
	if (r < 0)
		return err_set(err, refused.kind, refused.id, refused.errnum, "--cgroup-parent %s: %s", path,
			       refused.message);
	if (path[0] == '/')
		snprintf(parent, sizeof(parent), "%s", path);
	else if ((size_t)snprintf(parent + strlen(parent), sizeof(parent) - strlen(parent), "/%s", path) >=
		 sizeof(parent) - strlen(parent))
		return wrong(path, "too long", err);
	if (strlen(parent) > PATH_LEN_MAX || strlen(parent) >= size)
		return wrong(path, "too long", err);
	r = check_containers_own(host, path, parent, err);
	if (r < 0)
		return r;
	r = cgroup_check_parent(host, parent, &refused);
	if (r < 0)
		return err_set(err, refused.kind, refused.id, refused.errnum, "--cgroup-parent %s: %s", path,
			       refused.message);
	memcpy(ret_parent, parent, strlen(parent) + 1);
	return 0;
}

/* Are there limits in files of the v2 group that belong to who is root in the container? A map never grants host root's id (ids_map.c), and of the
 * group of a remapped container only what delegate lists is given away. */
static bool limits_are_its_own(const struct plan *plan)
{
	if (plan->caller_uid == 0 && plan_has_userns(plan))
		return false;
	for (size_t i = 0; i < plan->resources.n; i++) {
		const enum cgroup_ctl c = cgroup_resource_row(plan->resources.values[i].resource)->controller;

		if (c == CGROUP_CONTROLLER_COUNT || !cgroup_on_v1(plan->cgroup_host, c))
			return true;
	}
	return false;
}

/*
 * What lets an ordinary user's container make a user and a cgroup namespace below its own and mount cgroup2 there; NULL: nothing. Nothing keeps a
 * cgroup2 that is mounted anew read-only, since it is not among the file systems whose mounts must show no more than what is there already
 * (SB_I_USERNS_VISIBLE). The default filter lets nobody without CAP_SYS_ADMIN make a user namespace.
 */
static const char *way_to_namespaces(const struct plan *plan)
{
	const bool admin = plan->caps.bounding & CAP_MASK(CAP_SYS_ADMIN);

	if (plan->caller_uid == 0 || (!admin && plan->seccomp))
		return NULL; /* of root's containers those that are not remapped have other ways, the others do not own the limits */
	if (plan->privileged)
		return "--privileged";
	return admin ? "--cap-add SYS_ADMIN" : "--security-opt seccomp=unconfined";
}

int plan_check_writable_cgroups(const struct plan *plan, struct err *err)
{
	const char *nests = way_to_namespaces(plan);
	const char *option = plan->privileged ? "--privileged" : "--security-opt writable-cgroups";

	if (plan->enter)
		return 0;
	/* Before nsdelegate is looked at, which compares with the namespace of the writer alone (cgroup_file_write()). */
	if (nests && plan->cgroup_path && limits_are_its_own(plan))
		return err_set(err, ERR_REFUSED, ERR_ID_LIMITS_FROM_BELOW, EPERM,
			       "%s: container root could lift its own limits: it owns the files of an ordinary user's "
			       "control group, and may make namespaces from which the kernel lets it write them",
			       nests);
	if (!plan->cgroup_writable || (plan->privileged && !plan->cgroup_path))
		return 0;
	/* OCI config-linux.md, "Cgroup ownership": with another one than its own it would see, and write, what is not the container's. */
	if (!plan->privileged && !plan_owns_ns(plan, NS_CGROUP))
		return err_set(err, ERR_INPUT, ERR_ID_CGROUP_NAMESPACE, 0,
			       "%s: only with a cgroup namespace of the container's own (--cgroupns private)", option);
	if (!*plan->cgroup_host->v2_mount)
		return plan->privileged ? 0
					: err_set(err, ERR_REFUSED, ERR_ID_CGROUP_NOT_MOUNTED, EACCES,
						  "%s: no cgroup2 is mounted, and groups of version 1 cannot be given "
						  "away safely",
						  option);
	/* Real root with all capabilities has other ways. */
	if (plan->cgroup_host->v2_nsdelegate || !limits_are_its_own(plan) ||
	    (plan->privileged && plan->caller_uid == 0))
		return 0;
	return err_set(err, ERR_REFUSED, ERR_ID_NSDELEGATE, EPERM,
		       "%s: container root could lift its own limits: %s is mounted without nsdelegate", option,
		       plan->cgroup_host->v2_mount);
}
