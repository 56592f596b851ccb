/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the completion of one shell to standard output, at build time, from the tables that the tool itself runs on: commands, options,
 * the values that an option knows, and what sort of thing its value is.
 */
#include "completion.h"

#include <nsrun/base/strings.h>
#include <nsrun/cli/commands.h>
#include <nsrun/cli/help.h>
#include <nsrun/kernel/caps.h>

#include <ctype.h>
#include <string.h>

/* What a value is, as the shells' functions below know it. */
const char *value_sort(const struct option_row *row)
{
	static const struct {
		const char *argument, *sort;
	} sorts[] = {
		{ "FILE", "file" },  { "PATH", "file" },     { "SRC:DST", "source" }, { "CAP", "capability" },
		{ "DIR", "inside" }, { "SIGNAL", "signal" }, { "NAME", "text" },
	};

	if (streq(row->name, "userns-remap"))
		return "user";
	if (streq(row->name, "chapters")) /* of the host */
		return "file";
	for (size_t i = 0; row->argument && i < ARRAY_LEN(sorts); i++)
		if (str_after(row->argument, sorts[i].argument))
			return sorts[i].sort;
	return "text";
}

bool takes_value(const struct option_row *row)
{
	return row->kind == OPTION_STRING || row->kind == OPTION_LIST;
}

struct option_table one_shot(void)
{
	return (struct option_table){ .rows = option_rows, .count = option_rows_count };
}

/* The words that a value may be; one that ends in "=" or ":" goes on. */
void put_values(const struct option_row *row)
{
	static const char *const profiles[] = { "default", "docker", "unconfined", NULL };
	bool some = false;

	for (const char *const *word = row->values; word && *word; word++) {
		if (streq(*word, "seccomp="))
			for (const char *const *profile = profiles; *profile; profile++)
				printf("seccomp=%s ", *profile);
		printf("%s%s", some ? " " : "", *word);
		some = true;
	}
	if (streq(row->name, "userns-remap"))
		fputs("default auto", stdout);
}

void put_capabilities(void)
{
	fputs("ALL", stdout);
	for (unsigned cap = 0; caps_name(cap); cap++)
		printf(" %s", str_after(caps_name(cap), "CAP_"));
}

void put_groups(void)
{
	for (enum option_group group = 0; group < GROUP_COUNT; group++) {
		putchar(' ');
		for (const char *c = option_groups[group].title; *c && *c != ' '; c++)
			putchar(tolower((unsigned char)*c));
	}
}

void put_commands(void)
{
	for (const struct command_row *row = commands; row->name; row++)
		printf("%s%s", row == commands ? "" : " ", row->name);
}

bool begins_with_container(const struct command_row *row)
{
	return row->arguments && (str_after(row->arguments, "NAME") || str_after(row->arguments, "[NAME"));
}

int main(int argc, char **argv)
{
	const char *shell = argc == 2 ? argv[1] : "";

	if (streq(shell, "bash"))
		write_bash();
	else if (streq(shell, "zsh"))
		write_zsh();
	else if (streq(shell, "fish"))
		write_fish();
	else
		return 2;
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
