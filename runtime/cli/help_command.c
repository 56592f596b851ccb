/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/help.h>

#include <nsrun/base/strings.h>
#include <nsrun/cli/commands.h>

#include <ctype.h>
#include <string.h>

#define WIDTH 100
#define COLUMN 28 /* where the explanation of an option begins */

/* Words of `text`, in lines of at most WIDTH columns. */
static void print_wrapped(FILE *out, const char *text)
{
	size_t at = 0;

	while (*text) {
		const size_t len = strcspn(text, " ");

		if (at && at + 1 + len > WIDTH) {
			fputc('\n', out);
			at = 0;
		}
		at += (size_t)fprintf(out, "%s%.*s", at ? " " : "", (int)len, text);
		text += len;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

const struct command_row *command_find(const char *word)
{
	for (const struct command_row *row = commands; row->name; row++)
		if (streq(word, row->name))
			return row;
	return NULL;
}

void help_command(FILE *out, const struct command_row *row)
{
	char text[128];

	fprintf(out, "Usage: nsrun %s%s%s%s\n", row->name, row->options ? " [OPTIONS]" : "", row->arguments ? " " : "",
		row->arguments ? row->arguments : "");
	snprintf(text, sizeof(text), "%c%s.", toupper((unsigned char)row->help[0]), row->help + 1);
	print_wrapped(out, text);
	if (row->details)
		print_wrapped(out, row->details);
	for (size_t i = 0; row->options && i < row->options->count; i++) {
		const struct option_row *option = &row->options->rows[i];

		if (option->status == OPTION_BUILT)
			fprintf(out, "  %-*s%s\n", COLUMN - 2, help_option_text(option, text, sizeof(text)),
				option->help);
	}
}
