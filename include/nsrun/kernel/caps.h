/* SPDX-License-Identifier: Apache-2.0 */
/* Capability sets, through libcap: capabilities(7). A set is a mask of 1 << CAP_x. */
#ifndef NSRUN_KERNEL_CAPS_H
#define NSRUN_KERNEL_CAPS_H

#include <nsrun/base/err.h>

#define CAP_MASK(cap) (UINT64_C(1) << (cap))

struct cap_sets {
	uint64_t bounding;
	uint64_t effective;
	uint64_t permitted;
	uint64_t inheritable;
	uint64_t ambient;
};

/* What this kernel knows: bits 0 to CAP_LAST_CAP of the running kernel. */
uint64_t caps_all(void);
/* "CAP_CHOWN", "chown", any case; "ALL" gives caps_all(). -EINVAL fills err with the nearest known name. */
int caps_parse(const char *name, uint64_t *ret_mask, struct err *err);
/* "CAP_CHOWN"; static storage. NULL for an unknown number. */
const char *caps_name(unsigned cap);
/* The calling process' own sets. */
int caps_get(struct cap_sets *ret, struct err *err);

/* Removes from the bounding set all that is not in `keep` (PR_CAPBSET_DROP, needs CAP_SETPCAP). */
int caps_limit_bounding(uint64_t keep, struct err *err);
/* Securebits: SECBIT_KEEP_CAPS across the coming setresuid(2), and SECBIT_NO_SETUID_FIXUP is left off. */
int caps_keep_across_setuid(bool keep, struct err *err);
/* Effective, permitted and inheritable by one capset(2) (libcap), then the ambient set. `extra` is added to effective and
 * permitted alone: the one capability that must live until the filter is loaded. */
int caps_set(const struct cap_sets *sets, uint64_t extra, struct err *err);
/* Takes `extra` away again: by one capset(2) and nothing else, under a filter that may permit no more. */
int caps_lower(const struct cap_sets *sets, struct err *err);

#endif
