/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/sigfate.h>

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>

#include <cmocka.h>

#define STATUS(nspid, blocked, ignored, caught) \
	"Name:\tx\nNSpid:\t" nspid "\nSigBlk:\t" blocked "\nSigIgn:\t" ignored "\nSigCgt:\t" caught "\n"
#define NONE "0000000000000000"
#define TERM "0000000000004000"

static enum sigfate fate(const char *status, int signal)
{
	enum sigfate fate;

	assert_true(sigfate_parse(status, signal, &fate));
	return fate;
}

static void parses(void **state)
{
	enum sigfate ignored;

	(void)state;
	assert_int_equal(fate(STATUS("17\t1", NONE, NONE, TERM), SIGTERM), SIGFATE_TAKEN);
	assert_int_equal(fate(STATUS("17\t1", TERM, NONE, NONE), SIGTERM), SIGFATE_TAKEN);
	assert_int_equal(fate(STATUS("17\t1", TERM, TERM, NONE), SIGTERM), SIGFATE_TAKEN);
	assert_int_equal(fate(STATUS("17\t1", NONE, TERM, NONE), SIGTERM), SIGFATE_IGNORED);
	assert_int_equal(fate(STATUS("17\t1", NONE, NONE, NONE), SIGTERM), SIGFATE_DROPPED);
	assert_int_equal(fate(STATUS("17\t4\t1", NONE, NONE, NONE), SIGTERM), SIGFATE_DROPPED);
	assert_int_equal(fate(STATUS("17\t21", NONE, NONE, NONE), SIGTERM), SIGFATE_DEFAULT);
	assert_int_equal(fate(STATUS("17", NONE, NONE, NONE), SIGTERM), SIGFATE_DEFAULT);
	assert_int_equal(fate(STATUS("1", NONE, NONE, NONE), SIGTERM), SIGFATE_DEFAULT);
	assert_int_equal(fate(STATUS("17\t1", NONE, NONE, TERM), SIGINT), SIGFATE_DROPPED);
	assert_int_equal(fate(STATUS("17\t1", NONE, NONE, NONE), SIGKILL), SIGFATE_TAKEN);
	assert_int_equal(fate(STATUS("17\t1", NONE, NONE, "8000000000000000"), 64), SIGFATE_TAKEN);
	assert_false(sigfate_parse("", SIGTERM, &ignored));
	assert_false(sigfate_parse(STATUS("1", NONE, NONE, NONE), 0, &ignored));
	assert_false(sigfate_parse(STATUS("1", NONE, NONE, NONE), 65, &ignored));
	assert_false(sigfate_parse("\nSigBlk:\tzz\n", SIGTERM, &ignored));
}

static void await_fate(const struct pidref *child, int signal, enum sigfate wanted)
{
	struct err err = ERR_INIT;
	enum sigfate fate = wanted;

	for (int i = 0; i < 3000; i++) {
		assert_int_equal(sigfate_of(child, signal, &fate, &err), 0);
		if (fate == wanted)
			break;
		usleep(10000);
	}
	assert_int_equal(fate, wanted);
}

/* The kernel's own word on PID 1 of a namespace. */
static void process_one(void **state)
{
	struct pidref child = PIDREF_NONE;
	struct err err = ERR_INIT;
	enum sigfate fate;
	int ready[2];
	pid_t pid;
	char c;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWPID) < 0)
			_exit(77);
		pid = fork();
		if (pid == 0) {
			signal(SIGUSR1, _exit);
			alarm(60);
			sigset_t set;
			int got;

			(void)!write(ready[1], &pid, sizeof(pid));
			sigemptyset(&set);
			sigaddset(&set, SIGUSR2);
			sigprocmask(SIG_BLOCK, &set, NULL);
			sigwait(&set, &got); /* first in the call that hides its mask */
			for (;;)
				pause();
		}
		(void)!write(ready[1], &pid, sizeof(pid));
		waitpid(pid, NULL, 0);
		_exit(0);
	}
	close(ready[1]);
	pid_t said[2];
	if (read(ready[0], &said[0], sizeof(pid)) != sizeof(pid)) {
		waitpid(pid, NULL, 0);
		skip(); /* no user namespaces here */
	}
	assert_int_equal(read(ready[0], &said[1], sizeof(pid)), sizeof(pid));
	assert_int_equal(pidref_open(said[0] ? said[0] : said[1], &child, &err), 0);
	usleep(100000);
	await_fate(&child, SIGUSR2, SIGFATE_TAKEN);
	assert_int_equal(pidref_kill(&child, SIGUSR2, &err), 0);
	await_fate(&child, SIGTERM, SIGFATE_DROPPED); /* in pause(2) its mask can be seen */
	assert_int_equal(sigfate_of(&child, SIGUSR1, &fate, &err), 0);
	assert_int_equal(fate, SIGFATE_TAKEN);
	assert_int_equal(pidref_kill(&child, SIGKILL, &err), 0);
	assert_int_equal(read(ready[0], &c, 1), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(sigfate_of(&child, SIGTERM, &fate, &err), -ESRCH);
	pidref_close(&child);
	close(ready[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(process_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
