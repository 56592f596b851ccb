/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/commands.h>

#include <nsrun/cli/containers.h>
#include <nsrun/cli/report.h>
#include <nsrun/plan/container_show.h>

#include <inttypes.h>

struct top_line {
	enum tristate help;
	enum tristate json;
};

static const struct option_row rows[] = {
	OPTION_HELP_ROW,
	COMMAND_OPTION(struct top_line, json, "json", 0, NULL, FLAG, "a JSON array", "--json"),
};
const struct option_table top_options = { .rows = rows, .count = ARRAY_LEN(rows), .command = "top" };

#define CELL 32

static const char *size_text(uint64_t bytes, char buf[CELL])
{
	static const char units[] = "KMGTP";
	size_t unit = 0;
	uint64_t n = bytes / 1024;

	for (; n >= 10240 && unit + 2 < sizeof(units); unit++)
		n /= 1024;
	snprintf(buf, CELL, "%" PRIu64 "%c", n, units[unit]);
	return buf;
}

static int add_row(struct table *table, const struct container_process *p)
{
	char pid[CELL], nspid[CELL], ppid[CELL], uid[CELL], inside[CELL] = "-", cpu[CELL], time[CELL], rss[CELL];
	const char state[2] = { p->state, '\0' };
	/* Of its whole life, as ps(1) has it. */
	const uint64_t permille = p->age_ms ? p->cpu_ms * 1000 / p->age_ms : 0, seconds = p->cpu_ms / 1000;

	snprintf(pid, sizeof(pid), "%d", (int)p->pid);
	snprintf(nspid, sizeof(nspid), "%d", (int)p->nspid);
	snprintf(ppid, sizeof(ppid), "%d", (int)p->ppid);
	snprintf(uid, sizeof(uid), "%u", p->uid);
	if (p->uid_inside >= 0)
		snprintf(inside, sizeof(inside), "%" PRId64, p->uid_inside);
	snprintf(cpu, sizeof(cpu), "%" PRIu64 ".%" PRIu64, permille / 10, permille % 10);
	snprintf(time, sizeof(time), "%" PRIu64 ":%02" PRIu64, seconds / 60, seconds % 60);

	const char *const cells[] = {
		pid, nspid, inside, uid, ppid, state, cpu, time, size_text(p->rss_bytes, rss), p->command
	};

	return table_add(table, cells);
}

static int print_table(const struct container_process *processes, size_t n)
{
	static const char *const titles[] = { "PID",  "NSPID", "UID-IN", "UID", "PPID",
					      "STAT", "%CPU",  "TIME",	 "RSS", "COMMAND" };
	struct table *table = table_new(ARRAY_LEN(titles), titles);
	int r = table ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_row(table, &processes[i]);
	if (r == 0)
		table_print(table, stdout);
	table_free(table);
	return r;
}

static int show(struct container *container, void *data, struct err *err)
{
	const struct top_line *line = data;
	struct container_process *processes;
	size_t n;
	int r;

	r = container_processes(container, &processes, &n, err);
	if (r < 0)
		return r;
	if (line->json == YES) {
		_cleanup_free_ char *text = NULL;

		r = container_processes_json(processes, n, &text, err);
		if (r == 0)
			puts(text);
	} else if (print_table(processes, n) < 0) {
		r = err_oom(err);
	}
	container_processes_free(processes, n);
	return r;
}

int command_top(int argc, char *const *argv)
{
	_cleanup_free_ const char **names = NULL;
	struct top_line line = { 0 };
	int status, flushed;
	size_t n;

	if (!command_begin(&top_options, argc, argv, &line, 1, 1, &names, &n, &status))
		return status;
	status = for_each_container(names, n, show, &line);
	flushed = report_flush(stdout, "standard output");
	return flushed ? flushed : status;
}
