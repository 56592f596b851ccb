/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/seccomp.h>

#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* libseccomp copies the whole filter for every rule that is added: a bound on the rules bounds time and memory. Docker's profile
 * makes about 450. */
#define MAX_RULES 16384

static void ctx_releasep(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}

static int set_attribute(scmp_filter_ctx ctx, enum scmp_filter_attr attribute, uint32_t value, const char *name,
			 struct err *err)
{
	int r = seccomp_attr_set(ctx, attribute, value);

	if (r < 0)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "seccomp_attr_set(%s)", name);
	return 0;
}

static int prepare(scmp_filter_ctx ctx, const struct seccomp_rules *rules, struct err *err)
{
	int r;

	/*
	 * A call of an architecture that the rules do not name kills the process. An error would be no use to it: a 32-bit
	 * program has every call refused, exit_group(2) too, and would spin or crash somewhere else. SIGSYS says what
	 * happened, to the audit log and to whoever waits, who can then name the option. The whole process, since a process
	 * without one of its threads hangs.
	 */
	r = set_attribute(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS, "ACT_BADARCH", err);
	/* no_new_privs is a row of its own, and libseccomp does not load this filter. */
	if (r == 0)
		r = set_attribute(ctx, SCMP_FLTATR_CTL_NNP, 0, "CTL_NNP", err);
	/* A binary tree over the numbers: a dozen comparisons for a system call instead of hundreds. */
	if (r == 0)
		r = set_attribute(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2, "CTL_OPTIMIZE", err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < rules->n_archs; i++) {
		r = seccomp_arch_add(ctx, rules->archs[i]);
		if (r < 0 && r != -EEXIST)
			return err_set(err, ERR_INPUT, ERR_ID_NONE, -r,
				       "seccomp: architecture 0x%x beside the native one", rules->archs[i]);
	}
	return 0;
}

static int add_one(scmp_filter_ctx ctx, uint32_t action, int nr, const char *name, unsigned n,
		   const struct scmp_arg_cmp *args, struct err *err)
{
	int r = seccomp_rule_add_array(ctx, action, nr, n, args);

	if (r == -EEXIST)
		return err_set(err, ERR_INPUT, ERR_ID_NONE, 0,
			       "seccomp: %s: two rules give different actions under the same condition", name);
	if (r < 0)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "seccomp_rule_add(%s)", name);
	return 0;
}

static bool same_index_twice(const struct seccomp_rule *rule)
{
	unsigned seen = 0;

	for (size_t i = 0; i < rule->n_args; i++) {
		if (seen & (1U << rule->args[i].index))
			return true;
		seen |= 1U << rule->args[i].index;
	}
	return false;
}

static int add_rule(scmp_filter_ctx ctx, const struct seccomp_rule *rule, size_t *count, struct err *err)
{
	struct scmp_arg_cmp args[6];
	bool split = same_index_twice(rule);
	int r;

	for (size_t i = 0; i < rule->n_args; i++)
		args[i] = (struct scmp_arg_cmp){ .arg = rule->args[i].index,
						 .op = (enum scmp_compare)rule->args[i].op,
						 .datum_a = rule->args[i].value,
						 .datum_b = rule->args[i].value_two };
	for (const char *const *name = rule->names; *name; name++) {
		int nr = seccomp_syscall_resolve_name(*name);

		if (nr == __NR_SCMP_ERROR)
			continue;
		*count += split ? rule->n_args : 1;
		if (*count > MAX_RULES)
			return err_input(err, "seccomp: more than %d rules", MAX_RULES);
		if (!split) {
			r = add_one(ctx, rule->action, nr, *name, (unsigned)rule->n_args, args, err);
			if (r < 0)
				return r;
			continue;
		}
		/* libseccomp takes each argument once in a rule. Engines mean alternatives by a repeated one, and runc and
		 * crun read the whole list so. */
		for (size_t i = 0; i < rule->n_args; i++) {
			r = add_one(ctx, rule->action, nr, *name, 1, &args[i], err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int export_program(scmp_filter_ctx ctx, unsigned flags, struct seccomp_program *ret, struct err *err)
{
	_cleanup_close_ int fd = FD_NONE;
	_cleanup_free_ void *memory = NULL;
	struct stat st;
	size_t size;
	int r;

	/* libseccomp 2.5 exports to a descriptor alone. */
	fd = memfd_create("seccomp", MFD_CLOEXEC);
	if (fd < 0)
		return err_system(err, "memfd_create");
	r = seccomp_export_bpf(ctx, fd);
	if (r < 0)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "seccomp_export_bpf");
	if (fstat(fd, &st) < 0)
		return err_system(err, "fstat(seccomp)");
	size = (size_t)st.st_size;
	if (size == 0 || size % sizeof(struct sock_filter) != 0)
		return err_bug(err, "seccomp: libseccomp exported %zu bytes", size);
	if (size / sizeof(struct sock_filter) > BPF_MAXINSNS)
		return err_input(
			err, "seccomp: the filter has %zu instructions, and the kernel takes %d at most (BPF_MAXINSNS)",
			size / sizeof(struct sock_filter), BPF_MAXINSNS);
	memory = malloc(size);
	if (!memory)
		return err_oom(err);
	if (pread(fd, memory, size, 0) != (ssize_t)size)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, EIO, "seccomp: reading the exported filter");

	ret->len = (unsigned short)(size / sizeof(struct sock_filter));
	ret->flags = flags;
	ret->memory = TAKE_PTR(memory);
	ret->insns = ret->memory;
	return 0;
}

int seccomp_compile(const struct seccomp_rules *rules, struct seccomp_program *ret, struct err *err)
{
	_cleanup_(ctx_releasep) scmp_filter_ctx ctx = NULL;
	size_t count = 0;
	int r;

	ctx = seccomp_init(rules->default_action);
	if (!ctx)
		return err_set(err, ERR_INPUT, ERR_ID_NONE, 0, "seccomp_init: default action 0x%x",
			       rules->default_action);
	r = prepare(ctx, rules, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < rules->n_rules; i++) {
		/* libseccomp refuses (EACCES) a rule that says what the default says anyway. */
		if (rules->rules[i].action == rules->default_action)
			continue;
		r = add_rule(ctx, &rules->rules[i], &count, err);
		if (r < 0)
			return r;
	}
	return export_program(ctx, rules->flags, ret, err);
}

void seccomp_program_free(struct seccomp_program *program)
{
	free(program->memory);
	*program = (struct seccomp_program){ 0 };
}

int seccomp_program_load(const struct seccomp_program *program, struct err *err)
{
	/* The kernel only reads it. */
	struct sock_fprog prog = { .len = program->len, .filter = (struct sock_filter *)(uintptr_t)program->insns };
	long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, program->flags, &prog);

	if (r < 0)
		return err_system(err, "seccomp(SECCOMP_SET_MODE_FILTER) of %u instructions", program->len);
	/* SECCOMP_FILTER_FLAG_TSYNC: a positive answer is the thread that could not take the filter; none is loaded then. */
	if (r > 0)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, EBUSY,
			       "seccomp(SECCOMP_SET_MODE_FILTER): thread %ld has a filter of its own", r);
	return 0;
}

const char *seccomp_library(char buf[SECCOMP_LIBRARY_SIZE])
{
	const struct scmp_version *version = seccomp_version();

	if (version)
		snprintf(buf, SECCOMP_LIBRARY_SIZE, "%u.%u.%u", version->major, version->minor, version->micro);
	else
		snprintf(buf, SECCOMP_LIBRARY_SIZE, "unknown");
	return buf;
}

bool seccomp_flag_is_known(unsigned flag)
{
	/* This one goes with a listener alone. */
	if (flag == SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
		flag |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
	/* Flags are looked at before the program, which is nowhere. */
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flag, NULL) < 0 && errno == EFAULT;
}

bool seccomp_action_is_known(uint32_t action)
{
	/* libseccomp's words for actions are the kernel's own numbers. */
	uint32_t bare = action & SECCOMP_RET_ACTION_FULL;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &bare) == 0;
}

bool seccomp_arch_is_possible(uint32_t arch)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	const int r = ctx ? seccomp_arch_add(ctx, arch) : 0;

	if (ctx)
		seccomp_release(ctx);
	return r == 0 || r == -EEXIST;
}

uint32_t seccomp_native_arch(void)
{
	return seccomp_arch_native();
}
