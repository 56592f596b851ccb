/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/caps.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#define SKIPPED 77

/* Runs `body` in a child, since capabilities that are given up do not come back. Its exit status is the answer. */
static int in_child(int (*body)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(body());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void expect_child(int (*body)(void))
{
	int status = in_child(body);

	if (status == SKIPPED) {
		print_message("skipped: needs CAP_SETPCAP, CAP_SETUID and CAP_CHOWN\n");
		skip();
	}
	assert_int_equal(status, 0);
}

static bool privileged(void)
{
	struct err err = ERR_INIT;
	struct cap_sets sets;
	uint64_t wanted = CAP_MASK(CAP_SETPCAP) | CAP_MASK(CAP_SETUID) | CAP_MASK(CAP_CHOWN);

	return caps_get(&sets, &err) == 0 && (sets.effective & wanted) == wanted && (sets.bounding & wanted) == wanted;
}

static void names_are_those_of_libcap(void **state)
{
	(void)state;
	for (unsigned i = 0; CAP_MASK(i) - 1 < caps_all() && caps_name(i); i++) {
		char *name = cap_to_name((cap_value_t)i);

		assert_non_null(name);
		assert_int_equal(strcasecmp(name, caps_name(i)), 0);
		cap_free(name);
	}
	assert_string_equal(caps_name(CAP_CHECKPOINT_RESTORE), "CAP_CHECKPOINT_RESTORE");
	assert_null(caps_name(64));
	assert_null(caps_name(CAP_CHECKPOINT_RESTORE + 1));
}

static void all_is_what_the_kernel_knows(void **state)
{
	(void)state;
	for (unsigned long i = 0; i < 64; i++) {
		bool known = prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0;

		assert_int_equal((caps_all() & CAP_MASK(i)) != 0, known);
	}
}

static void parses_names(void **state)
{
	static const struct {
		const char *word;
		int cap;
	} good[] = {
		{ "CAP_CHOWN", CAP_CHOWN },
		{ "chown", CAP_CHOWN },
		{ "Cap_Sys_Admin", CAP_SYS_ADMIN },
		{ "SYS_ADMIN", CAP_SYS_ADMIN },
		{ "checkpoint_restore", CAP_CHECKPOINT_RESTORE },
	};
	static const char *const bad[] = { "", "CAP_", "CHOW", "CAP_CHOWN ", "CAP_CAP_CHOWN", "0", "ALLL", "\x1b[31m" };
	uint64_t mask;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(caps_parse(good[i].word, &mask, &err), 0);
		assert_true(mask == CAP_MASK(good[i].cap));
	}
	assert_int_equal(caps_parse("all", &mask, NULL), 0);
	assert_true(mask == caps_all());
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = ERR_INIT;

		mask = 42;
		assert_int_equal(caps_parse(bad[i], &mask, &err), -EINVAL);
		assert_int_equal(err.kind, ERR_INPUT);
		assert_true(mask == 42);
	}
}

static void names_the_nearest(void **state)
{
	struct err err = ERR_INIT, err2 = ERR_INIT;
	uint64_t mask;

	(void)state;
	assert_int_equal(caps_parse("sys_amdin", &mask, &err), -EINVAL);
	assert_non_null(strstr(err.message, "CAP_SYS_ADMIN"));
	assert_int_equal(caps_parse("CAP_NET_RAWW", &mask, &err2), -EINVAL);
	assert_non_null(strstr(err2.message, "CAP_NET_RAW"));
}

static void get_agrees_with_proc(void **state)
{
	struct err err = ERR_INIT;
	struct cap_sets sets;
	char line[256];
	FILE *f = fopen("/proc/self/status", "re");
	unsigned found = 0;

	(void)state;
	assert_non_null(f);
	assert_int_equal(caps_get(&sets, &err), 0);
	while (fgets(line, sizeof(line), f)) {
		unsigned long long value;

		if (sscanf(line, "CapInh: %llx", &value) == 1)
			assert_true(value == sets.inheritable), found++;
		else if (sscanf(line, "CapPrm: %llx", &value) == 1)
			assert_true(value == sets.permitted), found++;
		else if (sscanf(line, "CapEff: %llx", &value) == 1)
			assert_true(value == sets.effective), found++;
		else if (sscanf(line, "CapBnd: %llx", &value) == 1)
			assert_true(value == sets.bounding), found++;
		else if (sscanf(line, "CapAmb: %llx", &value) == 1)
			assert_true(value == sets.ambient), found++;
	}
	fclose(f);
	assert_int_equal(found, 5);
}

static int child_bounding(void)
{
	struct err err = ERR_INIT;
	struct cap_sets before, after;
	uint64_t keep = CAP_MASK(CAP_CHOWN) | CAP_MASK(CAP_KILL);

	if (!privileged())
		return SKIPPED;
	if (caps_get(&before, &err) < 0 || caps_limit_bounding(keep, &err) < 0 || caps_get(&after, &err) < 0)
		return 1;
	if (after.bounding != (before.bounding & keep) || after.effective != before.effective)
		return 2;
	/* Again, now without CAP_SETPCAP: nothing is left to do, so that this is no error; dropping one more is. */
	if (caps_set(&(struct cap_sets){ .permitted = keep, .effective = keep }, 0, &err) < 0)
		return 3;
	if (caps_limit_bounding(keep, &err) < 0)
		return 4;
	if (caps_limit_bounding(0, &err) != -EPERM || !strstr(err.message, "CAP_CHOWN"))
		return 5;
	return 0;
}

static int child_sets(void)
{
	struct err err = ERR_INIT;
	struct cap_sets want = { 0 }, got;
	uint64_t chown_cap = CAP_MASK(CAP_CHOWN), setuid = CAP_MASK(CAP_SETUID), setpcap = CAP_MASK(CAP_SETPCAP);

	if (!privileged())
		return SKIPPED;
	want.permitted = want.effective = chown_cap | setuid;
	want.inheritable = want.ambient = chown_cap;
	if (caps_set(&want, setpcap, &err) < 0 || caps_get(&got, &err) < 0)
		return 1;
	if (got.permitted != (chown_cap | setuid | setpcap) || got.effective != got.permitted)
		return 2;
	if (got.inheritable != chown_cap || got.ambient != chown_cap)
		return 3;
	/* The extra one is dropped by the same call without it, and with it what is not asked for again. */
	want.inheritable = want.ambient = 0;
	if (caps_set(&want, 0, &err) < 0 || caps_get(&got, &err) < 0)
		return 4;
	if (got.permitted != want.permitted || got.inheritable != 0 || got.ambient != 0)
		return 5;
	/* What was given up does not come back. */
	want.permitted |= setpcap;
	if (caps_set(&want, 0, &err) != -EPERM || err.id != ERR_ID_CAP_NOT_HELD)
		return 6;
	return 0;
}

static int child_keep(void)
{
	struct err err = ERR_INIT;
	struct cap_sets got;

	if (!privileged() || getuid() != 0)
		return SKIPPED;
	if (caps_keep_across_setuid(true, &err) < 0 || syscall(SYS_setresuid, 1234, 1234, 1234) < 0 ||
	    caps_get(&got, &err) < 0)
		return 1;
	if (got.effective != 0 || !(got.permitted & CAP_MASK(CAP_CHOWN)))
		return 2;
	if (prctl(PR_GET_SECUREBITS) != 1 << 4) /* SECBIT_KEEP_CAPS alone */
		return 3;
	if (caps_keep_across_setuid(false, &err) < 0 || prctl(PR_GET_SECUREBITS) != 0)
		return 4;
	return 0;
}

static int child_not_kept(void)
{
	struct err err = ERR_INIT;
	struct cap_sets got;

	if (!privileged() || getuid() != 0)
		return SKIPPED;
	if (caps_keep_across_setuid(false, &err) < 0 || syscall(SYS_setresuid, 1234, 1234, 1234) < 0 ||
	    caps_get(&got, &err) < 0)
		return 1;
	return got.permitted == 0 ? 0 : 2;
}

static void limits_the_bounding_set(void **state)
{
	(void)state;
	expect_child(child_bounding);
}

static void sets_all_at_once(void **state)
{
	(void)state;
	expect_child(child_sets);
}

static void keeps_across_setuid(void **state)
{
	(void)state;
	expect_child(child_keep);
	expect_child(child_not_kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_those_of_libcap),
		cmocka_unit_test(all_is_what_the_kernel_knows),
		cmocka_unit_test(parses_names),
		cmocka_unit_test(names_the_nearest),
		cmocka_unit_test(get_agrees_with_proc),
		cmocka_unit_test(limits_the_bounding_set),
		cmocka_unit_test(sets_all_at_once),
		cmocka_unit_test(keeps_across_setuid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
