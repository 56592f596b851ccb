/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/commands.h>

#include <nsrun/base/strings.h>
#include <nsrun/cli/containers.h>
#include <nsrun/cli/report.h>
#include <nsrun/plan/container_group.h>
#include <nsrun/plan/container_show.h>

#include <inttypes.h>
#include <pwd.h>
#include <string.h>

#define COMMAND_WIDTH 40

struct ls_line {
	enum tristate help;
	enum tristate all, quiet, json, full;
	const char *filter;
};

static const char *const statuses[] = {
	"status=starting", "status=running", "status=paused", "status=ended", "status=lost", "status=dead", NULL
};

static const struct option_row rows[] = {
	COMMAND_OPTION(struct ls_line, all, "all", 'a', NULL, FLAG, "those too that do not run", "-a"),
	COMMAND_OPTION(struct ls_line, filter, "filter", 'f', "status=STATUS", STRING,
		       "of one status alone: starting, running, paused, ended, lost, dead", "-f status=paused",
		       .values = statuses),
	OPTION_HELP_ROW,
	COMMAND_OPTION(struct ls_line, json, "json", 0, NULL, FLAG, "a JSON array", "--json"),
	COMMAND_OPTION(struct ls_line, full, "no-trunc", 0, NULL, FLAG, "commands in full length", "--no-trunc"),
	COMMAND_OPTION(struct ls_line, quiet, "quiet", 'q', NULL, FLAG, "ids alone, one a line", "-q"),
};
const struct option_table ls_options = { .rows = rows, .count = ARRAY_LEN(rows), .command = "ls" };

static void print_bad(const char *dir, const struct err *why, void *data)
{
	int *status = data;

	(void)dir; /* the message names it */
	*status = report_error(stderr, why);
}

/* Leaves those out that do not run; they are freed. */
static size_t keep_running(struct container *list, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (list[i].status == CONTAINER_RUNNING || list[i].status == CONTAINER_STARTING)
			list[kept++] = list[i];
		else
			container_done(&list[i]);
	}
	return kept;
}

static bool has_status(const struct container *c, const char *status)
{
	struct container_exit end;

	return streq(status, container_exit(c, &end) && end.lost ? "lost" : container_status_word(c));
}

static size_t keep_status(struct container *list, size_t n, const char *status)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (has_status(&list[i], status))
			list[kept++] = list[i];
		else
			container_done(&list[i]);
	}
	return kept;
}

/* Whose ids the container's root has outside: a user's name where the id is one. */
static void root_text(const struct container *c, char *buf, size_t size)
{
	const int64_t uid = container_root_uid(c);
	const struct passwd *entry = uid < 0 ? NULL : getpwuid((uid_t)uid);

	if (entry)
		snprintf(buf, size, "%s", entry->pw_name);
	else if (uid >= 0)
		snprintf(buf, size, "%" PRId64, uid);
	else
		snprintf(buf, size, "-");
}

/* Cut at a character, so that what is left is whole. */
static void shorten(char *text)
{
	size_t width = 0, at = 0;

	while (text[at]) {
		if (((unsigned char)text[at] & 0xc0) != 0x80 && ++width > COMMAND_WIDTH - 3) {
			size_t rest = 0;

			for (const char *p = text + at; *p; p++)
				rest += ((unsigned char)*p & 0xc0) != 0x80;
			if (rest > 3)
				strcpy(text + at, "..."); /* at least four characters stood there */
			return;
		}
		at++;
	}
}

static int add_row(struct table *table, const struct container *c, bool full)
{
	_cleanup_free_ char *command = container_command(c), *escaped = NULL;
	char status[STATUS_SIZE], age[AGE_SIZE], created[AGE_SIZE + 8] = "-", pid[16] = "-", user[64];

	if (!command)
		return -ENOMEM;
	/* Escaped before it is cut, since escapes are what takes the room. */
	escaped = malloc(strlen(command) * 4 + 1);
	if (!escaped)
		return -ENOMEM;
	escape_text(command, escaped, strlen(command) * 4 + 1);
	if (!full)
		shorten(escaped);
	if (c->init > 0)
		snprintf(pid, sizeof(pid), "%d", (int)c->init);
	if (age_text(container_text(c, "created"), age)[0])
		snprintf(created, sizeof(created), "%s ago", age);
	root_text(c, user, sizeof(user));
	const char *const cells[] = { c->id,  c->name ? c->name : "-", status_text(c, status), pid, user, created,
				      escaped };

	return table_add(table, cells);
}

static int print_table(const struct container *list, size_t n, bool full)
{
	static const char *const titles[] = { "ID", "NAME", "STATUS", "PID", "USER", "CREATED", "COMMAND" };
	struct table *table = table_new(ARRAY_LEN(titles), titles);
	int r = table ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_row(table, &list[i], full);
	if (r == 0)
		table_print(table, stdout);
	table_free(table);
	return r;
}

static int print_json(const struct container *list, size_t n, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	const int r = container_list_json(list, n, &text, err);

	if (r == 0)
		puts(text);
	return r;
}

int command_ls(int argc, char *const *argv)
{
	_cleanup_free_ const char **names = NULL;
	struct ls_line line = { 0 };
	struct container *list = NULL;
	struct err err = ERR_INIT;
	int status, bad = 0, r;
	size_t n;

	if (!command_begin(&ls_options, argc, argv, &line, 0, 0, &names, &n, &status))
		return status;
	r = container_list(&list, &n, print_bad, &bad, &err);
	if (r < 0)
		return report_error(stderr, &err);
	if (line.all != YES && !line.filter)
		n = keep_running(list, n);
	container_look_paused(list, n);
	if (line.filter)
		n = keep_status(list, n, str_after(line.filter, "status="));
	if (line.json == YES) {
		r = print_json(list, n, &err);
	} else if (line.quiet == YES) {
		for (size_t i = 0; i < n; i++)
			puts(list[i].id);
	} else if (print_table(list, n, line.full == YES) < 0) {
		r = err_oom(&err);
	}
	containers_free(list, n);
	if (r < 0)
		return report_error(stderr, &err);
	status = report_flush(stdout, "standard output");
	return status ? status : bad;
}
