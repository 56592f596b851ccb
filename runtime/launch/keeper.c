/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/launch/container.h>

#include <nsrun/base/file.h>
#include <nsrun/kernel/title.h>

#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct keeper {
	const struct plan *plan;
	int report_fd;
};

/* One write of less than PIPE_BUF: whole or not at all. A caller that is gone does not matter to the container. */
static void tell(struct keeper *keeper, const struct keeper_report *report)
{
	if (keeper->report_fd >= 0)
		(void)write_all(keeper->report_fd, report, sizeof(*report));
	closep(&keeper->report_fd);
	keeper->report_fd = FD_NONE;
}

static void tell_begun(const struct launch *launch, void *data)
{
	struct keeper_report report = { .begun = true, .err = ERR_INIT, .cleanup = ERR_INIT };

	memcpy(report.id, launch->plan->id, sizeof(report.id));
	if (chdir("/") < 0) {
		/* it merely keeps a directory busy; what is relative was opened by now */
	}
	tell(data, &report);
}

/* Nothing of the caller: neither its terminal nor its pipes, whose readers wait for the last writer. */
static int leave_caller(int *report_fd, int *client, struct err *err)
{
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	const int first = STDERR_FILENO + 1;

	if (setsid() < 0)
		return err_system(err, "keeper: new session");
	if (null < 0)
		return err_system(err, "/dev/null: open");
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (dup3(null, fd, 0) < 0)
			return err_system(err, "/dev/null: making it descriptor %d", fd);
	/* All between and above the two goes: they become 3 and 4. */
	_cleanup_close_ int report = fcntl(*report_fd, F_DUPFD_CLOEXEC, first + 2);
	_cleanup_close_ int connection = *client < 0 ? FD_NONE : fcntl(*client, F_DUPFD_CLOEXEC, first + 2);
	if (report < 0 || (*client >= 0 && connection < 0) || dup3(report, first, O_CLOEXEC) < 0 ||
	    (connection >= 0 && dup3(connection, first + 1, O_CLOEXEC) < 0))
		return err_system(err, "keeper: its descriptors");
	*report_fd = first;
	if (connection >= 0)
		*client = first + 1;
	(void)TAKE_FD(null);
	(void)TAKE_FD(report);
	(void)TAKE_FD(connection);
	if (close_range(connection >= 0 || *client >= 0 ? first + 2U : first + 1U, ~0U, 0) < 0)
		return err_system(err, "keeper: closing what is the caller's");
	return 0;
}

static _Noreturn void keeper_main(struct plan *plan, struct tape *tape, int report_fd, struct launch_caller *caller)
{
	struct keeper_report report = { .err = ERR_INIT, .cleanup = ERR_INIT };
	struct keeper keeper = { .plan = plan, .report_fd = report_fd };
	struct container_end end = { 0 };
	int r;

	prctl(PR_SET_NAME, "nsrun-keeper");
	r = leave_caller(&keeper.report_fd, &caller->client, &report.err);
	if (r == 0) {
		const struct launch_observer observer = { .begun = tell_begun, .data = &keeper };

		r = container_run(plan, tape, caller, &observer, &end, &report.err);
	}
	report.cleanup = end.cleanup;
	if (r < 0)
		tell(&keeper, &report);
	_exit(r < 0 ? err_exit_status(&report.err) : 0);
}

/* 0: the report is there. */
static int await_report(int fd, pid_t pid, struct keeper_report *report, struct err *err)
{
	size_t n = 0;

	while (n < sizeof(*report)) {
		const ssize_t got = read(fd, (char *)report + n, sizeof(*report) - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_system(err, "keeper: its report");
		if (got == 0)
			break;
		n += (size_t)got;
	}
	if (n == sizeof(*report))
		return 0;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return err_set(err, ERR_PEER, ERR_ID_NONE, ESRCH, "the keeper was killed before the workload was executed");
}

int keeper_start(struct plan *plan, struct tape *tape, struct keeper_report *report, int *ret_client, struct err *err)
{
	_cleanup_close_ int ours = FD_NONE, theirs = FD_NONE, client = FD_NONE;
	struct launch_caller caller = LAUNCH_CALLER_NONE;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_system(err, "keeper: pipe for its report");
	ours = fds[0];
	theirs = fds[1];
	if (ret_client) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
			return err_system(err, "keeper: connection to its caller");
		client = fds[0];
		caller.client = fds[1];
		(void)ioctl(STDIN_FILENO, TIOCGWINSZ, &caller.size);
	}
	pid = fork();
	if (pid == 0) {
		/* Ours, which leave_caller() closes, must not be closed by number after it. */
		(void)TAKE_FD(ours);
		(void)TAKE_FD(client);
		keeper_main(plan, tape, TAKE_FD(theirs), &caller);
	}
	const int failure = errno;
	closep(&caller.client);
	if (pid < 0)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, failure, "keeper: fork");
	closep(&theirs);
	theirs = FD_NONE;
	const int r = await_report(ours, pid, report, err);
	if (r < 0)
		return r;
	/* A launch that failed leaves nothing behind: neither does its keeper. */
	while (!report->begun && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (ret_client)
		*ret_client = TAKE_FD(client);
	return 0;
}
