/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/kernel/userns.h>
#include <nsrun/plan/namespaces.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void test_words(void **state)
{
	static const struct {
		const char *text;
		bool network;
		enum ns_word word;
		const char *rest;
	} good[] = {
		{ "private", false, NS_WORD_PRIVATE, NULL },
		{ "private", true, NS_WORD_PRIVATE, NULL },
		{ "none", true, NS_WORD_PRIVATE, NULL },
		{ "host", false, NS_WORD_HOST, NULL },
		{ "ns:/run/netns/blue", true, NS_WORD_PATH, "/run/netns/blue" },
		{ "ns:/a b:c", false, NS_WORD_PATH, "/a b:c" },
		{ "container:web", false, NS_WORD_CONTAINER, "web" },
		{ "container:container:", false, NS_WORD_CONTAINER, "container:" },
	};
	static const struct {
		const char *text;
		bool network;
		enum err_id id;
		const char *part;
	} bad[] = {
		{ "none", false, ERR_ID_NONE, "private, host, ns:PATH, container:NAME" },
		{ "", false, ERR_ID_NONE, "private, host" },
		{ "hos", false, ERR_ID_NONE, "'host'" },
		{ "Host", true, ERR_ID_NONE, "none, private" },
		{ "ns:", false, ERR_ID_NONE, "absolute path" },
		{ "ns:run/netns/blue", true, ERR_ID_NONE, "absolute path" },
		{ "container:", false, ERR_ID_NONE, "name or id" },
		{ "containers:x", false, ERR_ID_NONE, "container:" },
		{ "bridge", true, ERR_ID_NOT_BUILT, "bridge" },
		{ "bridge", false, ERR_ID_NONE, "wanted" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		enum ns_word word = NS_WORD_CONTAINER;
		struct err err = ERR_INIT;
		const char *rest = "x";

		assert_int_equal(ns_parse_word("pid", good[i].text, good[i].network, &word, &rest, &err), 0);
		assert_int_equal(word, good[i].word);
		if (good[i].rest)
			assert_string_equal(rest, good[i].rest);
		else
			assert_null(rest);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		enum ns_word word;
		struct err err = ERR_INIT;
		const char *rest;

		if (ns_parse_word("pid", bad[i].text, bad[i].network, &word, &rest, &err) >= 0)
			fail_msg("\"%s\" was taken", bad[i].text);
		assert_int_equal(err.kind, ERR_INPUT);
		assert_int_equal(err.id, bad[i].id);
		if (!strstr(err.message, bad[i].part) || !strstr(err.message, "--pid"))
			fail_msg("\"%s\": %s", bad[i].text, err.message);
	}
}

static void test_time_offsets(void **state)
{
	static const struct {
		const char *text;
		bool boottime;
		int64_t seconds;
		uint32_t nanoseconds;
	} good[] = {
		{ "monotonic=0", false, 0, 0 },
		{ "monotonic=86400", false, 86400, 0 },
		{ "boottime=+7", true, 7, 0 },
		{ "boottime=1.5", true, 1, 500000000 },
		{ "boottime=0.000000001", true, 0, 1 },
		{ "boottime=1.123456789", true, 1, 123456789 },
		/* What the kernel adds is seconds + nanoseconds, the latter never negative. */
		{ "monotonic=-0.25", false, -1, 750000000 },
		{ "monotonic=-1.25", false, -2, 750000000 },
		{ "monotonic=-1", false, -1, 0 },
		{ "monotonic=-0", false, 0, 0 },
		{ "monotonic=-0.0", false, 0, 0 },
		{ "boottime=4000000000", true, 4000000000, 0 },
	};
	static const char *const bad[] = {
		"",
		"monotonic",
		"boottime=",
		"=5",
		"realtime=5",
		"monotonic=x",
		"monotonic=1.",
		"monotonic=.5",
		"monotonic=1.5s",
		"monotonic=1.1234567890",
		"monotonic=--1",
		"monotonic=+-1",
		"monotonic= 1",
		"monotonic=1e3",
		"monotonic=1.-5",
		"monotonic=1.+5",
		"monotonic=1.5.5",
		"Monotonic=1",
		"monotonic=99999999999999999999",
		"boottime=9223372036854775807",
		"boottime=4611686019", /* half of what nanoseconds in 64 bits can count, and 1 */
		"monotonic=-1000000000",
		"monotonic=-999999999999.5",
		"monotonic_of_a_long_name=1",
		"monotonic=000000000000000000000000000001",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct time_offset offset = { 99, 99 };
		struct err err = ERR_INIT;
		bool boottime = !good[i].boottime;

		if (ns_parse_time_offset(good[i].text, &boottime, &offset, &err) < 0)
			fail_msg("%s: %s", good[i].text, err.message);
		assert_int_equal(boottime, good[i].boottime);
		if (offset.seconds != good[i].seconds || offset.nanoseconds != good[i].nanoseconds)
			fail_msg("%s: %jd s %u ns", good[i].text, (intmax_t)offset.seconds, offset.nanoseconds);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct time_offset offset = { 99, 99 };
		struct err err = ERR_INIT;
		bool boottime = false;

		if (ns_parse_time_offset(bad[i], &boottime, &offset, &err) >= 0)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_int_equal(err.kind, ERR_INPUT);
		assert_int_equal(offset.seconds, 99);
		assert_non_null(strstr(err.message, "--time-offset"));
	}
}

/* The very edge: the clock may become 0 and not less. */
static void test_time_offset_bounds(void **state)
{
	struct timespec now;
	struct time_offset offset;
	struct err err = ERR_INIT;
	char text[64];
	bool boottime;

	(void)state;
	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
	snprintf(text, sizeof(text), "monotonic=-%jd", (intmax_t)now.tv_sec);
	assert_int_equal(ns_parse_time_offset(text, &boottime, &offset, &err), 0);
	snprintf(text, sizeof(text), "monotonic=-%jd", (intmax_t)now.tv_sec + 1000);
	assert_true(ns_parse_time_offset(text, &boottime, &offset, &err) < 0);
	assert_non_null(strstr(err.message, "negative"));
}

static struct plan resolved(const struct plan_request *request, uint64_t flags, struct err *err, int *ret)
{
	struct plan plan = { .namespaces = flags, .caller = CALLER_ROOT_REMAPPED };

	plan.arena = arena_new();
	assert_non_null(plan.arena);
	plan.performer[WORK_VIEWS] = BY_RUNTIME;
	*ret = plan_resolve_namespaces(&plan, request, err);
	return plan;
}

static void test_resolve(void **state)
{
	static const char *const offsets[] = { "boottime=5", "monotonic=-0.5", NULL };
	static const char *const twice[] = { "boottime=5", "boottime=5", NULL };
	struct plan_request request = { 0 };
	struct err err = ERR_INIT;
	struct plan plan;
	int r;

	(void)state;
	plan = resolved(&request, CLONE_NEWUSER, &err, &r);
	assert_int_equal(r, 0);
	assert_int_equal(plan_settle_namespaces(&plan, &err), 0);
	assert_true(plan.namespaces == (CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWIPC |
					CLONE_NEWUTS | CLONE_NEWCGROUP));
	assert_true(plan.namespaces_later == 0); /* the clocks are the host's unless asked for */
	assert_int_equal(plan.ns[NS_TIME].use, NS_HOST);
	assert_false(plan_joins(&plan));
	arena_free(plan.arena);

	request = (struct plan_request){
		.pid = "host", .network = "host", .ipc = "host", .uts = "host", .cgroupns = "host", .time = "private"
	};
	plan = resolved(&request, CLONE_NEWUSER, &err, &r);
	assert_int_equal(r, 0);
	plan.cgroup_path = "/nsrun/x";
	assert_int_equal(plan_settle_namespaces(&plan, &err), 0);
	assert_true(plan.namespaces == (CLONE_NEWUSER | CLONE_NEWNS));
	assert_true(plan.namespaces_later == CLONE_NEWTIME);
	for (enum ns_kind kind = 0; kind < NS_COUNT; kind++)
		assert_int_equal(plan_owns_ns(&plan, kind), kind == NS_USER || kind == NS_MNT || kind == NS_TIME);
	assert_int_equal(plan_ns_view(&plan, NS_PID), NS_VIEW_PROVIDED);
	plan.performer[WORK_VIEWS] = BY_NOBODY;
	assert_int_equal(plan_ns_view(&plan, NS_PID), NS_VIEW_BOUND);
	plan.namespaces &= ~(uint64_t)CLONE_NEWUSER;
	assert_int_equal(plan_ns_view(&plan, NS_PID), NS_VIEW_MOUNTED);
	arena_free(plan.arena);

	request = (struct plan_request){ .time_offsets = offsets };
	plan = resolved(&request, CLONE_NEWUSER, &err, &r);
	assert_int_equal(r, 0);
	assert_int_equal(plan.ns[NS_TIME].use, NS_NEW); /* what else could be meant */
	assert_int_equal(plan.boottime.seconds, 5);
	assert_int_equal(plan.monotonic.seconds, -1);
	assert_int_equal(plan.monotonic.nanoseconds, 500000000);
	arena_free(plan.arena);

	/* One's own namespace by its path is the host's: there is nothing to enter. */
	request = (struct plan_request){ .network = "ns:/proc/self/ns/net" };
	plan = resolved(&request, CLONE_NEWUSER, &err, &r);
	assert_int_equal(r, 0);
	assert_int_equal(plan.ns[NS_NET].use, NS_HOST);
	arena_free(plan.arena);

	const struct {
		struct plan_request request;
		const char *part;
	} bad[] = {
		{ { .time = "host", .time_offsets = offsets }, "--time host" },
		{ { .time_offsets = twice }, "already" },
		{ { .uts = "host", .hostname = "x" }, "--hostname x: contradicts --uts host" },
		{ { .uts = "host", .domainname = "y" }, "--domainname y: contradicts --uts host" },
		{ { .ipc = "host", .shm_size = "1m" }, "--shm-size 1m: contradicts --ipc host" },
		{ { .network = "ns:/nonexistent/x" }, "/nonexistent/x" },
		{ { .network = "ns:/dev/null" }, "/dev/null" },
		{ { .network = "ns:/proc/self/ns/uts" }, "uts" },
		{ { .pid = "dog" }, "--pid dog" },
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		err = ERR_INIT;
		plan = resolved(&bad[i].request, CLONE_NEWUSER, &err, &r);
		assert_true(r < 0);
		if (!strstr(err.message, bad[i].part))
			fail_msg("%s is not in: %s", bad[i].part, err.message);
		arena_free(plan.arena);
	}
}

/* Nothing would end the container's processes. */
static void test_no_end_is_refused(void **state)
{
	const struct plan_request request = { .pid = "host" };
	struct err err = ERR_INIT;
	int r;

	(void)state;
	struct plan plan = resolved(&request, CLONE_NEWUSER, &err, &r);
	assert_int_equal(r, 0);
	assert_int_equal(plan_settle_namespaces(&plan, &err), 0); /* its own user namespace tells which are its own */
	assert_true(plan_ends_by_userns(&plan));
	arena_free(plan.arena);

	plan = resolved(&request, 0, &err, &r);
	assert_int_equal(r, 0);
	assert_true(plan_settle_namespaces(&plan, &err) < 0);
	assert_int_equal(err.id, ERR_ID_NO_DELEGATION);
	plan.cgroup_path = "/nsrun/x";
	err = ERR_INIT;
	assert_int_equal(plan_settle_namespaces(&plan, &err), 0);
	assert_false(plan_ends_by_userns(&plan));
	arena_free(plan.arena);
}

/* With maps: without them, its user could make no other below it (user_namespaces(7)). */
static bool enter_new(void)
{
	char uids[32], gids[32];

	snprintf(uids, sizeof(uids), "0 %u 1\n", geteuid());
	snprintf(gids, sizeof(gids), "0 %u 1\n", getegid());
	return unshare(CLONE_NEWUSER) == 0 && file_write_at(AT_FDCWD, "/proc/self/setgroups", "deny", NULL) == 0 &&
	       file_write_at(AT_FDCWD, "/proc/self/uid_map", uids, NULL) == 0 &&
	       file_write_at(AT_FDCWD, "/proc/self/gid_map", gids, NULL) == 0;
}

/* Children in a user namespace of theirs, one of them in another below it, and one outside. */
static void test_kill_all(void **state)
{
	int ready[2], pids[3] = { 0 };
	struct err err = ERR_INIT;
	char path[64], byte;
	siginfo_t info;

	(void)state;
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	for (int i = 0; i < 3; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			const bool made = i == 2 || enter_new();

			if (i == 1 && made && fork() == 0) {
				_exit(write(ready[1], unshare(CLONE_NEWUSER) < 0 ? "n" : "y", 1) < 1 || sleep(60));
			}
			if (i != 1 || !made)
				_exit(write(ready[1], made ? "y" : "n", 1) < 1 || sleep(60));
			sleep(60);
			_exit(0);
		}
		assert_int_equal(read(ready[0], &byte, 1), 1);
		if (byte == 'n') {
			for (int k = 0; k <= i; k++) {
				kill(pids[k], SIGKILL);
				waitpid(pids[k], NULL, 0);
			}
			skip(); /* user namespaces are switched off */
		}
	}
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/proc/%d/ns/user", pids[i]);
		_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(userns_kill_all(fd, 5000, &err), 0);
		assert_int_equal(waitid(P_PID, (id_t)pids[i], &info, WEXITED), 0);
		assert_int_equal(info.si_code, CLD_KILLED);
	}
	/* Not this one. */
	assert_int_equal(waitpid(pids[2], NULL, WNOHANG), 0);
	kill(pids[2], SIGKILL);
	assert_int_equal(waitpid(pids[2], NULL, 0), pids[2]);
	close(ready[0]);
	close(ready[1]);
}

static void test_read_maps(void **state)
{
	const struct idmap one = { .n = 1, .extents = { { 0, geteuid(), 1 } } };
	const struct idmap two = { .n = 2, .extents = { { 0, 100000, 10 }, { 10, 200000, 5 } } };
	struct idmap uids, gids;
	struct err err = ERR_INIT;
	bool denied;

	(void)state;
	if (geteuid() != 0)
		skip();
	_cleanup_close_ int fd = FD_NONE;
	assert_int_equal(idmap_make_userns(&two, &one, &fd, &err), 0);
	assert_int_equal(userns_read_maps(fd, &uids, &gids, &denied, &err), 0);
	assert_memory_equal(&uids.extents, &two.extents, 2 * sizeof(two.extents[0]));
	assert_int_equal(uids.n, 2);
	assert_int_equal(gids.n, 1);
	assert_memory_equal(&gids.extents, &one.extents, sizeof(one.extents[0]));
	assert_false(denied);

	/* No namespace at all, and one of another kind. */
	_cleanup_close_ int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(userns_read_maps(null, &uids, &gids, &denied, &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_time_offsets),
		cmocka_unit_test(test_time_offset_bounds),
		cmocka_unit_test(test_resolve),
		cmocka_unit_test(test_no_end_is_refused),
		cmocka_unit_test(test_kill_all),
		cmocka_unit_test(test_read_maps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
