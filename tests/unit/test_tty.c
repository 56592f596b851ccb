/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/tty.h>

#include <dirent.h>
#include <fcntl.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

static void settings(int fd, struct termios *t)
{
	memset(t, 0, sizeof(*t));
	assert_int_equal(tcgetattr(fd, t), 0);
}

static bool same(int fd, const struct termios *wanted)
{
	struct termios now;

	settings(fd, &now);
	return memcmp(&now, wanted, sizeof(now)) == 0;
}

static bool is_raw(int fd)
{
	struct termios now;

	settings(fd, &now);
	return !(now.c_lflag & (ICANON | ECHO | ISIG | IEXTEN)) && !(now.c_oflag & OPOST) &&
	       !(now.c_iflag & (ICRNL | IXON));
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
}

static void open_pair(void **state)
{
	_cleanup_close_ int dir = open("/dev/pts", O_PATH | O_DIRECTORY | O_CLOEXEC),
			    wrong = open("/tmp", O_PATH | O_CLOEXEC);
	_cleanup_close_ int master = FD_NONE, peer = FD_NONE;
	struct err err = ERR_INIT;
	char byte;

	(void)state;
	assert_int_equal(tty_open_pty(wrong, &master, &peer, &err), -EXDEV);
	assert_true(err_is_set(&err));
	assert_int_equal(master, FD_NONE);
	err = ERR_INIT;
	if (dir < 0 || (faccessat(AT_FDCWD, "/dev/pts/ptmx", R_OK | W_OK, AT_EACCESS) < 0)) {
		print_message("/dev/pts/ptmx cannot be opened by this user (mount option ptmxmode)\n");
		skip();
	}
	assert_int_equal(tty_open_pty(dir, &master, &peer, &err), 0);
	assert_true(isatty(peer));
	assert_int_equal(fcntl(master, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(peer, F_GETFD), FD_CLOEXEC);
	assert_int_equal(write(master, "x\n", 2), 2);
	assert_int_equal(read(peer, &byte, 1), 1);
	assert_int_equal(byte, 'x');
}

static void size(void **state)
{
	struct winsize a = { .ws_row = 33, .ws_col = 77 }, b = { 0 };
	int m1, p1, m2, p2;

	(void)state;
	assert_int_equal(openpty(&m1, &p1, NULL, NULL, &a), 0);
	assert_int_equal(openpty(&m2, &p2, NULL, NULL, NULL), 0);
	assert_int_equal(tty_copy_size(p1, m2), 0);
	ioctl(p2, TIOCGWINSZ, &b);
	assert_int_equal(b.ws_row, 33);
	assert_int_equal(b.ws_col, 77);
	close(m1);
	close(p1);
	close(m2);
	close(p2);
	p1 = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(tty_copy_size(p1, p1), -ENOTTY);
	close(p1);
}

static void raw(void **state)
{
	struct termios before, saved, *p = &saved;
	struct err err = ERR_INIT;
	int master, peer;

	(void)state;
	assert_int_equal(openpty(&master, &peer, NULL, NULL, NULL), 0);
	settings(peer, &before);
	assert_int_equal(tty_set_raw(peer, p, &err), 0);
	assert_true(is_raw(peer));
	assert_int_equal(tty_restore(peer, p), 0);
	assert_true(same(peer, &before));
	close(master);
	close(peer);
	peer = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(tty_set_raw(peer, p, &err), -ENOTTY);
	assert_true(err_is_set(&err));
	close(peer);
}

static void controlling(void **state)
{
	int master, peer, status;
	pid_t pid;

	(void)state;
	assert_int_equal(openpty(&master, &peer, NULL, NULL, NULL), 0);
	pid = fork();
	if (pid == 0) {
		struct err err = ERR_INIT;

		fcntl(peer, F_SETFD, FD_CLOEXEC);
		if (tty_make_controlling(peer, &err) < 0)
			_exit(1);
		if (getsid(0) != getpid() || tcgetpgrp(0) != getpid() || !isatty(1) || fcntl(2, F_GETFD) != 0)
			_exit(2);
		_exit(open("/dev/tty", O_RDWR) >= 0 ? 0 : 3);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	close(master);
	close(peer);
}

/* A process like nsrun: session leader on the terminal, with a guard, in raw mode. Reports the guard's pid. */
static pid_t start_guarded(int peer, int report)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct tty_guard guard = TTY_GUARD_NONE;
		struct err err = ERR_INIT;
		struct termios saved;
		char word;

		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test must leave nothing that holds its output */
		setsid();
		if (ioctl(peer, TIOCSCTTY, 0) < 0 || tty_save(peer, &saved, &err) < 0 ||
		    tty_guard_start(peer, &saved, &guard, &err) < 0 || tty_set_raw(peer, &saved, &err) < 0)
			_exit(1);
		if (write(report, &guard.pid, sizeof(guard.pid)) != sizeof(guard.pid))
			_exit(1);
		/* The word to end well comes through the same socket. */
		if (read(report, &word, 1) == 1) {
			tty_restore(peer, &saved);
			if (word == 'x') /* as if somebody else had changed it since */
				tty_set_raw(peer, &saved, &err);
			tty_guard_end(&guard);
			/* no zombie and no guard is left */
			_exit(guard.control_fd == FD_NONE && waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD ? 0 : 2);
		}
		_exit(3);
	}
	return pid;
}

struct guarded {
	int master, peer, report;
	pid_t pid, guard;
	struct termios before;
};

static void begin(struct guarded *g)
{
	int pair[2];

	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0); /* an orphaned guard comes to us */
	assert_int_equal(openpty(&g->master, &g->peer, NULL, NULL, NULL), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	settings(g->peer, &g->before);
	g->pid = start_guarded(g->peer, pair[1]);
	close(pair[1]);
	g->report = pair[0];
	assert_int_equal(read(g->report, &g->guard, sizeof(g->guard)), sizeof(g->guard));
	assert_true(is_raw(g->peer));
}

static void end(struct guarded *g)
{
	close(g->report);
	close(g->master);
	close(g->peer);
}

/* The guard, now our child, ends by itself within two seconds. */
static void guard_ended(const struct guarded *g)
{
	for (int i = 0; i < 200; i++) {
		if (waitpid(g->guard, NULL, WNOHANG) == g->guard)
			return;
		nap();
	}
	kill(g->guard, SIGKILL);
	fail_msg("the guard lives on");
}

static void guard_restores(void **state)
{
	struct guarded g;

	(void)state;
	begin(&g);
	kill(g.pid, SIGKILL);
	waitpid(g.pid, NULL, 0);
	guard_ended(&g);
	assert_true(same(g.peer, &g.before));
	end(&g);
}

static void guard_dismissed(void **state)
{
	struct guarded g;
	int status;

	(void)state;
	begin(&g);
	assert_int_equal(write(g.report, "r", 1), 1);
	waitpid(g.pid, &status, 0);
	assert_int_equal(status, 0);
	assert_true(same(g.peer, &g.before));
	end(&g);
	/* Told that all is restored, it touches nothing, even if the terminal is raw when its owner dies. */
	begin(&g);
	assert_int_equal(write(g.report, "x", 1), 1);
	waitpid(g.pid, &status, 0);
	assert_int_equal(status, 0);
	assert_true(is_raw(g.peer));
	end(&g);
}

static void guard_keeps_newer_settings(void **state)
{
	struct guarded g;
	struct termios shell;

	(void)state;
	begin(&g);
	settings(g.peer, &shell);
	shell.c_lflag |= ISIG; /* what a line editor does */
	shell.c_oflag |= OPOST;
	assert_int_equal(tcsetattr(g.peer, TCSANOW, &shell), 0);
	kill(g.pid, SIGKILL);
	waitpid(g.pid, NULL, 0);
	guard_ended(&g);
	assert_true(same(g.peer, &shell));
	end(&g);
}

static void guard_is_apart(void **state)
{
	struct termios cooked;
	struct guarded g;
	char path[64], line[256];
	int n = 0, fd;
	DIR *dir;

	(void)state;
	fd = fcntl(1, F_DUPFD, 400); /* something that must not stay open in it */
	begin(&g);
	for (int i = 0; i < 100 && getsid(g.guard) != g.guard; i++)
		nap();
	assert_int_equal(getsid(g.guard), g.guard);
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)g.guard);
	for (int i = 0; i < 100; i++, nap()) {
		n = 0;
		dir = opendir(path);
		assert_non_null(dir);
		for (struct dirent *e = readdir(dir); e; e = readdir(dir))
			n += e->d_name[0] != '.';
		closedir(dir);
		if (n == 3)
			break;
	}
	assert_int_equal(n, 3); /* terminal, control, pidfd */
	/* ^C and the other signals of a terminal, and a hang-up */
	settings(g.peer, &cooked);
	cooked.c_lflag |= ISIG;
	assert_int_equal(kill(g.guard, SIGINT), 0);
	assert_int_equal(kill(g.guard, SIGHUP), 0);
	assert_int_equal(kill(g.guard, SIGTERM), 0);
	assert_int_equal(kill(g.guard, SIGTSTP), 0);
	nap();
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)g.guard);
	{
		_cleanup_fclose_ FILE *f = fopen(path, "re");

		assert_non_null(f);
		assert_non_null(fgets(line, sizeof(line), f));
		assert_non_null(strstr(line, ") S"));
	}
	kill(g.pid, SIGKILL);
	waitpid(g.pid, NULL, 0);
	guard_ended(&g);
	assert_true(same(g.peer, &g.before));
	end(&g);
	close(fd);
}

/* A job in the background is stopped by SIGTTOU before it reads or changes anything, although the signal is blocked. */
static void background(void **state)
{
	int master, peer, status, pair[2];
	pid_t leader;
	char word = 0;

	(void)state;
	assert_int_equal(openpty(&master, &peer, NULL, NULL, NULL), 0);
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	leader = fork();
	if (leader == 0) {
		pid_t job;

		setsid();
		if (ioctl(peer, TIOCSCTTY, 0) < 0)
			_exit(1);
		job = fork();
		if (job == 0) {
			struct termios saved;
			struct err err = ERR_INIT;
			sigset_t all;

			setpgid(0, 0);
			sigfillset(&all);
			sigprocmask(SIG_SETMASK, &all, NULL);
			_exit(tty_set_raw(peer, &saved, &err) == 0 && is_raw(peer) && (saved.c_lflag & ISIG) ? 7 : 8);
		}
		setpgid(job, job);
		if (waitpid(job, &status, WUNTRACED) != job || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGTTOU ||
		    is_raw(peer))
			_exit(2);
		kill(-job, SIGCONT); /* bg: stops again */
		if (waitpid(job, &status, WUNTRACED) != job || !WIFSTOPPED(status) || is_raw(peer))
			_exit(3);
		tcsetpgrp(peer, job); /* fg */
		kill(-job, SIGCONT);
		if (waitpid(job, &status, WUNTRACED) != job || !WIFEXITED(status) || WEXITSTATUS(status) != 7)
			_exit(4);
		if (write(pair[1], "k", 1) != 1)
			_exit(5);
		_exit(0);
	}
	close(pair[1]);
	alarm(20);
	assert_int_equal(read(pair[0], &word, 1), 1);
	assert_int_equal(waitpid(leader, &status, 0), leader);
	alarm(0);
	assert_int_equal(status, 0);
	close(pair[0]);
	close(master);
	close(peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_pair),
		cmocka_unit_test(size),
		cmocka_unit_test(raw),
		cmocka_unit_test(controlling),
		cmocka_unit_test(guard_restores),
		cmocka_unit_test(guard_dismissed),
		cmocka_unit_test(guard_is_apart),
		cmocka_unit_test(guard_keeps_newer_settings),
		cmocka_unit_test(background),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
