/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/launch/supervise.h>

#include <nsrun/kernel/notify.h>
#include <nsrun/kernel/tty.h>
#include <nsrun/launch/relay.h>

#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

static void resume(struct relay *r)
{
	struct termios ignored;

	/* The terminal first: continued in the background (`bg`), this stops again until `fg`, before anything runs
	 * inside. */
	if (r->terminal >= 0 && r->s->terminal_saved)
		tty_set_raw(r->terminal, &ignored, NULL);
	if (r->terminal >= 0)
		tty_copy_size(r->terminal, r->s->pty_master);
	pidref_kill(r->s->init, SIGCONT, NULL);
}

static void stop_with_init(struct relay *r)
{
	sigset_t set, old;

	if (r->terminal >= 0 && r->s->terminal_saved)
		tty_restore(r->terminal, r->s->terminal_saved);
	pidref_kill(r->s->init, r->s->reaper ? SIGTSTP : SIGSTOP, NULL);
	/* SIGTSTP and not SIGSTOP: an orphaned process group, which no shell could continue, is not stopped by it. */
	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	raise(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &set, &old);
	sigprocmask(SIG_SETMASK, &old, NULL);
	resume(r);
}

static void handle_signal(struct relay *r, int signal)
{
	switch (signal) {
	case SIGCHLD:
	case SIGPIPE:
	case SIGURG:
		return;
	case SIGWINCH:
		if (r->terminal >= 0 && r->flows[0].open)
			tty_copy_size(r->terminal, r->s->pty_master);
		return;
	case SIGTSTP:
		stop_with_init(r);
		return;
	case SIGCONT:
		resume(r);
		return;
	default:
		if (r->init_ended)
			r->cut_short |= signal == SIGHUP || signal == SIGINT || signal == SIGQUIT || signal == SIGTERM;
		else
			pidref_kill(r->s->init, signal, NULL);
		if (signal == SIGHUP && relay_terminal_lost(r))
			relay_hang_up(r);
	}
}

static void read_signals(struct relay *r)
{
	struct signalfd_siginfo info[16];
	ssize_t n = read(r->signals.fd, info, sizeof(info));

	for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(*info); i++)
		handle_signal(r, (int)info[i].ssi_signo);
}

static int take_end(struct relay *r, struct supervised *ret, struct err *err)
{
	siginfo_t info;

	if (r->s->oom)
		oom_watch_end(r->s->oom);
	const int e = pidref_wait(r->s->init, &info, WEXITED | __WALL, err);
	if (e < 0)
		return e;
	ret->status = exit_status_of(&info);
	ret->signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
	r->init_ended = true;
	return 0;
}

/* The file of a group that is gone is ready for ever. */
static void look_at_oom(struct relay *r)
{
	if (r->oom.fd < 0 || oom_watch_look(r->s->oom))
		return;
	relay_watch_port(r, &r->oom, 0, NULL);
	r->oom.fd = FD_NONE;
}

/* Once; this process stays the service's own, and MAINPID= is not needed. */
static void look_at_notify(struct relay *r)
{
	if (r->notify.fd < 0 || !notify_is_ready(r->notify.fd))
		return;
	(void)notify_tell(r->s->notify_address, 0, NULL);
	relay_watch_port(r, &r->notify, 0, NULL);
	r->notify.fd = FD_NONE;
}

static int wait_for_events(struct relay *r, struct epoll_event *events, int size, struct err *err)
{
	bool ready = false;
	/* First: whom it drops is in nobody's way any more. */
	const int patience = r->s->server ? control_server_timeout(r->s->server) : -1;
	int e = relay_watch_port(r, &r->init, r->init_ended ? 0 : EPOLLIN, err);

	if (e == 0)
		e = relay_watch_port(r, &r->signals, EPOLLIN, err);
	if (e == 0 && r->oom.fd >= 0)
		e = relay_watch_port(r, &r->oom, EPOLLPRI, err);
	if (e == 0 && r->notify.fd >= 0)
		e = relay_watch_port(r, &r->notify, EPOLLIN, err);
	if (e == 0)
		e = relay_watch(r, &ready, err);
	if (e < 0)
		return e;
	const int n = epoll_wait(r->epoll, events, size, ready ? 0 : patience);
	return n < 0 && errno != EINTR ? err_system(err, "epoll_wait") : n < 0 ? 0 : n;
}

static int loop(struct relay *r, struct supervised *ret, struct err *err)
{
	struct epoll_event events[8];

	while (!r->cut_short && (!r->init_ended || !relay_is_done(r))) {
		const int n = wait_for_events(r, events, ARRAY_LEN(events), err);

		if (n < 0)
			return n;
		for (int i = 0; i < n; i++) {
			const struct port *port = events[i].data.ptr;
			int e = 0;

			if (port == &r->init)
				e = take_end(r, ret, err);
			else if (port == &r->oom)
				look_at_oom(r);
			else if (port == &r->notify)
				look_at_notify(r);
			else if (port == &r->signals)
				read_signals(r);
			else
				relay_serve(r, port);
			if (e < 0)
				return e;
		}
		relay_go_on(r);
	}
	return 0;
}

static void relay_freep(struct relay **p)
{
	if (*p)
		relay_close(*p);
	free(*p);
}

int supervise(const struct supervision *s, struct supervised *ret, struct err *err)
{
	_cleanup_(relay_freep) struct relay *r = calloc(1, sizeof(*r));
	int e;

	if (!r)
		return err_oom(err);
	r->s = s;
	r->terminal = r->in.fd = r->inside.fd = r->server.fd = FD_NONE;
	for (size_t i = 0; i < FLOWS; i++)
		r->flows[i].source.fd = r->flows[i].sink.fd = FD_NONE;
	r->init.fd = s->init->fd;
	r->signals.fd = s->signals->fd;
	r->oom.fd = s->oom ? s->oom->fd : FD_NONE;
	r->notify.fd = s->notify;
	r->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (r->epoll < 0)
		return err_system(err, "epoll_create1");
	e = relay_open(r, err);
	return e < 0 ? e : loop(r, ret, err);
}
