/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/ids.h>

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/nsrun-subid-XXXXXX";
static char path[64];

static void put(const char *text, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static struct id_files files_here(void)
{
	return (struct id_files){
		.subid = { path, path }, .passwd = "/nonexistent", .group = "/nonexistent", .nsswitch = "/nonexistent"
	};
}

static void reads_ranges(void **state)
{
	static const char text[] = "# comment\n\nalice:100000:65536\n1000:200000:1\nbob:300000:5\nalice:400000:65536";
	struct id_files files = files_here();
	struct subid_ranges ranges;
	struct err err = ERR_INIT;

	(void)state;
	put(text, strlen(text));
	assert_int_equal(subid_ranges_in(&files, SUBID_UID, "alice", 1000, &ranges, &err), 0);
	assert_int_equal(ranges.n, 3);
	assert_int_equal(ranges.ranges[0].first, 100000);
	assert_int_equal(ranges.ranges[1].first, 200000);
	assert_int_equal(ranges.ranges[2].first, 400000);
	subid_ranges_done(&ranges);
	assert_int_equal(subid_ranges_in(&files, SUBID_GID, NULL, 1001, &ranges, &err), 0);
	assert_int_equal(ranges.n, 0);
	subid_ranges_done(&ranges);
	/* the last usable id */
	put("a:4294967294:1\n", 15);
	assert_int_equal(subid_ranges_in(&files, SUBID_UID, "a", 1, &ranges, &err), 0);
	assert_int_equal(ranges.n, 1);
	subid_ranges_done(&ranges);
	unlink(path);
	assert_int_equal(subid_ranges_in(&files, SUBID_UID, "a", 1, &ranges, &err), 0);
	assert_int_equal(ranges.n, 0);
}

static void refuses_malformed_lines_of_anybody(void **state)
{
	static const char *const bad[] = {
		"bob:1",
		"bob:1:2:3",
		":1:2",
		"bob::5",
		"bob:5:",
		"bob:-1:5",
		"bob:+1:5",
		"bob: 1:5",
		"bob:1:5 ",
		"bob:0x10:5",
		"bob:1:0",
		"bob:4294967295:1",
		"bob:4294967294:2",
		"bob:1:4294967296",
		"bob:99999999999999999999:1",
		"bob:5:4294967295",
		"bob:1:5\r",
		"bob",
		" ",
	};
	struct id_files files = files_here();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct subid_ranges ranges;
		struct err err = ERR_INIT;
		char text[128], where[80];

		snprintf(text, sizeof(text), "alice:100000:65536\n%s\n", bad[i]);
		put(text, strlen(text));
		if (subid_ranges_in(&files, SUBID_UID, "alice", 1000, &ranges, &err) >= 0)
			fail_msg("\"%s\" was accepted", bad[i]);
		assert_int_equal(err.id, ERR_ID_SUBID_MALFORMED);
		snprintf(where, sizeof(where), "%s:2:", path);
		assert_non_null(strstr(err.message, where));
	}
	{
		struct subid_ranges ranges;
		struct err err = ERR_INIT;

		put("alice:1:2\nb\0b:1:2\n", 19);
		assert_true(subid_ranges_in(&files, SUBID_UID, "alice", 1, &ranges, &err) < 0);
		assert_int_equal(err.id, ERR_ID_SUBID_MALFORMED);
	}
}

static void refuses_overlap_with_another_owner(void **state)
{
	static const char text[] = "alice:100000:65536\nbob:165535:2\ncarol:300000:10\ndave:400000:9\ndave:400008:1\n";
	struct id_files files = files_here();
	struct subid_ranges ranges;
	struct err err = ERR_INIT;

	(void)state;
	put(text, strlen(text));
	assert_true(subid_ranges_in(&files, SUBID_UID, "alice", 1000, &ranges, &err) < 0);
	assert_int_equal(err.id, ERR_ID_SUBID_OVERLAP);
	assert_non_null(strstr(err.message, ":1:"));
	assert_non_null(strstr(err.message, "bob"));
	err = ERR_INIT;
	assert_true(subid_ranges_in(&files, SUBID_UID, "dave", 1003, &ranges, &err) < 0);
	assert_int_equal(err.id, ERR_ID_SUBID_OVERLAP);
	/* others' quarrel is not carol's */
	err = ERR_INIT;
	assert_int_equal(subid_ranges_in(&files, SUBID_UID, "carol", 1002, &ranges, &err), 0);
	assert_int_equal(ranges.n, 1);
	subid_ranges_done(&ranges);
}

static void refuses_huge_and_odd_files(void **state)
{
	struct id_files files = files_here();
	struct subid_ranges ranges;
	struct err err = ERR_INIT;

	(void)state;
	put("", 0);
	assert_int_equal(truncate(path, (off_t)10 << 30), 0);
	assert_true(subid_ranges_in(&files, SUBID_UID, "alice", 1, &ranges, &err) < 0);
	assert_non_null(strstr(err.message, path));
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	err = ERR_INIT;
	alarm(10); /* a FIFO must not block */
	assert_true(subid_ranges_in(&files, SUBID_UID, "alice", 1, &ranges, &err) < 0);
	alarm(0);
	assert_true(err_is_set(&err));
	unlink(path);
}

static void reads_nsswitch(void **state)
{
	static const struct {
		const char *text;
		bool plugin;
	} cases[] = {
		{ "passwd: files\n", false },	 { "subid: files\n", false },
		{ "subid:\tfake\n", true },	 { "passwd: x\n  subid: sss files\n", true },
		{ "#subid: sss\n", false },	 { "subid:\n", false },
		{ "subid: filesystem\n", true }, { "subid: files sss\n", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		put(cases[i].text, strlen(cases[i].text));
		if (subid_uses_plugin(path) != cases[i].plugin)
			fail_msg("case %zu", i);
	}
	unlink(path);
	assert_false(subid_uses_plugin(path));
}

/* Run as a program of its own: LD_LIBRARY_PATH counts from its start. */
static int plugin_child(const char *nsswitch)
{
	struct subid_ranges ranges = { 0 };
	struct err err = ERR_INIT;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(nsswitch, "/etc/nsswitch.conf", NULL, MS_BIND, NULL) < 0)
		return 77;
	if (subid_ranges_in(&id_files_host, SUBID_UID, "alice", 1000, &ranges, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	if (ranges.n != 1 || ranges.ranges[0].first != 700000 || ranges.ranges[0].count != 4242)
		return 2;
	subid_ranges_done(&ranges);
	if (subid_ranges_in(&id_files_host, SUBID_GID, "wrap", 1000, &ranges, &err) >= 0 ||
	    err.id != ERR_ID_SUBID_MALFORMED)
		return 3;
	err = ERR_INIT;
	if (subid_ranges_in(&id_files_host, SUBID_UID, "stranger", 1000, &ranges, &err) >= 0 ||
	    !strstr(err.message, "stranger"))
		return 4;
	return 0;
}

static void asks_a_plugin(void **state)
{
	static const char source[] =
		"#include <stdbool.h>\n#include <stdlib.h>\n#include <string.h>\n#include <sys/types.h>\n"
		"#include <shadow/subid.h>\n"
		"enum subid_status shadow_subid_has_range(const char *o, unsigned long s, unsigned long c, enum subid_type t, bool *r)\n"
		"{ (void)o; (void)s; (void)c; (void)t; *r = true; return SUBID_STATUS_SUCCESS; }\n"
		"enum subid_status shadow_subid_find_subid_owners(unsigned long i, enum subid_type t, uid_t **u, int *n)\n"
		"{ (void)i; (void)t; (void)u; *n = 0; return SUBID_STATUS_SUCCESS; }\n"
		"enum subid_status shadow_subid_list_owner_ranges(const char *o, enum subid_type t, struct subid_range **r, int *n)\n"
		"{ (void)t; if (!strcmp(o, \"stranger\")) return SUBID_STATUS_UNKNOWN_USER; *r = malloc(sizeof(**r));\n"
		"  (*r)->start = strcmp(o, \"wrap\") ? 700000 : 4294967290UL; (*r)->count = 4242; *n = 1; return SUBID_STATUS_SUCCESS; }\n";
	char command[512], nsswitch[80];
	int status;
	pid_t pid;

	(void)state;
	if (access("/usr/include/shadow/subid.h", R_OK) < 0 || geteuid() != 0) {
		print_message("skipped: needs root and libsubid's header\n");
		skip();
	}
	snprintf(path, sizeof(path), "%s/fake.c", dir);
	put(source, strlen(source));
	snprintf(command, sizeof(command), "cc -shared -fPIC -o %s/libsubid_fake.so %s", dir, path);
	if (system(command) != 0) {
		print_message("skipped: no C compiler\n");
		skip();
	}
	unlink(path);
	snprintf(path, sizeof(path), "%s/file", dir);
	put("subid: fake\n", 12);
	snprintf(nsswitch, sizeof(nsswitch), "--plugin-child=%s", path);
	pid = fork();
	if (pid == 0) {
		setenv("LD_LIBRARY_PATH", dir, 1);
		execl("/proc/self/exe", "test_subid", nsswitch, NULL);
		_exit(126);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	snprintf(command, sizeof(command), "%s/libsubid_fake.so", dir);
	unlink(command);
	unlink(path);
	if (WEXITSTATUS(status) == 77) {
		print_message("skipped: no mount namespace of our own\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/file", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_ranges),
		cmocka_unit_test(refuses_malformed_lines_of_anybody),
		cmocka_unit_test(refuses_overlap_with_another_owner),
		cmocka_unit_test(refuses_huge_and_odd_files),
		cmocka_unit_test(reads_nsswitch),
		cmocka_unit_test(asks_a_plugin),
	};

	if (argc == 2 && strncmp(argv[1], "--plugin-child=", 15) == 0)
		return plugin_child(argv[1] + 15);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
