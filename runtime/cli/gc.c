/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/commands.h>

#include <nsrun/base/strings.h>
#include <nsrun/cli/report.h>
#include <nsrun/plan/reserve.h>

#include <limits.h>

/* Names come from files of the state root, which other programs may have written. */
static void print_removed(const char *id, const char *what, void *data)
{
	unsigned *count = data;
	char id_text[256], what_text[1024];

	escape_text(id, id_text, sizeof(id_text));
	escape_text(what, what_text, sizeof(what_text));
	printf("%s: %s\n", id_text, what_text);
	(*count)++;
}

int command_gc(int argc, char *const *argv)
{
	struct err err = ERR_INIT;
	char root[PATH_MAX];
	unsigned count = 0;
	int r, status;

	if (argc > 1) {
		err_set(&err, ERR_INPUT, ERR_ID_NONE, 0,
			"gc: takes no arguments, but was given '%s'; a rootfs of that name is ./gc", argv[1]);
		return report_error(stderr, &err);
	}

	r = state_root_open(root, sizeof(root), &err);
	if (r == 0)
		r = state_collect(root, print_removed, &count, &err);
	/* What was removed is told also when a later one failed. */
	if (count)
		printf("%u removed\n", count);
	else if (r == 0)
		puts("nothing to remove");
	status = report_flush(stdout, "standard output");
	return r < 0 ? report_error(stderr, &err) : status;
}
