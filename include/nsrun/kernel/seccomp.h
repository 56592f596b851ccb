/* SPDX-License-Identifier: Apache-2.0 */
/* System call filters through libseccomp: seccomp(2), seccomp_rule_add(3). */
#ifndef NSRUN_KERNEL_SECCOMP_H
#define NSRUN_KERNEL_SECCOMP_H

#include <nsrun/base/err.h>

#include <linux/filter.h>

struct seccomp_arg {
	unsigned index;		   /* 0 to 5 */
	int op;			   /* enum scmp_compare */
	uint64_t value, value_two; /* value_two: for SCMP_CMP_MASKED_EQ, where `value` is the mask */
};

struct seccomp_rule {
	const char *const *names; /* NULL-terminated */
	uint32_t action;	  /* SCMP_ACT_*, the errno included */
	size_t n_args;
	struct seccomp_arg args[6];
};

/* Resolved: conditions on capabilities, kernel and architecture are already decided (plan/seccomp_profile.h). */
struct seccomp_rules {
	uint32_t default_action;
	size_t n_archs;
	const uint32_t *archs; /* SCMP_ARCH_* besides the native one */
	size_t n_rules;
	const struct seccomp_rule *rules;
	unsigned flags; /* SECCOMP_FILTER_FLAG_* */
};

/* Ready for the kernel. */
struct seccomp_program {
	unsigned short len;
	const struct sock_filter *insns; /* owned by `memory` when that is not NULL, static otherwise */
	void *memory;
	unsigned flags;
};

/* Names unknown to this libseccomp are skipped, as the OCI specification says. */
int seccomp_compile(const struct seccomp_rules *rules, struct seccomp_program *ret, struct err *err);
void seccomp_program_free(struct seccomp_program *program);
/* seccomp(SECCOMP_SET_MODE_FILTER). Needs no_new_privs or CAP_SYS_ADMIN in the user namespace (EACCES). (seccomp_load is a
 * name of libseccomp.) */
int seccomp_program_load(const struct seccomp_program *program, struct err *err);
/* What the program answers to a native system call with these arguments: runs the BPF. SECCOMP_RET_*. */
uint32_t seccomp_evaluate(const struct seccomp_program *program, int nr, const uint64_t args[6]);
/* The same for any architecture (AUDIT_ARCH_*) and instruction pointer. */
struct seccomp_data;
uint32_t seccomp_evaluate_data(const struct seccomp_program *program, const struct seccomp_data *data);

/* Does this kernel take the SECCOMP_FILTER_FLAG_*? */
bool seccomp_flag_is_known(unsigned flag);
/* And this action (SCMP_ACT_*, its number left out)? */
bool seccomp_action_is_known(uint32_t action);
/* libseccomp makes one filter for several architectures of one byte order alone. */
bool seccomp_arch_is_possible(uint32_t arch);
/* The SCMP_ARCH_* of this program. */
uint32_t seccomp_native_arch(void);
/* "2.5.4": of the library that compiles filters. Returns buf. */
#define SECCOMP_LIBRARY_SIZE 48
const char *seccomp_library(char buf[SECCOMP_LIBRARY_SIZE]);

#endif
