/* SPDX-License-Identifier: Apache-2.0 */
/* A cache is used for exactly what was put in, by whom nobody else could have written it, and for nothing else. */
#include <nsrun/plan/filter_cache.h>

#include <nsrun/base/cleanup.h>
#include <nsrun/base/file.h>

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];
static const struct sock_filter allow[] = { { .code = 6, .k = 0x7fff0000 } };
static const struct seccomp_program program = { .len = 1, .insns = allow, .flags = 2 };

static struct filter_key key_of(const char *profile, uint64_t caps)
{
	return (struct filter_key){ .profile = profile, .size = strlen(profile), .caps = caps };
}

static const struct seccomp_program *find(struct arena *arena, const char *profile, uint64_t caps)
{
	const struct filter_key key = key_of(profile, caps);

	return filter_cache_find(dir, &key, arena);
}

static void keep(const char *profile, uint64_t caps)
{
	const struct filter_entry entry = { .key = key_of(profile, caps), .program = &program };

	assert_int_equal(filter_cache_keep(dir, &entry), 0);
}

/* Names of the cache's files; the last one's in `name`. */
static size_t files(char name[NAME_MAX + 1])
{
	_cleanup_closedir_ DIR *list = opendir(dir);
	struct dirent *entry;
	size_t n = 0;

	assert_non_null(list);
	while ((entry = readdir(list)))
		if (entry->d_name[0] != '.') {
			n++;
			if (name)
				strcpy(name, entry->d_name);
		}
	return n;
}

static void the_file(char path[PATH_MAX])
{
	char name[NAME_MAX + 1];

	assert_int_equal(files(name), 1);
	snprintf(path, PATH_MAX, "%s/%s", dir, name);
}

static int setup(void **state)
{
	*state = arena_new();
	strcpy(dir, "/tmp/nsrun-cache-XXXXXX");
	return *state && mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	_cleanup_closedir_ DIR *list = opendir(dir);
	struct dirent *entry;

	arena_free(*state);
	while (list && (entry = readdir(list)))
		unlinkat(dirfd(list), entry->d_name, 0);
	return rmdir(dir);
}

static void what_was_kept_is_found(void **state)
{
	const struct seccomp_program *found;
	char path[PATH_MAX];
	struct stat st;

	assert_null(find(*state, "{a}", 5));
	keep("{a}", 5);
	found = find(*state, "{a}", 5);
	assert_non_null(found);
	assert_int_equal(found->len, 1);
	assert_int_equal(found->flags, 2);
	assert_int_equal(found->insns[0].k, 0x7fff0000);
	the_file(path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void another_profile_or_set_is_not(void **state)
{
	keep("{a}", 5);
	assert_null(find(*state, "{b}", 5));
	assert_null(find(*state, "{a} ", 5));
	assert_null(find(*state, "{a}", 4));
}

/* The hash alone must not decide: the file of one key under the name of another. */
static void a_collision_is_noticed(void **state)
{
	char a[PATH_MAX], b[PATH_MAX];

	keep("{a}", 5);
	the_file(a);
	strcpy(b, a);
	assert_int_equal(rename(a, "/tmp/nsrun-cache-a"), 0);
	keep("{b}", 5);
	the_file(b);
	assert_int_equal(rename("/tmp/nsrun-cache-a", b), 0);
	assert_null(find(*state, "{b}", 5));
	keep("{b}", 5); /* and it is replaced */
	assert_non_null(find(*state, "{b}", 5));
}

static void damage_is_noticed(void **state)
{
	char path[PATH_MAX], byte;
	struct stat st;

	keep("{a}", 5);
	the_file(path);
	assert_int_equal(stat(path, &st), 0);
	for (off_t at = 0; at < st.st_size; at++) {
		_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);

		assert_int_equal(pread(fd, &byte, 1, at), 1);
		byte ^= 0x10;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		/* The padding of the magic is nobody's business. */
		if (at < 14 || at >= 16)
			assert_null(find(*state, "{a}", 5));
		byte ^= 0x10;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		assert_non_null(find(*state, "{a}", 5));
	}
	for (off_t size = st.st_size - 1; size >= 0; size -= 7) {
		assert_int_equal(truncate(path, size), 0);
		assert_null(find(*state, "{a}", 5));
	}
}

static void what_others_can_write_is_not_trusted(void **state)
{
	char path[PATH_MAX], other[PATH_MAX + 2];
	const struct filter_entry entry = { .key = key_of("{a}", 5), .program = &program };

	keep("{a}", 5);
	the_file(path);
	assert_int_equal(chmod(path, 0620), 0);
	assert_null(find(*state, "{a}", 5));
	assert_int_equal(chmod(path, 0602), 0);
	assert_null(find(*state, "{a}", 5));
	assert_int_equal(chmod(path, 0600), 0);
	assert_non_null(find(*state, "{a}", 5));

	assert_int_equal(chmod(dir, 0777), 0);
	assert_null(find(*state, "{a}", 5));
	assert_int_equal(filter_cache_keep(dir, &entry), -EPERM);
	assert_int_equal(chmod(dir, 0700), 0);

	/* A second name, through which it was perhaps written. */
	snprintf(other, sizeof(other), "%s.b", path);
	assert_int_equal(link(path, other), 0);
	assert_null(find(*state, "{a}", 5));
	assert_int_equal(unlink(other), 0);

	assert_int_equal(rename(path, other), 0);
	assert_int_equal(symlink(other, path), 0);
	assert_null(find(*state, "{a}", 5));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_null(find(*state, "{a}", 5));
}

static void anothers_is_not_trusted(void **state)
{
	char path[PATH_MAX];

	if (geteuid() != 0) {
		print_message("skipped: giving a file away needs CAP_CHOWN\n");
		skip();
	}
	keep("{a}", 5);
	the_file(path);
	assert_int_equal(chown(path, 12345, 0), 0);
	assert_null(find(*state, "{a}", 5));
	assert_int_equal(chown(path, 0, 0), 0);
	assert_non_null(find(*state, "{a}", 5));
	assert_int_equal(chown(dir, 12345, 0), 0);
	assert_null(find(*state, "{a}", 5));
}

static void it_stays_small(void **state)
{
	char text[16];

	(void)state;
	for (unsigned i = 0; i < FILTER_CACHE_FILES + 10; i++) {
		snprintf(text, sizeof(text), "{%u}", i);
		keep(text, 5);
	}
	assert_int_equal(files(NULL), FILTER_CACHE_FILES);
	assert_non_null(find(*state, text, 5)); /* the newest is there */
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(what_was_kept_is_found), CASE(another_profile_or_set_is_not),	  CASE(a_collision_is_noticed),
		CASE(damage_is_noticed),      CASE(what_others_can_write_is_not_trusted), CASE(anothers_is_not_trusted),
		CASE(it_stays_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
