/* SPDX-License-Identifier: Apache-2.0 */
/* What a key does in the view in panes. */
#include <nsrun/lab/panes.h>

#ifdef NSRUN_NCURSES

#include <nsrun/base/clock.h>

#include <string.h>

#define WORD_MS 300 /* a letter that follows so soon belongs to a word, not to a key */

static void toggle_tape(struct lab_panes *panes)
{
	panes->tape = !panes->tape;
	panes->whole = false;
	panes_relay_out(panes);
	if (panes->layout.area[PART_TAPE].height && panes->tape)
		panes->focus = PART_TAPE;
	else if (panes->focus == PART_TAPE && !panes->layout.area[PART_TAPE].height)
		panes->focus = PART_TEXT;
	panes_renew(panes);
}

static void next_pane(struct lab_panes *panes)
{
	const bool whole = panes->whole;
	enum panes_part part = panes->focus;

	panes->whole = false;
	panes_relay_out(panes);
	do
		part = (part + 1) % PART_HELP;
	while (!panes->layout.area[part].height && part != panes->focus);
	panes->focus = part;
	panes->whole = whole;
	panes_renew(panes);
}

static void toggle_whole(struct lab_panes *panes)
{
	panes->whole = !panes->whole;
	panes_renew(panes);
}

void panes_toggle_help(struct lab_panes *panes)
{
	panes->help = !panes->help;
	panes_renew(panes);
}

static void other_container(struct lab_panes *panes, bool right)
{
	const size_t n = panes->play->session->n;

	if (n > 1)
		panes->chosen = (panes->chosen + (right ? 1 : n - 1)) % n;
	/* To its end. */
	panes->pane[PART_TAPE].top = PANE_LINES_MAX;
	panes_renew(panes);
}

/* A key that may also begin a line: what it has done is undone when a letter follows at once. */
static bool is_key(struct lab_panes *panes, wchar_t c)
{
	if (panes->edit.n > 0 || panes->open)
		return false;
	if (c == L'?') {
		panes_toggle_help(panes);
		return true;
	}
	if (c == L':')
		return panes->open = true;
	if (panes->where == LAB_AT_ASK)
		return false;
	if (c == L't')
		toggle_tape(panes);
	else if (c == L'z')
		toggle_whole(panes);
	else
		return false;
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
bool panes_read_on(struct lab_panes *panes)
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
		return panes_read_on(panes) || panes->where == LAB_AT_ASK ? NULL : strdup("");
	if (begins && c == L'q' && panes->where != LAB_AT_ASK)
		return strdup("quit");
	if (!is_key(panes, c))
		edit_type(&panes->edit, c);
	return NULL;
}

static void tick(struct lab_panes *panes)
{
	if (panes_changed(panes))
		panes_renew(panes);
}

/* Keys that scroll, or show something else. */
void panes_look_around(struct lab_panes *panes, enum panes_event event, enum panes_motion motion)
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
		panes_toggle_help(panes);
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
		panes_renew(panes);
		break;
	default:
		tick(panes);
		break;
	}
}

bool panes_is_scroll(enum panes_event event)
{
	return event == EVENT_UP || event == EVENT_DOWN || event == EVENT_PAGE_UP || event == EVENT_PAGE_DOWN ||
	       event == EVENT_RESIZED || event == EVENT_REDRAW || event == EVENT_NONE;
}

/* A line; NULL with *ret_end: there is none any more. */
char *panes_await_line(struct lab_panes *panes, bool *ret_end)
{
	enum panes_motion motion = EDIT_LEFT;
	wchar_t c = 0;

	panes_draw(panes);
	const enum panes_event event = panes_event(panes, &c, &motion);

	if (panes->help && event != EVENT_GONE && !panes_is_scroll(event)) {
		panes_toggle_help(panes);
		return NULL;
	}
	if (event == EVENT_CHAR)
		return typed(panes, c);
	if (event != EVENT_NONE)
		panes->key = 0;
	*ret_end = event == EVENT_GONE || (event == EVENT_END && panes->edit.n == 0);
	if (event == EVENT_ENTER)
		return panes->edit.n == 0 && panes_read_on(panes) ? NULL : edit_take(&panes->edit);
	if (event != EVENT_END)
		panes_look_around(panes, event, motion);
	return NULL;
}

#endif
