/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages of a report: HTML that is also well-formed XML, in one file that refers to nothing outside, and figures in it as SVG. Whatever is not written here comes from
 * learners, from a rootfs or from a file that somebody has handed in: it is text, and its JSON may have any form.
 */
#ifndef NSRUN_LAB_HTML_H
#define NSRUN_LAB_HTML_H

#include <nsrun/base/cleanup.h>

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* ---- pages ---- */

void html_begin(FILE *out, const char *title);
void html_end(FILE *out);
/* Text with nothing in it that a browser would act on: no markup, no control character, nothing that turns the direction of writing. */
void html_text(FILE *out, const char *text);
/* At most `columns` columns of it, and a sign where more was; a wide character counts as two. Returns whether it was cut. */
bool html_text_cut(FILE *out, const char *text, unsigned columns);
/* Paragraphs; `code` within backquotes. */
void html_prose(FILE *out, const char *text);
/* "3 min 20 s" */
void html_seconds(FILE *out, json_int_t seconds);

/* ---- JSON of any form ---- */

/* "" where it is none. */
const char *text_in(const json_t *object, const char *key);
/* Within 0 and 2^53, what a JSON number can be trusted with; 0 where it is none. */
int64_t number_in(const json_t *object, const char *key);

/* ---- figures ---- */

#define FIGURE_WIDTH 960
#define FIGURE_CHAR 7.25 /* of the font of figures, 12 pixels, monospace */
#define FIGURE_PAD 10

struct figure {
	FILE *out;
	char *text;
	size_t size;
	double height;
	bool failed;
};

/* What is drawn is kept until the height is known. */
void figure_begin(struct figure *figure);
/* Into the page, with a title and a caption below, which end the figure. */
void figure_end(struct figure *figure, FILE *page, const char *kind, const char *title, const char *caption);
void figure_rect(struct figure *figure, const char *class, double x, double y, double width, double height);
void figure_line(struct figure *figure, const char *class, double x1, double y1, double x2, double y2);
enum figure_anchor { FIGURE_START, FIGURE_MIDDLE, FIGURE_END };
/* In at most `width` pixels; what is too long is cut, and whole as its tooltip. */
void figure_text(struct figure *figure, const char *class, enum figure_anchor anchor, double x, double y, double width,
		 const char *text);
void figure_printf(struct figure *figure, const char *class, enum figure_anchor anchor, double x, double y,
		   double width, const char *fmt, ...) _printf_(7, 8);

/* Of a launch of launches.json; nothing where it has nothing to show. */
void figure_namespaces(FILE *page, const json_t *launch);
void figure_maps(FILE *page, const json_t *launch);
void figure_mounts(FILE *page, const json_t *launch);
void figure_network(FILE *page, const json_t *launch);
void figure_tape(FILE *page, const json_t *launch);

#endif
