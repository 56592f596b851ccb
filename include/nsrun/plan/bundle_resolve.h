/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of a bundle: what runtime/oci does not read but what follows from it, here and now. Parts of oci_plan(). */
#ifndef NSRUN_PLAN_BUNDLE_RESOLVE_H
#define NSRUN_PLAN_BUNDLE_RESOLVE_H

#include <nsrun/plan/plan.h>

/* Before anything is read: what a bundle has no words for. */
void plan_begin_bundle(struct plan *plan);

/* linux.cgroupsPath, after plan->resources: plan->cgroup_host, cgroup_path and controllers. In every mounted hierarchy of version 1. Without a group where a rootless
 * caller may make none and asks for no limit. */
struct bundle_cgroup {
	const char *path;  /* NULL: none is said */
	const char *where; /* for messages */
	bool by_id;	   /* result: plan->cgroup_path is the parent of the group, and the id is its name */
};
int plan_resolve_bundle_cgroup(struct plan *plan, struct bundle_cgroup *said, struct err *err);

/* Last: what depends on several parts. */
int plan_settle_bundle(struct plan *plan, struct err *err);

#endif
