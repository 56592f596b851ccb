/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/launch/channel.h>

#include <nsrun/base/signal.h>

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define PATIENCE_MS 1000
#define CHANNEL_MAGIC UINT32_C(0x6e73726e) /* "nsrn" */

enum message_type { MESSAGE_SYNC = 1 };

struct message {
	uint32_t magic;
	uint16_t type; /* enum message_type */
	uint16_t step; /* enum step_id */
	uint32_t size; /* of the whole message */
};

struct fd_list {
	size_t n;
	int fds[CHANNEL_FDS_MAX];
};

static void fd_list_close(struct fd_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		close(list->fds[i]);
	list->n = 0;
}

union fd_control {
	struct cmsghdr header;
	/* One more than is allowed, so that it is noticed. */
	char buffer[CMSG_SPACE(sizeof(int) * (CHANNEL_FDS_MAX + 1))];
};

int channel_open(int *ret_runtime, int *ret_init, struct err *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_system(err, "socket pair between the runtime and init");
	*ret_runtime = pair[0];
	*ret_init = pair[1];
	return 0;
}

static int peer_ended(struct err *err)
{
	return err_set(err, ERR_PEER, ERR_ID_NONE, ESRCH, "the other side of the launch has ended");
}

int channel_send(int channel, enum step_id step, const int *fds, size_t n_fds, struct err *err)
{
	struct message message = { CHANNEL_MAGIC, MESSAGE_SYNC, (uint16_t)step, sizeof(message) };
	struct iovec iov = { &message, sizeof(message) };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
	union fd_control control = { 0 };
	ssize_t n;

	if (n_fds > CHANNEL_FDS_MAX)
		return err_bug(err, "channel: %zu descriptors for %s", n_fds, score[step].name);
	if (n_fds) {
		header.msg_control = control.buffer;
		header.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&header);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	do
		n = sendmsg(channel, &header, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
		return peer_ended(err);
	if (n != (ssize_t)sizeof(message))
		return err_system(err, "channel: sending %s", score[step].name);
	return 0;
}

/* Collects the descriptors of a message; more than are allowed are closed and refused. */
static int take_fds(struct msghdr *header, struct fd_list *list, struct err *err)
{
	size_t n_fds = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		const size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (n_fds++ < ARRAY_LEN(list->fds))
				list->fds[list->n++] = fd;
			else
				close(fd);
		}
	}
	if (n_fds > list->n || (header->msg_flags & MSG_CTRUNC))
		return err_bug(err, "channel: %zu descriptors in one message", n_fds);
	return 0;
}

/*
 * Waits until the channel can be read or its peer has ended. 1: readable; 0: the peer ended and left no message. Signals are kept for the workload,
 * but a process that joins a hostile container can be stopped there for good: who asks this program to end must not wait as long.
 */
static int wait_readable(int channel, const struct pidref *peer, struct err *err)
{
	struct pollfd fds[] = { { .fd = channel, .events = POLLIN }, { .fd = peer->fd, .events = POLLIN } };
	char name[SIGNAL_NAME_SIZE];
	int n;

	while ((n = poll(fds, ARRAY_LEN(fds), PATIENCE_MS)) <= 0) {
		const int signal = n == 0 ? signal_waiting() : 0;

		if (n < 0 && errno != EINTR)
			return err_system(err, "channel: waiting");
		if (signal)
			return err_set(err, ERR_INPUT, ERR_ID_NONE, EINTR,
				       "%s came, and the other side of the launch does not go on",
				       signal_name(signal, name));
	}
	if (fds[0].revents & POLLIN)
		return 1;
	if (fds[0].revents)
		return 0;
	/* The pidfd alone: a message sent just before the end would have made both readable in one look, but the two are not read at one
	 * instant. Look once more. */
	return poll(fds, 1, 0) > 0 && (fds[0].revents & POLLIN);
}

static int receive(int channel, const struct pidref *peer, struct message *ret, struct fd_list *list, struct err *err)
{
	struct message message = { 0 };
	struct iovec iov = { &message, sizeof(message) };
	union fd_control control = { 0 };
	struct msghdr header = { .msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control.buffer,
				 .msg_controllen = sizeof(control.buffer) };
	ssize_t n;

	int r = wait_readable(channel, peer, err);
	if (r <= 0)
		return r;
	do
		n = recvmsg(channel, &header, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != ECONNRESET)
		return err_system(err, "channel: receiving");
	if (n <= 0)
		return 0;

	r = take_fds(&header, list, err);
	if (r < 0)
		return r;
	if (n != (ssize_t)sizeof(message) || (header.msg_flags & MSG_TRUNC) || message.magic != CHANNEL_MAGIC ||
	    message.size != sizeof(message) || message.type != MESSAGE_SYNC || message.step >= STEP_COUNT)
		return err_bug(err, "channel: malformed message of %zd bytes", n);
	*ret = message;
	return 1;
}

int channel_expect(int channel, const struct pidref *peer, enum step_id step, int *ret_fds, size_t n, struct err *err)
{
	_cleanup_(fd_list_close) struct fd_list list = { 0 };
	struct message message;

	const int r = receive(channel, peer, &message, &list, err);
	if (r < 0)
		return r;
	if (r == 0)
		return peer_ended(err);
	if (message.step != step)
		return err_bug(err, "channel: %s came, %s was expected", score[message.step].name, score[step].name);
	if (list.n != n)
		return err_bug(err, "channel: %zu descriptors came with %s, %zu were expected", list.n,
			       score[step].name, n);
	memcpy(ret_fds, list.fds, n * sizeof(*ret_fds));
	list.n = 0;
	return 0;
}

int channel_write(int channel, enum step_id step, struct err *err)
{
	const struct message message = { CHANNEL_MAGIC, MESSAGE_SYNC, (uint16_t)step, sizeof(message) };
	ssize_t n;

	do
		n = write(channel, &message, sizeof(message));
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
		return peer_ended(err);
	return n == (ssize_t)sizeof(message) ? 0 : err_system(err, "channel: sending %s", score[step].name);
}

int channel_read(int channel, enum step_id step, struct err *err)
{
	struct message message = { 0 };
	ssize_t n;

	do
		n = read(channel, &message, sizeof(message));
	while (n < 0 && errno == EINTR);
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return peer_ended(err);
	if (n < 0)
		return err_system(err, "channel: receiving %s", score[step].name);
	if (n != (ssize_t)sizeof(message) || message.magic != CHANNEL_MAGIC || message.step != step)
		return err_bug(err, "channel: malformed message of %zd bytes, %s was expected", n, score[step].name);
	return 0;
}

int channel_wait_end(int channel, const struct pidref *peer, struct err *err)
{
	_cleanup_(fd_list_close) struct fd_list list = { 0 };
	struct message message;

	const int r = receive(channel, peer, &message, &list, err);
	if (r > 0)
		return err_bug(err, "channel: %s came, its end was expected", score[message.step].name);
	return r;
}
