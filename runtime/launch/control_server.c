/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/launch/control_server.h>

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

/* Each costs two descriptors at most and what its queue holds. */
#define CLIENTS_MAX 64
/* How long a client may hold the output up before it is dropped. */
#define PATIENCE_MS 1000
/* For the clients' queues once the container has ended. */
#define END_MS 2000

struct client {
	int fd; /* FD_NONE: free */
	uint32_t watched;
	bool patient, output, input, wait;
	size_t start, end; /* of the queue: whole messages */
	unsigned char *queue;
	size_t capacity;
	int64_t blocked_ms; /* since when it has not taken anything */
};

struct control_server {
	int epoll, listener, dir;
	bool room;
	struct client clients[CLIENTS_MAX];
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool queued(const struct client *c)
{
	return c->start < c->end;
}

static void drop(struct client *c)
{
	closep(&c->fd);
	free(c->queue);
	*c = (struct client){ .fd = FD_NONE };
}

static void watch(struct control_server *s, struct client *c)
{
	struct epoll_event event = { .data.ptr = c };

	event.events = (s->room ? EPOLLIN : 0) | (queued(c) ? EPOLLOUT : 0);
	if (c->fd < 0 || event.events == c->watched)
		return;
	/* With an empty mask a hang-up is reported all the same (epoll_ctl(2)): that is wanted. */
	if (epoll_ctl(s->epoll, EPOLL_CTL_MOD, c->fd, &event) < 0)
		drop(c);
	else
		c->watched = event.events;
}

static int add(struct control_server *s, int fd, bool patient)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &s->clients[i];
		struct epoll_event event = { .data.ptr = c, .events = s->room ? EPOLLIN : 0 };

		if (c->fd >= 0)
			continue;
		if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
			return -errno;
		/* The caller is attached from the start: it misses nothing. */
		*c = (struct client){
			.fd = fd,
			.patient = patient,
			.output = patient,
			.input = patient,
			.wait = patient,
			.watched = event.events,
		};
		return 0;
	}
	return -EMFILE;
}

int control_server_new(const char *dir, struct control_server **ret, struct err *err)
{
	struct control_server *s = calloc(1, sizeof(*s));
	struct sockaddr_un address = { 0 };
	struct epoll_event event = { .events = EPOLLIN };
	int r;

	if (!s)
		return err_oom(err);
	s->room = true;
	s->listener = FD_NONE;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		s->clients[i].fd = FD_NONE;
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->dir = open(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s->epoll >= 0 && s->dir >= 0)
		s->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listener < 0 || control_address(s->dir, &address) < 0 ||
	    bind(s->listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(s->listener, 16) < 0 ||
	    epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listener, &event) < 0) {
		r = err_system(err, "%s/control", dir);
		control_server_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

int control_server_adopt(struct control_server *s, int fd, struct err *err)
{
	const int r = add(s, fd, true);

	if (r == 0)
		return 0;
	close(fd);
	return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "control socket: its caller's connection");
}

void control_server_free(struct control_server *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		drop(&s->clients[i]);
	closep(&s->listener);
	closep(&s->epoll);
	closep(&s->dir);
	free(s);
}

int control_server_fd(const struct control_server *s)
{
	return s->epoll;
}

static void accept_client(struct control_server *s)
{
	_cleanup_close_ int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return;
	/* Of the two, only root could get here past the directory's mode. */
	if (peer.uid != geteuid() && peer.uid != 0)
		return;
	if (add(s, fd, false) == 0)
		(void)TAKE_FD(fd);
}

/* Gives the kernel what it takes. False: the client is gone. */
static bool flush_queue(struct client *c)
{
	while (queued(c)) {
		struct control_header header;
		size_t size;
		ssize_t n;

		memcpy(&header, c->queue + c->start, sizeof(header));
		size = sizeof(header) + header.length;
		n = send(c->fd, c->queue + c->start, size, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == ENOBUFS))
			return true;
		if (n < 0)
			return false;
		c->start += size;
		c->blocked_ms = now_ms();
	}
	c->start = c->end = 0;
	return true;
}

static bool enqueue(struct client *c, enum control_type type, const void *data, size_t n)
{
	const struct control_header header = { CONTROL_MAGIC, (uint16_t)type, (uint16_t)n };
	const size_t size = sizeof(header) + n;

	if (!queued(c))
		c->blocked_ms = now_ms();
	if (c->end + size > c->capacity) {
		const size_t capacity = (c->end + size) * 2;
		unsigned char *queue = realloc(c->queue, capacity);

		if (!queue)
			return false;
		c->queue = queue;
		c->capacity = capacity;
	}
	memcpy(c->queue + c->end, &header, sizeof(header));
	if (n)
		memcpy(c->queue + c->end + sizeof(header), data, n);
	c->end += size;
	return true;
}

void control_server_output(struct control_server *s, enum control_type type, const void *data, size_t n)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &s->clients[i];
		bool good = c->fd >= 0 && c->output;

		if (!good)
			continue;
		for (size_t at = 0; good && at < n; at += CONTROL_DATA_MAX)
			good = enqueue(c, type, (const char *)data + at,
				       n - at < CONTROL_DATA_MAX ? n - at : CONTROL_DATA_MAX);
		if (!good || !flush_queue(c))
			drop(c);
		else
			watch(s, c);
	}
}

bool control_server_full(const struct control_server *s)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (s->clients[i].fd >= 0 && queued(&s->clients[i]))
			return true;
	return false;
}

int control_server_timeout(struct control_server *s)
{
	int64_t now = 0, wait = -1;

	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &s->clients[i];

		if (c->fd < 0 || !queued(c) || c->patient)
			continue;
		now = now ? now : now_ms();
		const int64_t left = c->blocked_ms + PATIENCE_MS - now;
		if (left <= 0)
			drop(c);
		else if (wait < 0 || left < wait)
			wait = left;
	}
	return (int)wait;
}

void control_server_set_room(struct control_server *s, bool room)
{
	if (s->room == room)
		return;
	s->room = room;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		watch(s, &s->clients[i]);
}

/* One message. False: the client is gone, or none of nsrun's. */
static bool read_message(struct client *c, const struct control_handler *handler)
{
	unsigned char data[CONTROL_DATA_MAX] __attribute__((uninitialized));
	enum control_type type;
	struct winsize size;
	uint32_t wants;
	size_t length;

	if (control_receive(c->fd, &type, data, &length, NULL) < 0)
		return false;
	switch (type) {
	case CONTROL_ATTACH:
		memcpy(&wants, data, sizeof(wants));
		if (wants & ~(CONTROL_WANTS_INPUT | CONTROL_WANTS_OUTPUT))
			return false;
		c->output = wants & CONTROL_WANTS_OUTPUT;
		c->input = wants & CONTROL_WANTS_INPUT;
		c->wait = true;
		return true;
	case CONTROL_WAIT:
		c->wait = true;
		return true;
	case CONTROL_INPUT:
		if (c->input)
			handler->input(data, length, handler->context);
		return c->input;
	case CONTROL_INPUT_END:
		if (c->input)
			handler->input_end(handler->context);
		return c->input;
	case CONTROL_SIZE:
		memcpy(&size, data, sizeof(size));
		if (handler->size)
			handler->size(&size, handler->context);
		return true;
	default:
		return false;
	}
}

void control_server_dispatch(struct control_server *s, const struct control_handler *handler)
{
	struct epoll_event events[16];
	const int n = epoll_wait(s->epoll, events, ARRAY_LEN(events), 0);

	for (int i = 0; i < n; i++) {
		struct client *c = events[i].data.ptr;
		bool good = true;

		if (!c) {
			accept_client(s);
			continue;
		}
		if (c->fd < 0)
			continue;
		if (events[i].events & EPOLLOUT)
			good = flush_queue(c);
		if (good && (events[i].events & EPOLLIN))
			good = !handler->room(handler->context) || read_message(c, handler);
		else if (events[i].events & (EPOLLHUP | EPOLLERR))
			good = false;
		if (good)
			watch(s, c);
		else
			drop(c);
	}
}

void control_server_end(struct control_server *s, int status)
{
	const int64_t until = now_ms() + END_MS;
	const int32_t word = status;

	if (!s)
		return;
	/* Those who connected while the container's things were put away, and what they asked. */
	static const struct control_handler deaf;
	for (size_t i = 0; i < CLIENTS_MAX && poll(&(struct pollfd){ .fd = s->listener, .events = POLLIN }, 1, 0) > 0;
	     i++)
		accept_client(s);
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &s->clients[i];

		while (c->fd >= 0 && !c->wait && !c->input && now_ms() < until &&
		       poll(&(struct pollfd){ .fd = c->fd, .events = POLLIN }, 1, 0) > 0)
			if (!read_message(c, &deaf))
				drop(c);
		if (c->fd >= 0 && (!c->wait || !enqueue(c, CONTROL_END, &word, sizeof(word)) || !flush_queue(c)))
			drop(c);
	}
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &s->clients[i];

		while (c->fd >= 0 && queued(c)) {
			const int64_t left = until - now_ms();

			if (left <= 0 || poll(&(struct pollfd){ .fd = c->fd, .events = POLLOUT }, 1, (int)left) <= 0 ||
			    !flush_queue(c))
				break;
		}
	}
	control_server_free(s);
}
