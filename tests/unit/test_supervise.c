/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/launch/supervise.h>

#include <nsrun/kernel/reaper.h>
#include <nsrun/kernel/tty.h>

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

/*
 * Each test has a supervisor process (what nsrun is after the launch), and an "init" that is its child and runs one
 * of the functions below, on a pty or not. The test is the user: it holds the other ends.
 */
typedef int (*inside)(void);

static void nap(long ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

static int supervisor(inside init, int in_fd, int out_fd, bool with_pty)
{
	struct signals signals = SIGNALS_NONE;
	struct pidref ref = PIDREF_NONE;
	int master = FD_NONE, peer = FD_NONE;
	struct supervised end = { .status = -1 };
	struct err err = ERR_INIT;

	if (signals_begin(&signals, &err) < 0 || (with_pty && openpty(&master, &peer, NULL, NULL, NULL) < 0))
		return 201;
	ref.pid = fork();
	if (ref.pid == 0) {
		if (signals_reset(&err) < 0)
			_exit(202);
		closep(&master);
		closep(&in_fd);
		closep(&out_fd);
		if (with_pty ? tty_make_controlling(peer, &err) < 0 : setsid() < 0)
			_exit(203);
		if (peer > 2)
			close(peer);
		_exit(init());
	}
	closep(&peer);
	if (pidref_open(ref.pid, &ref, &err) < 0)
		return 204;
	if (supervise(&(struct supervision){ .init = &ref,
					     .signals = &signals,
					     .pty_master = master,
					     .outputs = { FD_NONE, FD_NONE },
					     .input = FD_NONE,
					     .stdin_fd = in_fd,
					     .stdout_fd = out_fd },
		      &end, &err) < 0) {
		fprintf(stderr, "supervise: %s\n", err.message);
		return 205;
	}
	signals_end(&signals);
	return end.status;
}

/* The supervisor has a group of its own, like a shell's job. close_fd: the user's ends, not to be held by it. */
static pid_t start(inside init, int in_fd, int out_fd, bool with_pty, const int *user_fds, size_t n)
{
	pid_t pid = fork();

	if (pid == 0) {
		setpgid(0, 0);
		for (size_t i = 0; i < n; i++)
			close(user_fds[i]);
		alarm(4 * 60);
		_exit(supervisor(init, in_fd, out_fd, with_pty));
	}
	setpgid(pid, pid);
	return pid;
}

static int ended(pid_t pid)
{
	int status = 0;

	for (int i = 0; i < 24000; i++) { /* four minutes: 20,000 forks are slow with a sanitizer, on a busy machine */
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
		nap(10);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return -1;
}

/* --- without a terminal --- */

static int exit_7(void)
{
	return 7;
}

static int die_by_term(void)
{
	raise(SIGTERM);
	return 1;
}

static volatile sig_atomic_t seen[65];

static void note(int signal)
{
	seen[signal]++;
}

/* Ready when it has written; ends by SIGUSR2, with the number of the other signals that came. */
static int ready_fd;
static int count_signals(void)
{
	static const int those[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGUSR1,
				     SIGUSR2, SIGALRM, SIGCHLD, SIGPIPE, SIGWINCH };
	sigset_t none;
	int n = 0;

	for (size_t i = 0; i < ARRAY_LEN(those); i++)
		signal(those[i], note);
	signal(SIGRTMIN + 1, note);
	if (write(ready_fd, "r", 1) != 1)
		return 100;
	sigemptyset(&none);
	while (!seen[SIGUSR2])
		poll(NULL, 0, 20);
	for (int i = 1; i < 65; i++)
		n += seen[i] > 0 && i != SIGUSR2;
	return n;
}

static void statuses(void **state)
{
	(void)state;
	assert_int_equal(ended(start(exit_7, 0, 1, false, NULL, 0)), 7);
	assert_int_equal(ended(start(die_by_term, 0, 1, false, NULL, 0)), 143);
}

static void forwards(void **state)
{
	static const int forwarded[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGALRM, 35, SIGTERM, SIGTERM };
	static const int kept[] = { SIGCHLD, SIGPIPE, SIGURG, SIGWINCH };
	int pair[2];
	pid_t pid;
	char byte;

	(void)state;
	assert_int_equal(SIGRTMIN + 1, 35);
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	ready_fd = pair[1];
	pid = start(count_signals, 0, 1, false, NULL, 0);
	assert_int_equal(read(pair[0], &byte, 1), 1);
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		kill(pid, kept[i]);
	for (size_t i = 0; i < ARRAY_LEN(forwarded); i++) {
		kill(pid, forwarded[i]); /* none ends the supervisor, also not the third SIGTERM */
		nap(20);
	}
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	kill(pid, SIGUSR2);
	assert_int_equal(ended(pid), 7);
	close(pair[0]);
	close(pair[1]);
}

/* nohup: what the caller ignores is not passed on, and yet the inside starts with the default. */
static int hup_is_default(void)
{
	struct sigaction now;
	sigset_t mask;

	sigprocmask(SIG_SETMASK, NULL, &mask);
	for (int s = 1; s < 65; s++)
		if (sigismember(&mask, s) == 1)
			return 50;
	for (int s = 1; s < 65; s++)
		if (sigaction(s, NULL, &now) == 0 && now.sa_handler != SIG_DFL)
			return 51;
	return write(ready_fd, "r", 1) == 1 ? poll(NULL, 0, 300) + 9 : 52;
}

static void ignored_stays_ignored(void **state)
{
	int pair[2];
	pid_t pid;
	char byte;

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	ready_fd = pair[1];
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN); /* would lose the status */
	pid = start(hup_is_default, 0, 1, false, NULL, 0);
	signal(SIGHUP, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	assert_int_equal(read(pair[0], &byte, 1), 1);
	kill(pid, SIGHUP);
	assert_int_equal(ended(pid), 9);
	close(pair[0]);
	close(pair[1]);
}

static int tell_pid(void)
{
	pid_t pid = getpid();

	if (write(ready_fd, &pid, sizeof(pid)) != sizeof(pid))
		return 1;
	poll(NULL, 0, 300);
	return 0;
}

static char process_state(pid_t pid)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[32], state = '?';

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	return f && fscanf(f, "%*d %*s %c", &state) == 1 ? state : '?';
}

static void stops_and_continues(void **state)
{
	int pair[2], status;
	pid_t pid, init;

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	ready_fd = pair[1];
	pid = start(tell_pid, 0, 1, false, NULL, 0);
	assert_int_equal(read(pair[0], &init, sizeof(init)), sizeof(init));
	alarm(4 * 20);
	kill(pid, SIGTSTP);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(WSTOPSIG(status), SIGTSTP);
	for (int i = 0; i < 100 && process_state(init) != 'T'; i++)
		nap(10);
	assert_int_equal(process_state(init), 'T');
	nap(400);
	assert_int_equal(process_state(init), 'T');
	kill(pid, SIGCONT);
	assert_int_equal(ended(pid), 0);
	alarm(0);
	close(pair[0]);
	close(pair[1]);
}

/* --- with a pty --- */

#define MANY (3 << 20)

static void raw_inside(void)
{
	struct termios t;

	tcgetattr(0, &t);
	cfmakeraw(&t);
	tcsetattr(0, TCSANOW, &t);
}

static char pattern(size_t i)
{
	return (char)('a' + i * 7 % 26);
}

static int write_many(void)
{
	char data[8191];

	raw_inside();
	for (size_t i = 0; i < MANY;) {
		size_t n = 0;

		for (; n < sizeof(data) && i + n < MANY; n++)
			data[n] = pattern(i + n);
		for (size_t done = 0; done < n;) {
			ssize_t w = write(1, data + done, n - done);

			if (w < 0)
				return 1;
			done += (size_t)w;
		}
		i += n;
	}
	return 3;
}

/* Nothing is lost, slow reader or not, and the end arrives although init has long ended. */
static void output_is_whole(void **state)
{
	(void)state;
	for (int slow = 0; slow < 2; slow++) {
		int out[2], in = open("/dev/null", O_RDONLY | O_CLOEXEC);
		char data[10007];
		size_t got = 0;
		ssize_t n;
		pid_t pid;

		assert_int_equal(pipe2(out, O_CLOEXEC), 0);
		pid = start(write_many, in, out[1], true, &out[0], 1);
		close(out[1]);
		while ((n = read(out[0], data, slow && got > MANY - 200000 ? 4001 : sizeof(data))) > 0) {
			for (ssize_t i = 0; i < n; i++) /* VEOF of the empty input is not echoed: the inside is raw */
				if (got + (size_t)i < MANY && data[i] != pattern(got + (size_t)i))
					fail_msg("byte %zu differs", got + (size_t)i);
			got += (size_t)n;
			if (slow && got > MANY - 200000)
				nap(5);
		}
		assert_int_equal(got, MANY);
		assert_int_equal(ended(pid), 3);
		close(out[0]);
		close(in);
	}
}

static int read_many(void)
{
	size_t got = 0;
	char data[4096];

	raw_inside();
	if (write(1, "r", 1) != 1)
		return 9;
	while (got < MANY) {
		ssize_t n = read(0, data, sizeof(data));

		if (n <= 0)
			return 1;
		for (ssize_t i = 0; i < n; i++)
			if (data[i] != pattern(got + (size_t)i))
				return 2;
		got += (size_t)n;
		if (got % 50 == 0)
			nap(1);
	}
	return 0;
}

static void input_is_whole(void **state)
{
	int pair[2];
	char byte, data[65521];
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pid = start(read_many, pair[1], pair[1], true, &pair[0], 1);
	close(pair[1]);
	assert_int_equal(read(pair[0], &byte, 1), 1);
	for (size_t i = 0; i < MANY;) {
		size_t n = 0;

		for (; n < sizeof(data) && i + n < MANY; n++)
			data[n] = pattern(i + n);
		for (size_t done = 0; done < n;) {
			ssize_t w = send(pair[0], data + done, n - done, MSG_NOSIGNAL);

			assert_true(w > 0);
			done += (size_t)w;
		}
		i += n;
	}
	assert_int_equal(ended(pid), 0);
	close(pair[0]);
}

/* As cat reads: counts the bytes until the end of file. */
static int count_input(void)
{
	char data[256];
	ssize_t n;
	int got = 0;

	while ((n = read(0, data, sizeof(data))) > 0)
		got += (int)n;
	return n < 0 ? 99 : got;
}

static void end_of_input(void **state)
{
	static const struct {
		const char *text;
		int bytes;
	} rows[] = { { "", 0 }, { "abc\n", 4 }, { "abc\nde", 6 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int in[2], out = open("/dev/null", O_WRONLY | O_CLOEXEC);
		FILE *file = tmpfile();

		assert_int_equal(pipe2(in, O_CLOEXEC), 0);
		assert_int_equal(write(in[1], rows[i].text, strlen(rows[i].text)), strlen(rows[i].text));
		close(in[1]);
		assert_int_equal(ended(start(count_input, in[0], out, true, NULL, 0)), rows[i].bytes);
		close(in[0]);
		/* a regular file, which epoll refuses */
		fputs(rows[i].text, file);
		rewind(file);
		assert_int_equal(ended(start(count_input, fileno(file), out, true, NULL, 0)), rows[i].bytes);
		fclose(file);
		close(out);
	}
}

static int write_lines(void)
{
	while (write(1, "y\n", 2) == 2)
		;
	return errno == EIO ? 44 : 45;
}

static int wait_for_hangup(void)
{
	char byte;

	signal(SIGHUP, note);
	if (write(1, "r", 1) != 1)
		return 1;
	while (read(0, &byte, 1) > 0 || (errno == EINTR && !seen[SIGHUP]))
		;
	for (int i = 0; i < 100 && !seen[SIGHUP]; i++)
		nap(10);
	return seen[SIGHUP] ? 45 : 46;
}

static void lost_line(void **state)
{
	int out[2], in = open("/dev/null", O_RDONLY | O_CLOEXEC), master, peer;
	char data[100];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid = start(write_lines, in, out[1], true, &out[0], 1);
	close(out[1]);
	assert_true(read(out[0], data, sizeof(data)) > 0);
	close(out[0]); /* head has seen enough: SIGHUP from the pty, or EIO */
	assert_int_equal(ended(pid), 128 + SIGHUP);
	close(in);

	assert_int_equal(openpty(&master, &peer, NULL, NULL, NULL), 0);
	pid = start(wait_for_hangup, peer, peer, true, &master, 1);
	close(peer);
	assert_true(read(master, data, sizeof(data)) > 0);
	close(master); /* the window is closed */
	assert_int_equal(ended(pid), 45);
}

static int close_terminal_and_sleep(void)
{
	char *name = ttyname(0);

	/* The last close takes the controlling terminal away (SIGHUP, and no /dev/tty any more). */
	signal(SIGHUP, SIG_IGN);
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	nap(600);
	if (open(name, O_RDWR) != 0 || write(0, "back", 4) != 4)
		return 1;
	nap(50);
	return 6;
}

static int sleep_a_while(void)
{
	raw_inside(); /* no echo */
	if (write(1, "r", 1) != 1)
		return 1;
	nap(600);
	return 6;
}

/* Waiting costs nothing: idle, with nobody on the pty, with the user's side gone, with input that nobody reads. */
static void no_busy_loop(void **state)
{
	static const inside rows[] = { sleep_a_while, close_terminal_and_sleep, sleep_a_while, sleep_a_while };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rusage usage;
		int pair[2], status;
		char data[64];
		pid_t pid;

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		pid = start(rows[i], pair[1], pair[1], true, &pair[0], 1);
		close(pair[1]);
		if (i != 1)
			assert_int_equal(recv(pair[0], data, 1, 0), 1);
		if (i == 2)
			shutdown(pair[0], SHUT_RDWR);
		if (i == 3) {
			_cleanup_free_ char *much = calloc(1, 300000);

			memset(much, 'x', 300000);
			send(pair[0], much, 300000, MSG_DONTWAIT | MSG_NOSIGNAL);
		}
		if (i == 1) /* what is written after the peer was opened again arrives */
			assert_int_equal(recv(pair[0], data, sizeof(data), 0), 4);
		while (wait4(pid, &status, 0, &usage) < 0)
			;
		assert_int_equal(status, 6 << 8);
		if (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec > 0 ||
		    usage.ru_utime.tv_usec + usage.ru_stime.tv_usec > 200000)
			fail_msg("row %zu: %ld us of processor time", i,
				 usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
		close(pair[0]);
	}
}

static int report_sizes(void)
{
	struct winsize size = { 0 };

	signal(SIGWINCH, note);
	for (int i = 0; i < 300; i++) {
		ioctl(0, TIOCGWINSZ, &size);
		if (size.ws_row == 31 && size.ws_col == 91)
			break;
		nap(10);
	}
	seen[SIGWINCH] = 0; /* of the size copied at the start */
	if (size.ws_row != 31 || write(1, "A", 1) != 1)
		return 1;
	for (int i = 0; i < 300 && (!seen[SIGWINCH] || size.ws_row != 50); i++) {
		nap(10);
		ioctl(0, TIOCGWINSZ, &size);
	}
	return seen[SIGWINCH] && size.ws_row == 50 && size.ws_col == 100 ? 0 : 2;
}

static void sizes(void **state)
{
	struct winsize size = { .ws_row = 31, .ws_col = 91 };
	int master, peer;
	pid_t pid;
	char byte;

	(void)state;
	assert_int_equal(openpty(&master, &peer, NULL, NULL, &size), 0);
	pid = start(report_sizes, peer, peer, true, &master, 1);
	close(peer);
	assert_int_equal(read(master, &byte, 1), 1);
	nap(50);
	size = (struct winsize){ .ws_row = 50, .ws_col = 100 };
	ioctl(master, TIOCSWINSZ, &size);
	kill(pid, SIGWINCH); /* the terminal is not the supervisor's controlling one here */
	assert_int_equal(ended(pid), 0);
	close(master);
}

/* --- the reaper, in a pid namespace of its own --- */

static int in_pid_namespace(inside pid1)
{
	pid_t pid = fork();

	if (pid == 0) {
		int status;
		pid_t one;

		if (unshare(CLONE_NEWPID | (geteuid() ? CLONE_NEWUSER : 0)) < 0)
			_exit(77);
		one = fork();
		if (one == 0)
			_exit(getpid() == 1 ? pid1() : 78);
		alarm(4 * 60);
		waitpid(one, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	}
	return ended(pid);
}

static int reap_workload(inside workload)
{
	sigset_t all;
	pid_t pid;

	sigfillset(&all); /* a signal of the workload must not be lost before the reaper listens */
	sigprocmask(SIG_SETMASK, &all, NULL);
	pid = fork();
	if (pid == 0) {
		struct err err = ERR_INIT;

		signals_reset(&err);
		_exit(workload());
	}
	return reaper_run(pid);
}

/* Orphans that end at once: their parents have gone, so PID 1 gets them. All are reaped before the workload ends. */
static int orphans(int n)
{
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			fork();
			_exit(0);
		}
		if (pid < 0)
			return 1;
		waitpid(pid, NULL, 0);
	}
	for (int i = 0; i < 500; i++) {
		/* only PID 1 and this process are left: no other can be signalled */
		signal(SIGUSR1, SIG_IGN);
		if (process_state(3) == '?' && kill(-1, 0) < 0)
			break;
		nap(10);
	}
	return 0;
}

static int ten_thousand(void)
{
	return orphans(10000) ? 1 : 21;
}

static int thousand_zombies(void)
{
	/* A parent that does not wait, with a thousand zombies, goes away: all of them come to PID 1 at once. */
	pid_t pid = fork();

	if (pid == 0) {
		for (int i = 0; i < 1000; i++)
			if (fork() == 0)
				_exit(0);
		nap(200);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	for (int i = 0; i < 500 && kill(-1, 0) == 0; i++)
		nap(10);
	return errno == ESRCH ? 22 : 1;
}

static int kill_self(void)
{
	return raise(SIGKILL);
}

static int signals_through(void)
{
	signal(SIGTERM, note);
	signal(SIGUSR1, note);
	kill(1, SIGTERM); /* would be ignored by a PID 1 without handlers */
	kill(1, SIGUSR1);
	for (int i = 0; i < 300 && !(seen[SIGTERM] && seen[SIGUSR1]); i++)
		nap(10);
	return seen[SIGTERM] && seen[SIGUSR1] ? 23 : 1;
}

/* SIGTSTP to PID 1 stops this process and its child; the next SIGCONT, from a process that cannot be stopped,
 * continues both. */
static int stop_all(void)
{
	struct timespec before, after;
	siginfo_t info;
	pid_t pid = fork();

	if (pid == 0) {
		nap(5000);
		_exit(0);
	}
	clock_gettime(CLOCK_MONOTONIC, &before);
	kill(1, SIGTSTP);
	nap(100);
	/* continued by the test after 400 ms */
	clock_gettime(CLOCK_MONOTONIC, &after);
	if ((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 < 300)
		return 1;
	memset(&info, 0, sizeof(info));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return 24;
}

static int run_ten_thousand(void)
{
	return reap_workload(ten_thousand);
}
static int run_thousand_zombies(void)
{
	return reap_workload(thousand_zombies);
}
static int run_exit_7(void)
{
	return reap_workload(exit_7);
}
static int run_kill_self(void)
{
	return reap_workload(kill_self);
}
static int run_signals(void)
{
	return reap_workload(signals_through);
}
static int run_stop(void)
{
	return reap_workload(stop_all);
}
static int run_late(void)
{
	/* The workload ended, and SIGCHLD was thrown away, before the reaper began. */
	pid_t pid = fork();

	if (pid == 0)
		_exit(25);
	nap(100);
	signal(SIGCHLD, SIG_IGN);
	return reaper_run(pid);
}

static void reaper(void **state)
{
	static const struct {
		inside run;
		int status;
	} rows[] = { { run_exit_7, 7 },	       { run_kill_self, 137 },	     { run_signals, 23 },
		     { run_ten_thousand, 21 }, { run_thousand_zombies, 22 }, { run_late, 25 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int status = in_pid_namespace(rows[i].run);

		if (status == 77) {
			print_message("this user may not make a pid namespace\n");
			skip();
		}
		if (status != rows[i].status)
			fail_msg("row %zu: status %d, wanted %d", i, status, rows[i].status);
	}
}

static void reaper_stops(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0) {
		pid_t one;

		if (unshare(CLONE_NEWPID | (geteuid() ? CLONE_NEWUSER : 0)) < 0)
			_exit(77);
		one = fork();
		if (one == 0)
			_exit(run_stop());
		alarm(4 * 20);
		nap(500);
		kill(one, SIGCONT);
		waitpid(one, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
	}
	status = ended(pid);
	if (status == 77) {
		print_message("this user may not make a pid namespace\n");
		skip();
	}
	assert_int_equal(status, 24);
}

int main(void)
{
	/* What a caller ignores is not passed on: behind `nohup`, or in the background of a script, they would be. */
	signal(SIGHUP, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);

	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statuses),
		cmocka_unit_test(forwards),
		cmocka_unit_test(ignored_stays_ignored),
		cmocka_unit_test(stops_and_continues),
		cmocka_unit_test(output_is_whole),
		cmocka_unit_test(input_is_whole),
		cmocka_unit_test(end_of_input),
		cmocka_unit_test(lost_line),
		cmocka_unit_test(no_busy_loop),
		cmocka_unit_test(sizes),
		cmocka_unit_test(reaper),
		cmocka_unit_test(reaper_stops),
	};

	signal(SIGPIPE, SIG_DFL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
