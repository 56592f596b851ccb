/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/namespaces.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/join.h>
#include <nsrun/kernel/userns.h>
#include <nsrun/plan/container.h>
#include <nsrun/plan/ids.h>

#include <inttypes.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static const struct {
	const char *name;
	uint64_t flag;
} kinds[NS_COUNT] = {
	[NS_USER] = { "user", CLONE_NEWUSER },	     [NS_PID] = { "pid", CLONE_NEWPID },
	[NS_NET] = { "net", CLONE_NEWNET },	     [NS_MNT] = { "mnt", CLONE_NEWNS },
	[NS_IPC] = { "ipc", CLONE_NEWIPC },	     [NS_UTS] = { "uts", CLONE_NEWUTS },
	[NS_CGROUP] = { "cgroup", CLONE_NEWCGROUP }, [NS_TIME] = { "time", CLONE_NEWTIME },
};

const char *plan_ns_name(enum ns_kind kind)
{
	return kinds[kind].name;
}

uint64_t plan_ns_flag(enum ns_kind kind)
{
	return kinds[kind].flag;
}

const char *plan_ns_use_name(enum ns_use use)
{
	static const char *const names[] = { [NS_NEW] = "new", [NS_HOST] = "host", [NS_JOIN] = "join" };

	return names[use];
}

bool plan_has_userns(const struct plan *plan)
{
	return (plan->namespaces & CLONE_NEWUSER) || plan->ns[NS_USER].use == NS_JOIN;
}

bool plan_joins(const struct plan *plan)
{
	for (enum ns_kind kind = 0; kind < NS_COUNT; kind++)
		if (plan->ns[kind].use == NS_JOIN)
			return true;
	return false;
}

bool plan_ends_by_userns(const struct plan *plan)
{
	/* Of a bundle that says so itself only PID 1's place is known to be its own. */
	if (plan_is_bundle(plan) && plan->ns[NS_USER].use != NS_NEW)
		return false;
	return !plan_owns_ns(plan, NS_PID) && !plan->cgroup_path;
}

enum ns_view plan_ns_view(const struct plan *plan, enum ns_kind kind)
{
	const struct plan_namespace *ns = &plan->ns[kind];

	if (ns->use == NS_NEW || !plan_has_userns(plan))
		return NS_VIEW_MOUNTED;
	/* The user namespace that owns it was joined with it; or it is another's, and only who enters it from outside can. */
	if (ns->use == NS_JOIN)
		return ns->inside ? NS_VIEW_MOUNTED : NS_VIEW_PROVIDED;
	return plan->performer[WORK_VIEWS] == BY_RUNTIME ? NS_VIEW_PROVIDED : NS_VIEW_BOUND;
}

/* ---- words ---- */

int ns_parse_word(const char *option, const char *text, bool network, enum ns_word *ret, const char **ret_rest,
		  struct err *err)
{
	static const char *const known[] = { "private", "host", "ns:", "container:", "none", NULL };
	static const char *const planned[] = { "bridge", "pasta", NULL };
	const char *rest;

	*ret_rest = NULL;
	if (streq(text, "private") || (network && streq(text, "none"))) {
		*ret = NS_WORD_PRIVATE;
		return 0;
	}
	if (streq(text, "host")) {
		*ret = NS_WORD_HOST;
		return 0;
	}
	if ((rest = str_after(text, "ns:"))) {
		if (*rest != '/')
			return err_input(err, "--%s %s: an absolute path is wanted after ns:", option, text);
		*ret = NS_WORD_PATH;
		*ret_rest = rest;
		return 0;
	}
	if ((rest = str_after(text, "container:"))) {
		if (!*rest)
			return err_input(
				err, "--%s %s: the name or id of a container is wanted after container:", option, text);
		*ret = NS_WORD_CONTAINER;
		*ret_rest = rest;
		return 0;
	}
	for (size_t i = 0; network && planned[i]; i++)
		if (streq(text, planned[i]))
			return err_set(err, ERR_INPUT, ERR_ID_NOT_BUILT, 0, "--%s %s", option, text);
	const char *near = nearest_word(text, known);
	if (near && !network && streq(near, "none"))
		near = NULL;
	return err_set(err, ERR_INPUT, ERR_ID_NONE, 0,
		       "--%s %s: one of %sprivate, host, ns:PATH, container:NAME is wanted%s%s%s", option, text,
		       network ? "none, " : "", near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* Nine digits at most: what timens_offsets holds. */
static int parse_fraction(const char *digits, uint32_t *ret)
{
	const size_t n = strlen(digits);
	uint32_t value = 0;

	if (n < 1 || n > 9)
		return -EINVAL;
	for (size_t i = 0; i < 9; i++) {
		const char c = i < n ? digits[i] : '0';

		if (c < '0' || c > '9')
			return -EINVAL;
		value = value * 10 + (uint32_t)(c - '0');
	}
	*ret = value;
	return 0;
}

#define NS_PER_SECOND 1000000000

static int parse_seconds(const char *text, struct time_offset *ret)
{
	const bool negative = *text == '-';
	char whole[24];
	uint64_t seconds = 0;
	uint32_t nanoseconds = 0;

	if (*text == '-' || *text == '+')
		text++;
	const size_t n = strcspn(text, ".");
	if (n == 0 || n >= sizeof(whole))
		return -EINVAL;
	memcpy(whole, text, n);
	whole[n] = '\0';
	int r = parse_u64(whole, &seconds);
	if (r == 0 && text[n])
		r = parse_fraction(text + n + 1, &nanoseconds);
	if (r < 0 || seconds > INT64_MAX / 2)
		return -EINVAL;
	/* The kernel adds: -1.25 is -2 seconds and 750 million nanoseconds. */
	*ret = !negative      ? (struct time_offset){ (int64_t)seconds, nanoseconds }
	       : !nanoseconds ? (struct time_offset){ -(int64_t)seconds, 0 }
			      : (struct time_offset){ -(int64_t)seconds - 1, NS_PER_SECOND - nanoseconds };
	return 0;
}

/* The kernel's bounds (proc_timens_set_offset): no clock before 0, none beyond half of what it can count. */
#define CLOCK_SECONDS_MAX (INT64_MAX / NS_PER_SECOND / 2)

int ns_check_time_offset(bool boottime, const struct time_offset *offset, struct err *err)
{
	struct timespec now;

	if (offset->nanoseconds >= NS_PER_SECOND)
		return err_input(err, "%" PRIu32 " nanoseconds are a second or more", offset->nanoseconds);
	if (clock_gettime(boottime ? CLOCK_BOOTTIME : CLOCK_MONOTONIC, &now) < 0)
		return err_system(err, "the clock");
	const int64_t carried = now.tv_nsec + (int64_t)offset->nanoseconds >= NS_PER_SECOND;
	if (offset->seconds < -now.tv_sec - carried)
		return err_input(err, "the clock, at %jd seconds now, would be negative", (intmax_t)now.tv_sec);
	if (offset->seconds > CLOCK_SECONDS_MAX - now.tv_sec - carried)
		return err_input(err, "the kernel's clocks end at %jd seconds", (intmax_t)CLOCK_SECONDS_MAX);
	return 0;
}

int ns_parse_time_offset(const char *text, bool *ret_boottime, struct time_offset *ret, struct err *err)
{
	static const char *const known[] = { "monotonic", "boottime", NULL };
	struct time_offset offset;
	struct err why = ERR_INIT;
	char name[16];
	const size_t n = strcspn(text, "=");

	snprintf(name, sizeof(name), "%.*s", (int)(n < sizeof(name) ? n : sizeof(name) - 1), text);
	const bool boottime = streq(name, known[1]);
	if (!text[n] || (!boottime && !streq(name, known[0]))) {
		const char *near = text[n] ? nearest_word(name, known) : NULL;

		return err_input(err,
				 "--time-offset %s: monotonic=SECONDS or boottime=SECONDS is wanted%s%s%s (the others, "
				 "CLOCK_REALTIME among them, have no offset)",
				 text, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	}
	if (parse_seconds(text + n + 1, &offset) < 0)
		return err_input(err, "--time-offset %s: seconds with at most nine digits after the point are wanted",
				 text);
	const int r = ns_check_time_offset(boottime, &offset, &why);
	if (r < 0)
		return err_set(err, why.kind, why.id, why.errnum, "--time-offset %s: %s", text, why.message);
	*ret_boottime = boottime;
	*ret = offset;
	return 0;
}

/* ---- what is asked for ---- */

struct resolution {
	struct plan *plan;
	const struct plan_request *request;
};

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

	int done = join_open(ns->path, kinds[kind].flag, &fd, &why);
	if (done < 0)
		return err_set(err, why.kind, why.id, why.errnum, "%s: %s", what, why.message);
	if (fstat(fd, &st) < 0)
		return err_system(err, "%s", what);
	/* One's own need not be entered, and an ordinary user could not. */
	if (ns_is_own(kinds[kind].name, &st)) {
		ns->use = NS_HOST;
		return 0;
	}
	ns->device = st.st_dev;
	ns->inode = st.st_ino;
	return kind == NS_USER ? adopt_maps(&j, fd, "the user namespace", err) : check_owner(&j, ns, fd, err);
}

static int resolve_join(const struct resolution *r, enum ns_kind kind, const char *option, struct err *err)
{
	const struct plan_request *request = r->request;
	const char *what = arena_printf(r->plan->arena, "--%s %s", option, r->plan->ns[kind].word);

	if (!what)
		return err_oom(err);
	return plan_join_namespace(r->plan, kind, what, request->uid_map || request->gid_map || request->userns_remap,
				   err);
}

static int find_container(const struct resolution *r, enum ns_kind kind, const char *option, const char *name,
			  struct err *err)
{
	_cleanup_(container_done) struct container container = { 0 };
	struct plan_namespace *ns = &r->plan->ns[kind];
	struct pidref init = PIDREF_NONE;
	struct err why = ERR_INIT;

	int done = container_find(name, &container, &why);
	if (done == 0)
		done = container_open_init(&container, &init, &why);
	if (done < 0)
		return err_set(err, why.kind, why.id, why.errnum, "--%s %s: %s", option, ns->word, why.message);
	ns->path = arena_printf(r->plan->arena, "/proc/%d/ns/%s", (int)init.pid, kinds[kind].name);
	done = ns->path ? resolve_join(r, kind, option, err) : err_oom(err);
	/* Looked at by its number, which was that of the container's init all the while. */
	if (done == 0 && pidref_ended(&init))
		done = err_set(err, ERR_INPUT, ERR_ID_NOT_RUNNING, ESRCH, "--%s %s", option, ns->word);
	pidref_close(&init);
	return done;
}

static int resolve_one(const struct resolution *r, enum ns_kind kind, const char *option, const char *text,
		       struct err *err)
{
	struct plan_namespace *ns = &r->plan->ns[kind];
	enum ns_word word;
	const char *rest;

	if (!text)
		return 0;
	const int done = ns_parse_word(option, text, kind == NS_NET, &word, &rest, err);
	if (done < 0)
		return done;
	ns->word = word == NS_WORD_PRIVATE ? "new" : arena_strdup(r->plan->arena, text);
	if (!ns->word)
		return err_oom(err);
	switch (word) {
	case NS_WORD_PRIVATE:
		ns->use = NS_NEW;
		return 0;
	case NS_WORD_HOST:
		ns->use = NS_HOST;
		return 0;
	case NS_WORD_PATH:
		ns->use = NS_JOIN;
		ns->path = arena_strdup(r->plan->arena, rest);
		return ns->path ? resolve_join(r, kind, option, err) : err_oom(err);
	case NS_WORD_CONTAINER:
		ns->use = NS_JOIN;
		return find_container(r, kind, option, rest, err);
	}
	return 0;
}

static int resolve_offsets(const struct resolution *r, struct err *err)
{
	const char *const *texts = r->request->time_offsets;
	struct plan *plan = r->plan;
	bool said[2] = { false, false };

	if (!texts || !*texts)
		return 0;
	if (!r->request->time) /* what else could be meant */
		plan->ns[NS_TIME] = (struct plan_namespace){ .use = NS_NEW, .word = "new" };
	if (!plan_owns_ns(plan, NS_TIME))
		return err_input(
			err,
			"--time-offset %s: contradicts --time %s: the offsets of a time namespace are fixed once a "
			"process is in it (time_namespaces(7))",
			*texts, r->request->time);
	for (; *texts; texts++) {
		struct time_offset offset;
		bool boottime;
		const int done = ns_parse_time_offset(*texts, &boottime, &offset, err);

		if (done < 0)
			return done;
		if (said[boottime])
			return err_input(err, "--time-offset %s: this clock has an offset already", *texts);
		said[boottime] = true;
		*(boottime ? &plan->boottime : &plan->monotonic) = offset;
	}
	return 0;
}

/* What is another's is not changed for this container. */
static int check_conflicts(const struct resolution *r, struct err *err)
{
	const struct plan_request *request = r->request;
	const struct plan *plan = r->plan;

	if (!plan_owns_ns(plan, NS_UTS) && (request->hostname || request->domainname))
		return err_input(err,
				 "--%s %s: contradicts --uts %s: the name would be set for all that use that namespace",
				 request->hostname ? "hostname" : "domainname",
				 request->hostname ? request->hostname : request->domainname, request->uts);
	if (!plan_owns_ns(plan, NS_IPC) && request->shm_size)
		return err_input(err, "--shm-size %s: contradicts --ipc %s: /dev/shm is not the container's own",
				 request->shm_size, request->ipc);
	return 0;
}

int plan_resolve_namespaces(struct plan *plan, const struct plan_request *request, struct err *err)
{
	const struct resolution r = { plan, request };
	const struct {
		enum ns_kind kind;
		const char *option, *text;
	} asked[] = {
		{ NS_PID, "pid", request->pid },
		{ NS_NET, "network", request->network },
		{ NS_IPC, "ipc", request->ipc },
		{ NS_UTS, "uts", request->uts },
		{ NS_CGROUP, "cgroupns", request->cgroupns },
		{ NS_TIME, "time", request->time },
	};
	int done = 0;

	for (enum ns_kind kind = 0; kind < NS_COUNT; kind++)
		plan->ns[kind] = (struct plan_namespace){ .use = NS_NEW, .word = "new" };
	if (!(plan->namespaces & CLONE_NEWUSER))
		plan->ns[NS_USER] = (struct plan_namespace){ .use = NS_HOST, .word = "host" };
	plan->ns[NS_TIME] = (struct plan_namespace){ .use = NS_HOST, .word = "host" };
	for (size_t i = 0; done == 0 && i < ARRAY_LEN(asked); i++)
		done = resolve_one(&r, asked[i].kind, asked[i].option, asked[i].text, err);
	if (done == 0)
		done = resolve_offsets(&r, err);
	return done == 0 ? check_conflicts(&r, err) : done;
}

int plan_settle_namespaces(struct plan *plan, struct err *err)
{
	/* Without a PID 1 of its own nothing but the group ends all of its processes; or the user namespace, unless others are in it. */
	if (plan_ends_by_userns(plan) && plan->ns[NS_USER].use != NS_NEW)
		return err_set(
			err, ERR_INPUT, ERR_ID_NO_DELEGATION, 0,
			"--pid %s: without a control group of its own its processes could not be told from others and "
			"would outlive it",
			plan->ns[NS_PID].word);
	for (enum ns_kind kind = 0; kind < NS_COUNT; kind++) {
		/* A cgroup namespace's root is the group at its making (cgroup_namespaces(7)): v1 groups are entered after the clone. A time
		 * namespace made by clone3(2) has its first process at once, and then no offset can be written (EACCES). */
		const bool later = (kind == NS_CGROUP && plan->placed_late) || kind == NS_TIME;

		if (plan->ns[kind].use == NS_NEW)
			*(later ? &plan->namespaces_later : &plan->namespaces) |= kinds[kind].flag;
	}
	return 0;
}
