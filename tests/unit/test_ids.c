/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/ids.h>
#include <nsrun/plan/ids_auto.h>

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* "daemon" (1) and "nobody" (65534) exist on every Linux host, 54321 hopefully on none. */
#define STRANGER 54321

static char dir[] = "/tmp/nsrun-ids-XXXXXX";
static struct id_files files;
static char names[4][64];

static const struct id_caller root = { 0, 0, UINT64_MAX, true };
static const struct id_caller weak_root = { 0, 0, 0, true };
static const struct id_caller daemon_user = { 1, 1, 0, true };

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void put_subids(const char *subuid, const char *subgid)
{
	put(files.subid[SUBID_UID], subuid);
	put(files.subid[SUBID_GID], subgid);
}

static struct plan *resolve(const struct plan_request *request, const struct id_caller *caller, struct err *err)
{
	struct arena *arena = arena_new();
	struct plan *plan = arena_alloc(arena, sizeof(*plan));

	plan->arena = arena;
	*err = ERR_INIT;
	if (ids_resolve(plan, request, caller, &files, err) < 0) {
		assert_true(err_is_set(err));
		arena_free(arena);
		return NULL;
	}
	return plan;
}

static struct plan *accept_(const struct plan_request *request, const struct id_caller *caller, int line)
{
	struct err err;
	struct plan *plan = resolve(request, caller, &err);

	if (!plan)
		fail_msg("line %d: %s", line, err.message);
	return plan;
}

static void refuse_(const struct plan_request *request, const struct id_caller *caller, enum err_id id, int line)
{
	struct err err;
	struct plan *plan = resolve(request, caller, &err);

	if (plan)
		fail_msg("line %d: was accepted", line);
	if (err.id != id)
		fail_msg("line %d: error id %d: %s", line, err.id, err.message);
}

#define REQUEST(...) (&(struct plan_request){ __VA_ARGS__ })
#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define accept(request, caller) accept_(request, caller, __LINE__)
#define refuse(request, caller, id) refuse_(request, caller, id, __LINE__)

static void expect_extent(const struct idmap *map, size_t i, uint32_t inside, uint32_t outside, uint32_t count)
{
	assert_true(i < map->n);
	assert_int_equal(map->extents[i].inside, inside);
	assert_int_equal(map->extents[i].outside, outside);
	assert_int_equal(map->extents[i].count, count);
}

static void drop(struct plan *plan)
{
	arena_free(plan->arena);
}

static void root_by_default_is_auto(void **state)
{
	struct plan *plan;

	(void)state;
	put_subids("broken\n", "broken\n"); /* not even read: nothing is looked up before the range is taken */
	plan = accept(REQUEST(0), &root);
	assert_int_equal(plan->caller, CALLER_ROOT_REMAPPED);
	assert_int_equal(plan->remap, REMAP_AUTO);
	assert_true(plan->auto_pending);
	assert_true(plan->namespaces & CLONE_NEWUSER);
	assert_int_equal(plan->root_uid, (uid_t)-1);
	assert_int_equal(plan->performer[WORK_MAPS], BY_RUNTIME);
	assert_int_equal(plan->performer[WORK_IDMAP], BY_RUNTIME);
	assert_string_equal(plan->remap_word, "auto");
	drop(plan);
	plan = accept(REQUEST(.userns_remap = "auto"), (&(struct id_caller){ 0, 0, UINT64_MAX, false }));
	assert_int_equal(plan->caller, CALLER_NESTED);
	assert_int_equal(plan->performer[WORK_IDMAP], BY_NOBODY);
	drop(plan);
	/* `unshare -Ur`: init has mounts that it may clone, its caller has not */
	plan = accept(REQUEST(.userns_remap = "auto"), (&(struct id_caller){ 0, 0, UINT64_MAX, false, true }));
	assert_int_equal(plan->performer[WORK_SOURCES], BY_INIT);
	drop(plan);
	plan = accept(REQUEST(.userns = "host"), (&(struct id_caller){ 0, 0, UINT64_MAX, false, true }));
	assert_int_equal(plan->performer[WORK_SOURCES], BY_INIT);
	drop(plan);
}

static void host_is_for_the_privileged(void **state)
{
	struct plan *plan = accept(REQUEST(.userns = "host"), &root);

	(void)state;
	assert_int_equal(plan->caller, CALLER_ROOT_HOST);
	assert_false(plan->namespaces & CLONE_NEWUSER);
	assert_int_equal(plan->root_uid, 0);
	assert_int_equal(plan->performer[WORK_MAPS], BY_NOBODY);
	drop(plan);
	refuse(REQUEST(.userns = "host"), &daemon_user, ERR_ID_CAP_NOT_HELD);
	refuse(REQUEST(.userns = "host"), &weak_root, ERR_ID_CAP_NOT_HELD);
	refuse(REQUEST(.userns = "hast"), &root, ERR_ID_NONE);
	refuse(REQUEST(.userns = "host", .userns_remap = "auto"), &root, ERR_ID_NONE);
	refuse(REQUEST(.userns = "host", .uid_map = WORDS("0:1:1")), &root, ERR_ID_NONE);
	refuse(REQUEST(.userns_remap = "daemon", .gid_map = WORDS("0:1:1")), &root, ERR_ID_NONE);
}

static void names_and_numbers(void **state)
{
	struct plan *plan;

	(void)state;
	put_subids("daemon:200000:65536\n1:400000:10\n54321:700000:1000\n",
		   "daemon:300000:65536\nbin:500000:7\n54321:800000:1000\n");
	plan = accept(REQUEST(.userns_remap = "daemon"), &root);
	assert_int_equal(plan->caller, CALLER_ROOT_REMAPPED);
	assert_int_equal(plan->remap, REMAP_USER);
	assert_int_equal(plan->uids.n, 2);
	expect_extent(&plan->uids, 0, 0, 200000, 65536);
	expect_extent(&plan->uids, 1, 65536, 400000, 10);
	expect_extent(&plan->gids, 0, 0, 300000, 65536);
	assert_int_equal(plan->root_uid, 200000);
	assert_int_equal(plan->root_gid, 300000);
	drop(plan);
	plan = accept(REQUEST(.userns_remap = "1:bin"), &root);
	expect_extent(&plan->uids, 0, 0, 200000, 65536);
	assert_int_equal(plan->gids.n, 1);
	expect_extent(&plan->gids, 0, 0, 500000, 7);
	drop(plan);
	/* a group without a line: the user's */
	plan = accept(REQUEST(.userns_remap = "daemon:nogroup"), &root);
	expect_extent(&plan->gids, 0, 0, 300000, 65536);
	drop(plan);
	plan = accept(REQUEST(.userns_remap = "54321:54321"), &root);
	expect_extent(&plan->uids, 0, 0, 700000, 1000);
	drop(plan);
	refuse(REQUEST(.userns_remap = "no-such-user-here"), &root, ERR_ID_UNKNOWN_USER);
	refuse(REQUEST(.userns_remap = "daemon:no-such-group"), &root, ERR_ID_UNKNOWN_USER);
	refuse(REQUEST(.userns_remap = "nobody"), &root, ERR_ID_NO_SUBID_RANGE);
	refuse(REQUEST(.userns_remap = "4294967295"), &root, ERR_ID_NONE);
	refuse(REQUEST(.userns_remap = "daemon:"), &root, ERR_ID_NONE);
	refuse(REQUEST(.userns_remap = ":daemon"), &root, ERR_ID_NONE);
	refuse(REQUEST(.userns_remap = ""), &root, ERR_ID_NONE);
	refuse(REQUEST(.userns_remap = "daemon:bin:bin"), &root, ERR_ID_UNKNOWN_USER);
	refuse(REQUEST(.userns_remap = "-1"), &root, ERR_ID_UNKNOWN_USER);
}

static void host_root_is_never_mapped(void **state)
{
	(void)state;
	put_subids("daemon:0:65536\n", "daemon:300000:65536\n");
	refuse(REQUEST(.userns_remap = "daemon"), &root, ERR_ID_MAP_HOST_ROOT);
	put_subids("daemon:300000:65536\n", "daemon:0:1\n");
	refuse(REQUEST(.userns_remap = "daemon"), &root, ERR_ID_MAP_HOST_ROOT);
	refuse(REQUEST(.uid_map = WORDS("0:0:1")), &root, ERR_ID_MAP_HOST_ROOT);
	refuse(REQUEST(.uid_map = WORDS("0:5:1", "7:0:1")), &root, ERR_ID_MAP_HOST_ROOT);
	refuse(REQUEST(.uid_map = WORDS("0:5:1"), .gid_map = WORDS("0:0:10")), &root, ERR_ID_MAP_HOST_ROOT);
	put_subids("", "");
	refuse(REQUEST(0), &weak_root, ERR_ID_NESTED_CAPS);
	refuse(REQUEST(0), (&(struct id_caller){ STRANGER, 0, 0, true }), ERR_ID_MAP_HOST_ROOT);
}

static void words_are_true_everywhere(void **state)
{
	const struct idmap visible = { .n = 1, .extents = { { 0, 1000, 1 } } },
			   map = { .n = 1, .extents = { { 0, 0, 1 } } };
	struct err err = ERR_INIT;

	(void)state;
	/* in a nested user namespace id 0 is not the host's */
	assert_true(ids_check_map(&map, &visible, false, "uid map", &err) < 0);
	assert_int_equal(err.id, ERR_ID_MAP_HOST_ROOT);
	assert_null(strstr(err.message, "host"));
	assert_non_null(strstr(err.message, "user namespace around it"));
	err = ERR_INIT;
	assert_true(ids_check_map(&map, NULL, false, "uid map", &err) < 0);
	assert_non_null(strstr(err.message, "of the host"));
	assert_non_null(strstr(err_id_remedy(ERR_ID_MAP_HOST_ROOT), "or of the user namespace"));
	/* followed to the letter by two users, a remedy with numbers gives both the same ids */
	assert_null(strpbrk(strstr(err_id_remedy(ERR_ID_NO_SUBID_RANGE), "usermod"), "0123456789"));
}

static void explicit_maps(void **state)
{
	struct plan *plan;

	(void)state;
	put_subids("daemon:200000:10\ndaemon:200010:10\n", "daemon:200000:20\n");
	plan = accept(REQUEST(.uid_map = WORDS("0:1000:1", "1:100000:5")), &root);
	assert_int_equal(plan->remap, REMAP_EXPLICIT);
	expect_extent(&plan->gids, 1, 1, 100000, 5);
	drop(plan);
	plan = accept(REQUEST(.uid_map = WORDS("0:1:1", "1:200005:15"), .gid_map = WORDS("0:1:1")), &daemon_user);
	assert_int_equal(plan->caller, CALLER_USER_RANGES);
	assert_false(plan->deny_setgroups);
	drop(plan);
	plan = accept(REQUEST(.uid_map = WORDS("0:1:1")), &daemon_user);
	assert_int_equal(plan->caller, CALLER_USER_SINGLE);
	assert_true(plan->deny_setgroups);
	drop(plan);
	refuse(REQUEST(.uid_map = WORDS("0:1:2")), &daemon_user, ERR_ID_RANGE_NOT_OWNED);
	refuse(REQUEST(.uid_map = WORDS("0:200005:16")), &daemon_user, ERR_ID_RANGE_NOT_OWNED);
	refuse(REQUEST(.uid_map = WORDS("0:1:1"), .gid_map = WORDS("0:2:1")), &daemon_user, ERR_ID_RANGE_NOT_OWNED);
	refuse(REQUEST(.uid_map = WORDS("1:100:1")), &root, ERR_ID_NONE); /* no container root */
	static const char *const bad[] = { "",
					   "0",
					   "0:1",
					   "0:1:",
					   "0:1:1:",
					   "0:1:1 ",
					   "-0:1:1",
					   "0:1:0",
					   "0:4294967295:1",
					   "0:1:4294967295",
					   "a:b:c",
					   "0:99999999999:1" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		refuse(REQUEST(.uid_map = WORDS(bad[i])), &root, ERR_ID_NONE);
	refuse(REQUEST(.uid_map = WORDS("0:100:10", "5:300:10")), &root, ERR_ID_NONE);
	refuse(REQUEST(.uid_map = WORDS("0:100:10", "10:105:10")), &root, ERR_ID_NONE);
}

static void ordinary_users(void **state)
{
	struct plan *plan;

	(void)state;
	put_subids("daemon:200000:65536\n", "daemon:300000:65536\n");
	plan = accept(REQUEST(0), &daemon_user);
	assert_int_equal(plan->caller, CALLER_USER_RANGES);
	assert_int_equal(plan->remap, REMAP_OWN_RANGES);
	expect_extent(&plan->uids, 0, 0, 1, 1);
	expect_extent(&plan->uids, 1, 1, 200000, 65536);
	expect_extent(&plan->gids, 1, 1, 300000, 65536);
	assert_int_equal(plan->performer[WORK_MAPS], BY_HELPER);
	assert_int_equal(plan->performer[WORK_SOURCES], BY_INIT);
	assert_false(plan->deny_setgroups);
	drop(plan);
	for (int i = 0; i < 3; i++) {
		plan = accept(REQUEST(.userns_remap = (const char *[]){ "daemon", "1", "daemon:1" }[i]), &daemon_user);
		expect_extent(&plan->uids, 0, 0, 200000, 65536);
		assert_int_equal(plan->caller, CALLER_USER_RANGES);
		drop(plan);
	}
	plan = accept(REQUEST(0), (&(struct id_caller){ STRANGER, STRANGER, 0, true }));
	assert_int_equal(plan->caller, CALLER_USER_SINGLE);
	assert_int_equal(plan->remap, REMAP_SINGLE);
	assert_true(plan->deny_setgroups);
	expect_extent(&plan->uids, 0, 0, STRANGER, 1);
	assert_int_equal(plan->root_uid, STRANGER);
	drop(plan);
	refuse(REQUEST(.userns_remap = "nobody"), &daemon_user, ERR_ID_RANGE_NOT_OWNED);
	refuse(REQUEST(.userns_remap = "daemon"), (&(struct id_caller){ STRANGER, 1, 0, true }),
	       ERR_ID_RANGE_NOT_OWNED);
	refuse(REQUEST(.userns_remap = "daemon:bin"), &daemon_user, ERR_ID_RANGE_NOT_OWNED);
	refuse(REQUEST(.userns_remap = "daemon"), &weak_root, ERR_ID_RANGE_NOT_OWNED);
	refuse(REQUEST(.userns_remap = "auto"), &daemon_user, ERR_ID_RANGE_NOT_OWNED);
	refuse(REQUEST(.userns_remap = "default"), &daemon_user, ERR_ID_RANGE_NOT_OWNED);
	put_subids("daemon:200000:65536\nbob:200001:1\n", "daemon:300000:65536\n");
	refuse(REQUEST(0), &daemon_user, ERR_ID_SUBID_OVERLAP);
	put_subids("daemon:200000:65536\nbob:4294967295:1\n", "daemon:300000:65536\n");
	refuse(REQUEST(0), &daemon_user, ERR_ID_SUBID_MALFORMED);
}

static void default_is_nsremap(void **state)
{
	struct plan *plan;

	(void)state;
	put_subids("nsremap:200000:1000000\n", "nsremap:200000:1000\n");
	plan = accept(REQUEST(.userns_remap = "default"), &root);
	assert_false(plan->auto_pending);
	expect_extent(&plan->uids, 0, 0, 200000, 65536);
	expect_extent(&plan->gids, 0, 0, 200000, 1000);
	assert_string_equal(plan->remap_word, "default");
	drop(plan);
	put_subids("nsremap:200000:1000000\n", "");
	plan = accept(REQUEST(.userns_remap = "default"), &root);
	assert_true(plan->auto_pending);
	assert_int_equal(plan->remap, REMAP_USER);
	drop(plan);
}

static bool taken(int ranges_fd, uint32_t *ret_first, int *ret_fd)
{
	struct err err = ERR_INIT;
	struct subid_range ids = { 0 };

	*ret_fd = FD_NONE;
	*ret_first = 0;
	if (ids_auto_take(ranges_fd, &files, true, NULL, NULL, ret_fd, &ids, &err) == 0) {
		assert_int_equal(ids.count, AUTO_COUNT);
		*ret_first = ids.first;
		return true;
	}
	assert_int_equal(err.id, ERR_ID_SUBID_EXHAUSTED);
	return false;
}

static void auto_takes_from_nsremap(void **state)
{
	int ranges = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fds[8] = { 0 };
	uint32_t first[8] = { 0 }, again = 0;
	struct err err = ERR_INIT;
	size_t n = 0;
	int fd = FD_NONE;

	(void)state;
	/* slots: 200000 (for default), 265536, 331072 (bob), 396608, 462144 (a user's uid), 527680, and a rest that is too short */
	put_subids("nsremap:200000:393300\nbob:340000:1\n", "nsremap:200000:400000\n");
	put(files.passwd, "root:x:0:0::/:/bin/sh\nbroken\nu:x:462200:1::/:/bin/sh");
	put(files.group, "root:x:0:\n");
	while (n < 8 && taken(ranges, &first[n], &fds[n]))
		n++;
	assert_int_equal(n, 3);
	for (size_t i = 0; i < n; i++) {
		assert_true(first[i] == 265536 || first[i] == 396608 || first[i] == 527680);
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(first[i], first[j]);
	}
	/* a map that overlaps one of them by one id is refused, its neighbour is not */
	struct idmap map = { .n = 1, .extents = { { 0, 265535, 1 } } };
	assert_int_equal(ids_hold(ranges, &map, &map, &fd, &err), 0);
	close(fd);
	map.extents[0].count = 2;
	assert_true(ids_hold(ranges, &map, &map, &fd, &err) < 0);
	assert_int_equal(err.id, ERR_ID_SUBID_OVERLAP);
	close(fds[1]);
	assert_true(taken(ranges, &again, &fds[1]));
	assert_int_equal(again, first[1]);
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
	/* and the other way round */
	map.extents[0] = (struct idmap_extent){ 0, 265536 + 65535, 1 };
	err = ERR_INIT;
	assert_int_equal(ids_hold(ranges, &map, &map, &fd, &err), 0);
	for (n = 0; n < 8 && taken(ranges, &first[n], &fds[n]); n++)
		assert_int_not_equal(first[n], 265536);
	assert_int_equal(n, 2);
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
	close(fd);
	close(ranges);
}

static void auto_takes_from_the_pool(void **state)
{
	int ranges = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;
	struct err err = ERR_INIT;
	uint32_t first;

	(void)state;
	/* all of the pool but one slot belongs to somebody; nsremap has no more than default needs */
	put_subids("bob:524288:65536000\nnsremap:66125824:65536\n", "carol:66191360:1812856832\n");
	put(files.passwd, "");
	put(files.group, "");
	assert_true(taken(ranges, &first, &fd));
	assert_int_equal(first, 66060288);
	assert_false(taken(ranges, &first, &(int){ FD_NONE }));
	close(fd);
	put_subids("bob:524288:65536000\n", "carol:66125824:1812922368\nnsremap:66060288:1\n");
	assert_false(taken(ranges, &first, &fd));
	put_subids("bob:524288:65536000\n", "carol:66125824:1812922368\n");
	assert_true(taken(ranges, &first, &fd));
	assert_int_equal(first, 66060288);
	close(fd);
	put(files.group, "g:x:66125823:\n"); /* its last id */
	assert_false(taken(ranges, &first, &fd));
	put_subids("bob\n", "");
	assert_true(ids_auto_take(ranges, &files, true, NULL, NULL, &fd, &(struct subid_range){ 0 }, &err) < 0);
	assert_int_equal(err.id, ERR_ID_SUBID_MALFORMED);
	close(ranges);
}

/* This process has all ids, as one of a container with very many would. */
static void a_tree_decides_the_range_inside(void **state)
{
	struct idmap map = { 0 };
	struct err err = ERR_INIT;
	uint32_t count = 0;

	(void)state;
	put_subids("", "");
	put(files.passwd, "u:x:720900:1::/:/bin/sh\n"); /* in the range that begins at 720896 */
	put(files.group, "");
	assert_int_equal(ids_auto_at(&files, 655360, &count, &err), 1);
	assert_int_equal(count, 65536);
	assert_int_equal(ids_auto_at(&files, 0, &count, &err), 0);
	assert_int_equal(ids_auto_at(&files, 655361, &count, &err), 0);
	assert_int_equal(ids_auto_at(&files, 720896, &count, &err), 0);
	assert_int_equal(ids_range_of_tree(NULL, &files, &map, &err), 0);
	assert_int_equal(ids_range_of_tree("/", &files, &map, &err), 0);
	assert_int_equal(ids_range_of_tree("/nonexistent", &files, &map, &err), 0);
	put_subids("bob:655365:1\n", "");
	assert_int_equal(ids_auto_at(&files, 655360, &count, &err), 0);
	put_subids("bob\n", "");
	assert_true(ids_auto_at(&files, 655360, &count, &err) < 0);
	assert_int_equal(err.id, ERR_ID_SUBID_MALFORMED);
}

/* user_namespaces(7): an extent lies within one line of the map around. */
static void maps_keep_to_the_lines_around(void **state)
{
	const struct idmap visible = { .n = 2, .extents = { { 0, 1000, 1 }, { 1, 300000, 65536 } } };
	struct idmap map = { .n = 1, .extents = { { 0, 4096, 4096 } } };
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(ids_check_map(&map, &visible, false, "map", &err), 0);
	map.extents[0] = (struct idmap_extent){ 0, 1, 65536 };
	assert_int_equal(ids_check_map(&map, &visible, false, "map", &err), 0);
	map.extents[0].count++;
	assert_true(ids_check_map(&map, &visible, false, "map", &err) < 0);
	const struct idmap apart = { .n = 2, .extents = { { 0, 1000, 100 }, { 100, 300000, 100 } } };
	map.extents[0] = (struct idmap_extent){ 0, 50, 51 };
	err = ERR_INIT;
	assert_true(ids_check_map(&map, &apart, false, "map", &err) < 0);
	assert_non_null(strstr(err.message, "several lines"));
	map.extents[0].count--;
	assert_int_equal(ids_check_map(&map, &apart, false, "map", &err), 0);
}

static int set_up(void **state)
{
	static const char *const base[4] = { "subuid", "subgid", "passwd", "group" };

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	for (size_t i = 0; i < 4; i++)
		snprintf(names[i], sizeof(names[i]), "%s/%s", dir, base[i]);
	files = (struct id_files){
		.subid = { names[0], names[1] }, .passwd = names[2], .group = names[3], .nsswitch = "/nonexistent"
	};
	return 0;
}

static int tear_down(void **state)
{
	char ids[64];

	(void)state;
	for (size_t i = 0; i < 4; i++)
		unlink(names[i]);
	snprintf(ids, sizeof(ids), "%s/ids", dir);
	unlink(ids);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_by_default_is_auto),
		cmocka_unit_test(host_is_for_the_privileged),
		cmocka_unit_test(names_and_numbers),
		cmocka_unit_test(host_root_is_never_mapped),
		cmocka_unit_test(words_are_true_everywhere),
		cmocka_unit_test(explicit_maps),
		cmocka_unit_test(ordinary_users),
		cmocka_unit_test(default_is_nsremap),
		cmocka_unit_test(auto_takes_from_nsremap),
		cmocka_unit_test(auto_takes_from_the_pool),
		cmocka_unit_test(a_tree_decides_the_range_inside),
		cmocka_unit_test(maps_keep_to_the_lines_around),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
