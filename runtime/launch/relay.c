/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/launch/relay.h>

#include <nsrun/kernel/sigfate.h>
#include <nsrun/kernel/tty.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* One write to a blocking descriptor that poll(2) calls writable: little enough that it rarely waits. */
#define BLOCKING_CHUNK 512
/* Once init has ended, a pty or pipe holds at most what the kernel buffers; more comes from a stranger who got hold of the
 * other end. */
#define DRAIN_MAX (1u << 20)

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
	return RELAY_BUFFER - b->end;
}

static void buffer_clear(struct buffer *b)
{
	b->start = b->end = 0;
}

/* Tells epoll what is wanted. Nothing wanted means taken out: a hang-up is reported even to an empty mask, over and
 * over. */
int relay_watch_port(struct relay *r, struct port *port, uint32_t wanted, struct err *err)
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

/* ---- the end of a line ---- */

/* The descriptor is the caller's, so its number stays in use. */
static void replace_by_null(int fd)
{
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0)
		dup3(null, fd, O_CLOEXEC);
}

static void end_inside(struct relay *r)
{
	relay_watch_port(r, &r->inside, 0, NULL);
	r->eof_pending = false;
	buffer_clear(&r->to_inside);
	if (!relay_has_terminal(r) && r->inside.fd >= 0)
		replace_by_null(r->inside.fd);
	r->inside.fd = FD_NONE;
}

static void end_flow(struct relay *r, struct flow *flow)
{
	buffer_clear(&flow->buffer);
	if (!flow->open)
		return;
	relay_watch_port(r, &flow->source, 0, NULL);
	flow->open = false;
	replace_by_null(flow->source.fd);
}

/* Closing the master hangs up the inside, as sshd does. */
void relay_hang_up(struct relay *r)
{
	enum sigfate fate = SIGFATE_TAKEN;

	r->in_open = r->eof_pending = false;
	buffer_clear(&r->to_inside);
	if (!relay_has_terminal(r))
		return;
	end_flow(r, &r->flows[0]);
	r->inside.fd = FD_NONE; /* the same descriptor */
	/* SIGHUP would end the program anywhere but as PID 1, and nobody is left who could type anything else. */
	sigfate_of(r->s->init, SIGHUP, &fate, NULL);
	if (fate == SIGFATE_DROPPED)
		pidref_kill(r->s->init, SIGKILL, NULL);
}

bool relay_terminal_lost(const struct relay *r)
{
	struct pollfd p = { .fd = r->terminal };

	return r->terminal >= 0 && poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR));
}

/* ---- input ---- */

static void read_input(struct relay *r)
{
	struct buffer *b = &r->to_inside;
	ssize_t n;

	if (!r->in_open || buffer_room(b) == 0)
		return;
	n = read(r->in.fd, b->data + b->end, RELAY_BUFFER - b->end);
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
	if (relay_terminal_lost(r))
		relay_hang_up(r);
}

/* VEOF ends a line without a newline; on an empty line it is the end of file (termios(3)). */
static void append_eof(struct relay *r)
{
	struct buffer *b = &r->to_inside;
	struct termios t;
	int times;

	if (!r->eof_pending || r->inside.fd < 0)
		return;
	if (!relay_has_terminal(r)) {
		if (buffer_empty(b))
			end_inside(r);
		return;
	}
	if (buffer_room(b) < 2)
		return;
	r->eof_pending = false;
	if (tcgetattr(r->inside.fd, &t) < 0 || t.c_cc[VEOF] == _POSIX_VDISABLE)
		return;
	times = (t.c_lflag & ICANON) && r->last_input != '\n' ? 2 : 1;
	while (times-- > 0)
		b->data[b->end++] = (char)t.c_cc[VEOF];
}

static void write_inside(struct relay *r)
{
	struct buffer *b = &r->to_inside;
	ssize_t n;

	if (r->inside.fd < 0 || buffer_empty(b))
		return;
	/* Tried after a hang-up too: opening the peer again without writing to it wakes nobody here, the next key
	 * finds out. */
	n = write(r->inside.fd, b->data + b->start, b->end - b->start);
	if (n > 0)
		b->start += (size_t)n;
	if (!relay_has_terminal(r)) {
		if (n < 0 && !passing(errno))
			end_inside(r); /* EPIPE: nobody reads it */
	} else if (n > 0 || errno == EIO) {
		r->hung = n < 0;
	}
}

/* What clients send; the server was told of the room. */
static void take_input(const void *data, size_t n, void *context)
{
	struct relay *r = context;
	struct buffer *b = &r->to_inside;

	if (r->inside.fd < 0 || n == 0 || !b->data || buffer_room(b) < n)
		return;
	memcpy(b->data + b->end, data, n);
	b->end += n;
	r->last_input = b->data[b->end - 1];
}

static void take_input_end(void *context)
{
	struct relay *r = context;

	r->eof_pending = r->inside.fd >= 0;
}

static void take_size(const struct winsize *size, void *context)
{
	struct relay *r = context;

	if (relay_has_terminal(r) && r->flows[0].open)
		ioctl(r->s->pty_master, TIOCSWINSZ, size);
}

static bool has_room(void *context)
{
	struct relay *r = context;

	return r->inside.fd < 0 || !r->to_inside.data || buffer_room(&r->to_inside) >= CONTROL_DATA_MAX;
}

/* ---- output ---- */

/* The log and the clients have it when it is read; the caller gets it from the buffer. */
static void tell_others(struct relay *r, const struct flow *flow, const char *data, size_t n)
{
	if (r->s->log)
		log_writer_put(r->s->log, flow->stream, data, n);
	if (r->s->server)
		control_server_output(r->s->server, flow->stream == LOG_STDOUT ? CONTROL_STDOUT : CONTROL_STDERR, data,
				      n);
}

static bool may_read(struct relay *r, struct flow *flow)
{
	return flow->open && buffer_room(&flow->buffer) > 0 && !(r->s->server && control_server_full(r->s->server));
}

static void read_inside(struct relay *r, struct flow *flow)
{
	struct buffer *b = &flow->buffer;
	ssize_t n;

	if (!may_read(r, flow))
		return;
	n = read(flow->source.fd, b->data + b->end, RELAY_BUFFER - b->end);
	if (n > 0) {
		tell_others(r, flow, b->data + b->end, (size_t)n);
		if (flow->sink.fd >= 0)
			b->end += (size_t)n;
		r->hung = false;
		flow->drained += r->init_ended ? (size_t)n : 0;
		if (flow->drained <= DRAIN_MAX)
			return;
	} else if (n < 0 && errno == EINTR) {
		return;
	} else if (n < 0 && errno == EIO) {
		r->hung = true;
	}
	/* The kernel flushes what is in flight before it answers EAGAIN or EIO (n_tty_read), so after init's end
	 * either is the end; of a pipe, so is the end of file at any time. */
	if (r->init_ended || (n == 0 && !relay_has_terminal(r))) {
		relay_watch_port(r, &flow->source, 0, NULL);
		flow->open = false;
	}
}

static void write_user(struct relay *r, struct flow *flow)
{
	struct buffer *b = &flow->buffer;
	size_t size = b->end - b->start;
	ssize_t n;

	if (size == 0)
		return;
	if (flow->sink.socket)
		n = send(flow->sink.fd, b->data + b->start, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		n = write(flow->sink.fd, b->data + b->start,
			  flow->sink.blocking && size > BLOCKING_CHUNK ? BLOCKING_CHUNK : size);
	if (n > 0)
		b->start += (size_t)n;
	else if (n < 0 && !passing(errno) && relay_has_terminal(r))
		relay_hang_up(r);
	else if (n < 0 && !passing(errno))
		end_flow(r, flow);
}

/* ---- all together ---- */

/* The master carries both ways. */
static uint32_t wanted_of_master(struct relay *r)
{
	/* Edge-triggered: the standing hang-up is told once, and the next time that somebody opens the peer and writes. */
	if (r->hung)
		return may_read(r, &r->flows[0]) ? EPOLLIN | EPOLLET : 0;
	return (may_read(r, &r->flows[0]) ? EPOLLIN : 0) | (buffer_empty(&r->to_inside) ? 0 : EPOLLOUT);
}

static int watch_input(struct relay *r, bool *ret_ready, struct err *err)
{
	const bool input = r->in_open && buffer_room(&r->to_inside) > 0;
	int e = 0;

	if (r->in.fd >= 0) {
		e = relay_watch_port(r, &r->in, input && r->inside.fd >= 0 ? EPOLLIN : 0, err);
		*ret_ready |= r->in.always && input; /* known only now */
	}
	if (e == 0 && r->inside.fd >= 0 && !relay_has_terminal(r))
		e = relay_watch_port(r, &r->inside, buffer_empty(&r->to_inside) ? 0 : EPOLLOUT, err);
	if (e == 0 && r->s->server) {
		control_server_set_room(r->s->server, has_room(r));
		e = relay_watch_port(r, &r->server, EPOLLIN, err);
	}
	return e;
}

int relay_watch(struct relay *r, bool *ret_ready, struct err *err)
{
	int e = watch_input(r, ret_ready, err);

	for (size_t i = 0; e == 0 && i < FLOWS; i++) {
		struct flow *flow = &r->flows[i];

		if (flow->open)
			e = relay_watch_port(r, &flow->source,
					     relay_has_terminal(r) ? wanted_of_master(r)
					     : may_read(r, flow)   ? EPOLLIN
								   : 0,
					     err);
		if (e == 0 && flow->sink.fd >= 0) {
			e = relay_watch_port(r, &flow->sink, buffer_empty(&flow->buffer) ? 0 : EPOLLOUT, err);
			*ret_ready |= flow->sink.always && !buffer_empty(&flow->buffer);
		}
		/* Nothing but reading is left to do, and nothing is in its way. */
		*ret_ready |= r->init_ended && may_read(r, flow);
	}
	return e;
}

void relay_serve(struct relay *r, const struct port *port)
{
	const struct control_handler handler = { take_input, take_input_end, take_size, has_room, r };

	if (port == &r->in)
		read_input(r);
	else if (port == &r->server)
		control_server_dispatch(r->s->server, &handler);
	for (size_t i = 0; i < FLOWS; i++) {
		if (port == &r->flows[i].source)
			read_inside(r, &r->flows[i]);
		else if (port == &r->flows[i].sink)
			write_user(r, &r->flows[i]);
	}
}

void relay_go_on(struct relay *r)
{
	if (r->in.always)
		read_input(r);
	for (size_t i = 0; i < FLOWS; i++) {
		struct flow *flow = &r->flows[i];

		if (flow->sink.always)
			write_user(r, flow);
		if (r->init_ended)
			read_inside(r, flow);
	}
	append_eof(r);
	write_inside(r);
	append_eof(r); /* of a pipe: once all before it is written */
}

bool relay_is_done(const struct relay *r)
{
	for (size_t i = 0; i < FLOWS; i++)
		if (r->flows[i].open || !buffer_empty(&r->flows[i].buffer))
			return false;
	return !(r->s->server && control_server_full(r->s->server));
}

static int make_nonblocking(int fd, struct err *err)
{
	const int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_system(err, "terminal or pipe of the container");
	return 0;
}

static int open_flow(struct flow *flow, int source, int sink, enum log_stream stream, struct err *err)
{
	int e;

	flow->source.fd = source;
	flow->stream = stream;
	flow->open = true;
	flow->buffer.data = malloc(RELAY_BUFFER);
	if (!flow->buffer.data)
		return err_oom(err);
	e = make_nonblocking(source, err);
	return e < 0 || sink < 0 ? e : port_open(&flow->sink, sink, O_WRONLY, err);
}

static int open_terminal(struct relay *r, struct err *err)
{
	const struct supervision *s = r->s;
	int e = open_flow(&r->flows[0], s->pty_master, s->no_caller ? FD_NONE : s->stdout_fd, LOG_STDOUT, err);

	r->inside.fd = s->pty_master;
	if (e < 0 || s->no_caller)
		return e;
	e = port_open(&r->in, s->stdin_fd, O_RDONLY, err);
	if (e < 0)
		return e;
	r->in_open = true;
	r->terminal = isatty(r->in.fd) ? r->in.fd : isatty(r->flows[0].sink.fd) ? r->flows[0].sink.fd : FD_NONE;
	if (r->terminal >= 0)
		tty_copy_size(r->terminal, s->pty_master);
	return 0;
}

int relay_open(struct relay *r, struct err *err)
{
	const struct supervision *s = r->s;
	const int sinks[FLOWS] = { s->stdout_fd, s->stderr_fd };
	int e = 0;

	r->last_input = '\n';
	if (s->server)
		r->server.fd = control_server_fd(s->server);
	if (s->pty_master >= 0 || s->input >= 0) {
		r->to_inside.data = malloc(RELAY_BUFFER);
		if (!r->to_inside.data)
			return err_oom(err);
	}
	if (s->pty_master >= 0)
		return open_terminal(r, err);
	for (size_t i = 0; e == 0 && i < FLOWS; i++)
		if (s->outputs[i] >= 0)
			e = open_flow(&r->flows[i], s->outputs[i], s->no_caller ? FD_NONE : sinks[i],
				      i ? LOG_STDERR : LOG_STDOUT, err);
	if (e == 0 && s->input >= 0) {
		r->inside.fd = s->input;
		e = make_nonblocking(s->input, err);
	}
	return e;
}

void relay_close(struct relay *r)
{
	closep(&r->epoll);
	closep(&r->in.fd);
	free(r->to_inside.data);
	for (size_t i = 0; i < FLOWS; i++) {
		closep(&r->flows[i].sink.fd);
		free(r->flows[i].buffer.data);
	}
}
