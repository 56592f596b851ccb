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
	assert_int_equal(helper_run("/bin/sh", words, output, sizeof(output), &status, &err), 0);
	assert_int_equal(status, 3);
	assert_non_null(strstr(output, "out\nerr\n"));
	assert_non_null(strstr(output, "LC_ALL=C\n"));
	assert_null(strstr(output, "HOME="));
	assert_int_equal(helper_run("/bin/sh", much, output, sizeof(output), &status, &err), 0);
	assert_int_equal(status, 0);
	assert_int_equal(strlen(output), sizeof(output) - 1);
	assert_int_equal(helper_run("/nonexistent", much, output, sizeof(output), &status, &err), -ENOENT);
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
	char dir[] = "/tmp/nsrun-idmap-XXXXXX", path[64], saved[4096];
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
		cmocka_unit_test(checks_maps),	      cmocka_unit_test(translates_and_formats),
		cmocka_unit_test(makes_a_userns),     cmocka_unit_test(finds_and_runs_helpers),
		cmocka_unit_test(explains_newuidmap), cmocka_unit_test(probes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
