/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An interpreter for the subset of classic BPF that seccomp(2) accepts (kernel/seccomp.c, seccomp_check_filter). It answers before
 * a launch what a filter will say to a call that nsrun itself must still make, and lets tests compare two filters. Anything that
 * the kernel would not accept ends in SECCOMP_RET_KILL_PROCESS: a filter that cannot be understood permits nothing.
 */
#include <nsrun/kernel/seccomp.h>

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <string.h>

#if defined(__x86_64__)
#define NATIVE_AUDIT_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_AUDIT_ARCH AUDIT_ARCH_AARCH64
#else
#error "name the AUDIT_ARCH of this architecture here"
#endif

struct machine {
	uint32_t a, x, mem[BPF_MEMWORDS];
	size_t pc;
	bool failed;
};

static uint32_t alu(struct machine *m, uint16_t code, uint32_t operand)
{
	switch (BPF_OP(code)) {
	case BPF_ADD:
		return m->a + operand;
	case BPF_SUB:
		return m->a - operand;
	case BPF_MUL:
		return m->a * operand;
	case BPF_DIV:
		if (operand == 0) {
			m->failed = true;
			return 0;
		}
		return m->a / operand;
	case BPF_AND:
		return m->a & operand;
	case BPF_OR:
		return m->a | operand;
	case BPF_XOR:
		return m->a ^ operand;
	case BPF_LSH:
		return operand < 32 ? m->a << operand : 0;
	case BPF_RSH:
		return operand < 32 ? m->a >> operand : 0;
	case BPF_NEG:
		return -m->a;
	default:
		m->failed = true;
		return 0;
	}
}

static void jump(struct machine *m, const struct sock_filter *insn)
{
	uint32_t operand = BPF_SRC(insn->code) == BPF_X ? m->x : insn->k;
	bool taken;

	switch (BPF_OP(insn->code)) {
	case BPF_JA:
		m->pc += insn->k;
		return;
	case BPF_JEQ:
		taken = m->a == operand;
		break;
	case BPF_JGT:
		taken = m->a > operand;
		break;
	case BPF_JGE:
		taken = m->a >= operand;
		break;
	case BPF_JSET:
		taken = (m->a & operand) != 0;
		break;
	default:
		m->failed = true;
		return;
	}
	m->pc += taken ? insn->jt : insn->jf;
}

static uint32_t load(struct machine *m, const struct sock_filter *insn, const struct seccomp_data *data)
{
	uint32_t word = 0;

	switch (BPF_MODE(insn->code)) {
	case BPF_ABS:
		if (BPF_CLASS(insn->code) != BPF_LD || insn->k % 4 != 0 || insn->k > sizeof(*data) - sizeof(word))
			break;
		memcpy(&word, (const char *)data + insn->k, sizeof(word));
		return word;
	case BPF_IMM:
		return insn->k;
	case BPF_LEN:
		return sizeof(*data);
	case BPF_MEM:
		if (insn->k >= BPF_MEMWORDS)
			break;
		return m->mem[insn->k];
	default:
		break;
	}
	m->failed = true;
	return 0;
}

uint32_t seccomp_evaluate_data(const struct seccomp_program *program, const struct seccomp_data *data)
{
	struct machine m = { 0 };

	/* Jumps go forward only, so that every instruction runs at most once. */
	while (m.pc < program->len && !m.failed) {
		const struct sock_filter *insn = &program->insns[m.pc++];

		switch (BPF_CLASS(insn->code)) {
		case BPF_LD:
			m.a = load(&m, insn, data);
			break;
		case BPF_LDX:
			m.x = load(&m, insn, data);
			break;
		case BPF_ST:
		case BPF_STX:
			if (insn->k >= BPF_MEMWORDS)
				m.failed = true;
			else
				m.mem[insn->k] = BPF_CLASS(insn->code) == BPF_ST ? m.a : m.x;
			break;
		case BPF_ALU:
			m.a = alu(&m, insn->code, BPF_SRC(insn->code) == BPF_X ? m.x : insn->k);
			break;
		case BPF_JMP:
			jump(&m, insn);
			break;
		case BPF_RET:
			return BPF_RVAL(insn->code) == BPF_A ? m.a : insn->k;
		case BPF_MISC:
			if (BPF_MISCOP(insn->code) == BPF_TAX)
				m.x = m.a;
			else
				m.a = m.x;
			break;
		default:
			m.failed = true;
		}
	}
	return SECCOMP_RET_KILL_PROCESS;
}

uint32_t seccomp_evaluate(const struct seccomp_program *program, int nr, const uint64_t args[6])
{
	struct seccomp_data data = { .nr = nr, .arch = NATIVE_AUDIT_ARCH };

	for (size_t i = 0; i < ARRAY_LEN(data.args); i++)
		data.args[i] = args[i];
	return seccomp_evaluate_data(program, &data);
}
