/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/containers.h>

#include <nsrun/base/strings.h>
#include <nsrun/cli/help.h>
#include <nsrun/cli/report.h>
#include <nsrun/plan/limits.h>

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <time.h>

int command_words(const struct option_table *table, int argc, char *const *argv, void *into, const char ***ret_names,
		  size_t *ret_n, struct err *err)
{
	_cleanup_free_ const char **names = calloc((size_t)argc + 1, sizeof(*names));
	size_t n = 0;
	int at = 1;

	if (!names)
		return err_oom(err);
	while (at < argc) {
		int used, r;

		/* The parser begins behind a word that it does not look at. */
		r = options_parse(table, argc - at + 1, argv + at - 1, into, &used, err);
		if (r < 0)
			return r;
		const bool dashes = used > 1 && streq(argv[at - 1 + used - 1], "--");

		at += used - 1;
		if (!dashes && at < argc)
			names[n++] = argv[at++];
		while (dashes && at < argc)
			names[n++] = argv[at++];
	}
	*ret_names = TAKE_PTR(names);
	*ret_n = n;
	return 0;
}

bool command_begin(const struct option_table *table, int argc, char *const *argv, void *into, size_t least, size_t most,
		   const char ***ret_names, size_t *ret_n, int *ret_status)
{
	const enum tristate *help = into;
	struct err err = ERR_INIT;
	const char **names;
	size_t n;

	if (command_words(table, argc, argv, into, &names, &n, &err) < 0) {
		*ret_status = report_error(stderr, &err);
		return false;
	}
	if (*help == YES) {
		free(names);
		help_command(stdout, command_find(argv[0]));
		*ret_status = report_flush(stdout, "standard output");
		return false;
	}
	if (n < least || n > most) {
		if (n < least)
			err_set(&err, ERR_INPUT, ERR_ID_NONE, 0, "%s: which container? nsrun %s --help", argv[0],
				argv[0]);
		else
			err_set(&err, ERR_INPUT, ERR_ID_NONE, 0, "%s: one word too many: '%s'; nsrun %s --help",
				argv[0], names[most], argv[0]);
		free(names);
		*ret_status = report_error(stderr, &err);
		return false;
	}
	*ret_names = names;
	*ret_n = n;
	return true;
}

int for_each_container(const char *const *names, size_t n,
		       int (*act)(struct container *container, void *data, struct err *err), void *data)
{
	int status = 0;

	for (size_t i = 0; i < n; i++) {
		_cleanup_(container_done) struct container container = { 0 };
		struct err err = ERR_INIT;

		if (container_find(names[i], &container, &err) < 0 || act(&container, data, &err) < 0)
			status = report_error(stderr, &err);
	}
	return status;
}

int refuse_without_owner(const struct container *container, const char *instead, struct err *err)
{
	_cleanup_(pidref_close) struct pidref owner = PIDREF_NONE;

	if (!container_is_bundle(container) || container_open_owner(container, &owner, NULL) == 0)
		return 0;
	return err_refused(err, ERR_ID_NONE, "%s: it was made from a bundle and belongs to no nsrun: %s",
			   container_label(container), instead);
}

/* RFC 3339 in UTC, with or without parts of a second. -1: it is none. */
static time_t parse_time(const char *text)
{
	struct tm tm = { 0 };
	const char *end = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;

	return end && (*end == '.' || *end == 'Z') ? timegm(&tm) : (time_t)-1;
}

const char *age_text(const char *time_text, char buf[AGE_SIZE])
{
	static const struct {
		long long seconds;
		const char *unit;
	} units[] = { { 86400, "day" }, { 3600, "hour" }, { 60, "minute" }, { 1, "second" } };
	const time_t then = parse_time(time_text);
	long long age;

	buf[0] = '\0';
	if (then == (time_t)-1)
		return buf;
	age = (long long)(time(NULL) - then);
	if (age < 1)
		age = 1; /* a clock that was set back too */
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (age >= units[i].seconds) {
			const long long n = age / units[i].seconds;

			snprintf(buf, AGE_SIZE, "%lld %s%s", n, units[i].unit, n == 1 ? "" : "s");
			break;
		}
	return buf;
}

const char *status_text(const struct container *container, char buf[STATUS_SIZE])
{
	struct container_exit end;
	char age[AGE_SIZE];

	if (!container_exit(container, &end)) {
		snprintf(buf, STATUS_SIZE, "%s",
			 container->status == CONTAINER_RUNNING && container->init == 0
				 ? "ending"
				 : container_status_word(container));
		return buf;
	}
	age_text(end.time, age);
	if (end.lost)
		snprintf(buf, STATUS_SIZE, "lost%s%s%s", age[0] ? " " : "", age, age[0] ? " ago" : "");
	else
		snprintf(buf, STATUS_SIZE, "ended (%d%s)%s%s%s", end.status,
			 end.events.oom_kills && end.status == 128 + SIGKILL ? ", out of memory" : "",
			 age[0] ? " " : "", age, age[0] ? " ago" : "");
	return buf;
}

const char *amount_text(uint64_t bytes, char buf[AMOUNT_SIZE])
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes;
	size_t unit = 0;

	if (bytes == CGROUP_UNKNOWN || bytes == CGROUP_NO_LIMIT)
		return "-";
	if (bytes < 1024) {
		snprintf(buf, AMOUNT_SIZE, "%" PRIu64 "B", bytes);
		return buf;
	}
	for (value /= 1024; value >= 1024 && unit + 1 < ARRAY_LEN(units); unit++)
		value /= 1024;
	snprintf(buf, AMOUNT_SIZE, value >= 100 ? "%.0f%s" : value >= 10 ? "%.1f%s" : "%.2f%s", value, units[unit]);
	return buf;
}

static void print_memory_met(FILE *out, const char *before, int status, const struct cgroup_events *events,
			     const struct cgroup_resources *said)
{
	const struct cgroup_value *limit = events->memory_limit ? limits_memory_of(said, events->memory_limit) : NULL;
	const char *went_on = status == 128 + SIGKILL ? "" : "; process 1 went on";
	char size[AMOUNT_SIZE], option[96];

	fprintf(out, "nsrun: %smemory: the kernel killed %" PRIu64 " process%s of the container ", before,
		events->oom_kills, events->oom_kills == 1 ? "" : "es");
	if (!events->memory_limit) {
		fprintf(out,
			"for want of memory on the host, or at the limit of a control group around it or below%s\n"
			"        remedy: free memory there; --oom-score-adj decides who is killed first\n",
			went_on);
		return;
	}
	fprintf(out, "at its limit of %s", amount_text(events->memory_limit, size));
	if (limit)
		fprintf(out, " (%s)%s\n        remedy: a higher %s, or nsrun update %s NAME while it runs",
			cgroup_resource_label(limit, option, sizeof(option)), went_on, option,
			limit->resource == CGROUP_UNIFIED ? "--cgroup memory.max=SIZE" : "-m SIZE");
	else
		fprintf(out,
			", which was set after its launch%s\n        remedy: a higher one there, or nsrun update -m SIZE NAME while it runs",
			went_on);
	fputs("; nsrun stats shows what it uses\n", out);
}

void print_limits_met(FILE *out, const char *label, int status, const struct cgroup_events *events,
		      const struct cgroup_resources *said)
{
	char before[256] = "";

	if (label)
		snprintf(before, sizeof(before), "%s: ", label);
	if (events->oom_kills)
		print_memory_met(out, before, status, events, said);
	if (events->forks_refused && status != 0)
		fprintf(out,
			"nsrun: %spids: making a process or thread failed %" PRIu64 " time%s: the limit is %" PRIu64
			"\n"
			"        remedy: a higher --pids-limit\n",
			before, events->forks_refused, events->forks_refused == 1 ? "" : "s", events->pids_limit);
}

void print_end(FILE *out, const struct container *container)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct cgroup_resources said = { 0 };
	struct container_exit end;

	if (!arena || !container_exit(container, &end) || end.lost)
		return;
	/* Of a record that cannot be read, the numbers are left. */
	if (container_resources(container, arena, &said, NULL) < 0)
		said = (struct cgroup_resources){ 0 };
	print_limits_met(out, container_label(container), end.status, &end.events, &said);
}

/* ---- tables ---- */

struct table {
	size_t columns, rows, room;
	char **cells; /* the titles first */
};

/* Characters and not bytes, of text that escape_text() wrote. */
static size_t width_of(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

struct table *table_new(size_t columns, const char *const *titles)
{
	struct table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->columns = columns;
	if (table_add(table, titles) < 0) {
		table_free(table);
		return NULL;
	}
	return table;
}

int table_add(struct table *table, const char *const *cells)
{
	if (table->rows == table->room) {
		const size_t room = table->room ? table->room * 2 : 16;
		char **more = reallocarray(table->cells, room * table->columns, sizeof(*more));

		if (!more)
			return -ENOMEM;
		table->cells = more;
		table->room = room;
	}
	char **row = &table->cells[table->rows * table->columns];

	memset(row, 0, table->columns * sizeof(*row));
	table->rows++;
	for (size_t i = 0; i < table->columns; i++) {
		const size_t size = strlen(cells[i]) * 4 + 1;

		row[i] = malloc(size);
		if (!row[i])
			return -ENOMEM;
		escape_text(cells[i], row[i], size);
	}
	return 0;
}

void table_print(const struct table *table, FILE *out)
{
	for (size_t row = 0; row < table->rows; row++) {
		for (size_t i = 0; i < table->columns; i++) {
			const char *cell = table->cells[row * table->columns + i];
			size_t widest = 0;

			if (i + 1 == table->columns) {
				fprintf(out, "%s\n", cell);
				break;
			}
			for (size_t k = 0; k < table->rows; k++) {
				const size_t width = width_of(table->cells[k * table->columns + i]);

				widest = width > widest ? width : widest;
			}
			fprintf(out, "%s%*s", cell, (int)(widest - width_of(cell) + 2), "");
		}
	}
}

void table_free(struct table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->rows * table->columns; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
}
