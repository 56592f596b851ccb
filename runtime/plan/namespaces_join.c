/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces that exist already: who may enter them, and what the container has of them. */
#include <nsrun/plan/namespaces.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/join.h>
#include <nsrun/kernel/userns.h>
#include <nsrun/plan/ids.h>

#include <linux/sched.h>
#include <sys/stat.h>

/* A namespace that is to be joined: what it was asked for by, for messages, and whether maps were, too. */
struct joining {
	struct plan *plan;
	const char *what;
	bool maps_said;
};

static int join_refused(struct err *err, const struct joining *j, const char *why)
{
	return err_refused(err, ERR_ID_NAMESPACE_FOREIGN, "%s: %s", j->what, why);
}

static bool same_map(const struct idmap *a, const struct idmap *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		bool found = false;

		for (size_t k = 0; k < b->n && !found; k++)
			found = a->extents[i].inside == b->extents[k].inside &&
				a->extents[i].outside == b->extents[k].outside &&
				a->extents[i].count == b->extents[k].count;
		if (!found)
			return false;
	}
	return true;
}

/* Its maps are the container's: what was asked for explicitly must be the same. */
static int adopt_maps(const struct joining *j, int userns_fd, const char *which, struct err *err)
{
	struct plan *plan = j->plan;
	struct idmap uids, gids;
	struct err why = ERR_INIT;
	bool denied;

	int done = userns_read_maps(userns_fd, &uids, &gids, &denied, &why);
	if (done < 0)
		return err_refused(err, ERR_ID_NAMESPACE_FOREIGN, "%s: %s may not be entered", j->what, which);
	if (j->maps_said && (!same_map(&uids, &plan->uids) || !same_map(&gids, &plan->gids)))
		return err_refused(err, ERR_ID_NAMESPACE_FOREIGN, "%s: %s has other maps than those asked for", j->what,
				   which);
	plan->uids = uids;
	plan->gids = gids;
	plan->deny_setgroups = denied;
	plan->performer[WORK_MAPS] = BY_NOBODY;
	plan->namespaces &= ~(uint64_t)CLONE_NEWUSER;
	if (!idmap_to_outside(&uids, 0, &plan->root_uid) || !idmap_to_outside(&gids, 0, &plan->root_gid))
		return err_refused(err, ERR_ID_NAMESPACE_FOREIGN, "%s: %s has no id 0, and init starts as that",
				   j->what, which);
	return 0;
}

static int adopt_userns(const struct joining *j, struct plan_namespace *ns, int owner_fd, const struct stat *owner,
			struct err *err)
{
	const int done = adopt_maps(j, owner_fd, "the user namespace that owns it", err);

	if (done < 0)
		return done;
	ns->inside = true;
	j->plan->ns[NS_USER] = (struct plan_namespace){
		.use = NS_JOIN, .word = ns->word, .device = owner->st_dev, .inode = owner->st_ino
	};
	return 0;
}

/* Who may enter it, and from where. The kernel wants CAP_SYS_ADMIN over the namespace's owner and over one's own user namespace (setns(2)): a
 * privileged caller has both outside; an ordinary user has both inside the owner alone. */
static int check_owner(const struct joining *j, struct plan_namespace *ns, int fd, struct err *err)
{
	struct plan *plan = j->plan;
	const struct plan_namespace *userns = &plan->ns[NS_USER];
	_cleanup_close_ int owner_fd = FD_NONE;
	struct err refused = ERR_INIT;
	struct stat owner;

	int done = userns_open_owner(fd, &owner_fd, &refused);
	if (done == -EPERM)
		return join_refused(err, j, "it belongs to a user namespace around the caller's own");
	if (done < 0 || fstat(owner_fd, &owner) < 0)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -done, "%s: its owner", j->what);
	ns->inside = userns->use == NS_JOIN && userns->device == owner.st_dev && userns->inode == owner.st_ino;
	if (plan->caller != CALLER_USER_RANGES && plan->caller != CALLER_USER_SINGLE)
		return 0;
	if (ns_is_own("user", &owner))
		return join_refused(err, j, "it belongs to the host, and entering it takes CAP_SYS_ADMIN there");
	if (userns->use != NS_JOIN)
		return adopt_userns(j, ns, owner_fd, &owner, err);
	if (!ns->inside)
		return err_refused(err, ERR_ID_NAMESPACE_FOREIGN,
				   "%s: belongs to another user namespace than %s, and a process is in one only",
				   j->what, userns->word);
	return 0;
}

int plan_join_namespace(struct plan *plan, enum ns_kind kind, const char *what, bool maps_said, struct err *err)
{
	const struct joining j = { plan, what, maps_said };
	struct plan_namespace *ns = &plan->ns[kind];
	_cleanup_close_ int fd = FD_NONE;
	struct err why = ERR_INIT;
	struct stat st;

	int done = join_open(ns->path, plan_ns_flag(kind), &fd, &why);
	if (done < 0)
		return err_set(err, why.kind, why.id, why.errnum, "%s: %s", what, why.message);
	if (fstat(fd, &st) < 0)
		return err_system(err, "%s", what);
	/* One's own need not be entered, and an ordinary user could not. */
	if (ns_is_own(plan_ns_name(kind), &st)) {
		ns->use = NS_HOST;
		return 0;
	}
	ns->device = st.st_dev;
	ns->inode = st.st_ino;
	return kind == NS_USER ? adopt_maps(&j, fd, "the user namespace", err) : check_owner(&j, ns, fd, err);
}

/* The user namespace first, where it owns the other: only within it there is CAP_SYS_ADMIN for that. */
int plan_open_joined_root(const struct plan *plan, const char *what, int *ret_fd, struct err *err)
{
	const struct plan_namespace *ns = &plan->ns[NS_MNT];
	_cleanup_close_ int mount = FD_NONE, owner = FD_NONE;
	struct join join = JOIN_NONE;
	struct err why = ERR_INIT;

	int r = join_open(ns->path, CLONE_NEWNS, &mount, &why);
	if (r == 0 && ns->inside)
		r = userns_open_owner(mount, &owner, &why);
	if (owner >= 0) {
		join.before[join.n_before].fd = owner;
		join.before[join.n_before++].flag = CLONE_NEWUSER;
	}
	join.before[join.n_before].fd = mount;
	join.before[join.n_before++].flag = CLONE_NEWNS;
	if (r == 0)
		r = join_open_root(&join, ret_fd, &why);
	return r < 0 ? err_set(err, why.kind, why.id, why.errnum, "%s: %s", what, why.message) : 0;
}
