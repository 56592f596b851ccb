/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/tty.h>

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* What the guard waits on, and the terminal: the only descriptors that it keeps. */
struct guarded {
	int tty, control, parent;
	const struct termios *saved, *changed; /* `changed` NULL: raw mode */
	const char *screen;		       /* written first; NULL: nothing */
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

/* True when the terminal is still in the mode that its owner has set. A shell that has noticed the death first and made its own settings keeps
 * them. */
static bool still_changed(const struct guarded *g)
{
	struct termios now, raw = *g->saved;

	cfmakeraw(&raw);
	const struct termios *wanted = g->changed ? g->changed : &raw;

	return tcgetattr(g->tty, &now) == 0 && now.c_lflag == wanted->c_lflag && now.c_iflag == wanted->c_iflag &&
	       now.c_oflag == wanted->c_oflag;
}

static void restore(const struct guarded *g)
{
	/* What a shell was faster with stays on the other screen: better than to be left on it. A terminal that takes nothing must not keep the guard. */
	struct pollfd tty = { .fd = g->tty, .events = POLLOUT };

	if (g->screen && poll(&tty, 1, 0) == 1 && write(g->tty, g->screen, strlen(g->screen)) < 0) {
		/* it was hung up */
	}
	if (still_changed(g))
		(void)tcsetattr(g->tty, TCSANOW, g->saved);
}

static _Noreturn void guard_main(const struct guarded *g)
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
			if (recv(g->control, &word, 1, MSG_DONTWAIT) != 1)
				restore(g);
			_exit(0);
		}
	}
}

int tty_guard_start(int tty_fd, const struct termios *saved, struct tty_guard *ret, struct err *err)
{
	return tty_guard_start_screen(tty_fd, saved, NULL, NULL, ret, err);
}

int tty_guard_start_screen(int tty_fd, const struct termios *saved, const struct termios *changed, const char *screen,
			   struct tty_guard *ret, struct err *err)
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
		guard_main(&(struct guarded){ .tty = tty_fd,
					      .control = theirs,
					      .parent = parent,
					      .saved = saved,
					      .changed = changed,
					      .screen = screen });
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
