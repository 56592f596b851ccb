/* SPDX-License-Identifier: Apache-2.0 */
/* User namespaces that exist: what owns a namespace, what its maps are, which processes are in it. ioctl_ns(2), user_namespaces(7). */
#ifndef NSRUN_KERNEL_USERNS_H
#define NSRUN_KERNEL_USERNS_H

#include <nsrun/base/err.h>
#include <nsrun/base/pidref.h>
#include <nsrun/kernel/idmap.h>

#include <sys/stat.h>

/* Two descriptors of one namespace, or of two: nsfs gives each an inode of its own while it exists. */
bool ns_is_same(const struct stat *a, const struct stat *b);
/* Is this the namespace of this kind (a name of /proc/PID/ns) that this process is in? */
bool ns_is_own(const char *name, const struct stat *ns);

/* The user namespace that owns this namespace. -EPERM, with `err` alone, when it is one around the caller's own. */
int userns_open_owner(int ns_fd, int *ret_fd, struct err *err);

/* Its maps as this process sees them, and whether setgroups(2) is denied: a child enters it, so this is also the proof that the caller may. */
int userns_read_maps(int userns_fd, struct idmap *ret_uids, struct idmap *ret_gids, bool *ret_setgroups_denied,
		     struct err *err);

/* SIGKILL to every process of this user namespace and of those below it, until there is none: a process cannot leave it. /proc must show the
 * pid namespace that they are in. At most `timeout_ms`, then -EBUSY. */
int userns_kill_all(int userns_fd, unsigned timeout_ms, struct err *err);

#endif
