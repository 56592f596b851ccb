/* SPDX-License-Identifier: Apache-2.0 */
/* --device and --device-cgroup-rule: which nodes are inside, and what the container's control group may open. */
#ifndef NSRUN_PLAN_DEVICES_H
#define NSRUN_PLAN_DEVICES_H

#include <nsrun/plan/plan.h>

#define PLAN_DEVICES_MAX 512 /* also of a directory */

/* plan->devices and plan->device_policy; after the mounts, on whose targets no node can be. */
int plan_resolve_devices(struct plan *plan, const struct plan_request *request, struct err *err);
/* Is there something that only a filter can hold to, so that a control group must be there? After plan_resolve_devices(). */
bool plan_needs_device_filter(const struct plan *plan);
/* plan->device_filter, after the control group is chosen. */
int plan_settle_devices(struct plan *plan, struct err *err);

/* The parts of PATH[:DST][:ACCESS]: PATH may have colons itself, as those in /dev/disk/by-path have. NULL where nothing was said. */
struct device_words {
	size_t path;	    /* its length; it begins the text */
	const char *target; /* not terminated */
	size_t target_length;
	const char *access;
};
void device_words_split(const char *text, struct device_words *ret);

const char *device_filter_name(enum device_filter filter); /* "none", "v2", "v1" */

#endif
