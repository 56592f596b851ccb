/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the manual page nsrun.1 (man(7) macros) to standard output, at build time: options, errors and steps come from
 * the tables that the tool itself runs on, so that the page cannot differ from it.
 */
#include "roff.h"

#include <nsrun/base/strings.h>
#include <nsrun/cli/commands.h>
#include <nsrun/cli/globals.h>
#include <nsrun/cli/help.h>
#include <nsrun/launch/step.h>
#include <nsrun/plan/mount_options.h>

#include <ctype.h>
#include <string.h>

static void put_words(const char *before, const char *const *words)
{
	roff_put(before);
	for (; *words; words++) {
		roff_bold(*words);
		fputs(words[1] ? ", " : ".\n", stdout);
	}
}

static void put_option(const struct option_row *row)
{
	char text[128];
	const char *trimmed = help_option_text(row, text, sizeof(text));

	roff_tag(trimmed + strspn(trimmed, " "));
	roff_put(row->help);
	fputs(".\n", stdout);
	if (row->kind == OPTION_OPTIONAL)
		put_words("The value is one of: ", row->values);
	if (row->example) {
		fputs("Example: ", stdout);
		roff_bold(row->example);
		fputs(".\n", stdout);
	}
	if (row->planned_values)
		put_words("Planned and not built yet: ", row->planned_values);
}

static void put_options(void)
{
	fputs(".SH OPTIONS\n"
	      "Long options take their value after \\(lq=\\(rq or as the next word, letters may be joined "
	      "(\\fB\\-it\\fR), and the last "
	      "letter may\ncarry a value (\\fB\\-eA=B\\fR). An option that says yes or no means yes when it stands "
	      "alone and takes\n"
	      "\\fBtrue\\fR or \\fBfalse\\fR after \\(lq=\\(rq only (\\fB\\-t=false\\fR). Names are not abbreviated. "
	      "An empty value is an error.\n"
	      "An option with one value may be said again with the same value only; lists add up.\n"
	      "Options end at \\fIROOTFS\\fR; all that follows is \\fICMD\\fR and its arguments. One \\(lq\\-\\-\\(rq "
	      "between them is dropped, and is "
	      "needed\nwhen the name of \\fICMD\\fR begins with \\(lq\\-\\(rq.\n",
	      stdout);
	for (enum option_group group = 0; group < GROUP_COUNT; group++) {
		fputs(".SS ", stdout);
		roff_line(option_groups[group].title);
		fputs(".PP\n.RS 4\n", stdout);
		roff_bold(option_groups[group].example);
		fputs("\n.RE\n", stdout);
		for (size_t i = 0; i < option_rows_count; i++)
			if (option_rows[i].group == group && option_rows[i].status == OPTION_BUILT)
				put_option(&option_rows[i]);
	}
	fputs(".SS Planned\nKnown and not built yet; using one is an error:\n", stdout);
	for (size_t i = 0, n = 0; i < option_rows_count; i++)
		if (option_rows[i].status == OPTION_PLANNED) {
			fputs(n++ ? ",\n" : "", stdout);
			fputs("\\fB\\-\\-", stdout);
			roff_put(option_rows[i].name);
			fputs("\\fR", stdout);
		}
	fputs(".\n", stdout);
}

static void put_sentence(const char *text)
{
	putchar(toupper((unsigned char)*text));
	roff_put(text + 1);
	fputs(".\n", stdout);
}

static void put_mount_words(void)
{
	fputs(".SH MOUNTS\n"
	      "\\fB\\-\\-volume\\fR \\fISRC:DST\\fR[:\\fIWORD\\fR,...], \\fB\\-\\-tmpfs\\fR \\fIDST\\fR[:\\fIWORD\\fR,...] and "
	      "\\fB\\-\\-mount type=\\fITYPE\\fR,\\fIWORD\\fR,... take these words. In \\fB\\-\\-mount\\fR a field with a comma in\n"
	      "it stands in double quotes, as in CSV (\\fB\\(aqtype=bind,\\(dqsrc=/a,b\\(dq,dst=/v\\(aq\\fR). What may be written "
	      "to follows the rule \\(lqWho owns what on\ndisk\\(rq of README.md. A source must exist; mount points are made in the "
	      "rootfs where they are missing, empty and owned by the\ncontainer\\(aqs root, and stay. Nothing can be mounted over the "
	      "rootfs itself, /proc, /sys and what nsrun makes in /dev.\n",
	      stdout);
	for (size_t i = 0; i < mount_words_count; i++) {
		const struct mount_word *row = &mount_words[i];
		const char *before = " (";

		fputs(".TP\n", stdout);
		roff_bold(row->word);
		if (row->value == VALUE_TEXT && !strchr(row->word, '='))
			roff_put("=VALUE");
		else if (row->value != VALUE_NONE)
			roff_put(row->value == VALUE_BOOL   ? "[=true|false]"
				 : row->value == VALUE_WORD ? "=WORD"
							    : "VALUE");
		for (enum mount_kind kind = 0; kind < MOUNT_KIND_COUNT; kind++)
			if (row->kinds & (1U << kind)) {
				roff_put(before);
				roff_put(mount_kind_name(kind));
				before = ", ";
			}
		roff_put(row->only_mount ? "; --mount alone)" : ")");
		putchar('\n');
		roff_put(row->meaning);
		fputs(".\n", stdout);
	}
}

static void put_commands(void)
{
	fputs(".SH COMMANDS\nThe first word is a command when it is the name of one; a rootfs of that name is "
	      "\\fB./gc\\fR or \\fBgc/\\fR.\nEach knows \\fB\\-\\-help\\fR.\n",
	      stdout);
	for (const struct command_row *row = commands; row->name; row++) {
		char usage[256];

		fputs(".SS ", stdout);
		roff_line(help_command_usage(row, usage, sizeof(usage)));
		put_sentence(row->help);
		if (row->details)
			roff_line(row->details);
		for (size_t i = 0; row->options && i < row->options->count; i++)
			if (row->options->rows[i].status == OPTION_BUILT)
				put_option(&row->options->rows[i]);
	}
}

static void put_steps(void)
{
	fputs(".SH STEPS OF A LAUNCH\nWhat \\fB\\-\\-trace\\fR tells and errors name, in order. Steps that a container "
	      "does not need are left out.\n",
	      stdout);
	for (int id = STEP_NONE + 1; id < STEP_COUNT; id++) {
		const struct step *step = &score[id];

		if (!step->name)
			continue;
		fputs(".TP\n", stdout);
		roff_bold(step->name);
		fputs(" (", stdout);
		roff_put(role_name(step->role));
		fputs(", ", stdout);
		roff_put(step->manual ? step->manual : "");
		fputs(")\n", stdout);
		roff_line(step->why ? step->why : "");
	}
}

static void put_errors(void)
{
	fputs(".SH ERRORS\n"
	      "A message names the step of the launch that failed, the process that ran it, the object and the "
	      "kernel's reason; then the\n"
	      "kernel interface with its manual page, and, where the cause is known, the remedy and a stable word for "
	      "scripts:\n",
	      stdout);
	for (int id = ERR_ID_NONE + 1; id < ERR_ID_COUNT; id++) {
		roff_tag(err_id_word((enum err_id)id));
		roff_put(err_id_remedy((enum err_id)id));
		fputs(".\n", stdout);
	}
}

static void put_exit_status(void)
{
	static const struct {
		const char *status, *meaning;
	} rows[] = {
		{ "0\\-255", "that of CMD, when it ended by itself" },
		{ "128+N", "CMD was ended by signal N" },
		{ "125", "nsrun itself failed; nothing is left" },
		{ "126", "CMD was found and cannot be executed" },
		{ "127", "CMD was not found in the container" },
		{ "1", "a command of the OCI runtime, or one after a flag of BUNDLES, failed; 255: exec there" },
	};

	fputs(".SH EXIT STATUS\n", stdout);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		printf(".TP\n\\fB%s\\fR\n%s.\n", rows[i].status, rows[i].meaning);
}

static void put_files(void)
{
	static const struct {
		const char *path, *meaning;
	} rows[] = {
		{ "/etc/subuid, /etc/subgid", "the ranges that users may map (subuid(5), subgid(5))" },
		{ "/etc/nsrun/nsrun.json", "default options and forbidden ones on this host: nsrun.json(5)" },
		{ "$XDG_CONFIG_HOME/nsrun/nsrun.json, ~/.config/nsrun/nsrun.json", "a user's own" },
		{ "/run/nsrun", "state of containers that root started" },
		{ "$XDG_RUNTIME_DIR/nsrun, /tmp/nsrun-UID", "state of containers of an ordinary user" },
		{ "$NSRUN_LAB_DIR, $XDG_STATE_HOME/nsrun/lab, ~/.local/state/nsrun/lab",
		  "the lab: its rootfs, its containers' state, progress.json" },
		{ NSRUN_DATADIR ", $NSRUN_DATA_DIR", "chapters of the lab and rootfs-scripts" },
	};

	fputs(".SH FILES\n", stdout);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		roff_tag(rows[i].path);
		roff_put(rows[i].meaning);
		fputs(".\n", stdout);
	}
}

/* What an OCI bundle's launch takes from elsewhere, and what of config.json is no matter of course. */
static void put_bundles(void)
{
	static const struct {
		const char *name, *meaning;
	} variables[] = {
		{ "LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES",
		  "Of create and run: sockets that a service is activated by (sd_listen_fds(3)). When LISTEN_PID is nsrun's own, "
		  "that many descriptors from 3 on are open in the workload, before those of --preserve-fds, and the three "
		  "variables are set there, LISTEN_PID to its pid. exec passes none on" },
		{ "NOTIFY_SOCKET",
		  "Of create, run and start: who waits for READY=1 (sd_notify(3)), a path or @ and an abstract name. The workload "
		  "gets a socket of nsrun's own, /run/notify/notify.sock, and this variable; of what it says READY=1 alone "
		  "is passed on, with MAINPID= and a barrier from start and run --detach, which return then or when the "
		  "workload has ended. Nothing happens where config.json has a NOTIFY_SOCKET of the engine's own, or where "
		  "create had none" },
	};

	fputs(".SH BUNDLES\n"
	      "Engines call the commands of the OCI runtime with flags before the command; one dash before a name is enough.\n",
	      stdout);
	for (size_t i = 0; i < globals_options.count; i++)
		put_option(&globals_options.rows[i]);
	for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
		roff_tag(variables[i].name);
		roff_put(variables[i].meaning);
		fputs(".\n", stdout);
	}
	roff_tag("linux.namespaces with path");
	roff_put(
		"Namespaces that exist are entered in the order that user namespaces allow: what the joined user namespace does not "
		"own, that one, what it owns. In a mount namespace root.path and the sources of binds are of its tree. It pivots "
		"there: who is in it with its root has the container's root from then on. With root.path / it is taken as it is: "
		"nothing is mounted or pivots, and mounts, masked paths, devices and their like are errors. It must belong to "
		"the user namespace of the container, if that has one.\n");
	roff_tag("process.oomScoreAdj");
	roff_put(
		"A score that the kernel refuses to the caller, lower than the lowest that was set with CAP_SYS_RESOURCE, is an "
		"error: rootless engines ask for none below their own.\n");
}

int main(void)
{
	/* No date: two builds of the same source give the same page. */
	fputs(".TH NSRUN 1 \"\" \"nsrun " NSRUN_VERSION "\" \"User Commands\"\n"
	      ".SH NAME\nnsrun \\- run a command in a container of its own\n"
	      ".SH SYNOPSIS\n"
	      "\\fBnsrun\\fR [\\fIOPTIONS\\fR] \\fIROOTFS\\fR [\\fB\\-\\-\\fR] [\\fICMD\\fR [\\fIARG\\fR...]]\n.br\n"
	      "\\fBnsrun\\fR \\fICOMMAND\\fR [\\fIARG\\fR...]\n"
	      ".SH DESCRIPTION\n"
	      "Runs \\fICMD\\fR, or the shell of the user, in new namespaces whose root directory is \\fIROOTFS\\fR, a "
	      "directory of the host.\n"
	      "Root inside is an unprivileged id outside: every container has a user namespace, and as root, with "
	      "nothing said, a range of\n"
	      "ids that no other container has (\\fB\\-\\-userns\\-remap\\fR). There is no daemon and no image store; "
	      "\\fBrootfs\\-scripts/\\fR "
	      "makes a rootfs.\n"
	      "The first process is \\fICMD\\fR itself. It has a network with loopback alone, few capabilities, a "
	      "system call filter and\n"
	      "no_new_privs. When it ends, everything ends and is removed.\n",
	      stdout);
	put_options();
	put_mount_words();
	put_commands();
	put_bundles();
	put_exit_status();
	put_errors();
	put_steps();
	put_files();
	fputs(".SH SEE ALSO\n.BR nsrun.json (5),\n.BR namespaces (7),\n.BR user_namespaces (7),\n.BR capabilities (7),\n.BR cgroups "
	      "(7),\n.BR seccomp (2),\n"
	      ".BR pivot_root (2),\n.BR subuid (5),\n.BR newuidmap (1)\n",
	      stdout);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
