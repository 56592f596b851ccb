/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a group is whose path others have named: what stood there before is not removed with the container. */
#include <nsrun/kernel/cgroup.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

/* kernfs keeps both kinds; trusted.* takes CAP_SYS_ADMIN, user.* is v2's alone where that is missing (xattr(7)). */
static const char *const marks[] = { "trusted.nsrun", "user.nsrun" };

void cgroup_mark(const char *mount, const char *path, const char *id)
{
	char full[2 * CGROUP_PATH_MAX];

	snprintf(full, sizeof(full), "%s%s", mount, path);
	for (size_t i = 0; i < ARRAY_LEN(marks); i++)
		if (lsetxattr(full, marks[i], id, strlen(id), 0) == 0)
			return;
}

bool cgroup_is_marked(const char *mount, const char *path)
{
	char full[2 * CGROUP_PATH_MAX];

	snprintf(full, sizeof(full), "%s%s", mount, path);
	for (size_t i = 0; i < ARRAY_LEN(marks); i++)
		if (lgetxattr(full, marks[i], NULL, 0) > 0)
			return true;
	return false;
}

static bool has_groups_below(const char *full)
{
	_cleanup_closedir_ DIR *dir = opendir(full);

	for (struct dirent *d; dir && (d = readdir(dir));)
		if (d->d_type == DT_DIR && !streq(d->d_name, ".") && !streq(d->d_name, ".."))
			return true;
	return false;
}

static void look(const char *mount, const char *path, unsigned bit, struct cgroup_stood *ret)
{
	char full[2 * CGROUP_PATH_MAX];
	struct stat st;

	snprintf(full, sizeof(full), "%s%s", mount, path);
	if (lstat(full, &st) < 0 || !S_ISDIR(st.st_mode) || cgroup_is_marked(mount, path))
		return;
	ret->groups |= bit;
	if (has_groups_below(full))
		ret->below |= bit;
}

void cgroup_look_stood(const struct cgroup_host *host, const char *path, unsigned controllers, struct cgroup_stood *ret)
{
	*ret = (struct cgroup_stood){ 0 };
	if (*host->v2_mount)
		look(host->v2_mount, path, CGROUP_STOOD_V2, ret);
	for (enum cgroup_ctl c = 0; c < CGROUP_CONTROLLER_COUNT; c++)
		if ((controllers & 1U << c) && cgroup_on_v1(host, c))
			look(host->v1_mount[c], path, 1U << c, ret);
}
