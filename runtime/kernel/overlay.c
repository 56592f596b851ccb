/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/overlay.h>

#include <nsrun/base/pidref.h>
#include <nsrun/kernel/mount.h>
#include <nsrun/kernel/root.h>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define OWNER_AS_IS ((uid_t)-1)

/* Directories of the scratch file system. The names are relative: its path is the working directory. */
static int make_directories(int scratch_fd, uid_t uid, gid_t gid, int *ret_lower, struct err *err)
{
	static const char *const names[] = { "lower", "upper", "work" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (mkdirat(scratch_fd, names[i], 0755) < 0)
			return err_system(err, "overlay: directory %s", names[i]);
	/* The overlay's root directory has the owner of the upper one. */
	if (uid != OWNER_AS_IS && fchownat(scratch_fd, "upper", uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_system(err, "overlay: owner of directory upper");
	if (fchdir(scratch_fd) < 0)
		return err_system(err, "overlay: scratch file system");

	const int fd = openat(scratch_fd, "lower", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_system(err, "overlay: directory lower");
	*ret_lower = fd;
	return 0;
}

static int build(int root_fd, bool userxattr, uid_t uid, gid_t gid, uint64_t attr, int *ret_fd, struct err *err)
{
	static const struct mount_option scratch_options[] = { { "mode", "0755" }, { NULL, NULL } };
	/* userxattr: overlayfs may not use trusted.* attributes in a user namespace (since 5.11). */
	const struct mount_option options[] = { { "lowerdir", "lower" },
						{ "upperdir", "upper" },
						{ "workdir", "work" },
						{ userxattr ? "userxattr" : NULL, NULL },
						{ NULL, NULL } };
	_cleanup_close_ int scratch = FD_NONE, scratch_root = FD_NONE, lower = FD_NONE, overlay = FD_NONE,
			    lower_mount = FD_NONE;

	/* Before the scratch file system is attached: that goes on top of the rootfs and would be part of a clone. */
	int r = mount_clone_tree(root_fd, "", true, &lower_mount, err);
	if (r == 0)
		r = mount_new_fs("tmpfs", "tmpfs", scratch_options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, &scratch,
				 err);
	if (r == 0)
		r = root_attach(scratch, &scratch_root, err);
	if (r == 0)
		r = make_directories(scratch_root, uid, gid, &lower, err);
	if (r == 0)
		r = mount_attach(lower_mount, lower, "overlay: lower directory", err);
	if (r == 0)
		r = mount_new_fs("overlay", "overlay", options, attr, &overlay, err);
	/* The overlay has clones of its layers. What served to make it goes, or it would stay between the container's root and the
	 * host's, and root.detach would find it on top instead of the host's tree. */
	if (r == 0)
		r = root_unstack(scratch_root, err);
	if (r == 0)
		r = root_unstack(root_fd, err);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(overlay);
	return 0;
}

int overlay_new(int root_fd, bool userxattr, uint64_t attr, int *ret_fd, struct err *err)
{
	return build(root_fd, userxattr, OWNER_AS_IS, (gid_t)-1, attr, ret_fd, err);
}

struct apart {
	int lower_fd, overlay_fd, result;
	uid_t uid;
	gid_t gid;
	uint64_t attr;
	struct err err;
};

/* Shares the caller's memory and descriptors, and neither its mounts nor its working directory. */
static int make_apart(void *arg)
{
	struct apart *apart = arg;
	_cleanup_close_ int root = FD_NONE;

	int r = mount_make_all_private(&apart->err);
	if (r == 0)
		r = root_attach(apart->lower_fd, &root, &apart->err);
	if (r == 0)
		r = build(root, false, apart->uid, apart->gid, apart->attr, &apart->overlay_fd, &apart->err);
	apart->result = r;
	return 0;
}

/* CLONE_VFORK: the caller, on the frame of which the child's stack lies, is suspended until the child has ended. Signals are blocked, so
 * that no handler runs on that stack, and no exit signal tells the caller's SIGCHLD handling of this child. */
int overlay_new_apart(int lower_fd, uid_t uid, gid_t gid, uint64_t attr, int *ret_fd, struct err *err)
{
	char stack[65536] __attribute__((aligned(64)));
	struct apart apart = {
		.lower_fd = lower_fd,
		.overlay_fd = FD_NONE,
		.result = -ECHILD,
		.uid = uid,
		.gid = gid,
		.attr = attr,
		.err = ERR_INIT,
	};
	sigset_t all, saved;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &saved);
	const pid_t pid =
		clone(make_apart, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_NEWNS, &apart);
	const int errnum = errno;
	if (pid > 0)
		while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
			;
	sigprocmask(SIG_SETMASK, &saved, NULL);
	if (pid < 0) {
		errno = errnum;
		return err_system(err, "overlay: a mount namespace to make it in");
	}
	if (apart.result < 0) {
		if (!err_is_set(&apart.err))
			return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -apart.result,
				       "overlay: the process that makes it was killed");
		*err = apart.err;
		return apart.result;
	}
	*ret_fd = apart.overlay_fd;
	return 0;
}

/* ---- of layers that the caller has ---- */

/* fsconfig(2) takes 255 bytes; a descriptor's number and a colon are four. */
#define LAYERS_TEXT 256

/* The directory called so, on the very mount, and the one that was checked. */
static int open_layer(int mount_fd, const struct overlay_dir *dir, int *ret, struct err *err)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	struct stat st;

	_cleanup_close_ int fd = (int)syscall(SYS_openat2, mount_fd, dir->name, &how, sizeof(how));
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_system(err, "overlay: directory %s", dir->name);
	if (st.st_dev != dir->device || st.st_ino != dir->inode)
		return err_set(err, ERR_REFUSED, ERR_ID_NONE, ESTALE,
			       "overlay: directory %s was exchanged for another one after it was checked", dir->name);
	*ret = TAKE_FD(fd);
	return 0;
}

/* Upper and work directory in a new tmpfs; the overlay's root has owner and permissions of the upper one, which shall be those of the lower. */
static int make_memory_layers(int scratch, int lower, int *ret_upper, int *ret_work, struct err *err)
{
	struct stat st;

	if (fstat(lower, &st) < 0)
		return err_system(err, "overlay: lower directory");
	if (mkdirat(scratch, "upper", 0755) < 0 || mkdirat(scratch, "work", 0755) < 0)
		return err_system(err, "overlay: directories in memory");
	_cleanup_close_ int upper = openat(scratch, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int work = openat(scratch, "work", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (upper < 0 || work < 0)
		return err_system(err, "overlay: directories in memory");
	/* An owner that the map does not have stays the container's root (EINVAL). */
	if (fchown(upper, st.st_uid, st.st_gid) < 0 && errno != EINVAL)
		return err_system(err, "overlay: owner of the directory in memory");
	if (fchmod(upper, st.st_mode & 07777) < 0)
		return err_system(err, "overlay: permissions of the directory in memory");
	*ret_upper = TAKE_FD(upper);
	*ret_work = TAKE_FD(work);
	return 0;
}

static int make_of_fds(const struct overlay_layers *layers, int upper, int work, int proc_fd, bool userxattr,
		       uint64_t attr, int *ret_fd, struct err *err)
{
	char lower[LAYERS_TEXT], upper_text[16], work_text[16];
	struct mount_option options[5] = { { "lowerdir", lower } };
	size_t n = 1, used = 0;

	for (size_t i = 0; i < layers->n_lower; i++) {
		used += (size_t)snprintf(lower + used, sizeof(lower) - used, "%s%d", i ? ":" : "", layers->lower[i]);
		if (used >= sizeof(lower))
			return err_set(err, ERR_SYSTEM, ERR_ID_NONE, E2BIG, "overlay: %zu lower directories",
				       layers->n_lower);
	}
	if (upper >= 0) {
		snprintf(upper_text, sizeof(upper_text), "%d", upper);
		snprintf(work_text, sizeof(work_text), "%d", work);
		options[n++] = (struct mount_option){ "upperdir", upper_text };
		options[n++] = (struct mount_option){ "workdir", work_text };
	}
	/* Without a writable layer nothing is marked, and marks that are there are read as they are. */
	if (userxattr)
		options[n++] = (struct mount_option){ "userxattr", NULL };

	/* By descriptor and not by path: no name is looked up twice, and none can hold a comma or a colon. */
	_cleanup_close_ int fds = openat(proc_fd, "self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fds < 0 || fchdir(fds) < 0)
		return err_system(err, "overlay: /proc/self/fd");
	struct err refused = ERR_INIT;
	const int r = mount_new_fs("overlay", "overlay", options, attr, ret_fd, &refused);
	if (r == -EINVAL && upper >= 0)
		return err_set(err, ERR_SYSTEM, ERR_ID_OVERLAY_LAYERS, EINVAL, "overlay: with upperdir on %s",
			       mount_fs_name(upper));
	if (r < 0)
		*err = refused;
	return r;
}

static int attach_over(int mount_fd, struct err *err)
{
	if (move_mount(mount_fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_system(err, "overlay: attaching a layer");
	return 0;
}

int overlay_new_of(const struct overlay_layers *layers, int proc_fd, bool userxattr, uint64_t attr, int *ret_fd,
		   struct err *err)
{
	static const struct mount_option options[] = { { "mode", "0755" }, { NULL, NULL } };
	_cleanup_close_ int scratch = FD_NONE, upper = FD_NONE, work = FD_NONE, overlay = FD_NONE;
	int r = 0;

	for (size_t i = 0; r == 0 && i < layers->n_lower; i++)
		r = attach_over(layers->lower[i], err);
	if (r == 0 && layers->in_memory)
		r = mount_new_fs("tmpfs", "tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, &scratch, err);
	const int above = layers->in_memory ? scratch : layers->upper_mount;
	if (r == 0 && above >= 0)
		r = attach_over(above, err);
	if (r == 0 && layers->in_memory)
		r = make_memory_layers(scratch, layers->lower[0], &upper, &work, err);
	else if (r == 0 && above >= 0)
		r = open_layer(above, &layers->upper, &upper, err);
	if (r == 0 && above >= 0 && !layers->in_memory)
		r = open_layer(above, &layers->work, &work, err);
	if (r == 0)
		r = make_of_fds(layers, upper, work, proc_fd, userxattr, attr, &overlay, err);
	/* The overlay has clones of its layers. On a failure the whole namespace goes. */
	if (r == 0 && above >= 0)
		r = root_unstack(above, err);
	for (size_t i = layers->n_lower; r == 0 && i > 0; i--)
		r = root_unstack(layers->lower[i - 1], err);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(overlay);
	return 0;
}
