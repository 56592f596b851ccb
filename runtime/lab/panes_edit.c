/* SPDX-License-Identifier: Apache-2.0 */
/* The line that a learner types in the view in panes. */
#include <nsrun/lab/panes.h>

#include <string.h>

static void put(struct panes_edit *edit, const char *text)
{
	unsigned columns;
	wchar_t c;
	char mark;
	size_t n;

	edit->n = edit->at = 0;
	for (; (n = pane_next(text, &c, &columns, &mark)); text += n)
		edit_type(edit, c);
}

void edit_type(struct panes_edit *edit, wchar_t c)
{
	if (edit->n == PANES_LINE_MAX)
		return;
	memmove(edit->line + edit->at + 1, edit->line + edit->at, (edit->n - edit->at) * sizeof(*edit->line));
	edit->line[edit->at++] = c;
	edit->n++;
}

static void cut(struct panes_edit *edit, size_t from, size_t to)
{
	memmove(edit->line + from, edit->line + to, (edit->n - to) * sizeof(*edit->line));
	edit->n -= to - from;
	edit->at = from;
}

static size_t begin_of_word(const struct panes_edit *edit)
{
	size_t at = edit->at;

	while (at > 0 && edit->line[at - 1] == L' ')
		at--;
	while (at > 0 && edit->line[at - 1] != L' ')
		at--;
	return at;
}

void edit_move(struct panes_edit *edit, enum panes_motion motion)
{
	switch (motion) {
	case EDIT_LEFT:
		edit->at -= edit->at > 0;
		break;
	case EDIT_RIGHT:
		edit->at += edit->at < edit->n;
		break;
	case EDIT_BEGIN:
		edit->at = 0;
		break;
	case EDIT_END:
		edit->at = edit->n;
		break;
	case EDIT_RUB:
		if (edit->at > 0)
			cut(edit, edit->at - 1, edit->at);
		break;
	case EDIT_DELETE:
		if (edit->at < edit->n)
			cut(edit, edit->at, edit->at + 1);
		break;
	case EDIT_RUB_WORD:
		cut(edit, begin_of_word(edit), edit->at);
		break;
	case EDIT_CLEAR:
		edit->n = edit->at = edit->back = 0;
		break;
	case EDIT_EARLIER:
		if (edit->back < edit->n_past)
			put(edit, edit->past[edit->n_past - ++edit->back]);
		break;
	case EDIT_LATER:
		if (edit->back > 0 && --edit->back > 0)
			put(edit, edit->past[edit->n_past - edit->back]);
		else
			edit->n = edit->at = 0;
		break;
	}
}

static size_t encode(unsigned c, char *to)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	const size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		to[i] = (char)(0x80 | (c & 0x3f));
	to[0] = (char)((0xf0U << (4 - n)) | c);
	return n;
}

static void remember(struct panes_edit *edit, const char *line)
{
	char *copy = *line ? strdup(line) : NULL;

	if (!copy)
		return;
	if (edit->n_past == PANES_PAST) {
		free(edit->past[0]);
		memmove(edit->past, edit->past + 1, (PANES_PAST - 1) * sizeof(*edit->past));
		edit->n_past--;
	}
	edit->past[edit->n_past++] = copy;
}

char *edit_take(struct panes_edit *edit)
{
	char *line = malloc(edit->n * 4 + 1);
	size_t n = 0;

	for (size_t i = 0; line && i < edit->n; i++)
		n += encode((unsigned)edit->line[i], line + n);
	if (line) {
		line[n] = '\0';
		remember(edit, line);
	}
	edit_move(edit, EDIT_CLEAR);
	return line;
}

void edit_done(struct panes_edit *edit)
{
	for (size_t i = 0; i < edit->n_past; i++)
		free(edit->past[i]);
	edit->n_past = 0;
}
