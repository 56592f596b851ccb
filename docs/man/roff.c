/* SPDX-License-Identifier: Apache-2.0 */
#include "roff.h"

#include <stdio.h>

/* In roff a backslash begins an escape, "-" is a hyphen that cannot be pasted into a shell, and a dot or a quote at the
 * beginning of a line makes it a request. */
void roff_put(const char *text)
{
	if (!text)
		return;
	if (*text == '.' || *text == '\'')
		fputs("\\&", stdout);
	for (; *text; text++)
		switch (*text) {
		case '\\':
			fputs("\\e", stdout);
			break;
		case '-':
			fputs("\\-", stdout);
			break;
		case '"':
			fputs("\\(dq", stdout);
			break;
		case '\'':
			fputs("\\(aq", stdout);
			break;
		case '`':
			fputs("\\(ga", stdout);
			break;
		case '^':
			fputs("\\(ha", stdout);
			break;
		case '~':
			fputs("\\(ti", stdout);
			break;
		default:
			putchar(*text);
		}
}

void roff_line(const char *text)
{
	roff_put(text);
	putchar('\n');
}

void roff_bold(const char *text)
{
	fputs("\\fB", stdout);
	roff_put(text);
	fputs("\\fR", stdout);
}

void roff_tag(const char *text)
{
	fputs(".TP\n", stdout);
	roff_bold(text);
	putchar('\n');
}
