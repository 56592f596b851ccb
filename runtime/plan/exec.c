/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/exec.h>

#include <nsrun/base/file.h>
#include <nsrun/base/procstat.h>
#include <nsrun/base/strings.h>
#include <nsrun/plan/exec_parts.h>
#include <nsrun/plan/state.h>

#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
		r = plan_exec_read_process(plan, request, container, recorded, err);
	if (r == 0)
		r = plan_exec_read_confinement(plan, container, recorded, err);
	if (r == 0)
		r = plan_exec_read_settings(plan, enter, container, recorded, err);
	if (r == 0)
		r = plan_exec_resolve_rlimits(plan, err);
	if (r == 0)
		r = plan_exec_resolve_oom_score(plan, enter, err);
	if (r == 0)
		r = plan_exec_resolve_cgroup(plan, enter, container, err);
	if (r == 0)
		r = plan_exec_resolve_groups(plan, enter, request->cgroups, err);
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
