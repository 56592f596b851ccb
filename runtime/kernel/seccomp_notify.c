/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/seccomp_notify.h>

#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#define SEND_TIMEOUT_S 10 /* a listener that accepts and does not read must not hold the launch up for ever */
#define POLL_NS 20000

int seccomp_listener_connect(const char *path, const char *said, int *ret_fd, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct timeval timeout = { .tv_sec = SEND_TIMEOUT_S };
	_cleanup_close_ int fd = FD_NONE;

	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(err, ERR_INPUT, ERR_ID_SECCOMP_LISTENER, ENAMETOOLONG, "%s: %s", said, path);
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_system(err, "%s: socket", said);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return err_system_id(err, ERR_ID_SECCOMP_LISTENER, "%s: %s", said, path);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

enum { WAITING = -1, GIVEN_UP = -2 };

struct courier {
	int socket;
	const char *message;
	_Atomic int listener; /* WAITING, GIVEN_UP or the descriptor */
	_Atomic int result;   /* 1: it works yet; 0 or -errno */
};

static int send_all(int fd, const char *message, int listener)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec part = { .iov_base = (void *)(uintptr_t)message, .iov_len = strlen(message) };
	struct msghdr m = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control.room)
	};
	struct cmsghdr *const c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &listener, sizeof(int));
	while (part.iov_len) {
		const ssize_t n = sendmsg(fd, &m, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		/* Descriptors go with the first part alone. */
		m.msg_control = NULL;
		m.msg_controllen = 0;
		part.iov_base = (char *)part.iov_base + n;
		part.iov_len -= (size_t)n;
	}
	return shutdown(fd, SHUT_RDWR) < 0 ? -errno : 0;
}

static void *carry(void *data)
{
	struct courier *courier = data;
	const struct timespec pause = { .tv_nsec = POLL_NS };
	int listener;

	while ((listener = atomic_load_explicit(&courier->listener, memory_order_acquire)) == WAITING)
		nanosleep(&pause, NULL);
	const int result = listener == GIVEN_UP ? 0 : send_all(courier->socket, courier->message, listener);

	/* Here, since the other thread may not be able to: what waits for start keeps neither. */
	close(courier->socket);
	if (listener >= 0)
		close(listener);
	atomic_store_explicit(&courier->result, result, memory_order_release);
	return NULL;
}

static int start_courier(struct courier *courier, pthread_t *ret, struct err *err)
{
	sigset_t all, before;

	/* Signals are for the thread that becomes the workload. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	const int r = pthread_create(ret, NULL, carry, courier);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, r, "seccomp: thread for the listener");
	return 0;
}

int seccomp_program_load_notify(const struct seccomp_program *program, int socket, const char *message,
				const char *said, struct err *err)
{
	struct courier courier = { .socket = socket, .message = message, .listener = WAITING, .result = 1 };
	struct sock_fprog prog = { .len = program->len, .filter = (struct sock_filter *)(uintptr_t)program->insns };
	/* The only other thread must not get the filter, and there is nobody else whom TSYNC could mean. */
	const unsigned flags =
		(program->flags & ~(unsigned)SECCOMP_FILTER_FLAG_TSYNC) | SECCOMP_FILTER_FLAG_NEW_LISTENER;
	static const uint64_t none[6];
	const bool yields = seccomp_evaluate(program, SYS_sched_yield, none) == SECCOMP_RET_ALLOW;
	pthread_t thread;

	const int r = start_courier(&courier, &thread, err);
	if (r < 0) {
		close(socket);
		return r;
	}
	const long listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
	if (listener < 0) {
		const int errnum = errno;

		atomic_store_explicit(&courier.listener, GIVEN_UP, memory_order_release);
		pthread_join(thread, NULL);
		errno = errnum;
		return err_system(err, "seccomp(SECCOMP_SET_MODE_FILTER, NEW_LISTENER) of %u instructions",
				  program->len);
	}
	atomic_store_explicit(&courier.listener, (int)listener, memory_order_release);
	/* No call from here on but one that the filter lets through: a thread of a real-time policy would keep the other one from its only processor. */
	int result;
	while ((result = atomic_load_explicit(&courier.result, memory_order_acquire)) == 1)
		if (yields)
			(void)syscall(SYS_sched_yield);
	if (result < 0)
		return err_set(err, ERR_SYSTEM, ERR_ID_SECCOMP_LISTENER, -result, "%s: sending the descriptor", said);
	return 0;
}
