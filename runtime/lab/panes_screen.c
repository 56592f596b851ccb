/* SPDX-License-Identifier: Apache-2.0 */
/* Drawing panes, and what keys mean. */
#include <nsrun/lab/panes.h>

#ifdef NSRUN_NCURSES

#define NCURSES_NOMACROS
#define NCURSES_WIDECHAR 1
#include <curses.h>

#include <nsrun/base/clock.h>
#include <nsrun/base/strings.h>

#include <poll.h>
#include <string.h>

#define CTRL(c) ((c)&0x1f)

static attr_t attribute_of(const struct lab_panes *panes, char mark)
{
	if (mark == LAB_STRONG[0])
		return A_BOLD;
	if (mark == LAB_CODE[0])
		return panes->colour && has_colors() ? (attr_t)COLOR_PAIR(1) : A_NORMAL;
	return A_NORMAL;
}

/* At most `columns` of the `n` bytes; returns how many columns were used. */
static int draw_text(const struct lab_panes *panes, int y, int x, const char *text, size_t n, int columns, char mark)
{
	int used = 0;
	unsigned width;
	wchar_t c;
	char found;
	size_t length;

	for (const char *end = text + n; text < end && (length = pane_next(text, &c, &width, &found)); text += length) {
		if (found)
			mark = found;
		if (found)
			continue;
		if (used + (int)width > columns)
			break;
		(void)attrset((int)attribute_of(panes, mark));
		(void)mvaddnwstr(y, x + used, &c, 1);
		used += (int)width;
	}
	(void)attrset(A_NORMAL);
	return used;
}

static void draw_row(const struct lab_panes *panes, const struct pane *pane, size_t index, int y, int x)
{
	const struct pane_row *row = &pane->rows[index];
	const struct pane_line *line = &pane->lines[row->line];
	const int width = (int)pane->width;
	int used = 0;

	if (row->begin > 0 && pane_columns(line->hang) + 8 < pane->width)
		used = draw_text(panes, y, x, line->hang, strlen(line->hang), width, LAB_NORMAL[0]);
	(void)draw_text(panes, y, x + used, line->text + row->begin, row->end - row->begin, width - used, row->mark);
	/* A line that was cut says so. */
	if (pane->cut && pane_columns(line->text) > pane->width)
		(void)mvaddch(y, x + width - 1, '~');
}

static void draw_heading(const struct lab_panes *panes, enum panes_part part)
{
	const struct panes_area *area = &panes->layout.area[part];
	const struct pane *pane = &panes->pane[part];
	char where[48] = "";

	(void)mvhline(area->y, area->x, 0, area->width);
	(void)mvaddch(area->y, area->x, panes->focus == part ? '*' : ' ');
	const int used = draw_text(panes, area->y, area->x + 1, panes->heading[part], strlen(panes->heading[part]),
				   area->width - 1, LAB_STRONG[0]);

	if (pane->n_rows > pane->height)
		snprintf(where, sizeof(where), " %zu-%zu of %zu ", pane->top + 1, pane->top + pane->height,
			 pane->n_rows);
	if (*where && used + (int)strlen(where) + 3 < area->width)
		(void)mvaddstr(area->y, area->x + area->width - (int)strlen(where) - 1, where);
}

static void draw_part(struct lab_panes *panes, enum panes_part part)
{
	const struct panes_area *area = &panes->layout.area[part];
	const int headed = part == PART_TEXT ? 0 : 1;
	struct pane *pane = &panes->pane[part];

	if (area->height <= headed || area->width < 2)
		return;
	pane_lay_out(pane);
	if (headed)
		draw_heading(panes, part);
	for (size_t i = 0; i < pane->height && pane->top + i < pane->n_rows; i++)
		draw_row(panes, pane, pane->top + i, area->y + headed + (int)i, area->x + (part != PART_TEXT));
}

static void draw_bar(const struct lab_panes *panes, int y, const char *left, const char *right)
{
	const int columns = panes->layout.columns, wanted = (int)pane_columns(right);

	(void)attrset((int)A_REVERSE);
	(void)mvhline(y, 0, ' ', columns);
	for (int side = 0, x = 1; side < 2; side++, x = columns - wanted - 1) {
		const char *text = side ? right : left;
		unsigned width;
		wchar_t c;
		char mark;
		size_t n;

		if (side && wanted + (int)pane_columns(left) + 3 > columns)
			break;
		for (; (n = pane_next(text, &c, &width, &mark)) && x + (int)width < columns; text += n) {
			if (!mark)
				(void)mvaddnwstr(y, x, &c, 1);
			x += (int)width;
		}
	}
	(void)attrset(A_NORMAL);
}

static void draw_title(const struct lab_panes *panes)
{
	const struct lab_play *play = panes->play;
	char left[300], right[600];

	snprintf(left, sizeof(left), "%s%s", panes->focus == PART_TEXT ? "*" : " ", play->chapter->title);
	snprintf(right, sizeof(right), "%s%s%s %zu/%zu", panes->states, *panes->states ? "   " : "", play->chapter->id,
		 play->at < play->chapter->n_blocks ? play->at + 1 : play->at, play->chapter->n_blocks);
	draw_bar(panes, 0, left, right);
}

static const char *keys_of(const struct lab_panes *panes, char *buf, size_t size)
{
	const size_t unseen = pane_unseen((struct pane *)&panes->pane[PART_TEXT]);

	if (panes->status)
		return panes->status;
	if (panes->help)
		return "Any key closes the help; PgUp PgDn scroll";
	if (unseen && panes->layout.area[PART_TEXT].height) {
		snprintf(buf, size, "Space or Enter: more (lines: %zu)   PgUp PgDn scroll   ? help", unseen);
		return buf;
	}
	switch (panes->where) {
	case LAB_AT_ASK:
		return "Type your answer, and Enter   Tab pane   F2 tape   ? help   ^D leave";
	case LAB_AT_TASK:
		return "Enter checks   hint  solve  or a command   Tab pane  t tape  ? help  q quit";
	default:
		return "Enter next   PgUp PgDn scroll   Tab pane  t tape  : command  ? help  q quit";
	}
}

static void draw_lines(const struct lab_panes *panes)
{
	const struct panes_layout *layout = &panes->layout;
	const struct panes_edit *edit = &panes->edit;
	char prompt[LAB_PROMPT_MAX], keys[128];
	const int y = layout->rows - 2;
	size_t from = 0;

	draw_bar(panes, layout->rows - 1, keys_of(panes, keys, sizeof(keys)), "");
	if (y < 1)
		return;
	if (!panes->asks) {
		(void)move(y, 0);
		return;
	}
	(void)lab_prompt_text(panes->play, panes->where, prompt);
	int x = draw_text(panes, y, 0, prompt, strlen(prompt), layout->columns / 2, LAB_NORMAL[0]);
	const int room = layout->columns - x - 1;

	/* The cursor stays on the line. */
	while (room > 0 && edit->at - from > (size_t)room * 2 / 3 && edit->n - from > (size_t)room)
		from++;
	int cursor = x;

	for (size_t i = from; i <= edit->n && x < layout->columns - 1; i++) {
		const int width = i < edit->n ? wcwidth(edit->line[i]) : 0;

		if (i == edit->at)
			cursor = x;
		if (i < edit->n)
			(void)mvaddnwstr(y, x, width < 1 ? L"?" : &edit->line[i], 1);
		x += width < 1 ? 1 : width;
	}
	(void)move(y, cursor);
}

void panes_draw(struct lab_panes *panes)
{
	const struct panes_layout *layout = &panes->layout;

	(void)erase();
	if (layout->rows >= 3 && layout->columns >= 10) {
		draw_title(panes);
		for (enum panes_part part = PART_TEXT; part < PART_COUNT; part++)
			draw_part(panes, part);
		if (layout->bar && !panes->whole && !panes->help)
			(void)mvvline(1, layout->bar, 0, layout->rows - 3);
		draw_lines(panes);
	}
	(void)refresh();
	panes->drawn_ms = now_ms();
}

/* ---- keys ---- */

static enum panes_event event_of_key(wint_t key, enum panes_motion *ret_motion)
{
	static const struct {
		int key;
		enum panes_event event;
		enum panes_motion motion;
	} keys[] = {
		{ KEY_ENTER, EVENT_ENTER, 0 },
		{ KEY_UP, EVENT_UP, 0 },
		{ KEY_DOWN, EVENT_DOWN, 0 },
		{ KEY_PPAGE, EVENT_PAGE_UP, 0 },
		{ KEY_NPAGE, EVENT_PAGE_DOWN, 0 },
		{ KEY_F(1), EVENT_HELP, 0 },
		{ KEY_F(2), EVENT_TAPE, 0 },
		{ KEY_RESIZE, EVENT_RESIZED, 0 },
		{ KEY_LEFT, EVENT_EDIT, EDIT_LEFT },
		{ KEY_RIGHT, EVENT_EDIT, EDIT_RIGHT },
		{ KEY_HOME, EVENT_EDIT, EDIT_BEGIN },
		{ KEY_END, EVENT_EDIT, EDIT_END },
		{ KEY_BACKSPACE, EVENT_EDIT, EDIT_RUB },
		{ KEY_DC, EVENT_EDIT, EDIT_DELETE },
	};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (keys[i].key == (int)key) {
			*ret_motion = keys[i].motion;
			return keys[i].event;
		}
	return EVENT_NONE;
}

static enum panes_event event_of_control(wint_t c, enum panes_motion *ret_motion)
{
	static const struct {
		wint_t c;
		enum panes_event event;
		enum panes_motion motion;
	} keys[] = {
		{ '\r', EVENT_ENTER, 0 },
		{ '\n', EVENT_ENTER, 0 },
		{ '\t', EVENT_TAB, 0 },
		{ CTRL('D'), EVENT_END, 0 },
		{ CTRL('L'), EVENT_REDRAW, 0 },
		{ CTRL('T'), EVENT_TAPE, 0 },
		{ CTRL('['), EVENT_ESCAPE, 0 },
		{ 0x7f, EVENT_EDIT, EDIT_RUB },
		{ CTRL('H'), EVENT_EDIT, EDIT_RUB },
		{ CTRL('W'), EVENT_EDIT, EDIT_RUB_WORD },
		{ CTRL('U'), EVENT_EDIT, EDIT_CLEAR },
		{ CTRL('A'), EVENT_EDIT, EDIT_BEGIN },
		{ CTRL('E'), EVENT_EDIT, EDIT_END },
		{ CTRL('B'), EVENT_EDIT, EDIT_LEFT },
		{ CTRL('F'), EVENT_EDIT, EDIT_RIGHT },
		{ CTRL('P'), EVENT_EDIT, EDIT_EARLIER },
		{ CTRL('N'), EVENT_EDIT, EDIT_LATER },
	};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (keys[i].c == c) {
			*ret_motion = keys[i].motion;
			return keys[i].event;
		}
	return EVENT_NONE;
}

enum panes_event panes_event(struct lab_panes *panes, wchar_t *ret_char, enum panes_motion *ret_motion)
{
	struct pollfd fd = { .fd = fileno(panes->in), .events = POLLIN };
	wint_t c = 0;

	const int r = get_wch(&c);
	if (r == KEY_CODE_YES)
		return event_of_key(c, ret_motion);
	if (r == OK && (c < 0x20 || c == 0x7f))
		return event_of_control(c, ret_motion);
	if (r == OK) {
		*ret_char = (wchar_t)c;
		return c >= 0x80 && c < 0xa0 ? EVENT_NONE : EVENT_CHAR;
	}
	/* Nothing came, or nothing can come any more. */
	return poll(&fd, 1, 0) == 1 && fd.revents & (POLLHUP | POLLERR | POLLNVAL) ? EVENT_GONE : EVENT_NONE;
}

#endif
