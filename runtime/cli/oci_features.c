/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/commands.h>

#include <nsrun/cli/containers.h>
#include <nsrun/cli/report.h>
#include <nsrun/kernel/seccomp.h>
#include <nsrun/oci/features.h>

#include <nsrun-commit.h>
#include <stdlib.h>

struct features_line {
	enum tristate help;
};

static const struct option_row rows[] = {
	OPTION_HELP_ROW,
};
const struct option_table features_options = {
	.rows = rows, .count = ARRAY_LEN(rows), .command = "features", .one_dash = true
};

int command_features(int argc, char *const *argv)
{
	_cleanup_free_ const char **names = NULL;
	struct features_line line = { 0 };
	char library[SECCOMP_LIBRARY_SIZE];
	struct err err = ERR_INIT;
	int status;
	size_t n;

	if (!command_begin(&features_options, argc, argv, &line, 0, 0, &names, &n, &status))
		return status;
	json_t *features = oci_features(NSRUN_VERSION, NSRUN_COMMIT, seccomp_library(library));
	_cleanup_free_ char *text = features ? json_dumps(features, JSON_INDENT(4)) : NULL;
	json_decref(features);
	if (!text) {
		err_oom(&err);
		return report_error(stderr, &err);
	}
	puts(text);
	return report_flush(stdout, "standard output");
}
