/* SPDX-License-Identifier: Apache-2.0 */
/* Which kills are a container's, told from files that stand for the kernel's; an empty one reads as one of a group that is removed. */
#include <nsrun/launch/oom_watch.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct cgroup_host host = CGROUP_HOST_NONE;

static void put(const char *group, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(const char *group, const char *format, ...)
{
	char path[2 * CGROUP_PATH_MAX + 32];
	va_list args;
	FILE *file;

	snprintf(path, sizeof(path), "%s%s/memory.events", host.v2_mount, group);
	file = fopen(path, "w");
	assert_non_null(file);
	va_start(args, format);
	vfprintf(file, format, args);
	va_end(args);
	fclose(file);
}

/* The scope's "max", "oom", "oom_kill"; and the slice's "oom_kill". */
static void counts(unsigned max, unsigned oom, unsigned kills, unsigned around)
{
	put("/s.slice/c.scope", "low 0\nhigh 0\nmax %u\noom %u\noom_kill %u\noom_group_kill 7\n", max, oom, kills);
	put("/s.slice", "low 0\nhigh 0\nmax 0\noom 0\noom_kill %u\noom_group_kill 7\n", around);
}

static void gone(unsigned around)
{
	counts(0, 0, 0, around);
	put("/s.slice/c.scope", "%s", "");
}

static struct oom_watch start(void)
{
	struct oom_watch watch;

	counts(0, 0, 0, 3);
	oom_watch_open(&watch, &host, "/s.slice/c.scope");
	assert_non_null(watch.host);
	return watch;
}

static void kills_are(struct oom_watch *watch, bool killed, unsigned n)
{
	assert_int_equal(oom_watch_kills(watch, killed), n);
	oom_watch_close(watch);
}

static void test_seen(void **state)
{
	struct oom_watch watch = start();

	(void)state;
	counts(9, 2, 2, 5);
	oom_watch_end(&watch);
	gone(6);
	kills_are(&watch, true, 2);

	watch = start();
	counts(9, 1, 1, 4);
	kills_are(&watch, false, 1);
}

/* At its limit, which reclaim deals with, and killed by somebody, while a sibling was out of memory. */
static void test_sibling(void **state)
{
	struct oom_watch watch = start();

	(void)state;
	counts(50, 0, 0, 3);
	assert_true(oom_watch_look(&watch));
	gone(4);
	oom_watch_end(&watch);
	kills_are(&watch, true, 0);

	/* The kill that its "oom" led to is counted already: the other one is not its own. */
	watch = start();
	counts(50, 1, 0, 3);
	assert_true(oom_watch_look(&watch));
	counts(50, 1, 1, 4);
	assert_true(oom_watch_look(&watch));
	gone(5);
	kills_are(&watch, true, 1);

	/* All was read after its end. */
	watch = start();
	counts(50, 1, 0, 3);
	oom_watch_end(&watch);
	gone(4);
	kills_are(&watch, true, 0);
}

/* "oom" was seen, and the group removed before its kill was. */
static void test_unseen(void **state)
{
	struct oom_watch watch = start();

	(void)state;
	counts(50, 1, 0, 3);
	assert_true(oom_watch_look(&watch));
	gone(4);
	assert_false(oom_watch_look(&watch));
	kills_are(&watch, true, 1);

	for (unsigned i = 0; i < 2; i++) { /* not killed; no kill around */
		watch = start();
		counts(50, 1, 0, 3);
		assert_true(oom_watch_look(&watch));
		gone(i ? 3 : 4);
		kills_are(&watch, i, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seen),
		cmocka_unit_test(test_sibling),
		cmocka_unit_test(test_unseen),
	};
	char top[] = "/tmp/nsrun-oom-XXXXXX", path[2][64], file[96];
	int r;

	if (!mkdtemp(top))
		return 1;
	snprintf(path[0], sizeof(path[0]), "%s/s.slice", top);
	snprintf(path[1], sizeof(path[1]), "%s/s.slice/c.scope", top);
	if (mkdir(path[0], 0700) < 0 || mkdir(path[1], 0700) < 0)
		return 1;
	host.v2_mount = top;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	for (int i = 1; i >= 0; i--) {
		snprintf(file, sizeof(file), "%s/memory.events", path[i]);
		unlink(file);
		rmdir(path[i]);
	}
	rmdir(top);
	return r;
}
