/* SPDX-License-Identifier: Apache-2.0 */
/* On which processors a process runs, and from which memory nodes its pages come. */
#include <nsrun/kernel/process.h>

#include <ctype.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>

#define WORD_BITS (sizeof(unsigned long) * CHAR_BIT)
#define CPUS_MAX 8192 /* the most that any kernel is built for (CONFIG_NR_CPUS) */

static bool read_number(const char **at, size_t max, size_t *ret)
{
	size_t n = 0;

	if (!isdigit((unsigned char)**at))
		return false;
	for (; isdigit((unsigned char)**at); (*at)++)
		n = n < max ? n * 10 + (size_t)(**at - '0') : max;
	*ret = n;
	return true;
}

int number_set_parse(struct arena *arena, const char *text, size_t max, struct number_set *ret)
{
	const size_t words = (max + WORD_BITS - 1) / WORD_BITS;
	unsigned long *set;

	if (!*text) {
		*ret = (struct number_set){ 0 };
		return 0;
	}
	set = arena_array(arena, words, sizeof(*set));
	if (!set)
		return -ENOMEM;
	for (const char *at = text;;) {
		size_t first, last;

		if (!read_number(&at, max, &first))
			return -EINVAL;
		last = first;
		if (*at == '-' && (at++, !read_number(&at, max, &last)))
			return -EINVAL;
		if (first >= max || last >= max)
			return -ERANGE;
		if (first > last || (*at && *at != ','))
			return -EINVAL;
		for (size_t i = first; i <= last; i++)
			set[i / WORD_BITS] |= 1UL << i % WORD_BITS;
		if (!*at++)
			break;
	}
	*ret = (struct number_set){ .words = set, .bits = words * WORD_BITS };
	return 0;
}

int affinity_apply(const struct number_set *set, const char *said, struct err *err)
{
	unsigned long all[CPUS_MAX / WORD_BITS];
	long r;

	/* The kernel takes from a mask what the cpuset of the process has, and EINVAL is that nothing is left. */
	if (set->words) {
		r = syscall(SYS_sched_setaffinity, 0, set->bits / CHAR_BIT, set->words);
	} else {
		memset(all, 0xff, sizeof(all));
		r = syscall(SYS_sched_setaffinity, 0, sizeof(all), all);
	}
	if (r == 0)
		return 0;
	return err_system_id(err, errno == EINVAL ? ERR_ID_CPUSET : ERR_ID_NONE, "%s: sched_setaffinity", said);
}

int affinity_save(struct arena *arena, struct number_set *ret, struct err *err)
{
	unsigned long *words = arena_alloc(arena, CPUS_MAX / CHAR_BIT);

	if (!words)
		return err_oom(err);
	const long n = syscall(SYS_sched_getaffinity, 0, CPUS_MAX / CHAR_BIT, words);
	if (n < 0)
		return err_system(err, "sched_getaffinity");
	*ret = (struct number_set){ .words = words, .bits = (size_t)n * CHAR_BIT };
	return 0;
}

int memory_policy_apply(const struct memory_policy *policy, const char *said, struct err *err)
{
	/* The kernel counts one bit less than it is told (get_nodes in mempolicy.c). */
	const unsigned long bits = policy->nodes.words ? policy->nodes.bits + 1 : 0;

	if (syscall(SYS_set_mempolicy, policy->mode, policy->nodes.words, bits) == 0)
		return 0;
	return err_system_id(err, errno == EINVAL ? ERR_ID_MEMORY_POLICY : ERR_ID_NONE, "%s: set_mempolicy", said);
}
