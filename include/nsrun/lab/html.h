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

/* `kind` is the class of the body. */
void html_begin(FILE *out, const char *title, const char *kind);
void html_end(FILE *out);
extern const char html_style[];
/* Text with nothing in it that a browser would act on: no markup, no control character, nothing that turns the direction of writing. */
void html_text(FILE *out, const char *text);
/* At most `columns` columns of it, and a sign where more was; a wide character counts as two. Returns whether it was cut. */
bool html_text_cut(FILE *out, const char *text, unsigned columns);
/* Paragraphs; `code` within backquotes, *emphasis*. */
void html_prose(FILE *out, const char *text);
/* "20 s", "3 min", "1 h 20 min" */
void html_seconds(FILE *out, json_int_t seconds);
/* "2020-01-02 03:04 UTC" of a time of RFC 3339; nothing of "". */
void html_when(FILE *out, const char *time);
/* One number of a <dl class="tiles">. */
void html_tile(FILE *out, const char *title, int64_t value, int64_t of);

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
	FILE *page, *out;
	const char *title;
	char *text;
	size_t size;
	double height;
	bool failed;
};

/* What is drawn is kept until the height is known. `kind` is the class of the <figure>. */
void figure_begin(struct figure *figure, FILE *page, const char *kind, const char *title);
/* What follows is drawn from the top of another picture of the same figure: paper has pages, and a picture is not parted. */
void figure_cut(struct figure *figure);
/* Into the page, with the title and a caption below, which end the figure. */
void figure_end(struct figure *figure, const char *caption);
void figure_rect(struct figure *figure, const char *class, double x, double y, double width, double height);
void figure_line(struct figure *figure, const char *class, double x1, double y1, double x2, double y2);
enum figure_anchor { FIGURE_START, FIGURE_MIDDLE, FIGURE_END };
/* In at most `width` pixels; what is too long is cut, and whole as its tooltip. */
void figure_text(struct figure *figure, const char *class, enum figure_anchor anchor, double x, double y, double width,
		 const char *text);
void figure_printf(struct figure *figure, const char *class, enum figure_anchor anchor, double x, double y,
		   double width, const char *fmt, ...) _printf_(7, 8);
/* What is drawn until figure_close() has this tooltip. */
void figure_open(struct figure *figure, const char *tip);
void figure_close(struct figure *figure);
/* A sample of a class and what it means; y is that of the text. Returns where the next one begins. */
double figure_legend(struct figure *figure, const char *class, double x, double y, const char *meaning);
/* The columns that a text takes. */
unsigned html_columns(const char *text);

/* Of a launch of launches.json; nothing where it has nothing to show. */
void figure_namespaces(FILE *page, const json_t *launch);
void figure_maps(FILE *page, const json_t *launch);
void figure_mounts(FILE *page, const json_t *launch);
void figure_network(FILE *page, const json_t *launch);
void figure_tape(FILE *page, const json_t *launch);
/* Of the chapters of a document. */
void figure_predictions(FILE *page, const json_t *chapters);

#endif
