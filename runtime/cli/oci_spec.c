/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/commands.h>

#include <nsrun/base/strings.h>
#include <nsrun/cli/containers.h>
#include <nsrun/cli/report.h>
#include <nsrun/oci/spec.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct spec_line {
	enum tristate help, rootless;
	const char *bundle;
};

static const struct option_row rows[] = {
	COMMAND_OPTION(struct spec_line, bundle, "bundle", 'b', "DIR", STRING,
		       "where config.json is made (default: here)", "-b /srv/bundle"),
	OPTION_HELP_ROW,
	COMMAND_OPTION(struct spec_line, rootless, "rootless", 0, NULL, FLAG,
		       "for the caller, an ordinary user, in a user namespace", "--rootless"),
};
const struct option_table spec_options = {
	.rows = rows, .count = ARRAY_LEN(rows), .command = "spec", .one_dash = true
};

static int write_config(const char *dir, bool rootless, struct err *err)
{
	_cleanup_close_ int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = FD_NONE;
	json_t *spec;

	if (at < 0)
		return err_system(err, "%s", dir);
	int r = oci_default_config(rootless, &spec, err);
	if (r < 0)
		return r;
	/* One that is there is somebody's work. */
	fd = openat(at, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		r = err_system(err, "%s/config.json", dir);
	else if (json_dumpfd(spec, fd, JSON_INDENT(2)) < 0 || write(fd, "\n", 1) != 1)
		r = err_system(err, "%s/config.json: write", dir);
	json_decref(spec);
	if (r < 0 && fd >= 0)
		unlinkat(at, "config.json", 0);
	return r;
}

int command_spec(int argc, char *const *argv)
{
	_cleanup_free_ const char **names = NULL;
	struct spec_line line = { 0 };
	struct err err = ERR_INIT;
	int status;
	size_t n;

	if (!command_begin(&spec_options, argc, argv, &line, 0, 0, &names, &n, &status))
		return status;
	return write_config(line.bundle ? line.bundle : ".", line.rootless == YES, &err) < 0
		       ? report_error(stderr, &err)
		       : 0;
}
