/* SPDX-License-Identifier: Apache-2.0 */
#include "completion.h"

#include <nsrun/base/strings.h>
#include <nsrun/cli/commands.h>

#include <string.h>

/* In '...' within _arguments' "[...]". */
static void zsh_text(const char *text)
{
	for (; *text; text++)
		if (*text == '\'')
			fputs("'\\''", stdout);
		else if (strchr("[]:\\", *text))
			printf("\\%c", *text);
		else
			putchar(*text);
}

static void zsh_action(const struct option_row *row)
{
	const char *sort = value_sort(row);

	if (streq(sort, "capability"))
		fputs("_nsrun_capabilities", stdout);
	else if (streq(sort, "user"))
		fputs("_users", stdout);
	else if (streq(sort, "signal"))
		fputs("_signals", stdout);
	else if (streq(sort, "file") || streq(sort, "source"))
		fputs("_files", stdout);
	else if (row->values) {
		putchar('(');
		for (const char *const *word = row->values; *word; word++) {
			printf("%s", word == row->values ? "" : " ");
			zsh_text(*word);
		}
		putchar(')');
	}
}

static void zsh_option(const struct option_row *row)
{
	const char *eq = takes_value(row) ? "=" : row->kind == OPTION_OPTIONAL ? "=-" : "";

	fputs("\t\t", stdout);
	if (row->kind == OPTION_LIST)
		fputs("\\*", stdout);
	else if (row->letter)
		printf("'(-%c --%s)'", row->letter, row->name);
	if (row->letter)
		printf("{-%c%s,--%s%s}", row->letter, takes_value(row) ? "+" : "", row->name, eq);
	else
		printf("--%s%s", row->name, eq);
	fputs("'[", stdout);
	zsh_text(row->help);
	putchar(']');
	if (row->argument) {
		fputs(row->kind == OPTION_OPTIONAL ? "::" : ":", stdout);
		zsh_text(row->argument);
		putchar(':');
		zsh_action(row);
	}
	fputs("' \\\n", stdout);
}

static void zsh_arguments(const struct option_table *table)
{
	for (size_t i = 0; table && i < table->count; i++)
		if (table->rows[i].status == OPTION_BUILT)
			zsh_option(&table->rows[i]);
	if (!table || !option_find(table, "help"))
		fputs("\t\t'(-h --help)'{-h,--help}'[explain this command]' \\\n", stdout);
}

void write_zsh(void)
{
	const struct option_table run = one_shot();

	fputs("#compdef nsrun\n"
	      "# SPDX-License-Identifier: Apache-2.0\n"
	      "# Completion of nsrun for zsh, made from its tables.\n"
	      "_nsrun_names() {\n"
	      "\tlocal -a names\n"
	      "\tnames=(${(f)\"$(nsrun ls -a 2>/dev/null | while read -r id name rest; do\n"
	      "\t\t[[ $id == ID ]] || { [[ $name == - ]] && echo $id || echo $name }\n"
	      "\tdone)\"})\n"
	      "\tcompadd -a names\n"
	      "}\n"
	      "_nsrun_lab() {\n"
	      "\tlocal -a chapters\n"
	      "\tchapters=(${(f)\"$(nsrun lab list 2>/dev/null | sed -n 's/^\\([a-z0-9][a-z0-9-]*\\) .*/\\1/p')\"})\n"
	      "\tcompadd " LAB_WORDS " $chapters\n"
	      "}\n"
	      "_nsrun_capabilities() {\n\tcompadd ",
	      stdout);
	put_capabilities();
	fputs("\n}\n_nsrun_words() {\n\tcompadd ", stdout);
	put_commands();
	put_groups();
	fputs("\n}\n"
	      "_nsrun_first() {\n"
	      "\tlocal -a commands=(\n",
	      stdout);
	for (const struct command_row *row = commands; row->name; row++) {
		printf("\t\t'%s:", row->name);
		zsh_text(row->help);
		fputs("'\n", stdout);
	}
	fputs("\t)\n"
	      "\t((CURRENT > 2)) || _describe -t commands command commands\n"
	      "\t_files -/\n"
	      "}\n"
	      "# Paths as the container sees them.\n"
	      "_nsrun_inside() {\n"
	      "\tlocal root=${words[1]%/}\n"
	      "\t_path_files -W \"$root\" -P ''\n"
	      "}\n"
	      "_nsrun() {\n"
	      "\tif ((CURRENT > 2)); then\n"
	      "\t\tcase $words[2] in\n",
	      stdout);
	for (const struct command_row *row = commands; row->name; row++) {
		printf("\t\t%s)\n\t\t\tshift words\n\t\t\t((CURRENT--))\n\t\t\t_arguments -s -S \\\n", row->name);
		zsh_arguments(row->options);
		if (begins_with_container(row))
			fputs(strstr(row->arguments, "NAME...") ? "\t\t'*:container:_nsrun_names'\n"
								: "\t\t'1:container:_nsrun_names' '*:word:'\n",
			      stdout);
		else
			fputs(streq(row->name, "help")	? "\t\t'*:word:_nsrun_words'\n"
			      : streq(row->name, "lab") ? "\t\t'*:chapter:_nsrun_lab'\n"
							: "\t\t\n",
			      stdout);
		fputs("\t\t\treturn\n\t\t\t;;\n", stdout);
	}
	fputs("\t\tesac\n\tfi\n\t_arguments -s -S -A '-*' \\\n", stdout);
	zsh_arguments(&run);
	fputs("\t\t'1:rootfs or command:_nsrun_first' '*::command inside:_nsrun_inside'\n}\n_nsrun \"$@\"\n", stdout);
}
