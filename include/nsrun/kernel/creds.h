/* SPDX-License-Identifier: Apache-2.0 */
/* Ids, no_new_privs, the bond to the parent: credentials(7), prctl(2). */
#ifndef NSRUN_KERNEL_CREDS_H
#define NSRUN_KERNEL_CREDS_H

#include <nsrun/base/err.h>
#include <nsrun/base/pidref.h>

#include <sys/types.h>

struct creds {
	uid_t uid;
	gid_t gid;
	size_t n_groups;
	gid_t *groups; /* supplementary; owned by whoever filled it */
};

/* setgroups(2) to none (where the map allows it), setresgid(2), setresuid(2) to 0 of the new user namespace.
 * Clears dumpable and the parent-death signal (kernel: commit_creds); callers set both again. */
int creds_become_root(bool may_setgroups, struct err *err);
/* The workload's ids. With may_setgroups false a request for groups is an error (setgroups is "deny"). */
int creds_set(const struct creds *creds, bool may_setgroups, struct err *err);
/* PR_SET_NO_NEW_PRIVS. */
int creds_no_new_privs(struct err *err);
/* PR_SET_DUMPABLE: off hides /proc/PID/{exe,fd,mem,...} from others of the same ids (ptrace(2), access mode checks). */
int creds_set_dumpable(bool on, struct err *err);
/* PR_SET_PDEATHSIG SIGKILL, then a look at the parent's pidfd: a parent that died before is noticed too (-ESRCH). */
int creds_die_with(const struct pidref *parent, struct err *err);
/* A new, anonymous session keyring (keyctl(2), KEYCTL_JOIN_SESSION_KEYRING): the caller's keys stay out of reach. ENOSYS (a
 * kernel without keyrings) is success. */
int creds_new_session_keyring(struct err *err);

#endif
