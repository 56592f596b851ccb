/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/launch/signals.h>

#include <nsrun/base/strings.h>

#include <sys/signalfd.h>
#include <sys/syscall.h>

int signals_begin(struct signals *ret, struct err *err)
{
	/* Faults are this process' own; SIGTTIN and SIGTTOU are for job control. */
	static const int left[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGTTIN, SIGTTOU };
	const struct sigaction dfl = { .sa_handler = SIG_DFL };
	struct signals signals = SIGNALS_NONE;
	struct sigaction now;
	sigset_t set;

	sigfillset(&set);
	for (size_t i = 0; i < ARRAY_LEN(left); i++)
		sigdelset(&set, left[i]);
	for (int s = 1; s <= SIGRTMAX; s++)
		/* A blocked signal is queued even if it is ignored, so what shall stay ignored must not be blocked. */
		if (s != SIGCHLD && s != SIGPIPE && sigaction(s, NULL, &now) == 0 && now.sa_handler == SIG_IGN)
			sigdelset(&set, s);
	sigaction(SIGCHLD, &dfl, NULL);
	signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals.fd < 0)
		return err_system(err, "signalfd");
	sigprocmask(SIG_BLOCK, &set, &signals.old_mask);
	*ret = signals;
	return 0;
}

void signals_end(struct signals *signals)
{
	struct signalfd_siginfo info;

	if (signals->fd < 0)
		return;
	/* What is still queued came too late for the container, and must not replace its exit status: SIGPIPE of a
	 * write that failed, a second SIGTERM. */
	while (read(signals->fd, &info, sizeof(info)) > 0)
		;
	sigprocmask(SIG_SETMASK, &signals->old_mask, NULL);
	closep(&signals->fd);
	*signals = SIGNALS_NONE;
}

static int set_defaults(struct err *err)
{
	/* struct sigaction as the kernel has it is smaller, and SIG_DFL without flags is all zero; glibc would
	 * leave out the two signals that it keeps for itself. */
	static const unsigned long dfl[8];

	for (int s = 1; s <= SIGRTMAX; s++)
		if (s != SIGKILL && s != SIGSTOP && syscall(SYS_rt_sigaction, s, dfl, NULL, 8) < 0)
			return err_system(err, "signal %d: reset to the default", s);
	return 0;
}

static int clear_mask(struct err *err)
{
	sigset_t none;

	sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? err_system(err, "signal mask: clear") : 0;
}

int signals_reset(struct err *err)
{
	const int r = set_defaults(err);

	return r < 0 ? r : clear_mask(err);
}

static void end_by(int signal)
{
	_exit(128 + signal);
}

/* signal(7): what the others do by default is nothing, or to stop the process. */
static bool is_terminating(int signal)
{
	static const int others[] = { SIGKILL, SIGSTOP, SIGCHLD, SIGURG, SIGWINCH, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU };

	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (signal == others[i])
			return false;
	return true;
}

int signals_reset_to_end(struct err *err)
{
	const struct sigaction end = { .sa_handler = end_by };

	const int r = set_defaults(err);
	if (r < 0)
		return r;
	/* Before the mask: what came meanwhile is delivered then. EINVAL: the two that glibc keeps for itself. */
	for (int s = 1; s <= SIGRTMAX; s++)
		if (is_terminating(s) && sigaction(s, &end, NULL) < 0 && errno != EINVAL)
			return err_system(err, "signal %d: set a handler", s);
	return clear_mask(err);
}
