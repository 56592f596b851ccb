/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the view in panes. Only panes_screen.c and panes_terminal.c know ncurses. */
#ifndef NSRUN_LAB_PANES_H
#define NSRUN_LAB_PANES_H

#include <nsrun/lab/pane.h>
#include <nsrun/lab/play.h>

#define PANES_LINE_MAX 1024 /* characters that may be typed */
#define PANES_PAST 64	    /* lines that can be typed again */

/* ---- the line that is typed ---- */

struct panes_edit {
	wchar_t line[PANES_LINE_MAX];
	size_t n, at; /* the cursor stands before line[at] */
	char *past[PANES_PAST];
	size_t n_past, back; /* `back` lines ago; 0: the new one */
};

enum panes_motion {
	EDIT_LEFT,
	EDIT_RIGHT,
	EDIT_BEGIN,
	EDIT_END,
	EDIT_RUB,    /* the character before the cursor */
	EDIT_DELETE, /* at it */
	EDIT_RUB_WORD,
	EDIT_CLEAR,
	EDIT_EARLIER, /* what was typed before */
	EDIT_LATER,
};

void edit_type(struct panes_edit *edit, wchar_t c);
void edit_move(struct panes_edit *edit, enum panes_motion motion);
/* What was typed, in UTF-8, malloc'd; the line is empty then. NULL without memory. */
char *edit_take(struct panes_edit *edit);
void edit_done(struct panes_edit *edit);

/* ---- what is on the screen ---- */

enum panes_part { PART_TEXT, PART_SIDES, PART_TAPE, PART_HELP, PART_COUNT };

struct panes_area {
	int y, x, height, width; /* height 0: it is not seen; the first row is its heading, but of the text */
};

struct panes_layout {
	int rows, columns;
	int bar; /* column between the left and the right side; 0: none */
	struct panes_area area[PART_COUNT];
};

struct panes_terminal;

struct lab_panes {
	struct lab_play *play;
	FILE *in, *out;
	struct panes_terminal *terminal;
	bool colour;
	struct pane pane[PART_COUNT];
	char heading[PART_COUNT][256];
	struct panes_layout layout;
	enum panes_part focus;
	bool tape, whole, help; /* the tape instead of the sides; one pane on the whole screen; help above all */
	size_t chosen, known;	/* the container that is shown, of `known` */
	char states[512];	/* of the containers when they were looked at */
	struct panes_edit edit;
	enum lab_prompt where;
	bool asks;	    /* a line is waited for; else something is being done */
	const char *status; /* what the last line says instead of keys; NULL: keys */
	bool open;	    /* letters are a line, not keys */
	wchar_t key;	    /* the last key, where it could also begin a line; 0: none */
	uint64_t key_ms, drawn_ms;
};

/* Where all is, on a screen of this size. `containers`: how many there are. */
void panes_lay_out(struct panes_layout *layout, int rows, int columns, const struct lab_panes *panes,
		   size_t containers);
/* Both sides, and the rows of the launch, as they are now. */
void panes_fill(struct lab_panes *panes);
/* True: the state of a container is another one than at the last panes_fill(). */
bool panes_changed(struct lab_panes *panes);
/* Lines of the table of both sides for a pane of this width; `name` (NULL: all that fit) is the container in it. */
void panes_fill_sides(struct pane *pane, struct lab_session *session, size_t chosen, unsigned width, unsigned height,
		      char *ret_heading, size_t heading_size);
void panes_fill_tape(struct pane *pane, const struct lab_container *container, char *ret_heading, size_t heading_size);

/* ---- the screen ---- */

enum panes_event {
	EVENT_NONE, /* nothing within a second */
	EVENT_CHAR, /* *ret_char */
	EVENT_ENTER,
	EVENT_TAB,
	EVENT_UP,
	EVENT_DOWN,
	EVENT_PAGE_UP,
	EVENT_PAGE_DOWN,
	EVENT_HELP,
	EVENT_TAPE,
	EVENT_ESCAPE,
	EVENT_REDRAW,
	EVENT_RESIZED,
	EVENT_EDIT, /* *ret_motion */
	EVENT_END,  /* ^D */
	EVENT_GONE, /* there is no terminal any more */
};

/* Takes the terminal; -EINVAL: it cannot be used. */
int panes_terminal_open(FILE *in, FILE *out, bool colour, struct panes_terminal **ret, struct err *err);
/* Gives it back as it was. */
void panes_terminal_close(struct panes_terminal *terminal);
/* For a command, and back. */
void panes_terminal_leave(struct panes_terminal *terminal);
void panes_terminal_return(struct panes_terminal *terminal);
bool panes_terminal_has_bold(const struct panes_terminal *terminal);
void panes_terminal_size(int *ret_rows, int *ret_columns);
/* A row that must be known to whoever leaves the screen in a hurry. */
void panes_terminal_resized(struct panes_terminal *terminal);

enum panes_event panes_event(struct lab_panes *panes, wchar_t *ret_char, enum panes_motion *ret_motion);
/* All of it, anew. */
void panes_draw(struct lab_panes *panes);

/* ---- what keys do ---- */

/* The layout, for the screen and the containers as they are now. */
void panes_relay_out(struct lab_panes *panes);
/* Everything as it is now. */
void panes_renew(struct lab_panes *panes);
void panes_toggle_help(struct lab_panes *panes);
/* Reads on; false: all was seen. */
bool panes_read_on(struct lab_panes *panes);
/* Keys that scroll, or show something else. */
void panes_look_around(struct lab_panes *panes, enum panes_event event, enum panes_motion motion);
bool panes_is_scroll(enum panes_event event);
/* One key: the line that it ends ("" and "quit" are some, too); NULL: none, and with *ret_end none will come. */
char *panes_await_line(struct lab_panes *panes, bool *ret_end);

#endif
