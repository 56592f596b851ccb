/* SPDX-License-Identifier: Apache-2.0 */
/* Holding a launch between rows: by the watcher's side and the launch's, in two processes; and what --without accepts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <nsrun/base/strings.h>
#include <nsrun/cli/options.h>
#include <nsrun/launch/tape.h>
#include <nsrun/launch/without.h>

#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct tape *mapped(int *ret_fd)
{
	struct err err = ERR_INIT;
	struct tape *tape;

	assert_int_equal(tape_new_shared(&tape, ret_fd, &err), 0);
	return tape;
}

/* A process that walks two rows as runner_walk() does, by a mapping of its own. */
static pid_t walker(int fd)
{
	const pid_t pid = fork();
	struct err err = ERR_INIT;
	struct tape *tape;

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	if (tape_map(fd, &tape, &err) < 0)
		_exit(9);
	tape_stand(tape, STEP_PROC_MOUNT, ROLE_INIT);
	tape_stand(tape, STEP_ROOT_PIVOT, ROLE_INIT);
	_exit(0);
}

static void ends(pid_t pid)
{
	int status = -1;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void stands_before_one_row(void **state)
{
	_cleanup_close_ int fd = FD_NONE;
	struct tape *tape = mapped(&fd);
	enum role role = 0;

	(void)state;
	tape_hold(tape, STEP_ROOT_PIVOT, false);
	const pid_t pid = walker(fd);
	assert_int_equal(tape_wait_held(tape, 20000, &role), STEP_ROOT_PIVOT);
	assert_int_equal(role, ROLE_INIT);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	tape_go(tape, STEP_NONE, false);
	ends(pid);
	assert_int_equal(tape_wait_held(tape, 0, NULL), STEP_NONE);
	tape_free(tape);
}

static void stands_before_each_row(void **state)
{
	_cleanup_close_ int fd = FD_NONE;
	struct tape *tape = mapped(&fd);

	(void)state;
	tape_hold(tape, STEP_NONE, true);
	const pid_t pid = walker(fd);
	assert_int_equal(tape_wait_held(tape, 20000, NULL), STEP_PROC_MOUNT);
	tape_go(tape, STEP_NONE, true);
	assert_int_equal(tape_wait_held(tape, 20000, NULL), STEP_ROOT_PIVOT);
	/* Nothing is held any more: whoever stands goes on. */
	tape_hold(tape, STEP_NONE, false);
	ends(pid);
	tape_free(tape);
}

/* From one row to the next: however fast the process is there, it is not let go twice. */
static void goes_to_a_row(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		_cleanup_close_ int fd = FD_NONE;
		struct tape *tape = mapped(&fd);

		tape_hold(tape, STEP_PROC_MOUNT, false);
		const pid_t pid = walker(fd);
		assert_int_equal(tape_wait_held(tape, 20000, NULL), STEP_PROC_MOUNT);
		tape_go(tape, STEP_ROOT_PIVOT, false);
		assert_int_equal(tape_wait_held(tape, 20000, NULL), STEP_ROOT_PIVOT);
		usleep(200);
		assert_int_equal(tape_wait_held(tape, 0, NULL), STEP_ROOT_PIVOT);
		tape_go(tape, STEP_NONE, false);
		ends(pid);
		tape_free(tape);
	}
}

static void nobody_watches(void **state)
{
	_cleanup_close_ int fd = FD_NONE;
	struct tape *tape = mapped(&fd);

	(void)state;
	ends(walker(fd));
	assert_int_equal(tape_wait_held(tape, 1, NULL), STEP_NONE);
	tape_free(tape);
}

static void other_files_are_no_tape(void **state)
{
	_cleanup_close_ int fd = memfd_create("other", MFD_ALLOW_SEALING);
	struct tape *tape = NULL;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(ftruncate(fd, sizeof(*tape)), 0);
	assert_int_equal(tape_map(fd, &tape, &err), -EINVAL); /* it could shrink under the launch */
	err = ERR_INIT;
	assert_int_equal(tape_map(-1, &tape, &err), -EBADF);
	assert_null(tape);
}

static void option_has_every_row(void **state)
{
	const struct option_table table = { .rows = option_rows, .count = option_rows_count };
	const struct option_row *option = option_find(&table, "without");

	(void)state;
	for (size_t i = 0; i < without_rows_count; i++)
		assert_string_equal(option->values[i], score[without_rows[i].step].name);
	assert_null(option->values[without_rows_count]);
}

static void rows_are_left_out(void **state)
{
	const char *const some[] = { "hostname.set", NULL }, *const proc[] = { "proc.mount", NULL },
			  *const never[] = { "root.pivot", NULL };
	struct plan plan = { .namespaces = CLONE_NEWUSER | CLONE_NEWUTS | CLONE_NEWPID | CLONE_NEWNS, .without = some };
	struct err err = ERR_INIT;

	(void)state;
	plan.ns[NS_UTS].use = NS_NEW;
	assert_int_equal(launch_check_without(&plan, &err), 0);
	assert_false(score_wants(&plan, STEP_HOSTNAME_SET));
	plan.namespaces &= ~(uint64_t)CLONE_NEWUSER;
	assert_true(launch_check_without(&plan, &err) < 0);
	assert_int_equal(err.id, ERR_ID_WITHOUT_HOST);
	plan.namespaces |= CLONE_NEWUSER;
	err = ERR_INIT;
	plan.without = never;
	assert_true(launch_check_without(&plan, &err) < 0);
	assert_int_equal(err.id, ERR_ID_WITHOUT);
	err = ERR_INIT;
	plan.without = proc;
	plan.masked_paths = (const char *const[]){ "/proc/kcore", NULL };
	assert_true(launch_check_without(&plan, &err) < 0);
	assert_non_null(strstr(err.message, "paths.mask"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stands_before_one_row),   cmocka_unit_test(stands_before_each_row),
		cmocka_unit_test(goes_to_a_row),	   cmocka_unit_test(nobody_watches),
		cmocka_unit_test(other_files_are_no_tape), cmocka_unit_test(option_has_every_row),
		cmocka_unit_test(rows_are_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
