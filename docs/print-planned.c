/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the options and values that are planned and not built, for README.md. `docs/update` puts them there, and a test compares. */
#include <nsrun/cli/options.h>

#include <stdio.h>
#include <string.h>

#define WIDTH 130

static void print_word(const char *option, const char *value, size_t *column)
{
	const size_t n = strlen(option) + (value ? 1 + strlen(value) : 0) + sizeof("`--`,");

	if (*column && *column + n > WIDTH) {
		putchar('\n');
		*column = 0;
	}
	*column += (size_t)printf("%s`--%s%s%s`", *column ? " " : "", option, value ? " " : "", value ? value : "");
}

int main(void)
{
	size_t column = 0;

	for (size_t i = 0; i < option_rows_count; i++) {
		const struct option_row *row = &option_rows[i];

		if (row->status == OPTION_PLANNED)
			print_word(row->name, NULL, &column);
		for (size_t v = 0; row->planned_values && row->planned_values[v]; v++)
			print_word(row->name, row->planned_values[v], &column);
	}
	putchar('\n');
	return 0;
}
