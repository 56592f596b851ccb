/* SPDX-License-Identifier: Apache-2.0 */
/* plan_resolve() and its parts, without launching anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <nsrun/base/strings.h>
#include <nsrun/plan/process.h>
#include <nsrun/plan/tree.h>
#include <nsrun/plan/volumes.h>

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* A directory tree of our own: top/private/tree and top/open/tree. */
struct fixture {
	char top[64];
	struct plan *plan;
};

static void path_of(const struct fixture *f, const char *rest, char *ret, size_t size)
{
	snprintf(ret, size, "%s/%s", f->top, rest);
}

static void make(const struct fixture *f, const char *rest, mode_t mode)
{
	char path[128];

	path_of(f, rest, path, sizeof(path));
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static int begin(void **state)
{
	static struct fixture f;
	struct arena *arena = arena_new();

	snprintf(f.top, sizeof(f.top), "/var/tmp/nsrun-unit-XXXXXX");
	if (!arena || !mkdtemp(f.top) || chmod(f.top, 0755) < 0)
		return -1;
	make(&f, "private", 0700);
	make(&f, "private/tree", 0755);
	make(&f, "private/tree/bin", 0755);
	make(&f, "open", 0755);
	make(&f, "open/tree", 0755);
	make(&f, "open/tree/bin", 0755);
	make(&f, "open/empty", 0755);
	f.plan = arena_alloc(arena, sizeof(*f.plan));
	f.plan->arena = arena;
	f.plan->namespaces = CLONE_NEWUSER;
	f.plan->caller = CALLER_ROOT_REMAPPED;
	f.plan->performer[WORK_IDMAP] = BY_RUNTIME;
	f.plan->uids = f.plan->gids = (struct idmap){ 1, { { 0, 100000, 65536 } } };
	f.plan->root_uid = f.plan->root_gid = 100000;
	*state = &f;
	return 0;
}

static int end(void **state)
{
	static const char *const parts[] = { "private/tree/bin", "private/tree", "private",	"open/tree/bin",
					     "open/tree",	 "open/empty",	 "open/volume", "open" };
	struct fixture *f = *state;
	char path[128];

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		path_of(f, parts[i], path, sizeof(path));
		(void)rmdir(path);
	}
	plan_free(f->plan);
	return rmdir(f->top);
}

static int resolve(const struct fixture *f, const char *rest, bool is_rootfs, bool readonly, bool trusted,
		   bool idmap_root, struct plan_tree *ret, struct err *err)
{
	char path[128];

	path_of(f, rest, path, sizeof(path));
	*err = ERR_INIT;
	const struct tree_wish wish = {
		.is_rootfs = is_rootfs, .readonly = readonly, .trusted = trusted, .idmap_root = idmap_root
	};
	return plan_resolve_tree(f->plan, path, &wish, ret, err);
}

static void give(const struct fixture *f, const char *rest, uid_t uid)
{
	char path[128];

	path_of(f, rest, path, sizeof(path));
	assert_int_equal(chown(path, uid, uid), 0);
}

static bool skipped_without_root(void)
{
	if (geteuid() == 0)
		return false;
	print_message("skipped: trees of other owners need root\n");
	skip();
	return true;
}

static void rootfs_by_owner(void **state)
{
	struct fixture *f = *state;
	struct plan_tree tree;
	struct err err;

	if (skipped_without_root())
		return;
	/* Host root's: private, reachable, read-only, trusted, ephemeral. */
	assert_int_equal(resolve(f, "private/tree", true, false, false, false, &tree, &err), 0);
	assert_int_equal(tree.view, VIEW_IDMAPPED);
	assert_true(resolve(f, "open/tree", true, false, false, false, &tree, &err) < 0);
	assert_int_equal(err.id, ERR_ID_ROOTFS_OWNER);
	assert_int_equal(resolve(f, "open/tree", true, true, false, false, &tree, &err), 0);
	assert_true(tree.view == VIEW_IDMAPPED && tree.readonly);
	assert_int_equal(resolve(f, "open/tree", true, false, true, false, &tree, &err), 0);
	f->plan->ephemeral = true;
	assert_int_equal(resolve(f, "open/tree", true, false, false, false, &tree, &err), 0);
	f->plan->ephemeral = false;

	/* The range's, and a stranger's; an `auto` range owns nothing before it is taken. */
	give(f, "open/tree", 100000);
	assert_int_equal(resolve(f, "open/tree", true, false, false, false, &tree, &err), 0);
	assert_int_equal(tree.view, VIEW_AS_IS);
	f->plan->auto_pending = true;
	assert_true(resolve(f, "open/tree", true, false, false, false, &tree, &err) < 0);
	assert_int_equal(err.id, ERR_ID_ROOTFS_FOREIGN);
	f->plan->auto_pending = false;
	give(f, "open/tree", 1000);
	assert_true(resolve(f, "open/tree", true, true, true, false, &tree, &err) < 0);
	assert_int_equal(err.id, ERR_ID_ROOTFS_FOREIGN);

	/* Without a user namespace nothing is mapped. */
	f->plan->namespaces = 0;
	assert_int_equal(resolve(f, "open/tree", true, false, false, false, &tree, &err), 0);
	assert_int_equal(tree.view, VIEW_AS_IS);
}

static void volumes_by_owner(void **state)
{
	struct fixture *f = *state;
	struct plan_tree tree;
	struct err err;

	if (skipped_without_root())
		return;
	assert_true(resolve(f, "open/tree", false, false, false, false, &tree, &err) < 0);
	assert_int_equal(err.id, ERR_ID_VOLUME_OWNER);
	assert_int_equal(resolve(f, "open/tree", false, true, false, false, &tree, &err), 0);
	assert_int_equal(tree.view, VIEW_IDMAPPED);
	assert_int_equal(resolve(f, "open/tree", false, false, false, true, &tree, &err), 0);
	assert_int_equal(resolve(f, "private/tree", false, false, false, false, &tree, &err), 0);

	give(f, "open/tree", 1234);
	assert_int_equal(resolve(f, "open/tree", false, false, false, false, &tree, &err), 0);
	assert_int_equal(tree.view, VIEW_OWNER_ONLY);
	assert_int_equal(tree.owner_uids.n, 1);
	assert_int_equal(tree.owner_uids.extents[0].inside, 1234);
	assert_int_equal(tree.owner_uids.extents[0].outside, 100000);
	assert_int_equal(tree.owner_uids.extents[0].count, 1);

	/* An `auto` range is known only after plan_reserve(). */
	f->plan->auto_pending = true;
	assert_int_equal(resolve(f, "open/tree", false, false, false, false, &tree, &err), 0);
	assert_true(tree.owner_pending);
	f->plan->sources = &tree;
	f->plan->n_sources = 1;
	f->plan->uids = f->plan->gids = (struct idmap){ 1, { { 0, 777000, 65536 } } };
	plan_settle_trees(f->plan);
	assert_int_equal(tree.owner_uids.extents[0].outside, 0);
	f->plan->auto_pending = false;
	plan_settle_trees(f->plan);
	plan_settle_trees(f->plan); /* once is enough */
	assert_int_equal(tree.owner_uids.extents[0].outside, 777000);
	assert_int_equal(tree.owner_gids.extents[0].outside, 777000);
}

static void bad_roots(void **state)
{
	struct fixture *f = *state;
	struct plan_tree tree = { .why = "untouched" };
	struct err err;

	assert_true(resolve(f, "missing", true, false, false, false, &tree, &err) < 0);
	assert_int_equal(err.id, ERR_ID_ROOTFS_MISSING);
	assert_true(resolve(f, "open/empty", true, false, false, false, &tree, &err) < 0);
	assert_non_null(strstr(err.message, "empty"));
	assert_string_equal(tree.why, "untouched");
}

static void private_looks_above(void **state)
{
	struct fixture *f = *state;
	char path[128];
	struct err err = ERR_INIT;
	bool hidden;

	if (skipped_without_root())
		return;
	static const struct {
		const char *path;
		mode_t mode;
		bool wanted;
	} cases[] = {
		{ "private/tree", 0755, true },
		{ "open/tree", 0755, false },
		{ "open/tree", 0700, false }, /* its own mode does not count: the container could change it */
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		path_of(f, cases[i].path, path, sizeof(path));
		assert_int_equal(chmod(path, cases[i].mode), 0);
		const int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		assert_int_equal(tree_is_private(fd, &hidden, &err), 0);
		assert_int_equal(hidden, cases[i].wanted);
		close(fd);
	}
	/* Group search is enough to be reached, and a private directory of another user is that user's. */
	path_of(f, "private", path, sizeof(path));
	assert_int_equal(chmod(path, 0710), 0);
	char tree[128];
	path_of(f, "private/tree", tree, sizeof(tree));
	int fd = open(tree, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(tree_is_private(fd, &hidden, &err), 0);
	assert_false(hidden);
	assert_int_equal(chmod(path, 0700), 0);
	give(f, "private", 1000);
	assert_int_equal(tree_is_private(fd, &hidden, &err), 0);
	assert_false(hidden);
	close(fd);
	give(f, "private", 0);
}

static void container_paths(void **state)
{
	struct fixture *f = *state;
	static const char *const good[][2] = {
		{ "/", "/" }, { "//a//b/", "/a/b" }, { "/./a/.", "/a" }, { "/a...b/..c", "/a...b/..c" }
	};
	static const char *const bad[] = { "", "a", "./a", "/a/../b", "/..", "..", "/a/.." };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct err err = ERR_INIT;
		const char *clean = NULL;

		assert_int_equal(plan_container_path(f->plan->arena, "it", good[i][0], &clean, &err), 0);
		assert_string_equal(clean, good[i][1]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err err = ERR_INIT;
		const char *clean = "untouched";

		assert_true(plan_container_path(f->plan->arena, "it", bad[i], &clean, &err) < 0);
		assert_string_equal(clean, "untouched");
	}
}

static void volume_words(void **state)
{
	struct fixture *f = *state;
	char good[128], above[128];
	struct err err = ERR_INIT;

	snprintf(good, sizeof(good), "%s/open/tree:/data/deep:ro", f->top);
	snprintf(above, sizeof(above), "%s/open/tree:/data:ro", f->top);
	const char *const two[] = { good, above, NULL };
	struct plan_request request = { .volumes = two };
	f->plan->user = "0:0";
	f->plan->no_new_privs = true;
	assert_int_equal(plan_resolve_mounts(f->plan, &request, &err), 0);
	assert_int_equal(f->plan->n_mounts, 2);
	assert_string_equal(f->plan->mounts[0].target, "/data"); /* the parent first */
	assert_string_equal(f->plan->mounts[1].target, "/data/deep");

	static const char *const suffixes[] = { "",	     ":",	":data",     ":/",   ":/x:ro,rw",
						":/x:bogus", ":/x:dev", ":/../x:ro", ":/x:", NULL };
	for (size_t i = 0; suffixes[i]; i++) {
		char text[128];

		err = ERR_INIT;
		snprintf(text, sizeof(text), "%s/open/tree%s", f->top, suffixes[i]);
		const char *const one[] = { text, NULL };
		request.volumes = one;
		f->plan->n_mounts = f->plan->n_sources = 0;
		if (plan_resolve_mounts(f->plan, &request, &err) == 0)
			fail_msg("%s was accepted", text);
		assert_true(strlen(err.message) > 0);
	}
	err = ERR_INIT;
	const char *const same[] = { good, good, NULL };
	request.volumes = same;
	f->plan->n_mounts = f->plan->n_sources = 0;
	assert_true(plan_resolve_mounts(f->plan, &request, &err) < 0);
}

static bool has(const char *const *env, const char *text)
{
	for (; *env; env++)
		if (streq(*env, text))
			return true;
	return false;
}

static void environment(void **state)
{
	struct fixture *f = *state;
	static const char *const env[] = {
		"A=1", "B=2", "A=3", "PATH=/mine", "NSRUN_UNIT_ABSENT", "NSRUN_UNIT_PRESENT", "AB=4", NULL
	};
	struct plan_request request = { .env = env, .terminal = NO };
	struct err err = ERR_INIT;
	size_t n = 0;

	setenv("NSRUN_UNIT_PRESENT", "yes", 1);
	assert_int_equal(plan_resolve_process(f->plan, &request, &err), 0);
	for (; f->plan->env[n]; n++)
		;
	assert_int_equal(n, 5);
	assert_true(has(f->plan->env, "A=3") && has(f->plan->env, "AB=4") && has(f->plan->env, "PATH=/mine"));
	assert_true(has(f->plan->env, "B=2") && has(f->plan->env, "NSRUN_UNIT_PRESENT=yes"));

	static const char *const bad[] = { "=1", NULL };
	request.env = bad;
	assert_true(plan_resolve_process(f->plan, &request, &err) < 0);
}

static void many_variables_are_quick(void **state)
{
	enum { MANY = 100000 };
	struct fixture *f = *state;
	const char **env = calloc(MANY + 1, sizeof(*env));
	char *text = calloc(MANY, 16);
	struct plan_request request = { .env = env, .terminal = NO };
	struct err err = ERR_INIT;
	struct timespec a, b;

	for (size_t i = 0; i < MANY; i++) {
		snprintf(text + i * 16, 16, "V%zu=%zu", i % 50000, i);
		env[i] = text + i * 16;
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	assert_int_equal(plan_resolve_process(f->plan, &request, &err), 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	assert_true(has(f->plan->env, "V49999=99999"));
	assert_false(has(f->plan->env, "V49999=49999"));
	assert_true(b.tv_sec - a.tv_sec < 3); /* quadratic: minutes */
	free(env);
	free(text);
}

static int parse_limits(struct fixture *f, const struct plan_request *request, struct err *err)
{
	f->plan->resources = (struct cgroup_resources){ 0 };
	return plan_resolve_limits(f->plan, request, err);
}

static int64_t limit(const struct fixture *f, enum cgroup_resource resource)
{
	return cgroup_resources_number(&f->plan->resources, resource, -1);
}

static void limits(void **state)
{
	struct fixture *f = *state;

	static const struct {
		const char *cpus;
		int64_t quota;
	} good[] = { { "1", 100000 },  { "0.5", 50000 },  { ".25", 25000 },
		     { "0.01", 1000 }, { "1.0", 100000 }, { "0.125", 12500 } };
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct plan_request request = { .cpus = good[i].cpus };
		struct err err = ERR_INIT;

		assert_int_equal(parse_limits(f, &request, &err), 0);
		assert_int_equal(limit(f, CGROUP_CPU_QUOTA), good[i].quota);
		assert_int_equal(limit(f, CGROUP_CPU_PERIOD), 100000);
		assert_int_equal(f->plan->resources.n, 2);
	}
	static const char *const bad_cpus[] = { "",	  ".",	 "0", "0.001", "-1",   "1.",
						"1.2345", "1,5", "x", "1e3",   "9999", "18446744073709551616",
						NULL };
	static const char *const bad_memory[] = { "",	       "0", "-2",   "10q",
						  "4095",      "m", "1.5g", "99999999999999999999",
						  "16777216t", NULL };
	static const char *const bad_pids[] = { "", "0", "-2", "1.5", "ten", "4294967296", NULL };
	for (size_t i = 0; bad_cpus[i]; i++)
		assert_true(parse_limits(f, &(struct plan_request){ .cpus = bad_cpus[i] }, NULL) < 0);
	for (size_t i = 0; bad_memory[i]; i++)
		assert_true(parse_limits(f, &(struct plan_request){ .memory = bad_memory[i] }, NULL) < 0);
	for (size_t i = 0; bad_pids[i]; i++)
		assert_true(parse_limits(f, &(struct plan_request){ .pids_limit = bad_pids[i] }, NULL) < 0);
	assert_int_equal(parse_limits(f, &(struct plan_request){ .memory = "64MiB", .pids_limit = "unlimited" }, NULL),
			 0);
	assert_int_equal(limit(f, CGROUP_MEMORY_LIMIT), 64 << 20);
	assert_int_equal(f->plan->resources.n, 1);
	/* What a new group has anyway needs no group. */
	assert_int_equal(
		parse_limits(f, &(struct plan_request){ .memory = "-1", .memory_swap = "-1", .cpus = "unlimited" },
			     NULL),
		0);
	assert_int_equal(f->plan->resources.n, 0);
	/* But that swap is not limited beside memory has to be said to the kernel. */
	assert_int_equal(parse_limits(f, &(struct plan_request){ .memory = "64m", .memory_swap = "unlimited" }, NULL),
			 0);
	assert_int_equal(f->plan->resources.n, 2);
	assert_true(parse_limits(f, &(struct plan_request){ .memory_swap = "96m" }, NULL) < 0);
}

static uint64_t caps_for(struct fixture *f, const char *const *add, const char *const *drop)
{
	struct plan_request request = { .cap_add = add, .cap_drop = drop };
	struct err err = ERR_INIT;

	assert_int_equal(plan_resolve_confinement(f->plan, &request, &err), 0);
	assert_int_equal(f->plan->caps.inheritable | f->plan->caps.ambient, 0);
	return f->plan->caps.bounding;
}

static void capabilities(void **state)
{
	struct fixture *f = *state;
	const char *const all[] = { "ALL", NULL }, *const raw[] = { "net_raw", NULL },
			  *const chown_[] = { "CAP_CHOWN", NULL };
	const uint64_t defaults = caps_for(f, NULL, NULL);

	assert_int_equal(__builtin_popcountll(defaults), 10);
	assert_true(f->plan->no_new_privs && f->plan->root_nosuid);
	assert_int_equal(caps_for(f, raw, NULL), defaults | CAP_MASK(CAP_NET_RAW));
	assert_int_equal(caps_for(f, NULL, chown_), defaults & ~CAP_MASK(CAP_CHOWN));
	assert_int_equal(caps_for(f, raw, all), CAP_MASK(CAP_NET_RAW));
	assert_int_equal(caps_for(f, NULL, all), 0);
	assert_int_equal(caps_for(f, all, chown_), caps_all() & ~CAP_MASK(CAP_CHOWN));
}

static void security_options(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = {
		"", "secomp=default", "seccomp", "seccomp=", "no-new-privileges=maybe", "apparmor=x", "label=y", NULL
	};

	for (size_t i = 0; bad[i]; i++) {
		const char *const one[] = { bad[i], NULL };
		struct plan_request request = { .security_opts = one };
		struct err err = ERR_INIT;

		if (plan_resolve_confinement(f->plan, &request, &err) == 0)
			fail_msg("%s was accepted", bad[i]);
	}
	const char *const off[] = { "no-new-privileges:false", "seccomp=unconfined", NULL };
	struct plan_request request = { .security_opts = off };
	struct err err = ERR_INIT;
	assert_int_equal(plan_resolve_confinement(f->plan, &request, &err), 0);
	assert_true(!f->plan->no_new_privs && !f->plan->root_nosuid && !f->plan->seccomp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rootfs_by_owner, begin, end),
		cmocka_unit_test_setup_teardown(volumes_by_owner, begin, end),
		cmocka_unit_test_setup_teardown(bad_roots, begin, end),
		cmocka_unit_test_setup_teardown(private_looks_above, begin, end),
		cmocka_unit_test_setup_teardown(container_paths, begin, end),
		cmocka_unit_test_setup_teardown(volume_words, begin, end),
		cmocka_unit_test_setup_teardown(environment, begin, end),
		cmocka_unit_test_setup_teardown(many_variables_are_quick, begin, end),
		cmocka_unit_test_setup_teardown(limits, begin, end),
		cmocka_unit_test_setup_teardown(capabilities, begin, end),
		cmocka_unit_test_setup_teardown(security_options, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
