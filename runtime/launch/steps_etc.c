/* SPDX-License-Identifier: Apache-2.0 */
/* The row that gives the container its own /etc/hosts, /etc/hostname and /etc/resolv.conf. */
#include <nsrun/launch/steps.h>

#include <nsrun/base/file.h>
#include <nsrun/kernel/mount.h>
#include <nsrun/kernel/root.h>

#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/utsname.h>

struct etc_file {
	const char *path; /* in the container */
	const char *name; /* of the file that is bound there */
	const char *text;
	bool required;
};

/* The file is made in the container's own /dev, which is a tmpfs, below the place where its devpts will be mounted: it keeps a name there,
 * without which the kernel does not attach it, and nobody sees it. */
static int bind_file(struct launch *launch, int dir_fd, const struct etc_file *file, struct err *err)
{
	uint64_t attr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	_cleanup_close_ int target = FD_NONE, fd = FD_NONE, mount = FD_NONE;
	int r;

	if (file->required)
		r = root_mount_point(launch->root_fd, file->path, ROOT_FILE, 0644, &target, err);
	else
		r = root_find_file(launch->root_fd, file->path, &target, err);
	if (r < 0)
		return r;
	/* A link of the rootfs may lead to a file of /proc, which would then lie to programs (CVE-2019-16884), or to /dev/null. */
	if (target >= 0) {
		bool made_here;

		r = launch_is_made_here(launch, target, file->path, &made_here, err);
		if (r < 0)
			return r;
		if (made_here && file->required)
			return err_refused(err, ERR_ID_MOUNT_TARGET, "%s leads to what the kernel or nsrun made",
					   file->path);
		if (made_here)
			closep(&target), target = FD_NONE;
	}
	if (target < 0) {
		launch_note(launch, "the rootfs has no %s", file->path);
		return 0;
	}
	fd = openat(dir_fd, file->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_system(err, "%s in the container", file->path);
	r = write_all(fd, file->text, strlen(file->text));
	if (r < 0)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "%s in the container", file->path);
	if (launch->plan->rootfs.readonly)
		attr |= MOUNT_ATTR_RDONLY;
	r = mount_clone_tree(fd, "", false, &mount, err);
	if (r == 0)
		r = mount_set_attr(mount, "", attr, 0, 0, false, file->path, err);
	return r < 0 ? r : mount_attach(mount, target, file->path, err);
}

int init_etc_mount(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;
	_cleanup_close_ int dir = openat(launch->dev_fd, "pts", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_free_ char *hosts = NULL, *hostname = NULL;
	struct utsname names;

	if (dir < 0)
		return err_system(err, "/dev/pts in the container");
	/* The name in force: the container's own, or the host's. */
	if (uname(&names) < 0)
		return err_system(err, "hostname");
	/* 127.0.1.1, as Debian has it for a name that no address belongs to: sudo(8) and others look their own host up. */
	if (asprintf(&hosts, "%s127.0.1.1\t%s\n", plan->hosts, names.nodename) < 0 ||
	    asprintf(&hostname, "%s\n", names.nodename) < 0)
		return err_oom(err);

	const struct etc_file files[] = {
		{ "/etc/hosts", "hosts", hosts, plan->hosts_required },
		{ "/etc/hostname", "hostname", hostname, false },
		{ "/etc/resolv.conf", "resolv.conf", plan->resolv_conf, plan->resolv_conf_required },
	};
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		const int r = files[i].text ? bind_file(launch, dir, &files[i], err) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}
