/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants of the table itself: every row that is ever added is held to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <nsrun/launch/channel.h>
#include <nsrun/launch/step.h>

#include <fcntl.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

static const struct step *row(enum step_id id)
{
	return &score[id];
}

static void rows_are_complete(void **state)
{
	(void)state;
	for (enum step_id id = STEP_NONE + 1; id < STEP_COUNT; id++) {
		assert_int_equal(row(id)->id, id);
		assert_non_null(strchr(row(id)->name, '.'));
		assert_true(strlen(row(id)->interface) > 0);
		assert_non_null(strchr(row(id)->manual, '('));
		assert_true(strlen(row(id)->why) > 10);
		assert_int_equal(score_find(row(id)->name), id); /* no name twice */
		if (row(id)->kind == STEP_SYNC)
			assert_null(row(id)->run);
		else
			assert_non_null(row(id)->run);
		/* A child needs no undo: its namespaces die with it. */
		if (row(id)->undo)
			assert_int_equal(row(id)->role, ROLE_RUNTIME);
		assert_int_equal(row(id)->peer != 0, row(id)->kind == STEP_SYNC || row(id)->kind == STEP_FORK);
	}
	assert_int_equal(score_find("no.such-row"), STEP_NONE);
	assert_int_equal(row(STEP_COUNT - 1)->kind, STEP_EXEC);
}

static void needs_come_before(void **state)
{
	(void)state;
	for (enum step_id id = STEP_NONE + 1; id < STEP_COUNT; id++)
		for (size_t i = 0; i < STEP_NEEDS_MAX && row(id)->needs[i] != STEP_NONE; i++)
			assert_true(row(id)->needs[i] < id);
}

/* Plans of every shape that changes which rows there are. */
static struct plan shape(unsigned bits)
{
	static const struct seccomp_program program = { .len = 1 };
	static const struct rlimit_setting rlimit;
	static struct plan_mount mounts[2];
	static struct plan_tree volumes[2] = { { .view = VIEW_IDMAPPED }, { .view = VIEW_OWNER_ONLY } };
	static struct cgroup_host host = CGROUP_HOST_NONE;
	static struct cgroup_value memory = { .resource = CGROUP_MEMORY_LIMIT, .number = 1 << 20 };
	static const char *const paths[] = { "/proc/kcore", NULL };
	struct plan plan = {
		.cgroup_host = &host,
		.sources = volumes,
		.mounts = mounts,
		.rlimits = &rlimit,
		.namespaces = (bits & 1) ? CLONE_NEWUSER : 0,
		.terminal = bits & 2,
		.reaper = bits & 4,
		.cgroup_path = (bits & 8) ? "/nsrun/x" : NULL,
		.placed_late = (bits & 24) == 24,
		.n_sources = (bits & 32) ? 2 : 0,
		.n_mounts = (bits & 32) ? 2 : 0,
		.seccomp = (bits & 64) ? &program : NULL,
		.no_new_privs = bits & 128,
		.ephemeral = bits & 256,
		.n_rlimits = (bits & 512) ? 1 : 0,
		/* Rows that an option adds, each with some bit of its own shape. */
		.has_oom_score_adj = bits & 16,
		.n_sysctls = (bits & 256) ? 1 : 0,
		.etc_wanted = bits & 512,
		.domainname = (bits & 32) ? "x" : NULL,
		.umask = (bits & 128) ? 077 : 022,
		.masked_paths = (bits & 1024) ? NULL : paths,
		.readonly_paths = (bits & 1024) ? NULL : paths,
		.privileged = (bits & 8) && (bits & 512),
		.n_devices = (bits & 32) && (bits & 64) ? 1 : 0,
		.device_filter = (bits & 8) && (bits & 256) ? DEVICE_FILTER_V2 : DEVICE_FILTER_NONE,
	};
	plan.caller = (bits & 1024) ? CALLER_USER_RANGES : CALLER_ROOT_REMAPPED;
	plan.performer[WORK_SOURCES] = (bits & 1024) ? BY_INIT : BY_RUNTIME;
	plan.performer[WORK_OVERLAY] = (bits & 2048) && !(bits & 1024) ? BY_RUNTIME : BY_INIT;
	plan.performer[WORK_DEVICES] = (bits & 1024) ? BY_INIT : BY_RUNTIME;
	plan.performer[WORK_MAPS] = (bits & 1) ? BY_RUNTIME : BY_NOBODY;
	if (plan.placed_late) {
		plan.resources = (struct cgroup_resources){ .values = &memory, .n = 1 };
		plan.controllers = 1U << CGROUP_MEMORY;
		host.v1_mount[CGROUP_MEMORY] = "/sys/fs/cgroup/memory";
		plan.namespaces_later = CLONE_NEWCGROUP;
	}
	if ((bits & 1) && !(bits & 1024))
		plan.rootfs.view = VIEW_IDMAPPED;
	plan.performer[WORK_VIEWS] = (bits & 1024) ? BY_NOBODY : BY_RUNTIME;
	static const struct plan_hook hook = { .path = "/bin/true" };
	static struct plan_bundle bundles[8];
	if (bits & 8192) { /* of a bundle: gated or not, detached, with hooks of either side, with a console socket */
		struct plan_bundle *bundle = &bundles[(bits & 256 ? 1 : 0) | (bits & 512 ? 2 : 0) | (bits & 2 ? 4 : 0)];

		*bundle = (struct plan_bundle){ .gated = bits & 256, .console_socket = bits & 2 ? "/s" : NULL };
		for (enum hook_kind kind = 0; (bits & 512) && kind < HOOK_KIND_COUNT; kind++)
			bundle->hooks[kind] = (struct plan_hooks){ .n = 1, .hooks = &hook };
		plan.bundle = bundle;
		plan.detached = bits & (256 | 128);
		plan.reaper = plan.ephemeral = plan.etc_wanted = plan.privileged = false;
		plan.n_mounts = plan.n_devices = 0;
		plan.hostname = (bits & 16) ? "x" : NULL;
	}
	if (bits & 4096) {
		plan.ns[NS_PID].use = plan.ns[NS_IPC].use = NS_HOST;
		plan.ns[NS_NET].use = plan.ns[NS_UTS].use = NS_JOIN;
		plan.namespaces_later |= CLONE_NEWTIME;
		plan.boottime.seconds = 1;
	}
	return plan;
}
#define SHAPES 16384

static enum role process(const struct plan *plan, enum role role)
{
	return role == ROLE_WORKLOAD && !plan->reaper ? ROLE_INIT : role;
}

/* In every plan, a row that needs a row of another process has, between the two, the fork that made it or a sync from there. */
static void crossing_needs_are_synchronised(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < SHAPES; bits++) {
		const struct plan plan = shape(bits);

		for (enum step_id id = STEP_NONE + 1; id < STEP_COUNT; id++) {
			if (!score_wants(&plan, id) || row(id)->kind == STEP_SYNC)
				continue;
			for (size_t i = 0; i < STEP_NEEDS_MAX && row(id)->needs[i] != STEP_NONE; i++) {
				const struct step *need = row(row(id)->needs[i]);
				const enum role from = process(&plan, need->role), to = process(&plan, row(id)->role);
				bool met = from == to || !score_wants(&plan, need->id);

				for (enum step_id k = need->id; !met && k < id; k++) {
					const struct step *between = row(k);

					if (!score_wants(&plan, k) || !between->peer ||
					    process(&plan, between->role) != from)
						continue;
					/* Through init's fork everything before it reaches the workload, too. */
					met = process(&plan, between->peer) == to ||
					      (to == ROLE_WORKLOAD && between->peer == ROLE_INIT);
				}
				if (!met)
					fail_msg("plan %#x: %s needs %s, and nothing makes it wait", bits,
						 row(id)->name, need->name);
			}
		}
	}
}

static void syncs_are_few_and_needed(void **state)
{
	unsigned seen = 0;

	(void)state;
	for (unsigned bits = 0; bits < SHAPES; bits++) {
		const struct plan plan = shape(bits);
		unsigned n = 0;

		for (enum step_id id = STEP_NONE + 1; id < STEP_COUNT; id++)
			n += row(id)->kind == STEP_SYNC && score_wants(&plan, id);
		/* A bundle: hooks of the runtime's namespaces, and what create waits for, have two more each. */
		assert_true(n <= (plan_is_bundle(&plan) ? 6 : 3));
		seen |= 1U << n;
	}
	/* No sync at all is possible, one, and both. */
	assert_int_equal(seen & 7, 7);

	const struct plan bare = shape(0);
	assert_false(score_wants(&bare, STEP_SYNC_PLACED));
	assert_false(score_wants(&bare, STEP_SYNC_MOUNTED));
	const struct plan remapped = shape(1), terminal = shape(2);
	assert_true(score_wants(&remapped, STEP_SYNC_PLACED));
	assert_true(score_wants(&terminal, STEP_SYNC_MOUNTED));
	/* Limits of v1: while init works where the caller is root, else before it is there; and it waits once more for that alone. */
	const struct plan grouped = shape(8 | 16), users = shape(8 | 16 | 1024);
	assert_true(score_wants(&grouped, STEP_CGROUP_LIMITS_LATE) && score_wants(&grouped, STEP_SYNC_GROUPED) &&
		    score_wants(&grouped, STEP_CGROUP_ATTACH_LATE));
	assert_false(score_wants(&grouped, STEP_CGROUP_LIMITS) || score_wants(&grouped, STEP_CGROUP_ATTACH));
	assert_true(score_wants(&users, STEP_CGROUP_LIMITS) && score_wants(&users, STEP_CGROUP_ATTACH));
	assert_false(score_wants(&users, STEP_CGROUP_LIMITS_LATE) || score_wants(&users, STEP_SYNC_GROUPED));
	assert_false(score_wants(&remapped, STEP_SYNC_GROUPED));
}

/* What the runtime does for init after the clone is waited for, in every plan: a limit that is set while the workload already runs
 * is none. */
static void nothing_overtakes_the_runtime(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < SHAPES; bits++) {
		const struct plan plan = shape(bits);

		for (enum step_id id = STEP_INIT_CLONE + 1; id < STEP_SYNC_PLACED; id++) {
			if (row(id)->role != ROLE_RUNTIME || !score_wants(&plan, id))
				continue;
			if (!score_wants(&plan, STEP_SYNC_PLACED))
				fail_msg("plan %#x: nobody waits for %s", bits, row(id)->name);
		}
		if (score_wants(&plan, STEP_CGROUP_LIMITS_LATE) && !score_wants(&plan, STEP_SYNC_GROUPED))
			fail_msg("plan %#x: nobody waits for cgroup.limits-late", bits);
	}
}

/* Each change of ids is followed by a row that sets the parent-death signal again. */
static void parent_bond_is_renewed(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < SHAPES; bits++) {
		const struct plan plan = shape(bits);

		assert_true(score_wants(&plan, STEP_PARENT_BIND));
		if (score_wants(&plan, STEP_IDS_BECOME_ROOT))
			assert_true(score_wants(&plan, STEP_PARENT_REBIND));
		/* It ends by design where the runtime does. */
		const bool stays = plan_is_bundle(&plan) && plan.detached;
		if (!plan.reaper)
			assert_int_equal(score_wants(&plan, STEP_PARENT_KEEP), !stays);
		assert_int_equal(score_wants(&plan, STEP_GATE_RELEASE) || score_wants(&plan, STEP_PARENT_RELEASE),
				 stays);
	}
	assert_int_equal(STEP_PARENT_REBIND, STEP_IDS_BECOME_ROOT + 1);
	assert_int_equal(STEP_PARENT_KEEP, STEP_CREDS_SET + 1);
}

/* create: init lets go of the runtime, says so, and hears that it was created before it waits. */
static void gate_is_in_order(void **state)
{
	static const enum step_id order[] = { STEP_ARGV_RESOLVE, STEP_GATE_RELEASE, STEP_SYNC_READY, STEP_STATE_CREATED,
					      STEP_SYNC_CREATED, STEP_GATE_WAIT,    STEP_HOOKS_START };

	(void)state;
	for (unsigned bits = 0; bits < SHAPES; bits++) {
		const struct plan plan = shape(bits);
		const bool gated = plan_is_bundle(&plan) && plan.bundle->gated;

		for (size_t i = 1; i + 1 < ARRAY_LEN(order); i++) {
			assert_int_equal(score_wants(&plan, order[i]), gated);
			assert_true(order[i - 1] < order[i]);
		}
		assert_int_equal(score_wants(&plan, STEP_SYNC_HOOKED), score_wants(&plan, STEP_HOOKS_RUNTIME));
		assert_true(!plan_is_bundle(&plan) || !score_wants(&plan, STEP_PROC_MOUNT));
	}
}

static void filter_order_follows_no_new_privs(void **state)
{
	const struct plan with = shape(64 | 128), without = shape(64), none = shape(128);

	(void)state;
	assert_true(score_wants(&with, STEP_PRIVS_BOUND) && !score_wants(&with, STEP_CAPS_FINAL));
	assert_true(!score_wants(&without, STEP_PRIVS_BOUND) && score_wants(&without, STEP_CAPS_FINAL));
	assert_false(score_wants(&none, STEP_SECCOMP_LOAD));
	assert_true(STEP_CAPS_SET < STEP_SECCOMP_LOAD && STEP_SECCOMP_LOAD < STEP_CAPS_FINAL);
}

/* ---- the channel that carries the syncs ---- */

struct ends {
	int a, b;
	struct pidref self;
};

static int open_ends(void **state)
{
	static struct ends ends;
	struct err err = ERR_INIT;

	if (channel_open(&ends.a, &ends.b, &err) < 0 || pidref_open(getpid(), &ends.self, &err) < 0)
		return -1;
	*state = &ends;
	return 0;
}

static int close_ends(void **state)
{
	struct ends *ends = *state;

	close(ends->a);
	close(ends->b);
	pidref_close(&ends->self);
	return 0;
}

static void channel_delivers_id_and_fd(void **state)
{
	struct ends *ends = *state;
	struct err err = ERR_INIT;
	const int sent[CHANNEL_FDS_MAX] = { [0 ... CHANNEL_FDS_MAX - 1] = STDERR_FILENO };
	int fds[CHANNEL_FDS_MAX] = { 1234 };

	assert_int_equal(channel_send(ends->a, STEP_SYNC_PLACED, NULL, 0, &err), 0);
	assert_int_equal(channel_expect(ends->b, &ends->self, STEP_SYNC_PLACED, fds, 0, &err), 0);
	assert_int_equal(fds[0], 1234);
	for (size_t n = 1; n <= CHANNEL_FDS_MAX; n += CHANNEL_FDS_MAX - 1) {
		assert_int_equal(channel_send(ends->a, STEP_SYNC_MOUNTED, sent, n, &err), 0);
		assert_int_equal(channel_expect(ends->b, &ends->self, STEP_SYNC_MOUNTED, fds, n, &err), 0);
		for (size_t i = 0; i < n; i++) {
			assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
			close(fds[i]);
		}
	}
}

static size_t open_fds(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void channel_refuses_another_number_of_fds(void **state)
{
	const int sent[CHANNEL_FDS_MAX + 1] = { 0 };
	struct ends *ends = *state;
	const size_t before = open_fds();
	int fds[2] = { 77, 77 };

	for (size_t n = 0; n < 4; n++) {
		struct err err = ERR_INIT;

		if (n == 2)
			continue;
		assert_int_equal(channel_send(ends->a, STEP_SYNC_MOUNTED, sent, n, &err), 0);
		assert_true(channel_expect(ends->b, &ends->self, STEP_SYNC_MOUNTED, fds, 2, &err) < 0);
		assert_int_equal(err.kind, ERR_BUG);
		assert_int_equal(fds[0], 77);
	}
	struct err err = ERR_INIT;
	assert_true(channel_send(ends->a, STEP_SYNC_MOUNTED, sent, CHANNEL_FDS_MAX + 1, &err) < 0);
	assert_int_equal(open_fds(), before);
}

static void channel_refuses_another_id(void **state)
{
	struct ends *ends = *state;
	struct err err = ERR_INIT;
	int fd = 77;

	assert_int_equal(channel_send(ends->a, STEP_SYNC_MOUNTED, NULL, 0, &err), 0);
	assert_true(channel_expect(ends->b, &ends->self, STEP_SYNC_PLACED, &fd, 0, &err) < 0);
	assert_int_equal(err.kind, ERR_BUG);
	assert_int_equal(fd, 77);
}

static void channel_refuses_malformed_messages(void **state)
{
	struct ends *ends = *state;
	char garbage[64];

	memset(garbage, 0xa5, sizeof(garbage));
	for (size_t n = 1; n <= sizeof(garbage); n++) {
		struct err err = ERR_INIT;
		int fd;

		assert_int_equal(send(ends->a, garbage, n, 0), (ssize_t)n);
		assert_true(channel_expect(ends->b, &ends->self, STEP_SYNC_PLACED, &fd, 0, &err) < 0);
		assert_int_equal(err.kind, ERR_BUG);
	}
}

static void channel_end_and_death_are_told(void **state)
{
	struct ends *ends = *state;
	struct pidref child = PIDREF_NONE;
	struct err err = ERR_INIT;
	int fd;

	/* The peer's process ends while its socket is still open elsewhere (ends->a is ours): only the pidfd can tell. */
	const pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	assert_int_equal(pidref_open(pid, &child, &err), 0);
	assert_int_equal(channel_expect(ends->b, &child, STEP_SYNC_PLACED, &fd, 0, &err), -ESRCH);
	assert_int_equal(err.kind, ERR_PEER);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	pidref_close(&child);

	/* The socket closes while the process lives. */
	err = ERR_INIT;
	shutdown(ends->a, SHUT_RDWR);
	assert_int_equal(channel_wait_end(ends->b, &ends->self, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_complete),
		cmocka_unit_test(needs_come_before),
		cmocka_unit_test(crossing_needs_are_synchronised),
		cmocka_unit_test(syncs_are_few_and_needed),
		cmocka_unit_test(nothing_overtakes_the_runtime),
		cmocka_unit_test(parent_bond_is_renewed),
		cmocka_unit_test(gate_is_in_order),
		cmocka_unit_test(filter_order_follows_no_new_privs),
		cmocka_unit_test_setup_teardown(channel_delivers_id_and_fd, open_ends, close_ends),
		cmocka_unit_test_setup_teardown(channel_refuses_another_number_of_fds, open_ends, close_ends),
		cmocka_unit_test_setup_teardown(channel_refuses_another_id, open_ends, close_ends),
		cmocka_unit_test_setup_teardown(channel_refuses_malformed_messages, open_ends, close_ends),
		cmocka_unit_test_setup_teardown(channel_end_and_death_are_told, open_ends, close_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
