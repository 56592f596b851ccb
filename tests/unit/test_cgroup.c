/* SPDX-License-Identifier: Apache-2.0 */
/* The parsers on fixtures; limits, destruction, delegation on the real groups of this host, below "/nsrun-test-PID". */
#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/kernel/cgroup_freezer.h>
#include <nsrun/kernel/cgroup_resources.h>

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#define OTHER_UID 54321

static struct arena *arena;
static struct cgroup_host host;
static char parent[64];

/* The four values of old, -1 where one is not said. */
struct four {
	struct cgroup_value values[4];
	struct cgroup_resources resources;
};

static const struct cgroup_resources *fill(struct four *four, int64_t memory, int64_t pids, int64_t quota,
					   int64_t period)
{
	const struct {
		enum cgroup_resource resource;
		int64_t number;
	} said[] = { { CGROUP_MEMORY_LIMIT, memory },
		     { CGROUP_PIDS_LIMIT, pids },
		     { CGROUP_CPU_QUOTA, quota },
		     { CGROUP_CPU_PERIOD, quota == -1 ? -1 : period } };

	*four = (struct four){ .resources.values = four->values };
	for (size_t i = 0; i < ARRAY_LEN(said); i++)
		if (said[i].number != -1)
			four->values[four->resources.n++] =
				(struct cgroup_value){ .resource = said[i].resource, .number = said[i].number };
	return &four->resources;
}
#define LIMITS(name, ...)          \
	struct four name##_values; \
	const struct cgroup_resources *const name = fill(&name##_values, __VA_ARGS__)

/* ---- fixtures ---- */

static void parse(const char *mounts, const char *self, struct cgroup_host *h)
{
	struct cgroup_roots roots = { 0 };
	char *m = strdup(mounts), *s = strdup(self);
	struct err err = ERR_INIT;

	*h = (struct cgroup_host)CGROUP_HOST_NONE;
	assert_int_equal(cgroup_parse_mounts(arena, m, h, &roots, &err), 0);
	assert_int_equal(cgroup_parse_self(arena, s, h, &roots, &err), 0);
	free(m);
	free(s);
}

static struct cgroup_host fixture;

static void test_parse_pure_v2(void **state)
{
	(void)state;
	parse("22 28 0:20 / /proc rw,relatime shared:5 - proc proc rw\n"
	      "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 master:2 - cgroup2 cgroup2 rw,nsdelegate\n",
	      "0::/user.slice/a:b/app.scope\n", &fixture);
	assert_string_equal(fixture.v2_mount, "/sys/fs/cgroup");
	assert_string_equal(fixture.v2_self, "/user.slice/a:b/app.scope");
	assert_true(fixture.v2_nsdelegate);
	for (int c = 0; c < CGROUP_CONTROLLER_COUNT; c++)
		assert_string_equal(fixture.v1_mount[c], "");
}

static void test_parse_hybrid(void **state)
{
	(void)state;
	parse("31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
	      "33 31 0:30 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct\n"
	      "32 31 0:29 / /sys/fs/cgroup/cpu,cpuset rw - cgroup cgroup rw,cpuset,cpu\n"
	      "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
	      "36 31 0:32 / /second rw - cgroup cgroup rw,memory\n"
	      "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
	      "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
	      "5:memory:/m\n2:cpuacct:/acct\n3:cpuset,cpu:/c\n1:name=systemd:/x\n0::/\n", &fixture);
	assert_string_equal(fixture.v2_mount, "/sys/fs/cgroup/unified");
	assert_false(fixture.v2_nsdelegate);
	assert_string_equal(fixture.v2_self, "/");
	assert_string_equal(fixture.v1_mount[CGROUP_CPU], "/sys/fs/cgroup/cpu,cpuset");
	assert_string_equal(fixture.v1_self[CGROUP_CPU], "/c");
	assert_string_equal(fixture.v1_mount[CGROUP_MEMORY], "/sys/fs/cgroup/memory");
	assert_string_equal(fixture.v1_self[CGROUP_MEMORY], "/m");
	assert_string_equal(fixture.v1_mount[CGROUP_PIDS], "");
}

static void test_parse_v1_and_none(void **state)
{
	struct err err = ERR_INIT;
	char buf[CGROUP_PATH_MAX];
	LIMITS(pids, -1, 5, -1, 100000);

	(void)state;
	parse("35 31 0:32 / /cg/pids rw - cgroup cgroup rw,pids\n", "8:pids:/p\n", &fixture);
	assert_string_equal(fixture.v2_mount, "");
	assert_string_equal(fixture.v2_self, "");
	assert_string_equal(fixture.v1_mount[CGROUP_PIDS], "/cg/pids");

	parse("22 28 0:20 / /proc rw,relatime - proc proc rw\n", "0::/\n", &fixture);
	assert_string_equal(fixture.v2_mount, "");
	assert_int_equal(cgroup_choose_parent(&fixture, buf, sizeof(buf), &err), -EACCES);
	assert_int_equal(err.id, ERR_ID_CGROUP_NOT_MOUNTED);
	err = ERR_INIT;
	assert_true(cgroup_check_limits(&fixture, "/nsrun", pids, &err) < 0);
	assert_int_equal(err.id, ERR_ID_NO_CONTROLLER);
	assert_non_null(strstr(err.message, "pids"));
}

static void test_parse_subtree_and_escapes(void **state)
{
	(void)state;
	parse("30 23 0:26 /docker/abc /mnt/c\\040g\\134x rw - cgroup2 none rw\n", "0::/docker/abc/sub\n", &fixture);
	assert_string_equal(fixture.v2_mount, "/mnt/c g\\x");
	assert_string_equal(fixture.v2_self, "/sub");
	parse("30 23 0:26 /docker/abc /m rw - cgroup2 none rw\n", "0::/docker/abc\n", &fixture);
	assert_string_equal(fixture.v2_self, "/");
	/* Not below what is shown: a name that only begins alike, and a mount from outside of the cgroup namespace. */
	parse("30 23 0:26 /docker/abc /m rw - cgroup2 none rw\n", "0::/docker/abcd\n", &fixture);
	assert_string_equal(fixture.v2_self, "");
	parse("30 23 0:26 /.. /m rw - cgroup2 none rw\n", "0::/\n", &fixture);
	assert_string_equal(fixture.v2_self, "");
}

static void test_parse_nonsense(void **state)
{
	(void)state;
	parse("\n \n- \n1 2 - cgroup2\n1 2 0:1 / - cgroup2 x rw\n5 4 0:1 / /x rw - cgroup  rw\nfoo - cgroup c\n", "",
	      &fixture);
	assert_string_equal(fixture.v2_mount, "");
	for (int c = 0; c < CGROUP_CONTROLLER_COUNT; c++)
		assert_string_equal(fixture.v1_mount[c], "");
}

static void test_check_values(void **state)
{
	static const int64_t bad[][4] = {
		{ 100, -1, -1, -1 },	 { -2, -1, -1, -1 },	{ -1, 0, -1, -1 },	   { -1, 5000000, -1, -1 },
		{ -1, -1, 999, 100000 }, { -1, -1, 5000, 999 }, { -1, -1, 5000, 1000001 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = ERR_INIT;
		LIMITS(limits, bad[i][0], bad[i][1], bad[i][2], bad[i][3]);

		assert_true(cgroup_check_limits(&host, "/nsrun", limits, &err) < 0);
		assert_int_equal(err.kind, ERR_INPUT);
	}
}

/* ---- the real host ---- */

static bool may_make_groups(void)
{
	struct err err = ERR_INIT;
	char buf[CGROUP_PATH_MAX];

	if (geteuid() == 0 && cgroup_choose_parent(&host, buf, sizeof(buf), &err) == 0)
		return true;
	print_message("skipped: not root, or no writable control groups (%s)\n", err.message);
	return false;
}

static void group_name(char *ret, const char *name)
{
	snprintf(ret, 128, "%s/%s", parent, name);
}

static const char *mount_for(int c)
{
	return host.v1_mount[c][0] ? host.v1_mount[c] : host.v2_mount;
}

static void read_value(int c, const char *group, const char *file, char *ret, size_t size)
{
	char path[3 * CGROUP_PATH_MAX], *text = NULL;

	snprintf(path, sizeof(path), "%s%s/%s", mount_for(c), group, file);
	assert_int_equal(file_read_virtual_at(AT_FDCWD, path, 4096, &text, NULL, NULL), 0);
	snprintf(ret, size, "%.*s", (int)strcspn(text, "\n"), text);
	free(text);
}

static bool exists_anywhere(const char *group)
{
	char path[2 * CGROUP_PATH_MAX];

	for (int c = 0; c < CGROUP_CONTROLLER_COUNT; c++) {
		snprintf(path, sizeof(path), "%s%s", mount_for(c), group);
		if (access(path, F_OK) == 0)
			return true;
	}
	snprintf(path, sizeof(path), "%s%s", host.v2_mount, group);
	return access(path, F_OK) == 0;
}

/* A child in the group of the limits and in the v2 group; it goes on when the groups are set, and returns in the child. */
static pid_t enter(const char *group, const struct cgroup_resources *limits, struct pidref *ret)
{
	int gate[2];
	struct err err = ERR_INIT;
	char path[2 * CGROUP_PATH_MAX], number[16], c;
	pid_t pid;

	int tasks[CGROUP_CONTROLLER_COUNT] = { [0 ... CGROUP_CONTROLLER_COUNT - 1] = FD_NONE };

	assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
	if (cgroup_open_tasks_v1(&host, group, cgroup_resources_controllers(limits), tasks, &err) < 0)
		fail_msg("%s", err.message);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(gate[1]);
		if (cgroup_enter_v1(&host, group, tasks, &err) < 0)
			_exit(96);
		if (read(gate[0], &c, 1) != 1)
			_exit(99);
		return 0;
	}
	close(gate[0]);
	cgroup_close_tasks(tasks);
	assert_int_equal(pidref_open(pid, ret, NULL), 0);
	snprintf(path, sizeof(path), "%s%s/cgroup.procs", host.v2_mount, group);
	snprintf(number, sizeof(number), "%d", pid);
	if (host.v2_mount[0] && access(path, F_OK) == 0 && file_write_at(AT_FDCWD, path, number, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(write(gate[1], "", 1), 1);
	close(gate[1]);
	return pid;
}

static bool limits_possible(const struct cgroup_resources *limits)
{
	struct err err = ERR_INIT;

	if (!may_make_groups())
		return false;
	if (cgroup_check_limits(&host, parent, limits, &err) == 0)
		return true;
	print_message("skipped: %s\n", err.message);
	return false;
}

static void must_apply(const char *group, const struct cgroup_resources *limits)
{
	struct err err = ERR_INIT;

	if (cgroup_apply_limits(&host, group, limits, &err) < 0)
		fail_msg("%s (%s)", err.message, strerror(err.errnum));
}

static void must_destroy(const char *group)
{
	struct err err = ERR_INIT;

	if (cgroup_destroy(&host, group, 5000, &err) < 0)
		fail_msg("%s (%s)", err.message, strerror(err.errnum));
	assert_false(exists_anywhere(group));
}

static void test_limits_read_back(void **state)
{
	LIMITS(limits, 64 * 1024 * 1024 + 1, 77, 25000, 50000);
	char group[128], v[64];

	(void)state;
	if (!limits_possible(limits))
		skip();
	group_name(group, "values");
	must_apply(group, limits);
	read_value(CGROUP_MEMORY, group, host.v1_mount[CGROUP_MEMORY][0] ? "memory.limit_in_bytes" : "memory.max", v,
		   sizeof(v));
	assert_string_equal(v, "67108864");
	if (host.v1_mount[CGROUP_MEMORY][0]) {
		char path[2 * CGROUP_PATH_MAX];

		snprintf(path, sizeof(path), "%s/memory.memsw.limit_in_bytes", host.v1_mount[CGROUP_MEMORY]);
		if (access(path, F_OK) == 0) {
			read_value(CGROUP_MEMORY, group, "memory.memsw.limit_in_bytes", v, sizeof(v));
			assert_string_equal(v, "67108864");
		}
	} else {
		char path[2 * CGROUP_PATH_MAX];

		snprintf(path, sizeof(path), "%s%s/memory.swap.max", host.v2_mount, group);
		if (access(path, F_OK) == 0) {
			read_value(CGROUP_MEMORY, group, "memory.swap.max", v, sizeof(v));
			assert_string_equal(v, "0");
		}
	}
	if (host.v1_mount[CGROUP_CPU][0]) {
		read_value(CGROUP_CPU, group, "cpu.cfs_quota_us", v, sizeof(v));
		assert_string_equal(v, "25000");
		read_value(CGROUP_CPU, group, "cpu.cfs_period_us", v, sizeof(v));
		assert_string_equal(v, "50000");
	} else {
		read_value(CGROUP_CPU, group, "cpu.max", v, sizeof(v));
		assert_string_equal(v, "25000 50000");
	}
	read_value(CGROUP_PIDS, group, "pids.max", v, sizeof(v));
	assert_string_equal(v, "77");
	must_destroy(group);
}

/* Only the hierarchies of the controllers that are limited get a group. */
static void test_one_limit_one_group(void **state)
{
	LIMITS(limits, -1, 9, -1, 100000);
	char group[128], path[2 * CGROUP_PATH_MAX];

	(void)state;
	if (!limits_possible(limits))
		skip();
	group_name(group, "one");
	must_apply(group, limits);
	if (host.v1_mount[CGROUP_MEMORY][0]) {
		snprintf(path, sizeof(path), "%s%s", host.v1_mount[CGROUP_MEMORY], group);
		assert_int_not_equal(access(path, F_OK), 0);
	}
	must_destroy(group);
}

/* The kernel refuses a child's CPU share above its parent's on v1 (EINVAL): the error names file and value, and nothing is left. */
static void test_refused_value(void **state)
{
	LIMITS(outer, -1, -1, 10000, 100000);
	LIMITS(inner, -1, 5, 50000, 100000);
	char group[128], sub[160];
	struct err err = ERR_INIT;

	(void)state;
	if (!limits_possible(inner))
		skip();
	if (!host.v1_mount[CGROUP_CPU][0]) {
		print_message("skipped: cgroup v2 lets a group ask for more than its parent has\n");
		skip();
	}
	group_name(group, "outer");
	snprintf(sub, sizeof(sub), "%s/inner", group);
	must_apply(group, outer);
	assert_int_equal(cgroup_apply_limits(&host, sub, inner, &err), -EINVAL);
	assert_int_equal(err.id, ERR_ID_LIMIT_REFUSED);
	assert_non_null(strstr(err.message, "cpu.cfs_quota_us"));
	assert_non_null(strstr(err.message, "50000"));
	assert_false(exists_anywhere(sub));
	must_destroy(group);
}

static void test_pids_stop_a_fork_loop(void **state)
{
	LIMITS(limits, -1, 6, -1, 100000);
	struct pidref child = PIDREF_NONE;
	char group[128];
	int status;

	(void)state;
	if (!limits_possible(limits))
		skip();
	group_name(group, "forks");
	must_apply(group, limits);
	if (enter(group, limits, &child) == 0) {
		int n = 0;

		for (; n < 50; n++) {
			pid_t pid = fork();

			if (pid < 0)
				break;
			if (pid == 0) {
				pause();
				_exit(0);
			}
		}
		_exit(errno == EAGAIN ? n : 98);
	}
	assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
	pidref_close(&child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 5);
	must_destroy(group); /* with the five forked processes still inside */
}

static void test_memory_hog_is_killed_and_counted(void **state)
{
	LIMITS(limits, 32 * 1024 * 1024, -1, -1, 100000);
	struct pidref child = PIDREF_NONE;
	char group[128];
	int status;

	(void)state;
	if (!limits_possible(limits))
		skip();
	group_name(group, "hog");
	assert_int_equal(cgroup_oom_kills(&host, group), 0);
	must_apply(group, limits);
	assert_int_equal(cgroup_oom_kills(&host, group), 0);
	if (enter(group, limits, &child) == 0) {
		const size_t size = 128 * 1024 * 1024;
		char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		for (size_t i = 0; p != MAP_FAILED && i < size; i += 4096)
			p[i] = 1;
		_exit(97);
	}
	assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
	pidref_close(&child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	assert_true(cgroup_oom_kills(&host, group) >= 1);
	must_destroy(group);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Processes that fork and die as fast as they can: every round of a kill loop finds other numbers. */
static void fork_forever(void)
{
	for (;;) {
		pid_t pid = fork();

		if (pid < 0)
			continue;
		if (pid > 0)
			_exit(0);
		setsid();
	}
}

static void test_destroy_forking_processes(void **state)
{
	LIMITS(limits, -1, 20, -1, 100000);
	struct pidref child = PIDREF_NONE;
	struct err err = ERR_INIT;
	int fd = FD_NONE;
	char group[128];

	(void)state;
	if (!limits_possible(limits))
		skip();
	group_name(group, "bomb");
	must_apply(group, limits);
	if (host.v2_mount[0]) {
		assert_int_equal(cgroup_make_v2(&host, group, &fd, NULL, &err), 0);
		close(fd);
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (enter(group, limits, &child) == 0) {
		for (int i = 0; i < 5; i++)
			if (fork() == 0)
				fork_forever();
		fork_forever();
	}
	usleep(20000);
	must_destroy(group);
	while (waitpid(-1, NULL, 0) > 0)
		;
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	pidref_close(&child);
}

/* The same where no v2 group helps: kill_listed() alone. */
static void test_destroy_v1_only(void **state)
{
	LIMITS(limits, -1, 20, -1, 100000);
	struct pidref child = PIDREF_NONE;
	char group[128], sub[2 * CGROUP_PATH_MAX];

	(void)state;
	if (!limits_possible(limits))
		skip();
	if (!host.v1_mount[CGROUP_PIDS][0]) {
		print_message("skipped: the pids controller has no v1 hierarchy here\n");
		skip();
	}
	group_name(group, "v1");
	must_apply(group, limits);
	for (const char *s = "/a\0/a/b\0/a/b/c\0"; *s; s += strlen(s) + 1) {
		snprintf(sub, sizeof(sub), "%s%s%s", host.v1_mount[CGROUP_PIDS], group, s);
		assert_int_equal(mkdir(sub, 0755), 0);
	}
	snprintf(sub, sizeof(sub), "%s/a/b/c", group);
	if (enter(sub, limits, &child) == 0) {
		(void)!fork();
		(void)!fork();
		for (;;)
			pause();
	}
	usleep(10000);
	must_destroy(group);
	waitpid(child.pid, NULL, 0);
	pidref_close(&child);
}

static void test_v2_group(void **state)
{
	struct err err = ERR_INIT;
	struct pidref child = PIDREF_NONE;
	LIMITS(none, -1, -1, -1, -1);
	char group[128], sub[2 * CGROUP_PATH_MAX], state_text[64] = "";
	uint64_t begin;
	int fd = FD_NONE;

	(void)state;
	if (!may_make_groups())
		skip();
	if (!host.v2_mount[0]) {
		print_message("skipped: no cgroup2 here\n");
		skip();
	}
	assert_true(cgroup_make_v2(&host, "/nsrun-test/../x", &fd, NULL, &err) < 0);
	assert_int_equal(err.kind, ERR_BUG);
	assert_int_equal(fd, FD_NONE);
	snprintf(sub, sizeof(sub), "%s/nsrun-test", host.v2_mount);
	(void)rmdir(sub);
	err = ERR_INIT;
	group_name(group, "v2");
	assert_int_equal(cgroup_make_v2(&host, group, &fd, NULL, &err), 0);
	assert_int_equal(mkdirat(fd, "inner", 0755), 0);
	assert_int_equal(mkdirat(fd, "inner/most", 0755), 0);
	close(fd);
	if (enter(group, none, &child) == 0)
		for (;;)
			pause();
	assert_int_equal(cgroup_open_v2(&host, group, &fd, &err), 0);
	assert_int_equal(cgroup_pause(fd, "it", 2000, FD_NONE, &err), 0);
	snprintf(sub, sizeof(sub), "%s%s/cgroup.events", host.v2_mount, group);
	{
		char *text = NULL;

		assert_int_equal(file_read_virtual_at(AT_FDCWD, sub, 4096, &text, NULL, NULL), 0);
		snprintf(state_text, sizeof(state_text), "%s", text);
		free(text);
	}
	assert_non_null(strstr(state_text, "frozen 1"));
	assert_int_equal(cgroup_resume(fd, "it", 2000, &err), 0);
	assert_int_equal(cgroup_pause(fd, "it", 2000, FD_NONE, &err), 0); /* a frozen group is killed too */
	close(fd);
	must_destroy(group);
	waitpid(child.pid, NULL, 0);
	pidref_close(&child);

	/* Gone already is success, and the common case costs no waiting. */
	must_destroy(group);
	assert_int_equal(cgroup_make_v2(&host, group, &fd, NULL, &err), 0);
	close(fd);
	begin = now_us();
	must_destroy(group);
	assert_true(now_us() - begin < 500000); /* of 5 s; a loaded machine takes some ms */
}

static void test_destroy_refuses_the_root(void **state)
{
	static const char *const paths[] = { "", "/", "nsrun", "/nsrun/../..", "/.." };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct err err = ERR_INIT;

		assert_true(cgroup_destroy(&fixture, paths[i], 0, &err) < 0);
		assert_int_equal(err.kind, ERR_BUG);
	}
}

/* A group that belongs to an ordinary user, entered by one: 0 when everything is as it should be, a line number otherwise. */
static int delegated_user(const char *own, const char *expected)
{
	struct err err = ERR_INIT;
	struct cgroup_host own_host, *mine = &own_host;
	char chosen[CGROUP_PATH_MAX], path[CGROUP_PATH_MAX + 8];
	int fd = FD_NONE;

	if (setresgid(OTHER_UID, OTHER_UID, OTHER_UID) < 0 || setresuid(OTHER_UID, OTHER_UID, OTHER_UID) < 0)
		return __LINE__ % 250;
	if (cgroup_probe(arena, mine, &err) < 0 || !streq(mine->v2_self, own))
		return __LINE__ % 250;
	if (!expected) {
		if (cgroup_choose_parent(mine, chosen, sizeof(chosen), &err) != -EACCES ||
		    err.id != ERR_ID_NO_DELEGATION)
			return __LINE__ % 250;
		return 0;
	}
	if (cgroup_choose_parent(mine, chosen, sizeof(chosen), &err) < 0 || !streq(chosen, expected))
		return __LINE__ % 250;
	snprintf(path, sizeof(path), "%s/c1", chosen);
	if (cgroup_make_v2(mine, path, &fd, NULL, &err) < 0 || cgroup_destroy(mine, path, 1000, &err) < 0)
		return __LINE__ % 250;
	return cgroup_destroy(mine, chosen, 1000, &err) < 0 ? __LINE__ % 250 : 0;
}

static void run_delegated(const char *own, const char *expected)
{
	LIMITS(none, -1, -1, -1, -1);
	struct pidref child = PIDREF_NONE;
	int status;

	if (enter(own, none, &child) == 0)
		_exit(delegated_user(own, expected));
	assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
	pidref_close(&child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status))
		fail_msg("in the child: line %d modulo 250", WEXITSTATUS(status));
}

static void test_delegation(void **state)
{
	static const char *const files[] = { "", "/cgroup.procs", "/cgroup.subtree_control" };
	struct err err = ERR_INIT;
	char slice[128], scope[160], expected[200], path[2 * CGROUP_PATH_MAX];
	int fd;

	(void)state;
	if (!may_make_groups())
		skip();
	if (!host.v2_mount[0]) {
		print_message("skipped: no cgroup2 here\n");
		skip();
	}
	group_name(slice, "slice");
	snprintf(scope, sizeof(scope), "%s/scope", slice);
	assert_int_equal(cgroup_make_v2(&host, scope, &fd, NULL, &err), 0);
	close(fd);
	run_delegated(scope, NULL);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(path, sizeof(path), "%s%s%s", host.v2_mount, scope, files[i]);
		assert_int_equal(chown(path, OTHER_UID, OTHER_UID), 0);
	}
	/* Only its own group is delegated: that, though it holds a process. */
	snprintf(expected, sizeof(expected), "%s/nsrun", scope);
	run_delegated(scope, expected);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(path, sizeof(path), "%s%s%s", host.v2_mount, slice, files[i]);
		assert_int_equal(chown(path, OTHER_UID, OTHER_UID), 0);
	}
	/* The group around it as well: that one, since it is empty. */
	snprintf(expected, sizeof(expected), "%s/nsrun", slice);
	run_delegated(scope, expected);
	must_destroy(slice);
}

static void test_probe_this_host(void **state)
{
	(void)state;
	if (!host.v2_mount[0] && !host.v1_mount[CGROUP_PIDS][0]) {
		print_message("skipped: no control groups here\n");
		skip();
	}
	if (host.v2_mount[0]) {
		assert_int_equal(host.v2_mount[0], '/');
		assert_int_equal(access(host.v2_mount, X_OK), 0);
	}
	for (int c = 0; c < CGROUP_CONTROLLER_COUNT; c++)
		if (host.v1_mount[c][0]) {
			assert_int_equal(access(host.v1_mount[c], X_OK), 0);
			assert_false(host.v2_controller[c]);
		}
}

static int set_up(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	arena = arena_new();
	if (!arena)
		return -1;
	snprintf(parent, sizeof(parent), "/nsrun-test-%d", getpid());
	if (cgroup_probe(arena, &host, &err) < 0) {
		print_error("%s\n", err.message);
		return -1;
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)cgroup_destroy(&host, parent, 2000, NULL);
	const bool left = exists_anywhere(parent);
	arena_free(arena);
	return left ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_pure_v2),
		cmocka_unit_test(test_parse_hybrid),
		cmocka_unit_test(test_parse_v1_and_none),
		cmocka_unit_test(test_parse_subtree_and_escapes),
		cmocka_unit_test(test_parse_nonsense),
		cmocka_unit_test(test_check_values),
		cmocka_unit_test(test_probe_this_host),
		cmocka_unit_test(test_limits_read_back),
		cmocka_unit_test(test_one_limit_one_group),
		cmocka_unit_test(test_refused_value),
		cmocka_unit_test(test_pids_stop_a_fork_loop),
		cmocka_unit_test(test_memory_hog_is_killed_and_counted),
		cmocka_unit_test(test_destroy_forking_processes),
		cmocka_unit_test(test_destroy_v1_only),
		cmocka_unit_test(test_v2_group),
		cmocka_unit_test(test_destroy_refuses_the_root),
		cmocka_unit_test(test_delegation),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
