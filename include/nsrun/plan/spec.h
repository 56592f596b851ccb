/* SPDX-License-Identifier: Apache-2.0 */
/* A plan as the OCI runtime specification writes it (config.md, config-linux.md). */
#ifndef NSRUN_PLAN_SPEC_H
#define NSRUN_PLAN_SPEC_H

#include <nsrun/plan/plan.h>

#include <jansson.h>

/* config.json of the same container: names of the rootfs' users are looked up now. The plan must have its exact ids. What
 * config.json has no words for is told to on_missing (may be NULL), a clause each, and stands in the annotation
 * org.nsrun.not-expressed too. *ret is the caller's. */
int plan_spec(const struct plan *plan, void (*on_missing)(const char *what, void *data), void *data, json_t **ret,
	      struct err *err);

/* linux.seccomp of the filter's rules. NULL: no memory. */
struct seccomp_rules;
json_t *spec_seccomp(const struct seccomp_rules *rules);

/* Appends the plan's mounts. False: a word is no UTF-8, or no memory. */
bool spec_mounts(const struct plan *plan, json_t *mounts);
/* Has config.json words for all of them? */
bool spec_mounts_are_whole(const struct plan *plan);
json_t *spec_id_mappings(const struct idmap *map);
/* linux.devices, and linux.resources.devices. */
json_t *spec_devices(const struct plan *plan);
json_t *spec_device_rules(const struct device_policy *policy);

#endif
