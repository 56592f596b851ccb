/* SPDX-License-Identifier: Apache-2.0 */
/* The overlay that the runtime makes where tmpfs has no user.* attributes (before Linux 6.6): it works on every kernel. */
#include <nsrun/kernel/overlay.h>

#include <nsrun/base/cleanup.h>
#include <nsrun/kernel/mount.h>
#include <nsrun/kernel/probe.h>

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define OWNER 123456

static int count_mounts(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	int c, lines = 0;

	assert_non_null(f);
	while ((c = fgetc(f)) != EOF)
		lines += c == '\n';
	return lines;
}

static void needs_privilege(void)
{
	if ((probe_effective_caps() & (UINT64_C(1) << CAP_SYS_ADMIN)) && probe_in_initial_userns())
		return;
	print_message("skipped: trusted.* attributes need CAP_SYS_ADMIN in the initial user namespace\n");
	skip();
}

/* A tmpfs with full/file and empty/ in it. */
static int lower_tree(void)
{
	int fd;

	assert_int_equal(mount_new_fs("tmpfs", "tmpfs", NULL, 0, &fd, NULL), 0);
	assert_int_equal(mkdirat(fd, "full", 0755), 0);
	assert_int_equal(mkdirat(fd, "empty", 0755), 0);
	_cleanup_close_ int file = openat(fd, "full/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_true(file >= 0);
	return fd;
}

static void replaces_directories(void **state)
{
	const int before = count_mounts();
	_cleanup_close_ int overlay = FD_NONE, lower = FD_NONE;
	char here[4096], there[4096];
	struct err err = ERR_INIT;
	struct stat st;

	(void)state;
	needs_privilege();
	lower = lower_tree();
	assert_non_null(getcwd(here, sizeof(here)));
	if (overlay_new_apart(lower, OWNER, OWNER + 1, MOUNT_ATTR_NODEV, &overlay, &err) < 0)
		fail_msg("%s", err.message);
	assert_string_equal(mount_fs_name(overlay), "overlay");
	assert_int_equal(fstat(overlay, &st), 0);
	assert_int_equal(st.st_uid, OWNER);
	assert_int_equal(st.st_gid, OWNER + 1);

	/* A directory that the lower layer has: removed, and made anew without what was in it. */
	assert_int_equal(unlinkat(overlay, "full/file", 0), 0);
	assert_int_equal(unlinkat(overlay, "full", AT_REMOVEDIR), 0);
	assert_int_equal(mkdirat(overlay, "full", 0755), 0);
	assert_int_equal(faccessat(overlay, "full/file", F_OK, 0), -1);
	assert_int_equal(unlinkat(overlay, "empty", AT_REMOVEDIR), 0);

	/* Nothing of it is seen in the caller's mounts, and its working directory is the same. */
	assert_int_equal(count_mounts(), before);
	assert_non_null(getcwd(there, sizeof(there)));
	assert_string_equal(here, there);
}

static void keeps_the_lower_tree(void **state)
{
	_cleanup_close_ int overlay = FD_NONE, lower = FD_NONE, again = FD_NONE;

	(void)state;
	needs_privilege();
	lower = lower_tree();
	again = openat(lower, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(again >= 0);
	assert_int_equal(overlay_new_apart(lower, 0, 0, 0, &overlay, NULL), 0);
	assert_int_equal(unlinkat(overlay, "full/file", 0), 0);
	assert_int_equal(faccessat(again, "full/file", F_OK, 0), 0);
}

static void names_what_failed(void **state)
{
	_cleanup_close_ int not_a_mount = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct err err = ERR_INIT;
	int overlay = FD_NONE;

	(void)state;
	needs_privilege();
	assert_true(overlay_new_apart(not_a_mount, 0, 0, 0, &overlay, &err) < 0);
	assert_true(err_is_set(&err));
	assert_non_null(strstr(err.message, "rootfs"));
	assert_int_equal(overlay, FD_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replaces_directories),
		cmocka_unit_test(keeps_the_lower_tree),
		cmocka_unit_test(names_what_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
