/* SPDX-License-Identifier: Apache-2.0 */
/* What this kernel allows this caller; and, after a failure, which switch forbids it. */
#ifndef NSRUN_KERNEL_PROBE_H
#define NSRUN_KERNEL_PROBE_H

#include <nsrun/base/err.h>

/* True in the initial user namespace itself (by its inode: an identity map alone would not prove it). */
bool probe_in_initial_userns(void);
/* True in the initial PID namespace: outside of every container that has processes of its own. */
bool probe_in_initial_pidns(void);
/* True when this process' mount namespace belongs to its user namespace: CAP_SYS_ADMIN then reaches the mounts (mount_namespaces(7)). After
 * `unshare -Ur` it does not. */
bool probe_owns_mounts(void);
/* True when setgroups(2) is denied in this process' user namespace, as `unshare -Ur` leaves it: an unprivileged gid_map needs that. */
bool probe_setgroups_denied(void);
/* True when /proc has mounts on top of parts of it (mountinfo), which makes a fresh procfs in a user namespace EPERM. */
bool probe_proc_overmounted(void);
/* Does tmpfs have user.* attributes (Linux 6.6)? Overlayfs in a user namespace has no others for its own marks. */
bool probe_tmpfs_user_xattrs(void);
/* Called when clone3(2) with CLONE_NEWUSER failed: which cause is it? Looks at user.max_user_namespaces,
 * kernel.unprivileged_userns_clone, AppArmor's switch, a chroot. ERR_ID_NONE when none of them. */
enum err_id probe_userns_refusal(int errnum);
/* True when this process runs under a seccomp filter, before it has loaded one: somebody else's. */
bool probe_filtered(void);
/* The effective capabilities of this process as 1 << CAP_x, by one capget(2): what the kernel will check, whatever the uid is. 0 on failure. */
uint64_t probe_effective_caps(void);
/* This process was made set-uid or got file capabilities (getauxval(AT_SECURE)): nsrun refuses to run. */
bool probe_is_secure_exec(void);

#endif
