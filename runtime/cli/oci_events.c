/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/commands.h>

#include <nsrun/base/strings.h>
#include <nsrun/cli/containers.h>
#include <nsrun/cli/report.h>
#include <nsrun/plan/container_stats.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define INTERVAL_MS 5000
#define LOOK_MS 100 /* how soon the end of the container, or a kill for want of memory, is noticed */

struct events_line {
	enum tristate help, stats;
	const char *interval;
};

static const struct option_row rows[] = {
	OPTION_HELP_ROW,
	COMMAND_OPTION(struct events_line, interval, "interval", 0, "TIME", STRING,
		       "between two: 500ms, 5s, 1m30s (default: 5s)", "--interval 1s"),
	COMMAND_OPTION(struct events_line, stats, "stats", 0, NULL, FLAG, "once, and end", "--stats"),
};
const struct option_table events_options = {
	.rows = rows,
	.count = ARRAY_LEN(rows),
	.command = "events",
	.one_dash = true,
};

/* As Go's time.ParseDuration has it, for whole milliseconds: "1m30s". */
static int parse_duration(const char *text, long *ret_ms, struct err *err)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = { { "ms", 1 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 } };
	double total = 0;

	for (const char *at = text; *at;) {
		char *end;
		const double number = strtod(at, &end);
		size_t i = 0;

		while (i < ARRAY_LEN(units) && strncmp(end, units[i].unit, strlen(units[i].unit)) != 0)
			i++;
		if (end == at || !(number >= 0) || i == ARRAY_LEN(units))
			return err_input(err, "--interval %s: a number and a unit are wanted: 500ms, 5s, 1m30s", text);
		total += number * units[i].ms;
		at = end + strlen(units[i].unit);
	}
	if (total < 1 || total > 86400000)
		return err_input(err, "--interval %s: from 1ms to 24h", text);
	*ret_ms = (long)total;
	return 0;
}

static int print_event(const char *type, const char *id, json_t *data, struct err *err)
{
	json_t *event = data ? json_pack("{ss ss so}", "type", type, "id", id, "data", data)
			     : json_pack("{ss ss}", "type", type, "id", id);
	char *text = event ? json_dumps(event, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;

	json_decref(event);
	if (!text)
		return err_oom(err);
	puts(text);
	free(text);
	fflush(stdout);
	return 0;
}

/* One look. *ret_kills: processes killed so far for want of memory. */
static int look(const struct container *container, const char *id, bool print, uint64_t *ret_kills, struct err *err)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct container_stats stats;

	if (!arena)
		return err_oom(err);
	const int r = container_stats_read(arena, container, &stats, err);
	if (r < 0)
		return r;
	if (stats.group.memory.oom_kills != CGROUP_UNKNOWN)
		*ret_kills = stats.group.memory.oom_kills;
	return print ? print_event("stats", id, cgroup_stats_json(&stats.group), err) : 0;
}

/* Until the container ends, or the reader goes away. */
static int follow(const struct container *container, const char *id, long interval, struct err *err)
{
	const struct timespec pause = { .tv_sec = 0, .tv_nsec = LOOK_MS * 1000000L };
	uint64_t before = 0, kills = 0;
	long since = interval;

	int r = look(container, id, false, &before, err);
	while (r == 0 && !ferror(stdout)) {
		const bool due = since >= interval;

		r = look(container, id, due, &kills, err);
		if (r == 0 && kills > before)
			r = print_event("oom", id, NULL, err);
		before = kills > before ? kills : before;
		since = due ? 0 : since;
		nanosleep(&pause, NULL);
		since += LOOK_MS;
	}
	/* It has ended: that is what one waited for. */
	if (r < 0 && err->id == ERR_ID_NOT_RUNNING) {
		*err = ERR_INIT;
		return 0;
	}
	return r;
}

int command_events(int argc, char *const *argv)
{
	_cleanup_(container_done) struct container container = { 0 };
	_cleanup_free_ const char **names = NULL;
	struct events_line line = { 0 };
	struct err err = ERR_INIT;
	long interval = INTERVAL_MS;
	uint64_t kills = 0;
	int status, r = 0;
	size_t n;

	if (!command_begin(&events_options, argc, argv, &line, 1, 1, &names, &n, &status))
		return status;
	if (line.interval)
		r = parse_duration(line.interval, &interval, &err);
	if (r == 0)
		r = container_find(names[0], &container, &err);
	if (r == 0)
		r = cgroup_stats_begin(&err);
	if (r == 0)
		r = line.stats == YES ? look(&container, names[0], true, &kills, &err)
				      : follow(&container, names[0], interval, &err);
	return r < 0 ? report_error(stderr, &err) : report_flush(stdout, "standard output");
}
