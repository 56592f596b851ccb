/* SPDX-License-Identifier: Apache-2.0 */
/* Terminals: pty(7), termios(3), tty_ioctl(4). */
#ifndef NSRUN_KERNEL_TTY_H
#define NSRUN_KERNEL_TTY_H

#include <nsrun/base/err.h>

#include <sys/ioctl.h>
#include <sys/types.h>
#include <termios.h>

/* A new pseudoterminal in the devpts whose root is `pts_fd`: opens its ptmx, unlocks, and opens the peer by TIOCGPTPEER
 * (never by a path of the container: CVE-2025-52565). Both fds are O_CLOEXEC and belong to the caller. */
int tty_open_pty(int pts_fd, int *ret_master, int *ret_peer, struct err *err);
/* fchown of the peer to the workload's user, who may then open /dev/pts/N and /dev/stdout: before the ids are
 * changed. */
int tty_give(int peer_fd, uid_t uid, struct err *err);
/* In the workload: setsid(2), TIOCSCTTY, dup2 onto 0, 1, 2. */
int tty_make_controlling(int peer_fd, struct err *err);

/* The settings of the user's own terminal, to be restored. In the background it first stops this process by SIGTTOU
 * until the shell's `fg`, as any full-screen program is: the settings read there would be those of the job in the
 * foreground. Order: tty_save, tty_guard_start, tty_set_raw. */
int tty_save(int fd, struct termios *ret_saved, struct err *err);
/* Raw mode; *ret_saved is what to restore. In the background it waits like tty_save. */
int tty_set_raw(int fd, struct termios *ret_saved, struct err *err);
int tty_restore(int fd, const struct termios *saved);
int tty_copy_size(int from_fd, int to_fd);

/*
 * A process that gives the terminal its settings back when this process dies in whatever way, SIGKILL included:
 * forked before raw mode is set; waits on this process' pidfd (and on nothing that a signal from the terminal can
 * end: own session). It restores only what is still raw: a shell that was faster keeps its own settings.
 * tty_guard_end tells it that the settings were restored, and reaps it.
 */
struct tty_guard {
	int control_fd;
	pid_t pid;
};
#define TTY_GUARD_NONE ((struct tty_guard){ .control_fd = FD_NONE, .pid = 0 })
int tty_guard_start(int tty_fd, const struct termios *saved, struct tty_guard *ret, struct err *err);
/* The same of a full-screen program, started when it has set its mode, `changed`; `screen` are the sequences that leave its screen. */
int tty_guard_start_screen(int tty_fd, const struct termios *saved, const struct termios *changed, const char *screen,
			   struct tty_guard *ret, struct err *err);
void tty_guard_end(struct tty_guard *guard);

#endif
