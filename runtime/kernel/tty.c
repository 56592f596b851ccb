/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/tty.h>

#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

int tty_open_pty(int pts_fd, int *ret_master, int *ret_peer, struct err *err)
{
	_cleanup_close_ int master = FD_NONE, peer = FD_NONE;
	struct statfs fs;
	struct stat st;
	int unlocked = 0;

	if (fstatfs(pts_fd, &fs) < 0)
		return err_system(err, "devpts: statfs");
	if (fs.f_type != DEVPTS_SUPER_MAGIC)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, EXDEV, "the directory for terminals is not a devpts");
	master = openat(pts_fd, "ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
	if (master < 0)
		return err_system(err, "devpts: open ptmx");
	/* Something bound over ptmx would be opened instead of it: believe the descriptor, not the name. */
	if (fstat(master, &st) < 0)
		return err_system(err, "devpts: stat ptmx");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2))
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, ENOTTY, "devpts: ptmx is not character device 5:2");
	if (ioctl(master, TIOCSPTLCK, &unlocked) < 0)
		return err_system(err, "devpts: unlock the new terminal");
	peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (peer < 0)
		return err_system(err, "devpts: open the peer of the new terminal");
	*ret_master = TAKE_FD(master);
	*ret_peer = TAKE_FD(peer);
	return 0;
}

int tty_give(int peer_fd, uid_t uid, struct err *err)
{
	/* The group stays what the mount option gid= chose. */
	if (fchown(peer_fd, uid, (gid_t)-1) < 0)
		return err_system(err, "terminal: give it to user %u", uid);
	return 0;
}

int tty_make_controlling(int peer_fd, struct err *err)
{
	/* EPERM: a process group leader already; fine when it leads its session too. */
	if (setsid() < 0 && getsid(0) != getpid())
		return err_system(err, "terminal: setsid");
	if (ioctl(peer_fd, TIOCSCTTY, 0) < 0)
		return err_system(err, "terminal: make it the controlling terminal");
	for (int fd = 0; fd <= 2; fd++) {
		if (fd != peer_fd) {
			if (dup2(peer_fd, fd) < 0)
				return err_system(err, "terminal: make it descriptor %d", fd);
		} else if (fcntl(fd, F_SETFD, 0) < 0) {
			return err_system(err, "terminal: keep descriptor %d open", fd);
		}
	}
	return 0;
}

/*
 * A change of the controlling terminal by a background process stops it with SIGTTOU, unless that signal is blocked or
 * ignored: then the kernel lets the change happen, under the hands of the job in the foreground. So let the signal act.
 */
struct ttou {
	struct sigaction action;
	sigset_t mask;
};

static void ttou_act(struct ttou *saved)
{
	struct sigaction stop = { .sa_handler = SIG_DFL };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTTOU);
	sigaction(SIGTTOU, &stop, &saved->action);
	sigprocmask(SIG_UNBLOCK, &set, &saved->mask);
}

static void ttou_restore(const struct ttou *saved)
{
	int e = errno;

	sigprocmask(SIG_SETMASK, &saved->mask, NULL);
	sigaction(SIGTTOU, &saved->action, NULL);
	errno = e;
}

/* Returns once this process is in the foreground: no change, but one that is checked as if it were. */
static int wait_foreground(int fd, struct err *err)
{
	struct ttou saved;
	int r = -1;

	if (tcgetpgrp(fd) < 0)
		return 0; /* not the controlling terminal: there is no job control on it */
	ttou_act(&saved);
	/* The kernel looks at the session without a lock that keeps a child, which calls setsid(2) at that moment, from changing it
	 * (tiocspgrp, session_of_pgrp): EPERM can be a passing one. */
	for (int tries = 0; tries < 10; tries++) {
		r = tcsetpgrp(fd, getpgrp());
		if (r == 0 || (errno != EINTR && errno != EPERM))
			break;
	}
	ttou_restore(&saved);
	if (r < 0) /* ENOTTY here: an orphaned process group, which nobody could continue, is not stopped */
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, errno == ENOTTY ? EIO : errno,
			       "terminal: it belongs to another process group (start nsrun in the foreground, or with "
			       "-t=false)");
	return 0;
}

int tty_save(int fd, struct termios *ret_saved, struct err *err)
{
	int r = wait_foreground(fd, err);

	if (r < 0)
		return r;
	if (tcgetattr(fd, ret_saved) < 0)
		return err_system(err, "terminal: read its settings");
	return 0;
}

int tty_set_raw(int fd, struct termios *ret_saved, struct err *err)
{
	struct termios saved, raw;
	struct ttou ttou;
	int r = tty_save(fd, &saved, err);

	if (r < 0)
		return r;
	raw = saved;
	cfmakeraw(&raw);
	ttou_act(&ttou);
	do /* TCSANOW: a terminal stopped by ^S would never drain */
		r = tcsetattr(fd, TCSANOW, &raw);
	while (r < 0 && errno == EINTR);
	ttou_restore(&ttou);
	if (r < 0)
		return err_system(err, "terminal: set raw mode");
	*ret_saved = saved;
	return 0;
}

int tty_restore(int fd, const struct termios *saved)
{
	sigset_t set, old;
	int r;

	/* Blocked SIGTTOU: giving the settings back must not stop a process that is about to end. */
	sigemptyset(&set);
	sigaddset(&set, SIGTTOU);
	sigprocmask(SIG_BLOCK, &set, &old);
	r = tcsetattr(fd, TCSANOW, saved) < 0 ? -errno : 0;
	sigprocmask(SIG_SETMASK, &old, NULL);
	return r;
}

int tty_copy_size(int from_fd, int to_fd)
{
	struct winsize size;

	if (ioctl(from_fd, TIOCGWINSZ, &size) < 0 || ioctl(to_fd, TIOCSWINSZ, &size) < 0)
		return -errno;
	return 0;
}
