/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the options that are planned and not built, for README.md. `docs/update` puts them there, and a test compares. */
#include <nsrun/cli/options.h>

#include <stdio.h>
#include <string.h>

#define WIDTH 130

int main(void)
{
	size_t column = 0;

	for (size_t i = 0; i < option_rows_count; i++) {
		const size_t n = strlen(option_rows[i].name) + sizeof("`--`,");

		if (option_rows[i].status != OPTION_PLANNED)
			continue;
		if (column && column + n > WIDTH) {
			putchar('\n');
			column = 0;
		}
		column += (size_t)printf("%s`--%s`", column ? " " : "", option_rows[i].name);
	}
	putchar('\n');
	return 0;
}
