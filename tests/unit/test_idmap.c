/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/helper.h>
#include <nsrun/kernel/idmap.h>
#include <nsrun/kernel/probe.h>

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define MAP(...)                                                                                             \
	(&(struct idmap){ .n = sizeof((struct idmap_extent[]){ __VA_ARGS__ }) / sizeof(struct idmap_extent), \
			  .extents = { __VA_ARGS__ } })

static void checks_maps(void **state)
{
	const struct idmap *good[] = {
		MAP({ 0, 100000, 65536 }),
		MAP({ 0, 1000, 1 }, { 1, 100000, 65536 }),
		MAP({ 0, 0, UINT32_MAX }),
		MAP({ 5, 4294967294, 1 }),
	};
	const struct idmap *bad[] = {
		&(struct idmap){ .n = 0 },
		&(struct idmap){ .n = IDMAP_EXTENTS_MAX + 1 },
		MAP({ 0, 100000, 0 }),
		MAP({ 0, 4294967294, 2 }),
		MAP({ 4294967295, 0, 1 }),
		MAP({ 0, UINT32_MAX, UINT32_MAX }),
		MAP({ 0, 100000, 10 }, { 9, 200000, 10 }),
		MAP({ 0, 100000, 10 }, { 10, 100009, 10 }),
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(idmap_check(good[i], "map", NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = ERR_INIT;

		if (idmap_check(bad[i], "map", &err) >= 0)
			fail_msg("bad map %zu was accepted", i);
		assert_true(err_is_set(&err));
	}
}

static void translates_and_formats(void **state)
{
	const struct idmap *map = MAP({ 0, 1000, 1 }, { 1, 100000, 10 });
	uint32_t id = 7;
	char text[64];

	(void)state;
	assert_true(idmap_to_outside(map, 10, &id));
	assert_int_equal(id, 100009);
	assert_false(idmap_to_outside(map, 11, &id));
	assert_true(idmap_to_inside(map, 1000, &id));
	assert_int_equal(id, 0);
	assert_false(idmap_to_inside(map, 100010, &id));
	assert_false(idmap_to_inside(map, 0, &id));
	assert_int_equal(idmap_format(map, text, sizeof(text)), 21);
	assert_string_equal(text, "0 1000 1\n1 100000 10\n");
}

static void makes_a_userns(void **state)
{
	const struct idmap *uids = MAP({ 0, 100000, 65536 }), *gids = MAP({ 0, 200000, 65536 });
	struct err err = ERR_INIT;
	struct stat ours, st;
	int fd = FD_NONE;

	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: needs root\n");
		skip();
	}
	if (idmap_make_userns(uids, gids, &fd, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(stat("/proc/self/ns/user", &ours), 0);
	assert_int_not_equal(st.st_ino, ours.st_ino);
	/* and its maps are those: joined from a child */
	pid_t pid = fork();
	if (pid == 0)
		_exit(setns(fd, CLONE_NEWUSER) == 0 && setuid(0) == 0 &&
				      syscall(SYS_setresgid, 65535, 65535, 65535) == 0
			      ? 0
			      : 1);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(fd);
	/* no child was left behind */
	assert_int_equal(waitpid(-1, &status, WNOHANG | __WALL), -1);
	err = ERR_INIT;
	fd = FD_NONE;
	assert_true(idmap_make_userns(MAP({ 0, 1, 0 }), gids, &fd, &err) < 0);
	assert_int_equal(fd, FD_NONE);
	assert_int_equal(waitpid(-1, &status, WNOHANG | __WALL), -1);
}

static void finds_and_runs_helpers(void **state)
{
	static const char *const words[] = { "sh", "-c",
					     "echo out; echo err >&2; env | sort; ls /proc/self/fd | wc -l; exit 3",
					     NULL };
	static const char *const much[] = { "sh", "-c", "yes | head -c 300000", NULL };
	char path[256], output[512];
	struct err err = ERR_INIT;
	int status;

	(void)state;
	assert_int_equal(helper_find("relative:/nonexistent", "sh", path, sizeof(path)), 0);
	assert_int_equal(path[0], '/');
	assert_int_equal(helper_find(NULL, "../bin/sh", path, sizeof(path)), -ENOENT);
	assert_int_equal(helper_find(NULL, "no-such-helper", path, sizeof(path)), -ENOENT);
	assert_int_equal(helper_run("/bin/sh", words, NULL, output, sizeof(output), &status, &err), 0);
	assert_int_equal(status, 3);
	assert_non_null(strstr(output, "out\nerr\n"));
	assert_non_null(strstr(output, "LC_ALL=C\n"));
	assert_null(strstr(output, "HOME="));
	assert_int_equal(helper_run("/bin/sh", much, NULL, output, sizeof(output), &status, &err), 0);
	assert_int_equal(status, 0);
	assert_int_equal(strlen(output), sizeof(output) - 1);
	assert_int_equal(helper_run("/nonexistent", much, NULL, output, sizeof(output), &status, &err), -ENOENT);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static pid_t start_waiting(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		alarm(30);
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	return pid;
}

/* After a moment, from another process. */
static pid_t signal_later(pid_t target, int signal)
{
	pid_t pid = fork();

	if (pid == 0) {
		usleep(500000); /* the program has written by then, on a busy machine too */
		_exit(kill(target, signal) < 0);
	}
	assert_true(pid > 0);
	return pid;
}

static const char *const hang[] = { "sh", "-c", "echo words; exec sleep 30", NULL };

static void helper_ends_with_whom_it_serves(void **state)
{
	char output[64];
	struct err err = ERR_INIT;
	struct pidref served;
	pid_t pid, killer;
	int status = 77;
	double begin;

	(void)state;
	pid = start_waiting();
	assert_int_equal(pidref_open(pid, &served, &err), 0);
	killer = signal_later(pid, SIGKILL);
	begin = now();
	assert_int_equal(helper_run("/bin/sh", hang, &served, output, sizeof(output), &status, &err), -ESRCH);
	assert_true(now() - begin < 20); /* the program would sleep for 30 */
	assert_int_equal(err.kind, ERR_PEER);
	assert_string_equal(output, "words\n");
	assert_int_equal(status, 77);
	pidref_close(&served);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(waitpid(killer, &status, 0), killer);
	assert_int_equal(waitpid(-1, &status, WNOHANG), -1); /* the program was ended and reaped */
}

static void helper_ends_by_a_signal(void **state)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };
	const struct timespec at_once = { 0 };
	char output[64];
	pid_t pid, killer;
	struct pidref served;
	sigset_t set;
	int status;

	(void)state;
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaddset(&set, signals[i]);
	pid = start_waiting();
	assert_int_equal(pidref_open(pid, &served, NULL), 0);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		struct err err = ERR_INIT;
		double begin = now();

		killer = signal_later(getpid(), signals[i]);
		assert_int_equal(helper_run("/bin/sh", hang, &served, output, sizeof(output), &status, &err), -EINTR);
		assert_true(now() - begin < 20);
		assert_int_not_equal(err.kind, ERR_PEER);
		assert_int_equal(sigtimedwait(&set, NULL, &at_once),
				 signals[i]); /* it is still there for the supervisor */
		assert_int_equal(waitpid(killer, &status, 0), killer);
	}
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	kill(pid, SIGKILL);
	pidref_close(&served);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(waitpid(-1, &status, WNOHANG), -1);
}

static bool executes_sleep(int pid)
{
	char path[64], text[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	FILE *f = fopen(path, "r");
	const bool sleeps = f && fgets(text, sizeof(text), f) && strcmp(text, "sleep\n") == 0;

	if (f)
		fclose(f);
	return sleeps;
}

/* The caller is killed while a program runs for it: does that live on? */
static bool outlives_its_caller(bool bound)
{
	char path[] = "/tmp/nsrun-idmap-XXXXXX", command[128], text[32] = "";
	const char *const words[] = { "sh", "-c", command, NULL };
	int file = mkstemp(path), status, program = 0;
	pid_t pid, served;
	bool lives = true;

	assert_true(file >= 0);
	snprintf(command, sizeof(command), "echo $$ > %s; exec sleep 60", path);
	served = start_waiting();
	pid = fork();
	if (pid == 0) {
		struct pidref ref;
		char output[64];

		if (pidref_open(served, &ref, NULL) == 0)
			helper_run("/bin/sh", words, bound ? &ref : NULL, output, sizeof(output), &status, NULL);
		_exit(0);
	}
	for (int i = 0; i < 3000 && !program; i++) {
		usleep(10000);
		if (pread(file, text, sizeof(text) - 1, 0) > 0 && strchr(text, '\n'))
			program = atoi(text);
	}
	for (int i = 0; i < 3000 && !executes_sleep(program); i++)
		usleep(10000);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && program > 1);
	for (int i = 0; i < 100 && lives; i++) {
		lives = executes_sleep(program);
		snprintf(command, sizeof(command), "grep -q '^State:.[ZX]' /proc/%d/status 2>/dev/null", program);
		lives = lives && system(command) != 0;
		usleep(10000);
	}
	if (lives)
		kill(program, SIGKILL);
	kill(served, SIGKILL);
	assert_int_equal(waitpid(served, &status, 0), served);
	close(file);
	unlink(path);
	return lives;
}

static void helper_dies_with_its_caller(void **state)
{
	(void)state;
	assert_false(outlives_its_caller(true));
	assert_true(outlives_its_caller(false)); /* one that edits files comes to its end; and so the test can fail */
}

static void put_program(const char *path, mode_t mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fprintf(f, "#!/bin/sh\necho these words; echo \"$@\" >&2; exit 1\n");
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
}

static void explains_newuidmap(void **state)
{
	char dir[] = "/var/tmp/nsrun-idmap-XXXXXX", path[64], saved[4096];
	const struct pidref nobody = { .pid = 999999, .fd = FD_NONE };
	const struct idmap *map = MAP({ 0, 1000, 1 });
	struct err err = ERR_INIT;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(saved, sizeof(saved), "%s", getenv("PATH") ? getenv("PATH") : "");
	setenv("PATH", dir, 1);
	assert_true(idmap_write_by_helper(&nobody, "no-such-newuidmap", map, &err) < 0);
	assert_int_equal(err.id, ERR_ID_NEWIDMAP_MISSING);

	snprintf(path, sizeof(path), "%s/fakemap", dir);
	put_program(path, 0755);
	err = ERR_INIT;
	assert_true(idmap_write_by_helper(&nobody, "fakemap", map, &err) < 0);
	assert_int_equal(err.id, ERR_ID_NEWIDMAP_NOT_SETUID);
	assert_non_null(strstr(err.message, path));
	if (geteuid() == 0) {
		/* with the bit its own words count */
		put_program(path, 04755);
		err = ERR_INIT;
		assert_true(idmap_write_by_helper(&nobody, "fakemap", map, &err) < 0);
		assert_int_equal(err.id, ERR_ID_NONE);
		assert_non_null(strstr(err.message, "these words"));
	}
	setenv("PATH", saved, 1);
	unlink(path);
	rmdir(dir);
}

static void probes(void **state)
{
	FILE *f = popen("cut -d' ' -f5 /proc/self/mountinfo | grep -v binfmt_misc | grep -c ^/proc/.", "r");
	uint64_t caps = 0;
	char line[128];
	int n = -1;

	(void)state;
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &n), 1);
	pclose(f);
	assert_int_equal(probe_proc_overmounted(), n > 0);
	assert_false(probe_is_secure_exec());
	f = fopen("/proc/self/status", "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "CapEff: %lx", &caps);
	fclose(f);
	assert_int_equal(probe_effective_caps(), caps);
	assert_int_equal(probe_userns_refusal(ENOSPC), ERR_ID_USERNS_DISABLED);
	assert_int_equal(probe_userns_refusal(ENOMEM), ERR_ID_NONE);

	bool initial = probe_in_initial_userns();
	pid_t pid = fork();
	int status;

	if (pid == 0) /* an identity map does not deceive it */
		_exit(unshare(CLONE_NEWUSER) < 0 ? 77 : probe_in_initial_userns());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);
	if (!initial)
		print_message("this test runs in a nested user namespace\n");
	if (geteuid() == 0) {
		char dir[] = "/tmp/nsrun-chroot-XXXXXX", proc[64];

		assert_non_null(mkdtemp(dir));
		snprintf(proc, sizeof(proc), "%s/proc", dir);
		assert_int_equal(mkdir(proc, 0755), 0);
		pid = fork();
		if (pid == 0) {
			if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
			    mount("/proc", proc, NULL, MS_BIND | MS_REC, NULL) < 0 || chroot(dir) < 0 || chdir("/") < 0)
				_exit(77);
			_exit(unshare(CLONE_NEWUSER) == 0 || errno != EPERM ||
			      probe_userns_refusal(EPERM) != ERR_ID_USERNS_CHROOT);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		rmdir(proc);
		rmdir(dir);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checks_maps),
		cmocka_unit_test(translates_and_formats),
		cmocka_unit_test(makes_a_userns),
		cmocka_unit_test(finds_and_runs_helpers),
		cmocka_unit_test(explains_newuidmap),
		cmocka_unit_test(probes),
		cmocka_unit_test(helper_ends_with_whom_it_serves),
		cmocka_unit_test(helper_ends_by_a_signal),
		cmocka_unit_test(helper_dies_with_its_caller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
