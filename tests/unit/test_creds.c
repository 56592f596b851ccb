/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/creds.h>

#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#define SKIPPED 77

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

static void expect_child(int (*body)(void), const char *needs)
{
	int status = in_child(body);

	if (status == SKIPPED) {
		print_message("skipped: needs %s\n", needs);
		skip();
	}
	assert_int_equal(status, 0);
}

static bool ids_are(uid_t uid, gid_t gid)
{
	uid_t u[3];
	gid_t g[3];

	return getresuid(&u[0], &u[1], &u[2]) == 0 && getresgid(&g[0], &g[1], &g[2]) == 0 && u[0] == uid &&
	       u[1] == uid && u[2] == uid && g[0] == gid && g[1] == gid && g[2] == gid;
}

static int child_set(void)
{
	gid_t groups[] = { 5678, 6789 }, got[8];
	struct creds creds = { .uid = 1234, .gid = 2345, .n_groups = 2, .groups = groups };
	struct err err = ERR_INIT;

	if (geteuid() != 0)
		return SKIPPED;
	if (creds_set(&creds, true, &err) < 0 || !ids_are(1234, 2345))
		return 1;
	/* The primary group first, then the others; the kernel sorts them. */
	if (getgroups(8, got) != 3 || got[0] != 2345 || got[1] != 5678 || got[2] != 6789)
		return 2;
	/* No way back, and the error names the object. */
	if (creds_become_root(false, &err) != -EPERM || !strstr(err.message, "setresgid(0)"))
		return 3;
	return 0;
}

static int child_become_root(void)
{
	gid_t groups[] = { 5678 };
	struct err err = ERR_INIT;

	if (geteuid() != 0)
		return SKIPPED;
	if (setgroups(1, groups) < 0 || syscall(SYS_setresuid, 0, 0, 1234) < 0)
		return 1;
	if (creds_become_root(false, &err) < 0 || !ids_are(0, 0) || getgroups(0, NULL) != 1)
		return 2;
	if (creds_become_root(true, &err) < 0 || getgroups(0, NULL) != 0)
		return 3;
	return 0;
}

static int child_groups_denied(void)
{
	gid_t groups[] = { 5678 };
	struct creds creds = { .uid = getuid(), .gid = getgid(), .n_groups = 1, .groups = groups };
	struct err err = ERR_INIT;

	if (creds_set(&creds, false, &err) != -EPERM || err.kind != ERR_REFUSED)
		return 1;
	creds.n_groups = 0;
	err = ERR_INIT;
	return creds_set(&creds, false, &err) == 0 ? 0 : 2;
}

static int child_flags(void)
{
	struct err err = ERR_INIT;

	if (creds_no_new_privs(&err) < 0 || prctl(PR_GET_NO_NEW_PRIVS, 0L, 0L, 0L, 0L) != 1)
		return 1;
	if (creds_set_dumpable(false, &err) < 0 || prctl(PR_GET_DUMPABLE) != 0)
		return 2;
	return creds_set_dumpable(true, &err) == 0 && prctl(PR_GET_DUMPABLE) == 1 ? 0 : 3;
}

static int child_parent_alive(void)
{
	_cleanup_(pidref_close) struct pidref parent = PIDREF_NONE;
	struct err err = ERR_INIT;
	int signal = 0;

	if (pidref_open(getppid(), &parent, &err) < 0 || creds_die_with(&parent, &err) < 0)
		return 1;
	return prctl(PR_GET_PDEATHSIG, &signal) == 0 && signal == SIGKILL ? 0 : 2;
}

static int child_parent_dead(void)
{
	_cleanup_(pidref_close) struct pidref dead = PIDREF_NONE;
	struct err err = ERR_INIT;
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	if (pid < 0 || pidref_open(pid, &dead, &err) < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	return creds_die_with(&dead, &err) == -ESRCH && err.kind == ERR_PEER ? 0 : 2;
}

static int child_keyring(void)
{
	struct err err = ERR_INIT;
	/* KEYCTL_GET_KEYRING_ID of KEY_SPEC_SESSION_KEYRING */
	long before = syscall(SYS_keyctl, 0, -3, 1, 0, 0);

	if (before < 0)
		return SKIPPED;
	if (creds_new_session_keyring(&err) < 0)
		return 1;
	return syscall(SYS_keyctl, 0, -3, 0, 0, 0) != before ? 0 : 2;
}

static void sets_all_ids(void **state)
{
	(void)state;
	expect_child(child_set, "root");
}

static void becomes_root(void **state)
{
	(void)state;
	expect_child(child_become_root, "root");
}

static void refuses_groups_where_denied(void **state)
{
	(void)state;
	expect_child(child_groups_denied, "nothing");
}

static void sets_flags(void **state)
{
	(void)state;
	expect_child(child_flags, "nothing");
}

static void dies_with_its_parent(void **state)
{
	(void)state;
	expect_child(child_parent_alive, "nothing");
	expect_child(child_parent_dead, "nothing");
}

static void leaves_the_keyring(void **state)
{
	(void)state;
	expect_child(child_keyring, "a kernel with keyrings");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_all_ids),
		cmocka_unit_test(becomes_root),
		cmocka_unit_test(refuses_groups_where_denied),
		cmocka_unit_test(sets_flags),
		cmocka_unit_test(dies_with_its_parent),
		cmocka_unit_test(leaves_the_keyring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
