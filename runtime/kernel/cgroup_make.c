/* SPDX-License-Identifier: Apache-2.0 */
/* The groups that limits are written to, and their controllers. */
#include <nsrun/kernel/cgroup.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* ---- a group, and those on the way to it ---- */

/*
 * cpuset(7): a new group has neither processors nor memory nodes, and no process may enter it before it has both. From the group around, which is
 * filled in the same way as it is made.
 */
static int take_over_cpuset(int dir_fd, int above_fd, const char *dir, struct err *err)
{
	static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		_cleanup_free_ char *own = NULL, *above = NULL;
		int r = file_read_virtual_at(dir_fd, files[i], 65536, &own, NULL, err);

		if (r == 0 && own[0] && own[0] != '\n')
			continue;
		if (r == 0)
			r = file_read_virtual_at(above_fd, files[i], 65536, &above, NULL, err);
		if (r == 0 && file_write_at(dir_fd, files[i], above, NULL) < 0)
			r = err_system(err, "%s/%s: write %.64s", dir, files[i], above);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * Each group between the mount, an open directory, and the new one, the new one too. `cpusets`: they are filled in. Takes `top`, and closes it.
 */
static int make_each(int top, const char *mount, const char *path, bool cpusets, int *ret_fd, bool *ret_made,
		     struct err *err)
{
	_cleanup_close_ int fd = top;
	const char *p = path;
	bool made = false;

	while (*(p += strspn(p, "/"))) {
		char name[NAME_MAX + 1];
		const size_t n = strcspn(p, "/");
		int r = 0;

		if (n > NAME_MAX || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return err_bug(err, "%s: not the path of a control group", path);
		memcpy(name, p, n);
		name[n] = '\0';
		made = mkdirat(fd, name, 0755) == 0;
		if (!made && errno != EEXIST)
			return err_system(err, "%s%s: make control group %s", mount, path, name);
		_cleanup_close_ int next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			r = err_system_id(err, errno == ENOTDIR ? ERR_ID_CGROUP_PARENT : ERR_ID_NONE,
					  "%s%s: open control group %s", mount, path, name);
		if (r == 0 && cpusets)
			r = take_over_cpuset(next, fd, mount, err);
		if (r < 0) {
			if (made)
				(void)unlinkat(fd, name, AT_REMOVEDIR);
			return r;
		}
		close(fd);
		fd = TAKE_FD(next);
		p += n;
	}
	*ret_fd = TAKE_FD(fd);
	*ret_made = made;
	return 0;
}

/* ---- v2 ---- */

static int open_v2_mount(const struct cgroup_host *host, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = FD_NONE;
	struct statfs fs;

	if (!host->v2_mount[0])
		return err_set(err, ERR_REFUSED, ERR_ID_CGROUP_NOT_MOUNTED, EACCES, "no cgroup2 is mounted here");
	fd = open(host->v2_mount, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_system(err, "%s", host->v2_mount);
	/* mountinfo lists mounts that a later one covers: plain directories would be made there. */
	if (fstatfs(fd, &fs) < 0)
		return err_system(err, "%s", host->v2_mount);
	if (fs.f_type != CGROUP2_SUPER_MAGIC)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, ENODEV,
			       "%s: something else is mounted over the cgroup2 there", host->v2_mount);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int cgroup_make_v2(const struct cgroup_host *host, const char *path, int *ret_fd, bool *ret_made, struct err *err)
{
	int top = FD_NONE;
	bool made;

	int r = open_v2_mount(host, &top, err);
	if (r == 0)
		r = make_each(top, host->v2_mount, path, false, ret_fd, &made, err);
	if (r == 0 && ret_made)
		*ret_made = made;
	return r;
}

/* Those of `wanted` that the group does not hand down to its children yet. */
static unsigned not_handed_down(int dir_fd, unsigned wanted)
{
	char text[512];
	const int fd = openat(dir_fd, "cgroup.subtree_control", O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return wanted;
	text[n] = '\0';
	for (unsigned c = 0; c < CGROUP_CONTROLLER_COUNT; c++) {
		const char *name = cgroup_controller_name(c);
		const size_t length = strlen(name);

		for (const char *p = text; *(p += strspn(p, " \n")); p += strcspn(p, " \n"))
			if (strcspn(p, " \n") == length && memcmp(p, name, length) == 0)
				wanted &= ~(1U << c);
	}
	return wanted;
}

static int hand_down(int dir_fd, const char *dir, unsigned missing, struct err *err)
{
	static const char realtime[] = /* cgroup-v2.rst, CPU */
		"; a kernel with CONFIG_RT_GROUP_SCHED refuses it while a realtime process is outside of the root group";

	for (unsigned c = 0; c < CGROUP_CONTROLLER_COUNT; c++) {
		char word[32];

		if (!(missing & 1U << c))
			continue;
		/* One by one: of several words of a write the kernel does not tell which it refuses. */
		snprintf(word, sizeof(word), "+%s", cgroup_controller_name(c));
		const int r = cgroup_may_hand_down_v2(dir) ? file_write_at(dir_fd, "cgroup.subtree_control", word, NULL)
							   : -EBUSY;
		if (r < 0)
			return err_set(err, ERR_SYSTEM,
				       r == -EBUSY			  ? ERR_ID_CGROUP_BUSY
				       : r == -EACCES || r == -EPERM	  ? ERR_ID_NOT_DELEGATED
				       : r == -ENOENT || r == -EOPNOTSUPP ? ERR_ID_NO_CONTROLLER
									  : ERR_ID_NONE,
				       -r, "%s/cgroup.subtree_control: write %s%s", dir, word,
				       r == -EINVAL && c == CGROUP_CPU ? realtime : "");
	}
	return 0;
}

int cgroup_enable_v2(const struct cgroup_host *host, const char *path, unsigned controllers, struct err *err)
{
	char dir[2 * CGROUP_PATH_MAX];
	const size_t mount_len = strlen(host->v2_mount);
	const size_t full_len = (size_t)snprintf(dir, sizeof(dir), "%s%s", host->v2_mount, path);
	char *last = strrchr(dir, '/');

	/* The usual case: the group around has them all from the launch before. */
	*last = '\0';
	_cleanup_close_ int around = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (around < 0)
		return err_system(err, "%s", dir);
	*last = '/';
	if (!not_handed_down(around, controllers))
		return 0;
	for (size_t i = mount_len; i < full_len; i++) {
		_cleanup_close_ int fd = FD_NONE;
		unsigned missing;
		int r = 0;

		if (dir[i] != '/')
			continue;
		dir[i] = '\0';
		fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return err_system(err, "%s", dir);
		missing = not_handed_down(fd, controllers);
		if (missing)
			r = hand_down(fd, dir, missing, err);
		if (r < 0)
			return r;
		dir[i] = '/';
	}
	return 0;
}

/* ---- v1 ---- */

static bool with_cpusets(const struct cgroup_host *host, enum cgroup_ctl controller)
{
	return cgroup_on_v1(host, CGROUP_CPUSET) && streq(host->v1_mount[CGROUP_CPUSET], host->v1_mount[controller]);
}

int cgroup_make_v1(const struct cgroup_host *host, const char *path, enum cgroup_ctl controller, int *ret_fd,
		   bool *ret_made, struct err *err)
{
	char full[2 * CGROUP_PATH_MAX];

	/* The usual case: all around it is there from the launch before. */
	snprintf(full, sizeof(full), "%s%s", host->v1_mount[controller], path);
	if (!with_cpusets(host, controller) && mkdir(full, 0755) == 0) {
		const int fd = open(full, O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0)
			return err_system(err, "%s", full);
		*ret_fd = fd;
		*ret_made = true;
		return 0;
	}
	const char *mount = host->v1_mount[controller];
	const int top = open(mount, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (top < 0)
		return err_system(err, "%s", mount);
	return make_each(top, mount, path, with_cpusets(host, controller), ret_fd, ret_made, err);
}

static bool shares_hierarchy(const struct cgroup_host *host, unsigned earlier, enum cgroup_ctl controller)
{
	for (enum cgroup_ctl c = 0; c < controller; c++)
		if ((earlier & 1U << c) && streq(host->v1_mount[c], host->v1_mount[controller]))
			return true;
	return false;
}

bool cgroup_has_tasks_v1(const struct cgroup_host *host, unsigned controllers, enum cgroup_ctl controller)
{
	return (controllers & 1U << controller) && cgroup_on_v1(host, controller) &&
	       !shares_hierarchy(host, controllers, controller);
}

int cgroup_open_tasks_v1(const struct cgroup_host *host, const char *path, unsigned controllers,
			 int fds[CGROUP_CONTROLLER_COUNT], struct err *err)
{
	char file[2 * CGROUP_PATH_MAX + 32];

	for (unsigned c = 0; c < CGROUP_CONTROLLER_COUNT; c++) {
		if (!cgroup_has_tasks_v1(host, controllers, c))
			continue;
		/* Not cgroup.procs, which moves a whole process, and so waits. */
		snprintf(file, sizeof(file), "%s%s/tasks", host->v1_mount[c], path);
		fds[c] = open(file, O_WRONLY | O_CLOEXEC);
		if (fds[c] < 0) {
			const int r = err_system(err, "%s", file);

			cgroup_close_tasks(fds);
			return r;
		}
	}
	return 0;
}

int cgroup_enter_v1(const struct cgroup_host *host, const char *path, int fds[CGROUP_CONTROLLER_COUNT], struct err *err)
{
	int r = 0;

	for (unsigned c = 0; r == 0 && c < CGROUP_CONTROLLER_COUNT; c++)
		if (fds[c] >= 0 && write(fds[c], "0", 1) < 0)
			r = err_system_id(err, errno == EINVAL && c == CGROUP_CPU ? ERR_ID_REALTIME_GROUP : ERR_ID_NONE,
					  "%s%s/tasks: entering the group", host->v1_mount[c], path);
	cgroup_close_tasks(fds);
	return r;
}

void cgroup_close_tasks(int fds[CGROUP_CONTROLLER_COUNT])
{
	for (unsigned c = 0; c < CGROUP_CONTROLLER_COUNT; c++) {
		closep(&fds[c]);
		fds[c] = FD_NONE;
	}
}
