/* SPDX-License-Identifier: Apache-2.0 */
/* Which paths are masked and which are read-only: the usual ones, --masked-path, and --security-opt systempaths=, mask=, unmask=. */
#include <nsrun/plan/process.h>

#include <nsrun/base/strings.h>
#include <nsrun/plan/volumes.h>

#include <string.h>
#include <unistd.h>

static const char *const usual_masked[] = {
	"/proc/acpi",
	"/proc/asound",
	"/proc/interrupts",
	"/proc/kcore",
	"/proc/keys",
	"/proc/key-users",
	"/proc/latency_stats",
	"/proc/sched_debug",
	"/proc/scsi",
	"/proc/slabinfo",
	"/proc/softirqs",
	"/proc/timer_list",
	"/proc/timer_stats",
	"/sys/devices/virtual/powercap",
	"/sys/firmware",
	"/sys/class/thermal",
	"/sys/devices/virtual/thermal",
	"/sys/kernel/notes",
	"/sys/kernel/slab",
	"/sys/kernel/vmcoreinfo",
	NULL,
};

/* pressure: the kernel's are the host's, and writing sets a trigger (PSI) there. */
static const char *const usual_readonly[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/pressure", "/proc/sys", "/proc/sysrq-trigger", NULL,
};

/* Temperatures tell what other tenants compute; there is one directory for each processor (moby, advisory GHSA-6fw5-f8r9-fgfm). */
static int usual_paths(struct plan *plan, struct err *err)
{
	const long cpus =
		access("/sys/devices/system/cpu/cpu0/thermal_throttle", F_OK) == 0 ? sysconf(_SC_NPROCESSORS_CONF) : 0;
	const size_t n_fixed = ARRAY_LEN(usual_masked) - 1;
	const char **masked = arena_array(plan->arena, n_fixed + (size_t)(cpus > 0 ? cpus : 0) + 1, sizeof(*masked));

	if (!masked)
		return err_oom(err);
	memcpy(masked, usual_masked, n_fixed * sizeof(*masked));
	for (long i = 0; i < cpus; i++) {
		masked[n_fixed + (size_t)i] =
			arena_printf(plan->arena, "/sys/devices/system/cpu/cpu%ld/thermal_throttle", i);
		if (!masked[n_fixed + (size_t)i])
			return err_oom(err);
	}
	plan->masked_paths = masked;
	plan->readonly_paths = usual_readonly;
	return 0;
}

static const char *const nothing[] = { NULL };

/* The list without this path. *found: it was there. */
static int without(struct plan *plan, const char *const **list, const char *path, bool *found, struct err *err)
{
	size_t n = 0, kept = 0;

	while ((*list)[n])
		n++;
	const char **copy = arena_array(plan->arena, n + 1, sizeof(*copy));
	if (!copy)
		return err_oom(err);
	for (size_t i = 0; i < n; i++) {
		if (streq((*list)[i], path))
			*found = true;
		else
			copy[kept++] = (*list)[i];
	}
	*list = copy;
	return 0;
}

static int unmask(struct plan *plan, const char *path, struct err *err)
{
	bool found = false;

	if (streq(path, "ALL")) {
		plan->masked_paths = plan->readonly_paths = nothing;
		return 0;
	}
	int r = without(plan, &plan->masked_paths, path, &found, err);
	if (r == 0)
		r = without(plan, &plan->readonly_paths, path, &found, err);
	if (r == 0 && !found)
		r = err_input(
			err,
			"--security-opt unmask=%s: is neither masked nor read-only (nsrun --dry-run lists what is)",
			path);
	return r;
}

static int mask(struct plan *plan, const char *option, const char *path, const char **masks, size_t *n, struct err *err)
{
	const int r = plan_container_path(plan->arena, option, path, &masks[*n], err);

	if (r < 0)
		return r;
	if (streq(masks[*n], "/") || streq(masks[*n], "/proc") || streq(masks[*n], "/dev") ||
	    streq(masks[*n], "/dev/null"))
		return err_input(err, "%s %s: nothing would work without it", option, path);
	(*n)++;
	return 0;
}

/* PATH:PATH... */
static int each_path(struct plan *plan, const char *list, bool hides, const char **masks, size_t *n, struct err *err)
{
	char *state = arena_strdup(plan->arena, list);
	int r = state ? 0 : err_oom(err);

	for (char *path; r == 0 && state && (path = strsep(&state, ":"));)
		r = hides ? mask(plan, "--security-opt mask", path, masks, n, err) : unmask(plan, path, err);
	return r;
}

int plan_resolve_system_paths(struct plan *plan, const struct plan_request *request, struct err *err)
{
	size_t most = 1, n = 0;
	const char *rest;

	for (const char *const *p = request->masked_paths; p && *p; p++)
		most++;
	for (const char *const *p = request->security_opts; p && *p; p++)
		most += strlen(*p) / 2 + 1;
	const char **masks = arena_array(plan->arena, most, sizeof(*masks));
	if (!masks)
		return err_oom(err);
	int r = usual_paths(plan, err);
	if (r == 0 && request->privileged == YES)
		r = unmask(plan, "ALL", err);
	for (const char *const *p = request->security_opts; r == 0 && p && *p; p++) {
		if (streq(*p, "systempaths=unconfined"))
			r = unmask(plan, "ALL", err);
		else if ((rest = str_after(*p, "unmask=")))
			r = each_path(plan, rest, false, masks, &n, err);
		else if ((rest = str_after(*p, "mask=")))
			r = each_path(plan, rest, true, masks, &n, err);
	}
	for (const char *const *p = request->masked_paths; r == 0 && p && *p; p++)
		r = mask(plan, "--masked-path", *p, masks, &n, err);
	if (r < 0)
		return r;
	plan->asked_masks = n ? masks : NULL;
	return 0;
}
