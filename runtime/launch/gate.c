/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/launch/gate.h>

#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#define GATE_MAGIC UINT32_C(0x6e736774)
#define GATE_CLIENTS 8 /* that have connected and say nothing; one more replaces the oldest */

enum gate_word { GATE_START = 1, GATE_TAKEN };

struct gate_message {
	uint32_t magic;
	uint32_t word;	    /* enum gate_word */
	uint32_t tape_size; /* of another nsrun's build: an unlike tape is not read */
	uint32_t rows;
};

union gate_control {
	struct cmsghdr header;
	char buffer[CMSG_SPACE(sizeof(int))];
};

static struct gate_message message_of(enum gate_word word)
{
	return (struct gate_message){ GATE_MAGIC, word, sizeof(struct tape), STEP_COUNT };
}

/* A path of any length: sun_path has 108 bytes, and a state root may be deep. */
static int address_of(int dir_fd, struct sockaddr_un *ret)
{
	ret->sun_family = AF_UNIX;
	snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/gate", dir_fd);
	return 0;
}

int gate_listen(const char *dir, int *ret_listener, struct err *err)
{
	_cleanup_close_ int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int fd = FD_NONE;
	struct sockaddr_un address = { 0 };

	if (dir_fd >= 0)
		fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || address_of(dir_fd, &address) < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, GATE_CLIENTS) < 0)
		return err_system(err, "%s/gate", dir);
	*ret_listener = TAKE_FD(fd);
	return 0;
}

/* ---- init ---- */

struct gate {
	int listener, signals;
	int clients[GATE_CLIENTS];
	size_t n;
};

static void gate_close(struct gate *gate)
{
	closep(&gate->signals);
	while (gate->n > 0)
		closep(&gate->clients[--gate->n]);
}

static void drop(struct gate *gate, size_t i)
{
	closep(&gate->clients[i]);
	memmove(&gate->clients[i], &gate->clients[i + 1], (--gate->n - i) * sizeof(int));
}

static void accept_one(struct gate *gate)
{
	const int fd = accept4(gate->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (gate->n == GATE_CLIENTS)
		drop(gate, 0);
	gate->clients[gate->n++] = fd;
}

/* Has it said start? A client that has gone is dropped. */
static bool says_start(struct gate *gate, size_t i)
{
	struct gate_message message = { 0 };
	const ssize_t n = recv(gate->clients[i], &message, sizeof(message), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n == (ssize_t)sizeof(message) && message.magic == GATE_MAGIC && message.word == GATE_START)
		return true;
	drop(gate, i);
	return false;
}

static bool send_taken(int client, int tape_fd)
{
	struct gate_message message = message_of(GATE_TAKEN);
	struct iovec iov = { &message, sizeof(message) };
	union gate_control control = { 0 };
	struct msghdr header = { .msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control.buffer,
				 .msg_controllen = sizeof(control.buffer) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&header);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &tape_fd, sizeof(int));
	return sendmsg(client, &header, MSG_NOSIGNAL) == (ssize_t)sizeof(message);
}

/* What a process that is no PID 1 would do by default (signal(7)). */
static bool is_terminating(int signal)
{
	static const int others[] = { SIGCHLD, SIGURG, SIGWINCH, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU };

	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (signal == others[i])
			return false;
	return true;
}

static void take_signals(struct gate *gate)
{
	struct signalfd_siginfo info;

	while (read(gate->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (is_terminating((int)info.ssi_signo))
			_exit(128 + (int)info.ssi_signo);
}

/* The index of a client that was taken; -1: none yet. */
static int look(struct gate *gate, int tape_fd)
{
	for (size_t i = 0; i < gate->n;) {
		const size_t n = gate->n;

		if (says_start(gate, i)) {
			if (send_taken(gate->clients[i], tape_fd))
				return (int)i;
			drop(gate, i); /* it has gone meanwhile */
		} else if (gate->n == n) {
			i++;
		}
	}
	return -1;
}

int gate_wait(int listener, int tape_fd, int *ret_client, struct err *err)
{
	_cleanup_(gate_close) struct gate gate = { .listener = listener, .signals = FD_NONE };
	sigset_t blocked;
	int taken;

	/* They are blocked since the launch began. */
	sigprocmask(SIG_SETMASK, NULL, &blocked);
	gate.signals = signalfd(-1, &blocked, SFD_CLOEXEC | SFD_NONBLOCK);
	if (gate.signals < 0)
		return err_system(err, "signalfd");
	do {
		struct pollfd fds[2 + GATE_CLIENTS] = { { .fd = gate.signals, .events = POLLIN },
							{ .fd = gate.listener, .events = POLLIN } };

		for (size_t i = 0; i < gate.n; i++)
			fds[2 + i] = (struct pollfd){ .fd = gate.clients[i], .events = POLLIN };
		if (poll(fds, 2 + gate.n, -1) < 0 && errno != EINTR)
			return err_system(err, "gate: waiting for start");
		take_signals(&gate);
		taken = look(&gate, tape_fd);
		if (taken < 0 && fds[1].revents)
			accept_one(&gate);
	} while (taken < 0);
	*ret_client = TAKE_FD(gate.clients[taken]);
	drop(&gate, (size_t)taken);
	return 0;
}

/* ---- start ---- */

static int connect_gate(const struct container *container, int *ret_fd, struct err *err)
{
	_cleanup_close_ int dir = open(container->dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int fd = FD_NONE;
	struct sockaddr_un address = { 0 };

	if (dir < 0)
		return err_system(err, "%s", container->dir);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_system(err, "gate of %s", container_label(container));
	address_of(dir, &address);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno == ECONNREFUSED || errno == ENOENT)
			return -EALREADY;
		return err_system(err, "gate of %s", container_label(container));
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* -EALREADY: the connection ended before it was taken. */
static int receive_taken(int fd, struct gate_message *ret, int *ret_tape, struct err *err)
{
	struct iovec iov = { ret, sizeof(*ret) };
	union gate_control control = { 0 };
	struct msghdr header = { .msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control.buffer,
				 .msg_controllen = sizeof(control.buffer) };
	ssize_t n;

	do
		n = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n == 0 || (n < 0 && (errno == ECONNRESET || errno == EPIPE)))
		return -EALREADY;
	if (n < 0)
		return err_system(err, "gate: receiving");
	const struct cmsghdr *c = CMSG_FIRSTHDR(&header);
	if (n != (ssize_t)sizeof(*ret) || ret->magic != GATE_MAGIC || ret->word != GATE_TAKEN || !c ||
	    c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)))
		return err_bug(err, "gate: malformed message of %zd bytes", n);
	memcpy(ret_tape, CMSG_DATA(c), sizeof(int));
	return 0;
}

static int judge_tape(const struct gate_message *taken, int tape_fd, const struct container *container, struct err *err)
{
	const struct tape *tape;
	int r = 0;

	if (taken->tape_size != sizeof(*tape) || taken->rows != STEP_COUNT)
		return 0; /* of another build: the end of file is all that there is */
	tape = mmap(NULL, sizeof(*tape), PROT_READ, MAP_SHARED, tape_fd, 0);
	if (tape == MAP_FAILED)
		return err_system(err, "gate: the tape of the launch");
	const uint32_t at = atomic_load_explicit(&tape->at[role_index(ROLE_WORKLOAD)], memory_order_acquire);
	if (atomic_load_explicit(&tape->child_failed, memory_order_acquire)) {
		*err = tape->child_error;
		err->message[sizeof(err->message) - 1] = '\0';
		r = err->errnum > 0 ? -err->errnum : -EINVAL;
	} else if (atomic_load_explicit(&tape->records[STEP_WORKLOAD_EXEC].state, memory_order_acquire) != TAPE_BEGUN) {
		r = err_set(err, ERR_PEER, ERR_ID_NONE, ESRCH,
			    "%s: its init was killed before it executed the workload", container_label(container));
		err->step = at > STEP_NONE && at < STEP_COUNT ? (int)at : STEP_GATE_WAIT;
		err->role = ROLE_WORKLOAD;
	}
	munmap((void *)tape, sizeof(*tape));
	return r;
}

int gate_start(const struct container *container, struct err *err)
{
	const struct gate_message start = message_of(GATE_START);
	_cleanup_close_ int fd = FD_NONE, tape = FD_NONE;
	struct gate_message taken = { 0 };
	char byte;
	ssize_t n;

	int r = connect_gate(container, &fd, err);
	if (r < 0)
		return r;
	do
		n = send(fd, &start, sizeof(start), MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EPIPE && errno != ECONNRESET)
		return err_system(err, "gate of %s: saying start", container_label(container));
	r = receive_taken(fd, &taken, &tape, err);
	if (r < 0)
		return r;
	/* Nothing is said any more: what ends is the wait. */
	do
		n = recv(fd, &byte, sizeof(byte), 0);
	while (n > 0 || (n < 0 && errno == EINTR));
	return judge_tape(&taken, tape, container, err);
}
