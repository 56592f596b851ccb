/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the completion of one shell to standard output, at build time, from the tables that the tool itself runs on: commands, options,
 * the values that an option knows, and what sort of thing its value is.
 */
#include <nsrun/base/strings.h>
#include <nsrun/cli/commands.h>
#include <nsrun/cli/help.h>
#include <nsrun/kernel/caps.h>

#include <ctype.h>
#include <string.h>

/* What a value is, as the shells' functions below know it. */
static const char *sort_of(const struct option_row *row)
{
	static const struct {
		const char *argument, *sort;
	} sorts[] = {
		{ "FILE", "file" },  { "PATH", "file" },     { "SRC:DST", "source" }, { "CAP", "capability" },
		{ "DIR", "inside" }, { "SIGNAL", "signal" }, { "NAME", "text" },
	};

	if (streq(row->name, "userns-remap"))
		return "user";
	for (size_t i = 0; row->argument && i < ARRAY_LEN(sorts); i++)
		if (str_after(row->argument, sorts[i].argument))
			return sorts[i].sort;
	return "text";
}

static bool takes_value(const struct option_row *row)
{
	return row->kind == OPTION_STRING || row->kind == OPTION_LIST;
}

static struct option_table one_shot(void)
{
	return (struct option_table){ .rows = option_rows, .count = option_rows_count };
}

/* The words that a value may be; one that ends in "=" or ":" goes on. */
static void put_values(const struct option_row *row)
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

static void put_capabilities(void)
{
	fputs("ALL", stdout);
	for (unsigned cap = 0; caps_name(cap); cap++)
		printf(" %s", str_after(caps_name(cap), "CAP_"));
}

static void put_groups(void)
{
	for (enum option_group group = 0; group < GROUP_COUNT; group++) {
		putchar(' ');
		for (const char *c = option_groups[group].title; *c && *c != ' '; c++)
			putchar(tolower((unsigned char)*c));
	}
}

static void put_commands(void)
{
	for (const struct command_row *row = commands; row->name; row++)
		printf("%s%s", row == commands ? "" : " ", row->name);
}

static bool begins_with_container(const struct command_row *row)
{
	return row->arguments && (str_after(row->arguments, "NAME") || str_after(row->arguments, "[NAME"));
}

/* ---- bash ---- */

static void bash_options(const char *command, const struct option_table *table)
{
	printf("\t%s) echo '", command);
	for (size_t i = 0; table && i < table->count; i++)
		if (table->rows[i].status == OPTION_BUILT)
			printf("--%s%s ", table->rows[i].name, takes_value(&table->rows[i]) ? "=" : "");
	if (!table || !option_find(table, "help"))
		fputs("--help ", stdout);
	fputs("' ;;\n", stdout);
}

static void bash_values(const char *command, const struct option_table *table)
{
	for (size_t i = 0; table && i < table->count; i++) {
		const struct option_row *row = &table->rows[i];

		if (row->status != OPTION_BUILT)
			continue;
		printf("\t%s:--%s", command, row->name);
		if (row->letter)
			printf(" | %s:-%c", command, row->letter);
		printf(") takes=%s sort=%s values='",
		       takes_value(row)		      ? "value"
		       : row->kind == OPTION_OPTIONAL ? "optional"
						      : "nothing",
		       option_is_switch(row) ? "switch" : sort_of(row));
		put_values(row);
		fputs("' ;;\n", stdout);
	}
}

static const char bash_functions[] =
	"# Names of containers, ids of those without one.\n"
	"_nsrun_names() {\n"
	"\tlocal id name rest\n"
	"\t\"$program\" ls -a 2>/dev/null | while read -r id name rest; do\n"
	"\t\t[[ $id == ID ]] || { [[ $name == - ]] && echo \"$id\" || echo \"$name\"; }\n"
	"\tdone\n"
	"}\n"
	"# Fills COMPREPLY from words: those that go on get no blank.\n"
	"_nsrun_reply() {\n"
	"\tlocal word\n"
	"\tmapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$2\")\n"
	"\tfor word in \"${COMPREPLY[@]}\"; do\n"
	"\t\t[[ $word != *[=:] ]] || compopt -o nospace 2>/dev/null\n"
	"\tdone\n"
	"}\n"
	"_nsrun_files() {\n"
	"\tcompopt -o filenames 2>/dev/null\n"
	"\tmapfile -t COMPREPLY < <(compgen \"$1\" -- \"$2\")\n"
	"}\n"
	"# A program or path inside of the rootfs $1.\n"
	"_nsrun_inside() {\n"
	"\tlocal path out=()\n"
	"\tif [[ $2 == /* ]]; then\n"
	"\t\twhile IFS= read -r path; do\n"
	"\t\t\tout+=(\"${path#\"$1\"}\")\n"
	"\t\tdone < <(compgen -f -- \"$1$2\")\n"
	"\t\tcompopt -o filenames 2>/dev/null\n"
	"\telse\n"
	"\t\tfor path in \"$1\"/{usr/local/,usr/,}{s,}bin/\"$2\"*; do\n"
	"\t\t\t[[ ! -e $path && ! -L $path ]] || out+=(\"${path##*/}\")\n"
	"\t\tdone\n"
	"\tfi\n"
	"\tCOMPREPLY=(\"${out[@]}\")\n"
	"}\n"
	"# The value $2 of option $1.\n"
	"_nsrun_value() {\n"
	"\tlocal value=$2 typed=$2 takes sort values i\n"
	"\t_nsrun_option \"$command\" \"$1\"\n"
	"\tcase $sort:$value in\n"
	"\t*:container:*) _nsrun_reply \"$(_nsrun_names | sed 's/^/container:/')\" \"$value\" ;;\n"
	"\t*:ns:*) _nsrun_files -f \"${value#ns:}\"; typed=${value#ns:} ;;\n"
	"\t*:seccomp=?*) _nsrun_reply \"$values\" \"$value\"\n"
	"\t\t((${#COMPREPLY[@]} > 0)) || { _nsrun_files -f \"${value#seccomp=}\"; typed=${value#seccomp=}; } ;;\n"
	"\tswitch:*) _nsrun_reply 'true false' \"$value\" ;;\n"
	"\tuser:*) _nsrun_reply \"$values $(compgen -u)\" \"$value\" ;;\n"
	"\tcapability:*) _nsrun_reply \"$capabilities\" \"$value\" ;;\n"
	"\tsignal:*) _nsrun_reply \"$(compgen -A signal)\" \"$value\" ;;\n"
	"\tsource:*:*) ;;\n"
	"\tfile:* | source:*) _nsrun_files -f \"$value\" ;;\n"
	"\t*) _nsrun_reply \"$values\" \"$value\" ;;\n"
	"\tesac\n"
	"\t# readline replaces what stands behind the last = or :\n"
	"\tif [[ $typed == *[=:]* ]]; then\n"
	"\t\ttyped=${typed%\"${typed##*[=:]}\"}\n"
	"\t\tfor i in \"${!COMPREPLY[@]}\"; do\n"
	"\t\t\tCOMPREPLY[i]=${COMPREPLY[i]#\"$typed\"}\n"
	"\t\tdone\n"
	"\tfi\n"
	"}\n"
	"_nsrun() {\n"
	"\tlocal words=() word i j cur command=run at=1 pending='' program\n"
	"\tCOMPREPLY=()\n"
	"\t# readline makes words of = and : too\n"
	"\tfor ((i = 0; i <= COMP_CWORD; i++)); do\n"
	"\t\tword=${COMP_WORDS[i]}\n"
	"\t\tif ((i > 1)) && [[ $word == [=:]* || ${COMP_WORDS[i - 1]} == *[=:] ]]; then\n"
	"\t\t\twords[-1]+=$word\n"
	"\t\telse\n"
	"\t\t\twords+=(\"$word\")\n"
	"\t\tfi\n"
	"\tdone\n"
	"\tprogram=${words[0]} cur=${words[-1]}\n"
	"\tif ((${#words[@]} > 2)) && [[ \" $commands \" == *\" ${words[1]} \"* ]]; then\n"
	"\t\tcommand=${words[1]} at=2\n"
	"\tfi\n"
	"\tfor ((i = at; i < ${#words[@]} - 1; i++)); do\n"
	"\t\tword=${words[i]}\n"
	"\t\tif [[ -n $pending ]]; then\n"
	"\t\t\tpending=''\n"
	"\t\telif [[ $word == -- ]]; then\n"
	"\t\t\t((i += 1))\n"
	"\t\t\tbreak\n"
	"\t\telif [[ $word == --*=* ]]; then\n"
	"\t\t\t:\n"
	"\t\telif [[ $word == --* ]]; then\n"
	"\t\t\t_nsrun_takes \"$command\" \"$word\" && pending=$word\n"
	"\t\telif [[ $word == -?* ]]; then\n"
	"\t\t\tfor ((j = 1; j < ${#word}; j++)); do\n"
	"\t\t\t\tif _nsrun_takes \"$command\" \"-${word:j:1}\"; then\n"
	"\t\t\t\t\t((j < ${#word} - 1)) || pending=-${word:j:1}\n"
	"\t\t\t\t\tbreak\n"
	"\t\t\t\tfi\n"
	"\t\t\tdone\n"
	"\t\telif [[ $command == run ]]; then\n"
	"\t\t\tbreak\n"
	"\t\tfi\n"
	"\tdone\n"
	"\tif [[ -n $pending ]]; then\n"
	"\t\t_nsrun_value \"$pending\" \"$cur\"\n"
	"\telif ((i < ${#words[@]} - 1)); then\n"
	"\t\t[[ $command != run ]] || _nsrun_inside \"${words[i]%/}\" \"$cur\"\n"
	"\telif [[ $cur == --*=* ]]; then\n"
	"\t\t_nsrun_value \"${cur%%=*}\" \"${cur#*=}\"\n"
	"\telif [[ $cur == -* ]]; then\n"
	"\t\t_nsrun_reply \"$(_nsrun_options \"$command\")\" \"$cur\"\n"
	"\telif [[ $command == run ]]; then\n"
	"\t\t_nsrun_files -d \"$cur\"\n"
	"\t\tif ((${#words[@]} == 2)); then\n"
	"\t\t\tmapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -W \"$commands\" -- \"$cur\")\n"
	"\t\tfi\n"
	"\telif [[ $command == help ]]; then\n"
	"\t\t_nsrun_reply \"$commands $groups\" \"$cur\"\n"
	"\telif [[ \" $of_containers \" == *\" $command \"* ]]; then\n"
	"\t\t_nsrun_reply \"$(_nsrun_names)\" \"$cur\"\n"
	"\tfi\n"
	"}\n"
	"complete -F _nsrun nsrun\n";

static void bash_lists(void)
{
	fputs("\tlocal commands='", stdout);
	put_commands();
	fputs("' groups='", stdout);
	put_groups();
	fputs("' of_containers='", stdout);
	for (const struct command_row *row = commands; row->name; row++)
		if (begins_with_container(row))
			printf("%s ", row->name);
	fputs("' capabilities='", stdout);
	put_capabilities();
	fputs("'\n", stdout);
}

static void write_bash(void)
{
	const struct option_table run = one_shot();
	const char *body = strstr(bash_functions, "_nsrun() {\n") + strlen("_nsrun() {\n");

	fputs("# SPDX-License-Identifier: Apache-2.0\n"
	      "# Completion of nsrun for bash, made from its tables.\n"
	      "# shellcheck shell=bash disable=SC2034,SC2154\n"
	      "_nsrun_options() {\n\tcase $1 in\n",
	      stdout);
	bash_options("run", &run);
	for (const struct command_row *row = commands; row->name; row++)
		bash_options(row->name, row->options);
	fputs("\tesac\n}\n"
	      "# Sets takes (value, optional, nothing), sort and values of option $2 of command $1.\n"
	      "_nsrun_option() {\n\ttakes=nothing sort=text values=\n\tcase $1:$2 in\n",
	      stdout);
	bash_values("run", &run);
	for (const struct command_row *row = commands; row->name; row++)
		bash_values(row->name, row->options);
	fputs("\tesac\n}\n"
	      "_nsrun_takes() {\n\tlocal values takes sort\n\t_nsrun_option \"$1\" \"$2\"\n\t[[ $takes == value ]]\n}\n",
	      stdout);
	fwrite(bash_functions, (size_t)(body - bash_functions), 1, stdout);
	bash_lists();
	fputs(body, stdout);
}

/* ---- zsh ---- */

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
	const char *sort = sort_of(row);

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

static void write_zsh(void)
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
			fputs(streq(row->name, "help") ? "\t\t'*:word:_nsrun_words'\n" : "\t\t\n", stdout);
		fputs("\t\t\treturn\n\t\t\t;;\n", stdout);
	}
	fputs("\t\tesac\n\tfi\n\t_arguments -s -S -A '-*' \\\n", stdout);
	zsh_arguments(&run);
	fputs("\t\t'1:rootfs or command:_nsrun_first' '*::command inside:_nsrun_inside'\n}\n_nsrun \"$@\"\n", stdout);
}

/* ---- fish ---- */

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
	const char *sort = sort_of(row);

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

static void write_fish(void)
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
		if (streq(row->name, "help")) {
			printf("complete -c nsrun -n '%s' -a '", condition);
			put_commands();
			put_groups();
			fputs("'\n", stdout);
		}
	}
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
