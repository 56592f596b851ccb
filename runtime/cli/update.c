/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/commands.h>

#include <nsrun/cli/containers.h>
#include <nsrun/cli/globals.h>
#include <nsrun/cli/report.h>
#include <nsrun/cli/site.h>
#include <nsrun/oci/json_at.h>
#include <nsrun/plan/container_update.h>
#include <nsrun/plan/limits.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#define RESOURCES_MAX (1U << 20) /* bytes */

struct update_line {
	enum tristate help, force;
	struct plan_request request;
	/* runc's */
	const char *resources;
	const char *cpu_share, *cpu_period, *cpu_quota, *cpu_burst, *cpu_idle, *cpu_rt_period, *cpu_rt_runtime,
		*blkio_weight;
};

/* A flag whose value is a number of linux.resources. */
#define NUMBER(field, n, text) COMMAND_OPTION(struct update_line, field, n, 0, "NUMBER", STRING, text, "--" n " 100000")

static const struct option_row rows[] = {
#define LIMIT(n, l, arg, k, f, text, ex)                     \
	{ .name = (n),                                       \
	  .letter = (l),                                     \
	  .argument = (arg),                                 \
	  .kind = OPTION_##k,                                \
	  .group = GROUP_LIMITS,                             \
	  .status = OPTION_BUILT,                            \
	  .offset = offsetof(struct update_line, request.f), \
	  .help = (text),                                    \
	  .example = (ex) },
#include <nsrun/cli/limit_option_table.h>
#undef LIMIT
	COMMAND_OPTION(struct update_line, force, "force", 'f', NULL, FLAG,
		       "also a memory limit below what is used, at which the kernel kills", "-f"),
	OPTION_HELP_ROW,
	COMMAND_OPTION(struct update_line, resources, "resources", 'r', "FILE", STRING,
		       "linux.resources as JSON, - for standard input", "-r limits.json"),
	NUMBER(cpu_share, "cpu-share", "the same as --cpu-shares"),
	NUMBER(cpu_period, "cpu-period", "microseconds of a period of --cpu-quota"),
	NUMBER(cpu_quota, "cpu-quota", "microseconds of processor time in each, -1: no limit"),
	NUMBER(cpu_burst, "cpu-burst", "microseconds that unused quota may add up to"),
	NUMBER(cpu_idle, "cpu-idle", "1: only where nobody else wants to run"),
	NUMBER(cpu_rt_period, "cpu-rt-period", "the period of realtime processes (v1)"),
	NUMBER(cpu_rt_runtime, "cpu-rt-runtime", "their share of it (v1)"),
	NUMBER(blkio_weight, "blkio-weight", "weight of block I/O, 10 to 1000"),
};
const struct option_table update_options = {
	.rows = rows,
	.count = ARRAY_LEN(rows),
	.command = "update",
	.one_dash = true,
};

static void line_done(struct update_line *line)
{
	options_done(&update_options, line);
}

struct job {
	struct cgroup_resources changes;
	bool force;
};

static int act(struct container *container, void *data, struct err *err)
{
	const struct job *job = data;
	const int r = job->changes.n ? container_update(container, &job->changes, job->force, err) : 0;

	if (r == 0 && !globals_is_engine())
		puts(container_label(container));
	return r;
}

/* runc's flags as the object that they stand for. */
static int flags_as_json(const struct update_line *line, json_t **ret, struct err *err)
{
	const struct {
		const char *value, *flag, *parent, *key;
	} flags[] = {
		{ line->cpu_share, "cpu-share", "cpu", "shares" },
		{ line->cpu_period, "cpu-period", "cpu", "period" },
		{ line->cpu_quota, "cpu-quota", "cpu", "quota" },
		{ line->cpu_burst, "cpu-burst", "cpu", "burst" },
		{ line->cpu_idle, "cpu-idle", "cpu", "idle" },
		{ line->cpu_rt_period, "cpu-rt-period", "cpu", "realtimePeriod" },
		{ line->cpu_rt_runtime, "cpu-rt-runtime", "cpu", "realtimeRuntime" },
		{ line->blkio_weight, "blkio-weight", "blockIO", "weight" },
	};
	json_t *resources = json_pack("{s{}s{}}", "cpu", "blockIO");

	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		char *end;

		if (!flags[i].value)
			continue;
		errno = 0;
		const long long number = strtoll(flags[i].value, &end, 10);
		if (errno || *end || end == flags[i].value) {
			json_decref(resources);
			return err_input(err, "--%s %s: a number is wanted", flags[i].flag, flags[i].value);
		}
		json_object_set_new(json_object_get(resources, flags[i].parent), flags[i].key, json_integer(number));
	}
	if (!resources)
		return err_oom(err);
	*ret = resources;
	return 0;
}

/* --resources: then all other limits of the line are ignored, as runc has it. */
static int read_resources(const struct update_line *line, struct arena *arena, struct cgroup_resources *ret,
			  struct err *err)
{
	json_t *json = NULL;
	int r = line->resources ? json_at_load(AT_FDCWD, line->resources, RESOURCES_MAX, line->resources, &json, err)
				: flags_as_json(line, &json, err);

	if (r == 0)
		r = limits_from_oci(arena, json, line->resources ? "resources." : "update.", false, ret, err);
	json_decref(json);
	return r;
}

static int read_job(struct update_line *line, struct arena *arena, struct job *job, struct err *err)
{
	const struct option_table launch_options = { .rows = option_rows, .count = option_rows_count };
	struct cgroup_resources more = { 0 };

	int r = site_check_command(&launch_options, &update_options, line, err);
	if (r == 0 && !arena)
		r = err_oom(err);
	if (r == 0 && !line->resources)
		r = container_update_parse(arena, &line->request, &job->changes, err);
	if (r == 0)
		r = read_resources(line, arena, &more, err);
	for (size_t i = 0; r == 0 && i < more.n; i++)
		r = cgroup_resources_add(arena, &job->changes, &more.values[i], err);
	if (r == 0 && line->resources && job->changes.n == 0)
		return 0; /* an engine's zeros: nothing to change */
	if (r == 0 && job->changes.n == 0)
		r = err_set(err, ERR_INPUT, ERR_ID_NO_LIMIT_SAID, 0, "update: which limit? Such as -m 512m");
	job->force = line->force == YES;
	return r;
}

int command_update(int argc, char *const *argv)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	_cleanup_(line_done) struct update_line line = { 0 };
	_cleanup_free_ const char **names = NULL;
	struct err err = ERR_INIT;
	struct job job = { 0 };
	int status, flushed;
	size_t n;

	if (!command_begin(&update_options, argc, argv, &line, 1, SIZE_MAX, &names, &n, &status))
		return status;
	if (read_job(&line, arena, &job, &err) < 0)
		return report_error(stderr, &err);
	status = for_each_container(names, n, act, &job);
	flushed = report_flush(stdout, "standard output");
	return flushed ? flushed : status;
}
