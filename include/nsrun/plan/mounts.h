/* SPDX-License-Identifier: Apache-2.0 */
/* From the words of one option to a mount of the plan: the parts that differ by kind. */
#ifndef NSRUN_PLAN_MOUNTS_H
#define NSRUN_PLAN_MOUNTS_H

#include <nsrun/plan/mount_options.h>
#include <nsrun/plan/tree.h>

/* Each fills *ret but for target and said, and appends its trees to plan->sources, which has room for them. */
int plan_bind_mount(struct plan *plan, const struct mount_options *options, const char *source, struct plan_mount *ret,
		    struct err *err);
int plan_tmpfs_mount(struct plan *plan, const struct mount_options *options, struct plan_mount *ret, struct err *err);
int plan_overlay_mount(struct plan *plan, const struct mount_options *options, struct plan_mount *ret, struct err *err);

/* attr_set and attr_clear from what is usual for this kind, and from the words. */
int plan_mount_attr(const struct plan *plan, const struct mount_options *options, uint64_t usual,
		    struct plan_mount *mount, struct err *err);

/* How many trees lowerdir=A:B:C names; each further one is one more tree of the plan. */
size_t plan_overlay_layers(const char *lowerdir);

/* More do not fit into the 255 bytes that fsconfig(2) takes. */
#define OVERLAY_LAYERS_MAX 50

#endif
