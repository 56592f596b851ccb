/* SPDX-License-Identifier: Apache-2.0 */
#include "completion.h"

#include <nsrun/base/strings.h>
#include <nsrun/cli/commands.h>

#include <string.h>

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
		       option_is_switch(row) ? "switch" : value_sort(row));
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
	"\tlocal words=() word i j cur command=launch at=1 pending='' program\n"
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
	"\t\telif [[ \" launch $of_one \" == *\" $command \"* ]]; then\n"
	"\t\t\tbreak\n"
	"\t\tfi\n"
	"\tdone\n"
	"\tif [[ -n $pending ]]; then\n"
	"\t\t_nsrun_value \"$pending\" \"$cur\"\n"
	"\telif ((i < ${#words[@]} - 1)); then\n"
	"\t\t[[ $command != launch ]] || _nsrun_inside \"${words[i]%/}\" \"$cur\"\n"
	"\telif [[ $cur == --*=* ]]; then\n"
	"\t\t_nsrun_value \"${cur%%=*}\" \"${cur#*=}\"\n"
	"\telif [[ $cur == -* ]]; then\n"
	"\t\t_nsrun_reply \"$(_nsrun_options \"$command\")\" \"$cur\"\n"
	"\telif [[ $command == launch ]]; then\n"
	"\t\t_nsrun_files -d \"$cur\"\n"
	"\t\tif ((${#words[@]} == 2)); then\n"
	"\t\t\tmapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -W \"$commands\" -- \"$cur\")\n"
	"\t\tfi\n"
	"\telif [[ $command == help ]]; then\n"
	"\t\t_nsrun_reply \"$commands $groups\" \"$cur\"\n"
	"\telif [[ $command == lab ]]; then\n"
	"\t\t_nsrun_reply \"$lab_words $(\"$program\" lab list 2>/dev/null | sed -n 's/^\\([a-z0-9][a-z0-9-]*\\) .*/\\1/p')\" \"$cur\"\n"
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
	fputs("' of_one='", stdout);
	for (const struct command_row *row = commands; row->name; row++)
		if (begins_with_container(row) && !strstr(row->arguments, "NAME..."))
			printf("%s ", row->name);
	fputs("' lab_words='" LAB_WORDS "' capabilities='", stdout);
	put_capabilities();
	fputs("'\n", stdout);
}

void write_bash(void)
{
	const struct option_table run = one_shot();
	const char *body = strstr(bash_functions, "_nsrun() {\n") + strlen("_nsrun() {\n");

	fputs("# SPDX-License-Identifier: Apache-2.0\n"
	      "# Completion of nsrun for bash, made from its tables.\n"
	      "# shellcheck shell=bash disable=SC2034,SC2154\n"
	      "_nsrun_options() {\n\tcase $1 in\n",
	      stdout);
	bash_options("launch", &run);
	for (const struct command_row *row = commands; row->name; row++)
		bash_options(row->name, row->options);
	fputs("\tesac\n}\n"
	      "# Sets takes (value, optional, nothing), sort and values of option $2 of command $1.\n"
	      "_nsrun_option() {\n\ttakes=nothing sort=text values=\n\tcase $1:$2 in\n",
	      stdout);
	bash_values("launch", &run);
	for (const struct command_row *row = commands; row->name; row++)
		bash_values(row->name, row->options);
	fputs("\tesac\n}\n"
	      "_nsrun_takes() {\n\tlocal values takes sort\n\t_nsrun_option \"$1\" \"$2\"\n\t[[ $takes == value ]]\n}\n",
	      stdout);
	fwrite(bash_functions, (size_t)(body - bash_functions), 1, stdout);
	bash_lists();
	fputs(body, stdout);
}
