/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which device nodes a control group may open and make: the devices controller of cgroup v1 (cgroup-v1/devices.rst), and on v2, which has
 * no files for it, a BPF program (cgroup-v2.rst, "Device controller"). Rules become a policy, and a policy either of both.
 */
#ifndef NSRUN_KERNEL_DEVICES_H
#define NSRUN_KERNEL_DEVICES_H

#include <nsrun/base/arena.h>
#include <nsrun/base/err.h>

#include <linux/bpf.h>
#include <sys/types.h>

/* The bits that the kernel asks with. open(2) asks for read and write, mknod(2) for mknod alone. */
enum {
	DEVICE_MKNOD = BPF_DEVCG_ACC_MKNOD,
	DEVICE_READ = BPF_DEVCG_ACC_READ,
	DEVICE_WRITE = BPF_DEVCG_ACC_WRITE,
	DEVICE_ALL = DEVICE_MKNOD | DEVICE_READ | DEVICE_WRITE,
};
#define DEVICE_ANY (-1) /* "*" */

struct device_rule {
	bool allow;
	char type; /* 'c', 'b'; 'a': both */
	int64_t major, minor;
	unsigned access;
};
#define DEVICE_TEXT_MAX 40
#define DEVICE_RULES_MAX 1024

/* "c 10:200 rwm", "b *:* r", "a *:* rwm", "a": allowed. `what` begins the message. */
int device_rule_parse(const char *text, const char *what, struct device_rule *ret, struct err *err);
/* "rwm" in any order, each letter once. Returns 0 or -EINVAL. */
int device_access_parse(const char *text, unsigned *ret);
/* "rwm"; "" for none. */
const char *device_access_text(unsigned access, char buf[4]);

/*
 * What follows from a list of rules, of which for each device and each of the three bits the last one that covers it counts; what none covers is
 * denied. It has one form for all lists that mean the same: no cell says what a more general one says already. The most specific cell that holds a
 * device decides, in the order of the array: for each type MAJOR:MINOR, then MAJOR:*, then *:MINOR, and last *:*, which is always there.
 */
struct device_cell {
	char type; /* 'c', 'b' */
	int64_t major, minor;
	unsigned access; /* allowed */
};
struct device_policy {
	const struct device_cell *cells;
	size_t n;
};
int device_policy_make(struct arena *arena, const struct device_rule *rules, size_t n, struct device_policy *ret,
		       struct err *err);
/* 0 when the policy allows all of `access`, otherwise -EPERM: what the kernel shall answer. */
int device_policy_ask(const struct device_policy *policy, char type, uint32_t major, uint32_t minor, unsigned access);
/* "c 10:200 rwm"; an access of nothing is "-". */
const char *device_cell_text(const struct device_cell *cell, char buf[DEVICE_TEXT_MAX]);
/* The same rule for every device? *ret_access is it. */
bool device_policy_is_flat(const struct device_policy *policy, unsigned *ret_access);

/* ---- cgroup v2 ---- */

/* BPF_PROG_TYPE_CGROUP_DEVICE of a policy. Malloc'd. */
int devices_program(const struct device_policy *policy, struct bpf_insn **ret, size_t *ret_n, struct err *err);
/* For a group that has no filter of ours yet: loads the program and attaches it (BPF_F_ALLOW_MULTI: those of the groups around hold as well, and so do
 * those that a manager attached to the group itself). It goes with the group. ERR_ID_DEVICE_FILTER. */
int devices_attach(int group_fd, const struct device_policy *policy, struct err *err);
/* Puts another policy in the place of the one that devices_attach() has put there, in one step: there is no moment without a filter, and none
 * with another rule than the old or the new one. Where there is none yet it attaches. */
int devices_replace(int group_fd, const struct device_policy *policy, struct err *err);
/* May this process do that? Loads the smallest program there is, and attaches it to nothing. */
bool devices_can_load(void);

/* ---- cgroup v1 ---- */

/* Can the controller of v1, which knows exceptions from one general rule and nothing else, say it? ERR_ID_DEVICE_RULES_V1. */
int devices_v1_check(const struct device_policy *policy, struct err *err);
/* For a new group in the hierarchy of `devices`, in which nobody is yet: all is denied, then the exceptions are made. Read back. */
int devices_v1_write(int group_fd, const struct device_policy *policy, struct err *err);
/* For a group in which processes are: the new exceptions are made before the old ones go, so that what both allow is allowed throughout, and
 * what neither allows never; but for a change of the general rule to "allow", between which and its exceptions the kernel leaves an instant. */
int devices_v1_replace(int group_fd, const struct device_policy *before, const struct device_policy *policy,
		       struct err *err);

#endif
