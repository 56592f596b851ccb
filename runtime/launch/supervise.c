/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/launch/supervise.h>

#include <nsrun/kernel/tty.h>

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define BUFFER_SIZE 65536
/* One write to a blocking descriptor that poll(2) calls writable: little enough that it rarely waits. */
#define BLOCKING_CHUNK 512
/* Once init has ended, a pty holds at most what the kernel buffers; more comes from a stranger who got hold of the
 * peer. */
#define DRAIN_MAX (1u << 20)

/* --- the relay between the user's terminal and the pty --- */

struct buffer {
	size_t start, end;
	char *data; /* BUFFER_SIZE; only with a terminal */
};

/* A descriptor and what epoll knows of it. */
struct port {
	int fd;
	uint32_t watched;
	bool owned, socket, blocking;
	bool always; /* a regular file: epoll refuses it (EPERM), and it never waits */
};

struct relay {
	const struct supervision *s;
	int epoll;
	struct port init, signals, in, out, master;
	int terminal;	  /* the one of in and out that is a terminal, or FD_NONE */
	bool in_open;	  /* there is more input to come */
	bool eof_pending; /* VEOF is still to be sent */
	bool hung;	  /* nobody has the peer open: EIO, until somebody opens it again */
	bool master_open;
	bool init_ended, cut_short;
	size_t drained;
	char last_input;
	struct buffer to_inside, to_user;
};

static bool buffer_empty(const struct buffer *b)
{
	return b->start == b->end;
}

static size_t buffer_room(struct buffer *b)
{
	if (b->start > 0) {
		memmove(b->data, b->data + b->start, b->end - b->start);
		b->end -= b->start;
		b->start = 0;
	}
	return BUFFER_SIZE - b->end;
}

/* Tells epoll what is wanted. Nothing wanted means taken out: a hang-up is reported even to an empty mask, over and
 * over. */
static int watch(struct relay *r, struct port *port, uint32_t wanted, struct err *err)
{
	struct epoll_event event = { .events = wanted, .data.ptr = port };
	int op = !wanted ? EPOLL_CTL_DEL : port->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (wanted == port->watched || port->always)
		return 0;
	if (epoll_ctl(r->epoll, op, port->fd, &event) < 0) {
		if (errno != EPERM)
			return err_system(err, "epoll_ctl on descriptor %d", port->fd);
		port->always = true;
		return 0;
	}
	port->watched = wanted;
	return 0;
}

/*
 * A descriptor of our own for the user's terminal or pipe, which does not block. O_NONBLOCK belongs to the open
 * file description, and that one is shared with the shell: it needs a new one. Where that cannot be (a terminal of
 * another user, a pty master, whose inode makes a new pty when it is opened), the old one is used with small
 * writes.
 */
static int port_open(struct port *port, int fd, int access, struct err *err)
{
	struct stat st;
	char path[32];

	*port = (struct port){ .fd = FD_NONE, .owned = true };
	if (fstat(fd, &st) < 0)
		return err_system(err, "descriptor %d", fd);
	if (S_ISFIFO(st.st_mode) || (S_ISCHR(st.st_mode) && st.st_rdev != makedev(5, 2) && isatty(fd))) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		port->fd = open(path, access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	}
	if (port->fd < 0) {
		port->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		port->blocking = !S_ISREG(st.st_mode);
		port->socket = S_ISSOCK(st.st_mode);
	}
	if (port->fd < 0)
		return err_system(err, "descriptor %d: duplicate", fd);
	return 0;
}

static bool passing(int errnum)
{
	return errnum == EAGAIN || errnum == EINTR;
}

/* The line to the user is lost. Closing the master hangs up the inside, as sshd does; the descriptor is the
 * caller's, so its number stays in use. */
static void hang_up(struct relay *r)
{
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	r->in_open = r->eof_pending = false;
	r->to_user.start = r->to_user.end = r->to_inside.start = r->to_inside.end = 0;
	if (!r->master_open)
		return;
	watch(r, &r->master, 0, NULL);
	r->master_open = false;
	if (null >= 0)
		dup3(null, r->master.fd, O_CLOEXEC);
}

static bool terminal_lost(const struct relay *r)
{
	struct pollfd p = { .fd = r->terminal };

	return r->terminal >= 0 && poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR));
}

static void read_input(struct relay *r)
{
	struct buffer *b = &r->to_inside;
	size_t room = buffer_room(b);
	ssize_t n;

	if (!r->in_open || room == 0)
		return;
	n = read(r->in.fd, b->data + b->end, room);
	if (n < 0 && passing(errno))
		return;
	if (n > 0) {
		b->end += (size_t)n;
		r->last_input = b->data[b->end - 1];
		return;
	}
	/* End of file; EIO: a terminal that hung up, or an orphaned job in its background. */
	r->in_open = false;
	r->eof_pending = true;
	if (terminal_lost(r))
		hang_up(r);
}

/* VEOF ends a line without a newline; on an empty line it is the end of file (termios(3)). */
static void append_eof(struct relay *r)
{
	struct buffer *b = &r->to_inside;
	struct termios t;
	int times;

	if (!r->eof_pending || buffer_room(b) < 2)
		return;
	r->eof_pending = false;
	if (tcgetattr(r->master.fd, &t) < 0 || t.c_cc[VEOF] == _POSIX_VDISABLE)
		return;
	times = (t.c_lflag & ICANON) && r->last_input != '\n' ? 2 : 1;
	while (times-- > 0)
		b->data[b->end++] = (char)t.c_cc[VEOF];
}

static void write_inside(struct relay *r)
{
	struct buffer *b = &r->to_inside;
	ssize_t n;

	if (!r->master_open || buffer_empty(b))
		return;
	/* Tried after a hang-up too: opening the peer again without writing to it wakes nobody here, the next key
	 * finds out. */
	n = write(r->master.fd, b->data + b->start, b->end - b->start);
	if (n > 0)
		b->start += (size_t)n;
	if (n > 0 || errno == EIO)
		r->hung = n < 0;
}

static void read_inside(struct relay *r)
{
	struct buffer *b = &r->to_user;
	size_t room = buffer_room(b);
	ssize_t n;

	if (!r->master_open || room == 0)
		return;
	n = read(r->master.fd, b->data + b->end, room);
	if (n > 0) {
		b->end += (size_t)n;
		r->hung = false;
		r->drained += r->init_ended ? (size_t)n : 0;
		if (r->drained <= DRAIN_MAX)
			return;
	} else if (n < 0 && errno == EINTR) {
		return;
	} else if (n < 0 && errno == EIO) {
		r->hung = true;
	}
	/* The kernel flushes what is in flight before it answers EAGAIN or EIO (n_tty_read), so after init's end
	 * either is the end. */
	if (r->init_ended) {
		watch(r, &r->master, 0, NULL);
		r->master_open = false;
	}
}

static void write_user(struct relay *r)
{
	struct buffer *b = &r->to_user;
	size_t size = b->end - b->start;
	ssize_t n;

	if (size == 0)
		return;
	if (r->out.socket)
		n = send(r->out.fd, b->data + b->start, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		n = write(r->out.fd, b->data + b->start,
			  r->out.blocking && size > BLOCKING_CHUNK ? BLOCKING_CHUNK : size);
	if (n > 0)
		b->start += (size_t)n;
	else if (n < 0 && !passing(errno))
		hang_up(r);
}

/* --- the loop --- */

static void resume(struct relay *r)
{
	struct termios ignored;

	/* The terminal first: continued in the background (`bg`), this stops again until `fg`, before anything runs
	 * inside. */
	if (r->terminal >= 0 && r->s->terminal_saved)
		tty_set_raw(r->terminal, &ignored, NULL);
	if (r->terminal >= 0)
		tty_copy_size(r->terminal, r->master.fd);
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
		if (r->terminal >= 0 && r->master_open)
			tty_copy_size(r->terminal, r->master.fd);
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
		if (signal == SIGHUP && terminal_lost(r))
			hang_up(r);
	}
}

static void read_signals(struct relay *r)
{
	struct signalfd_siginfo info[16];
	ssize_t n = read(r->signals.fd, info, sizeof(info));

	for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(*info); i++)
		handle_signal(r, (int)info[i].ssi_signo);
}

static int watch_all(struct relay *r, struct err *err)
{
	bool input = r->in_open && buffer_room(&r->to_inside) > 0, output = !buffer_empty(&r->to_user);
	uint32_t master = 0;
	int e;

	if (r->master_open && r->hung) {
		/* Edge-triggered: the standing hang-up is told once, and the next time that somebody opens the peer
		 * and writes. */
		master = EPOLLIN | EPOLLET;
	} else if (r->master_open) {
		master |= buffer_room(&r->to_user) > 0 ? EPOLLIN : 0;
		master |= buffer_empty(&r->to_inside) ? 0 : EPOLLOUT;
	}
	e = watch(r, &r->in, input && r->master_open ? EPOLLIN : 0, err);
	if (e == 0)
		e = watch(r, &r->out, output ? EPOLLOUT : 0, err);
	if (e == 0)
		e = watch(r, &r->master, master, err);
	if (e == 0)
		e = watch(r, &r->init, r->init_ended ? 0 : EPOLLIN, err);
	if (e == 0)
		e = watch(r, &r->signals, EPOLLIN, err);
	return e;
}

static int loop(struct relay *r, int *ret_status, struct err *err)
{
	struct epoll_event events[8];
	siginfo_t info;

	while (!r->cut_short && (!r->init_ended || r->master_open || !buffer_empty(&r->to_user))) {
		int n, e = watch_all(r, err);
		bool ready;

		if (e < 0)
			return e;
		ready = (r->in.always && r->in_open && buffer_room(&r->to_inside) > 0) ||
			(r->out.always && !buffer_empty(&r->to_user));
		n = epoll_wait(r->epoll, events, ARRAY_LEN(events),
			       ready || (r->init_ended && r->master_open && !r->out.watched) ? 0 : -1);
		if (n < 0 && errno != EINTR)
			return err_system(err, "epoll_wait");
		for (int i = 0; i < n; i++) {
			const struct port *port = events[i].data.ptr;

			if (port == &r->init) {
				e = pidref_wait(r->s->init, &info, WEXITED | __WALL, err);
				if (e < 0)
					return e;
				*ret_status = exit_status_of(&info);
				r->init_ended = true;
			} else if (port == &r->signals) {
				read_signals(r);
			} else if (port == &r->in) {
				read_input(r);
			} else if (port == &r->master) {
				read_inside(r);
			} else if (port == &r->out) {
				write_user(r);
			}
		}
		if (r->in.always)
			read_input(r);
		if (r->out.always)
			write_user(r);
		if (r->init_ended)
			read_inside(r);
		append_eof(r);
		write_inside(r);
	}
	return 0;
}

static int relay_open(struct relay *r, struct err *err)
{
	const struct supervision *s = r->s;
	int flags, e;

	r->to_inside.data = malloc(BUFFER_SIZE);
	r->to_user.data = malloc(BUFFER_SIZE);
	if (!r->to_inside.data || !r->to_user.data)
		return err_oom(err);
	e = port_open(&r->in, s->stdin_fd, O_RDONLY, err);
	if (e == 0)
		e = port_open(&r->out, s->stdout_fd, O_WRONLY, err);
	if (e < 0)
		return e;
	flags = fcntl(s->pty_master, F_GETFL);
	if (flags < 0 || fcntl(s->pty_master, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_system(err, "terminal of the container");
	r->terminal = isatty(r->in.fd) ? r->in.fd : isatty(r->out.fd) ? r->out.fd : FD_NONE;
	if (r->terminal >= 0)
		tty_copy_size(r->terminal, s->pty_master);
	r->in_open = r->master_open = true;
	r->last_input = '\n';
	return 0;
}

static void relay_freep(struct relay **p)
{
	struct relay *r = *p;

	if (!r)
		return;
	closep(&r->epoll);
	closep(&r->in.fd);
	closep(&r->out.fd);
	free(r->to_inside.data);
	free(r->to_user.data);
	free(r);
}

int supervise(const struct supervision *s, int *ret_status, struct err *err)
{
	_cleanup_(relay_freep) struct relay *r = calloc(1, sizeof(*r));
	int e = 0;

	if (!r)
		return err_oom(err);
	r->s = s;
	r->terminal = r->in.fd = r->out.fd = FD_NONE;
	r->init.fd = s->init->fd;
	r->signals.fd = s->signals->fd;
	r->master.fd = s->pty_master;
	r->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (r->epoll < 0)
		return err_system(err, "epoll_create1");
	if (s->pty_master >= 0)
		e = relay_open(r, err);
	return e < 0 ? e : loop(r, ret_status, err);
}
