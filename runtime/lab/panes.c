/* SPDX-License-Identifier: Apache-2.0 */
/* The view in panes: the chapter, both sides and the tape at once, on the whole screen of a terminal. */
#include <nsrun/lab/panes.h>

#ifdef NSRUN_NCURSES

#include <nsrun/base/clock.h>
#include <nsrun/base/strings.h>

#include <string.h>

#define DRAW_MS 50  /* at most so often while something is being done */
#define WORD_MS 300 /* a letter that follows so soon belongs to a word, not to a key */
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

static void relay_out(struct lab_panes *panes)
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
static void renew(struct lab_panes *panes)
{
	relay_out(panes);
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

/* ---- keys ---- */

static void toggle_tape(struct lab_panes *panes)
{
	panes->tape = !panes->tape;
	panes->whole = false;
	relay_out(panes);
	if (panes->layout.area[PART_TAPE].height && panes->tape)
		panes->focus = PART_TAPE;
	else if (panes->focus == PART_TAPE && !panes->layout.area[PART_TAPE].height)
		panes->focus = PART_TEXT;
	renew(panes);
}

static void next_pane(struct lab_panes *panes)
{
	const bool whole = panes->whole;
	enum panes_part part = panes->focus;

	panes->whole = false;
	relay_out(panes);
	do
		part = (part + 1) % PART_HELP;
	while (!panes->layout.area[part].height && part != panes->focus);
	panes->focus = part;
	panes->whole = whole;
	renew(panes);
}

static void toggle_whole(struct lab_panes *panes)
{
	panes->whole = !panes->whole;
	renew(panes);
}

static void toggle_help(struct lab_panes *panes)
{
	panes->help = !panes->help;
	renew(panes);
}

static void other_container(struct lab_panes *panes, bool right)
{
	const size_t n = panes->play->session->n;

	if (n > 1)
		panes->chosen = (panes->chosen + (right ? 1 : n - 1)) % n;
	/* To its end. */
	panes->pane[PART_TAPE].top = PANE_LINES_MAX;
	renew(panes);
}

/* A key that may also begin a line: what it has done is undone when a letter follows at once. */
static bool is_key(struct lab_panes *panes, wchar_t c)
{
	if (panes->edit.n > 0 || panes->open)
		return false;
	if (c == L'?') {
		toggle_help(panes);
		return true;
	}
	if (panes->where == LAB_AT_ASK)
		return false;
	if (c == L't')
		toggle_tape(panes);
	else if (c == L'z')
		toggle_whole(panes);
	else
		return panes->open = c == L':';
	panes->key = c;
	panes->key_ms = now_ms();
	return true;
}

static void undo_key(struct lab_panes *panes, wchar_t next)
{
	const wchar_t key = panes->key;

	panes->key = 0;
	/* One key behind another: no word begins like that. */
	if (!key || now_ms() > panes->key_ms + WORD_MS || wcschr(L" ?:tzq", next))
		return;
	if (key == L't')
		toggle_tape(panes);
	else
		toggle_whole(panes);
	edit_type(&panes->edit, key);
}

static void scroll(struct lab_panes *panes, long rows)
{
	pane_scroll(&panes->pane[panes->help ? PART_HELP : panes->focus], rows);
}

/* Reads on, or says that all was seen. */
static bool read_on(struct lab_panes *panes)
{
	struct pane *text = &panes->pane[PART_TEXT];

	if (!panes->layout.area[PART_TEXT].height || !pane_unseen(text))
		return false;
	/* From where it was left, when the learner has looked back. */
	const size_t wanted = text->seen > 1 ? text->seen - 1 : 0;

	pane_scroll(text, (long)wanted - (long)text->top);
	return true;
}

static void edit_or_choose(struct lab_panes *panes, enum panes_motion motion)
{
	if (panes->edit.n == 0 && (motion == EDIT_LEFT || motion == EDIT_RIGHT))
		other_container(panes, motion == EDIT_RIGHT);
	else
		edit_move(&panes->edit, motion);
}

/* "" and "quit" are lines, too. NULL: go on. */
static char *typed(struct lab_panes *panes, wchar_t c)
{
	if (panes->key)
		undo_key(panes, c);
	const bool begins = panes->edit.n == 0 && !panes->open;

	if (begins && c == L' ')
		return read_on(panes) || panes->where == LAB_AT_ASK ? NULL : strdup("");
	if (begins && c == L'q' && panes->where != LAB_AT_ASK)
		return strdup("quit");
	if (!is_key(panes, c))
		edit_type(&panes->edit, c);
	return NULL;
}

static void tick(struct lab_panes *panes)
{
	if (panes_changed(panes))
		renew(panes);
}

/* Keys that scroll, or show something else. */
static void look_around(struct lab_panes *panes, enum panes_event event, enum panes_motion motion)
{
	const long page = (long)panes->pane[panes->help ? PART_HELP : panes->focus].height - 1;

	switch (event) {
	case EVENT_UP:
	case EVENT_DOWN:
		scroll(panes, event == EVENT_UP ? -1 : 1);
		break;
	case EVENT_PAGE_UP:
	case EVENT_PAGE_DOWN:
		scroll(panes, event == EVENT_PAGE_UP ? -page : page);
		break;
	case EVENT_TAB:
		next_pane(panes);
		break;
	case EVENT_TAPE:
		toggle_tape(panes);
		break;
	case EVENT_HELP:
		toggle_help(panes);
		break;
	case EVENT_ESCAPE:
		panes->open = false;
		edit_move(&panes->edit, EDIT_CLEAR);
		break;
	case EVENT_EDIT:
		edit_or_choose(panes, motion);
		break;
	case EVENT_REDRAW:
	case EVENT_RESIZED:
		panes_terminal_resized(panes->terminal);
		renew(panes);
		break;
	default:
		tick(panes);
		break;
	}
}

static bool is_scroll(enum panes_event event)
{
	return event == EVENT_UP || event == EVENT_DOWN || event == EVENT_PAGE_UP || event == EVENT_PAGE_DOWN ||
	       event == EVENT_RESIZED || event == EVENT_REDRAW || event == EVENT_NONE;
}

/* A line; NULL with *ret_end: there is none any more. */
static char *await_line(struct lab_panes *panes, bool *ret_end)
{
	enum panes_motion motion = EDIT_LEFT;
	wchar_t c = 0;

	panes_draw(panes);
	const enum panes_event event = panes_event(panes, &c, &motion);

	if (panes->help && event != EVENT_GONE && !is_scroll(event)) {
		toggle_help(panes);
		return NULL;
	}
	if (event == EVENT_CHAR)
		return typed(panes, c);
	if (event != EVENT_NONE)
		panes->key = 0;
	*ret_end = event == EVENT_GONE || (event == EVENT_END && panes->edit.n == 0);
	if (event == EVENT_ENTER)
		return panes->edit.n == 0 && read_on(panes) ? NULL : edit_take(&panes->edit);
	if (event != EVENT_END)
		look_around(panes, event, motion);
	return NULL;
}

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
	relay_out(panes);
	panes_fill(panes);
	/* A container that has just begun, or ended, gives the text another size. */
	pane_show_news(&panes->pane[PART_TEXT]);
	while (!line && !end)
		line = await_line(panes, &end);
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
	renew(panes);
}

/* ---- beginning and end ---- */

static void await_end(struct lab_panes *panes)
{
	enum panes_motion motion = EDIT_LEFT;
	enum panes_event event;
	wchar_t c = 0;

	fflush(panes->play->view.out);
	panes->status = NULL;
	relay_out(panes);
	panes_fill(panes);
	pane_show_news(&panes->pane[PART_TEXT]);
	do {
		panes->status = pane_unseen(&panes->pane[PART_TEXT])
					? NULL
					: "The end: Enter leaves   PgUp PgDn scroll   Tab pane";
		panes_draw(panes);
		event = panes_event(panes, &c, &motion);
		if (panes->help && event != EVENT_GONE && !is_scroll(event))
			toggle_help(panes);
		else if (event == EVENT_CHAR && c == L'q')
			event = EVENT_END;
		else if (event == EVENT_ENTER || (event == EVENT_CHAR && c == L' '))
			event = read_on(panes) || event == EVENT_CHAR ? EVENT_NONE : EVENT_END;
		else
			look_around(panes, event, motion);
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
	renew(panes);
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
