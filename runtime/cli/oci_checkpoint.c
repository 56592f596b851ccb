/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint and restore: the words are known, so that an engine that asks gets an answer and no "unknown option"; the work is CRIU's, which nsrun does not
 * drive yet.
 */
#include <nsrun/cli/commands.h>

#include <nsrun/base/strings.h>
#include <nsrun/cli/containers.h>
#include <nsrun/cli/report.h>

struct checkpoint_line {
	enum tristate help;
	/* Nothing is done with them, but each has a place of its own: a value that is said twice has to be the same. */
	const char *empty_ns, *image_path, *manage_cgroups_mode, *work_path, *page_server, *parent_path, *status_fd,
		*bundle, *console_socket, *lsm_mount_context, *lsm_profile, *pid_file;
	enum tristate said;
};

#define TEXT(field, n, l, arg, help_text) \
	COMMAND_OPTION(struct checkpoint_line, field, n, l, arg, STRING, help_text, "--" n " " arg)
#define FLAG(n, l, help_text) COMMAND_OPTION(struct checkpoint_line, said, n, l, NULL, FLAG, help_text, "--" n)

/* What both have. */
#define COMMON                                                                                                   \
	FLAG("auto-dedup", 0, "drop pages that an earlier image has"),                                           \
		TEXT(empty_ns, "empty-ns", 0, "NAME", "make this namespace, and do not restore what was in it"), \
		FLAG("ext-unix-sk", 0, "allow unix sockets that lead outside"),                                  \
		FLAG("file-locks", 0, "keep file locks"),                                                        \
		TEXT(image_path, "image-path", 0, "DIR", "where the images are"),                                \
		FLAG("lazy-pages", 0, "fetch pages when they are needed"),                                       \
		TEXT(manage_cgroups_mode, "manage-cgroups-mode", 0, "MODE", "soft, full or strict"),             \
		FLAG("shell-job", 0, "allow a terminal that is not the container's"),                            \
		FLAG("tcp-established", 0, "keep open TCP connections"),                                         \
		TEXT(work_path, "work-path", 0, "DIR", "where CRIU's log goes")

static const struct option_row checkpoint_rows[] = {
	OPTION_HELP_ROW,
	COMMON,
	FLAG("leave-running", 0, "go on afterwards"),
	TEXT(page_server, "page-server", 0, "ADDRESS:PORT", "send the pages there"),
	TEXT(parent_path, "parent-path", 0, "DIR", "images of an earlier --pre-dump"),
	FLAG("pre-dump", 0, "memory alone, and go on"),
	TEXT(status_fd, "status-fd", 0, "FD", "written to when pages can be fetched"),
	FLAG("tcp-close", 0, "close TCP connections"),
};
const struct option_table checkpoint_options = {
	.rows = checkpoint_rows,
	.count = ARRAY_LEN(checkpoint_rows),
	.command = "checkpoint",
	.one_dash = true,
};

static const struct option_row restore_rows[] = {
	OPTION_HELP_ROW,
	COMMON,
	TEXT(bundle, "bundle", 'b', "DIR", "the bundle (default: the current directory)"),
	TEXT(console_socket, "console-socket", 0, "SOCKET", "who gets the terminal"),
	FLAG("detach", 'd', "do not wait for its end"),
	TEXT(lsm_mount_context, "lsm-mount-context", 0, "CONTEXT", "SELinux context of mounts"),
	TEXT(lsm_profile, "lsm-profile", 0, "TYPE:NAME", "the profile that holds"),
	FLAG("no-pivot", 0, "move the root file system instead of pivot_root(2)"),
	FLAG("no-subreaper", 0, "accepted"),
	TEXT(pid_file, "pid-file", 0, "FILE", "file for the process id"),
};
const struct option_table restore_options = {
	.rows = restore_rows,
	.count = ARRAY_LEN(restore_rows),
	.command = "restore",
	.one_dash = true,
};

static int refuse(const struct option_table *table, int argc, char *const *argv)
{
	_cleanup_free_ const char **names = NULL;
	struct checkpoint_line line = { 0 };
	struct err err = ERR_INIT;
	int status;
	size_t n;

	if (!command_begin(table, argc, argv, &line, 1, 1, &names, &n, &status))
		return status;
	err_set(&err, ERR_REFUSED, ERR_ID_NOT_BUILT, 0,
		"%s %s: this version of nsrun does not drive CRIU, which would save and restore the processes",
		table->command, names[0]);
	return report_error(stderr, &err);
}

int command_checkpoint(int argc, char *const *argv)
{
	return refuse(&checkpoint_options, argc, argv);
}

int command_restore(int argc, char *const *argv)
{
	return refuse(&restore_options, argc, argv);
}
