/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/lab/spawn.h>

#include <nsrun/base/clock.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#define STATUS_NOT_EXECUTED 127
/* Room for a desktop and for every exercise; a fork bomb that somebody types all the same leaves the rest of the pids, of which there
   are 32768 at least (proc_sys_kernel(5)), to the host. */
#define PROCESSES_MAX 8192

static void default_signals(void)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Of a user namespace it is the bound for all its processes together with those of who made it (Linux 5.14), whatever rights they have in there. */
static void bound_processes(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NPROC, &limit) < 0 || limit.rlim_max <= PROCESSES_MAX)
		return;
	limit.rlim_cur = limit.rlim_max = PROCESSES_MAX;
	(void)setrlimit(RLIMIT_NPROC, &limit);
}

static _Noreturn void child(const struct lab_spawn *how, pid_t parent, int input, int output)
{
	/* Its parent may have ended before it could say so. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(STATUS_NOT_EXECUTED);
	default_signals();
	bound_processes();
	if (!how->terminal && setsid() < 0)
		_exit(STATUS_NOT_EXECUTED);
	if (input >= 0 && dup2(input, STDIN_FILENO) < 0)
		_exit(STATUS_NOT_EXECUTED);
	if (output >= 0 && (dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0))
		_exit(STATUS_NOT_EXECUTED);
	if (how->keep_fd >= 0 && fcntl(how->keep_fd, F_SETFD, 0) < 0)
		_exit(STATUS_NOT_EXECUTED);
	if (fchdir(how->dir_fd) < 0)
		_exit(STATUS_NOT_EXECUTED);
	execvp(how->argv[0], (char *const *)how->argv);
	dprintf(STDERR_FILENO, "%s: %s\n", how->argv[0], strerror(errno));
	_exit(STATUS_NOT_EXECUTED);
}

int lab_spawn(const struct lab_spawn *how, struct lab_process *ret, struct err *err)
{
	_cleanup_close_ int null = FD_NONE, reader = FD_NONE, writer = FD_NONE;
	struct lab_process process = LAB_PROCESS_NONE;
	const pid_t parent = getpid();
	int ends[2];

	if (!how->terminal) {
		if (pipe2(ends, O_CLOEXEC) < 0)
			return err_system(err, "%s: pipe", how->argv[0]);
		reader = ends[0];
		writer = ends[1];
		(void)fcntl(reader, F_SETFL, O_NONBLOCK);
	}
	if (!how->terminal || !isatty(STDIN_FILENO)) {
		null = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (null < 0)
			return err_system(err, "/dev/null");
	}
	const pid_t pid = fork();

	if (pid < 0)
		return err_system(err, "%s: fork", how->argv[0]);
	if (pid == 0)
		child(how, parent, null, writer);
	const int r = pidref_open(pid, &process.ref, err);
	if (r < 0) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		return r;
	}
	process.output = TAKE_FD(reader);
	*ret = process;
	return 0;
}

bool lab_process_drain(struct lab_process *process)
{
	char buf[4096];

	while (process->output >= 0) {
		const ssize_t n = read(process->output, buf, sizeof(buf));
		const size_t room = LAB_OUTPUT_MAX - process->size;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0)
			return false;
		const size_t take = (size_t)n < room ? (size_t)n : room;
		char *text = take ? realloc(process->text, process->size + take + 1) : NULL;

		process->cut = process->cut || take < (size_t)n || !text;
		if (!text)
			continue;
		memcpy(text + process->size, buf, take);
		process->size += take;
		text[process->size] = '\0';
		process->text = text;
	}
	return false;
}

/* ^C is typed to the lab: what it waits for has a session of its own. */
static int block_interrupt(sigset_t *ret_old, struct err *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, ret_old) < 0)
		return err_system(err, "SIGINT: block");
	const int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);

	return fd < 0 ? err_system(err, "signalfd") : fd;
}

static void kill_session(const struct lab_process *process)
{
	/* Not reaped yet, so the number is still its own. */
	(void)kill(-process->ref.pid, SIGKILL);
	(void)pidref_kill(&process->ref, SIGKILL, NULL);
}

static const char *wait_and_read(struct lab_process *process, int interrupt, uint64_t end)
{
	const char *how = NULL;
	bool open = process->output >= 0;

	for (;;) {
		struct pollfd fds[] = { { process->ref.fd, POLLIN, 0 },
					{ open ? process->output : -1, POLLIN, 0 },
					{ how ? -1 : interrupt, POLLIN, 0 } };
		const uint64_t now = now_ms();

		if (poll(fds, ARRAY_LEN(fds), how ? -1 : now < end ? (int)(end - now) : 0) < 0 && errno != EINTR)
			return how;
		if (fds[1].revents)
			open = lab_process_drain(process);
		if (fds[0].revents) {
			(void)lab_process_drain(process);
			return how;
		}
		if (!how && (fds[2].revents || now_ms() >= end)) {
			how = fds[2].revents ? "interrupted" : "ended: it took too long";
			kill_session(process);
		}
	}
}

int lab_process_wait(struct lab_process *process, unsigned seconds, int *ret_status, const char **ret_how,
		     struct err *err)
{
	struct signalfd_siginfo ignored;
	siginfo_t info;
	sigset_t old;

	_cleanup_close_ int interrupt = block_interrupt(&old, err);
	if (interrupt < 0)
		return interrupt;
	const char *how = wait_and_read(process, interrupt, now_ms() + seconds * 1000ULL);

	while (read(interrupt, &ignored, sizeof(ignored)) > 0)
		;
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	const int r = pidref_wait(&process->ref, &info, WEXITED, err);

	if (r < 0)
		return r;
	*ret_status = exit_status_of(&info);
	if (ret_how)
		*ret_how = how;
	return 0;
}

void lab_process_done(struct lab_process *process)
{
	pidref_close(&process->ref);
	closep(&process->output);
	free(process->text);
	*process = LAB_PROCESS_NONE;
}

int lab_capture(const char *const *argv, int dir_fd, unsigned seconds, int *ret_status, char **ret_text,
		struct err *err)
{
	_cleanup_(lab_process_done) struct lab_process process = LAB_PROCESS_NONE;
	const struct lab_spawn how = { .argv = argv, .dir_fd = dir_fd, .keep_fd = FD_NONE };
	const char *why = NULL;

	int r = lab_spawn(&how, &process, err);
	if (r == 0)
		r = lab_process_wait(&process, seconds, ret_status, &why, err);
	if (r < 0)
		return r;
	if ((why || process.cut) &&
	    asprintf(ret_text, "%s[%s]\n", process.text ? process.text : "", why ? why : "there is more") >= 0)
		return 0;
	*ret_text = TAKE_PTR(process.text);
	return 0;
}

int lab_with_terminal(const char *const *argv, int dir_fd, int *ret_status, struct err *err)
{
	_cleanup_(lab_process_done) struct lab_process process = LAB_PROCESS_NONE;
	const struct lab_spawn how = { .argv = argv, .dir_fd = dir_fd, .keep_fd = FD_NONE, .terminal = true };
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct sigaction interrupt, quit;
	siginfo_t info;

	int r = lab_spawn(&how, &process, err);
	if (r < 0)
		return r;
	/* As system(3): the keys are for what has the terminal. */
	(void)sigaction(SIGINT, &ignore, &interrupt);
	(void)sigaction(SIGQUIT, &ignore, &quit);
	r = pidref_wait(&process.ref, &info, WEXITED, err);
	(void)sigaction(SIGINT, &interrupt, NULL);
	(void)sigaction(SIGQUIT, &quit, NULL);
	if (r == 0)
		*ret_status = exit_status_of(&info);
	return r;
}
