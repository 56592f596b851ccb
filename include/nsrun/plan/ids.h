/* SPDX-License-Identifier: Apache-2.0 */
/* Which host ids the container's ids are: subuid(5), subgid(5), getsubids(1). Fills the identity part of a plan. */
#ifndef NSRUN_PLAN_IDS_H
#define NSRUN_PLAN_IDS_H

#include <nsrun/plan/plan.h>

#include <stdlib.h>

enum subid_kind { SUBID_UID, SUBID_GID };

struct subid_range {
	uint32_t first, count;
};
struct subid_ranges {
	size_t n;
	struct subid_range *ranges; /* malloc'd */
};

/* Where the host's identities are written down. Only unit tests use other files than these. */
struct id_files {
	const char *subid[2]; /* by enum subid_kind */
	const char *passwd, *group, *nsswitch;
};
extern const struct id_files id_files_host;

/* The ranges of one user, by name (may be NULL) and by number, from the source that nsswitch.conf names for `subid`: the files,
 * or a libsubid plug-in (libsubid is loaded only then). A malformed line, wherever it is in the file, an end beyond IDMAP_ID_MAX, and a file of more
 * than 4 MiB are errors with file and line; so is a range of this user that overlaps another line. No range at all: n is 0, no error. */
int subid_ranges_in(const struct id_files *files, enum subid_kind kind, const char *name, uint32_t id,
		    struct subid_ranges *ret, struct err *err);
static inline void subid_ranges_done(struct subid_ranges *ranges)
{
	free(ranges->ranges);
}
/* Every range of the files with its owner's text, for overlap checks. */
struct subid_line {
	char *owner; /* malloc'd */
	struct subid_range range;
	unsigned line;
};
void subid_lines_free(struct subid_line *lines, size_t n);
/* Empty lines and lines that begin with # are no lines. A missing file is an empty one. */
int subid_read_file(const char *path, struct subid_line **ret, size_t *ret_n, struct err *err);
/* True when nsswitch.conf's `subid` line names another source than the files. */
bool subid_uses_plugin(const char *nsswitch);
int subid_plugin_ranges(enum subid_kind kind, const char *owner, struct subid_ranges *ret, struct err *err);
/* True when `owner`, the first field of a line, is this name (may be NULL) or this number. */
bool subid_owner_is(const char *owner, const char *name, uint32_t id);

/* Decides plan->caller, performer[], remap, uids, gids, deny_setgroups, root_uid, root_gid, CLONE_NEWUSER in namespaces and state_root
 * (its name) from the request and this process' ids and capabilities. Every refusal of features.md on identity is here. */
int plan_resolve_ids(struct plan *plan, const struct plan_request *request, struct err *err);

/* The same where the ids are exactly these, as config.json has them. Host id 0 may be among them. */
struct ids_given {
	enum ns_use userns;
	const struct idmap *uids, *gids; /* NS_NEW; of NS_JOIN what the namespace's are to be, NULL: whatever */
	const char *userns_said, *uids_said, *gids_said; /* for messages */
};
int plan_resolve_given_ids(struct plan *plan, const struct ids_given *given, struct err *err);

/* Who calls: filled from this process by plan_resolve_ids(). */
struct id_caller {
	uid_t uid;
	gid_t gid;
	uint64_t caps; /* effective */
	bool initial_userns;
	bool foreign_mounts; /* its capabilities do not reach the mounts that it sees: init, which has a copy of its own, opens the trees */
	bool setgroups_denied; /* in its user namespace (user_namespaces(7)) */
};
/* The same for any caller and any files: what the unit tests drive. */
int ids_resolve(struct plan *plan, const struct plan_request *request, const struct id_caller *caller,
		const struct id_files *files, struct err *err);
int ids_resolve_given(struct plan *plan, const struct ids_given *given, const struct id_caller *caller,
		      const struct id_files *files, struct err *err);
/* Words INSIDE:OUTSIDE:COUNT, up to a NULL. */
int ids_parse_map(const char *const *words, const char *option, struct idmap *ret, struct err *err);
/* Refuses a map that is malformed, reaches host id 0 (unless `host_root`), or reaches ids that this user namespace (`visible`; NULL in the initial one) does
 * not have. */
int ids_check_map(const struct idmap *map, const struct idmap *visible, bool host_root, const char *what,
		  struct err *err);
/* This process' own map (/proc/self/uid_map) as far as it has at most IDMAP_EXTENTS_MAX extents; false in the initial namespace. */
bool ids_visible(bool initial_userns, enum subid_kind kind, struct idmap *ret);
/* Lays ranges end to end from container id `inside` on. */
int ids_append(struct idmap *map, uint32_t inside, const struct subid_ranges *ranges, const char *what,
	       struct err *err);

/* plan->state_root of this caller: state_root_name(). Nothing is made. */
int plan_find_state_root(struct plan *plan, struct err *err);

#endif
