/* SPDX-License-Identifier: Apache-2.0 */
/* process: config.md, "Process" and "POSIX process". */
#include <nsrun/oci/config.h>

#include <nsrun/base/strings.h>
#include <nsrun/plan/process.h>

#include <ctype.h>
#include <limits.h>
#include <linux/capability.h>
#include <string.h>
#include <unistd.h>

#define RLIMIT_PREFIX "RLIMIT_"

/* The process object, the plan that it is read into, and the reader where it is config.json's. */
struct process {
	const struct json_at *at;
	struct plan *plan;
	struct oci_reader *reader;
	bool further; /* exec --process */
};

/* Config.md: what cannot be granted is told, and is no error. */
static int warn(const struct process *p, const struct json_at *at, struct err *err, const char *what, const char *why)
{
	return oci_warn(p->reader, at, err, "%s%s", what, why);
}

/* ---- args, env, cwd ---- */

static int read_args(const struct process *p, struct err *err)
{
	struct json_at at;
	size_t n = 0;

	if (!json_at_key(p->at, "args", &at))
		return json_at_err(p->at, err, "args is missing");
	const int r = json_at_strings(&at, p->plan->arena, &p->plan->argv, &n, err);
	if (r < 0)
		return r;
	if (n == 0)
		return json_at_err(&at, err, "at least one word is wanted: the program");
	if (!*p->plan->argv[0]) {
		const struct json_at first = json_at_entry(&at, 0);

		return json_at_err(&first, err, "the program's name is empty");
	}
	return 0;
}

/* Of two of the same name the last one counts, as in a shell that reads them one after the other. */
static void keep_last(const char **env, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		const size_t name = strcspn(env[i], "=") + 1;
		bool again = false;

		for (size_t k = i + 1; k < n && !again; k++)
			again = strncmp(env[i], env[k], name) == 0;
		if (!again)
			env[kept++] = env[i];
	}
	env[kept] = NULL;
}

/* Comparing each with each is for what people write, not for what a file of megabytes may hold. */
#define ENV_COMPARED_MAX 4096

static int read_env(const struct process *p, struct err *err)
{
	struct json_at at;
	const char *const *list;
	size_t n = 0;

	if (!json_at_key(p->at, "env", &at)) {
		p->plan->env = arena_alloc(p->plan->arena, sizeof(*p->plan->env));
		return p->plan->env ? 0 : err_oom(err);
	}
	const int r = json_at_strings(&at, p->plan->arena, &list, &n, err);
	if (r < 0)
		return r;
	const char **env = arena_array(p->plan->arena, n + 1, sizeof(*env));
	if (!env)
		return err_oom(err);
	for (size_t i = 0; i < n; i++) {
		const struct json_at entry = json_at_entry(&at, i);

		if (*list[i] == '=' || !strchr(list[i], '='))
			return json_at_err(&entry, err, "'%s': NAME=VALUE is wanted", list[i]);
		env[i] = list[i];
	}
	if (n <= ENV_COMPARED_MAX)
		keep_last(env, n);
	p->plan->env = env;
	return 0;
}

static int read_cwd(const struct process *p, struct err *err)
{
	struct json_at at;
	const char *cwd;

	if (!json_at_key(p->at, "cwd", &at))
		return json_at_err(p->at, err, "cwd is missing");
	const int r = json_at_string(&at, p->plan->arena, &cwd, err);
	if (r < 0)
		return r;
	if (*cwd != '/')
		return json_at_err(&at, err, "'%s': Cwd must be an absolute path", cwd);
	if (strlen(cwd) >= PATH_MAX)
		return json_at_err(&at, err, "longer than %d bytes", PATH_MAX - 1);
	p->plan->workdir = cwd;
	return 0;
}

/* ---- user ---- */

static int check_mapped(const struct json_at *at, const struct idmap *map, uint32_t id, struct err *err)
{
	uint32_t outside;

	if (idmap_to_outside(map, id, &outside))
		return 0;
	return json_at_err_id(at, err, ERR_ID_ID_NOT_MAPPED, "%u is not among the container's ids", (unsigned)id);
}

static int read_id(const struct json_at *user, const char *key, const struct idmap *map, uint32_t *ret, struct err *err)
{
	struct json_at at;
	int64_t id = 0;

	*ret = 0;
	if (!json_at_key(user, key, &at))
		return 0;
	const int r = json_at_int(&at, 0, IDMAP_ID_MAX, &id, err);
	if (r < 0)
		return r;
	*ret = (uint32_t)id;
	return check_mapped(&at, map, *ret, err);
}

static int read_groups(const struct process *p, const struct json_at *user, struct err *err)
{
	struct plan *plan = p->plan;
	struct json_at at;

	plan->groups = NULL;
	if (!json_at_key(user, "additionalGids", &at))
		return 0;
	int r = json_at_array(&at, err);
	if (r < 0)
		return r;
	const size_t n = json_array_size(at.value);
	if (n > NGROUPS_MAX)
		return json_at_err(&at, err, "more than %d groups", NGROUPS_MAX);
	if (n && plan->deny_setgroups)
		return json_at_err_id(
			&at, err, ERR_ID_SETGROUPS_DENIED,
			"setgroups(2) is denied to a container whose group map was written without privilege");
	const char **groups = arena_array(plan->arena, n + 1, sizeof(*groups));
	if (!groups)
		return err_oom(err);
	for (size_t i = 0; i < n; i++) {
		const struct json_at entry = json_at_entry(&at, i);
		int64_t gid;

		r = json_at_int(&entry, 0, IDMAP_ID_MAX, &gid, err);
		if (r == 0)
			r = check_mapped(&entry, &plan->gids, (uint32_t)gid, err);
		if (r < 0)
			return r;
		groups[i] = arena_printf(plan->arena, "%u", (unsigned)gid);
		if (!groups[i])
			return err_oom(err);
	}
	plan->groups = n ? groups : NULL;
	return 0;
}

static int read_user(const struct process *p, struct err *err)
{
	struct plan *plan = p->plan;
	struct json_at user = { .up = p->at, .key = "user" };
	uint32_t uid = 0, gid = 0;
	int64_t mask = -1;

	int r = json_at_key(p->at, "user", &user) ? json_at_object(&user, err) : 0;
	if (r == 0)
		r = read_id(&user, "uid", &plan->uids, &uid, err);
	if (r == 0)
		r = read_id(&user, "gid", &plan->gids, &gid, err);
	if (r == 0)
		r = json_at_int_of(&user, "umask", 0, 0777, &mask, err);
	if (r == 0)
		r = read_groups(p, &user, err);
	if (r < 0)
		return r;
	if (mask >= 0) /* otherwise 022, as with runc and crun: that of an engine's daemon is nobody's wish */
		plan->umask = (mode_t)mask;
	plan->user = arena_printf(plan->arena, "%u:%u", (unsigned)uid, (unsigned)gid);
	return plan->user ? 0 : err_oom(err);
}

/* ---- capabilities ---- */

static int read_set(const struct process *p, const struct json_at *caps, const char *key, uint64_t grantable,
		    uint64_t *ret, struct err *err)
{
	struct json_at at;
	uint64_t set = 0;

	*ret = 0;
	if (!json_at_key(caps, key, &at))
		return 0;
	int r = json_at_array(&at, err);
	for (size_t i = 0; r == 0 && i < json_array_size(at.value); i++) {
		const struct json_at entry = json_at_entry(&at, i);
		struct err unknown = ERR_INIT;
		const char *name;
		uint64_t mask = 0;

		r = json_at_string(&entry, NULL, &name, err);
		if (r < 0)
			return r;
		if (!str_after(name, "CAP_") || caps_parse(name, &mask, &unknown) < 0)
			r = warn(p, &entry, err, name, ": this kernel has no such capability");
		else if (mask & ~grantable)
			r = warn(p, &entry, err, name, ": the caller does not have it to give");
		set |= mask & grantable;
	}
	*ret = set;
	return r;
}

/* Without a user namespace, which comes with all of them, nobody gives what they do not have. */
int oci_find_grantable(const struct plan *plan, uint64_t *ret, struct err *err)
{
	struct cap_sets own;

	*ret = caps_all();
	if (plan_has_userns(plan) || plan->ns[NS_USER].use == NS_JOIN)
		return 0;
	const int r = caps_get(&own, err);
	if (r == 0)
		*ret = own.permitted & own.bounding;
	return r;
}

static int first_of(const struct json_at *caps, const char *key, uint64_t set, const char *why, struct err *err)
{
	struct json_at at = *caps;
	unsigned cap = 0;

	while (!(set & CAP_MASK(cap)))
		cap++;
	json_at_key(caps, key, &at);
	return json_at_err(&at, err, "%s: %s", caps_name(cap), why);
}

static int read_caps(const struct process *p, struct err *err)
{
	struct cap_sets sets = { 0 };
	struct json_at caps = { .up = p->at, .key = "capabilities" };
	struct {
		const char *key;
		uint64_t *set;
	} lists[] = {
		{ "bounding", &sets.bounding },	  { "effective", &sets.effective },
		{ "permitted", &sets.permitted }, { "inheritable", &sets.inheritable },
		{ "ambient", &sets.ambient },
	};
	uint64_t grantable;

	const bool said = json_at_key(p->at, "capabilities", &caps);
	if (!said && p->further)
		return 0; /* the container's */
	int r = said ? json_at_object(&caps, err) : 0;
	if (r == 0)
		r = oci_find_grantable(p->plan, &grantable, err);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(lists); i++)
		r = read_set(p, &caps, lists[i].key, grantable, lists[i].set, err);
	if (r < 0)
		return r;
	/* capabilities(7): capset(2) would be EPERM. */
	if (sets.effective & ~sets.permitted)
		return first_of(&caps, "effective", sets.effective & ~sets.permitted, "is not permitted", err);
	/* Engines write the ambient set without the inheritable one, and the kernel has none that is not in both. */
	const uint64_t holdable = sets.permitted & sets.inheritable;
	struct json_at ambient;
	if ((sets.ambient & ~holdable) && json_at_key(&caps, "ambient", &ambient))
		r = warn(p, &ambient, err, "", "only what is permitted and inheritable, too, can be ambient");
	sets.ambient &= holdable;
	p->plan->caps = sets;
	return r;
}

/* ---- limits ---- */

static int read_limit_value(const struct json_at *at, const char *key, rlim_t *ret, struct err *err)
{
	struct json_at member;
	uint64_t value = 0;

	if (!json_at_key(at, key, &member))
		return json_at_err(at, err, "%s is missing", key);
	const int r = json_at_u64(&member, &value, err);
	if (r == 0)
		*ret = value;
	return r;
}

static int read_limit_type(const struct json_at *at, int *ret, struct err *err)
{
	char names[RLIM_NLIMITS][32];
	const char *words[RLIM_NLIMITS + 1];
	struct json_at type;
	size_t found = 0;

	for (int i = 0; i < RLIM_NLIMITS; i++) {
		snprintf(names[i], sizeof(names[i]), RLIMIT_PREFIX "%s", rlimit_name(i));
		for (char *c = names[i]; *c; c++)
			*c = (char)toupper((unsigned char)*c);
		words[i] = names[i];
	}
	words[RLIM_NLIMITS] = NULL;
	if (!json_at_key(at, "type", &type))
		return json_at_err(at, err, "type is missing");
	const int r = json_at_word(&type, words, &found, err);
	if (r == 0)
		*ret = (int)found;
	return r;
}

static int read_limit(const struct json_at *at, struct rlimit_setting *ret, struct err *err)
{
	struct rlimit_setting setting = { 0 };
	struct err why = ERR_INIT;
	int r = json_at_object(at, err);

	if (r == 0)
		r = read_limit_type(at, &setting.resource, err);
	if (r == 0)
		r = read_limit_value(at, "soft", &setting.limit.rlim_cur, err);
	if (r == 0)
		r = read_limit_value(at, "hard", &setting.limit.rlim_max, err);
	if (r < 0)
		return r;
	if (setting.limit.rlim_cur > setting.limit.rlim_max)
		return json_at_err(at, err, "the soft limit is above the hard one");
	if (rlimit_check(&setting, &why) < 0)
		return json_at_err_id(at, err, why.id, "%s", why.message);
	*ret = setting;
	return 0;
}

static int read_rlimits(const struct process *p, struct err *err)
{
	struct rlimit_setting *settings;
	struct json_at at;
	bool seen[RLIM_NLIMITS] = { false };

	if (!json_at_key(p->at, "rlimits", &at))
		return 0;
	int r = json_at_array(&at, err);
	if (r < 0)
		return r;
	settings = arena_array(p->plan->arena, RLIM_NLIMITS, sizeof(*settings));
	if (!settings)
		return err_oom(err);
	size_t n = 0;
	for (size_t i = 0; i < json_array_size(at.value); i++) {
		const struct json_at entry = json_at_entry(&at, i);
		struct rlimit_setting setting = { 0 };

		r = read_limit(&entry, &setting, err);
		if (r < 0)
			return r;
		if (seen[setting.resource])
			return json_at_err(&entry, err, "%s is limited already", rlimit_name(setting.resource));
		seen[setting.resource] = true;
		settings[n++] = setting;
	}
	for (size_t i = 0; i < p->plan->n_rlimits; i++) /* exec: those of the container that are not said */
		if (!seen[p->plan->rlimits[i].resource])
			settings[n++] = p->plan->rlimits[i];
	p->plan->rlimits = settings;
	p->plan->n_rlimits = n;
	return 0;
}

/* A score that the kernel refuses is an error of the row: how low one may go is no property of the caller that could be read (oom_score_adj_min in
 * the kernel). Rootless engines know their own score, and ask for none below it. */
static int read_oom_score(const struct process *p, struct err *err)
{
	struct plan *plan = p->plan;
	struct json_at at;
	int64_t score = 0;

	if (!json_at_key(p->at, "oomScoreAdj", &at))
		return 0;
	const int r = json_at_int(&at, -1000, 1000, &score, err);
	if (r < 0)
		return r;
	plan->has_oom_score_adj = true;
	plan->oom_score_adj = (int)score;
	return 0;
}

/* ---- terminal ---- */

static int read_terminal(const struct process *p, struct err *err)
{
	struct plan_bundle *bundle = p->reader->bundle;
	int64_t rows = 0, columns = 0;
	struct json_at size;

	p->plan->terminal = false;
	int r = json_at_bool_of(p->at, "terminal", &p->plan->terminal, err);
	if (r < 0 || !json_at_key(p->at, "consoleSize", &size))
		return r;
	r = json_at_object(&size, err);
	if (r == 0)
		r = json_at_int_of(&size, "height", 0, UINT16_MAX, &rows, err);
	if (r == 0)
		r = json_at_int_of(&size, "width", 0, UINT16_MAX, &columns, err);
	if (r < 0 || !p->plan->terminal) /* config.md: ignored without a terminal */
		return r;
	bundle->has_console_size = rows && columns;
	bundle->console_rows = (uint16_t)rows;
	bundle->console_columns = (uint16_t)columns;
	return 0;
}

static int read_process(const struct process *p, struct err *err)
{
	static int (*const parts[])(const struct process *p, struct err *err) = {
		read_args, read_env, read_cwd, read_user, read_caps, read_rlimits, read_oom_score, read_terminal,
	};
	int r = json_at_object(p->at, err);

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(parts); i++)
		r = parts[i](p, err);
	bool no_new_privs = false;
	if (r == 0)
		r = json_at_bool_of(p->at, "noNewPrivileges", &no_new_privs, err);
	p->plan->no_new_privs |= no_new_privs; /* exec takes back nothing that the container has promised */
	if (r == 0)
		r = oci_read_settings(p->at, p->plan, err);
	return r;
}

int oci_read_process(struct oci_reader *r, struct err *err)
{
	struct json_at at;

	if (!json_at_key(&r->config, "process", &at))
		return json_at_err(&r->config, err, "process is missing");
	const struct process p = { .at = &at, .plan = r->plan, .reader = r };
	int done = read_process(&p, err);
	/* An engine that has its own way for sd_notify(3), as Podman with conmon, has said so. */
	for (const char *const *env = r->plan->env; done == 0 && *env; env++)
		if (str_after(*env, "NOTIFY_SOCKET="))
			r->bundle->notify = NULL;
	if (done == 0 && !r->plan->terminal)
		done = plan_check_standard_fds(true, err);
	return done;
}

int oci_plan_process(const struct json_at *at, struct plan *plan, struct err *err)
{
	struct oci_reader reader = { .plan = plan, .bundle = (struct plan_bundle *)(uintptr_t)plan->bundle };
	const struct process p = { .at = at, .plan = plan, .reader = &reader, .further = true };

	return read_process(&p, err);
}
