/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/ids.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/probe.h>
#include <nsrun/plan/ids_auto.h>
#include <nsrun/plan/reserve.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is needed while one request is resolved. */
struct resolution {
	struct plan *plan;
	const struct plan_request *request;
	const struct id_caller *caller;
	const struct id_files *files;
	bool privileged; /* may write any map: user_namespaces(7) wants CAP_SETUID and CAP_SETGID, all else CAP_SYS_ADMIN */
	const char *maps[2]; /* where they were said, by enum subid_kind: "--uid-map" */
};

/* A user or group of the host; the name is malloc'd and NULL when the number has none. */
struct principal {
	char *name;
	uint32_t id;
	gid_t gid; /* of a user: its primary group */
};

static void principal_done(struct principal *p)
{
	free(p->name);
}

#define NSS_BUFFER 65536

/* `word` names a user or a group. A number need not be known. */
static int find_account(enum subid_kind kind, const char *word, struct principal *ret, struct err *err)
{
	_cleanup_free_ char *buffer = malloc(NSS_BUFFER);
	const char *what = kind == SUBID_UID ? "user" : "group";
	struct passwd user_entry, *user = NULL;
	struct group group_entry, *group = NULL;
	uint32_t id = 0;
	bool number = parse_u32(word, &id) == 0;
	int r;

	if (!buffer)
		return err_oom(err);
	if (number ? id > IDMAP_ID_MAX : !*word)
		return err_input(err, "--userns-remap: \"%s\" is no %s", word, what);
	if (kind == SUBID_UID)
		r = number ? getpwuid_r(id, &user_entry, buffer, NSS_BUFFER, &user)
			   : getpwnam_r(word, &user_entry, buffer, NSS_BUFFER, &user);
	else
		r = number ? getgrgid_r(id, &group_entry, buffer, NSS_BUFFER, &group)
			   : getgrnam_r(word, &group_entry, buffer, NSS_BUFFER, &group);
	if (!user && !group && !number)
		return err_set(err, ERR_INPUT, ERR_ID_UNKNOWN_USER, r, "--userns-remap: %s %s does not exist", what,
			       word);
	*ret = user ? (struct principal){ NULL, user->pw_uid, user->pw_gid }
		    : (struct principal){ NULL, group ? group->gr_gid : id, (gid_t)-1 };
	if (user || group) {
		ret->name = strdup(user ? user->pw_name : group->gr_name);
		if (!ret->name)
			return err_oom(err);
	}
	return 0;
}

static int missing(const struct resolution *r, enum subid_kind kind, const struct principal *who, struct err *err)
{
	return err_set(err, ERR_INPUT, ERR_ID_NO_SUBID_RANGE, ENOENT, "%s: no range for %s (%u)", r->files->subid[kind],
		       who->name ? who->name : "this number", who->id);
}

/* Fills what follows from the maps. The container's root must exist: init becomes it before it becomes anybody else. */
static int settle(const struct resolution *r, enum caller caller, enum remap_source remap, const char *word,
		  struct err *err)
{
	struct plan *plan = r->plan;

	plan->caller = caller;
	for (int work = 0; work < WORK_COUNT; work++)
		plan->performer[work] = privilege_performer(caller, work);
	if (r->caller->foreign_mounts && plan->performer[WORK_SOURCES] == BY_RUNTIME)
		plan->performer[WORK_SOURCES] = BY_INIT;
	plan->remap = remap;
	plan->remap_word = arena_strdup(plan->arena, word);
	if (!plan->remap_word)
		return err_oom(err);
	if (r->caller->setgroups_denied) /* a user namespace inherits it */
		plan->deny_setgroups = true;
	if (remap != REMAP_NONE)
		plan->namespaces |= CLONE_NEWUSER;
	if (plan->auto_pending) {
		plan->root_uid = (uid_t)-1;
		plan->root_gid = (gid_t)-1;
		return 0;
	}
	return ids_settle_maps(plan, r->caller->initial_userns, err);
}

/* All ids that there are, onto themselves. */
static void map_visible(const struct resolution *r, enum subid_kind kind, struct idmap *ret)
{
	if (!ids_visible(r->caller->initial_userns, kind, ret))
		*ret = (struct idmap){ .n = 1, .extents = { { 0, 0, UINT32_MAX } } };
	for (size_t i = 0; i < ret->n; i++)
		ret->extents[i].outside = ret->extents[i].inside;
}

/* No user namespace. `what` asked for it. */
static int settle_host(const struct resolution *r, const char *what, struct err *err)
{
	if (!r->privileged)
		return err_refused(
			err, ERR_ID_CAP_NOT_HELD,
			"%s: without a user namespace the other namespaces need CAP_SYS_ADMIN, CAP_SETUID and CAP_SETGID",
			what);
	map_visible(r, SUBID_UID, &r->plan->uids);
	map_visible(r, SUBID_GID, &r->plan->gids);
	return settle(r, CALLER_ROOT_HOST, REMAP_NONE, "host", err);
}

static int resolve_host(const struct resolution *r, struct err *err)
{
	const struct plan_request *q = r->request;

	if (!streq(q->userns, "host"))
		return err_input(err, "--userns: \"%s\" is not known; the one value is host", q->userns);
	if (q->userns_remap || q->uid_map || q->gid_map)
		return err_input(err, "--userns=host: contradicts %s",
				 q->userns_remap ? "--userns-remap"
				 : q->uid_map	 ? "--uid-map"
						 : "--gid-map");
	return settle_host(r, "--userns=host", err);
}

static enum caller privileged_caller(const struct resolution *r)
{
	return r->caller->initial_userns ? CALLER_ROOT_REMAPPED : CALLER_NESTED;
}

static int resolve_auto(const struct resolution *r, struct err *err)
{
	if (!r->caller->initial_userns && !r->request->userns_remap) {
		const int found = ids_range_of_tree(r->request->rootfs, r->files, &r->plan->uids, err);

		if (found < 0)
			return found;
		r->plan->gids = r->plan->uids;
		if (found)
			return settle(r, CALLER_NESTED, REMAP_EXPLICIT, "the rootfs' owner", err);
	}
	r->plan->auto_pending = true;
	return settle(r, privileged_caller(r), REMAP_AUTO, "auto", err);
}

static int resolve_default(const struct resolution *r, struct err *err)
{
	int done = ids_default_find(r->files, &r->plan->uids, &r->plan->gids, err);

	if (done < 0)
		return done;
	r->plan->auto_pending = done == 0;
	return settle(r, privileged_caller(r), REMAP_USER, "default", err);
}

/* Ranges for gids: the group's when one was named, otherwise, or when the group has none, the user's (subgid(5) knows users alone, Docker
 * looks for the group's name). */
static int group_ranges(const struct resolution *r, const struct principal *user, const struct principal *group,
			struct subid_ranges *ret, struct err *err)
{
	if (group) {
		int done = subid_ranges_in(r->files, SUBID_GID, group->name, group->id, ret, err);

		if (done < 0 || ret->n > 0)
			return done;
		subid_ranges_done(ret);
	}
	return subid_ranges_in(r->files, SUBID_GID, user->name, user->id, ret, err);
}

static int map_ranges(const struct resolution *r, const struct principal *user, const struct principal *group,
		      struct err *err)
{
	_cleanup_(subid_ranges_done) struct subid_ranges uids = { 0 };
	_cleanup_(subid_ranges_done) struct subid_ranges gids = { 0 };
	int done;

	done = subid_ranges_in(r->files, SUBID_UID, user->name, user->id, &uids, err);
	if (done < 0)
		return done;
	if (uids.n == 0)
		return missing(r, SUBID_UID, user, err);
	done = group_ranges(r, user, group, &gids, err);
	if (done < 0)
		return done;
	if (gids.n == 0)
		return missing(r, SUBID_GID, group ? group : user, err);
	done = ids_append(&r->plan->uids, 0, &uids, r->files->subid[SUBID_UID], err);
	return done < 0 ? done : ids_append(&r->plan->gids, 0, &gids, r->files->subid[SUBID_GID], err);
}

/* USER[:GROUP], by names or numbers. */
static int resolve_named(const struct resolution *r, struct err *err)
{
	_cleanup_(principal_done) struct principal user = { 0 }, group = { 0 };
	const char *colon = strchr(r->request->userns_remap, ':');
	_cleanup_free_ char *user_word = NULL;
	const struct principal *chosen = NULL;
	int done;

	user_word = colon ? strndup(r->request->userns_remap, (size_t)(colon - r->request->userns_remap))
			  : strdup(r->request->userns_remap);
	if (!user_word)
		return err_oom(err);
	done = find_account(SUBID_UID, user_word, &user, err);
	if (done < 0)
		return done;
	if (colon) {
		done = find_account(SUBID_GID, colon + 1, &group, err);
		if (done < 0)
			return done;
		chosen = &group;
	}
	if (!r->privileged) {
		if (user.id != r->caller->uid || (chosen && group.id != r->caller->gid))
			return err_refused(err, ERR_ID_RANGE_NOT_OWNED,
					   "--userns-remap %s: uid %u, gid %u, without CAP_SYS_ADMIN, may not use it",
					   r->request->userns_remap, r->caller->uid, r->caller->gid);
		chosen = NULL; /* newgidmap(1) grants what subgid(5) gives to the user, and nothing of the group */
	}
	done = map_ranges(r, &user, chosen, err);
	if (done < 0)
		return done;
	return settle(r, r->privileged ? privileged_caller(r) : CALLER_USER_RANGES,
		      r->privileged ? REMAP_USER : REMAP_OWN_RANGES, r->request->userns_remap, err);
}

/* Root without the capabilities that root has, as in a container that was not given them: the own id, 0, cannot be mapped, and newuidmap
 * is no help either. */
static int refuse_powerless_root(const struct id_caller *caller, struct err *err)
{
	return err_refused(err, ERR_ID_NESTED_CAPS, "uid 0 without %s: root of a container that was not given %s",
			   caller->caps & CAP_MASK(CAP_SYS_ADMIN) ? "CAP_SETUID and CAP_SETGID" : "CAP_SYS_ADMIN",
			   caller->caps & CAP_MASK(CAP_SYS_ADMIN) ? "them" : "it");
}

/* Ordinary user, nothing said: container root is the user, all other ids come from the user's ranges. */
static int resolve_own(const struct resolution *r, struct err *err)
{
	_cleanup_(principal_done) struct principal self = { 0 };
	_cleanup_(subid_ranges_done) struct subid_ranges uids = { 0 };
	_cleanup_(subid_ranges_done) struct subid_ranges gids = { 0 };
	struct plan *plan = r->plan;
	char number[11];
	int done;

	if (r->caller->uid == 0)
		return refuse_powerless_root(r->caller, err);
	snprintf(number, sizeof(number), "%u", r->caller->uid);
	done = find_account(SUBID_UID, number, &self, err);
	if (done < 0)
		return done;
	done = subid_ranges_in(r->files, SUBID_UID, self.name, self.id, &uids, err);
	if (done < 0)
		return done;
	done = subid_ranges_in(r->files, SUBID_GID, self.name, self.id, &gids, err);
	if (done < 0)
		return done;
	plan->uids = (struct idmap){ .n = 1, .extents = { { 0, r->caller->uid, 1 } } };
	plan->gids = (struct idmap){ .n = 1, .extents = { { 0, r->caller->gid, 1 } } };
	if (uids.n == 0 || gids.n == 0) {
		plan->deny_setgroups = true;
		return settle(r, CALLER_USER_SINGLE, REMAP_SINGLE, "own id", err);
	}
	done = ids_append(&plan->uids, 1, &uids, r->files->subid[SUBID_UID], err);
	if (done < 0)
		return done;
	done = ids_append(&plan->gids, 1, &gids, r->files->subid[SUBID_GID], err);
	if (done < 0)
		return done;
	return settle(r, CALLER_USER_RANGES, REMAP_OWN_RANGES, "own ranges", err);
}

/* Ids of an ordinary user: the own one, and the own ranges (newuidmap(1) would refuse with fewer words). */
static int check_owned(const struct resolution *r, enum subid_kind kind, const struct idmap *map, struct err *err)
{
	_cleanup_(principal_done) struct principal self = { 0 };
	_cleanup_(subid_ranges_done) struct subid_ranges own = { 0 };
	uint32_t own_id = kind == SUBID_UID ? r->caller->uid : r->caller->gid;
	char number[11];
	int done;

	snprintf(number, sizeof(number), "%u", r->caller->uid);
	done = find_account(SUBID_UID, number, &self, err);
	if (done < 0)
		return done;
	done = subid_ranges_in(r->files, kind, self.name, self.id, &own, err);
	if (done < 0)
		return done;
	for (size_t i = 0; i < map->n; i++) {
		const struct idmap_extent *e = &map->extents[i];
		uint64_t next = e->outside, end = next + e->count;

		if (e->count == 1 && e->outside == own_id)
			continue;
		for (size_t j = 0; j < own.n && next < end; j++) {
			const struct subid_range *range = &own.ranges[j];

			if (next >= range->first && next < (uint64_t)range->first + range->count) {
				next = (uint64_t)range->first + range->count;
				j = (size_t)-1; /* the rest may lie in any other range */
			}
		}
		if (next < end && own_id == 0)
			return refuse_powerless_root(r->caller, err);
		if (next < end)
			return err_refused(err, ERR_ID_RANGE_NOT_OWNED,
					   "%s %u:%u:%u: host id %u is neither uid %u's own nor in its ranges in %s",
					   r->maps[kind], e->inside, e->outside, e->count, (unsigned)next,
					   r->caller->uid, r->files->subid[kind]);
	}
	return 0;
}

static bool is_single(const struct idmap *map, uint32_t own)
{
	return map->n == 1 && map->extents[0].count == 1 && map->extents[0].outside == own;
}

/* plan->uids and gids are exactly these. */
static int settle_explicit(const struct resolution *r, struct err *err)
{
	struct plan *plan = r->plan;
	int done;

	if (r->privileged)
		return settle(r, privileged_caller(r), REMAP_EXPLICIT, "explicit", err);
	done = check_owned(r, SUBID_UID, &plan->uids, err);
	if (done < 0)
		return done;
	done = check_owned(r, SUBID_GID, &plan->gids, err);
	if (done < 0)
		return done;
	plan->deny_setgroups = is_single(&plan->uids, r->caller->uid) && is_single(&plan->gids, r->caller->gid);
	return settle(r, plan->deny_setgroups ? CALLER_USER_SINGLE : CALLER_USER_RANGES, REMAP_EXPLICIT, "explicit",
		      err);
}

/* --uid-map and --gid-map; one of them alone is meant for both. */
static int resolve_explicit(const struct resolution *r, struct err *err)
{
	const struct plan_request *q = r->request;
	struct plan *plan = r->plan;
	int done;

	if (q->userns_remap)
		return err_input(err, "--userns-remap: contradicts %s", r->maps[q->uid_map ? SUBID_UID : SUBID_GID]);
	done = ids_parse_map(q->uid_map ? q->uid_map : q->gid_map, r->maps[q->uid_map ? SUBID_UID : SUBID_GID],
			     &plan->uids, err);
	if (done < 0)
		return done;
	done = ids_parse_map(q->gid_map ? q->gid_map : q->uid_map, r->maps[q->gid_map ? SUBID_GID : SUBID_UID],
			     &plan->gids, err);
	return done < 0 ? done : settle_explicit(r, err);
}

static bool may_write_any_map(const struct id_caller *caller)
{
	const uint64_t needed = CAP_MASK(CAP_SYS_ADMIN) | CAP_MASK(CAP_SETUID) | CAP_MASK(CAP_SETGID);

	return (caller->caps & needed) == needed;
}

int ids_resolve_given(struct plan *plan, const struct ids_given *given, const struct id_caller *caller,
		      const struct id_files *files, struct err *err)
{
	const struct resolution r = { .plan = plan,
				      .caller = caller,
				      .files = files,
				      .privileged = may_write_any_map(caller),
				      .maps = { given->uids_said, given->gids_said } };

	plan->caller_uid = caller->uid;
	plan->caller_gid = caller->gid;
	switch (given->userns) {
	case NS_HOST:
		return settle_host(&r, given->userns_said, err);
	case NS_NEW:
		plan->uids = *given->uids;
		plan->gids = *given->gids;
		return settle_explicit(&r, err);
	case NS_JOIN:
		break;
	}
	/* Its maps come when it is joined. */
	plan->caller = r.privileged ? privileged_caller(&r) : CALLER_USER_RANGES;
	for (int work = 0; work < WORK_COUNT; work++)
		plan->performer[work] = privilege_performer(plan->caller, work);
	if (caller->foreign_mounts && plan->performer[WORK_SOURCES] == BY_RUNTIME)
		plan->performer[WORK_SOURCES] = BY_INIT;
	plan->remap = REMAP_EXPLICIT;
	plan->remap_word = "joined";
	if (given->uids && given->gids) {
		plan->uids = *given->uids;
		plan->gids = *given->gids;
	}
	return 0;
}

int ids_resolve(struct plan *plan, const struct plan_request *request, const struct id_caller *caller,
		const struct id_files *files, struct err *err)
{
	const struct resolution r = { .plan = plan,
				      .request = request,
				      .caller = caller,
				      .files = files,
				      .privileged = may_write_any_map(caller),
				      .maps = { "--uid-map", "--gid-map" } };
	const char *remap = request->userns_remap;

	plan->caller_uid = caller->uid;
	plan->caller_gid = caller->gid;
	if (request->userns)
		return resolve_host(&r, err);
	if ((request->uid_map && *request->uid_map) || (request->gid_map && *request->gid_map))
		return resolve_explicit(&r, err);
	if (!remap)
		return r.privileged ? resolve_auto(&r, err) : resolve_own(&r, err);
	if (streq(remap, "auto") || streq(remap, "default")) {
		if (!r.privileged)
			return err_refused(err, ERR_ID_RANGE_NOT_OWNED,
					   "--userns-remap %s: its ranges belong to the host, so it needs root "
					   "(CAP_SYS_ADMIN, CAP_SETUID, CAP_SETGID)",
					   remap);
		return *remap == 'a' ? resolve_auto(&r, err) : resolve_default(&r, err);
	}
	return resolve_named(&r, err);
}

static void find_caller(struct id_caller *ret)
{
	*ret = (struct id_caller){
		.uid = geteuid(),
		.gid = getegid(),
		.caps = probe_effective_caps(),
		.initial_userns = probe_in_initial_userns(),
	};
	ret->setgroups_denied = !ret->initial_userns && probe_setgroups_denied();
	ret->foreign_mounts = !ret->initial_userns && !probe_owns_mounts();
}

int plan_find_state_root(struct plan *plan, struct err *err)
{
	char root[PATH_MAX];
	const int r = state_root_name(root, sizeof(root), err);

	if (r < 0)
		return r;
	plan->state_root = arena_strdup(plan->arena, root);
	return plan->state_root ? 0 : err_oom(err);
}

int plan_resolve_ids(struct plan *plan, const struct plan_request *request, struct err *err)
{
	struct id_caller caller;
	const int r = plan_find_state_root(plan, err);

	if (r < 0)
		return r;
	find_caller(&caller);
	return ids_resolve(plan, request, &caller, &id_files_host, err);
}

int plan_resolve_given_ids(struct plan *plan, const struct ids_given *given, struct err *err)
{
	struct id_caller caller;
	const int r = plan_find_state_root(plan, err);

	if (r < 0)
		return r;
	find_caller(&caller);
	return ids_resolve_given(plan, given, &caller, &id_files_host, err);
}
