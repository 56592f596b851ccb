/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/plan.h>
#include <nsrun/plan/seccomp_builtin.h>
#include <nsrun/plan/seccomp_json.h>

#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/bpf_common.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#define CAPS_NSRUN UINT64_C(0x405fb)
#define CAPS_DOCKER UINT64_C(0xa80425fb)
#define ERRNO(e) (SECCOMP_RET_ERRNO | (e))
#define ALLOW SECCOMP_RET_ALLOW
#define KILL SECCOMP_RET_KILL_PROCESS

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#else
#define NATIVE AUDIT_ARCH_AARCH64
#endif

static void compile_text(const char *text, uint64_t caps, const unsigned kernel[2], struct seccomp_program *ret)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct err err = ERR_INIT;
	struct seccomp_profile profile;
	struct seccomp_rules rules;

	if (seccomp_json_parse(text, strlen(text), "test", arena, &profile, &err) < 0 ||
	    seccomp_profile_resolve_for(&profile, caps, kernel, arena, &rules, NULL, &err) < 0 ||
	    seccomp_compile(&rules, ret, &err) < 0)
		fail_msg("%s", err.message);
}

static void compile_builtin(const char *name, uint64_t caps, struct seccomp_program *ret)
{
	const struct builtin_profile *builtin = builtin_profile_find(name);
	static const unsigned kernel[2] = { 6, 1 };
	_cleanup_free_ char *text = NULL;

	assert_non_null(builtin);
	text = strndup(builtin->text, builtin->size);
	assert_non_null(text);
	compile_text(text, caps, kernel, ret);
}

/* Values around every constant that the shipped profiles compare with, and in both halves of the word. */
static const uint64_t values[] = {
	0,
	1,
	2,
	3,
	7,
	8,
	9,
	10,
	11,
	12,
	15,
	16,
	17,
	31,
	32,
	37,
	38,
	40,
	44,
	45,
	46,
	0x11,
	0x80,
	0x5401,
	0x5410,
	0x5411,
	0x5412,
	0x5413,
	0x541b,
	0x541c,
	0x541d,
	0x5421,
	0x15412,
	0x80045430,
	0x20000,
	0x20008,
	0x40000,
	0x20001,
	0x2000000,
	0x4000000,
	0x8000000,
	0x10000000,
	0x20000000,
	0x40000000,
	0x7e020000,
	0x3d0f00,
	0x1200011,
	0x80000000,
	0xfffffffe,
	0xffffffff,
	0x100000000,
	0x100000001,
	0x100000002,
	0x100005412,
	0xffffffff00005412,
	0xffffffff0000541c,
	0x10000541c,
	0x100020000,
	UINT64_MAX,
};

/* Calls of `nr` that a filter can tell apart: every value in each of the first two arguments. */
typedef void visit_fn(struct seccomp_data *data, const void *a, const void *b);

static void visit_calls(uint32_t arch, visit_fn *visit, const void *a, const void *b)
{
	static const int extra[] = { -1, 9999, 0x40000000, 0x40000010, INT_MAX, INT_MIN };

	for (int i = 0; i <= 600 + (int)ARRAY_LEN(extra); i++) {
		int nr = i <= 600 ? i : extra[i - 601];

		for (size_t v = 0; v < ARRAY_LEN(values); v++)
			for (unsigned arg = 0; arg < 2; arg++) {
				struct seccomp_data data = { .nr = nr, .arch = arch };

				data.args[arg] = values[v];
				visit(&data, a, b);
			}
	}
}

static void same_answer(struct seccomp_data *data, const void *a, const void *b)
{
	uint32_t one = seccomp_evaluate_data(a, data), two = seccomp_evaluate_data(b, data);

	if (one != two)
		fail_msg("nr %d arch 0x%x args 0x%llx 0x%llx: 0x%x and 0x%x", data->nr, data->arch, data->args[0],
			 data->args[1], one, two);
}

static void precompiled_equals_compiled(void **state)
{
	static const char *const names[] = { "default", "docker", "strict" };
	static const uint64_t caps[] = { CAPS_NSRUN, CAPS_DOCKER };
	static const uint32_t archs[] = { NATIVE, AUDIT_ARCH_I386, AUDIT_ARCH_ARM, AUDIT_ARCH_PPC64 };

	(void)state;
	for (size_t n = 0; n < ARRAY_LEN(names); n++)
		for (size_t c = 0; c < ARRAY_LEN(caps); c++) {
			const struct seccomp_program *ready = seccomp_precompiled(names[n], caps[c]);
			struct seccomp_program fresh = { 0 };

			assert_non_null(ready);
			compile_builtin(names[n], caps[c], &fresh);
			for (size_t a = 0; a < ARRAY_LEN(archs); a++)
				visit_calls(archs[a], same_answer, ready, &fresh);
			seccomp_program_free(&fresh);
		}
	assert_null(seccomp_precompiled("default", CAPS_NSRUN | CAP_MASK(CAP_SYS_ADMIN)));
	assert_null(seccomp_precompiled("nothing", CAPS_NSRUN));
}

static void implies_allowed(struct seccomp_data *data, const void *a, const void *b)
{
	/* Its argument has 32 bits for the kernel; Docker's profile compares 64. */
	if (data->nr == SYS_personality && data->args[0] > UINT32_MAX)
		return;
	if (seccomp_evaluate_data(a, data) == ALLOW && seccomp_evaluate_data(b, data) != ALLOW)
		fail_msg("nr %d args 0x%llx 0x%llx: default allows what docker denies", data->nr, data->args[0],
			 data->args[1]);
}

static void default_is_stricter_than_docker(void **state)
{
	(void)state;
	visit_calls(NATIVE, implies_allowed, seccomp_precompiled("default", CAPS_NSRUN),
		    seccomp_precompiled("docker", CAPS_NSRUN));
}

struct expectation {
	const char *name;
	uint64_t args[6];
	uint32_t action;
};

static void expect_all(const struct seccomp_program *program, const struct expectation *table, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int nr = seccomp_syscall_resolve_name(table[i].name);
		uint32_t action;

		if (nr < 0) /* not on this architecture */
			continue;
		action = seccomp_evaluate(program, nr, table[i].args);
		if (action != table[i].action)
			fail_msg("%s(0x%llx, 0x%llx): 0x%x, expected 0x%x", table[i].name,
				 (unsigned long long)table[i].args[0], (unsigned long long)table[i].args[1], action,
				 table[i].action);
	}
}

static const struct expectation default_expectations[] = {
#define EXPECT(call, answer, ...) { #call, { __VA_ARGS__ }, answer },
#include "seccomp_default_table.h"
#undef EXPECT
};

static void default_does_as_documented(void **state)
{
	static const uint64_t none[6];
	const struct seccomp_program *program = seccomp_precompiled("default", CAPS_NSRUN);

	(void)state;
	expect_all(program, default_expectations, ARRAY_LEN(default_expectations));
	assert_int_equal(seccomp_evaluate(program, 9999, none), ERRNO(ENOSYS));
	assert_int_equal(seccomp_evaluate(program, 600, none), ERRNO(ENOSYS));
}

/* "Known and denied: EPERM": a call that libseccomp can name is never ENOSYS, but for clone3. */
static void default_classifies_every_known_call(void **state)
{
	static const uint64_t none[6];
	const struct seccomp_program *program = seccomp_precompiled("default", CAPS_NSRUN);

	(void)state;
	for (int nr = 0; nr < 600; nr++) {
		_cleanup_free_ char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);
		uint32_t action = seccomp_evaluate(program, nr, none);

		/* Newer ones than these may be news to the profile: they are ENOSYS until somebody has looked at them. */
		if (name && nr <= 456 && nr != SYS_clone3 && action == ERRNO(ENOSYS))
			fail_msg("%s (%d) is in no list of profiles/default.json", name, nr);
	}
}

static void foreign_abis_are_killed(void **state)
{
	const struct seccomp_program *native = seccomp_precompiled("default", CAPS_NSRUN);
	const struct seccomp_program *docker = seccomp_precompiled("docker", CAPS_DOCKER);
	struct seccomp_data data = { .arch = AUDIT_ARCH_PPC64 };

	(void)state;
	assert_int_equal(seccomp_evaluate_data(native, &data), KILL);
	assert_int_equal(seccomp_evaluate_data(docker, &data), KILL);
#ifdef __x86_64__
	data = (struct seccomp_data){ .nr = 20, .arch = AUDIT_ARCH_I386 }; /* getpid */
	assert_int_equal(seccomp_evaluate_data(native, &data), KILL);
	assert_int_equal(seccomp_evaluate_data(docker, &data), ALLOW);
	data = (struct seccomp_data){ .nr = 0x40000000 + SYS_getpid, .arch = AUDIT_ARCH_X86_64 }; /* x32 */
	assert_int_equal(seccomp_evaluate_data(native, &data), KILL);
	assert_int_equal(seccomp_evaluate_data(docker, &data), ALLOW);
#endif
}

static void docker_does_as_docker(void **state)
{
	static const struct expectation table[] = {
		{ "socket", { 11 }, ALLOW },	    { "socket", { 16 }, ALLOW },
		{ "socket", { 38 }, ERRNO(EPERM) }, { "socket", { 40 }, ERRNO(EPERM) },
		{ "personality", { 8 }, ALLOW },    { "personality", { 0x40000 }, ERRNO(EPERM) },
		{ "clone", { 0x11 }, ALLOW },	    { "clone", { 0x10000011 }, ERRNO(EPERM) },
		{ "clone3", { 0 }, ERRNO(ENOSYS) }, { "vmsplice", { 0 }, ALLOW },
		{ "modify_ldt", { 0 }, ALLOW },	    { "io_uring_setup", { 0 }, ERRNO(EPERM) },
		{ "keyctl", { 0 }, ERRNO(EPERM) },  { "mount", { 0 }, ERRNO(EPERM) },
		{ "ptrace", { 0 }, ALLOW },	    { "ioctl", { 0, 0x5412 }, ALLOW },
		{ "chroot", { 0 }, ALLOW },	    { "unshare", { 0 }, ERRNO(EPERM) },
	};
	static const struct expectation admin[] = {
		{ "mount", { 0 }, ALLOW },	   { "unshare", { 0 }, ALLOW }, { "clone", { 0x10000011 }, ALLOW },
		{ "clone3", { 0 }, ALLOW },	   { "bpf", { 0 }, ALLOW },	{ "keyctl", { 0 }, ERRNO(EPERM) },
		{ "reboot", { 0 }, ERRNO(EPERM) },
	};
	struct seccomp_program program = { 0 };
	static const unsigned old[2] = { 4, 7 };
	const struct builtin_profile *builtin = builtin_profile_find("docker");
	_cleanup_free_ char *text = strndup(builtin->text, builtin->size);
	static const uint64_t none[6];

	(void)state;
	expect_all(seccomp_precompiled("docker", CAPS_DOCKER), table, ARRAY_LEN(table));
	compile_builtin("docker", CAPS_DOCKER | CAP_MASK(CAP_SYS_ADMIN), &program);
	expect_all(&program, admin, ARRAY_LEN(admin));
	seccomp_program_free(&program);
	/* minKernel 4.8 */
	compile_text(text, CAPS_DOCKER, old, &program);
	assert_int_equal(seccomp_evaluate(&program, SYS_ptrace, none), ERRNO(EPERM));
	seccomp_program_free(&program);
}

static void default_follows_added_capabilities(void **state)
{
	static const struct expectation admin[] = {
		{ "mount", { 0 }, ALLOW },
		{ "unshare", { 0 }, ALLOW },
		{ "clone", { 0x10000011 }, ALLOW },
		{ "clone3", { 0 }, ALLOW },
		{ "bpf", { 0 }, ALLOW },
		{ "perf_event_open", { 0 }, ALLOW },
		{ "keyctl", { 0 }, ERRNO(EPERM) },
		{ "io_uring_setup", { 0 }, ERRNO(EPERM) },
		{ "ioctl", { 0, 0x5412 }, ERRNO(EPERM) },
		{ "kcmp", { 0 }, ERRNO(EPERM) },
	};
	static const struct expectation bpf[] = {
		{ "bpf", { 0 }, ALLOW },
		{ "mount", { 0 }, ERRNO(EPERM) },
		{ "chroot", { 0 }, ERRNO(EPERM) },
	};
	struct seccomp_program program = { 0 };

	(void)state;
	compile_builtin("default", CAPS_NSRUN | CAP_MASK(CAP_SYS_ADMIN), &program);
	expect_all(&program, admin, ARRAY_LEN(admin));
	seccomp_program_free(&program);
	compile_builtin("default", CAP_MASK(CAP_BPF), &program);
	expect_all(&program, bpf, ARRAY_LEN(bpf));
	seccomp_program_free(&program);
	compile_builtin("default", UINT64_MAX >> 23, &program);
	assert_int_equal(seccomp_evaluate(&program, SYS_mount, (uint64_t[6]){ 0 }), ALLOW);
	seccomp_program_free(&program);
	compile_builtin("default", 0, &program);
	assert_int_equal(seccomp_evaluate(&program, SYS_chroot, (uint64_t[6]){ 0 }), ERRNO(EPERM));
	seccomp_program_free(&program);
}

static void kernel_range_is_recorded(void **state)
{
	static const char text[] =
		"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":["
		"{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"minKernel\":\"4.8\"}},"
		"{\"names\":[\"write\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"minKernel\":\"6.10\"}},"
		"{\"names\":[\"open\"],\"action\":\"SCMP_ACT_ALLOW\",\"excludes\":{\"minKernel\":\"5.19\"}}]}";
	static const unsigned kernels[][2] = { { 4, 7 }, { 5, 0 }, { 6, 1 }, { 6, 10 }, { 7, 0 } };
	static const size_t n_rules[] = { 1, 2, 1, 2, 2 };
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct err err = ERR_INIT;
	struct seccomp_profile profile;
	struct seccomp_rules rules;
	struct kernel_range range;

	(void)state;
	assert_int_equal(seccomp_json_parse(text, strlen(text), "test", arena, &profile, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(kernels); i++) {
		assert_int_equal(seccomp_profile_resolve_for(&profile, 0, kernels[i], arena, &rules, &range, &err), 0);
		assert_int_equal(rules.n_rules, n_rules[i]);
		if (kernels[i][0] == 6 && kernels[i][1] == 1) {
			assert_int_equal(range.from[0] * 100 + range.from[1], 519);
			assert_int_equal(range.before[0] * 100 + range.before[1], 610);
		}
	}
}

/* The kernel's verdicts, by real calls under the loaded filter. Returns the number of the first check that fails. */
static void *thread_body(void *arg)
{
	return arg;
}

#define CHECK(number, condition)       \
	do {                           \
		if (!(condition))      \
			return number; \
	} while (0)
#define DENIED(number, call, error) CHECK(number, (call) == -1 && errno == (error))

static int calls_under_the_filter(void)
{
	pthread_t thread;
	void *result = NULL;
	int fds[2], status;
	char c = 'x';
	pid_t pid;

	DENIED(1, socket(AF_ALG, SOCK_SEQPACKET, 0), EAFNOSUPPORT);
	DENIED(2, socket(AF_VSOCK, SOCK_STREAM, 0), EAFNOSUPPORT);
	DENIED(3, socket(AF_PACKET, SOCK_RAW, 0), EAFNOSUPPORT);
	CHECK(4, socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
	DENIED(6, syscall(SYS_io_uring_setup, 1, NULL), EPERM);
	DENIED(7, syscall(SYS_clone3, NULL, 0), ENOSYS);
	DENIED(8, ioctl(0, TIOCSTI, &c), EPERM);
	DENIED(9, syscall(SYS_ioctl, 0, 0xdead000000000000UL | TIOCSTI, &c), EPERM);
	DENIED(10, syscall(SYS_ioctl, 0, 0x100000000UL | TIOCLINUX, &c), EPERM);
	DENIED(11, ioctl(-1, TIOCGWINSZ, &c), EBADF);
	DENIED(12, unshare(CLONE_NEWUSER), EPERM);
	DENIED(13, syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0), EPERM);
	DENIED(14, syscall(SYS_keyctl, 0, 0, 0, 0, 0), EPERM);
	DENIED(15, syscall(9999), ENOSYS);
	DENIED(16, syscall(SYS_userfaultfd, 0), EPERM);
	DENIED(17, syscall(SYS_vmsplice, -1, NULL, 0, 0), EPERM);
	DENIED(18, setns(-1, 0), EPERM);
	CHECK(19, pipe2(fds, O_CLOEXEC) == 0);
	pid = fork();
	if (pid == 0)
		_exit(write(fds[1], &c, 1) == 1 ? 42 : 1);
	CHECK(20, pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 42);
	CHECK(21, read(fds[0], &c, 1) == 1);
	CHECK(22, pthread_create(&thread, NULL, thread_body, &c) == 0 && pthread_join(thread, &result) == 0 &&
			  result == &c);
	return 0;
}

static int load_default(void)
{
	struct err err = ERR_INIT;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) < 0)
		return -1;
	return seccomp_program_load(seccomp_precompiled("default", CAPS_NSRUN), &err);
}

static int wait_for(pid_t pid)
{
	int status;

	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void the_kernel_agrees(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0)
		_exit(load_default() < 0 ? 99 : calls_under_the_filter());
	status = wait_for(pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) != 0)
		fail_msg("check %d of calls_under_the_filter failed", WEXITSTATUS(status));
}

#ifdef __x86_64__
static void the_kernel_kills_foreign_abis(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0) {
		long r = 20; /* getpid of i386 */

		if (load_default() < 0)
			_exit(99);
		__asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11");
		_exit(1);
	}
	status = wait_for(pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);

	pid = fork();
	if (pid == 0) {
		if (load_default() < 0)
			_exit(99);
		syscall(0x40000000 + SYS_getpid); /* x32 */
		_exit(1);
	}
	status = wait_for(pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}
#endif

static void load_without_right_says_so(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		struct err err = ERR_INIT;
		int r;

		if (geteuid() == 0 && syscall(SYS_setresuid, 1234, 1234, 1234) < 0)
			_exit(2);
		if (prctl(PR_GET_NO_NEW_PRIVS, 0L, 0L, 0L, 0L) == 1)
			_exit(0);
		r = seccomp_program_load(seccomp_precompiled("default", CAPS_NSRUN), &err);
		_exit(r == -EACCES && err.errnum == EACCES ? 0 : 1);
	}
	status = wait_for(pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int compile_one(const struct seccomp_rule *rules, size_t n, struct seccomp_program *ret, struct err *err)
{
	const struct seccomp_rules all = { .default_action = SCMP_ACT_ALLOW, .n_rules = n, .rules = rules };

	return seccomp_compile(&all, ret, err);
}

static void compile_edges(void **state)
{
	static const char *const socket_name[] = { "socket", NULL }, *const unknown[] = { "no_such_call", "mkdir",
											  NULL };
	const struct seccomp_rule conflict[] = {
		{ .names = socket_name,
		  .action = SCMP_ACT_ERRNO(1),
		  .n_args = 1,
		  .args = { { 0, SCMP_CMP_EQ, 5, 0 } } },
		{ .names = socket_name,
		  .action = SCMP_ACT_ERRNO(2),
		  .n_args = 1,
		  .args = { { 0, SCMP_CMP_EQ, 5, 0 } } },
	};
	const struct seccomp_rule repeated = { .names = socket_name,
					       .action = SCMP_ACT_ERRNO(1),
					       .n_args = 2,
					       .args = { { 0, SCMP_CMP_EQ, 5, 0 }, { 0, SCMP_CMP_EQ, 6, 0 } } };
	const struct seccomp_rule skip = { .names = unknown, .action = SCMP_ACT_ERRNO(7) };
	const struct seccomp_rule useless = { .names = socket_name, .action = SCMP_ACT_ALLOW };
	struct seccomp_program program = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(compile_one(conflict, 2, &program, &err), -EINVAL);
	assert_non_null(strstr(err.message, "socket"));
	assert_null(program.insns);
	assert_int_equal(compile_one(&repeated, 1, &program, &err), 0);
	assert_int_equal(seccomp_evaluate(&program, SYS_socket, (uint64_t[6]){ 5 }), ERRNO(1));
	assert_int_equal(seccomp_evaluate(&program, SYS_socket, (uint64_t[6]){ 6 }), ERRNO(1));
	assert_int_equal(seccomp_evaluate(&program, SYS_socket, (uint64_t[6]){ 7 }), ALLOW);
	seccomp_program_free(&program);
	assert_int_equal(compile_one(&skip, 1, &program, &err), 0);
#ifdef SYS_mkdir
	assert_int_equal(seccomp_evaluate(&program, SYS_mkdir, (uint64_t[6]){ 0 }), ERRNO(7));
#endif
	seccomp_program_free(&program);
	assert_int_equal(compile_one(&useless, 1, &program, &err), 0);
	seccomp_program_free(&program);
}

/* What the kernel would not accept permits nothing. */
static void evaluate_fails_closed(void **state)
{
	static const struct sock_filter past_the_end[] = { { BPF_JMP | BPF_JA, 0, 0, 1000 } };
	static const struct sock_filter bad_load[] = { { BPF_LD | BPF_W | BPF_ABS, 0, 0, 62 },
						       { BPF_RET | BPF_K, 0, 0, ALLOW } };
	static const struct sock_filter bad_mem[] = { { BPF_ST, 0, 0, 16 }, { BPF_RET | BPF_K, 0, 0, ALLOW } };
	static const struct sock_filter by_zero[] = { { BPF_ALU | BPF_DIV | BPF_K, 0, 0, 0 },
						      { BPF_RET | BPF_K, 0, 0, ALLOW } };
	static const struct sock_filter good[] = {
		{ BPF_LD | BPF_IMM, 0, 0, 6 },
		{ BPF_ST, 0, 0, 3 },
		{ BPF_LDX | BPF_MEM, 0, 0, 3 },
		{ BPF_ALU | BPF_MUL | BPF_X, 0, 0, 0 },
		{ BPF_MISC | BPF_TAX, 0, 0, 0 },
		{ BPF_MISC | BPF_TXA, 0, 0, 0 },
		{ BPF_JMP | BPF_JSET | BPF_K, 0, 1, 4 },
		{ BPF_RET | BPF_A, 0, 0, 0 },
		{ BPF_RET | BPF_K, 0, 0, 1 },
	};
	const struct {
		const struct sock_filter *insns;
		unsigned short len;
		uint32_t answer;
	} table[] = { { past_the_end, 1, KILL }, { bad_load, 2, KILL }, { bad_mem, 2, KILL },
		      { by_zero, 2, KILL },	 { NULL, 0, KILL },	{ good, ARRAY_LEN(good), 36 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct seccomp_program program = { .len = table[i].len, .insns = table[i].insns };

		assert_int_equal(seccomp_evaluate(&program, 0, (uint64_t[6]){ 0 }), table[i].answer);
	}
}

/* A profile in a file of its own; the name lives until the next call. */
static const char *profile_file(const char *text)
{
	static char path[64];
	int fd;

	snprintf(path, sizeof(path), "/tmp/nsrun-test-seccomp.XXXXXX");
	fd = mkostemp(path, O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	return path;
}

static int resolve_text(struct plan *plan, const char *text, struct err *err)
{
	const char *path = profile_file(text);
	int r = plan_resolve_seccomp(plan, path, err);

	unlink(path);
	return r;
}

static void selects_by_word(void **state)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct plan plan = { .arena = arena, .no_new_privs = true, .caps.bounding = CAPS_NSRUN };
	struct err err = ERR_INIT, err2 = ERR_INIT, err3 = ERR_INIT;

	(void)state;
	assert_int_equal(plan_resolve_seccomp(&plan, "default", &err), 0);
	assert_ptr_equal(plan.seccomp, seccomp_precompiled("default", CAPS_NSRUN));
	assert_string_equal(plan.seccomp_name, "default");
	assert_int_equal(plan_resolve_seccomp(&plan, "docker", &err), 0);
	assert_ptr_equal(plan.seccomp, seccomp_precompiled("docker", CAPS_NSRUN));
	assert_int_equal(plan_resolve_seccomp(&plan, "unconfined", &err), 0);
	assert_null(plan.seccomp);
	plan.caps.bounding |= CAP_MASK(CAP_SYS_ADMIN);
	assert_int_equal(plan_resolve_seccomp(&plan, "default", &err), 0);
	assert_int_equal(seccomp_evaluate(plan.seccomp, SYS_mount, (uint64_t[6]){ 0 }), ALLOW);
	assert_int_equal(resolve_text(&plan,
				      "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"sync\"],"
				      "\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":5}]}",
				      &err),
			 0);
	assert_int_equal(seccomp_evaluate(plan.seccomp, SYS_sync, (uint64_t[6]){ 0 }), ERRNO(5));
	assert_int_equal(plan_resolve_seccomp(&plan, "defualt", &err), -EINVAL);
	assert_non_null(strstr(err.message, "default"));
	assert_non_null(strstr(plan.seccomp_name, "nsrun-test-seccomp")); /* untouched by the failure */
	assert_int_equal(plan_resolve_seccomp(&plan, "/nonexistent/profile.json", &err2), -ENOENT);
	assert_int_equal(plan_resolve_seccomp(&plan, "/", &err3), -EINVAL);
}

static void refuses_what_cannot_work(void **state)
{
	static const char no_capset[] = "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"capset\"],"
					"\"action\":\"SCMP_ACT_ERRNO\"}]}";
	static const char no_execve[] = "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"execve\"],"
					"\"action\":\"SCMP_ACT_KILL\"}]}";
	static const char notify[] =
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"mkdir\",\"mkdirat\"],"
		"\"action\":\"SCMP_ACT_NOTIFY\"}]}";
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct plan plan = { .arena = arena, .no_new_privs = true, .caps.bounding = CAPS_NSRUN };
	struct err err[4] = { ERR_INIT, ERR_INIT, ERR_INIT, ERR_INIT };

	(void)state;
	assert_int_equal(resolve_text(&plan, no_capset, &err[0]), 0);
	plan.no_new_privs = false;
	plan.seccomp = NULL;
	assert_int_equal(resolve_text(&plan, no_capset, &err[0]), -EPERM);
	assert_int_equal(err[0].id, ERR_ID_SECCOMP_ORDER);
	assert_null(plan.seccomp);
	assert_int_equal(plan_resolve_seccomp(&plan, "default", &err[1]), 0);
	assert_int_equal(resolve_text(&plan, no_execve, &err[2]), -EINVAL);
	assert_non_null(strstr(err[2].message, "execve"));
	assert_int_equal(resolve_text(&plan, notify, &err[3]), -EINVAL);
	assert_int_equal(err[3].id, ERR_ID_NOT_BUILT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(precompiled_equals_compiled),
		cmocka_unit_test(default_is_stricter_than_docker),
		cmocka_unit_test(default_does_as_documented),
		cmocka_unit_test(default_classifies_every_known_call),
		cmocka_unit_test(foreign_abis_are_killed),
		cmocka_unit_test(docker_does_as_docker),
		cmocka_unit_test(default_follows_added_capabilities),
		cmocka_unit_test(kernel_range_is_recorded),
		cmocka_unit_test(the_kernel_agrees),
#ifdef __x86_64__
		cmocka_unit_test(the_kernel_kills_foreign_abis),
#endif
		cmocka_unit_test(load_without_right_says_so),
		cmocka_unit_test(compile_edges),
		cmocka_unit_test(evaluate_fails_closed),
		cmocka_unit_test(selects_by_word),
		cmocka_unit_test(refuses_what_cannot_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
