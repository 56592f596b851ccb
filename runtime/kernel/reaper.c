/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/reaper.h>

#include <nsrun/base/pidref.h>

#include <signal.h>
#include <sys/wait.h>

/* Reaps all that have ended. True when the workload was among them, with its status. */
static bool reap(pid_t workload, int *ret_status)
{
	bool ended = false;

	for (;;) {
		siginfo_t info = { 0 };

		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | __WALL) < 0) {
			if (errno == EINTR)
				continue;
			return ended; /* ECHILD */
		}
		if (info.si_pid == 0)
			return ended;
		if (info.si_pid == workload) {
			*ret_status = exit_status_of(&info);
			ended = true;
		}
	}
}

static void forward(pid_t workload, int signal, bool *stopped)
{
	/* -1 is every process of this pid namespace but PID 1; for any other caller it would be every process of
	 * the host. */
	pid_t everyone = getpid() == 1 ? -1 : workload;

	switch (signal) {
	case SIGCHLD:
	case SIGPIPE:
	case SIGURG:
	case SIGWINCH: /* the terminal tells its foreground group itself */
	case SIGTTIN:
	case SIGTTOU:
		return;
	case SIGTSTP:
		/* The supervisor stops the container: every process but this one, which has to hear the SIGCONT. */
		kill(everyone, SIGSTOP);
		*stopped = true;
		return;
	case SIGCONT:
		kill(*stopped ? everyone : workload, SIGCONT);
		*stopped = false;
		return;
	default:
		kill(workload, signal);
	}
}

int reaper_run(pid_t workload)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT };
	bool stopped = false;
	sigset_t set;
	int status = 0;

	/* PID 1 never sees a signal that it neither handles nor blocks (pid_namespaces(7)); a blocked one is kept
	 * for sigwaitinfo(2). An inherited "ignore" for SIGCHLD would make the kernel throw the statuses away
	 * (wait(2), notes). */
	sigfillset(&set);
	for (size_t i = 0; i < ARRAY_LEN(faults); i++)
		sigdelset(&set, faults[i]);
	sigprocmask(SIG_SETMASK, &set, NULL);
	sigaction(SIGCHLD, &dfl, NULL);

	/* SIGCHLD is one pending bit for any number of children, and none for those that ended before the mask was
	 * set: each round reaps all there are, and the first comes before any waiting. */
	while (!reap(workload, &status)) {
		siginfo_t info;
		int signal = sigwaitinfo(&set, &info);

		if (signal > 0)
			forward(workload, signal, &stopped);
	}
	return status;
}
