/* SPDX-License-Identifier: Apache-2.0 */
/* In which hierarchies the groups of a container are, for whoever must find them again later. */
#include <nsrun/kernel/cgroup.h>

#include <nsrun/base/strings.h>

#include <stdio.h>
#include <sys/stat.h>

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
