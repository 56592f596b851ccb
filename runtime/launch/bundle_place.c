/* SPDX-License-Identifier: Apache-2.0 */
/* Where a bundle's mounts go. */
#include <nsrun/launch/bundle_mounts.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/root.h>

#include <linux/magic.h>
#include <sys/vfs.h>

bool is_of(int fd, unsigned long magic)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && (unsigned long)fs.f_type == magic;
}

static const char *below_proc(const char *path)
{
	const char *rest = str_after(path, "/proc");

	return rest && *rest == '/' ? rest : NULL;
}

/* Files of procfs that stand for the machine's own figures, which others may be put in the place of (lxcfs does). A mount anywhere else below /proc
 * could lead a runtime or a program astray that writes there (CVE-2019-16884, CVE-2025-52881). */
static bool may_cover(const char *path)
{
	static const char *const allowed[] = {
		"/proc/cpuinfo",
		"/proc/diskstats",
		"/proc/loadavg",
		"/proc/meminfo",
		"/proc/net/dev",
		"/proc/slabinfo",
		"/proc/stat",
		"/proc/swaps",
		"/proc/sys/crypto/fips_enabled",
		"/proc/sys/kernel/ns_last_pid",
		"/proc/uptime",
	};

	for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
		if (streq(path, allowed[i]))
			return true;
	return false;
}

int place_refuse_procfs(int target, const char *path, struct err *err)
{
	return is_of(target, PROC_SUPER_MAGIC) ? err_refused(err, ERR_ID_NONE, "%s leads into a procfs", path) : 0;
}

static int check_place(const struct launch *launch, const struct bundle_mount *mount, int target, struct err *err)
{
	const char *path = mount->destination;

	const bool hides = mount->type && streq(mount->type, "tmpfs");

	if (below_proc(path) && !hides && !may_cover(path))
		return err_set(err, ERR_INPUT, ERR_ID_NONE, 0,
			       "%s: %.200s cannot be mounted because it is inside /proc", mount->where, path);
	/* What a link of the rootfs, or of a volume that others write to, led to (CVE-2021-30465, CVE-2023-27561). */
	if (is_of(target, PROC_SUPER_MAGIC) && !below_proc(path) && !streq(path, "/proc"))
		return err_refused(err, ERR_ID_NONE, "%s: %.200s leads into a procfs", mount->where, path);
	if (below_proc(path) && launch->proc_fd >= 0 && !is_of(target, PROC_SUPER_MAGIC))
		return err_refused(err, ERR_ID_NONE, "%s: %.200s does not lead into the container's procfs",
				   mount->where, path);
	return 0;
}

void place_done(struct place *place)
{
	closep(&place->fd);
}

int place_find(const struct launch *launch, const struct bundle_mount *mount, struct place *ret, struct err *err)
{
	const bool directory = !mount->bind || mount->is_directory;
	_cleanup_close_ int target = FD_NONE;
	struct err why = ERR_INIT;

	int r = root_find(launch->root_fd, mount->destination, &target, &why);
	const bool existed = target >= 0;
	closep(&target);
	target = FD_NONE;
	if (r == 0)
		r = root_mount_point(launch->root_fd, mount->destination, directory ? ROOT_DIRECTORY : ROOT_FILE,
				     directory ? 0755 : 0644, &target, &why);
	if (r < 0)
		return err_set(err, why.kind, why.id, why.errnum, "%s: %s", mount->where, why.message);
	r = check_place(launch, mount, target, err);
	if (r < 0)
		return r;
	*ret = (struct place){ .fd = TAKE_FD(target), .existed = existed };
	return 0;
}
