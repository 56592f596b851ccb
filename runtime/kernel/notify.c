/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/notify.h>

#include <nsrun/base/cleanup.h>
#include <nsrun/base/file.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define MESSAGE_MAX 4096
#define MESSAGES_AT_ONCE 64 /* who sends without end does not keep us from what else there is */
#define BARRIER_MS 5000

static int address_of(const char *text, struct sockaddr_un *ret, socklen_t *ret_size, struct err *err)
{
	const size_t length = strlen(text);
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if ((*text != '/' && *text != '@') || length < 2)
		return err_input(err, "NOTIFY_SOCKET=%.128s: an absolute path, or @ and an abstract name, is wanted",
				 text);
	if (length >= sizeof(address.sun_path))
		return err_input(err, "NOTIFY_SOCKET=%.128s...: longer than %zu bytes (unix(7))", text,
				 sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, text, length);
	if (*text == '@')
		address.sun_path[0] = '\0';
	*ret = address;
	*ret_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	return 0;
}

static int connect_to(const char *text, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = FD_NONE;
	struct sockaddr_un address;
	socklen_t size;

	const int r = address_of(text, &address, &size, err);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, size) < 0)
		return err_system(err, "NOTIFY_SOCKET=%s", text);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int notify_check(const char *address, struct err *err)
{
	_cleanup_close_ int fd = FD_NONE;

	return connect_to(address, &fd, err);
}

int notify_bind(int dir_fd, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (fd < 0)
		return err_system(err, NOTIFY_FILE);
	/* sun_path has 108 bytes, and a state root may be deep. */
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" NOTIFY_FILE, dir_fd);
	if (unlinkat(dir_fd, NOTIFY_FILE, 0) < 0 && errno != ENOENT)
		return err_system(err, NOTIFY_FILE);
	/* Whoever may write to the file may send (unix(7)): the workload's user need not be the container's root. */
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || fchmodat(dir_fd, NOTIFY_FILE, 0777, 0) < 0)
		return err_system(err, NOTIFY_FILE);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static bool has_line(const char *text, const char *wanted)
{
	const size_t n = strlen(wanted);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, wanted, n) == 0 && (line[n] == '\n' || line[n] == '\0'))
			return true;
	}
	return false;
}

bool notify_is_ready(int fd)
{
	char message[MESSAGE_MAX + 1];

	for (int i = 0; i < MESSAGES_AT_ONCE; i++) {
		const ssize_t n = recv(fd, message, MESSAGE_MAX, MSG_DONTWAIT);

		if (n < 0)
			return false;
		message[n] = '\0';
		if (has_line(message, "READY=1"))
			return true;
	}
	return false;
}

/* The supervisor closes its end of the pipe when it has come to this message, which it reads in order. */
static int barrier(int fd, const char *address, struct err *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_system(err, "NOTIFY_SOCKET=%s: pipe", address);
	_cleanup_close_ int reading = ends[0], writing = ends[1];
	if (send_with_fd(fd, "BARRIER=1", writing) < 0)
		return err_system(err, "NOTIFY_SOCKET=%s", address);
	closep(&writing);
	writing = FD_NONE;
	struct pollfd watched = { .fd = reading };
	while (poll(&watched, 1, BARRIER_MS) < 0 && errno == EINTR)
		;
	return 0; /* one that knows no barrier has its message all the same */
}

int notify_tell(const char *address, pid_t main_pid, struct err *err)
{
	_cleanup_close_ int fd = FD_NONE;
	char text[48] = "READY=1\n";

	/* In one message: that of a service's start counts with the process that it names. */
	if (main_pid)
		snprintf(text, sizeof(text), "MAINPID=%d\nREADY=1\n", (int)main_pid);
	const int r = connect_to(address, &fd, err);
	if (r < 0)
		return r;
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		return err_system(err, "NOTIFY_SOCKET=%s", address);
	return main_pid ? barrier(fd, address, err) : 0;
}

static bool is_asked_to_end(int signals)
{
	struct signalfd_siginfo info;

	while (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo == SIGHUP || info.ssi_signo == SIGINT || info.ssi_signo == SIGQUIT ||
		    info.ssi_signo == SIGTERM)
			return true;
	return false;
}

int notify_wait(int fd, const char *address, const struct pidref *process, int signals, struct err *err)
{
	struct pollfd watched[] = { { .fd = fd, .events = POLLIN },
				    { .fd = process->fd, .events = POLLIN },
				    { .fd = signals, .events = POLLIN } };

	for (;;) {
		if (poll(watched, ARRAY_LEN(watched), -1) < 0 && errno != EINTR)
			return err_system(err, "NOTIFY_SOCKET=%s: waiting for READY=1", address);
		/* First: a process that ends may have said it just before. */
		if (notify_is_ready(fd))
			return notify_tell(address, process->pid, err);
		if (watched[1].revents || (watched[2].revents && is_asked_to_end(signals)))
			return 0;
	}
}
