/* SPDX-License-Identifier: Apache-2.0 */
/* The limits of an exec: those of a process of the container, its control group, and groups below that. */
#include <nsrun/plan/exec_parts.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/kernel/probe.h>
#include <nsrun/kernel/systemd.h>
#include <nsrun/plan/state.h>
#include <nsrun/plan/volumes.h>

#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

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

int plan_exec_resolve_rlimits(struct plan *plan, struct err *err)
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

int plan_exec_resolve_oom_score(struct plan *plan, struct plan_enter *enter, struct err *err)
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

int plan_exec_resolve_cgroup(struct plan *plan, struct plan_enter *enter, const struct container *container,
			     struct err *err)
{
	const char *path = container_text(container, "cgroup");
	struct cgroup_host *host;
	struct cgroup_end used = { 0 };

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
		if ((used.controllers & 1U << c) && cgroup_on_v1(host, c)) {
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

int plan_exec_resolve_groups(const struct plan *plan, struct plan_enter *enter, const char *const *groups,
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
