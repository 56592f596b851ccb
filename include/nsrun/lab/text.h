/* SPDX-License-Identifier: Apache-2.0 */
/* Text of the lab, as lines: for any terminal, 80 columns, a screen reader, a pipe. Colour is only ever an addition. */
#ifndef NSRUN_LAB_TEXT_H
#define NSRUN_LAB_TEXT_H

#include <nsrun/base/cleanup.h>

#include <stdbool.h>
#include <stdio.h>

struct lab_view {
	FILE *out;
	unsigned width;
	bool colour;  /* a terminal that has it, and NO_COLOR is not set */
	bool columns; /* may put the two sides beside each other */
	bool flow;    /* who reads `out` wraps by itself: a paragraph is one line, with marks of sieve.h */
};

/* Markdown of a chapter: paragraphs and lists are wrapped, tables and fences stay as they are. */
void lab_print_markdown(const struct lab_view *view, const char *text);
/* One paragraph of it; `first` and `rest` begin its lines. */
void lab_print_wrapped(const struct lab_view *view, const char *first, const char *rest, const char *text);
/* Plain text, wrapped: "WORD: ..." and lines below it indented by as much as "WORD: " has. */
void lab_say(const struct lab_view *view, const char *word, const char *fmt, ...) _printf_(3, 4);
/* What a program has printed: each line after `prefix`, control characters escaped. */
void lab_print_output(const struct lab_view *view, const char *prefix, const char *text);
/* The same of two sides, differences marked by a word or a sign. */
void lab_print_both(const struct lab_view *view, const char *right_name, const char *left, const char *right);
/* Emphasis where there is colour: begins and ends it. */
void lab_strong(const struct lab_view *view, bool on);
/* Columns that the text takes: marks take none, a character of several bytes one. */
unsigned lab_columns(const char *text);

#endif
