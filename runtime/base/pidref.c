/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/base/pidref.h>

#include <poll.h>
#include <sys/pidfd.h>

int pidref_open(pid_t pid, struct pidref *ret, struct err *err)
{
	const int fd = pidfd_open(pid, 0); /* close-on-exec by itself */

	if (fd < 0)
		return err_system(err, "pidfd of process %d", (int)pid);
	*ret = (struct pidref){ .pid = pid, .fd = fd };
	return 0;
}

void pidref_close(struct pidref *p)
{
	closep(&p->fd);
	*p = PIDREF_NONE;
}

int pidref_kill(const struct pidref *p, int signal, struct err *err)
{
	if (pidfd_send_signal(p->fd, signal, NULL, 0) < 0 && errno != ESRCH)
		return err_system(err, "signal %d to process %d", signal, (int)p->pid);
	return 0;
}

int pidref_wait(const struct pidref *p, siginfo_t *ret, int options, struct err *err)
{
	siginfo_t info = { 0 };

	while (waitid(P_PIDFD, (id_t)p->fd, &info, options) < 0)
		if (errno != EINTR)
			return err_system(err, "waiting for process %d", (int)p->pid);
	*ret = info;
	return 0;
}

bool pidref_ended(const struct pidref *p)
{
	struct pollfd poll_fd = { .fd = p->fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) > 0;
}

int exit_status_of(const siginfo_t *info)
{
	return info->si_code == CLD_EXITED ? info->si_status : 128 + info->si_status;
}
