/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/tty.h>

#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* What the guard waits on, and the terminal: the only descriptors that it keeps. */
struct guarded {
	int tty, control, parent;
};

/* Standard output of a pipeline, the container's mounts, locks: none of them may live longer because of the guard. */
static void close_others(const struct guarded *g)
{
	int top = g->tty;

	top = g->control > top ? g->control : top;
	top = g->parent > top ? g->parent : top;
	for (int fd = 0; fd < top; fd++)
		if (fd != g->tty && fd != g->control && fd != g->parent)
			close(fd);
	closefrom(top + 1);
}

/* True when the terminal is still in the raw mode that `saved` leads to. A shell that has noticed the death first
 * and made its own settings keeps them. */
static bool still_raw(int tty_fd, const struct termios *saved)
{
	struct termios now, raw = *saved;

	cfmakeraw(&raw);
	return tcgetattr(tty_fd, &now) == 0 && now.c_lflag == raw.c_lflag && now.c_iflag == raw.c_iflag &&
	       now.c_oflag == raw.c_oflag;
}

static _Noreturn void guard_main(const struct guarded *g, const struct termios *saved)
{
	struct pollfd fds[] = {
		{ .fd = g->parent, .events = POLLIN },
		{ .fd = g->control, .events = POLLIN },
	};
	char word;

	/* A session without a controlling terminal: no signal from a terminal reaches it, and tcsetattr(3) is free
	 * of job control, which the kernel checks on a process' own controlling terminal only. */
	setsid();
	prctl(PR_SET_NAME, "nsrun-tty");
	if (chdir("/") < 0) {
		/* it merely keeps a working directory busy */
	}
	close_others(g);
	for (;;) {
		int n = poll(fds, ARRAY_LEN(fds), -1);

		if (n < 0 && errno != EINTR && errno != EAGAIN)
			_exit(1);
		if (n <= 0)
			continue;
		if (fds[1].revents) {
			if (recv(g->control, &word, 1, MSG_DONTWAIT) == 1)
				_exit(0); /* restored by its owner */
			fds[1].fd = -1;	  /* end of file says nothing: a copy may be closed late, or early */
		}
		if (fds[0].revents & POLLNVAL)
			_exit(1);
		if (fds[0].revents) {
			/* Death is seen; the word may have been sent right before it. */
			if (recv(g->control, &word, 1, MSG_DONTWAIT) != 1 && still_raw(g->tty, saved))
				tcsetattr(g->tty, TCSANOW, saved);
			_exit(0);
		}
	}
}

int tty_guard_start(int tty_fd, const struct termios *saved, struct tty_guard *ret, struct err *err)
{
	_cleanup_close_ int parent = FD_NONE, ours = FD_NONE, theirs = FD_NONE;
	int pair[2];
	sigset_t all, old;
	pid_t pid;

	parent = pidfd_open(getpid(), 0);
	if (parent < 0)
		return err_system(err, "terminal guard: pidfd_open");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_system(err, "terminal guard: socketpair");
	ours = pair[0];
	theirs = pair[1];
	/* Blocked across fork, and for good in the guard: between fork and setsid ^C would still reach it. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid == 0)
		guard_main(&(struct guarded){ .tty = tty_fd, .control = theirs, .parent = parent }, saved);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (pid < 0)
		return err_system(err, "terminal guard: fork");
	*ret = (struct tty_guard){ .control_fd = TAKE_FD(ours), .pid = pid };
	return 0;
}

void tty_guard_end(struct tty_guard *guard)
{
	if (guard->control_fd < 0)
		return;
	/* EPIPE: somebody killed it; there is still a zombie to reap. */
	if (send(guard->control_fd, "r", 1, MSG_NOSIGNAL) < 0 && errno != EPIPE)
		kill(guard->pid, SIGKILL);
	closep(&guard->control_fd);
	while (waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR)
		;
	*guard = TTY_GUARD_NONE;
}
