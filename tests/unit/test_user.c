/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/user.h>

#include <nsrun/kernel/idmap.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define PASSWD                                             \
	"root:x:0:0:root:/root:/bin/bash\n"                \
	"# a comment\n"                                    \
	"short:x:1\n"                                      \
	"alice:x:1000:1001:Alice,,,:/home/alice:/bin/sh\n" \
	"alice:x:0:0:second line:/root:/bin/sh\n"          \
	"badid:x:-1:0::/:/bin/sh\n"                        \
	"maxid:x:4294967295:0::/:/bin/sh\n"                \
	"emptyid:x::0::/:/bin/sh\n"                        \
	"hexid:x:0x0:0::/:/bin/sh\n"                       \
	"badgid:x:1002:::/:/bin/sh\n"                      \
	"3000:x:0:0::/:/bin/sh\n"                          \
	"relhome:x:1003:1003::../up:/bin/sh\n"             \
	"bob:x:1004:1004::/home/bob:"
#define GROUP                            \
	"root:x:0:\n"                    \
	"users:x:100:alice\n"            \
	"wheel:x:10:bob,alice\n"         \
	"own:x:1001:alice\n"             \
	"near:x:11:alic,alicee,xalice\n" \
	"bad:x:-5:carol\n"               \
	"audio:x:29:root,alice"

struct tree {
	char path[64];
	int fd;
};

static void put(const struct tree *t, const char *name, const char *data, size_t size)
{
	int fd = openat(t->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	close(fd);
}

static int setup(void **state)
{
	struct tree *t = calloc(1, sizeof(*t));

	strcpy(t->path, "/tmp/nsrun-user-XXXXXX");
	if (!mkdtemp(t->path))
		return -1;
	t->fd = open(t->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	mkdirat(t->fd, "etc", 0755);
	put(t, "etc/passwd", PASSWD, strlen(PASSWD));
	put(t, "etc/group", GROUP, strlen(GROUP));
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = { "etc/passwd", "etc/group", "etc/other" };
	struct tree *t = *state;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		unlinkat(t->fd, names[i], 0);
	unlinkat(t->fd, "etc", AT_REMOVEDIR);
	rmdir(t->path);
	close(t->fd);
	free(t);
	return 0;
}

static struct user_entry resolve(const struct tree *t, const char *spec)
{
	struct user_entry entry = { 0 };
	struct err err = ERR_INIT;

	if (user_resolve(t->fd, spec, &entry, &err) < 0)
		fail_msg("%s: %s", spec ? spec : "(null)", err.message);
	return entry;
}

/* Fails, says something, and leaves the result alone: no caller can go on as id 0 by accident. */
static int refused(const struct tree *t, const char *spec, const char *word)
{
	struct user_entry entry, before;
	struct err err = ERR_INIT;
	int r;

	memset(&entry, 0x5a, sizeof(entry));
	before = entry;
	r = user_resolve(t->fd, spec, &entry, &err);
	if (r >= 0)
		fail_msg("\"%s\" was accepted as %u:%u", spec, entry.creds.uid, entry.creds.gid);
	assert_true(err_is_set(&err));
	assert_memory_equal(&entry, &before, sizeof(entry));
	if (word && !strstr(err.message, word))
		fail_msg("\"%s\": message lacks \"%s\": %s", spec, word, err.message);
	return r;
}

static void names(void **state)
{
	struct user_entry e = resolve(*state, "alice");

	assert_int_equal(e.creds.uid, 1000); /* the first line of that name */
	assert_int_equal(e.creds.gid, 1001);
	assert_string_equal(e.home, "/home/alice");
	assert_string_equal(e.shell, "/bin/sh");
	assert_string_equal(e.name, "alice");
	assert_int_equal(e.creds.n_groups, 3);
	assert_int_equal(e.creds.groups[0], 100);
	assert_int_equal(e.creds.groups[1], 10);
	assert_int_equal(e.creds.groups[2], 29);
	free(e.creds.groups);

	e = resolve(*state, "alice:wheel");
	assert_int_equal(e.creds.uid, 1000);
	assert_int_equal(e.creds.gid, 10);
	assert_int_equal(e.creds.n_groups, 0);
	e = resolve(*state, "alice:7");
	assert_int_equal(e.creds.gid, 7);
	assert_int_equal(e.creds.n_groups, 0);
	e = resolve(*state, "bob"); /* the last line, without a newline, with an empty shell */
	assert_int_equal(e.creds.uid, 1004);
	assert_string_equal(e.shell, "");
	assert_int_equal(e.creds.n_groups, 1);
	free(e.creds.groups);
	assert_string_equal(resolve(*state, "relhome").home, "/");
}

static void numbers(void **state)
{
	struct user_entry e = resolve(*state, NULL);

	assert_int_equal(e.creds.uid, 0);
	assert_int_equal(e.creds.gid, 0);
	assert_int_equal(e.creds.n_groups, 0);
	assert_string_equal(e.home, "/root");
	e = resolve(*state, "1000");
	assert_int_equal(e.creds.gid, 1001);
	assert_string_equal(e.name, "alice");
	assert_int_equal(e.creds.n_groups, 3);
	free(e.creds.groups);
	e = resolve(*state, "3000"); /* also the name of a line that says 0 */
	assert_int_equal(e.creds.uid, 3000);
	assert_int_equal(e.creds.gid, 0);
	assert_string_equal(e.home, "/");
	assert_string_equal(e.name, "");
	e = resolve(*state, "4294967294:4294967294");
	assert_int_equal(e.creds.uid, IDMAP_ID_MAX);
	assert_int_equal(e.creds.gid, IDMAP_ID_MAX);
	assert_int_equal(resolve(*state, "1:1").creds.uid, 1);
}

static const char *const malformed[] = {
	"",
	":",
	"1:",
	":1",
	":",
	"alice:",
	"-1",
	"+1",
	"0:-1",
	"4294967295",
	"0:4294967295",
	"4294967296",
	"18446744073709551616",
	"99999999999999999999999999",
	"0x0",
	"0x",
	"00",
	"010",
	" 1",
	"1 ",
	"1\n",
	"1:1:1",
	"alice:wheel:x",
	"al ice",
	"alice\n",
	"../x",
	"a/b",
	"1e3",
	"-alice",
	"+alice",
	"a,b",
	"1.",
	"0:0x0",
	"\001",
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
};

static void syntax(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(malformed); i++) {
		struct err err = ERR_INIT;

		if (user_check_syntax(malformed[i], &err) != -EINVAL)
			fail_msg("\"%s\" was accepted", malformed[i]);
		assert_true(err_is_set(&err));
		assert_int_equal(refused(*state, malformed[i], NULL), -EINVAL);
	}
	assert_int_equal(user_check_syntax("www-data:0", NULL), 0);
	assert_int_equal(user_check_syntax("_apt", NULL), 0);
	assert_int_equal(user_check_syntax(NULL, NULL), 0);
}

static void damaged_lines(void **state)
{
	refused(*state, "short", "malformed");
	refused(*state, "badid", "malformed");
	refused(*state, "maxid", "malformed");
	refused(*state, "emptyid", "malformed");
	refused(*state, "hexid", "malformed");
	refused(*state, "badgid", "malformed");
	refused(*state, "alice:bad", "malformed");
	assert_int_equal(refused(*state, "nobody", "nobody"), -ENOENT);
	assert_int_equal(refused(*state, "alice:nogroup", "nogroup"), -ENOENT);
	refused(*state, "#", NULL);
}

static void long_fields(void **state)
{
	struct tree *t = *state;
	char line[700], home[400];

	memset(home, 'h', sizeof(home));
	home[0] = '/';
	home[399] = '\0';
	snprintf(line, sizeof(line), "dave:x:5:5::%s:/bin/sh\n", home);
	put(t, "etc/passwd", line, strlen(line));
	assert_int_equal(refused(t, "dave", "home"), -ENAMETOOLONG);
	snprintf(line, sizeof(line), "dave:x:5:5::/:%s\n", home);
	put(t, "etc/passwd", line, strlen(line));
	assert_int_equal(refused(t, "dave", "shell"), -ENAMETOOLONG);
}

static void hostile_files(void **state)
{
	struct tree *t = *state;
	const char nul[] = "root:x:0:0::/:/bin/sh\neve:x:\0:0::/:/bin/sh\n";
	_cleanup_free_ char *big = NULL;
	size_t size = 2u << 20;
	struct user_entry e;
	int fd;

	put(t, "etc/passwd", nul, sizeof(nul) - 1);
	assert_int_equal(refused(t, "eve", "NUL"), -EINVAL);
	assert_int_equal(refused(t, "5", "NUL"), -EINVAL);

	/* one line of 2 MiB, then a good one */
	big = malloc(size);
	memset(big, 'x', size);
	memcpy(big + size - 23, "\ngood:x:7:8::/h:/bin/x\n", 23);
	put(t, "etc/passwd", big, size);
	assert_int_equal(resolve(t, "good").creds.uid, 7);

	unlinkat(t->fd, "etc/passwd", 0);
	assert_int_equal(mkfifoat(t->fd, "etc/passwd", 0644), 0);
	alarm(10); /* a FIFO that is waited for would hang here */
	refused(t, "alice", "passwd");
	refused(t, "5", "passwd");
	alarm(0);

	unlinkat(t->fd, "etc/passwd", 0);
	fd = openat(t->fd, "etc/passwd", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (ftruncate(fd, 10LL << 30) == 0)
		assert_int_equal(refused(t, "alice", "passwd"), -EFBIG);
	else
		print_message("sparse file of 10 GiB: not possible here, not tested\n");
	close(fd);

	/* a link out of the root is followed inside of it: the host's passwd has root, the container's none */
	unlinkat(t->fd, "etc/passwd", 0);
	assert_int_equal(symlinkat("../../../../../../etc/other", t->fd, "etc/passwd"), 0);
	assert_int_equal(refused(t, "root", "does not exist"), -ENOENT);
	put(t, "etc/other", "root:x:9:9::/:/bin/sh\n", 22);
	e = resolve(t, "root");
	assert_int_equal(e.creds.uid, 9);
	free(e.creds.groups);
	unlinkat(t->fd, "etc/passwd", 0);
	assert_int_equal(symlinkat("passwd", t->fd, "etc/passwd"), 0);
	refused(t, "root", "passwd"); /* a loop */
}

static void absent_files(void **state)
{
	struct tree *t = *state;
	struct user_entry e;

	unlinkat(t->fd, "etc/passwd", 0);
	unlinkat(t->fd, "etc/group", 0);
	e = resolve(t, "5:6");
	assert_int_equal(e.creds.uid, 5);
	assert_int_equal(e.creds.gid, 6);
	assert_string_equal(e.home, "/");
	assert_string_equal(e.shell, "");
	assert_int_equal(refused(t, "root", "does not exist"), -ENOENT);
	assert_int_equal(refused(t, "0:root", "does not exist"), -ENOENT);
	unlinkat(t->fd, "etc", AT_REMOVEDIR);
	assert_int_equal(resolve(t, "5:6").creds.uid, 5);
}

static void added_groups(void **state)
{
	static const char *const good[] = { "audio", "4321", "audio", NULL },
				 *const unknown[] = { "4321", "nosuch", NULL }, *const damaged[] = { "bad", NULL },
				 *const none[] = { NULL };
	struct tree *t = *state;
	struct err err = ERR_INIT;
	struct user_entry e = resolve(t, "alice");
	const size_t before = e.creds.n_groups;

	assert_int_equal(user_add_groups(t->fd, good, &e, &err), 0);
	assert_int_equal(e.creds.n_groups, before + 3);
	assert_int_equal(e.creds.groups[before], 29);
	assert_int_equal(e.creds.groups[before + 1], 4321);
	assert_int_equal(user_add_groups(t->fd, unknown, &e, &err), -ENOENT);
	assert_int_equal(err.id, ERR_ID_UNKNOWN_INSIDE);
	err = ERR_INIT;
	assert_true(user_add_groups(t->fd, damaged, &e, &err) < 0);
	assert_int_equal(user_add_groups(t->fd, none, &e, &err), 0);
	free(e.creds.groups);

	static const char *const bad_words[] = { "", "a:b", "-1", "4294967295", "1x", "a/b", "+a" };
	for (size_t i = 0; i < ARRAY_LEN(bad_words); i++)
		assert_true(user_check_group_syntax(bad_words[i], NULL) < 0);
	assert_int_equal(user_check_group_syntax("staff", NULL), 0);
}

static void many_groups(void **state)
{
	struct tree *t = *state;
	_cleanup_free_ char *data = NULL;
	struct user_entry e;
	size_t n = 0;
	FILE *f = open_memstream(&data, &n);

	assert_non_null(f);
	for (int i = 0; i < 65536; i++)
		fprintf(f, "g%d:x:%d:alice\n", i, 2000 + i);
	assert_int_equal(fflush(f), 0);
	put(t, "etc/group", data, n);
	e = resolve(t, "alice");
	assert_int_equal(e.creds.n_groups, 65536);
	assert_int_equal(e.creds.groups[65535], 2000 + 65535);
	free(e.creds.groups);
	fprintf(f, "one:x:1:alice\n");
	assert_int_equal(fclose(f), 0);
	put(t, "etc/group", data, n);
	refused(t, "alice", "more than");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(names, setup, teardown),
		cmocka_unit_test_setup_teardown(numbers, setup, teardown),
		cmocka_unit_test_setup_teardown(syntax, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(long_fields, setup, teardown),
		cmocka_unit_test_setup_teardown(hostile_files, setup, teardown),
		cmocka_unit_test_setup_teardown(absent_files, setup, teardown),
		cmocka_unit_test_setup_teardown(added_groups, setup, teardown),
		cmocka_unit_test_setup_teardown(many_groups, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
