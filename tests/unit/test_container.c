/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/container.h>
#include <nsrun/plan/container_record.h>
#include <nsrun/plan/container_show.h>
#include <nsrun/plan/state.h>

#include <nsrun/base/procstat.h>
#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ID "0123456789ab"
#define OTHER "0123ffffffff"

static char top[] = "/tmp/nsrun-container-XXXXXX";
static char root[64];

static void path_of(char *ret, size_t size, const char *id, const char *file)
{
	snprintf(ret, size, "%s/1000.1000/%s%s%s", root, id, file ? "/" : "", file ? file : "");
}

static void put(const char *id, const char *file, const char *text)
{
	char path[256];
	FILE *f;

	path_of(path, sizeof(path), id, file);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

/* A container's directory with these files; NULL: without. */
static void make(const char *id, const char *lock, const char *state)
{
	char path[256];

	path_of(path, sizeof(path), id, NULL);
	mkdir(root, 0700);
	path_of(path, sizeof(path), "", NULL);
	mkdir(path, 0700);
	path_of(path, sizeof(path), id, NULL);
	mkdir(path, 0700);
	if (lock)
		put(id, "lock", lock);
	if (state)
		put(id, "state.json", state);
}

static int hold(const char *id)
{
	char path[256];
	int fd;

	path_of(path, sizeof(path), id, "lock");
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	return fd;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int clear(void **state)
{
	(void)state;
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static void name(const char *word, const char *target)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/names", root);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/names/%s", root, word);
	assert_int_equal(symlink(target, path), 0);
}

static enum container_status status_of(const char *word)
{
	struct container c;
	struct err err = ERR_INIT;
	enum container_status status;

	if (container_find(word, &c, &err) < 0)
		fail_msg("%s: %s", word, err.message);
	status = c.status;
	container_done(&c);
	return status;
}

static const char *self_text(char *buf, size_t size)
{
	struct procstat stat;

	assert_int_equal(procstat_read(getpid(), &stat, NULL), 0);
	snprintf(buf, size, "%d %llu\n", (int)getpid(), (unsigned long long)stat.start);
	return buf;
}

static void parses_stat(void **state)
{
	static const char text[] =
		"4711 (a) b (c) S 17 1 1 0 -1 4194560 1 2 3 4 50 60 7 8 20 0 1 0 987654 1000 42 rest";
	struct procstat stat;

	(void)state;
	assert_true(procstat_parse(text, &stat));
	assert_int_equal(stat.pid, 4711);
	assert_int_equal(stat.ppid, 17);
	assert_string_equal(stat.comm, "a) b (c");
	assert_int_equal(stat.state, 'S');
	assert_int_equal(stat.utime, 50);
	assert_int_equal(stat.stime, 60);
	assert_int_equal(stat.start, 987654);
	assert_int_equal(stat.rss_pages, 42);
	assert_false(stat.forked_only);
	assert_false(procstat_parse("", &stat));
	assert_false(procstat_parse("1 )(", &stat));
	assert_false(procstat_parse("1 (a) S 2", &stat));
}

static void status_by_lock(void **state)
{
	char self[64];
	int lock;

	(void)state;
	make(ID, "", "{\"version\": 1, \"id\": \"" ID "\", \"init\": null}");
	assert_int_equal(status_of(ID), CONTAINER_DEAD);
	lock = hold(ID);
	assert_int_equal(status_of(ID), CONTAINER_STARTING);
	put(ID, "lock", self_text(self, sizeof(self)));
	/* This process was executed: so it stands for a container's CMD. */
	assert_int_equal(status_of(ID), CONTAINER_RUNNING);
	put(ID, "lock", "2147483000 1\n");
	assert_int_equal(status_of(ID), CONTAINER_RUNNING); /* init has ended, its owner tidies up */
	close(lock);
	assert_int_equal(status_of(ID), CONTAINER_DEAD);
	put(ID, "state.json",
	    "{\"version\": 2, \"id\": \"" ID
	    "\", \"exit\": {\"status\": 3, \"signal\": 0, \"time\": \"2026-01-01T00:00:00Z\"}}");
	assert_int_equal(status_of(ID), CONTAINER_ENDED);
	char path[256];

	path_of(path, sizeof(path), ID, "lock"); /* its owner removes it last */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(status_of(ID), CONTAINER_ENDED);
}

static void init_is_one_process(void **state)
{
	struct pidref init = PIDREF_NONE;
	struct err err = ERR_INIT;
	struct container c;
	char self[64];
	pid_t child;
	int lock;

	(void)state;
	make(ID, self_text(self, sizeof(self)), "{\"version\": 2, \"id\": \"" ID "\"}");
	lock = hold(ID);
	assert_int_equal(container_find(ID, &c, &err), 0);
	assert_int_equal(c.init, getpid());
	assert_int_equal(container_open_init(&c, &init, &err), 0);
	assert_int_equal(init.pid, getpid());
	pidref_close(&init);
	c.init_start++; /* another process of that number */
	assert_int_equal(container_open_init(&c, &init, &err), -ESRCH);
	assert_int_equal(err.id, ERR_ID_NOT_RUNNING);
	container_done(&c);

	/* One that was forked and executes nothing is no CMD yet. */
	child = fork();
	if (child == 0) {
		alarm(60);
		for (;;)
			pause();
	}
	struct procstat stat;
	char text[64];

	assert_int_equal(procstat_read(child, &stat, NULL), 0);
	snprintf(text, sizeof(text), "%d %llu\n", (int)child, (unsigned long long)stat.start);
	put(ID, "lock", text);
	assert_int_equal(status_of(ID), CONTAINER_STARTING);
	kill(child, SIGKILL);
	siginfo_t info;
	waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
	assert_int_equal(container_find(ID, &c, NULL), 0);
	assert_int_equal(c.init, 0); /* a zombie is none */
	container_done(&c);
	waitpid(child, NULL, 0);
	close(lock);
}

static void lock_is_not_taken(void **state)
{
	int lock, others[2];
	char path[256];

	(void)state;
	make(ID, "", "{\"version\": 2, \"id\": \"" ID "\"}");
	assert_int_equal(status_of(ID), CONTAINER_DEAD);
	lock = hold(ID); /* fails if the look had kept it */
	close(lock);
	/* Other readers count as nobody. */
	path_of(path, sizeof(path), ID, "lock");
	for (int i = 0; i < 2; i++) {
		others[i] = open(path, O_RDONLY | O_CLOEXEC);
		assert_int_equal(flock(others[i], LOCK_SH | LOCK_NB), 0);
	}
	assert_int_equal(status_of(ID), CONTAINER_DEAD);
	close(others[0]);
	close(others[1]);
}

static void find_fails(const char *word, int wanted, enum err_id id, const char *part)
{
	struct err err = ERR_INIT;
	struct container c;
	const int r = container_find(word, &c, &err);

	if (r == 0)
		container_done(&c);
	assert_int_equal(r, wanted);
	assert_int_equal(err.id, id);
	if (!strstr(err.message, part))
		fail_msg("\"%s\" lacks \"%s\"", err.message, part);
}

static void finds(void **state)
{
	struct container c;
	struct err err = ERR_INIT;

	(void)state;
	find_fails("web", -ENOENT, ERR_ID_NO_CONTAINER, "web"); /* there is no state root at all */
	make(ID, "", "{\"version\": 2, \"id\": \"" ID "\", \"name\": \"web\"}");
	make(OTHER, "", "{\"version\": 2, \"id\": \"" OTHER "\", \"name\": \"0123456789ac\"}");
	name("web", "../1000.1000/" ID);
	name("0123456789ac", "../1000.1000/" OTHER);
	static const char *const words[] = { "web", ID, "01234", "012345678" };
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (container_find(words[i], &c, &err) < 0)
			fail_msg("%s: %s", words[i], err.message);
		assert_string_equal(c.id, ID);
		assert_string_equal(c.name, "web");
		assert_string_equal(container_label(&c), "web");
		container_done(&c);
	}
	/* A whole id comes before a name, a name before the beginning of an id. */
	assert_int_equal(container_find("0123456789ac", &c, &err), 0);
	assert_string_equal(c.id, OTHER);
	container_done(&c);
	name("0123f", "../1000.1000/" ID);
	find_fails("0123f", -EINVAL, ERR_ID_NONE, "another one");
	find_fails("0123", -EINVAL, ERR_ID_NONE, "2 ids");
	find_fails("01", -ENOENT, ERR_ID_NO_CONTAINER, "01");
	find_fails("wep", -ENOENT, ERR_ID_NO_CONTAINER, "did you mean web?");
	find_fails("", -ENOENT, ERR_ID_NO_CONTAINER, "no container");
	find_fails(".", -ENOENT, ERR_ID_NO_CONTAINER, "no container");
	find_fails("..", -ENOENT, ERR_ID_NO_CONTAINER, "no container");
	find_fails("../1000.1000/" ID, -ENOENT, ERR_ID_NO_CONTAINER, "no container");
	find_fails("names/web", -ENOENT, ERR_ID_NO_CONTAINER, "no container");
}

static void hostile_names(void **state)
{
	static const char *const targets[] = {
		"/etc",	      "../1000.1000/../" ID, "../1000.1000/" ID "/", "../1000.1000/" ID "f",
		"../a.b/" ID, "../../etc",	     "../1000.1000//" ID
	};

	(void)state;
	make(ID, "", "{\"version\": 2, \"id\": \"" ID "\"}");
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		char word[16];

		snprintf(word, sizeof(word), "name%zu", i);
		name(word, targets[i]);
		find_fails(word, -ENOENT, ERR_ID_NO_CONTAINER, word);
	}
}

static void damaged(void **state)
{
	static const struct {
		const char *text, *part;
	} cases[] = {
		{ "", "state.json" },
		{ "[]", "no object" },
		{ "nonsense", "line 1" },
		{ "{\"version\": 1}", "\"id\"" },
		{ "{\"version\": 4, \"id\": \"" ID "\"}", "newer" },
		{ "{\"version\": \"1\", \"id\": \"" ID "\"}", "version" },
		{ "{\"version\": 1, \"id\": \"" OTHER "\"}", "another container" },
		{ "{\"version\": 1, \"id\": \"" ID "\", \"owner\": 3}", "\"owner\"" },
		{ "{\"version\": 1, \"id\": \"" ID "\", \"owner\": {\"pid\": 99999999999, \"start\": 1}}",
		  "\"owner\"" },
		{ "{\"version\": 1, \"id\": \"" ID "\", \"init\": {\"pid\": -1, \"start\": 1}}", "\"init\"" },
		{ "{\"version\": 1, \"id\": \"" ID "\", \"argv\": [1]}", "\"argv\"" },
		{ "{\"version\": 1, \"id\": \"" ID "\", \"uid_map\": [[0, 1]]}", "\"uid_map\"" },
		{ "{\"version\": 1, \"id\": \"" ID "\", \"uid_map\": [[0, 1, -1]]}", "\"uid_map\"" },
		{ "{\"version\": 2, \"id\": \"" ID "\", \"exit\": {}}", "\"exit\"" },
		{ "{\"version\": 2, \"id\": \"" ID "\", \"exit\": {\"status\": 300, \"signal\": 0}}", "\"exit\"" },
		{ "{\"version\": 2, \"id\": \"" ID "\", \"exit\": {\"lost\": true, \"time\": 3}}", "\"exit\"" },
		{ "{\"version\": 2, \"id\": \"" ID "\", \"stop\": {\"signal\": 900, \"timeout\": 1}}", "\"stop\"" },
		{ "{\"version\": 2, \"id\": \"" ID "\", \"name\": {}}", "\"name\"" },
		{ "{\"version\": 2, \"id\": \"" ID "\", \"id\": \"" ID "\"}", "duplicate" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		make(ID, "", cases[i].text);
		find_fails(ID, -EINVAL, ERR_ID_RECORD_DAMAGED, cases[i].part);
	}
}

static void count_bad(const char *dir, const struct err *why, void *data)
{
	assert_non_null(strstr(dir, "/1000.1000/"));
	assert_true(err_is_set(why));
	(*(unsigned *)data)++;
}

static void lists(void **state)
{
	struct container *list;
	unsigned bad = 0;
	char path[256];
	size_t n;

	(void)state;
	assert_int_equal(container_list(&list, &n, NULL, NULL, NULL), 0);
	assert_int_equal(n, 0);
	make(ID, "", "{\"version\": 2, \"id\": \"" ID "\", \"created\": \"2026-01-02T00:00:00Z\"}");
	make(OTHER, "", "{\"version\": 2, \"id\": \"" OTHER "\", \"created\": \"2026-01-01T00:00:00Z\"}");
	make("aaaaaaaaaaaa", "", NULL);	  /* nothing was made of it */
	make("bbbbbbbbbbbb", NULL, NULL); /* being removed */
	make("cccccccccccc", "", "{");
	make("dddddddddddd", NULL, NULL);
	path_of(path, sizeof(path), "dddddddddddd", "lock");
	assert_int_equal(mkfifo(path, 0600), 0);
	path_of(path, sizeof(path), "eeeeeeeeeeee", NULL);
	assert_int_equal(symlink("/etc", path), 0);
	assert_int_equal(container_list(&list, &n, count_bad, &bad, NULL), 0);
	assert_int_equal(n, 2);
	assert_string_equal(list[0].id, OTHER);
	assert_string_equal(list[1].id, ID);
	assert_int_equal(bad, 3); /* half a record, a FIFO, a link */
	containers_free(list, n);
}

static void tells(void **state)
{
	struct container_exit end;
	struct container c;
	unsigned seconds;
	int signal;
	char *text;

	(void)state;
	make(ID, "",
	     "{\"version\": 2, \"id\": \"" ID
	     "\", \"argv\": [\"a\", \"b c\"], \"stop\": {\"signal\": 2, \"timeout\": 7},"
	     " \"exit\": {\"status\": 137, \"signal\": 9, \"oom_kills\": 2, \"time\": \"2026-01-01T00:00:00Z\"}}");
	assert_int_equal(container_find(ID, &c, NULL), 0);
	assert_true(container_exit(&c, &end));
	assert_int_equal(end.status, 137);
	assert_int_equal(end.signal, 9);
	assert_int_equal(end.events.oom_kills, 2);
	assert_false(end.lost);
	container_stop_default(&c, &signal, &seconds);
	assert_int_equal(signal, 2);
	assert_int_equal(seconds, 7);
	text = container_command(&c);
	assert_string_equal(text, "a b c");
	free(text);
	assert_null(container_text(&c, "rootfs"));
	assert_false(container_owner_lives(&c));
	assert_int_equal(container_refresh(&c, NULL), 0);
	clear(NULL);
	assert_false(container_owner_lives(&c));
	assert_int_equal(container_refresh(&c, NULL), -ENOENT);
	container_done(&c);
}

/* Bytes of a good record, changed at random: read or refused, never a crash. */
static void fuzz(void **state)
{
	static const char good[] =
		"{\"version\": 2, \"id\": \"" ID
		"\", \"name\": \"web\", \"owner\": {\"pid\": 10, \"start\": 20}, \"uid_map\": [[0, 1000, 1]],"
		" \"argv\": [\"a\"], \"stop\": {\"signal\": 15, \"timeout\": 10}, \"exit\": {\"status\": 0, \"signal\": 0, \"time\": \"x\"}}";
	static const char bytes[] = "\"{}[],:0-9en\\tu\xff\x01";
	unsigned seed = 1;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		char text[sizeof(good)];
		struct container c;
		struct err err = ERR_INIT;
		char *json;

		memcpy(text, good, sizeof(good));
		for (int k = 0; k < 1 + i % 4; k++)
			text[(unsigned)rand_r(&seed) % (sizeof(good) - 1)] =
				bytes[(unsigned)rand_r(&seed) % (sizeof(bytes) - 1)];
		make(ID, "", text);
		if (container_find(ID, &c, &err) == 0) {
			struct container_exit end;

			container_exit(&c, &end);
			free(container_command(&c));
			if (container_list_json(&c, 1, &json, &err) < 0)
				fail_msg("%s", text);
			free(json);
			if (i % 8 == 0) { /* these look at the host, too */
				if (container_inspect_json(&c, 1, &json, &err) < 0)
					fail_msg("%s", text);
				free(json);
				if (container_inspect_text(&c, &json, &err) < 0)
					fail_msg("%s", text);
				free(json);
			}
			container_done(&c);
		} else {
			assert_true(err_is_set(&err));
		}
	}
}

/* The state root of an ordinary user is where XDG_RUNTIME_DIR says. */
static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(top))
		return -1;
	if (geteuid() == 0 &&
	    (chown(top, 61999, 61999) < 0 || setresgid(61999, 61999, 61999) < 0 || setresuid(61999, 61999, 61999) < 0))
		return -1;
	snprintf(root, sizeof(root), "%s/nsrun", top);
	return setenv("XDG_RUNTIME_DIR", top, 1);
}

static int tear_down(void **state)
{
	(void)state;
	return rmdir(top) < 0 && errno != EACCES && errno != EPERM ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_stat),
		cmocka_unit_test_teardown(status_by_lock, clear),
		cmocka_unit_test_teardown(init_is_one_process, clear),
		cmocka_unit_test_teardown(lock_is_not_taken, clear),
		cmocka_unit_test_teardown(finds, clear),
		cmocka_unit_test_teardown(hostile_names, clear),
		cmocka_unit_test_teardown(damaged, clear),
		cmocka_unit_test_teardown(lists, clear),
		cmocka_unit_test_teardown(tells, clear),
		cmocka_unit_test_teardown(fuzz, clear),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
