/* SPDX-License-Identifier: Apache-2.0 */
/* The view in panes: the chapter, both sides and the tape at once, on the whole screen of a terminal. */
#include <nsrun/lab/panes.h>

#ifdef NSRUN_NCURSES

#include <nsrun/base/clock.h>
#include <nsrun/base/strings.h>

#include <string.h>

#define DRAW_MS 50 /* at most so often while something is being done */
#define PLAY_COLUMNS_MIN 40

static const char keys_text[] =
	"  Enter, Space         what is below, if you have not seen it; then the next step\n"
	"  PgUp PgDn arrows     scroll the pane that has the *; Tab gives it to another one\n"
	"  t, F2                the rows of the launch (its tape) instead of host and container\n"
	"  z                    this pane on the whole screen, and back\n"
	"  Left Right           another container\n"
	"  ? F1                 this page\n"
	"  q, ^D                leave; the place is kept\n"
	"  other letters, :     begin a line; while a question waits all letters do\n"
	"  ^P ^N                lines that you have typed before; Esc empties the line\n"
	"  ^C                   ends a command that runs; else the lab\n"
	"\n"
	"  host and container: === both are in this namespace, ! the container's own,\n"
	"  + shared with another container, = the same value, . it cannot be told\n"
	"\n"
	"At the prompt:\n";

void panes_relay_out(struct lab_panes *panes)
{
	int rows, columns;

	panes_terminal_size(&rows, &columns);
	panes_lay_out(&panes->layout, rows, columns, panes, panes->play->session->n);
	for (enum panes_part part = PART_TEXT; part < PART_COUNT; part++) {
		const struct panes_area *area = &panes->layout.area[part];
		const int headed = part == PART_TEXT ? 0 : 1;

		/* What is not seen keeps its width: its rows need not be made again. */
		if (area->height <= headed || area->width < 2)
			continue;
		/* The tape is seen at its end first; panes_fill() finds that. */
		const bool tape_anew = part == PART_TAPE && panes->pane[part].width != (unsigned)(area->width - 1);

		pane_resize(&panes->pane[part], (unsigned)(area->width - 1), (unsigned)(area->height - headed));
		if (tape_anew)
			panes->pane[part].top = PANE_LINES_MAX;
	}
	const unsigned width = panes->pane[PART_TEXT].width;

	panes->play->view.width = width > PLAY_COLUMNS_MIN ? width : PLAY_COLUMNS_MIN;
	if (!panes->help && !panes->layout.area[panes->focus].height)
		panes->focus = PART_TEXT;
}

/* Everything as it is now. */
void panes_renew(struct lab_panes *panes)
{
	panes_relay_out(panes);
	panes_fill(panes);
	panes_draw(panes);
}

/* ---- text ---- */

static ssize_t stream_write(void *cookie, const char *buf, size_t size)
{
	struct lab_panes *panes = cookie;

	if (pane_write(&panes->pane[PART_TEXT], buf, size) < 0)
		return 0;
	if (!panes->asks && now_ms() > panes->drawn_ms + DRAW_MS) {
		pane_show_news(&panes->pane[PART_TEXT]);
		panes_draw(panes);
	}
	return (ssize_t)size;
}

/* ---- lines ---- */

static char *read_line(struct lab_play *play, enum lab_prompt where)
{
	struct lab_panes *panes = play->shown_by;
	char *line = NULL, prompt[LAB_PROMPT_MAX];
	bool end = false;

	fflush(play->view.out);
	panes->where = where;
	panes->asks = true;
	panes->status = NULL;
	panes->key = 0;
	panes->open = false;
	/* What is new is text. */
	panes->whole = panes->whole && panes->focus == PART_TEXT;
	panes_relay_out(panes);
	panes_fill(panes);
	/* A container that has just begun, or ended, gives the text another size. */
	pane_show_news(&panes->pane[PART_TEXT]);
	while (!line && !end)
		line = panes_await_line(panes, &end);
	pane_read(&panes->pane[PART_TEXT]);
	if (line && *line)
		fprintf(play->view.out, "%s%s\n", lab_prompt_text(play, where, prompt), line);
	fflush(play->view.out);
	panes->asks = false;
	panes->status = "Working; ^C ends a command that takes too long";
	panes_draw(panes);
	return line;
}

/* ---- the terminal for others ---- */

static void lend(struct lab_play *play, const char *say)
{
	struct lab_panes *panes = play->shown_by;

	panes_terminal_leave(panes->terminal);
	fputs(say, panes->out);
	fflush(panes->out);
}

static void take_back(struct lab_play *play, bool wait)
{
	struct lab_panes *panes = play->shown_by;
	char byte = '\0';

	if (wait) {
		fputs("(Enter comes back to the lab) ", panes->out);
		fflush(panes->out);
		while (byte != '\n' && read(fileno(panes->in), &byte, 1) == 1)
			;
	}
	panes_terminal_return(panes->terminal);
	panes_renew(panes);
}

/* ---- beginning and end ---- */

static void await_end(struct lab_panes *panes)
{
	enum panes_motion motion = EDIT_LEFT;
	enum panes_event event;
	wchar_t c = 0;

	fflush(panes->play->view.out);
	panes->status = NULL;
	panes_relay_out(panes);
	panes_fill(panes);
	pane_show_news(&panes->pane[PART_TEXT]);
	do {
		panes->status = pane_unseen(&panes->pane[PART_TEXT])
					? NULL
					: "The end: Enter leaves   PgUp PgDn scroll   Tab pane";
		panes_draw(panes);
		event = panes_event(panes, &c, &motion);
		if (panes->help && event != EVENT_GONE && !panes_is_scroll(event))
			panes_toggle_help(panes);
		else if (event == EVENT_CHAR && c == L'q')
			event = EVENT_END;
		else if (event == EVENT_ENTER || (event == EVENT_CHAR && c == L' '))
			event = panes_read_on(panes) || event == EVENT_CHAR ? EVENT_NONE : EVENT_END;
		else
			panes_look_around(panes, event, motion);
	} while (event != EVENT_END && event != EVENT_GONE);
}

static void panes_close(struct lab_play *play, bool wait)
{
	struct lab_panes *panes = play->shown_by;

	if (wait)
		await_end(panes);
	panes->asks = true;
	fclosep(&play->view.out);
	play->view.out = NULL;
	panes_terminal_close(panes->terminal);
	for (enum panes_part part = PART_TEXT; part < PART_COUNT; part++)
		pane_done(&panes->pane[part]);
	edit_done(&panes->edit);
	free(panes);
	play->shown_by = NULL;
}

static const struct lab_presentation shown = { read_line, lend, take_back, panes_close };

int lab_panes_open(struct lab_play *play, FILE *in, FILE *out, bool colour, struct err *err)
{
	const cookie_io_functions_t io = { .write = stream_write };
	struct lab_panes *panes = calloc(1, sizeof(*panes));

	if (!panes)
		return err_oom(err);
	*panes = (struct lab_panes){ .play = play, .in = in, .out = out, .colour = colour };
	FILE *stream = fopencookie(panes, "w", io);
	if (stream)
		(void)setvbuf(stream, NULL, _IOLBF, 0);
	int r = stream ? panes_terminal_open(in, out, colour, &panes->terminal, err) : err_oom(err);

	if (r < 0) {
		fclosep(&stream);
		free(panes);
		return r;
	}
	panes->pane[PART_SIDES].cut = panes->pane[PART_TAPE].cut = true;
	snprintf(panes->heading[PART_HELP], sizeof(panes->heading[0]), "Keys and words");
	(void)pane_write(&panes->pane[PART_HELP], keys_text, strlen(keys_text));
	(void)pane_write(&panes->pane[PART_HELP], lab_help_text, strlen(lab_help_text));
	play->shown = &shown;
	play->shown_by = panes;
	play->view.out = stream;
	play->view.flow = true;
	play->view.columns = true;
	play->view.colour = panes_terminal_has_bold(panes->terminal);
	panes->status = "One moment";
	panes_renew(panes);
	return 0;
}

#else

int lab_panes_open(struct lab_play *play, FILE *in, FILE *out, bool colour, struct err *err)
{
	(void)play;
	(void)colour;
	return err_input(err, "--view panes: %s", lab_panes_lack(in, out));
}

#endif
