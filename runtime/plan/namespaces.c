/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/namespaces.h>

#include <nsrun/base/strings.h>
#include <nsrun/plan/container.h>

#include <linux/sched.h>

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

/* ---- what is asked for ---- */

struct resolution {
	struct plan *plan;
	const struct plan_request *request;
};

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
