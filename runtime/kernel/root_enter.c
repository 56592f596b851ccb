/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/root.h>

#include <nsrun/base/mountinfo.h>
#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

/* Mounts to be taken away, by their paths in the old root. */
struct old_mounts {
	char **paths;
	bool *kernels; /* a procfs or sysfs */
	size_t n, room;
};

static void old_mounts_done(struct old_mounts *old)
{
	for (size_t i = 0; i < old->n; i++)
		free(old->paths[i]);
	free(old->paths);
	free(old->kernels);
}

static int add(struct old_mounts *old, const struct mountinfo *mount)
{
	if (old->n == old->room) {
		const size_t room = old->room ? 2 * old->room : 32;
		char **paths = reallocarray(old->paths, room, sizeof(*paths));
		bool *kernels = reallocarray(old->kernels, room, sizeof(*kernels));

		if (paths)
			old->paths = paths;
		if (kernels)
			old->kernels = kernels;
		if (!paths || !kernels)
			return -ENOMEM;
		old->room = room;
	}
	old->kernels[old->n] = streq(mount->type, "proc") || streq(mount->type, "sysfs");
	old->paths[old->n] = strdup(mount->target);
	return old->paths[old->n] && ++old->n ? 0 : -ENOMEM;
}

/* Field 2 of a line of mountinfo. */
static int parent_of(const char *line)
{
	int id, parent;

	return sscanf(line, "%d %d", &id, &parent) == 2 ? parent : -1;
}

static int mount_id(int fd)
{
	struct statx stx;

	return statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0 ? -1 : (int)stx.stx_mnt_id;
}

/* What hangs on the old root, on which the new one lies as well. */
static int find_old(int new_id, struct old_mounts *old, struct err *err)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	int old_id = -1;

	/* The mount that this process' root lies on: the one at "/" whose path is resolved without going up the stack. */
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root >= 0)
		old_id = mount_id(root);
	if (!f || old_id < 0 || new_id < 0)
		return err_system(err, "/proc/self/mountinfo of the host");
	while (getline(&line, &size, f) > 0) {
		const int parent = parent_of(line);
		struct mountinfo mount;

		if (parent != old_id || !mountinfo_parse(line, &mount) || mount.id == new_id || mount.id == old_id)
			continue;
		if (add(old, &mount) < 0)
			return err_oom(err);
	}
	return 0;
}

int root_enter(int root_fd, struct err *err)
{
	_cleanup_(old_mounts_done) struct old_mounts old = { 0 };

	const int r = find_old(mount_id(root_fd), &old, err);
	if (r < 0)
		return r;
	/* The last one of several at one place is on top. */
	for (size_t i = old.n; i-- > 0;) {
		if (umount2(old.paths[i], MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == ENOENT)
			continue;
		if (!old.kernels[i])
			continue;
		if (mount("tmpfs", old.paths[i], "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
			  "size=0,mode=0") < 0)
			return err_system(err, "%s of the host: covering it", old.paths[i]);
	}
	if (fchdir(root_fd) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return err_system(err, "/ in the container: making it the root");
	return 0;
}
