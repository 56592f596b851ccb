/* SPDX-License-Identifier: Apache-2.0 */
#include "completion.h"

#include <nsrun/base/strings.h>
#include <nsrun/cli/commands.h>

#include <string.h>

static void fish_text(const char *text)
{
	putchar('\'');
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('\'');
}

static void fish_option(const char *condition, const struct option_row *row)
{
	const char *sort = value_sort(row);

	printf("complete -c nsrun -n '%s' -l %s", condition, row->name);
	if (row->letter)
		printf(" -s %c", row->letter);
	if (takes_value(row)) {
		fputs(streq(sort, "file") || streq(sort, "source") ? " -r -F" : " -x", stdout);
		if (streq(sort, "capability"))
			fputs(" -a '(__nsrun_capabilities)'", stdout);
		else if (streq(sort, "user"))
			fputs(" -a 'default auto (__fish_complete_users)'", stdout);
		else if (row->values) {
			fputs(" -a '", stdout);
			put_values(row);
			putchar('\'');
		}
	} else if (row->kind == OPTION_OPTIONAL) {
		fputs(" -f -a '", stdout);
		put_values(row);
		putchar('\'');
	}
	fputs(" -d ", stdout);
	fish_text(row->help);
	putchar('\n');
}

static void fish_options(const char *condition, const struct option_table *table)
{
	for (size_t i = 0; table && i < table->count; i++)
		if (table->rows[i].status == OPTION_BUILT)
			fish_option(condition, &table->rows[i]);
	if (!table || !option_find(table, "help"))
		printf("complete -c nsrun -n '%s' -l help -s h -f -d 'explain this command'\n", condition);
}

void write_fish(void)
{
	const struct option_table run = one_shot();

	fputs("# SPDX-License-Identifier: Apache-2.0\n"
	      "# Completion of nsrun for fish, made from its tables.\n"
	      "function __nsrun_command\n"
	      "\tset -l tokens (commandline -opc)\n"
	      "\ttest (count $tokens) -gt 1; and contains -- $tokens[2] $argv\n"
	      "end\n"
	      "function __nsrun_run\n\tnot __nsrun_command ",
	      stdout);
	put_commands();
	fputs("\nend\n"
	      "function __nsrun_first\n\ttest (count (commandline -opc)) -eq 1\nend\n"
	      "function __nsrun_names\n"
	      "\tnsrun ls -a 2>/dev/null | while read -l id name rest\n"
	      "\t\tif test \"$id\" != ID\n\t\t\tif test \"$name\" = -\n\t\t\t\techo $id\n\t\t\telse\n\t\t\t\techo $name\n\t\t\tend\n\t\tend\n"
	      "\tend\n"
	      "end\n"
	      "function __nsrun_capabilities\n\tstring split ' ' '",
	      stdout);
	put_capabilities();
	fputs("'\nend\n"
	      "complete -c nsrun -f\n"
	      "complete -c nsrun -n __nsrun_run -a '(__fish_complete_directories)' -d rootfs\n",
	      stdout);
	fish_options("__nsrun_run", &run);
	for (const struct command_row *row = commands; row->name; row++) {
		char condition[64];

		printf("complete -c nsrun -n __nsrun_first -a %s -d ", row->name);
		fish_text(row->help);
		putchar('\n');
		snprintf(condition, sizeof(condition), "__nsrun_command %s", row->name);
		fish_options(condition, row->options);
		if (begins_with_container(row))
			printf("complete -c nsrun -n '%s' -a '(__nsrun_names)'\n", condition);
		if (streq(row->name, "lab"))
			printf("complete -c nsrun -n '%s' -a '" LAB_WORDS
			       " (nsrun lab list 2>/dev/null | string match -r \"^[a-z0-9][a-z0-9-]*\")'\n",
			       condition);
		if (streq(row->name, "help")) {
			printf("complete -c nsrun -n '%s' -a '", condition);
			put_commands();
			put_groups();
			fputs("'\n", stdout);
		}
	}
}
