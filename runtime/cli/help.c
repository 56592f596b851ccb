/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/help.h>

#include <nsrun/base/strings.h>
#include <nsrun/cli/commands.h>
#include <nsrun/cli/report.h>
#include <nsrun/kernel/seccomp.h>
#include <nsrun/oci/config.h>

#include <ctype.h>
#include <nsrun-commit.h>
#include <string.h>

/* Where the explanation of an option begins; "-u, --user=USER[:GROUP]" and its like fit before it. */
#define HELP_COLUMN 36
#define HELP_WIDTH 100

/* Breaks lines at blanks; all but the first begin at `indent`. `column` is where the text begins. */
static void print_wrapped(FILE *out, const char *text, size_t column, size_t indent)
{
	while (*text) {
		const size_t n = strcspn(text, " ");

		if (column > indent && column + n + 1 > HELP_WIDTH) {
			fprintf(out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (column > indent) {
			fputc(' ', out);
			column++;
		}
		fprintf(out, "%.*s", (int)n, text);
		column += n;
		text += n + strspn(text + n, " ");
	}
	fputc('\n', out);
}

static void print_commands(FILE *out, const char *before)
{
	char names[1024] = "";
	size_t used = 0;

	for (const struct command_row *row = commands; row->name && used < sizeof(names); row++)
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", used ? " " : "", row->name);
	fputs(before, out);
	print_wrapped(out, names, strlen(before), strlen(before));
}

void help_usage(FILE *out)
{
	fputs("Usage: nsrun [OPTIONS] ROOTFS [--] [CMD [ARG...]]\n", out);
	print_commands(out, "       nsrun COMMAND [ARG...]    COMMAND: ");
	fputs("nsrun --help lists the options; the manual page is nsrun(1).\n", out);
}

const char *help_option_text(const struct option_row *row, char *buf, size_t size)
{
	char letter[8] = "    ";

	if (row->letter)
		snprintf(letter, sizeof(letter), "-%c, ", row->letter);
	if (row->kind == OPTION_OPTIONAL)
		snprintf(buf, size, "%s--%s[=%s]", letter, row->name, row->argument);
	else if (row->argument)
		snprintf(buf, size, "%s--%s=%s", letter, row->name, row->argument);
	else
		snprintf(buf, size, "%s--%s", letter, row->name);
	return buf;
}

static void print_option(FILE *out, const struct option_row *row)
{
	char text[128];

	fprintf(out, "  %-*s%s\n", HELP_COLUMN - 2, help_option_text(row, text, sizeof(text)), row->help);
}

static void print_group(FILE *out, enum option_group group)
{
	fprintf(out, "%-*s%s\n", HELP_COLUMN, option_groups[group].title, option_groups[group].example);
	for (size_t i = 0; i < option_rows_count; i++)
		if (option_rows[i].group == group && option_rows[i].status == OPTION_BUILT)
			print_option(out, &option_rows[i]);
}

void help_print(FILE *out)
{
	fputs("Usage: nsrun [OPTIONS] ROOTFS [--] [CMD [ARG...]]   run CMD (default: a shell) in a new container\n",
	      out);
	print_commands(out, "       nsrun COMMAND [--help] [ARG...]   ");
	for (enum option_group group = 0; group < GROUP_COUNT; group++)
		print_group(out, group);
	fputs("Options end at ROOTFS, a directory (rootfs-scripts/busybox makes one); -t=false says no. Exit\n"
	      "status: CMD's own, 128+signal, 127 not found, 126 not executable, 125 nsrun failed. More:\n"
	      "nsrun help files, nsrun help --volume, nsrun help gc; nsrun(1), nsrun.json(5).\n",
	      out);
}

const char *help_command_usage(const struct command_row *command, char *buf, size_t size)
{
	snprintf(buf, size, "nsrun %s%s%s%s", command->name, command->options ? " [OPTIONS]" : "",
		 command->arguments ? " " : "", command->arguments ? command->arguments : "");
	return buf;
}

void help_command(FILE *out, const struct command_row *command)
{
	char usage[256], text[128];

	fprintf(out, "Usage: %s\n", help_command_usage(command, usage, sizeof(usage)));
	snprintf(text, sizeof(text), "%c%s.", toupper((unsigned char)command->help[0]), command->help + 1);
	print_wrapped(out, text, 0, 0);
	if (command->details)
		print_wrapped(out, command->details, 0, 0);
	for (size_t i = 0; command->options && i < command->options->count; i++)
		if (command->options->rows[i].status == OPTION_BUILT)
			print_option(out, &command->options->rows[i]);
	if (!command->options || !option_find(command->options, "help"))
		fprintf(out, "  %-*s%s\n", HELP_COLUMN - 2, "-h, --help", "explain this command");
}

bool help_is_wanted(int argc, char *const *argv)
{
	return argc > 1 && (streq(argv[1], "--help") || streq(argv[1], "-h"));
}

/* ---- nsrun help WORD ---- */

static void print_words(FILE *out, const char *before, const char *const *words)
{
	char text[512] = "";
	size_t used = 0;

	for (; words && *words && used < sizeof(text); words++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used ? " " : "", *words);
	if (!used)
		return;
	fputs(before, out);
	print_wrapped(out, text, strlen(before), strlen(before));
}

static void print_option_whole(FILE *out, const struct option_row *row)
{
	print_option(out, row);
	if (row->status == OPTION_PLANNED)
		fputs("      planned, not built yet\n", out);
	print_words(out, "      values:  ", row->values);
	print_words(out, "      planned: ", row->planned_values);
	if (row->example)
		fprintf(out, "      example: nsrun %s ROOTFS\n", row->example);
}

/* The first word of a group's title, in small letters. */
static bool is_group_word(enum option_group group, const char *word)
{
	const size_t n = strcspn(option_groups[group].title, " ");

	return strlen(word) == n && strncasecmp(option_groups[group].title, word, n) == 0;
}

static bool help_word(FILE *out, const char *word)
{
	const struct option_table table = { .rows = option_rows, .count = option_rows_count };
	const struct option_row *option = option_find(&table, word + strspn(word, "-"));

	for (const struct command_row *row = commands; row->name; row++)
		if (streq(row->name, word)) {
			help_command(out, row);
			return true;
		}
	for (enum option_group group = 0; group < GROUP_COUNT; group++)
		if (is_group_word(group, word)) {
			fprintf(out, "%s: %s\n", option_groups[group].title, option_groups[group].example);
			for (size_t i = 0; i < option_rows_count; i++)
				if (option_rows[i].group == group)
					print_option_whole(out, &option_rows[i]);
			return true;
		}
	for (size_t i = 0; !option && word[0] == '-' && word[1] && !word[2] && i < option_rows_count; i++)
		if (option_rows[i].letter == word[1])
			option = &option_rows[i];
	if (option)
		print_option_whole(out, option);
	return option != NULL;
}

static int unknown_word(const char *word, struct err *err)
{
	const struct option_table table = { .rows = option_rows, .count = option_rows_count };
	const char *near = command_nearest(word);

	near = near ? near : option_nearest(&table, word + strspn(word, "-"));
	return err_set(err, ERR_INPUT, ERR_ID_UNKNOWN_OPTION, 0,
		       "help %s: no command, option or group of options has this name%s%s%s", word,
		       near ? ": did you mean " : "", near ? near : "", near ? "?" : "");
}

int command_help(int argc, char *const *argv)
{
	struct err err = ERR_INIT;

	if (argc < 2)
		help_print(stdout);
	for (int i = 1; i < argc; i++)
		if (!help_word(stdout, argv[i])) {
			unknown_word(argv[i], &err);
			fflush(stdout);
			return report_error(stderr, &err);
		}
	return report_flush(stdout, "standard output");
}

int command_version(int argc, char *const *argv)
{
	char buf[SECCOMP_LIBRARY_SIZE];
	struct err err = ERR_INIT;

	if (argc > 1) {
		err_set(&err, ERR_INPUT, ERR_ID_NONE, 0, "version: takes no arguments, but was given '%s'", argv[1]);
		return report_error(stderr, &err);
	}
	/* Engines take the first word as the name, and the lines by their words. */
	puts("nsrun version " NSRUN_VERSION);
	puts("commit: " NSRUN_COMMIT);
	puts("spec: " OCI_VERSION);
	printf("libseccomp: %s\n", seccomp_library(buf));
	return report_flush(stdout, "standard output");
}
