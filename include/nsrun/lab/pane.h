/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of the screen that shows lines: what was written to it, wrapped at its width by words, and which of its rows are seen. It knows nothing of
 * terminals: panes.c draws it.
 */
#ifndef NSRUN_LAB_PANE_H
#define NSRUN_LAB_PANE_H

#include <nsrun/lab/sieve.h>

#include <wchar.h>

#define PANE_LINES_MAX 20000 /* the oldest are forgotten */
#define PANE_LINE_MAX 8192   /* bytes; what is longer goes on in the next line */

/* Text has marks (LAB_STRONG, LAB_CODE, LAB_NORMAL) and characters that can be shown, nothing else. */
struct pane_line {
	char *text;
	char *hang; /* what its further rows begin with */
};

struct pane_row {
	size_t line;
	size_t begin, end; /* bytes of its text */
	char mark;	   /* that holds at its beginning */
};

struct pane {
	struct pane_line *lines;
	size_t n, room;
	struct pane_row *rows; /* of the first `built` lines, at `width` */
	size_t n_rows, rows_room, built;
	unsigned width, height;
	bool cut;    /* lines are cut at the width, not wrapped */
	size_t top;  /* the first row that is seen */
	size_t seen; /* rows that were on the screen */
	size_t news; /* the first line that was written since pane_read() */
	char *part;  /* of a line that has not ended */
	size_t part_n, part_room;
};

void pane_done(struct pane *pane);
void pane_clear(struct pane *pane);
/* Any bytes. -ENOMEM: it is not shown. */
int pane_write(struct pane *pane, const char *p, size_t n);
/* Its lines in rows of another size; what stood at the top stays there. */
void pane_resize(struct pane *pane, unsigned width, unsigned height);
/* Builds rows of what is new: to be called before rows are looked at. */
void pane_lay_out(struct pane *pane);
/* Shows what is new: from its beginning when it is longer than the pane, with the end at the pane's end else. */
void pane_show_news(struct pane *pane);
/* What is there has been read: it is no news. */
void pane_read(struct pane *pane);
void pane_scroll(struct pane *pane, long rows);
/* Rows below the last one that was seen. */
size_t pane_unseen(struct pane *pane);

/* The next character of a text: returns its bytes (0 at the end), what to show for it, and its columns. `*ret_mark`: it is a mark, nothing is shown. */
size_t pane_next(const char *text, wchar_t *ret, unsigned *ret_columns, char *ret_mark);
unsigned pane_columns(const char *text);

#endif
