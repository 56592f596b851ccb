/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/overlay.h>

#include <nsrun/base/pidref.h>
#include <nsrun/kernel/mount.h>
#include <nsrun/kernel/root.h>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
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
