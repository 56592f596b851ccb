/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/commands.h>

#include <nsrun/base/strings.h>
#include <nsrun/cli/containers.h>
#include <nsrun/cli/report.h>
#include <nsrun/plan/container_group.h>
#include <nsrun/plan/container_stats.h>

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define CELL AMOUNT_SIZE
#define INTERVAL_MS 1000 /* docker's */
#define INTERVAL_MAX_S 3600

struct stats_line {
	enum tristate help, json, stream, no_stream;
	const char *interval;
};

static const struct option_row rows[] = {
	OPTION_HELP_ROW,
	COMMAND_OPTION(struct stats_line, interval, "interval", 'i', "SECONDS", STRING,
		       "between two readings (default: 1)", "-i 0.5"),
	COMMAND_OPTION(struct stats_line, json, "json", 0, NULL, FLAG, "a JSON array of all counters, at once",
		       "--json"),
	COMMAND_OPTION(struct stats_line, no_stream, "no-stream", 0, NULL, FLAG, "once (default without a terminal)",
		       "--no-stream"),
	COMMAND_OPTION(struct stats_line, stream, "stream", 0, NULL, TRISTATE, "on and on (default on a terminal)",
		       "--stream"),
};
const struct option_table stats_options = { .rows = rows, .count = ARRAY_LEN(rows), .command = "stats" };

/* One look at all containers of the list. */
struct round {
	struct arena *arena;
	struct container *containers;
	struct container_stats *stats;
	size_t n;
};

static void round_done(struct round *round)
{
	containers_free(round->containers, round->n);
	arena_free(round->arena);
	*round = (struct round){ 0 };
}

struct job {
	const char *const *names;
	size_t n_names;
	bool json, stream;
	unsigned interval_ms;
};

/* ---- looking ---- */

static int take_named(const struct job *job, struct round *round, int *status, struct err *err)
{
	round->containers = calloc(job->n_names, sizeof(*round->containers));
	if (!round->containers)
		return err_oom(err);
	for (size_t i = 0; i < job->n_names; i++) {
		struct err why = ERR_INIT;

		if (container_find(job->names[i], &round->containers[round->n], &why) < 0)
			*status = report_error(stderr, &why);
		else
			round->n++;
	}
	return 0;
}

static bool is_measurable(const struct container *c)
{
	return c->status == CONTAINER_RUNNING && c->init > 0 && container_text(c, "cgroup");
}

/* All that run and can be measured; those without a group are left out, as nobody has asked for them. */
static int take_all(struct round *round, struct err *err)
{
	size_t kept = 0;
	const int r = container_list(&round->containers, &round->n, NULL, NULL, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < round->n; i++) {
		if (is_measurable(&round->containers[i]))
			round->containers[kept++] = round->containers[i];
		else
			container_done(&round->containers[i]);
	}
	round->n = kept;
	return 0;
}

/* A container that was named and cannot be measured is an error; one of the list that has just ended is none. */
static int look(const struct job *job, struct round *ret, int *status, struct err *err)
{
	struct round round = { .arena = arena_new() };
	size_t kept = 0;

	int r = !round.arena   ? err_oom(err)
		: job->n_names ? take_named(job, &round, status, err)
			       : take_all(&round, err);
	if (r == 0) {
		container_look_paused(round.containers, round.n);
		round.stats = arena_array(round.arena, round.n + 1, sizeof(*round.stats));
		r = round.stats ? 0 : err_oom(err);
	}
	for (size_t i = 0; r == 0 && i < round.n; i++) {
		struct err why = ERR_INIT;

		if (container_stats_read(round.arena, &round.containers[i], &round.stats[kept], &why) == 0) {
			round.containers[kept++] = round.containers[i];
			continue;
		}
		if (job->n_names)
			*status = report_error(stderr, &why);
		container_done(&round.containers[i]);
	}
	if (r == 0) {
		round.n = kept;
		*ret = round;
	} else {
		round_done(&round);
	}
	return r;
}

/* ---- telling ---- */

static const char *count_text(uint64_t count, char buf[CELL])
{
	if (count == CGROUP_UNKNOWN || count == CGROUP_NO_LIMIT)
		return "-";
	snprintf(buf, CELL, "%" PRIu64, count);
	return buf;
}

static void share_text(uint64_t part, uint64_t whole, char buf[CELL])
{
	if (part >= CGROUP_UNKNOWN || whole >= CGROUP_UNKNOWN || whole == 0)
		snprintf(buf, CELL, "-");
	else
		snprintf(buf, CELL, "%.1f%%", (double)part * 100 / (double)whole);
}

/* Of all devices together. */
static void io_text(const struct cgroup_stats *stats, char buf[2 * CELL])
{
	uint64_t bytes_read = 0, written = 0;
	char a[CELL], b[CELL];

	if (!stats->io.list) {
		snprintf(buf, 2 * CELL, "-");
		return;
	}
	for (size_t i = 0; i < stats->io.n; i++) {
		bytes_read += stats->io.list[i].rbytes < CGROUP_UNKNOWN ? stats->io.list[i].rbytes : 0;
		written += stats->io.list[i].wbytes < CGROUP_UNKNOWN ? stats->io.list[i].wbytes : 0;
	}
	snprintf(buf, 2 * CELL, "%s / %s", amount_text(bytes_read, a), amount_text(written, b));
}

static const struct container_stats *find_before(const struct round *before, const char *id)
{
	for (size_t i = 0; i < before->n; i++)
		if (streq(before->containers[i].id, id))
			return &before->stats[i];
	return NULL;
}

static int add_row(struct table *table, const struct container *c, const struct container_stats *before,
		   const struct container_stats *now)
{
	const struct cgroup_stats *stats = &now->group;
	const int64_t permille = before ? container_stats_cpu(before, now) : -1;
	char cpu[CELL] = "-", memory[2 * CELL + 4], share[CELL], pids[2 * CELL + 4], io[2 * CELL], throttled[CELL],
	     oom[CELL], a[CELL], b[CELL];

	if (permille >= 0)
		snprintf(cpu, sizeof(cpu), "%" PRId64 ".%" PRId64 "%%", permille / 10, permille % 10);
	snprintf(memory, sizeof(memory), "%s / %s", amount_text(stats->memory.working_set, a),
		 amount_text(stats->memory.bytes.limit, b));
	share_text(stats->memory.working_set, stats->memory.bytes.limit, share);
	snprintf(pids, sizeof(pids), "%s / %s", count_text(stats->pids.usage, a), count_text(stats->pids.limit, b));
	io_text(stats, io);
	share_text(stats->cpu.throttled, stats->cpu.periods, throttled);

	const char *const cells[] = { c->id,
				      c->name ? c->name : "-",
				      cpu,
				      throttled,
				      memory,
				      share,
				      pids,
				      io,
				      count_text(stats->memory.oom_kills, oom) };

	return table_add(table, cells);
}

static int print_table(const struct round *before, const struct round *now, bool clear)
{
	static const char *const titles[] = { "ID",    "NAME",	       "CPU %",	    "THROTTLED", "MEM USAGE / LIMIT",
					      "MEM %", "PIDS / LIMIT", "BLOCK I/O", "OOM" };
	struct table *table = table_new(ARRAY_LEN(titles), titles);
	int r = table ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < now->n; i++)
		r = add_row(table, &now->containers[i], find_before(before, now->containers[i].id), &now->stats[i]);
	if (r == 0 && clear)
		fputs("\033[H\033[J", stdout); /* in place of the last one: ECMA-48 CUP and ED */
	if (r == 0)
		table_print(table, stdout);
	table_free(table);
	return r;
}

static int print_json(const struct round *now, bool one_line)
{
	json_t *list = json_array();
	_cleanup_free_ char *text = NULL;

	for (size_t i = 0; i < now->n; i++)
		json_array_append_new(list, container_stats_json(&now->containers[i], &now->stats[i]));
	text = json_dumps(list,
			  JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6) | (one_line ? JSON_COMPACT : JSON_INDENT(2)));
	json_decref(list);
	if (text)
		puts(text);
	return text ? 0 : -ENOMEM;
}

/* ---- the command ---- */

static int read_job(const struct stats_line *line, struct job *job, struct err *err)
{
	char *end = NULL;
	double seconds = 1;

	if (line->stream == YES && line->no_stream == YES)
		return err_set(err, ERR_INPUT, ERR_ID_OPTION_REPEATED, 0,
			       "stats: --stream and --no-stream are both said");
	if (line->interval) {
		seconds = line->interval[0] >= '0' && line->interval[0] <= '9' ? strtod(line->interval, &end) : 0;
		if (!end || *end || strpbrk(line->interval, "xX") || !(seconds >= 0.01) || seconds > INTERVAL_MAX_S)
			return err_set(err, ERR_INPUT, ERR_ID_OPTION_VALUE, 0,
				       "--interval: '%s' is no number of seconds from 0.01 to %d", line->interval,
				       INTERVAL_MAX_S);
	}
	job->interval_ms = (unsigned)(seconds * 1000);
	job->json = line->json == YES;
	job->stream = line->stream == YES ||
		      (line->stream == UNSET && line->no_stream != YES && !job->json && isatty(STDOUT_FILENO));
	return 0;
}

static int next_round(const struct job *job, struct round *before, struct round *now, int *status, struct err *err)
{
	const struct timespec nap = { job->interval_ms / 1000, job->interval_ms % 1000 * 1000000L };

	round_done(before);
	*before = *now;
	*now = (struct round){ 0 };
	nanosleep(&nap, NULL);
	return look(job, now, status, err);
}

/* Until its reader goes away, or a signal ends it. */
static int tell(const struct job *job, int *status, struct err *err)
{
	struct round before = { 0 }, now = { 0 };
	const bool clear = job->stream && !job->json && isatty(STDOUT_FILENO);

	int r = look(job, &now, status, err);
	/* Counters need no second look, a share of the time does. */
	if (r == 0 && !job->json && now.n)
		r = next_round(job, &before, &now, status, err);
	while (r == 0) {
		r = job->json ? print_json(&now, job->stream) : print_table(&before, &now, clear);
		if (r < 0) {
			err_oom(err);
			break;
		}
		if (!job->stream)
			break;
		if (fflush(stdout) != 0) {
			r = err_system(err, "standard output");
			break;
		}
		if (job->n_names && now.n == 0)
			break; /* all that were named have ended */
		r = next_round(job, &before, &now, status, err);
	}
	round_done(&before);
	round_done(&now);
	return r;
}

int command_stats(int argc, char *const *argv)
{
	_cleanup_free_ const char **names = NULL;
	struct stats_line line = { 0 };
	struct err err = ERR_INIT;
	struct job job = { 0 };
	int status = 0, flushed;

	if (!command_begin(&stats_options, argc, argv, &line, 0, SIZE_MAX, &names, &job.n_names, &status))
		return status;
	status = 0;
	job.names = names;
	if (read_job(&line, &job, &err) < 0 || cgroup_stats_begin(&err) < 0 || tell(&job, &status, &err) < 0)
		return err.errnum == EPIPE ? 128 + SIGPIPE : report_error(stderr, &err);
	flushed = report_flush(stdout, "standard output");
	return flushed ? flushed : status;
}
