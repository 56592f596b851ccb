/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/globals.h>

#include <nsrun/base/strings.h>
#include <nsrun/cli/commands.h>
#include <nsrun/cli/containers.h>
#include <nsrun/cli/report.h>

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_OCI 1
#define EXIT_OCI_EXEC 255

#define GLOBAL(field, ...) COMMAND_OPTION(struct globals, field, __VA_ARGS__)

static const struct option_row rows[] = {
	OPTION_HELP_ROW,
	GLOBAL(version, "version", 'v', NULL, FLAG, "name, version, commit, specification and libraries", "--version"),
	GLOBAL(root, "root", 0, "DIR", STRING, "the state root: records of containers", "--root /run/engine"),
	GLOBAL(log, "log", 0, "FILE", STRING, "append messages to this file, too", "--log /run/engine/log.json"),
	GLOBAL(log_format, "log-format", 0, "FORMAT", STRING, "how: text or json, an object a line",
	       "--log-format json", .values = (const char *const[]){ "text", "json", NULL }),
	GLOBAL(debug, "debug", 0, NULL, TRISTATE, "accepted; messages are always whole", "--debug"),
	GLOBAL(systemd_cgroup, "systemd-cgroup", 0, NULL, TRISTATE, "the same as --cgroup-manager systemd",
	       "--systemd-cgroup"),
	GLOBAL(cgroup_manager, "cgroup-manager", 0, "NAME", STRING, "who makes control groups",
	       "--cgroup-manager systemd", .values = (const char *const[]){ "cgroupfs", "systemd", "disabled", NULL }),
	GLOBAL(rootless, "rootless", 0, "WORD", OPTIONAL, "accepted: the kernel says what the caller may do",
	       "--rootless=true", .values = (const char *const[]){ "true", "false", "auto", NULL }),
	GLOBAL(criu, "criu", 0, "FILE", STRING, "accepted: there is no checkpoint yet", "--criu /usr/sbin/criu"),
};
const struct option_table globals_options = {
	.rows = rows,
	.count = ARRAY_LEN(rows),
	.command = "nsrun",
	.one_dash = true,
	.last_wins = true,
};

/* Written once, by main(), before there is a container. */
static struct {
	struct globals globals;
	bool engine;
} current;

const struct globals *globals_get(void)
{
	return &current.globals;
}

bool globals_is_engine(void)
{
	return current.engine;
}

/* Commands that the OCI runtime alone has. */
static bool is_oci_command(const char *word)
{
	static const char *const words[] = { "checkpoint", "create", "delete", "events", "features", "list", "ps",
					     "restore",	   "run",    "spec",   "start",	 "state",    NULL };

	for (size_t i = 0; words[i]; i++)
		if (streq(words[i], word))
			return true;
	return false;
}

/* Is the first word one of these flags? Those of the one-shot command, --help and --version among them, are its own. */
static bool begins_so(const char *word)
{
	const char *name = word + strspn(word, "-");
	char text[32];
	const size_t length = strcspn(name, "=");

	if (word[0] != '-' || length >= sizeof(text))
		return false;
	memcpy(text, name, length);
	text[length] = '\0';
	const struct option_row *row = option_find(&globals_options, text);

	return row && !streq(row->name, "help") && !streq(row->name, "version") &&
	       !streq(row->name, "cgroup-manager"); /* a launch's, too: told apart by what follows */
}

int globals_parse(int argc, char *const *argv, struct globals *ret, int *ret_at, struct err *err)
{
	struct globals globals = { 0 };
	struct err why = ERR_INIT;
	int at = 1;

	*ret_at = 0;
	if (argc < 2 || argv[1][0] != '-')
		return 0;
	const int r = options_parse(&globals_options, argc, argv, &globals, &at, &why);
	const bool command = r == 0 && at < argc && command_find(argv[at]);

	if (!begins_so(argv[1]) && !command)
		return 0;
	if (r < 0) {
		*err = why;
		return r;
	}
	if (globals.version == YES || globals.help == YES) {
		*ret = globals;
		*ret_at = at;
		return 0;
	}
	if (at >= argc)
		return err_input(
			err, "%s stands before a command, and there is none; to launch: nsrun [OPTIONS] ROOTFS [CMD]",
			argv[1]);
	if (!command)
		return err_input(err, "%s: no command of nsrun; nsrun --help", argv[at]);
	*ret = globals;
	*ret_at = at;
	return 0;
}

static int set_root(const char *root, struct err *err)
{
	char path[PATH_MAX], here[PATH_MAX];

	if (root[0] != '/') {
		if (!getcwd(here, sizeof(here)))
			return err_system(err, "--root %s: the current directory", root);
		if (snprintf(path, sizeof(path), "%s/%s", here, root) >= (int)sizeof(path))
			return err_set(err, ERR_INPUT, ERR_ID_NONE, ENAMETOOLONG, "--root %s", root);
		root = path;
	}
	if (setenv("NSRUN_ROOT", root, 1) < 0)
		return err_system(err, "--root %s", root);
	return 0;
}

int globals_apply(const struct globals *globals, const char *command, struct err *err)
{
	int r = 0;

	current.globals = *globals;
	const bool said = globals->root || globals->log || globals->log_format || globals->debug ||
			  globals->systemd_cgroup || globals->cgroup_manager || globals->rootless || globals->criu;
	current.engine = said || is_oci_command(command);
	if (current.engine)
		report_exit_with(streq(command, "exec") ? EXIT_OCI_EXEC : EXIT_OCI);
	if (globals->log)
		r = report_to_file(globals->log, globals->log_format && streq(globals->log_format, "json"), err);
	if (r == 0 && globals->root)
		r = set_root(globals->root, err);
	return r;
}
