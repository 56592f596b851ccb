/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/base/strings.h>
#include <nsrun/kernel/rlimit.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		int resource;
		rlim_t soft, hard;
	} good[] = {
		{ "nofile=1024", RLIMIT_NOFILE, 1024, 1024 },
		{ "nofile=1024:2048", RLIMIT_NOFILE, 1024, 2048 },
		{ "core=unlimited", RLIMIT_CORE, RLIM_INFINITY, RLIM_INFINITY },
		{ "core=-1", RLIMIT_CORE, RLIM_INFINITY, RLIM_INFINITY },
		{ "core=0:-1", RLIMIT_CORE, 0, RLIM_INFINITY },
		{ "sigpending=7", RLIMIT_SIGPENDING, 7, 7 },
		{ "as=18446744073709551614", RLIMIT_AS, UINT64_MAX - 1, UINT64_MAX - 1 },
	};
	static const char *const bad[] = {
		"",
		"nofile",
		"=1",
		"nofile=",
		"nofile=1:",
		"nofile=:1",
		"nofile=-2",
		"nofile=+1",
		"nofile= 1",
		"nofile=1:2:3",
		"nofile=2:1",
		"nofile=unlimited:5",
		"NOFILE=1",
		"nofil=1",
		"rlimit_nofile_of_a_long_name=1",
		"nofile=18446744073709551616",
		"nofile=0000000000000000000000000000000000000001",
		"nofile=1k",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct rlimit_setting s = { 0 };
		struct err err = ERR_INIT;

		assert_int_equal(rlimit_parse(good[i].text, &s, &err), 0);
		assert_int_equal(s.resource, good[i].resource);
		assert_true(s.limit.rlim_cur == good[i].soft);
		assert_true(s.limit.rlim_max == good[i].hard);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct rlimit_setting s = { .resource = 77 };
		struct err err = ERR_INIT;

		if (rlimit_parse(bad[i], &s, &err) >= 0)
			fail_msg("%s was taken", bad[i]);
		assert_int_equal(err.kind, ERR_INPUT);
		assert_int_equal(s.resource, 77);
	}
}

static void test_names(void **state)
{
	struct rlimit_setting s;
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < (int)RLIM_NLIMITS; i++) {
		char text[64];

		assert_string_not_equal(rlimit_name(i), "unknown");
		snprintf(text, sizeof(text), "%s=1", rlimit_name(i));
		assert_int_equal(rlimit_parse(text, &s, &err), 0);
		assert_int_equal(s.resource, i);
	}
	assert_string_equal(rlimit_name(-1), "unknown");
	assert_string_equal(rlimit_name(RLIM_NLIMITS), "unknown");
	assert_true(rlimit_parse("nofiel=1", &s, &err) < 0);
	assert_non_null(strstr(err.message, "nofile"));
}

/* A child that only waits; killed and reaped by end_child(). */
static struct pidref start_child(void)
{
	struct pidref child = PIDREF_NONE;
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(pidref_open(pid, &child, NULL), 0);
	return child;
}

static void end_child(struct pidref *child)
{
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	pidref_close(child);
}

static void test_apply(void **state)
{
	struct rlimit_setting s = { .resource = RLIMIT_NOFILE, .limit = { 17, 23 } };
	struct pidref child = start_child();
	struct rlimit seen = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(rlimit_check(&s, &err), 0);
	assert_int_equal(rlimit_apply(&child, &s, &err), 0);
	assert_int_equal(prlimit(child.pid, RLIMIT_NOFILE, NULL, &seen), 0);
	assert_int_equal(seen.rlim_cur, 17);
	assert_int_equal(seen.rlim_max, 23);
	end_child(&child);
}

static void test_above_hard(void **state)
{
	struct rlimit_setting s = { .resource = RLIMIT_NOFILE };
	struct pidref child;
	struct rlimit now;
	struct err check = ERR_INIT, apply = ERR_INIT;
	int r, a;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
	if (now.rlim_max == RLIM_INFINITY) {
		print_message("skipped: the hard limit of nofile is unlimited\n");
		skip();
	}
	s.limit.rlim_cur = s.limit.rlim_max = now.rlim_max + 1;
	child = start_child();
	r = rlimit_check(&s, &check);
	a = rlimit_apply(&child, &s, &apply);
	end_child(&child);
	if (a == 0) {
		/* With CAP_SYS_RESOURCE it is allowed: then the check must have said so. */
		assert_int_equal(r, 0);
		return;
	}
	assert_int_equal(a, -EPERM);
	assert_int_equal(apply.id, ERR_ID_LIMIT_ABOVE_HARD);
	assert_non_null(strstr(apply.message, "nofile"));
	if (r == 0) {
		print_message(
			"the capability is held without being worth anything (a user namespace): told by the kernel alone\n");
		return;
	}
	assert_int_equal(r, -EPERM);
	assert_int_equal(check.id, ERR_ID_LIMIT_ABOVE_HARD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_apply),
		cmocka_unit_test(test_above_hard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
