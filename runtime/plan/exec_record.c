/* SPDX-License-Identifier: Apache-2.0 */
/* The process of an exec, as the container's record has it: words, user, environment, confinement. */
#include <nsrun/plan/exec_parts.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/plan/process.h>
#include <nsrun/plan/seccomp_builtin.h>
#include <nsrun/plan/seccomp_profile.h>

#include <fcntl.h>
#include <linux/filter.h>
#include <string.h>
#include <unistd.h>

#define NODES_MAX 1024 /* as config.json is read */

static int no_such(const struct container *container, const char *key, const char *what, struct err *err)
{
	return err_input(err, "%s/state.json: process: \"%s\" is no %s", container->dir, key, what);
}

static int read_strings(struct arena *arena, const struct container *container, const json_t *process, const char *key,
			const char *without, const char *const **ret, struct err *err)
{
	const json_t *list = json_object_get(process, key), *entry;
	const char **strings = arena_array(arena, json_array_size(list) + 1, sizeof(*strings));
	size_t i, n = 0;

	if (!strings)
		return err_oom(err);
	if (!json_is_array(list))
		return no_such(container, key, "list of strings", err);
	json_array_foreach(list, i, entry)
	{
		const char *text = json_string_value(entry);

		if (!text)
			return no_such(container, key, "list of strings", err);
		if (without && str_after(text, without))
			continue;
		strings[n] = arena_strdup(arena, text);
		if (!strings[n++])
			return err_oom(err);
	}
	*ret = strings;
	return 0;
}

static int read_cap_set(const struct container *container, const json_t *caps, const char *key, uint64_t *ret,
			struct err *err)
{
	const char *text = json_string_value(json_object_get(caps, key)), *digits = text ? str_after(text, "0x") : NULL;
	char *end;

	if (!digits || !*digits || strspn(digits, "0123456789abcdef") != strlen(digits) || strlen(digits) > 16)
		return no_such(container, key, "set of capabilities", err);
	*ret = strtoull(digits, &end, 16);
	return 0;
}

static int read_caps(struct plan *plan, const struct container *container, const json_t *process, struct err *err)
{
	const json_t *caps = json_object_get(process, "caps");
	struct {
		const char *key;
		uint64_t *set;
	} sets[] = {
		{ "bounding", &plan->caps.bounding },	{ "effective", &plan->caps.effective },
		{ "permitted", &plan->caps.permitted }, { "inheritable", &plan->caps.inheritable },
		{ "ambient", &plan->caps.ambient },
	};

	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		const int r = read_cap_set(container, caps, sets[i].key, sets[i].set, err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* The very program that the container has: the file it was compiled from may be another one by now. */
static int read_filter(struct plan *plan, const struct container *container, const json_t *process, struct err *err)
{
	const json_t *flags = json_object_get(process, "seccomp_flags");
	struct seccomp_program *program = arena_alloc(plan->arena, sizeof(*program));
	const char *path = arena_printf(plan->arena, "%s/filter.bpf", container->dir);
	_cleanup_free_ char *data = NULL;
	size_t size;

	if (!program || !path)
		return err_oom(err);
	const int r = file_read_at(AT_FDCWD, path, BPF_MAXINSNS * sizeof(struct sock_filter), &data, &size, err);
	if (r < 0)
		return r;
	if (size == 0 || size % sizeof(struct sock_filter) || !json_is_integer(flags))
		return err_input(err, "%s: is no filter (%zu bytes)", path, size);
	struct sock_filter *insns = arena_array(plan->arena, size / sizeof(*insns), sizeof(*insns));
	if (!insns)
		return err_oom(err);
	memcpy(insns, data, size);
	*program = (struct seccomp_program){ .len = (unsigned short)(size / sizeof(*insns)),
					     .insns = insns,
					     .flags = (unsigned)json_integer_value(flags) };
	plan->seccomp = program;
	return 0;
}

/* A protection that the container itself was started without would make exec another place than the container. */
static int read_without(struct plan *plan, const struct container *container, const json_t *process, struct err *err)
{
	const json_t *list = json_object_get(process, "without"), *name;
	const char **names;
	size_t i;

	if (!list)
		return 0;
	if (!json_is_array(list))
		return no_such(container, "without", "list of rows", err);
	names = arena_array(plan->arena, json_array_size(list) + 1, sizeof(*names));
	if (!names)
		return err_oom(err);
	json_array_foreach(list, i, name)
	{
		names[i] = json_is_string(name) ? arena_strdup(plan->arena, json_string_value(name)) : NULL;
		if (!names[i])
			return no_such(container, "without", "list of rows", err);
	}
	plan->without = names;
	return 0;
}

int plan_exec_read_confinement(struct plan *plan, const struct container *container, const json_t *process,
			       struct err *err)
{
	const json_t *no_new_privs = json_object_get(process, "no_new_privs");
	const json_t *seccomp = json_object_get(process, "seccomp");

	/* What is not there must not pass for "no". */
	if (!json_is_boolean(no_new_privs))
		return no_such(container, "no_new_privs", "boolean", err);
	if (!json_is_string(seccomp) && !json_is_null(seccomp))
		return no_such(container, "seccomp", "name of a filter", err);
	plan->no_new_privs = json_is_true(no_new_privs);
	plan->root_nosuid = plan->no_new_privs;
	int r = read_caps(plan, container, process, err);
	if (r == 0)
		r = read_without(plan, container, process, err);
	if (r < 0 || json_is_null(seccomp))
		return r;
	plan->seccomp_name = arena_strdup(plan->arena, json_string_value(seccomp));
	if (!plan->seccomp_name)
		return err_oom(err);
	return builtin_profile_find(plan->seccomp_name) ? plan_resolve_seccomp(plan, plan->seccomp_name, err)
							: read_filter(plan, container, process, err);
}

static int read_memory_policy(struct plan *plan, const struct container *container, const json_t *process,
			      struct err *err)
{
	const json_t *recorded = json_object_get(process, "memory_policy"), *list = json_object_get(recorded, "nodes");
	struct memory_policy *policy = arena_alloc(plan->arena, sizeof(*policy));
	const json_t *entry;
	char text[4096] = "";
	size_t i, used = 0;

	if (!recorded)
		return 0;
	if (!policy)
		return err_oom(err);
	json_array_foreach(list, i, entry)
	{
		const int n = snprintf(text + used, sizeof(text) - used, "%s%" JSON_INTEGER_FORMAT, i ? "," : "",
				       json_integer_value(entry));

		used += n > 0 && used + (size_t)n < sizeof(text) ? (size_t)n : 0;
	}
	policy->mode = (int)json_integer_value(json_object_get(recorded, "mode"));
	if (number_set_parse(plan->arena, text, NODES_MAX, &policy->nodes) < 0)
		return no_such(container, "memory_policy", "policy of memory", err);
	plan->memory_policy = policy;
	return 0;
}

static int read_text(struct plan *plan, const json_t *object, const char *key, const char **ret, struct err *err)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (!text || !*text)
		return 0;
	*ret = arena_strdup(plan->arena, text);
	return *ret ? 0 : err_oom(err);
}

static int read_listener(struct plan *plan, struct plan_enter *enter, const struct container *container,
			 struct err *err)
{
	const json_t *recorded = json_object_get(container->state, "bundle");
	const json_t *listener = json_object_get(recorded, "listener");
	struct plan_bundle *bundle = arena_alloc(plan->arena, sizeof(*bundle));
	_cleanup_free_ char *annotations = json_dumps(json_object_get(recorded, "annotations"), JSON_COMPACT);

	if (!listener)
		return 0;
	if (!bundle)
		return err_oom(err);
	bundle->annotations = annotations ? arena_strdup(plan->arena, annotations) : NULL;
	int r = read_text(plan, listener, "path", &bundle->listener.path, err);
	if (r == 0)
		r = read_text(plan, listener, "metadata", &bundle->listener.metadata, err);
	if (r == 0)
		r = read_text(plan, recorded, "dir", &bundle->dir, err);
	if (r == 0)
		r = read_text(plan, recorded, "oci_version", &bundle->oci_version, err);
	enter->bundle = bundle;
	return r;
}

/* Of a bundle's container: as its first process has it. */
int plan_exec_read_settings(struct plan *plan, struct plan_enter *enter, const struct container *container,
			    const json_t *process, struct err *err)
{
	const json_t *personality = json_object_get(process, "personality");

	int r = read_text(plan, process, "apparmor", &plan->labels.apparmor, err);
	if (r == 0)
		r = read_text(plan, process, "selinux", &plan->labels.selinux, err);
	if (r == 0)
		r = read_memory_policy(plan, container, process, err);
	if (r == 0)
		r = read_listener(plan, enter, container, err);
	plan->has_personality = json_is_integer(personality);
	plan->personality = (unsigned long)json_integer_value(personality);
	return r;
}

/* "1000" of an engine is a user id alone: the group stays the container's, whatever /etc/passwd says. */
static const char *asked_user(struct plan *plan, const struct exec_request *request, const struct container *container,
			      const char *recorded)
{
	const char *user = request->process.user, *colon = strchr(recorded, ':');

	if (!user || !request->engine || !container_is_bundle(container) || !colon ||
	    strspn(user, "0123456789") != strlen(user))
		return user;
	return arena_printf(plan->arena, "%s%s", user, colon);
}

static int add_groups(struct plan *plan, const char *const *recorded, const char *const *more, const char *const **ret,
		      struct err *err)
{
	size_t n = 0, m = 0;

	while (recorded[n])
		n++;
	while (more && more[m])
		m++;
	const char **groups = arena_array(plan->arena, n + m + 1, sizeof(*groups));
	if (!groups)
		return err_oom(err);
	memcpy(groups, recorded, n * sizeof(*groups));
	if (m)
		memcpy(groups + n, more, m * sizeof(*groups));
	*ret = groups;
	return 0;
}

int plan_exec_read_process(struct plan *plan, const struct exec_request *whole, const struct container *container,
			   const json_t *process, struct err *err)
{
	const struct plan_request *request = &whole->process;
	const json_t *umask = json_object_get(process, "umask");
	const char *user = json_string_value(json_object_get(process, "user"));
	const char *cwd = json_string_value(json_object_get(process, "cwd"));
	struct plan_request asked = {
		.argv = request->argv,
		.env = request->env,
		.env_files = request->env_files,
		.workdir = request->workdir,
		.user = request->user,
		.group_add = request->group_add,
		.terminal = whole->engine || request->detach == YES ? NO : request->terminal,
		.interactive = request->detach == YES && !whole->engine ? NO : request->interactive,
	};
	struct image_config recorded = { .path = container->dir, .user = user, .workdir = cwd };
	const char *const *groups = NULL;

	if (request->detach == YES && request->terminal == YES && !whole->engine)
		return err_input(err, "--detach and --tty contradict each other: nobody would look at the terminal");
	if (!user || !cwd)
		return no_such(container, user ? "cwd" : "user", "string", err);
	if (!json_is_integer(umask) || json_integer_value(umask) < 0 || json_integer_value(umask) > 0777)
		return no_such(container, "umask", "file mode creation mask", err);
	/* The terminal's name is that of the one that is used now. */
	const bool terminal = asked.terminal == YES || (asked.terminal == UNSET && asked.interactive != NO &&
							isatty(STDIN_FILENO) && isatty(STDOUT_FILENO));
	asked.user = asked_user(plan, whole, container, user);
	int r = read_strings(plan->arena, container, process, "env", terminal ? "TERM=" : NULL, &recorded.env, err);
	if (r == 0)
		r = read_strings(plan->arena, container, process, "groups", NULL, &groups, err);
	if (r < 0)
		return r;
	r = add_groups(plan, asked.group_add ?: groups, whole->additional_gids, &asked.group_add, err);
	if (r == 0)
		r = plan_resolve_process_of(plan, &asked, &recorded, err);
	plan->umask = (mode_t)json_integer_value(umask);
	plan->detached = request->detach == YES;
	if (whole->engine)
		plan->terminal = request->terminal == YES;
	return r;
}
