/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/exec.h>

#include <nsrun/base/file.h>
#include <nsrun/base/procstat.h>
#include <nsrun/base/strings.h>
#include <nsrun/kernel/probe.h>
#include <nsrun/kernel/systemd.h>
#include <nsrun/plan/process.h>
#include <nsrun/plan/seccomp_builtin.h>
#include <nsrun/plan/seccomp_profile.h>
#include <nsrun/plan/state.h>
#include <nsrun/plan/volumes.h>

#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define NODES_MAX 1024 /* as config.json is read */

/* ---- which process ---- */

static int stat_ns(pid_t pid, enum ns_kind kind, struct stat *ret)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, plan_ns_name(kind));
	return stat(path, ret) < 0 ? -errno : 0;
}

/* The first of them is the workload: orphans that the reaper inherits come after it. */
static pid_t first_child(pid_t pid)
{
	_cleanup_free_ char *text = NULL;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	if (file_read_virtual_at(AT_FDCWD, path, 1 << 20, &text, NULL, NULL) < 0)
		return 0;
	return (pid_t)strtol(text, NULL, 10);
}

static int open_child(const struct pidref *init, struct pidref *ret)
{
	_cleanup_(pidref_close) struct pidref child = PIDREF_NONE;
	const pid_t pid = first_child(init->pid);
	struct procstat stat;

	/* The pidfd first, the parent after: a number that was given away meanwhile has another one. */
	if (pid <= 0 || pidref_open(pid, &child, NULL) < 0 || procstat_read(pid, &stat, NULL) < 0 ||
	    stat.ppid != init->pid || stat.forked_only)
		return -ESRCH;
	*ret = child;
	child = PIDREF_NONE;
	return 0;
}

int plan_exec_open(const struct container *container, struct pidref *ret, struct err *err)
{
	_cleanup_(pidref_close) struct pidref init = PIDREF_NONE;
	const char *label = container_label(container);
	struct pidref child = PIDREF_NONE;
	struct stat ns;

	/* runc's words, which engines show. */
	if (container->status == CONTAINER_STOPPED)
		return err_set(err, ERR_INPUT, ERR_ID_NONE, ESRCH, "cannot exec in a stopped container");
	int r = container_open_init(container, &init, err);
	if (r < 0)
		return r;
	if (container->status != CONTAINER_RUNNING && container->status != CONTAINER_CREATED)
		return err_set(err, ERR_INPUT, ERR_ID_NONE, EAGAIN, "%s: it is %s, and executes nothing yet", label,
			       container_status_name(container->status));

	r = stat_ns(init.pid, NS_MNT, &ns);
	if ((r == -EACCES || r == -EPERM) && open_child(&init, &child) == 0) {
		pidref_close(&init);
		init = child;
		r = stat_ns(init.pid, NS_MNT, &ns);
	}
	if (r < 0)
		return err_set(err, ERR_SYSTEM, r == -ENOENT ? ERR_ID_NOT_RUNNING : ERR_ID_JOIN_DENIED, -r,
			       "%s: namespaces of process %d", label, (int)init.pid);
	*ret = init;
	init = PIDREF_NONE;
	return 0;
}

/* ---- what is joined ---- */

static int resolve_namespaces(struct plan *plan, struct plan_enter *enter, struct err *err)
{
	for (enum ns_kind kind = 0; kind < NS_COUNT; kind++) {
		struct stat own = { 0 }, other = { 0 };
		int r = stat_ns(getpid(), kind, &own);

		if (r == 0)
			r = stat_ns(enter->process->pid, kind, &other);
		if (r == -ENOENT && kind == NS_TIME && access("/proc/self/ns/time", F_OK) < 0)
			continue; /* a kernel without them */
		if (r < 0)
			return err_set(err, ERR_SYSTEM, r == -ENOENT ? ERR_ID_NOT_RUNNING : ERR_ID_JOIN_DENIED, -r,
				       "%s: %s namespace", enter->label, plan_ns_name(kind));
		const bool differs = own.st_dev != other.st_dev || own.st_ino != other.st_ino;

		if (kind == NS_USER)
			enter->sheds = !differs;

		plan->ns[kind] = (struct plan_namespace){ .use = differs ? NS_JOIN : NS_HOST, .word = enter->label };
		if (differs && kind == NS_CGROUP && !enter->sheds)
			enter->cgroupns = true;
		else if (differs)
			enter->mask |= plan_ns_flag(kind);
	}
	/* Every container has one: what shares ours is no container, or we are in it. */
	if (!(enter->mask & CLONE_NEWNS))
		return err_input(err, "%s: this process is in its mount namespace already", enter->label);
	return 0;
}

static int read_map(const json_t *record, const char *key, const char *dir, struct idmap *map, struct err *err)
{
	if (!state_read_map(record, key, map))
		return err_input(err, "%s/state.json: \"%s\" has more than %d extents", dir, key, IDMAP_EXTENTS_MAX);
	return 0;
}

/* What user_namespaces(7) calls "deny" holds for who joins, too. */
static int read_setgroups(struct plan *plan, pid_t pid, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/setgroups", (int)pid);
	const int r = file_read_virtual_at(AT_FDCWD, path, 64, &text, NULL, err);
	if (r == 0)
		plan->deny_setgroups = str_after(text, "deny") != NULL;
	return r;
}

static int resolve_ids(struct plan *plan, const struct container *container, struct err *err)
{
	int r = read_map(container->state, "uid_map", container->dir, &plan->uids, err);

	if (r == 0)
		r = read_map(container->state, "gid_map", container->dir, &plan->gids, err);
	if (r == 0 && plan_has_userns(plan))
		r = read_setgroups(plan, plan->enter->process->pid, err);
	return r;
}

/* ---- the process, as the record has it ---- */

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

static int read_confinement(struct plan *plan, const struct container *container, const json_t *process,
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
static int read_settings(struct plan *plan, struct plan_enter *enter, const struct container *container,
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

static int read_process(struct plan *plan, const struct exec_request *whole, const struct container *container,
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

/* ---- what an engine says, and a bundle has ---- */

static int keep_path(struct arena *arena, const char *path, const char **ret, struct err *err)
{
	char cwd[PATH_MAX];

	if (!path)
		return 0;
	if (*path != '/' && !getcwd(cwd, sizeof(cwd)))
		return err_system(err, "%s: the working directory", path);
	*ret = *path == '/' ? arena_strdup(arena, path) : arena_printf(arena, "%s/%s", cwd, path);
	return *ret ? 0 : err_oom(err);
}

static const char *text_of(struct arena *arena, const json_t *value)
{
	const char *text = json_string_value(value);

	return arena_strdup(arena, text ? text : "");
}

/* The group is there; a process is not in it by its birth, as its parent is not. */
static int read_rdt(struct arena *arena, const json_t *recorded, const struct bundle_rdt **ret, struct err *err)
{
	const char *group = json_string_value(json_object_get(recorded, "group"));
	const char *monitor = json_string_value(json_object_get(recorded, "monitor"));
	struct bundle_rdt *rdt = group ? arena_alloc(arena, sizeof(*rdt)) : NULL;

	if (!group)
		return 0;
	if (rdt)
		rdt->clos_id = arena_strdup(arena, group);
	if (!rdt || !rdt->clos_id)
		return err_oom(err);
	rdt->monitoring = monitor && *monitor;
	*ret = rdt;
	return 0;
}

static int read_bundle(struct plan *plan, const struct exec_request *request, const struct container *container,
		       struct err *err)
{
	const json_t *recorded = json_object_get(container->state, "bundle");
	const json_t *annotations = json_object_get(recorded, "annotations");
	struct plan_bundle *bundle = arena_alloc(plan->arena, sizeof(*bundle));

	if (!container_is_bundle(container) && !request->engine)
		return 0;
	_cleanup_free_ char *text = annotations ? json_dumps(annotations, JSON_COMPACT) : strdup("{}");
	if (!bundle || !text)
		return err_oom(err);
	bundle->dir = text_of(plan->arena, json_object_get(recorded, "dir"));
	bundle->oci_version = text_of(plan->arena, json_object_get(recorded, "oci_version"));
	bundle->annotations = arena_strdup(plan->arena, text);
	bundle->no_new_keyring = json_is_true(json_object_get(recorded, "no_new_keyring"));
	bundle->preserve_fds = request->preserve_fds;
	if (plan->enter->bundle)
		bundle->listener = plan->enter->bundle->listener;
	int r = read_rdt(plan->arena, json_object_get(recorded, "rdt"), &bundle->rdt, err);
	if (r < 0)
		return r;
	plan->name = arena_strdup(plan->arena, plan->enter->label);
	if (!bundle->dir || !bundle->oci_version || !bundle->annotations || !plan->name)
		return err_oom(err);
	plan->bundle = bundle;
	r = keep_path(plan->arena, request->pidfile, &plan->pidfile, err);
	return r < 0 ? r : keep_path(plan->arena, request->console_socket, &bundle->console_socket, err);
}

int plan_check_exec(const struct plan *plan, struct err *err)
{
	const char *socket = plan->bundle ? plan->bundle->console_socket : NULL;

	if (plan->detached && plan->terminal && !socket)
		return err_input(err, "cannot allocate tty if runc will detach without setting console socket: "
				      "a terminal is asked for, and --console-socket is missing");
	if (socket && (!plan->detached || !plan->terminal))
		return err_input(err, "cannot use console socket if runc will not detach or allocate tty: %s",
				 plan->terminal ? "--detach is missing" : "no terminal is asked for");
	if (plan->terminal && !socket && !(isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)))
		return err_set(err, ERR_INPUT, ERR_ID_NO_TERMINAL, 0,
			       "--tty: standard input and output are not both terminals");
	return 0;
}

/* ---- limits ---- */

/* The kernel asks for CAP_SYS_RESOURCE in the initial user namespace, both for a higher hard limit and for a lower score. */
static bool may_raise(void)
{
	return (probe_effective_caps() & UINT64_C(1) << CAP_SYS_RESOURCE) && probe_in_initial_userns();
}

/* prlimit(2) of a process with other ids asks for CAP_SYS_RESOURCE, which root need not have. The file says the same to everybody (proc(5)): a line
 * each, in the order of the resources, below its title. */
static int read_rlimit(const char *text, int resource, struct rlimit *ret)
{
	rlim_t *const values[] = { &ret->rlim_cur, &ret->rlim_max };
	const size_t name_width = 26;
	char words[2][24];

	for (int line = 0; text && line <= resource; line++) {
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	if (!text || strcspn(text, "\n") <= name_width ||
	    sscanf(text + name_width, "%23s %23s", words[0], words[1]) != 2)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_LEN(values); i++)
		*values[i] = streq(words[i], "unlimited") ? RLIM_INFINITY : (rlim_t)strtoull(words[i], NULL, 10);
	return 0;
}

static int limit_of(const struct pidref *process, int resource, char **text, struct rlimit *ret)
{
	char path[64];

	if (!*text && prlimit(process->pid, (__rlimit_resource_t)resource, NULL, ret) == 0)
		return 0;
	if (!*text && errno != EPERM)
		return -errno;
	snprintf(path, sizeof(path), "/proc/%d/limits", (int)process->pid);
	const int r = *text ? 0 : file_read_virtual_at(AT_FDCWD, path, 65536, text, NULL, NULL);
	return r < 0 ? r : read_rlimit(*text, resource, ret);
}

static int resolve_rlimits(struct plan *plan, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	const struct plan_enter *enter = plan->enter;
	struct rlimit_setting *settings = arena_array(plan->arena, RLIM_NLIMITS, sizeof(*settings));
	const bool raises = may_raise();

	if (!settings)
		return err_oom(err);
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		struct rlimit own = { 0 }, theirs = { 0 };

		const int r = getrlimit((__rlimit_resource_t)i, &own) < 0 ? -errno
									  : limit_of(enter->process, i, &text, &theirs);
		if (r < 0)
			return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "%s: limit %s of process %d", enter->label,
				       rlimit_name(i), (int)enter->process->pid);
		/* Without that right a hard limit only sinks. */
		if (!raises && theirs.rlim_max > own.rlim_max)
			theirs.rlim_max = own.rlim_max;
		if (theirs.rlim_cur > theirs.rlim_max)
			theirs.rlim_cur = theirs.rlim_max;
		if (own.rlim_cur != theirs.rlim_cur || own.rlim_max != theirs.rlim_max)
			settings[plan->n_rlimits++] = (struct rlimit_setting){ .resource = i, .limit = theirs };
	}
	plan->rlimits = settings;
	return 0;
}

static int resolve_oom_score(struct plan *plan, struct plan_enter *enter, struct err *err)
{
	int own = 0, theirs = 0;

	int r = oom_score_read(getpid(), &own, err);
	if (r == 0)
		r = oom_score_read(enter->process->pid, &theirs, err);
	if (r < 0)
		return r;
	plan->oom_score_adj = theirs;
	plan->has_oom_score_adj = theirs != own && may_raise();
	enter->raises_score = theirs > own && !plan->has_oom_score_adj;
	return 0;
}

static int resolve_cgroup(struct plan *plan, struct plan_enter *enter, const struct container *container,
			  struct err *err)
{
	const char *path = container_text(container, "cgroup");
	struct cgroup_host *host;
	unsigned used = 0;

	if (!path)
		return 0;
	host = arena_alloc(plan->arena, sizeof(*host));
	plan->cgroup_path = arena_strdup(plan->arena, path);
	if (!host || !plan->cgroup_path)
		return err_oom(err);
	plan->cgroup_host = host;
	int r = cgroup_probe(plan->arena, host, err);
	if (r == 0)
		r = container_resources(container, plan->arena, &enter->limits, err);
	if (r == 0)
		r = state_check_places(container->state, container->dir, host, &used, err);
	if (r < 0)
		return r;
	/* The hierarchies that the container has groups in: it is put into them. */
	for (enum cgroup_ctl c = 0; c < CGROUP_CONTROLLER_COUNT; c++)
		if ((used & 1U << c) && cgroup_on_v1(host, c)) {
			plan->controllers |= 1U << c;
			plan->placed_late = true;
		}
	if (systemd_unit_of_group(path) && !cgroup_may_enter_v2(host, path))
		plan->cgroup_manager = CGROUP_MANAGER_SYSTEMD;
	return 0;
}

/* ---- groups below the container's ---- */

static int group_below(const struct plan *plan, const char *said, const char *path, const char **ret, struct err *err)
{
	const char *clean = NULL;

	/* Counted from the container's group, as it is seen inside: "/" is that one. */
	const char *absolute = *path == '/' ? path : arena_printf(plan->arena, "/%s", path);
	int r = absolute ? plan_container_path(plan->arena, "--cgroup", absolute, &clean, err) : err_oom(err);
	if (r < 0)
		return r;
	*ret = arena_printf(plan->arena, "%s%s", plan->cgroup_path, streq(clean, "/") ? "" : clean);
	if (!*ret)
		return err_oom(err);
	if (strlen(*ret) >= CGROUP_PATH_MAX)
		return err_input(err, "--cgroup %.64s...: the path is too long", said);
	return 0;
}

/* All that share the hierarchy are meant. */
static int set_controller(const struct plan *plan, struct plan_enter *enter, const char *said, const char *name,
			  size_t length, const char *group, struct err *err)
{
	const struct cgroup_host *host = plan->cgroup_host;
	bool found = false;

	for (enum cgroup_ctl c = 0; c < CGROUP_CONTROLLER_COUNT; c++) {
		const char *known = cgroup_v1_name(c);

		if (strlen(known) != length || memcmp(known, name, length) != 0 || !(plan->controllers & 1U << c))
			continue;
		for (enum cgroup_ctl other = 0; other < CGROUP_CONTROLLER_COUNT; other++)
			if (streq(host->v1_mount[other], host->v1_mount[c]) && enter->group_v1[other] &&
			    !streq(enter->group_v1[other], group))
				return err_input(err, "--cgroup %s: the hierarchy of %s has another group already",
						 said, known);
			else if (streq(host->v1_mount[other], host->v1_mount[c]))
				enter->group_v1[other] = group;
		found = true;
	}
	if (!found)
		return err_input(
			err,
			"--cgroup %s: %.*s is no controller in a v1 hierarchy of its own that the container has a group in; "
			"on cgroup v2 it is the path alone",
			said, (int)length, name);
	return 0;
}

static int read_group(const struct plan *plan, struct plan_enter *enter, const char *said, bool alone, struct err *err)
{
	const char *colon = strchr(said, ':'), *group;

	int r = group_below(plan, said, colon ? colon + 1 : said, &group, err);
	if (r < 0)
		return r;
	if (!colon) {
		if (!alone)
			return err_input(err, "invalid --cgroup argument: %s (missing <controller>: prefix)", said);
		enter->group_v2 = group;
		for (enum cgroup_ctl c = 0; c < CGROUP_CONTROLLER_COUNT; c++)
			enter->group_v1[c] = group;
		return 0;
	}
	for (const char *name = said; r == 0; name++) {
		const size_t length = strcspn(name, ",:");

		if (length == 0)
			return err_input(err, "invalid --cgroup argument: %s (empty <controller> prefix)", said);
		r = set_controller(plan, enter, said, name, length, group, err);
		name += length;
		if (*name == ':')
			break;
	}
	return r;
}

static int resolve_groups_below(const struct plan *plan, struct plan_enter *enter, const char *const *groups,
				struct err *err)
{
	int r = 0;

	if (!groups || !*groups)
		return 0;
	if (!plan->cgroup_path)
		return err_input(err, "--cgroup %s: %s has no control group", *groups, enter->label);
	for (size_t i = 0; r == 0 && groups[i]; i++)
		r = read_group(plan, enter, groups[i], i == 0 && !groups[1], err);
	return r;
}

/* ---- all of it ---- */

int plan_resolve_exec(const struct exec_request *request, const struct container *container,
		      const struct pidref *process, struct plan **ret, struct err *err)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	const json_t *recorded = json_object_get(container->state, "process");
	struct plan *plan = arena ? arena_alloc(arena, sizeof(*plan)) : NULL;
	struct plan_enter *enter = arena ? arena_alloc(arena, sizeof(*enter)) : NULL;

	if (!plan || !enter)
		return err_oom(err);
	if (!json_is_object(recorded))
		return err_input(
			err, "%s: it was started by an nsrun whose records do not tell what a process of it is given",
			container_label(container));
	enter->label = arena_strdup(arena, container_label(container));
	enter->process = process;
	if (!enter->label)
		return err_oom(err);
	plan->arena = arena;
	plan->enter = enter;
	plan->caller_uid = geteuid();
	plan->caller_gid = getegid();
	memcpy(plan->id, container->id, sizeof(plan->id));

	int r = resolve_namespaces(plan, enter, err);
	if (r == 0)
		r = resolve_ids(plan, container, err);
	if (r == 0)
		r = read_process(plan, request, container, recorded, err);
	if (r == 0)
		r = read_confinement(plan, container, recorded, err);
	if (r == 0)
		r = read_settings(plan, enter, container, recorded, err);
	if (r == 0)
		r = resolve_rlimits(plan, err);
	if (r == 0)
		r = resolve_oom_score(plan, enter, err);
	if (r == 0)
		r = resolve_cgroup(plan, enter, container, err);
	if (r == 0)
		r = resolve_groups_below(plan, enter, request->cgroups, err);
	if (r == 0)
		r = read_bundle(plan, request, container, err);
	/* What was read by its number was its own only while it lived. */
	if (pidref_ended(process)) {
		*err = ERR_INIT;
		r = err_set(err, ERR_INPUT, ERR_ID_NOT_RUNNING, ESRCH, "%s: it has ended", enter->label);
	}
	if (r < 0)
		return r;
	TAKE_PTR(arena);
	*ret = plan;
	return 0;
}
