/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/filter_cache.h>
#include <nsrun/plan/plan.h>
#include <nsrun/plan/seccomp_builtin.h>
#include <nsrun/plan/seccomp_json.h>
#include <nsrun/plan/seccomp_profile.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#define MAX_PROFILE (8U << 20)

const struct builtin_profile *builtin_profile_find(const char *name)
{
	for (size_t i = 0; i < n_builtin_profiles; i++)
		if (streq(builtin_profiles[i].name, name))
			return &builtin_profiles[i];
	return NULL;
}

static bool below(const unsigned a[2], const unsigned b[2])
{
	return a[0] < b[0] || (a[0] == b[0] && a[1] < b[1]);
}

const struct seccomp_program *seccomp_precompiled(const char *profile, uint64_t caps)
{
	struct utsname name;
	unsigned kernel[2];

	for (size_t i = 0; i < n_builtin_filters; i++) {
		const struct builtin_filter *filter = &builtin_filters[i];

		if (filter->caps != caps || !streq(filter->profile, profile))
			continue;
		if (uname(&name) < 0 || sscanf(name.release, "%u.%u", &kernel[0], &kernel[1]) != 2)
			return NULL;
		if (below(kernel, filter->kernels.from) || !below(kernel, filter->kernels.before))
			return NULL;
		return &filter->program;
	}
	return NULL;
}

static void program_freep(struct seccomp_program *program)
{
	seccomp_program_free(program);
}

/* A notification goes to a listener that config.json names (listenerPath); without one every such call would be ENOSYS. */
static int refuse_notify(const struct seccomp_rules *rules, const char *name, struct err *err)
{
	bool notify =
		rules->default_action == SCMP_ACT_NOTIFY || (rules->flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);

	for (size_t i = 0; i < rules->n_rules; i++)
		notify = notify || rules->rules[i].action == SCMP_ACT_NOTIFY;
	if (notify)
		return err_set(err, ERR_INPUT, ERR_ID_NOT_BUILT, 0, "%s: SCMP_ACT_NOTIFY needs a listener", name);
	return 0;
}

static int read_rules(const char *text, size_t size, const char *name, uint64_t caps, struct arena *arena,
		      struct seccomp_rules *ret, struct err *err)
{
	struct seccomp_profile profile;

	const int r = seccomp_json_parse(text, size, name, arena, &profile, err);
	return r < 0 ? r : seccomp_profile_resolve(&profile, caps, arena, ret, err);
}

/* Of config.json: it has no conditions, so that nothing depends on capabilities. */
static int read_bundle_rules(const char *text, size_t size, const char *name, struct arena *arena,
			     struct seccomp_rules *ret, struct err *err)
{
	struct seccomp_profile profile;

	const int r = seccomp_json_parse_oci(text, size, name, "linux.seccomp", arena, &profile, err);
	return r < 0 ? r : seccomp_profile_resolve(&profile, 0, arena, ret, err);
}

static int compile(const struct plan *plan, const struct filter_key *key, const char *name,
		   const struct seccomp_program **ret, struct err *err)
{
	struct arena *arena = plan->arena;
	_cleanup_(program_freep) struct seccomp_program program = { 0 };
	struct seccomp_program *kept;
	struct sock_filter *insns;
	struct seccomp_rules rules;
	int r;

	if (plan_is_bundle(plan))
		r = read_bundle_rules(key->profile, key->size, name, arena, &rules, err);
	else
		r = read_rules(key->profile, key->size, name, key->caps, arena, &rules, err);
	if (r == 0 && !plan_is_bundle(plan))
		r = refuse_notify(&rules, name, err);
	if (r < 0)
		return r;
	r = seccomp_compile(&rules, &program, err);
	if (r < 0)
		return r;

	kept = arena_alloc(arena, sizeof(*kept));
	insns = arena_array(arena, program.len, sizeof(*insns));
	if (!kept || !insns)
		return err_oom(err);
	memcpy(insns, program.insns, program.len * sizeof(*insns));
	*kept = (struct seccomp_program){ .len = program.len, .insns = insns, .flags = program.flags };
	*ret = kept;
	return 0;
}

/* From the cache, or compiled and marked for it: nothing is written before the container is reserved. */
static int find_or_compile(struct plan *plan, const char *text, size_t size, const char *name,
			   const struct seccomp_program **ret, struct err *err)
{
	const struct filter_key key = {
		.profile = text,
		.size = size,
		.caps = plan_is_bundle(plan) ? 0 : plan->caps.bounding,
	};
	struct filter_entry *entry;
	char *copy;

	*ret = filter_cache_find(NULL, &key, plan->arena);
	if (*ret)
		return 0;
	const int r = compile(plan, &key, name, ret, err);
	if (r < 0)
		return r;
	entry = arena_alloc(plan->arena, sizeof(*entry));
	copy = arena_alloc(plan->arena, size);
	if (!entry || !copy)
		return err_oom(err);
	memcpy(copy, text, size);
	*entry = (struct filter_entry){ .key = key, .program = *ret };
	entry->key.profile = copy;
	plan->new_filter = entry;
	return 0;
}

static int compile_word(struct plan *plan, const char *word, const struct seccomp_program **ret, struct err *err)
{
	const struct builtin_profile *builtin = builtin_profile_find(word);
	_cleanup_free_ char *text = NULL;
	size_t size;

	if (builtin)
		return find_or_compile(plan, builtin->text, builtin->size, builtin->name, ret, err);
	if (!strchr(word, '/') && access(word, F_OK) < 0 && errno == ENOENT) {
		const char *const words[] = { "default", "strict", "docker", "unconfined", NULL };
		const char *near = nearest_word(word, words);

		return err_input(err, "seccomp=%s: neither a file nor default, strict, docker or unconfined%s%s", word,
				 near ? "; the nearest is " : "", near ? near : "");
	}
	struct err why = ERR_INIT;
	if (file_read_at(AT_FDCWD, word, MAX_PROFILE, &text, &size, &why) < 0)
		return err_set(err, why.kind, why.id, why.errnum, "--security-opt seccomp=%s", why.message);
	return find_or_compile(plan, text, size, word, ret, err);
}

int plan_seccomp_rules(const struct plan *plan, struct seccomp_rules *ret, struct err *err)
{
	const struct builtin_profile *builtin = builtin_profile_find(plan->seccomp_name);
	_cleanup_free_ char *text = NULL;
	size_t size;

	if (builtin)
		return read_rules(builtin->text, builtin->size, builtin->name, plan->caps.bounding, plan->arena, ret,
				  err);
	const int r = file_read_at(AT_FDCWD, plan->seccomp_name, MAX_PROFILE, &text, &size, err);
	return r < 0 ? r : read_rules(text, size, plan->seccomp_name, plan->caps.bounding, plan->arena, ret, err);
}

static bool permits(const struct seccomp_program *program, int nr)
{
	static const uint64_t no_args[6];
	uint32_t action = seccomp_evaluate(program, nr, no_args) & SECCOMP_RET_ACTION_FULL;

	return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG;
}

/* A listener decides, which has its descriptor before nsrun calls anything under the filter. */
static bool asks(const struct plan *plan, const struct seccomp_program *program, int nr)
{
	static const uint64_t no_args[6];

	return plan_is_bundle(plan) &&
	       (seccomp_evaluate(program, nr, no_args) & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_USER_NOTIF;
}

struct own_call {
	int nr;
	const char *name;
};

#define CALL(name)                \
	{                         \
		SYS_##name, #name \
	}

static int check_calls(const struct plan *plan, const struct seccomp_program *program, const char *name,
		       const struct own_call *calls, size_t n, const char *what, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (!permits(program, calls[i].nr) && !asks(plan, program, calls[i].nr))
			return err_refused(err, ERR_ID_SECCOMP_GATE, "%s: the profile denies %s(2), by which init %s",
					   name, calls[i].name, what);
	return 0;
}

/* The gate, and the hooks behind it: what a filter that is in force before them must let through. */
static int check_permits_gate(const struct plan *plan, const struct seccomp_program *program, const char *name,
			      struct err *err)
{
	static const struct own_call gate[] = { CALL(read), CALL(write) };
	static const struct own_call hooks[] = {
		CALL(clone),	    CALL(close),  CALL(dup3),	CALL(fcntl), CALL(getpid),     CALL(lseek),
		CALL(memfd_create), CALL(mmap),	  CALL(pipe2),	CALL(prctl), CALL(pidfd_open),
#ifdef SYS_poll
		CALL(poll),
#else
		CALL(ppoll),
#endif
		CALL(read),	    CALL(setsid), CALL(waitid), CALL(write),
	};
	const struct plan_bundle *bundle = plan->bundle;
	int r = 0;

	if (bundle && bundle->gated)
		r = check_calls(plan, program, name, gate, ARRAY_LEN(gate), "waits for start", err);
	if (r == 0 && bundle && bundle->hooks[HOOK_START_CONTAINER].n)
		r = check_calls(plan, program, name, hooks, ARRAY_LEN(hooks), "runs hooks.startContainer", err);
	return r;
}

/* What nsrun itself must still do once the filter is in force. */
static int check_permits(const struct plan *plan, const struct seccomp_program *program, const char *name,
			 struct err *err)
{
	if (!permits(program, SYS_execve) && !asks(plan, program, SYS_execve))
		return err_input(err, "%s: the profile denies execve(2), so that no CMD could be started", name);
	if (!plan->no_new_privs && !permits(program, SYS_capset) && !asks(plan, program, SYS_capset))
		return err_refused(err, ERR_ID_SECCOMP_ORDER, "%s: the profile denies capset(2)", name);
	return check_permits_gate(plan, program, name, err);
}

int plan_resolve_bundle_seccomp(struct plan *plan, const char *text, size_t size, const char *name, struct err *err)
{
	const struct seccomp_program *program;
	const char *where = arena_printf(plan->arena, "%s: linux.seccomp", name);

	if (!where)
		return err_oom(err);
	int r = find_or_compile(plan, text, size, name, &program, err);
	if (r == 0)
		r = check_permits(plan, program, where, err);
	if (r < 0)
		return r;
	plan->seccomp_name = "linux.seccomp";
	plan->seccomp = program;
	return 0;
}

int plan_resolve_seccomp(struct plan *plan, const char *word, struct err *err)
{
	const struct seccomp_program *program;
	char *name;
	int r;

	name = arena_strdup(plan->arena, word);
	if (!name)
		return err_oom(err);
	if (streq(word, "unconfined")) {
		plan->seccomp_name = name;
		plan->seccomp = NULL;
		return 0;
	}
	program = seccomp_precompiled(word, plan->caps.bounding);
	if (!program) {
		r = compile_word(plan, word, &program, err);
		if (r < 0)
			return r;
	}
	r = check_permits(plan, program, word, err);
	if (r < 0)
		return r;
	plan->seccomp_name = name;
	plan->seccomp = program;
	return 0;
}
