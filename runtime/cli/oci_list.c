/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/commands.h>

#include <nsrun/base/strings.h>
#include <nsrun/cli/containers.h>
#include <nsrun/cli/report.h>
#include <nsrun/oci/delete.h>
#include <nsrun/plan/container_group.h>

#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>

struct list_line {
	enum tristate help, quiet;
	const char *format;
};

static const struct option_row rows[] = {
	COMMAND_OPTION(struct list_line, format, "format", 'f', "FORMAT", STRING, "table or json", "--format json",
		       .values = (const char *const[]){ "table", "json", NULL }),
	OPTION_HELP_ROW,
	COMMAND_OPTION(struct list_line, quiet, "quiet", 'q', NULL, FLAG, "ids alone, one a line", "-q"),
};
const struct option_table list_options = {
	.rows = rows, .count = ARRAY_LEN(rows), .command = "list", .one_dash = true
};

/* Whose state directory it is; "" where there is no name for the uid. */
static void owner_of(const struct container *c, char *buf, size_t size)
{
	struct stat st;
	const struct passwd *entry = stat(c->dir, &st) == 0 ? getpwuid(st.st_uid) : NULL;

	snprintf(buf, size, "%s", entry ? entry->pw_name : "");
}

static int add_row(struct table *table, const struct container *c, const char *owner)
{
	const json_t *bundle = json_object_get(c->state, "bundle");
	const char *dir = json_string_value(json_object_get(bundle, "dir")), *created = container_text(c, "created");
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)c->init);
	const char *const cells[] = { container_label(c),     pid,  container_oci_status(c), dir ? dir : "",
				      created ? created : "", owner };
	return table_add(table, cells);
}

/* An entry of --format json is what state prints, with the owner. */
static int add_entry(json_t *list, const struct container *c, const char *owner)
{
	json_t *state = container_oci_state(c);

	if (!state || json_object_set_new(state, "owner", json_string(owner)) < 0) {
		json_decref(state);
		return -1;
	}
	return json_array_append_new(list, state);
}

static int print(struct container *list, size_t n, const struct list_line *line, struct err *err)
{
	static const char *const titles[] = { "ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER" };
	const bool quiet = line->quiet == YES, as_json = line->format && streq(line->format, "json");
	struct table *table = table_new(ARRAY_LEN(titles), titles);
	json_t *entries = json_array();
	int r = table && entries ? 0 : -1;

	for (size_t i = 0; r == 0 && i < n; i++) {
		char owner[64];

		if (!container_is_bundle(&list[i]))
			continue;
		container_look_paused(&list[i], 1);
		owner_of(&list[i], owner, sizeof(owner));
		if (quiet)
			puts(container_label(&list[i]));
		else
			r = as_json ? add_entry(entries, &list[i], owner) : add_row(table, &list[i], owner);
	}
	/* A failure stays in the stream, for report_flush(). */
	if (r == 0 && !quiet && as_json)
		(void)(json_dumpf(entries, stdout, JSON_COMPACT) < 0 || puts("") < 0);
	else if (r == 0 && !quiet)
		table_print(table, stdout);
	json_decref(entries);
	table_free(table);
	return r < 0 ? err_oom(err) : 0;
}

/* One that cannot be read is told and is not in the way of the others. */
static void print_bad(const char *dir, const struct err *why, void *data)
{
	(void)dir;
	*(int *)data = report_error(stderr, why);
}

int command_list(int argc, char *const *argv)
{
	_cleanup_free_ const char **names = NULL;
	struct container *list = NULL;
	struct list_line line = { 0 };
	struct err err = ERR_INIT;
	int status, bad = 0;
	size_t n;

	if (!command_begin(&list_options, argc, argv, &line, 0, 0, &names, &n, &status))
		return status;
	int r = container_list(&list, &n, print_bad, &bad, &err);
	if (r == 0) {
		r = print(list, n, &line, &err);
		containers_free(list, n);
	}
	status = r < 0 ? report_error(stderr, &err) : report_flush(stdout, "standard output");
	return status ? status : bad;
}
