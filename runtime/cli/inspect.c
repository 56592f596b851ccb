/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/commands.h>

#include <nsrun/base/strings.h>
#include <nsrun/cli/containers.h>
#include <nsrun/cli/report.h>
#include <nsrun/plan/container_group.h>
#include <nsrun/plan/container_show.h>

struct inspect_line {
	enum tristate help;
	enum tristate json;
	const char *format;
};

static const struct option_row rows[] = {
	COMMAND_OPTION(struct inspect_line, format, "format", 0, "json|text", STRING,
		       "how it is written (default: json)", "--format=text",
		       .values = (const char *const[]){ "json", "text", NULL }),
	OPTION_HELP_ROW,
	COMMAND_OPTION(struct inspect_line, json, "json", 0, NULL, FLAG, "the same as --format=json", "--json"),
};
const struct option_table inspect_options = { .rows = rows, .count = ARRAY_LEN(rows), .command = "inspect" };

struct inspection {
	struct container *list;
	size_t n;
};

static int take(struct container *container, void *data, struct err *err)
{
	struct inspection *inspection = data;

	(void)err;
	inspection->list[inspection->n++] = *container;
	*container = (struct container){ 0 };
	return 0;
}

static int print_text(const struct inspection *inspection, struct err *err)
{
	for (size_t i = 0; i < inspection->n; i++) {
		_cleanup_free_ char *text = NULL;
		const int r = container_inspect_text(&inspection->list[i], &text, err);

		if (r < 0)
			return r;
		printf("%s%s", i ? "\n" : "", text);
	}
	return 0;
}

static int print_json(const struct inspection *inspection, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	const int r = container_inspect_json(inspection->list, inspection->n, &text, err);

	if (r == 0)
		puts(text);
	return r;
}

int command_inspect(int argc, char *const *argv)
{
	_cleanup_free_ const char **names = NULL;
	struct inspect_line line = { 0 };
	struct inspection inspection = { 0 };
	struct err err = ERR_INIT;
	int status, missing, r;
	bool text;
	size_t n;

	if (!command_begin(&inspect_options, argc, argv, &line, 1, SIZE_MAX, &names, &n, &status))
		return status;
	text = line.format && streq(line.format, "text");
	if (text && line.json == YES) {
		err_set(&err, ERR_INPUT, ERR_ID_OPTION_REPEATED, 0, "inspect: --json and --format=text are both said");
		return report_error(stderr, &err);
	}
	inspection.list = calloc(n, sizeof(*inspection.list));
	if (!inspection.list) {
		err_oom(&err);
		return report_error(stderr, &err);
	}
	missing = for_each_container(names, n, take, &inspection);
	container_look_paused(inspection.list, inspection.n);
	/* An array also of none: what reads it gets JSON in any case, as docker inspect has it. */
	r = text ? print_text(&inspection, &err) : print_json(&inspection, &err);
	containers_free(inspection.list, inspection.n);
	if (r < 0)
		return report_error(stderr, &err);
	status = report_flush(stdout, "standard output");
	return status ? status : missing;
}
