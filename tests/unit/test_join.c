/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/join.h>

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* A process in namespaces of its own, whose maps are written when it has a user namespace. */
struct target {
	struct pidref process;
};

static void write_file(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail_msg("%s: %s", path, strerror(errno));
	close(fd);
}

static struct pidref target_start(uint64_t flags)
{
	struct pidref ret = PIDREF_NONE;
	struct clone_args args = { .flags = flags | CLONE_PIDFD, .pidfd = (uintptr_t)&ret.fd, .exit_signal = SIGCHLD };
	char path[64];

	const long pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	ret.pid = (pid_t)pid;
	if (flags & CLONE_NEWUSER) {
		snprintf(path, sizeof(path), "/proc/%ld/uid_map", pid);
		write_file(path, "0 100000 65536\n");
		snprintf(path, sizeof(path), "/proc/%ld/gid_map", pid);
		write_file(path, "0 200000 65536\n");
	}
	return ret;
}

static void target_end(struct pidref *target)
{
	siginfo_t info;

	pidref_kill(target, SIGKILL, NULL);
	assert_int_equal(pidref_wait(target, &info, WEXITED, NULL), 0);
	pidref_close(target);
}

static int target_ns(const struct pidref *target, const char *name, uint64_t flag)
{
	struct err err = ERR_INIT;
	char path[64];
	int fd = FD_NONE;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", target->pid, name);
	if (join_open(path, flag, &fd, &err) < 0)
		fail_msg("%s", err.message);
	return fd;
}

static ino_t ns_of(pid_t pid, const char *name)
{
	struct stat st;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void no_child_left(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
	assert_int_equal(errno, ECHILD);
}

/* What a new process finds, told by its exit status once it has been let go. */
struct seen {
	pid_t pid, parent;
	uid_t uid;
	int fds;
};

struct report {
	int go[2], told[2];
};

static void report_open(struct report *r)
{
	assert_int_equal(pipe2(r->go, O_CLOEXEC), 0);
	assert_int_equal(pipe2(r->told, O_CLOEXEC), 0);
}

static void report_close(struct report *r)
{
	for (int i = 0; i < 2; i++) {
		close(r->go[i]);
		close(r->told[i]);
	}
}

static int become_root(void)
{
	return setresuid(0, 0, 0) == 0 ? 0 : 1;
}

static _Noreturn void tell_then(const struct report *r, int (*last)(void))
{
	struct seen seen = { .pid = getpid(), .parent = getppid(), .uid = getuid(), .fds = count_fds() };
	char byte;

	if (write(r->told[1], &seen, sizeof(seen)) != sizeof(seen) || read(r->go[0], &byte, 1) != 1)
		_exit(99);
	_exit(last());
}

static int three(void)
{
	return 3;
}

static int nothing(void)
{
	return 0;
}

static struct seen hear(const struct report *r)
{
	struct pollfd p = { .fd = r->told[0], .events = POLLIN };
	struct seen seen;

	assert_int_equal(poll(&p, 1, 10000), 1); /* or it ended before it could say anything */
	assert_int_equal(read(r->told[0], &seen, sizeof(seen)), sizeof(seen));
	return seen;
}

static void let_go(const struct report *r, struct pidref *child, int status)
{
	siginfo_t info;

	assert_int_equal(write(r->go[1], "g", 1), 1);
	assert_int_equal(pidref_wait(child, &info, WEXITED, NULL), 0);
	assert_int_equal(info.si_code, CLD_EXITED);
	assert_int_equal(info.si_status, status);
	pidref_close(child);
}

static long join_or_fail(const struct join *join, struct clone_args *args, struct pidref *ret)
{
	struct err err = ERR_INIT;
	const long pid = join_clone3(join, args, ret, &err);

	if (pid < 0)
		fail_msg("%s (%ld)", err.message, pid);
	return pid;
}

static void needs_root(void)
{
	if (geteuid() != 0) {
		print_message("skipped: needs root\n");
		skip();
	}
}

static void opens_namespaces_alone(void **state)
{
	char dir[] = "/tmp/nsrun-test-join-XXXXXX", path[64];
	int fd = FD_NONE, pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(join_open("/proc/self/ns/net", CLONE_NEWNET, &fd, &err), 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	fd = FD_NONE;

	assert_true(join_open("/proc/self/ns/net", CLONE_NEWPID, &fd, &err) < 0);
	assert_int_equal(err.kind, ERR_INPUT);
	assert_non_null(strstr(err.message, "is a network namespace, and a pid namespace is wanted"));

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	err = ERR_INIT;
	assert_true(join_open(path, CLONE_NEWNET, &fd, &err) < 0); /* and does not wait for a writer */
	assert_int_equal(err.kind, ERR_INPUT);
	unlink(path);
	err = ERR_INIT;
	assert_true(join_open(dir, CLONE_NEWNET, &fd, &err) < 0);
	assert_int_equal(err.kind, ERR_INPUT);
	err = ERR_INIT;
	assert_true(join_open("/etc/passwd", CLONE_NEWNET, &fd, &err) < 0);
	assert_int_equal(err.kind, ERR_INPUT);
	err = ERR_INIT;
	assert_int_equal(join_open(path, CLONE_NEWNET, &fd, &err), -ENOENT);
	rmdir(dir);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", pidfd);
	err = ERR_INIT;
	assert_true(join_open(path, CLONE_NEWNET, &fd, &err) < 0);
	close(pidfd);
	assert_int_equal(fd, FD_NONE);
}

static void clones_plainly_without_a_join(void **state)
{
	struct clone_args args = { 0 };
	struct pidref child = PIDREF_NONE;
	struct report report;

	(void)state;
	report_open(&report);
	if (join_or_fail(&JOIN_NONE, &args, &child) == 0)
		tell_then(&report, three);
	const struct seen seen = hear(&report);
	assert_int_equal(seen.pid, child.pid);
	assert_int_equal(seen.parent, getpid());
	let_go(&report, &child, 3);
	report_close(&report);
	no_child_left();
}

static void joins_a_network_namespace(void **state)
{
	const int fds = count_fds();
	struct pidref child = PIDREF_NONE;
	struct clone_args args = { .flags = CLONE_NEWUTS };
	struct report report;

	(void)state;
	needs_root();
	struct pidref target = target_start(CLONE_NEWNET);
	struct join join = JOIN_NONE;
	join.before[join.n_before].fd = target_ns(&target, "net", CLONE_NEWNET);
	join.before[join.n_before++].flag = CLONE_NEWNET;
	const ino_t ours = ns_of(getpid(), "net");

	report_open(&report);
	const int here = count_fds();
	if (join_or_fail(&join, &args, &child) == 0)
		tell_then(&report, three);
	const struct seen seen = hear(&report);
	assert_int_equal(seen.fds, here); /* exactly our own ones */
	assert_int_equal(seen.pid, child.pid);
	assert_int_equal(seen.parent, getpid());
	assert_int_equal(ns_of(child.pid, "net"), ns_of(target.pid, "net"));
	assert_int_not_equal(ns_of(child.pid, "uts"), ns_of(getpid(), "uts")); /* the flags of args hold, too */
	assert_int_equal(ns_of(getpid(), "net"), ours);
	let_go(&report, &child, 3);
	report_close(&report);
	close(join.before[0].fd);
	target_end(&target);
	no_child_left();
	assert_int_equal(count_fds(), fds);
}

static void joins_a_pid_namespace(void **state)
{
	struct pidref child = PIDREF_NONE;
	struct clone_args args = { 0 };
	struct report report;

	(void)state;
	needs_root();
	struct pidref target = target_start(CLONE_NEWPID);
	struct join join = JOIN_NONE;
	join.before[join.n_before].fd = target_ns(&target, "pid", CLONE_NEWPID);
	join.before[join.n_before++].flag = CLONE_NEWPID;

	report_open(&report);
	if (join_or_fail(&join, &args, &child) == 0)
		tell_then(&report, nothing);
	const struct seen seen = hear(&report);
	assert_true(seen.pid > 1 && seen.pid < 10); /* its number inside */
	assert_int_equal(seen.parent, 0);	    /* we are not in there */
	assert_true(child.pid > 0 && child.pid != seen.pid);
	let_go(&report, &child, 0); /* but we are its parent: waitid works */
	report_close(&report);
	close(join.before[0].fd);
	target_end(&target);
	no_child_left();
}

static void joins_all_of_a_process(void **state)
{
	static const char *const names[] = { "user", "mnt", "pid", "net", "ipc", "uts" };
	const uint64_t mask = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
	struct pidref child = PIDREF_NONE;
	struct clone_args args = { 0 };
	struct report report;

	(void)state;
	needs_root();
	struct pidref target = target_start(mask);
	struct join join = JOIN_NONE;
	join.process = target.fd;
	join.mask = mask;
	report_open(&report);
	prctl(PR_SET_DUMPABLE, 0);
	if (join_or_fail(&join, &args, &child) == 0) {
		/* neither of which may have come back on the way through the user namespace */
		if (prctl(PR_GET_DUMPABLE) == 1)
			_exit(98);
		tell_then(&report, become_root);
	}
	prctl(PR_SET_DUMPABLE, 1);
	const struct seen seen = hear(&report);
	assert_int_equal(seen.uid, 65534); /* root of the host has no counterpart */
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], "pid") != 0)
			assert_int_equal(ns_of(child.pid, names[i]), ns_of(target.pid, names[i]));
	let_go(&report, &child, 0);
	report_close(&report);
	target_end(&target);
	no_child_left();
}

static void joins_by_fd_then_by_process(void **state)
{
	struct pidref child = PIDREF_NONE;
	struct clone_args args = { 0 };
	struct report report;

	(void)state;
	needs_root();
	/* The network namespace belongs to the initial user namespace: inside the other one it could not be entered any more. */
	struct pidref net = target_start(CLONE_NEWNET), user = target_start(CLONE_NEWUSER | CLONE_NEWNS);
	struct join join = JOIN_NONE;
	join.before[join.n_before].fd = target_ns(&net, "net", CLONE_NEWNET);
	join.before[join.n_before++].flag = CLONE_NEWNET;
	join.process = user.fd;
	join.mask = CLONE_NEWUSER | CLONE_NEWNS;
	report_open(&report);
	if (join_or_fail(&join, &args, &child) == 0)
		tell_then(&report, nothing);
	hear(&report);
	assert_int_equal(ns_of(child.pid, "net"), ns_of(net.pid, "net"));
	assert_int_equal(ns_of(child.pid, "user"), ns_of(user.pid, "user"));
	let_go(&report, &child, 0);
	report_close(&report);
	close(join.before[0].fd);
	target_end(&net);
	target_end(&user);
	no_child_left();
}

/* A procfs of the joined pid namespace, for a new process that has a user namespace of its own: made by a child of the helper, which is
 * in there, in a table of descriptors that they share. */
static int makes_procfs(void *data, struct err *err)
{
	struct clone_args args = { .flags = CLONE_FILES, .exit_signal = SIGCHLD };
	int status = -1;

	const pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		const int fs = (int)syscall(SYS_fsopen, "proc", 1U);

		if (fs < 0 || syscall(SYS_fsconfig, fs, 6U, NULL, NULL, 0) < 0)
			_exit(255);
		const int tree = (int)syscall(SYS_fsmount, fs, 1U, 0U);
		close(fs);
		_exit(tree);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) == 255)
		return err_system(err, "procfs");
	*(int *)data = WEXITSTATUS(status);
	return 0;
}

static int always_fails(void *data, struct err *err)
{
	(void)data;
	return err_set(err, ERR_REFUSED, ERR_ID_NOT_RUNNING, EPERM, "as it was told");
}

static void hands_down_what_was_entered(void **state)
{
	struct pidref child = PIDREF_NONE;
	struct clone_args args = { .flags = CLONE_NEWUSER | CLONE_NEWNS };
	struct report report;
	int procfs = FD_NONE;

	(void)state;
	needs_root();
	struct pidref target = target_start(CLONE_NEWPID);
	struct join join = { .process = target.fd, .mask = CLONE_NEWPID, .entered = makes_procfs, .data = &procfs };
	report_open(&report);
	const int fds = count_fds();
	if (join_or_fail(&join, &args, &child) == 0) {
		char link[16] = "";

		/* "self" in that procfs is this process, by its number there */
		if (readlinkat(procfs, "self", link, sizeof(link) - 1) < 0 || atoi(link) != getpid() || getpid() < 2)
			_exit(97);
		tell_then(&report, nothing);
	}
	assert_int_equal(procfs, FD_NONE);	/* the caller has none of it */
	assert_int_equal(count_fds(), fds + 1); /* the pidfd */
	hear(&report);
	let_go(&report, &child, 0);

	/* and an error of it crosses whole */
	struct err err = ERR_INIT;
	join.entered = always_fails;
	assert_int_equal(join_clone3(&join, &args, &child, &err), -EPERM);
	assert_int_equal(err.kind, ERR_REFUSED);
	assert_int_equal(err.id, ERR_ID_NOT_RUNNING);
	assert_string_equal(err.message, "as it was told");
	assert_false(pidref_valid(&child));
	report_close(&report);
	target_end(&target);
	no_child_left();
}

static void tells_why_it_failed(void **state)
{
	struct pidref child = PIDREF_NONE, target;
	struct clone_args args = { 0 };
	struct err err = ERR_INIT;
	const int fds = count_fds();

	(void)state;
	needs_root();
	/* a closed descriptor */
	struct join join = JOIN_NONE;
	join.n_before = 1;
	join.before[0].fd = 200;
	join.before[0].flag = CLONE_NEWNET;
	assert_int_equal(join_clone3(&join, &args, &child, &err), -EBADF);
	assert_non_null(strstr(err.message, "network namespace"));
	no_child_left();
	/* another kind of namespace */
	join.before[0].fd = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
	err = ERR_INIT;
	assert_int_equal(join_clone3(&join, &args, &child, &err), -EINVAL);
	close(join.before[0].fd);
	no_child_left();
	/* a process that has ended */
	target = target_start(CLONE_NEWNET);
	siginfo_t info;
	pidref_kill(&target, SIGKILL, NULL);
	assert_int_equal(pidref_wait(&target, &info, WEXITED, NULL), 0);
	join = JOIN_NONE;
	join.process = target.fd;
	join.mask = CLONE_NEWNET;
	err = ERR_INIT;
	assert_int_equal(join_clone3(&join, &args, &child, &err), -ESRCH);
	assert_int_equal(err.id, ERR_ID_NOT_RUNNING);
	pidref_close(&target);
	no_child_left();
	/* clone3 itself */
	target = target_start(CLONE_NEWNET);
	join.process = target.fd;
	args.flags = CLONE_NEWNS | CLONE_FS;
	err = ERR_INIT;
	assert_int_equal(join_clone3(&join, &args, &child, &err), -EINVAL);
	target_end(&target);
	no_child_left();
	assert_false(pidref_valid(&child));
	assert_int_equal(count_fds(), fds);
}

static void an_ordinary_user_is_refused(void **state)
{
	(void)state;
	needs_root();
	struct pidref target = target_start(CLONE_NEWNET);
	const pid_t pid = fork();

	if (pid == 0) {
		struct pidref child = PIDREF_NONE;
		struct clone_args args = { 0 };
		struct err err = ERR_INIT;
		struct join join = { .process = target.fd, .mask = CLONE_NEWNET };

		if (setgroups(0, NULL) < 0 || setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
			_exit(90);
		const long r = join_clone3(&join, &args, &child, &err);
		if (r == 0)
			_exit(0);
		_exit(r == -EPERM && err.id == ERR_ID_JOIN_DENIED ? 42 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
	target_end(&target);
}

static int kills_helper(void *data, struct err *err)
{
	(void)data;
	(void)err;
	kill(getpid(), SIGKILL);
	return 0;
}

static int remembers_helper(void *data, struct err *err)
{
	(void)err;
	*(pid_t *)data = getpid();
	return 0;
}

static void a_killed_helper_hangs_nobody(void **state)
{
	struct pidref child = PIDREF_NONE;
	struct clone_args args = { 0 };
	struct err err = ERR_INIT;
	pid_t helper = 0;

	(void)state;
	needs_root();
	struct pidref target = target_start(CLONE_NEWNET);
	struct join join = { .process = target.fd, .mask = CLONE_NEWNET, .entered = kills_helper };
	assert_true(join_clone3(&join, &args, &child, &err) < 0);
	assert_non_null(strstr(err.message, "ended with status 137"));
	assert_false(pidref_valid(&child));

	/* By the first thing that the new process does, perhaps before the helper could say that it made one: either way the caller
	 * knows of it, or has ended it. */
	join.entered = remembers_helper;
	join.data = &helper;
	for (int i = 0; i < 100; i++) {
		err = ERR_INIT;
		const long pid = join_clone3(&join, &args, &child, &err);

		if (pid == 0) {
			kill(helper, SIGKILL);
			for (;;)
				pause();
		}
		if (pid > 0)
			target_end(&child);
		else
			assert_non_null(strstr(err.message, "ended with status 137"));
		assert_false(pidref_valid(&child));
	}
	target_end(&target);
	no_child_left();
}

static int stops(void *data, struct err *err)
{
	(void)err;
	if (write(*(int *)data, "h", 1) != 1)
		_exit(1);
	for (;;)
		pause();
	return 0;
}

/* The end of whoever called ends the helper. */
static void a_killed_caller_leaves_no_helper(void **state)
{
	int tells[2];
	char byte;

	(void)state;
	needs_root();
	struct pidref target = target_start(CLONE_NEWNET);
	assert_int_equal(pipe2(tells, O_CLOEXEC), 0);
	const pid_t pid = fork();
	if (pid == 0) {
		struct pidref child = PIDREF_NONE;
		struct clone_args args = { 0 };
		struct join join = { .process = target.fd, .mask = CLONE_NEWNET, .entered = stops, .data = &tells[1] };

		join_clone3(&join, &args, &child, NULL);
		_exit(1);
	}
	close(tells[1]);
	assert_int_equal(read(tells[0], &byte, 1), 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	/* End of file: the helper, which has the other end, is gone. */
	struct pollfd p = { .fd = tells[0], .events = POLLIN };
	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_int_equal(read(tells[0], &byte, 1), 0);
	close(tells[0]);
	target_end(&target);
}

static void places_into_a_cgroup(void **state)
{
	static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	char dir[128] = "", path[192], text[512], want[64];
	struct pidref child = PIDREF_NONE;
	struct report report;

	(void)state;
	needs_root();
	for (size_t i = 0; i < ARRAY_LEN(roots) && !*dir; i++) {
		snprintf(path, sizeof(path), "%s/cgroup.procs", roots[i]);
		if (access(path, W_OK) == 0 && snprintf(path, sizeof(path), "%s/cgroup.controllers", roots[i]) &&
		    access(path, F_OK) == 0)
			snprintf(dir, sizeof(dir), "%s/nsrun-test-join-%d", roots[i], getpid());
	}
	if (!*dir || mkdir(dir, 0755) < 0) {
		print_message("skipped: no cgroup2 to write to\n");
		skip();
	}
	struct pidref target = target_start(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET);
	const int cgroup = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .cgroup = (uint64_t)cgroup };
	struct join join = { .process = target.fd, .mask = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET };
	report_open(&report);
	if (join_or_fail(&join, &args, &child) == 0)
		tell_then(&report, nothing);
	hear(&report);
	snprintf(path, sizeof(path), "/proc/%d/cgroup", child.pid);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	const size_t n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	snprintf(want, sizeof(want), "/nsrun-test-join-%d\n", getpid());
	assert_non_null(strstr(text, want));
	let_go(&report, &child, 0);
	report_close(&report);
	close(cgroup);
	target_end(&target);
	for (int i = 0; i < 100 && rmdir(dir) < 0; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	assert_int_equal(access(dir, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_namespaces_alone),	    cmocka_unit_test(clones_plainly_without_a_join),
		cmocka_unit_test(joins_a_network_namespace),	    cmocka_unit_test(joins_a_pid_namespace),
		cmocka_unit_test(joins_all_of_a_process),	    cmocka_unit_test(joins_by_fd_then_by_process),
		cmocka_unit_test(hands_down_what_was_entered),	    cmocka_unit_test(tells_why_it_failed),
		cmocka_unit_test(an_ordinary_user_is_refused),	    cmocka_unit_test(a_killed_helper_hangs_nobody),
		cmocka_unit_test(a_killed_caller_leaves_no_helper), cmocka_unit_test(places_into_a_cgroup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
