/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel that runs was built with, as it says itself: nothing is changed by asking. */
#ifndef NSRUN_KERNEL_ABILITY_H
#define NSRUN_KERNEL_ABILITY_H

#include <stdbool.h>

/* `name` as /proc/self/ns has it. */
bool ability_namespace(const char *name);
/* A line of /proc/filesystems: one whose module is not loaded is not there. */
bool ability_filesystem(const char *name);
/* MPOL_*, with its flags: may this process have memory with such a policy? */
bool ability_memory_policy(int mode);
/* mount_setattr(2), by which a mount gets an id mapping; whether a file system takes it only that one can say. */
bool ability_idmapped_mounts(void);

#endif
