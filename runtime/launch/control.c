/* SPDX-License-Identifier: Apache-2.0 */
/* The protocol, and its client. */
#include <nsrun/launch/control.h>

#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

struct message {
	struct control_header header;
	unsigned char data[CONTROL_DATA_MAX];
};

/* A path of any length: sun_path has 108 bytes, and a state root may be deep. */
int control_address(int dir_fd, struct sockaddr_un *ret)
{
	const int n = snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/control", dir_fd);

	ret->sun_family = AF_UNIX;
	return n < (int)sizeof(ret->sun_path) ? 0 : -ENAMETOOLONG;
}

int control_connect(const struct container *container, int *ret_fd, struct err *err)
{
	_cleanup_close_ int dir = FD_NONE, fd = FD_NONE;
	struct sockaddr_un address = { 0 };

	dir = open(container->dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return err_system(err, "%s", container->dir);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_system(err, "control socket of %s", container->id);
	control_address(dir, &address);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno == ENOENT)
			return err_set(err, ERR_INPUT, ERR_ID_NO_CONTROL, ENOENT,
				       "%s: was started in the foreground, without a name", container->id);
		if (errno == ECONNREFUSED)
			return err_set(err, ERR_INPUT, ERR_ID_NOT_RUNNING, ECONNREFUSED, "%s: its nsrun has ended",
				       container->id);
		return err_system(err, "control socket of %s", container->id);
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int control_send(int fd, enum control_type type, const void *data, size_t length, struct err *err)
{
	struct message message = { .header = { CONTROL_MAGIC, (uint16_t)type, (uint16_t)length } };
	const size_t size = sizeof(message.header) + length;
	ssize_t n;

	if (length > CONTROL_DATA_MAX)
		return err_bug(err, "control socket: a message of %zu bytes", length);
	if (length)
		memcpy(message.data, data, length);
	do
		n = send(fd, &message, size, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
		return err_set(
			err, ERR_PEER, ERR_ID_NONE, ECONNRESET,
			"the container's nsrun has closed the connection: it was killed, or the container has ended");
	if (n != (ssize_t)size)
		return err_system(err, "control socket: send");
	return 0;
}

/* How much data a message of this type has: 0 when there is no such type. */
static bool length_is_right(unsigned type, size_t length)
{
	switch (type) {
	case CONTROL_ATTACH:
		return length == sizeof(uint32_t);
	case CONTROL_WAIT:
	case CONTROL_INPUT_END:
		return length == 0;
	case CONTROL_SIZE:
		return length == sizeof(uint16_t) * 4; /* struct winsize */
	case CONTROL_INPUT:
	case CONTROL_STDOUT:
	case CONTROL_STDERR:
		return length <= CONTROL_DATA_MAX;
	case CONTROL_END:
		return length == sizeof(int32_t);
	default:
		return false;
	}
}

int control_receive(int fd, enum control_type *ret_type, void *data, size_t *ret_length, struct err *err)
{
	struct control_header header;
	struct iovec iov[] = { { &header, sizeof(header) }, { data, CONTROL_DATA_MAX } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = ARRAY_LEN(iov) };
	ssize_t n;

	/* Without room for control data: descriptors that somebody sends are closed by the kernel (MSG_CTRUNC). */
	do
		n = recvmsg(fd, &msg, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == ECONNRESET)
		n = 0;
	if (n < 0)
		return err_system(err, "control socket: receive");
	if (n == 0) {
		*ret_type = 0;
		*ret_length = 0;
		return 0;
	}
	if ((size_t)n < sizeof(header) || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || header.magic != CONTROL_MAGIC ||
	    header.length != (size_t)n - sizeof(header) || !length_is_right(header.type, header.length))
		return err_set(err, ERR_PEER, ERR_ID_NONE, EPROTO, "control socket: a message that is none of nsrun's");
	*ret_type = header.type;
	*ret_length = header.length;
	return 0;
}

int control_wait(int fd, int *ret_status, struct err *err)
{
	unsigned char data[CONTROL_DATA_MAX];
	enum control_type type;
	int32_t status;
	size_t length;
	int r;

	r = control_send(fd, CONTROL_WAIT, NULL, 0, err);
	if (r < 0)
		return r;
	do {
		r = control_receive(fd, &type, data, &length, err);
		if (r < 0)
			return r;
		if (type == 0)
			return err_set(err, ERR_PEER, ERR_ID_NONE, ECONNRESET,
				       "the container's nsrun was killed before the container had ended");
	} while (type != CONTROL_END);
	memcpy(&status, data, sizeof(status));
	*ret_status = status;
	return 0;
}

/* One key at the beginning of `text`; its length, 0: none. */
static size_t parse_key(const char *text, unsigned char *ret)
{
	const char *key = str_after(text, "ctrl-");
	const size_t n = strcspn(text, ",");

	if (n == 1 && *text > ' ' && *text < 0x7f) {
		*ret = (unsigned char)*text;
		return n;
	}
	/* What a terminal sends for it: the letter without its upper bits (ascii(7)). */
	if (key && n == 6 &&
	    ((*key >= 'a' && *key <= 'z') || (*key >= 'A' && *key <= 'Z') || strchr("@[\\]^_", *key))) {
		*ret = (unsigned char)(*key & 0x1f);
		return n;
	}
	return 0;
}

int control_parse_keys(const char *text, unsigned char ret[CONTROL_KEYS_MAX], size_t *ret_n, struct err *err)
{
	unsigned char keys[CONTROL_KEYS_MAX];
	size_t n = 0;

	for (const char *at = text;; at++) {
		const size_t length = n < CONTROL_KEYS_MAX ? parse_key(at, &keys[n]) : 0;

		if (!length)
			return err_input(
				err,
				"--detach-keys %s: at most %d keys are wanted, with commas in between, each a letter or "
				"ctrl- and one of a-z @ [ \\ ] ^ _",
				text, CONTROL_KEYS_MAX);
		n++;
		at += length;
		if (!*at)
			break;
	}
	memcpy(ret, keys, n);
	*ret_n = n;
	return 0;
}
