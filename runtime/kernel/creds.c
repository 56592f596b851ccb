/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/creds.h>

#include <grp.h>
#include <linux/keyctl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/*
 * The ids are set by the system calls themselves. The C library's functions of the same name signal every other thread to do
 * the same (nptl(7)); init has one thread, and after a clone3(2) of its own the library's idea of its threads is not to be
 * relied on.
 */
static int set_groups(size_t n, const gid_t *groups, struct err *err)
{
	if (syscall(SYS_setgroups, n, groups) == 0)
		return 0;
	if (errno == EINVAL && n == 1)
		return err_system_id(err, ERR_ID_ID_NOT_MAPPED, "setgroups(group %u)", groups[0]);
	return err_system_id(err, errno == EINVAL ? ERR_ID_ID_NOT_MAPPED : ERR_ID_NONE, "setgroups(%zu groups)", n);
}

static int set_ids(uid_t uid, gid_t gid, struct err *err)
{
	/* Groups before the user: CAP_SETGID is lost with user id 0. All three ids at once, so that no saved id is left to
	 * return to. */
	if (syscall(SYS_setresgid, gid, gid, gid) < 0)
		return err_system_id(err, errno == EINVAL ? ERR_ID_ID_NOT_MAPPED : ERR_ID_NONE, "setresgid(%u)", gid);
	if (syscall(SYS_setresuid, uid, uid, uid) < 0)
		return err_system_id(err, errno == EINVAL ? ERR_ID_ID_NOT_MAPPED : ERR_ID_NONE, "setresuid(%u)", uid);
	return 0;
}

int creds_become_root(bool may_setgroups, struct err *err)
{
	int r;

	/* Supplementary groups survive clone3(2): the caller's would still give access to files of the host (CVE-2022-2989 was
	 * of this kind). With setgroups at "deny" (user_namespaces(7)) they cannot be dropped, and appear as the overflow id. */
	if (may_setgroups) {
		r = set_groups(0, NULL, err);
		if (r < 0)
			return r;
	}
	return set_ids(0, 0, err);
}

/* The primary group is among the supplementary ones, as login(1) has it: a program that changes its effective group would otherwise shed a
 * group to which a file's permissions deny access (CVE-2022-36109). */
static int set_all_groups(const struct creds *creds, struct err *err)
{
	_cleanup_free_ gid_t *groups = calloc(creds->n_groups + 1, sizeof(*groups));
	size_t n = 0;

	if (!groups)
		return err_oom(err);
	groups[n++] = creds->gid;
	/* Engines name it themselves, and id(1) would show it twice. */
	for (size_t i = 0; i < creds->n_groups; i++)
		if (creds->groups[i] != creds->gid)
			groups[n++] = creds->groups[i];
	return set_groups(n, groups, err);
}

int creds_set(const struct creds *creds, bool may_setgroups, struct err *err)
{
	int r;

	if (may_setgroups) {
		r = set_all_groups(creds, err);
		if (r < 0)
			return r;
	} else if (creds->n_groups > 0) {
		return err_set(
			err, ERR_REFUSED, ERR_ID_NONE, EPERM,
			"setgroups(%zu groups): denied in a user namespace whose group map was written without privilege",
			creds->n_groups);
	}
	return set_ids(creds->uid, creds->gid, err);
}

int creds_no_new_privs(struct err *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) < 0)
		return err_system(err, "PR_SET_NO_NEW_PRIVS");
	return 0;
}

int creds_set_dumpable(bool on, struct err *err)
{
	if (prctl(PR_SET_DUMPABLE, on ? 1L : 0L, 0L, 0L, 0L) < 0)
		return err_system(err, "PR_SET_DUMPABLE");
	return 0;
}

int creds_die_with(const struct pidref *parent, struct err *err)
{
	if (prctl(PR_SET_PDEATHSIG, (long)SIGKILL, 0L, 0L, 0L) < 0)
		return err_system(err, "PR_SET_PDEATHSIG");
	/* The signal is sent for a death that comes later; one that came before is seen here. getppid(2) would not do: in a new
	 * pid namespace it is 0 either way. */
	if (pidref_ended(parent))
		return err_set(err, ERR_PEER, ERR_ID_NONE, ESRCH,
			       "process %d: the runtime ended before its child was set up", (int)parent->pid);
	return 0;
}

int creds_new_session_keyring(struct err *err)
{
	/* NULL: a new anonymous keyring, never an existing one of the same name. */
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0) >= 0 || errno == ENOSYS)
		return 0;
	if (errno == EDQUOT)
		return err_set(err, ERR_SYSTEM, ERR_ID_KEY_QUOTA, EDQUOT,
			       "KEYCTL_JOIN_SESSION_KEYRING: the caller has as many keys as an ordinary user may");
	return err_system(err, "KEYCTL_JOIN_SESSION_KEYRING");
}
