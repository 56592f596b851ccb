/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/launch/hooks.h>

#include <nsrun/base/clock.h>
#include <nsrun/base/file.h>
#include <nsrun/base/pidref.h>
#include <nsrun/base/signal.h>
#include <nsrun/base/strings.h>
#include <nsrun/launch/signals.h>

#include <fcntl.h>
#include <poll.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>

#define LINE_MAX_KEPT 256
#define PATIENCE_MS 1000

/* The last line of an output that may be endless. */
struct tail {
	int fd;
	char line[LINE_MAX_KEPT + 1];
	size_t n;
	bool ended; /* a newline was the last: the next byte begins anew */
};

static void take_bytes(struct tail *tail, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '\n') {
			tail->ended = true;
			continue;
		}
		if (tail->ended)
			tail->n = 0;
		tail->ended = false;
		if (tail->n < LINE_MAX_KEPT)
			tail->line[tail->n++] = bytes[i];
		tail->line[tail->n] = '\0';
	}
}

/* All that is there now; a descendant that keeps the pipe is not waited for. */
static void drain(struct tail *tail)
{
	char bytes[1024];
	ssize_t n = -1;

	while (tail->fd >= 0 && (n = read(tail->fd, bytes, sizeof(bytes))) != 0) {
		if (n > 0)
			take_bytes(tail, bytes, (size_t)n);
		else if (errno != EINTR)
			break;
	}
	if (tail->fd >= 0 && n == 0) {
		closep(&tail->fd);
		tail->fd = FD_NONE;
	}
}

static _Noreturn void execute(enum hook_kind kind, const struct plan_hook *hook, const char *dir, pid_t guard)
{
	const char *const alone[] = { hook->path, NULL }, *const nothing[] = { NULL };

	(void)close_range(STDERR_FILENO + 1, ~0U, 0);
	setsid();
	prctl(PR_SET_PDEATHSIG, (long)SIGKILL);
	/* It ended before prctl(2), which tells nothing of that. */
	if (kind != HOOK_START_CONTAINER && getppid() != guard)
		_exit(127);
	/* Under the filter no call more than must be: its signals are reset already (signals_reset_to_end()). */
	if ((kind == HOOK_START_CONTAINER || signals_reset(NULL) == 0) && (!dir || chdir(dir) == 0))
		execve(hook->path, (char *const *)(hook->argv ? hook->argv : alone),
		       (char *const *)(hook->env ? hook->env : nothing));
	dprintf(STDERR_FILENO, "%s", strerror(errno));
	_exit(127);
}

/* ---- the guard ---- */

/* What became of a hook, as its guard tells. */
struct outcome {
	siginfo_t info;
	bool late;
};

enum { GUARD_RESULT = STDERR_FILENO + 1, GUARD_RUNTIME, GUARD_FDS };

/* True: it has ended. False: it is too late, or the runtime was killed. */
static bool watch(int hook_fd, unsigned timeout_s, bool *ret_late)
{
	struct pollfd fds[] = { { .fd = hook_fd, .events = POLLIN }, { .fd = GUARD_RUNTIME, .events = POLLIN } };
	const uint64_t deadline = now_ms() + timeout_s * UINT64_C(1000);

	for (;;) {
		const uint64_t now = now_ms(), left = now < deadline ? deadline - now : 0;

		if (poll(fds, ARRAY_LEN(fds), timeout_s ? (int)(left < INT_MAX ? left : INT_MAX) : -1) < 0 &&
		    errno != EINTR)
			return false;
		if (fds[0].revents || fds[1].revents)
			return fds[0].revents;
		if (timeout_s && now_ms() >= deadline) {
			*ret_late = true;
			return false;
		}
	}
}

/*
 * The hook's parent: a process between it and the runtime, which nothing but the hook's end, its timeout or the runtime's end makes end. What a killed runtime leaves
 * is then ended with all its process group, as it is after a timeout; the hook's own bond (PR_SET_PDEATHSIG) reaches none of its children. While it is not
 * waited for, its number and so that of its group cannot be another's. A group of its own keeps it from what becomes of the runtime's.
 */
static _Noreturn void guard(enum hook_kind kind, const struct plan_hook *hook, const char *dir, int fds[GUARD_FDS])
{
	_cleanup_(pidref_close) struct pidref process = PIDREF_NONE;
	const pid_t self = getpid();
	struct outcome outcome = { 0 };
	bool ended = true;

	setsid();
	for (int i = 0; i < GUARD_FDS; i++)
		if (dup3(fds[i], i, i > STDERR_FILENO ? O_CLOEXEC : 0) < 0)
			_exit(127);
	(void)close_range(GUARD_FDS, ~0U, 0);
	const pid_t pid = fork();
	if (pid == 0)
		execute(kind, hook, dir, self);
	if (pid < 0 || pidref_open(pid, &process, NULL) < 0) {
		dprintf(STDERR_FILENO, "%s", strerror(errno));
		_exit(127); /* an execute() that has begun ends with its parent */
	}
	/* The runtime waits for the end of their other ends. */
	for (int i = 0; i <= STDERR_FILENO; i++)
		close(i);
	if (!watch(process.fd, hook->timeout, &outcome.late)) {
		kill(-pid, SIGKILL); /* its group; itself, should it not have one yet */
		/* A filter that denies it cannot deny the kernel's own signal at this process' end. */
		ended = pidref_kill(&process, SIGKILL, NULL) == 0;
	}
	if (!ended || pidref_wait(&process, &outcome.info, WEXITED, NULL) == 0)
		(void)!write(GUARD_RESULT, &outcome, sizeof(outcome));
	_exit(0);
}

/* The descriptors of a child must not be among those that are replaced one by one. */
static int above(int fd)
{
	const int moved = fcntl(fd, F_DUPFD_CLOEXEC, GUARD_FDS);

	close(fd);
	return moved;
}

static int make_fds(const char *state, int theirs[GUARD_FDS], struct tail tails[2], int *ret_result, struct err *err)
{
	int fd = memfd_create("state", MFD_CLOEXEC), pair[2];

	theirs[0] = fd < 0 ? FD_NONE : above(fd);
	/* No pipe: a hook that does not read it must not be waited for. */
	if (theirs[0] < 0 || write_all(theirs[0], state, strlen(state)) < 0 || lseek(theirs[0], 0, SEEK_SET) < 0)
		return err_system(err, "hook: its standard input");
	for (int i = 0; i < 2; i++) {
		if (pipe2(pair, O_CLOEXEC) < 0)
			return err_system(err, "hook: its output");
		tails[i].fd = pair[0];
		theirs[1 + i] = above(pair[1]);
		if (theirs[1 + i] < 0 || fcntl(tails[i].fd, F_SETFL, O_NONBLOCK) < 0)
			return err_system(err, "hook: its output");
	}
	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_system(err, "hook: its end");
	*ret_result = pair[0];
	theirs[GUARD_RESULT] = above(pair[1]);
	fd = pidfd_open(getpid(), 0);
	theirs[GUARD_RUNTIME] = fd < 0 ? FD_NONE : above(fd);
	if (theirs[GUARD_RESULT] < 0 || theirs[GUARD_RUNTIME] < 0)
		return err_system(err, "hook: its end");
	return 0;
}

/* Until the guard has ended, and with it the hook. -EINTR: this program is asked to end. */
static int await(const struct pidref *process, struct tail tails[2])
{
	for (;;) {
		struct pollfd fds[] = { { .fd = process->fd, .events = POLLIN },
					{ .fd = tails[0].fd, .events = POLLIN },
					{ .fd = tails[1].fd, .events = POLLIN } };
		const int n = poll(fds, ARRAY_LEN(fds), PATIENCE_MS);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0 && signal_waiting())
			return -EINTR;
		drain(&tails[0]);
		drain(&tails[1]);
		if (fds[0].revents)
			return 0;
	}
}

static int judge(enum hook_kind kind, const struct plan_hook *hook, const siginfo_t *info, bool late,
		 const struct tail *said, struct err *err)
{
	const char *name = hook_kind_name(kind), *colon = said->n ? ": " : "";

	if (late)
		return err_set(err, ERR_INPUT, ERR_ID_NONE, ETIMEDOUT,
			       "%s hook %s: was killed after its timeout of %u seconds%s%s", name, hook->path,
			       hook->timeout, colon, said->line);
	if (info->si_code != CLD_EXITED)
		return err_set(err, ERR_INPUT, ERR_ID_NONE, 0, "%s hook %s: was ended by signal %d (SIG%s)%s%s", name,
			       hook->path, info->si_status,
			       sigabbrev_np(info->si_status) ? sigabbrev_np(info->si_status) : "?", colon, said->line);
	if (info->si_status != 0)
		return err_set(err, ERR_INPUT, ERR_ID_NONE, 0, "%s hook %s: exit status %d%s%s", name, hook->path,
			       info->si_status, colon, said->line);
	return 0;
}

static void close_theirs(int (*fds)[GUARD_FDS])
{
	for (int i = 0; i < GUARD_FDS; i++) {
		closep(&(*fds)[i]);
		(*fds)[i] = FD_NONE;
	}
}

static void close_tails(struct tail (*tails)[2])
{
	closep(&(*tails)[0].fd);
	closep(&(*tails)[1].fd);
}

static int run_one(enum hook_kind kind, const struct plan_hook *hook, const char *state, const char *dir,
		   struct err *err)
{
	_cleanup_(close_theirs) int theirs[GUARD_FDS] = { [0 ... GUARD_FDS - 1] = FD_NONE };
	_cleanup_(close_tails) struct tail tails[2] = { { .fd = FD_NONE }, { .fd = FD_NONE } };
	_cleanup_(pidref_close) struct pidref process = PIDREF_NONE;
	_cleanup_close_ int result = FD_NONE;
	struct outcome outcome = { 0 };
	siginfo_t info = { 0 };

	int r = make_fds(state, theirs, tails, &result, err);
	if (r < 0)
		return r;
	const pid_t pid = fork();
	if (pid == 0)
		guard(kind, hook, dir, theirs);
	if (pid < 0)
		return err_system(err, "%s hook %s: making its process", hook_kind_name(kind), hook->path);
	close_theirs(&theirs);
	r = pidref_open(pid, &process, err);
	if (r < 0)
		return r;
	const int awaited = await(&process, tails);
	if (awaited < 0) /* the hook ends with it */
		(void)pidref_kill(&process, SIGKILL, NULL);
	r = pidref_wait(&process, &info, WEXITED, err);
	drain(&tails[0]);
	drain(&tails[1]);
	if (r < 0)
		return r;
	if (awaited == -EINTR)
		return err_set(err, ERR_INPUT, ERR_ID_NONE, EINTR,
			       "%s hook %s: was killed, since nsrun was asked to end%s%s", hook_kind_name(kind),
			       hook->path, tails[1].n ? ": " : "", tails[1].line);
	/* Without an outcome the guard itself was killed, or could make no process. */
	if (read(result, &outcome, sizeof(outcome)) != sizeof(outcome))
		outcome.info = info;
	return judge(kind, hook, &outcome.info, outcome.late, &tails[1], err);
}

int hooks_run(enum hook_kind kind, const struct plan_hooks *hooks, const char *state, const char *dir, struct err *err)
{
	int r = 0;

	/* What comes after the end goes on: "the remaining hooks and lifecycle continue as if the hook had succeeded". */
	for (size_t i = 0; (r == 0 || kind == HOOK_POSTSTOP) && i < hooks->n; i++) {
		const int one = run_one(kind, &hooks->hooks[i], state, dir, err);

		r = r < 0 ? r : one;
	}
	return r;
}
