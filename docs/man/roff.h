/* SPDX-License-Identifier: Apache-2.0 */
/* Text as man(7) wants it, to standard output. NULL is nothing. */
#ifndef NSRUN_DOCS_ROFF_H
#define NSRUN_DOCS_ROFF_H

void roff_put(const char *text);
void roff_line(const char *text);
void roff_bold(const char *text);
/* The tag of a paragraph (.TP). */
void roff_tag(const char *text);

#endif
