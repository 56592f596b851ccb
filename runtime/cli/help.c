/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/help.h>

/* Where the explanation of an option begins; "-u, --user=USER[:GROUP]" and its like fit before it. */
#define HELP_COLUMN 36

void help_usage(FILE *out)
{
	fputs("Usage: nsrun [OPTIONS] ROOTFS [--] [CMD [ARG...]]\n"
	      "       nsrun gc\n"
	      "nsrun --help lists the options; the manual page is nsrun(1).\n",
	      out);
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

static void print_group(FILE *out, enum option_group group)
{
	char text[128];

	fprintf(out, "%-*s%s\n", HELP_COLUMN, option_groups[group].title, option_groups[group].example);
	for (size_t i = 0; i < option_rows_count; i++) {
		const struct option_row *row = &option_rows[i];

		if (row->group != group || row->status != OPTION_BUILT)
			continue;
		fprintf(out, "  %-*s%s\n", HELP_COLUMN - 2, help_option_text(row, text, sizeof(text)), row->help);
	}
}

void help_print(FILE *out)
{
	fputs("Usage: nsrun [OPTIONS] ROOTFS [--] [CMD [ARG...]]   run CMD (default: a shell) in a new container\n"
	      "       nsrun gc                                     remove what dead containers left\n"
	      "\n",
	      out);
	for (enum option_group group = 0; group < GROUP_COUNT; group++)
		print_group(out, group);
	fputs("\n"
	      "Options end at ROOTFS, a directory (rootfs-scripts/busybox makes one); -t=false says no. Exit\n"
	      "status: CMD's own, 128+signal, 127 not found, 126 not executable, 125 nsrun failed. More: nsrun(1).\n",
	      out);
}
