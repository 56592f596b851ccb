/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/lab/pane.h>

#include <nsrun/base/cleanup.h>
#include <nsrun/base/strings.h>

#include <string.h>

static bool is_mark(char c)
{
	return c == LAB_STRONG[0] || c == LAB_CODE[0] || c == LAB_NORMAL[0];
}

static wchar_t decode(const char *p, size_t n)
{
	const unsigned char *b = (const unsigned char *)p;
	unsigned code = n == 1 ? b[0] : b[0] & (0xffU >> (n + 1));

	for (size_t i = 1; i < n; i++)
		code = code << 6 | (b[i] & 0x3fU);
	return (wchar_t)code;
}

size_t pane_next(const char *text, wchar_t *ret, unsigned *ret_columns, char *ret_mark)
{
	*ret_mark = '\0';
	*ret_columns = 0;
	if (!*text)
		return 0;
	if (is_mark(*text)) {
		*ret_mark = *text;
		return 1;
	}
	const size_t n = utf8_length(text);
	const wchar_t c = n ? decode(text, n) : L'?';
	const int columns = wcwidth(c);

	/* What this terminal cannot show, or what would be put onto the character before. */
	*ret = columns < 1 ? L'?' : c;
	*ret_columns = columns < 1 ? 1 : (unsigned)columns;
	return n ? n : 1;
}

unsigned pane_columns(const char *text)
{
	unsigned all = 0, columns;
	wchar_t c;
	char mark;
	size_t n;

	for (; (n = pane_next(text, &c, &columns, &mark)); text += n)
		all += columns;
	return all;
}

/* ---- lines ---- */

static void line_done(struct pane_line *line)
{
	free(line->text);
	free(line->hang);
}

void pane_clear(struct pane *pane)
{
	for (size_t i = 0; i < pane->n; i++)
		line_done(&pane->lines[i]);
	pane->n = pane->n_rows = pane->built = pane->part_n = pane->news = 0;
}

void pane_done(struct pane *pane)
{
	pane_clear(pane);
	free(pane->lines);
	free(pane->rows);
	free(pane->part);
	*pane = (struct pane){ 0 };
}

static void forget_oldest(struct pane *pane, size_t n)
{
	for (size_t i = 0; i < n; i++)
		line_done(&pane->lines[i]);
	memmove(pane->lines, pane->lines + n, (pane->n - n) * sizeof(*pane->lines));
	pane->n -= n;
	pane->news = pane->news > n ? pane->news - n : 0;
	/* All rows are others now. */
	pane->built = pane->n_rows = pane->top = pane->seen = 0;
}

/* The blanks, and bars of what a program has printed, that a line begins with. */
static char *own_hang(const char *text)
{
	return strndup(text, strspn(text, " |"));
}

/* The pieces of a raw line: both have room for each byte as \xNN. */
static void sort_pieces(const char *raw, size_t n, char *text, char *hang)
{
	char *at[2] = { text, hang };
	enum lab_piece piece = LAB_PIECE_BAD;
	size_t length;
	int in = 0;

	for (; n > 0 && (length = lab_sieve_next(raw, n, true, &piece)); raw += length, n -= length) {
		switch (piece) {
		case LAB_PIECE_HANG_BEGIN:
		case LAB_PIECE_HANG_END:
			in = piece == LAB_PIECE_HANG_BEGIN;
			break;
		case LAB_PIECE_BLANK:
			*at[in]++ = ' ';
			break;
		case LAB_PIECE_BAD:
			at[in] += sprintf(at[in], "\\x%02x", (unsigned char)*raw);
			break;
		default:
			memcpy(at[in], raw, length);
			at[in] += length;
			break;
		}
	}
}

static int add_line(struct pane *pane, const char *raw, size_t n)
{
	_cleanup_free_ char *text = calloc(n + 1, 4), *hang = calloc(n + 1, 4);

	if (!text || !hang)
		return -ENOMEM;
	if (pane->n == PANE_LINES_MAX)
		forget_oldest(pane, PANE_LINES_MAX / 10);
	if (pane->n == pane->room) {
		const size_t room = pane->room ? pane->room * 2 : 64;
		struct pane_line *lines = realloc(pane->lines, room * sizeof(*lines));

		if (!lines)
			return -ENOMEM;
		pane->lines = lines;
		pane->room = room;
	}
	sort_pieces(raw, n, text, hang);
	struct pane_line line = { .text = strdup(text),
				  .hang = memchr(raw, LAB_HANG_END[0], n) ? strdup(hang) : own_hang(text) };

	if (!line.text || !line.hang) {
		line_done(&line);
		return -ENOMEM;
	}
	pane->lines[pane->n++] = line;
	return 0;
}

int pane_write(struct pane *pane, const char *p, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		if (!pane->part || pane->part_n == pane->part_room) {
			const size_t room = pane->part_room ? pane->part_room * 2 : 256;
			char *part = realloc(pane->part, room);

			if (!part)
				return -ENOMEM;
			pane->part_n = pane->part ? pane->part_n : 0;
			pane->part = part;
			pane->part_room = room;
		}
		if (p[i] != '\n')
			pane->part[pane->part_n++] = p[i];
		/* Between characters, not within one. */
		const bool full =
			pane->part_n >= PANE_LINE_MAX && (i + 1 == n || ((unsigned char)p[i + 1] & 0xc0) != 0x80);

		if (p[i] == '\n' || full) {
			r = add_line(pane, pane->part, pane->part_n);
			pane->part_n = 0;
		}
	}
	return r;
}

/* ---- rows ---- */

static int add_row(struct pane *pane, const struct pane_row *row)
{
	if (pane->n_rows == pane->rows_room) {
		const size_t room = pane->rows_room ? pane->rows_room * 2 : 128;
		struct pane_row *rows = realloc(pane->rows, room * sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		pane->rows = rows;
		pane->rows_room = room;
	}
	pane->rows[pane->n_rows++] = *row;
	return 0;
}

/* Where the row that begins at `row->begin` ends, and where the next one begins; `*mark` is what holds there. */
static size_t end_row(const char *text, struct pane_row *row, unsigned room, char *mark)
{
	size_t at = row->begin, blank = 0, behind_blank = 0;
	char mark_at_blank = *mark;
	unsigned used = 0, columns;
	bool inked = false;
	wchar_t c;
	char found;
	size_t n;

	for (; (n = pane_next(text + at, &c, &columns, &found)); at += n) {
		if (found) {
			*mark = found;
			continue;
		}
		if (used + columns > room && at > row->begin) {
			if (c == L' ')
				blank = at, behind_blank = at + strspn(text + at, " "), mark_at_blank = *mark;
			row->end = behind_blank ? blank : at;
			*mark = behind_blank ? mark_at_blank : *mark;
			return behind_blank ? behind_blank : at;
		}
		/* Blanks that a line begins with are no place to break it. */
		if (c == L' ' && inked && text[at - 1] != ' ')
			blank = at;
		if (c == L' ' && inked)
			behind_blank = at + n, mark_at_blank = *mark;
		inked = inked || c != L' ';
		used += columns;
	}
	row->end = at;
	return at;
}

static int lay_out_line(struct pane *pane, size_t index)
{
	const struct pane_line *line = &pane->lines[index];
	const unsigned hang = pane_columns(line->hang);
	const size_t length = strlen(line->text);
	char mark = LAB_NORMAL[0];
	size_t at = 0;

	do {
		const unsigned taken = at && hang + 8 < pane->width ? hang : 0;
		struct pane_row row = { .line = index, .begin = at, .end = length, .mark = mark };

		at = pane->cut ? length : end_row(line->text, &row, pane->width - taken, &mark);
		if (add_row(pane, &row) < 0)
			return -ENOMEM;
	} while (at < length);
	return 0;
}

void pane_lay_out(struct pane *pane)
{
	if (pane->width == 0)
		return;
	while (pane->built < pane->n && lay_out_line(pane, pane->built) == 0)
		pane->built++;
	const size_t last = pane->n_rows > pane->height ? pane->n_rows - pane->height : 0;

	if (pane->top > last)
		pane->top = last;
	if (pane->seen < pane->top + pane->height)
		pane->seen = pane->top + pane->height;
	if (pane->seen > pane->n_rows)
		pane->seen = pane->n_rows;
}

static size_t first_row_of(const struct pane *pane, size_t line)
{
	size_t i = 0;

	while (i < pane->n_rows && pane->rows[i].line < line)
		i++;
	return i;
}

void pane_resize(struct pane *pane, unsigned width, unsigned height)
{
	const size_t top = pane->top < pane->n_rows ? pane->rows[pane->top].line : 0;
	const size_t seen = pane->seen && pane->seen <= pane->n_rows ? pane->rows[pane->seen - 1].line : 0;
	const bool at_end = pane->seen == pane->n_rows;
	const bool at_bottom = pane->n_rows > 0 && pane->top + pane->height >= pane->n_rows;
	const bool anew = width != pane->width;

	if (!anew && height == pane->height)
		return;
	pane->height = height;
	pane->width = width;

	pane->built = pane->n_rows = 0;
	pane->top = 0;
	pane->seen = 0;
	for (; width && pane->built < pane->n && lay_out_line(pane, pane->built) == 0; pane->built++)
		;
	/* Who saw the end sees it, else what stood at the top stays there. */
	pane->top = !at_bottom ? first_row_of(pane, top) : pane->n_rows > height ? pane->n_rows - height : 0;
	pane->seen = at_end ? pane->n_rows : first_row_of(pane, seen + 1);
}

void pane_show_news(struct pane *pane)
{
	for (; pane->width && pane->built < pane->n && lay_out_line(pane, pane->built) == 0; pane->built++)
		;
	const size_t first = first_row_of(pane, pane->news);

	/* A blank line at the top says nothing. */
	pane->top = first;
	if (pane->n_rows - first <= pane->height)
		pane->top = pane->n_rows > pane->height ? pane->n_rows - pane->height : 0;
	else if (pane->rows[first].begin == pane->rows[first].end && !*pane->lines[pane->rows[first].line].text)
		pane->top++;
	pane->seen = pane->top;
	pane_lay_out(pane);
}

void pane_read(struct pane *pane)
{
	pane->news = pane->n;
}

void pane_scroll(struct pane *pane, long rows)
{
	if (rows < 0)
		pane->top = pane->top > (size_t)-rows ? pane->top - (size_t)-rows : 0;
	else
		pane->top += (size_t)rows;
	pane_lay_out(pane);
}

size_t pane_unseen(struct pane *pane)
{
	pane_lay_out(pane);
	return pane->n_rows > pane->seen ? pane->n_rows - pane->seen : 0;
}
