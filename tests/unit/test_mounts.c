/* SPDX-License-Identifier: Apache-2.0 */
/* The words of mounts: reading, quoting, contradictions, hints; masks; ids of a volume. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <nsrun/base/mountinfo.h>
#include <nsrun/base/strings.h>
#include <nsrun/plan/mounts.h>
#include <nsrun/plan/process.h>
#include <nsrun/plan/volumes.h>

#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>

static int begin(void **state)
{
	struct arena *arena = arena_new();
	struct plan *plan = arena ? arena_alloc(arena, sizeof(*plan)) : NULL;

	if (!plan)
		return -1;
	plan->arena = arena;
	plan->namespaces = CLONE_NEWUSER;
	plan->ns[NS_USER].use = NS_NEW;
	plan->performer[WORK_IDMAP] = BY_RUNTIME;
	plan->uids = plan->gids = (struct idmap){ 2, { { 0, 100000, 1000 }, { 1000, 300000, 10 } } };
	plan->user = "0:0";
	plan->no_new_privs = true;
	*state = plan;
	return 0;
}

static int end(void **state)
{
	plan_free(*state);
	return 0;
}

static int read_all(struct mount_options *options, char *text, struct err *err)
{
	int r = 0;

	for (char *word, *state = text; r == 0 && state && (word = strsep(&state, ","));)
		r = mount_options_read(options, word, err);
	return r;
}

static void table_is_sound(void **state)
{
	(void)state;
	for (size_t i = 0; i < mount_words_count; i++) {
		const struct mount_word *row = &mount_words[i];

		assert_true(row->kinds && row->meaning && *row->meaning);
		assert_true(row->choice != CHOICE_NONE || row->value == VALUE_WORD);
		/* Words of one slot and one choice do the same. */
		for (size_t k = 0; k < mount_words_count; k++) {
			const struct mount_word *other = &mount_words[k];

			assert_false(i != k && streq(row->word, other->word));
			if (row->slot == other->slot && row->choice == other->choice && other->value != VALUE_WORD &&
			    row->value != VALUE_WORD && row->slot != SLOT_IDMAP)
				assert_true(row->attr_set == other->attr_set && row->attr_clear == other->attr_clear);
		}
	}
}

static void words_are_read(void **state)
{
	struct mount_options options = { .option = "--mount", .text = "x", .kinds = KINDS_ALL };
	char text[] =
		"ro,ro=true,noexec,bind-propagation=rslave,rslave,size=1m,mode=700,idmap=uids=@1-2-3;gids=@4-5-6,target=/a=b";
	uint64_t set = MOUNT_ATTR_NODEV, clear = 0;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(read_all(&options, text, &err), 0);
	assert_int_equal(options.said[SLOT_WRITE].choice, CHOICE_NO);
	assert_int_equal(options.said[SLOT_PROPAGATION].choice, CHOICE_SLAVE);
	assert_string_equal(options.said[SLOT_SIZE].value, "1m");
	assert_string_equal(options.said[SLOT_TARGET].value, "/a=b");
	assert_string_equal(options.said[SLOT_IDMAP].value, "uids=@1-2-3;gids=@4-5-6");
	mount_options_attr(&options, &set, &clear);
	assert_int_equal(set, MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC);
	assert_int_equal(clear, 0);
	assert_true(mount_options_check(&options, MOUNT_BIND, &err) < 0); /* size */

	struct mount_options other = { .option = "--volume", .text = "x", .kinds = KIND(BIND) };
	char words[] = "ro=false,exec,noatime";
	set = MOUNT_ATTR_NOEXEC, clear = 0;
	assert_int_equal(read_all(&other, words, &err), 0);
	assert_int_equal(other.said[SLOT_WRITE].choice, CHOICE_YES);
	mount_options_attr(&other, &set, &clear);
	assert_int_equal(set, MOUNT_ATTR_NOATIME);
	assert_int_equal(clear, MOUNT_ATTR_NOEXEC | MOUNT_ATTR__ATIME);
}

static void bad_words(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "", "empty" },
		{ "ro,", "empty" },
		{ "ro,rw", "contradict" },
		{ "ro,ro=0", "contradict" },
		{ "slave,private", "contra" },
		{ "size=1,size=2", "contradict" },
		{ "noatime,relatime", "con" },
		{ "idmap,idmap=root", "contradict" },
		{ "ro=", "true or false" },
		{ "ro=yes please", "true or false" },
		{ "size", "VALUE" },
		{ "size=", "VALUE" },
		{ "noexecc", "noexec" },
		{ "rbnd", "rbind" },
		{ "exec=true", "unknown" },
		{ "bind-propagation", "rshared" },
		{ "bind-propagation=ro", "rs" },
		{ "bind-recursive=all", "unknown" },
		{ "=", "unknown" },
		{ "=x", "unknown" },
		{ "RO", "unknown" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct mount_options options = { .option = "--mount", .text = "x", .kinds = KINDS_ALL };
		struct err err = ERR_INIT;
		char text[64];

		snprintf(text, sizeof(text), "%s", cases[i].text);
		if (read_all(&options, text, &err) == 0)
			fail_msg("%s was accepted", cases[i].text);
		if (!strstr(err.message, cases[i].says))
			fail_msg("%s: %s", cases[i].text, err.message);
	}
}

static void csv(void **state)
{
	static const struct {
		const char *text, *fields; /* joined by | */
	} good[] = {
		{ "a,b", "a|b" },	  { "a", "a" },	      { "", "" },	  { "a,,b", "a||b" },
		{ "\"a,b\",c", "a,b|c" }, { "\"a\"", "a" },   { "\"\",b", "|b" }, { "\"a\"\"b\"", "a\"b" },
		{ "a\"b,c", "a\"b|c" },	  { "\"a\",", "a|" }, { "a,", "a|" },	  { "\"\"\"\"", "\"" },
	};
	static const char *const bad[] = { "\"", "\"a", "\"a\"b", "a,\"b", "\"a\"\"", "\"a\" ,b" };
	const struct mount_options options = { .option = "--mount", .text = "x" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		char text[64], got[64] = "", *at = text, *field;
		struct err err = ERR_INIT;

		snprintf(text, sizeof(text), "%s", good[i].text);
		for (bool first = true; at; first = false) {
			assert_int_equal(mount_csv_field(&options, &at, &field, &err), 0);
			strcat(got, first ? "" : "|");
			strcat(got, field);
		}
		assert_string_equal(got, good[i].fields);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char text[64], *at = text, *field;
		struct err err = ERR_INIT;
		int r = 0;

		snprintf(text, sizeof(text), "%s", bad[i]);
		while (r == 0 && at)
			r = mount_csv_field(&options, &at, &field, &err);
		if (r == 0)
			fail_msg("%s was accepted", bad[i]);
	}
}

static void layers_are_counted(void **state)
{
	(void)state;
	assert_int_equal(plan_overlay_layers("a"), 1);
	assert_int_equal(plan_overlay_layers("a:b:c"), 3);
	assert_int_equal(plan_overlay_layers("a\\:b:c"), 2);
	assert_int_equal(plan_overlay_layers("a\\\\:b"), 2);
	assert_int_equal(plan_overlay_layers("a\\"), 1);
	assert_int_equal(plan_overlay_layers(""), 1);
}

static void tmpfs_words(void **state)
{
	static const char *const good[] = {
		"/t", "/t:", "/t:size=1", "/t:size=64MiB", "/t:size=10%,mode=0", "/t:uid=1009,gid=0", "/t:ro,exec"
	};
	static const char *const bad[] = {
		"",	    "t",	  "/t:size=0",	   "/t:size=0%",     "/t:size=-1",  "/t:size=%",
		"/t:mode=", "/t:mode=-1", "/t:mode=0x7",   "/t:mode=7 ",     "/t:uid=1010", "/t:gid=-1",
		"/",	    "/proc",	  "/dev/null/x",   "/t:bind",	     "/t:U",	    "/t:nr_inodes=-1",
		"/t:dev",   "/t:suid",	  "/t:size=1,,ro", "/t:size=1,rw:ro"
	};
	struct plan *plan = *state;

	for (size_t i = 0; i < ARRAY_LEN(good) + ARRAY_LEN(bad); i++) {
		const char *text = i < ARRAY_LEN(good) ? good[i] : bad[i - ARRAY_LEN(good)];
		const char *const one[] = { text, NULL };
		const struct plan_request request = { .tmpfs = one };
		struct err err = ERR_INIT;

		plan->n_mounts = plan->n_sources = 0;
		const int r = plan_resolve_mounts(plan, &request, &err);
		/* "/t:" has one empty word */
		if ((r == 0) != (i < ARRAY_LEN(good) && i != 1))
			fail_msg("%s: %d %s", text, r, err.message);
	}
	const char *const sizes[] = { "0", "-1", "", "x", "1x", "18446744073709551615" };
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		assert_true(plan_resolve_mounts(plan, &(struct plan_request){ .shm_size = sizes[i] }, NULL) < 0);
	assert_int_equal(plan_resolve_mounts(plan, &(struct plan_request){ .shm_size = "1k" }, NULL), 0);
	assert_string_equal(plan->shm_size, "1024");
}

static void ids_of_volumes(void **state)
{
	struct plan *plan = *state;
	struct plan_tree tree = { .source = "x" };
	struct err err = ERR_INIT;
	bool root;

	assert_int_equal(plan_parse_volume_ids(plan, "uids=@5-1000-10#6000-100999-1;gids=@0-7-1", &tree, &root, &err),
			 0);
	assert_true(root);
	assert_int_equal(tree.owner_uids.n, 2);
	assert_int_equal(tree.owner_uids.extents[0].inside, 5);
	assert_int_equal(tree.owner_uids.extents[0].outside, 1000);
	assert_int_equal(tree.owner_uids.extents[1].outside, 999);
	assert_int_equal(plan_parse_volume_ids(plan, "uids=@5-0-1;gids=@5-0-1", &tree, &root, &err), 0);
	assert_false(root);
	static const char *const bad[] = {
		"",
		"uids=",
		"uids=@1-1-1",
		"gids=@1-1-1;uids=@1-1-1",
		"uids=@1-1;gids=@1-1-1",
		"uids=@1-1-1-1;gids=@1-1-1",
		"uids=@-1-1;gids=@1-1-1",
		"uids=@1-1-0;gids=@1-1-1",
		"uids=@1-995-10;gids=@1-1-1", /* beyond the end of an extent of the container */
		"uids=@1-1010-1;gids=@1-1-1",
		"uids=1-5-1;gids=@1-1-1", /* no id of the host's that the container has */
		"uids=@1-1-5#@3-10-1;gids=@1-1-1",
		"uids=@1-1-5#@10-3-1;gids=@1-1-1",
		"uids=@1-1-1;gids=@1-1-1;",
		"uids=@@1-1-1;gids=@1-1-1",
		"uids=@4294967295-1-1;gids=@1-1-1",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err why = ERR_INIT;

		if (plan_parse_volume_ids(plan, bad[i], &tree, &root, &why) == 0)
			fail_msg("%s was accepted", bad[i]);
		assert_true(strlen(why.message) > 0);
	}
	plan->auto_pending = true;
	assert_int_equal(plan_parse_volume_ids(plan, "uids=@5-65535-1;gids=@1-1-1", &tree, &root, &err), 0);
	assert_true(plan_parse_volume_ids(plan, "uids=@5-65535-2;gids=@1-1-1", &tree, &root, NULL) < 0);
	assert_true(plan_parse_volume_ids(plan, "uids=5-100000-1;gids=@1-1-1", &tree, &root, NULL) < 0);
}

static size_t length(const char *const *list)
{
	size_t n = 0;

	while (list[n])
		n++;
	return n;
}

static void masks(void **state)
{
	struct plan *plan = *state;
	const char *const asked[] = { "/a//b/", NULL }, *const opts[] = { "mask=/c:/d", "unmask=/proc/keys:/proc/sys",
									  NULL };
	struct plan_request request = { 0 };
	struct err err = ERR_INIT;

	assert_int_equal(plan_resolve_system_paths(plan, &request, &err), 0);
	const size_t masked = length(plan->masked_paths), readonly = length(plan->readonly_paths);
	assert_true(masked > 10 && readonly > 3);
	assert_null(plan->asked_masks);

	request.masked_paths = asked;
	request.security_opts = opts;
	assert_int_equal(plan_resolve_system_paths(plan, &request, &err), 0);
	assert_int_equal(length(plan->masked_paths), masked - 1);
	assert_int_equal(length(plan->readonly_paths), readonly - 1);
	assert_int_equal(length(plan->asked_masks), 3);
	assert_string_equal(plan->asked_masks[2], "/a/b");

	const char *const all[] = { "systempaths=unconfined", NULL };
	request.security_opts = all;
	assert_int_equal(plan_resolve_system_paths(plan, &request, &err), 0);
	assert_int_equal(length(plan->masked_paths) + length(plan->readonly_paths), 0);
	assert_int_equal(length(plan->asked_masks), 1);

	static const char *const bad[] = { "mask=a",	 "mask=/a:",	    "mask=/",	   "mask=/..",
					   "mask=/proc", "unmask=/nothing", "unmask=ALL:x" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *const one[] = { bad[i], NULL };

		request.security_opts = one;
		if (plan_resolve_system_paths(plan, &request, NULL) == 0)
			fail_msg("%s was accepted", bad[i]);
	}
}

static void propagation_of_mountinfo(void **state)
{
	static const struct {
		const char *tags;
		bool shared, slave;
	} cases[] = { { "", false, false },
		      { "shared:1 ", true, false },
		      { "master:2 ", false, true },
		      { "shared:3 master:2 propagate_from:1 ", true, true },
		      { "unbindable ", false, false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct mountinfo mount;
		char line[128];

		snprintf(line, sizeof(line), "36 35 98:0 /a /b\\040c rw,noatime %s- ext4 /dev/x rw", cases[i].tags);
		assert_true(mountinfo_parse(line, &mount));
		assert_int_equal(mount.shared, cases[i].shared);
		assert_int_equal(mount.slave, cases[i].slave);
		assert_string_equal(mount.target, "/b c");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_is_sound),
		cmocka_unit_test(words_are_read),
		cmocka_unit_test(bad_words),
		cmocka_unit_test(csv),
		cmocka_unit_test(layers_are_counted),
		cmocka_unit_test_setup_teardown(tmpfs_words, begin, end),
		cmocka_unit_test_setup_teardown(ids_of_volumes, begin, end),
		cmocka_unit_test_setup_teardown(masks, begin, end),
		cmocka_unit_test(propagation_of_mountinfo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
