/* SPDX-License-Identifier: Apache-2.0 */
/* Device rules on cgroup v2: a program that the kernel asks at each open(2) and mknod(2) of a device node. */
#include <nsrun/kernel/devices.h>

#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

/* By which devices_replace() finds its own program among those of others. */
#define PROGRAM_NAME "nsrun_devices"

/* BPF_CGROUP_MAX_PROGS: more cannot be attached to one group. */
#define PROGRAMS_MAX 64

#define LOG_SIZE (64U << 10)

static int bpf(enum bpf_cmd command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* ---- the program ---- */

enum { R0, CONTEXT, TYPE, ACCESS, MAJOR, MINOR };

struct program {
	struct bpf_insn *code;
	size_t n;
	/* Jumps to what allows such an access: the verdicts come after all of them. */
	struct pending {
		size_t at;
		unsigned access;
	} * pending;
	size_t n_pending;
};

static size_t emit(struct program *program, unsigned code, unsigned dst, unsigned src, int offset, int64_t imm)
{
	program->code[program->n] = (struct bpf_insn){
		.code = (uint8_t)code,
		.dst_reg = dst & 0xf,
		.src_reg = src & 0xf,
		.off = (int16_t)offset,
		.imm = (int32_t)imm,
	};
	return program->n++;
}

static void land(struct program *program, size_t from)
{
	program->code[from].off = (int16_t)(program->n - from - 1);
}

static void emit_verdict(struct program *program, unsigned operation, unsigned reg, const struct device_cell *cell,
			 int64_t number)
{
	const unsigned code = operation == BPF_JA ? BPF_JMP | BPF_JA : BPF_JMP32 | operation | BPF_K;

	program->pending[program->n_pending++] =
		(struct pending){ emit(program, code, reg, 0, 0, number), cell->access };
}

/* The cells of one type: majors one after another, each with its minors; then what holds for a whole major, for a minor of all, for all. */
static void emit_cells(struct program *program, const struct device_cell *cells, size_t n)
{
	size_t i = 0;

	while (cells[i].major != DEVICE_ANY && cells[i].minor != DEVICE_ANY) {
		const int64_t major = cells[i].major;
		const size_t skip = emit(program, BPF_JMP32 | BPF_JNE | BPF_K, MAJOR, 0, 0, major);

		for (; cells[i].major == major && cells[i].minor != DEVICE_ANY; i++)
			emit_verdict(program, BPF_JEQ, MINOR, &cells[i], cells[i].minor);
		land(program, skip);
	}
	for (; i < n; i++) {
		if (cells[i].major != DEVICE_ANY)
			emit_verdict(program, BPF_JEQ, MAJOR, &cells[i], cells[i].major);
		else if (cells[i].minor != DEVICE_ANY)
			emit_verdict(program, BPF_JEQ, MINOR, &cells[i], cells[i].minor);
		else
			emit_verdict(program, BPF_JA, R0, &cells[i], 0);
	}
}

/* What is asked for, without what is allowed, must be nothing. */
static void emit_verdicts(struct program *program)
{
	size_t to_end[DEVICE_ALL + 1], n_to_end = 0;

	for (unsigned access = 0; access <= DEVICE_ALL; access++) {
		bool used = false;

		for (size_t i = 0; i < program->n_pending; i++)
			if (program->pending[i].access == access) {
				land(program, program->pending[i].at);
				used = true;
			}
		if (!used)
			continue;
		emit(program, BPF_ALU | BPF_AND | BPF_K, ACCESS, 0, 0, ~(int64_t)access);
		to_end[n_to_end++] = emit(program, BPF_JMP | BPF_JA, 0, 0, 0, 0);
	}
	for (size_t i = 0; i < n_to_end; i++)
		land(program, to_end[i]);
	emit(program, BPF_ALU64 | BPF_MOV | BPF_K, R0, 0, 0, 0);
	emit(program, BPF_JMP32 | BPF_JNE | BPF_K, ACCESS, 0, 1, 0);
	emit(program, BPF_ALU64 | BPF_MOV | BPF_K, R0, 0, 0, 1);
	emit(program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

int devices_program(const struct device_policy *policy, struct bpf_insn **ret, size_t *ret_n, struct err *err)
{
	/* A cell has a jump, and perhaps the one that skips its major; before and after them stand these few. */
	_cleanup_free_ struct bpf_insn *code = calloc(2 * policy->n + 64, sizeof(*code));
	_cleanup_free_ struct pending *pending = calloc(policy->n, sizeof(*pending));
	struct program program = { .code = code, .pending = pending };
	size_t chars = 0;

	if (!code || !pending)
		return err_oom(err);
	while (policy->cells[chars].type == 'c')
		chars++;
	/* struct bpf_cgroup_dev_ctx: type in the lower half of access_type, access in the upper one. */
	emit(&program, BPF_LDX | BPF_MEM | BPF_W, ACCESS, CONTEXT, offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);
	emit(&program, BPF_LDX | BPF_MEM | BPF_W, MAJOR, CONTEXT, offsetof(struct bpf_cgroup_dev_ctx, major), 0);
	emit(&program, BPF_LDX | BPF_MEM | BPF_W, MINOR, CONTEXT, offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
	emit(&program, BPF_ALU | BPF_MOV | BPF_X, TYPE, ACCESS, 0, 0);
	emit(&program, BPF_ALU | BPF_AND | BPF_K, TYPE, 0, 0, 0xffff);
	emit(&program, BPF_ALU | BPF_RSH | BPF_K, ACCESS, 0, 0, 16);
	const size_t not_char = emit(&program, BPF_JMP32 | BPF_JNE | BPF_K, TYPE, 0, 0, BPF_DEVCG_DEV_CHAR);
	emit_cells(&program, policy->cells, chars);
	land(&program, not_char);
	/* There are two types (devcgroup_inode_permission()). */
	emit_cells(&program, policy->cells + chars, policy->n - chars);
	emit_verdicts(&program);
	*ret = TAKE_PTR(code);
	*ret_n = program.n;
	return 0;
}

/* ---- loading and attaching ---- */

static int load(const struct bpf_insn *code, size_t n, char *log)
{
	/* The kernel refuses a union with anything in the bytes that it does not know. */
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.expected_attach_type = BPF_CGROUP_DEVICE;
	attr.insns = (uint64_t)(uintptr_t)code;
	attr.insn_cnt = (uint32_t)n;
	attr.license = (uint64_t)(uintptr_t) "Apache-2.0";
	memcpy(attr.prog_name, PROGRAM_NAME, sizeof(PROGRAM_NAME));
	if (log) {
		attr.log_buf = (uint64_t)(uintptr_t)log;
		attr.log_size = LOG_SIZE;
		attr.log_level = 1;
	}
	const int fd = bpf(BPF_PROG_LOAD, &attr);
	return fd < 0 ? -errno : fd;
}

/* Of the verifier's log the line that says what it did not like: the last but its summary ("processed 12 insns ..."). */
static const char *verdict_of(char *log)
{
	char *best = NULL;

	for (char *line; log && (line = strsep(&log, "\n"));)
		if (*line && !str_after(line, "processed "))
			best = line;
	return best;
}

static int load_policy(const struct device_policy *policy, int *ret_fd, struct err *err)
{
	_cleanup_free_ struct bpf_insn *code = NULL;
	_cleanup_free_ char *log = NULL;
	size_t n;

	const int r = devices_program(policy, &code, &n, err);
	if (r < 0)
		return r;
	int fd = load(code, n, NULL);
	if (fd < 0 && fd != -EPERM && (log = calloc(1, LOG_SIZE)))
		fd = load(code, n, log); /* the log costs, and is wanted only now */
	if (fd < 0) {
		const char *verdict = log ? verdict_of(log) : NULL;

		return err_set(err, ERR_SYSTEM, ERR_ID_DEVICE_FILTER, -fd,
			       "device rules: loading their program of %zu instructions%s%.200s", n,
			       verdict ? ": the verifier says: " : "", verdict ? verdict : "");
	}
	*ret_fd = fd;
	return 0;
}

/* `old`: the program in whose place it comes, or FD_NONE. */
static int attach(int group_fd, int program, int old, struct err *err)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)group_fd;
	attr.attach_bpf_fd = (uint32_t)program;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI | (old >= 0 ? BPF_F_REPLACE : 0);
	if (old >= 0)
		attr.replace_bpf_fd = (uint32_t)old;
	if (bpf(BPF_PROG_ATTACH, &attr) < 0)
		return err_system_id(err, ERR_ID_DEVICE_FILTER,
				     "device rules: attaching their program to the control group");
	return 0;
}

int devices_attach(int group_fd, const struct device_policy *policy, struct err *err)
{
	_cleanup_close_ int program = FD_NONE, readable = FD_NONE;

	/* bpf(2) takes no O_PATH descriptor (EBADF). */
	readable = openat(group_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (readable < 0)
		return err_system(err, "device rules: the control group");
	const int r = load_policy(policy, &program, err);
	return r < 0 ? r : attach(readable, program, FD_NONE, err);
}

static bool is_ours(int program)
{
	struct bpf_prog_info info;
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	memset(&info, 0, sizeof(info));
	attr.info.bpf_fd = (uint32_t)program;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uint64_t)(uintptr_t)&info;
	return bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) == 0 && streq(info.name, PROGRAM_NAME);
}

/* FD_NONE where none of the programs of this very group is ours. */
static int find_ours(int group_fd, int *ret_fd, struct err *err)
{
	uint32_t ids[PROGRAMS_MAX];
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (uint32_t)group_fd;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (uint64_t)(uintptr_t)ids;
	attr.query.prog_cnt = PROGRAMS_MAX;
	if (bpf(BPF_PROG_QUERY, &attr) < 0)
		return err_system_id(err, ERR_ID_DEVICE_FILTER, "device rules: which the control group has");
	const uint32_t n = attr.query.prog_cnt;
	for (uint32_t i = 0; i < n; i++) {
		memset(&attr, 0, sizeof(attr));
		attr.prog_id = ids[i];
		_cleanup_close_ int fd = bpf(BPF_PROG_GET_FD_BY_ID, &attr);
		if (fd < 0 && errno != ENOENT) /* taken off meanwhile */
			return err_system_id(err, ERR_ID_DEVICE_FILTER, "device rules: program %u of the control group",
					     ids[i]);
		if (fd >= 0 && is_ours(fd)) {
			*ret_fd = TAKE_FD(fd);
			return 0;
		}
	}
	*ret_fd = FD_NONE;
	return 0;
}

int devices_replace(int group_fd, const struct device_policy *policy, struct err *err)
{
	_cleanup_close_ int program = FD_NONE, readable = FD_NONE, old = FD_NONE;

	readable = openat(group_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (readable < 0)
		return err_system(err, "device rules: the control group");
	int r = load_policy(policy, &program, err);
	if (r == 0)
		r = find_ours(readable, &old, err);
	return r < 0 ? r : attach(readable, program, old, err);
}

bool devices_can_load(void)
{
	static const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = R0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	_cleanup_close_ int fd = load(code, ARRAY_LEN(code), NULL);

	return fd >= 0;
}
