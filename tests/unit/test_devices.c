/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device rules: the policy, the program and what is written on v1, each held against a plain reading of the list: of each bit the last rule that covers
 * the device. Programs are interpreted here, since the kernel has no test run for this type, and, as root, also asked by opening nodes in real groups.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <nsrun/kernel/cgroup.h>
#include <nsrun/kernel/devices.h>
#include <nsrun/plan/devices.h>

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

static uint64_t seed = 88172645463325252ULL;

static unsigned below(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed % n);
}

/* ---- the oracle ---- */

static int ask_rules(const struct device_rule *rules, size_t n, char type, uint32_t major, uint32_t minor,
		     unsigned access)
{
	for (unsigned bit = 1; bit <= 4; bit <<= 1) {
		bool allowed = false;

		for (size_t i = 0; i < n; i++) {
			const struct device_rule *r = &rules[i];

			if ((r->type == 'a' || r->type == type) && (r->major == -1 || r->major == (int64_t)major) &&
			    (r->minor == -1 || r->minor == (int64_t)minor) && (r->access & bit))
				allowed = r->allow;
		}
		if ((access & bit) && !allowed)
			return -EPERM;
	}
	return 0;
}

/* ---- an interpreter for the instructions that such programs may have ---- */

static int run_program(const struct bpf_insn *code, size_t n, char type, uint32_t major, uint32_t minor,
		       unsigned access)
{
	struct bpf_cgroup_dev_ctx context = {
		.access_type = (access << 16) | (type == 'c' ? BPF_DEVCG_DEV_CHAR : BPF_DEVCG_DEV_BLOCK),
		.major = major,
		.minor = minor,
	};
	uint64_t reg[11] = { 0 };
	bool set[11] = { [1] = true };

	for (size_t at = 0, steps = 0;; at++) {
		assert_true(at < n && steps++ <= n); /* no loop, and no way out of its end */
		const struct bpf_insn *i = &code[at];
		bool taken = false;

		switch (i->code) {
		case BPF_LDX | BPF_MEM | BPF_W:
			assert_int_equal(i->src_reg, 1);
			assert_true(i->off >= 0 && (size_t)i->off + 4 <= sizeof(context) && i->off % 4 == 0);
			uint32_t word;
			memcpy(&word, (const char *)&context + i->off, sizeof(word));
			reg[i->dst_reg] = word;
			set[i->dst_reg] = true;
			break;
		case BPF_ALU | BPF_MOV | BPF_X:
			assert_true(set[i->src_reg]);
			reg[i->dst_reg] = (uint32_t)reg[i->src_reg];
			set[i->dst_reg] = true;
			break;
		case BPF_ALU64 | BPF_MOV | BPF_K:
			reg[i->dst_reg] = (uint64_t)(int64_t)i->imm;
			set[i->dst_reg] = true;
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			assert_true(set[i->dst_reg]);
			reg[i->dst_reg] = (uint32_t)reg[i->dst_reg] & (uint32_t)i->imm;
			break;
		case BPF_ALU | BPF_RSH | BPF_K:
			assert_true(set[i->dst_reg]);
			reg[i->dst_reg] = (uint32_t)reg[i->dst_reg] >> i->imm;
			break;
		case BPF_JMP32 | BPF_JNE | BPF_K:
			assert_true(set[i->dst_reg]);
			taken = (uint32_t)reg[i->dst_reg] != (uint32_t)i->imm;
			break;
		case BPF_JMP32 | BPF_JEQ | BPF_K:
			assert_true(set[i->dst_reg]);
			taken = (uint32_t)reg[i->dst_reg] == (uint32_t)i->imm;
			break;
		case BPF_JMP | BPF_JA:
			taken = true;
			break;
		case BPF_JMP | BPF_EXIT:
			assert_true(set[0]);
			assert_true(reg[0] <= 1);
			return reg[0] ? 0 : -EPERM;
		default:
			fail_msg("instruction %zu: code 0x%02x", at, i->code);
		}
		if (taken) {
			assert_true(i->off >= 0); /* the verifier would take a loop, too */
			at += (size_t)i->off;
		}
	}
}

/* ---- what v1 makes of the lines: match_exception() and match_exception_partial() of security/device_cgroup.c ---- */

struct v1 {
	bool allow;
	struct device_rule exceptions[256];
	size_t n;
};

static void v1_write(struct v1 *group, bool to_allow, const char *line)
{
	struct device_rule rule;
	struct err err = ERR_INIT;

	assert_int_equal(device_rule_parse(line, "test", &rule, &err), 0);
	if (rule.type == 'a') {
		group->allow = to_allow;
		group->n = 0;
		return;
	}
	for (size_t i = 0; i < group->n; i++) {
		struct device_rule *e = &group->exceptions[i];

		if (e->type != rule.type || e->major != rule.major || e->minor != rule.minor)
			continue;
		if (to_allow != group->allow)
			e->access |= rule.access;
		else
			e->access &= ~rule.access;
		return;
	}
	if (to_allow != group->allow)
		group->exceptions[group->n++] = rule;
}

static int v1_ask(const struct v1 *group, char type, uint32_t major, uint32_t minor, unsigned access)
{
	for (size_t i = 0; i < group->n; i++) {
		const struct device_rule *e = &group->exceptions[i];

		if (e->type != type || (e->major != -1 && e->major != (int64_t)major) ||
		    (e->minor != -1 && e->minor != (int64_t)minor))
			continue;
		if (group->allow ? (access & e->access) != 0 : (access & ~e->access) == 0)
			return group->allow ? -EPERM : 0;
	}
	return group->allow ? 0 : -EPERM;
}

/* devices_v1_write() goes to files: a directory of FIFOs would lose the order, so it is read back through the text of the policy instead. */
static void v1_apply(struct v1 *group, const struct device_policy *policy)
{
	bool allow = true;

	for (size_t i = 0; i < policy->n; i++)
		if (policy->cells[i].major == -1 && policy->cells[i].minor == -1 &&
		    policy->cells[i].access != DEVICE_ALL)
			allow = false;
	group->n = 0;
	v1_write(group, allow, "a");
	for (size_t i = 0; i < policy->n; i++) {
		struct device_cell cell = policy->cells[i];
		char text[DEVICE_TEXT_MAX];

		if (allow)
			cell.access = DEVICE_ALL & ~cell.access;
		if (cell.access)
			v1_write(group, !allow, device_cell_text(&cell, text));
	}
}

/* ---- tests ---- */

static void rules_are_parsed(void **state)
{
	static const struct {
		const char *text;
		struct device_rule rule;
	} good[] = {
		{ "a", { true, 'a', -1, -1, 7 } },
		{ "a *:* rwm", { true, 'a', -1, -1, 7 } },
		{ "c 10:200 rwm", { true, 'c', 10, 200, 7 } },
		{ "c 10:200 mwr", { true, 'c', 10, 200, 7 } },
		{ "b *:* r", { true, 'b', -1, -1, DEVICE_READ } },
		{ "b 8:* w", { true, 'b', 8, -1, DEVICE_WRITE } },
		{ "c *:7 m", { true, 'c', -1, 7, DEVICE_MKNOD } },
		{ "b 4095:1048575 rw", { true, 'b', 4095, 1048575, DEVICE_READ | DEVICE_WRITE } },
	};
	static const char *const bad[] = {
		"",
		"c",
		"b ",
		"c 1:3",
		"c 1:3 ",
		"c 1 rwm",
		"c 1: r",
		"c :3 r",
		"p 1:3 r",
		"C 1:3 r",
		"c 1:3 rr",
		"c 1:3 x",
		"c 1:3 rwmr",
		"c -1:3 r",
		"c +1:3 r",
		"c 4096:0 r",
		"c 0:1048576 r",
		" c 1:3 r",
		"c  1:3 r",
		"c 1:3  r",
		"c 1:3 r ",
		"c 1:3:4 r",
		"c 0x1:3 r",
		"c 1:3r",
		"a rwm",
		"c 1:3 r\n",
		"cc 1:3 r",
		"c **:3 r",
		"c 1:3 rwm,c 1:5 rwm",
		"c 99999999999999999999:1 r",
		"c 1:99999999999999999999999999999999999999 rwm",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct device_rule rule = { 0 };
		struct err err = ERR_INIT;

		assert_int_equal(device_rule_parse(good[i].text, "test", &rule, &err), 0);
		assert_int_equal(rule.allow, good[i].rule.allow);
		assert_int_equal(rule.type, good[i].rule.type);
		assert_int_equal(rule.major, good[i].rule.major);
		assert_int_equal(rule.minor, good[i].rule.minor);
		assert_int_equal(rule.access, good[i].rule.access);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct device_rule rule = { .major = 77 };
		struct err err = ERR_INIT;

		if (device_rule_parse(bad[i], "test", &rule, &err) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_int_equal(err.kind, ERR_INPUT);
		assert_int_equal(rule.major, 77);
	}
}

/* PATH may have colons: what is said of it stands at the end. */
static void words_are_split_from_the_end(void **state)
{
	static const struct {
		const char *text, *path, *target, *access;
	} cases[] = {
		{ "/dev/x", "/dev/x", "", "" },
		{ "/dev/x:r", "/dev/x", "", "r" },
		{ "/dev/x:/dev/y", "/dev/x", "/dev/y", "" },
		{ "/dev/x:/dev/y:rwm", "/dev/x", "/dev/y", "rwm" },
		{ "/dev/pci-0:1:2", "/dev/pci-0:1:2", "", "" },
		{ "/dev/pci-0:1:2:/dev/y:m", "/dev/pci-0:1:2", "/dev/y", "m" },
		{ "/dev/x:", "/dev/x:", "", "" },
		{ "/dev/x:rx", "/dev/x:rx", "", "" },
		{ ":/dev/y", "", "/dev/y", "" },
		{ "", "", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct device_words words;

		device_words_split(cases[i].text, &words);
		assert_int_equal(words.path, strlen(cases[i].path));
		assert_int_equal(words.target_length, strlen(cases[i].target));
		assert_memory_equal(words.target ? words.target : "", cases[i].target, words.target_length);
		assert_string_equal(words.access ? words.access : "", cases[i].access);
	}
}

static struct device_policy policy_of(struct arena *arena, const struct device_rule *rules, size_t n)
{
	struct device_policy policy = { 0 };
	struct err err = ERR_INIT;

	assert_int_equal(device_policy_make(arena, rules, n, &policy, &err), 0);
	return policy;
}

/* One line each, in order. */
static void expect_policy(const char *const *said, const char *wanted)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct device_rule rules[16];
	char text[DEVICE_TEXT_MAX], got[1024] = "";
	struct err err = ERR_INIT;
	size_t n = 0;

	for (; said[n]; n++) {
		assert_int_equal(device_rule_parse(said[n] + 1, "test", &rules[n], &err), 0);
		rules[n].allow = said[n][0] == '+';
	}
	const struct device_policy policy = policy_of(arena, rules, n);
	for (size_t i = 0; i < policy.n; i++) {
		strcat(got, i ? "; " : "");
		strcat(got, device_cell_text(&policy.cells[i], text));
	}
	assert_string_equal(got, wanted);
}
#define SAID(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void lists_are_merged(void **state)
{
	(void)state;
	expect_policy(SAID(NULL), "c *:* -; b *:* -");
	expect_policy(SAID("-a"), "c *:* -; b *:* -");
	expect_policy(SAID("+a"), "c *:* rwm; b *:* rwm");
	expect_policy(SAID("+a", "-a", "+c 1:3 rw"), "c 1:3 rw; c *:* -; b *:* -");
	/* the same bits in two rules, and in another order */
	expect_policy(SAID("+c 1:3 r", "+c 1:5 r", "+c 1:3 wm"), "c 1:3 rwm; c 1:5 r; c *:* -; b *:* -");
	expect_policy(SAID("+c 1:5 r", "+c 1:3 rwm"), "c 1:3 rwm; c 1:5 r; c *:* -; b *:* -");
	/* a later, more general rule makes those before it needless */
	expect_policy(SAID("+c 1:3 rwm", "-c 1:5 r", "+c 1:* rwm"), "c 1:* rwm; c *:* -; b *:* -");
	/* and takes away what was allowed */
	expect_policy(SAID("+c 1:3 rwm", "-c 1:* w"), "c 1:3 rm; c *:* -; b *:* -");
	expect_policy(SAID("+a", "-b 8:0 wm"), "c *:* rwm; b 8:0 r; b *:* rwm");
	/* where two general ones cross */
	expect_policy(SAID("+c 1:* r", "+c *:3 w"), "c 1:3 rw; c 1:* r; c *:3 w; c *:* -; b *:* -");
	expect_policy(SAID("+c 1:* r", "-c *:3 r"), "c 1:3 -; c 1:* r; c *:* -; b *:* -");
	expect_policy(SAID("-c *:3 r", "+c 1:* r"), "c 1:* r; c *:* -; b *:* -");
	/* both types, with numbers */
	expect_policy(SAID("+a 7:0 r"), "c 7:0 r; c *:* -; b 7:0 r; b *:* -");
	expect_policy(SAID("+b *:* m", "+b 7:0 rw"), "c *:* -; b 7:0 rwm; b *:* m");
}

static void random_rules(struct device_rule *rules, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		rules[i] = (struct device_rule){
			.allow = below(3) != 0,
			.type = "abc"[below(20) ? 1 + below(2) : 0],
			.major = below(4) ? (int64_t)below(5) : -1,
			.minor = below(4) ? (int64_t)below(5) : -1,
			.access = 1 + below(7),
		};
		if (!below(50))
			rules[i].major = 4095;
		if (!below(50))
			rules[i].minor = (1 << 20) - 1;
	}
}

/* Everything about one list, for all devices near its numbers and all accesses. */
static void check_list(const struct device_rule *rules, size_t n, size_t *on_v1)
{
	static const uint32_t majors[] = { 0, 1, 2, 3, 4, 5, 77, 4095 },
			      minors[] = { 0, 1, 2, 3, 4, 5, 300, (1 << 20) - 1 };
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	const struct device_policy policy = policy_of(arena, rules, n);
	_cleanup_free_ struct bpf_insn *code = NULL;
	struct err err = ERR_INIT;
	struct v1 group = { 0 };
	size_t length;

	assert_int_equal(devices_program(&policy, &code, &length, &err), 0);
	const bool v1 = devices_v1_check(&policy, &err) == 0;
	assert_int_equal(err.id, v1 ? ERR_ID_NONE : ERR_ID_DEVICE_RULES_V1);
	*on_v1 += v1;
	if (v1)
		v1_apply(&group, &policy);
	for (size_t a = 0; a < ARRAY_LEN(majors); a++)
		for (size_t i = 0; i < ARRAY_LEN(minors); i++)
			for (unsigned access = 1; access <= 7; access++)
				for (const char *type = "cb"; *type; type++) {
					const int wanted = ask_rules(rules, n, *type, majors[a], minors[i], access);

					assert_int_equal(
						device_policy_ask(&policy, *type, majors[a], minors[i], access),
						wanted);
					assert_int_equal(run_program(code, length, *type, majors[a], minors[i], access),
							 wanted);
					if (v1)
						assert_int_equal(v1_ask(&group, *type, majors[a], minors[i], access),
								 wanted);
				}
	/* One form for all lists that mean the same: that of its own cells, from the general to the specific, is itself. */
	struct device_rule again[512];
	size_t n_again = 0;
	for (size_t i = policy.n; i-- > 0;) {
		const struct device_cell *c = &policy.cells[i];

		again[n_again++] = (struct device_rule){ false, c->type, c->major, c->minor, DEVICE_ALL };
		if (c->access)
			again[n_again++] = (struct device_rule){ true, c->type, c->major, c->minor, c->access };
	}
	const struct device_policy same = policy_of(arena, again, n_again);
	assert_int_equal(same.n, policy.n);
	assert_memory_equal(same.cells, policy.cells, policy.n * sizeof(*policy.cells));
}

static void random_lists_mean_what_they_say(void **state)
{
	struct device_rule rules[24];
	size_t on_v1 = 0;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		const size_t n = below(round < 1500 ? 6 : 24);

		random_rules(rules, n);
		check_list(rules, n, &on_v1);
	}
	assert_true(on_v1 > 300); /* both ways were gone */
	assert_true(on_v1 < 2900);
}

static void long_lists_have_a_limit(void **state)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	_cleanup_free_ struct device_rule *rules = calloc(DEVICE_RULES_MAX + 1, sizeof(*rules));
	struct device_policy policy = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i <= DEVICE_RULES_MAX; i++)
		rules[i] = (struct device_rule){ true, 'c', (int64_t)i, (int64_t)(7 * i), 1 + (unsigned)i % 7 };
	assert_int_equal(device_policy_make(arena, rules, DEVICE_RULES_MAX + 1, &policy, &err), -EINVAL);
	err = ERR_INIT;
	assert_int_equal(device_policy_make(arena, rules, DEVICE_RULES_MAX, &policy, &err), 0);
	assert_int_equal(policy.n, DEVICE_RULES_MAX + 2);

	_cleanup_free_ struct bpf_insn *code = NULL;
	size_t length;
	assert_int_equal(devices_program(&policy, &code, &length, &err), 0);
	for (size_t i = 0; i < DEVICE_RULES_MAX; i++) {
		const struct device_rule *r = &rules[i];

		assert_int_equal(run_program(code, length, 'c', (uint32_t)r->major, (uint32_t)r->minor, r->access), 0);
		assert_int_equal(run_program(code, length, 'b', (uint32_t)r->major, (uint32_t)r->minor, r->access),
				 -EPERM);
		assert_int_equal(run_program(code, length, 'c', (uint32_t)r->major, (uint32_t)r->minor + 1, r->access),
				 -EPERM);
	}
	/* As many majors for all minors as minors for all majors: each crossing is a place of its own. */
	for (size_t i = 0; i < DEVICE_RULES_MAX; i++)
		rules[i] =
			(struct device_rule){ true, 'c', i % 2 ? -1 : (int64_t)i, i % 2 ? (int64_t)i : -1, 1 + i % 2 };
	assert_int_equal(device_policy_make(arena, rules, DEVICE_RULES_MAX, &policy, &err), -EINVAL);
}

/* ---- in real groups ---- */

#define NODES 3 /* c 1:3, c 1:5, c 1:8 */

struct shared {
	_Atomic int stop, open[NODES], refused[NODES];
};

/* A process in the group opens the nodes again and again, and counts what the kernel answers. */
static pid_t start_opener(int group_fd, struct shared *shared)
{
	const pid_t pid = fork();

	if (pid != 0)
		return pid;
	static const char *const nodes[NODES] = { "/dev/null", "/dev/zero", "/dev/random" };
	const int procs = openat(group_fd, "cgroup.procs", O_WRONLY);

	if (procs < 0 || write(procs, "0", 1) != 1)
		_exit(1);
	while (!shared->stop)
		for (int i = 0; i < NODES; i++) {
			const int fd = open(nodes[i], O_RDONLY);

			if (fd >= 0)
				close(fd);
			if (fd < 0 && errno != EPERM)
				_exit(2);
			if (fd >= 0)
				shared->open[i]++;
			else
				shared->refused[i]++;
		}
	_exit(0);
}

static void rule_list(struct arena *arena, const char *const *said, struct device_policy *ret)
{
	struct device_rule rules[8];
	struct err err = ERR_INIT;
	size_t n = 0;

	for (; said[n]; n++)
		assert_int_equal(device_rule_parse(said[n], "test", &rules[n], &err), 0);
	*ret = policy_of(arena, rules, n);
}

struct place {
	bool v1;
	char path[2 * CGROUP_PATH_MAX];
	int fd;
};

static bool seen_enough(const struct shared *shared)
{
	return shared->open[0] > 100 && shared->open[1] > 0 && shared->refused[1] > 0 && shared->refused[2] > 100;
}

/* Takes turns between two lists, both of which allow /dev/null and refuse /dev/random: not once may the opener see another answer for these. */
static void replace_under_load(struct place *place)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct device_policy policies[2];
	struct err err = ERR_INIT;
	int status;

	rule_list(arena, SAID("c 1:3 rw"), &policies[0]);
	rule_list(arena, SAID("c 1:3 rwm", "c 1:5 rw", "c 10:* rwm"), &policies[1]);
	int r = place->v1 ? devices_v1_write(place->fd, &policies[0], &err)
			  : devices_attach(place->fd, &policies[0], &err);
	if (r < 0)
		fail_msg("%s: %s (%d)", place->path, err.message, err.errnum);
	const pid_t pid = start_opener(place->fd, shared);
	/* Where others have the processors the opener has done little after 200 turns. */
	for (int i = 1; i <= 200 || (i < 20000 && !seen_enough(shared)); i++) {
		const struct device_policy *before = &policies[(i + 1) % 2], *next = &policies[i % 2];

		usleep(500);
		r = place->v1 ? devices_v1_replace(place->fd, before, next, &err)
			      : devices_replace(place->fd, next, &err);
		if (r < 0)
			fail_msg("%s, turn %d: %s (%d)", place->path, i, err.message, err.errnum);
	}
	shared->stop = 1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(seen_enough(shared)); /* it was replaced */
	assert_true(shared->refused[0] == 0 && shared->open[2] == 0);
	munmap(shared, sizeof(*shared));
}

static void make_place(struct place *place, const char *mount)
{
	snprintf(place->path, sizeof(place->path), "%s/nsrun-test-devices-%d", mount, (int)getpid());
	assert_int_equal(mkdir(place->path, 0755), 0);
	place->fd = open(place->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(place->fd >= 0);
}

static void remove_place(struct place *place)
{
	close(place->fd);
	for (int i = 0; i < 1000 && rmdir(place->path) < 0; i++)
		usleep(1000);
	assert_int_equal(access(place->path, F_OK), -1);
}

static void filters_are_replaced_without_a_gap(void **state)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct cgroup_host host = CGROUP_HOST_NONE;
	struct place place = { .v1 = false };
	struct err err = ERR_INIT;

	(void)state;
	if (geteuid() != 0 || cgroup_probe(arena, &host, &err) < 0 || !host.v2_mount[0] || !devices_can_load())
		skip();
	make_place(&place, host.v2_mount);
	replace_under_load(&place);
	remove_place(&place);
}

static void v1_groups_are_written_without_a_gap(void **state)
{
	struct place place = { .v1 = true };

	(void)state;
	if (geteuid() != 0 || access("/sys/fs/cgroup/devices/devices.list", F_OK) < 0)
		skip();
	make_place(&place, "/sys/fs/cgroup/devices");
	replace_under_load(&place);
	remove_place(&place);
}

/* What the kernel takes must be what this file's interpreter took: the longest list, and random ones. */
static void kernel_takes_the_programs(void **state)
{
	struct cgroup_host host = CGROUP_HOST_NONE;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	_cleanup_free_ struct device_rule *rules = calloc(DEVICE_RULES_MAX, sizeof(*rules));
	struct place place = { .v1 = false };
	struct device_policy policy;
	struct err err = ERR_INIT;

	(void)state;
	if (geteuid() != 0 || cgroup_probe(arena, &host, &err) < 0 || !host.v2_mount[0] || !devices_can_load())
		skip();
	make_place(&place, host.v2_mount);
	for (int round = 0; round < 200; round++) {
		const size_t n = below(24);

		random_rules(rules, n);
		policy = policy_of(arena, rules, n);
		if (devices_replace(place.fd, &policy, &err) < 0)
			fail_msg("round %d: %s (%d)", round, err.message, err.errnum);
	}
	for (size_t i = 0; i < DEVICE_RULES_MAX; i++)
		rules[i] = (struct device_rule){ true, 'c', (int64_t)i, (int64_t)(7 * i), 1 + (unsigned)i % 7 };
	policy = policy_of(arena, rules, DEVICE_RULES_MAX);
	if (devices_replace(place.fd, &policy, &err) < 0)
		fail_msg("the longest list: %s (%d)", err.message, err.errnum);
	remove_place(&place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_are_parsed),
		cmocka_unit_test(words_are_split_from_the_end),
		cmocka_unit_test(lists_are_merged),
		cmocka_unit_test(random_lists_mean_what_they_say),
		cmocka_unit_test(long_lists_have_a_limit),
		cmocka_unit_test(kernel_takes_the_programs),
		cmocka_unit_test(filters_are_replaced_without_a_gap),
		cmocka_unit_test(v1_groups_are_written_without_a_gap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
