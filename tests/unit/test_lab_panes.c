/* SPDX-License-Identifier: Apache-2.0 */
/* What the lab's views show: the sieve, the rows of a pane, the line that is typed, and where panes are. */
#include <nsrun/lab/panes.h>

#include <nsrun/base/strings.h>

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Through the sieve in pieces of `step` bytes. */
static char *sieved(const char *text, size_t size, size_t step, bool colour)
{
	char *result = NULL;
	size_t n;
	FILE *to = open_memstream(&result, &n), *stream = lab_sieve_open(to, colour);

	assert_non_null(stream);
	for (size_t i = 0; i < size; i += step) {
		fwrite(text + i, 1, size - i < step ? size - i : step, stream);
		fflush(stream);
	}
	assert_int_equal(fclose(stream), 0);
	fclose(to);
	return result;
}

static void test_sieve(void **state)
{
	static const struct {
		const char *in, *plain, *colour;
	} cases[] = {
		{ "a\tb\n", "a b\n", "a b\n" },
		{ "\033[2J\a\r\x7f", "\\x1b[2J\\x07\\x0d\\x7f", "\\x1b[2J\\x07\\x0d\\x7f" },
		{ "gr\303\274n \342\202\254 \360\237\230\200", "gr\303\274n \342\202\254 \360\237\230\200",
		  "gr\303\274n \342\202\254 \360\237\230\200" },
		/* C1 controls, alone and in UTF-8; what is cut off; a mark that turns the line round; an overlong form */
		{ "\233H \302\233H", "\\x9bH \\xc2\\x9bH", "\\x9bH \\xc2\\x9bH" },
		{ "\342\202", "\\xe2\\x82", "\\xe2\\x82" },
		{ "\303(", "\\xc3(", "\\xc3(" },
		{ "\342\200\256x", "\\xe2\\x80\\xaex", "\\xe2\\x80\\xaex" },
		{ "\300\257", "\\xc0\\xaf", "\\xc0\\xaf" },
		{ LAB_STRONG "b" LAB_NORMAL LAB_CODE "c" LAB_NORMAL, "\\x01b\\x03\\x02c\\x03",
		  "\033[1mb\033[0m\033[36mc\033[0m" },
		{ LAB_HANG_BEGIN "x" LAB_HANG_END, "\\x04x\\x05", "\\x04x\\x05" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t step = 1; step < 6; step++) {
			_cleanup_free_ char *plain = sieved(cases[i].in, strlen(cases[i].in), step, false);
			_cleanup_free_ char *colour = sieved(cases[i].in, strlen(cases[i].in), step, true);

			assert_string_equal(plain, cases[i].plain);
			assert_string_equal(colour, cases[i].colour);
		}
	_cleanup_free_ char *zero = sieved("a\0b", 3, 3, false);

	assert_string_equal(zero, "a\\x00b");
}

static void put(struct pane *pane, const char *text)
{
	assert_int_equal(pane_write(pane, text, strlen(text)), 0);
}

/* The rows as they are seen, joined by '/'. */
static const char *rows_of(struct pane *pane)
{
	static char text[4096];

	text[0] = '\0';
	pane_lay_out(pane);
	for (size_t i = 0; i < pane->n_rows; i++) {
		const struct pane_row *row = &pane->rows[i];
		const struct pane_line *line = &pane->lines[row->line];

		sprintf(text + strlen(text), "%s%s%.*s", i ? "/" : "", row->begin ? line->hang : "",
			(int)(row->end - row->begin), line->text + row->begin);
	}
	return text;
}

static void test_wrapping(void **state)
{
	struct pane pane = { 0 };

	(void)state;
	pane_resize(&pane, 20, 5);
	put(&pane, "one two three four five six\n\n  | out put of a program\nnoblanksatallinthislongword end\n");
	assert_string_equal(
		rows_of(&pane),
		"one two three four/five six//  | out put of a/  | program/noblanksatallinthisl/ongword end");
	pane_done(&pane);
}

static void test_hanging(void **state)
{
	struct pane pane = { 0 };

	(void)state;
	pane_resize(&pane, 20, 5);
	put(&pane, "not yet: " LAB_HANG_BEGIN "         " LAB_HANG_END "it is another one than wanted\n");
	assert_string_equal(rows_of(&pane), "not yet: it is/         another one/         than wanted");
	/* Of another width, and then of the same again. */
	pane_resize(&pane, 60, 5);
	assert_string_equal(rows_of(&pane), "not yet: it is another one than wanted");
	pane_resize(&pane, 20, 5);
	assert_string_equal(rows_of(&pane), "not yet: it is/         another one/         than wanted");
	/* Where the rest would have no room, it begins at the margin. */
	pane_resize(&pane, 12, 5);
	pane_lay_out(&pane);
	for (size_t i = 0; i < pane.n_rows; i++)
		assert_true(pane.rows[i].end - pane.rows[i].begin <= 12);
	pane_done(&pane);
}

static void test_every_width(void **state)
{
	struct pane pane = { 0 };

	(void)state;
	put(&pane,
	    "a " LAB_STRONG "bold and" LAB_NORMAL " long\303\274 text  with   blanks | and \360\237\230\200 wide ones\n"
	    "                              \n\033]2;x\a\n");
	for (unsigned width = 0; width < 90; width++) {
		size_t bytes = 0;

		pane_resize(&pane, width, 4);
		pane_lay_out(&pane);
		for (size_t i = 0; i < pane.n_rows; i++) {
			const struct pane_row *row = &pane.rows[i];
			_cleanup_free_ char *text =
				strndup(pane.lines[row->line].text + row->begin, row->end - row->begin);

			/* A wide character has no room in one column. */
			assert_true(pane_columns(text) <= width || (width < 2 && pane_columns(text) == 2));
			bytes += row->end - row->begin;
		}
		assert_true(width == 0 ? bytes == 0 : bytes >= 50);
	}
	pane_done(&pane);
}

static void fill(struct pane *pane, unsigned from, unsigned to)
{
	char line[32];

	for (; from <= to; from++) {
		snprintf(line, sizeof(line), "%u\n", from);
		put(pane, line);
	}
}

static const char *top_of(const struct pane *pane)
{
	return pane->lines[pane->rows[pane->top].line].text;
}

static void test_reading(void **state)
{
	struct pane pane = { 0 };

	(void)state;
	pane_resize(&pane, 20, 10);
	fill(&pane, 1, 5);
	pane_show_news(&pane);
	assert_int_equal(pane_unseen(&pane), 0);
	pane_read(&pane);
	/* What fits is shown to its end, */
	fill(&pane, 6, 14);
	pane_show_news(&pane);
	assert_string_equal(top_of(&pane), "5");
	assert_int_equal(pane_unseen(&pane), 0);
	pane_read(&pane);
	/* what does not from its beginning. */
	fill(&pane, 15, 40);
	pane_show_news(&pane);
	assert_string_equal(top_of(&pane), "15");
	assert_int_equal(pane_unseen(&pane), 16);
	/* Looking back does not make it seen; reading on does. */
	pane_scroll(&pane, -100);
	assert_string_equal(top_of(&pane), "1");
	assert_int_equal(pane_unseen(&pane), 16);
	pane_scroll(&pane, 24);
	assert_int_equal(pane_unseen(&pane), 6);
	pane_scroll(&pane, 1000);
	assert_string_equal(top_of(&pane), "31");
	assert_int_equal(pane_unseen(&pane), 0);
	/* Who sees the end sees it in another size, too. */
	pane_resize(&pane, 30, 4);
	assert_string_equal(top_of(&pane), "37");
	pane_scroll(&pane, -10);
	pane_resize(&pane, 25, 4);
	assert_string_equal(top_of(&pane), "27");
	pane_done(&pane);
}

static void test_much(void **state)
{
	struct pane pane = { 0 };
	char block[4096];

	(void)state;
	memset(block, 'x', sizeof(block));
	pane_resize(&pane, 80, 10);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(pane_write(&pane, block, sizeof(block)), 0);
	assert_int_equal(pane.n, 8 * sizeof(block) / PANE_LINE_MAX);
	fill(&pane, 1, PANE_LINES_MAX + 5);
	assert_true(pane.n <= PANE_LINES_MAX);
	pane_show_news(&pane);
	pane_scroll(&pane, 1000000);
	assert_string_equal(pane.lines[pane.rows[pane.n_rows - 1].line].text, "20005");
	pane_done(&pane);
}

static void type(struct panes_edit *edit, const wchar_t *text)
{
	for (; *text; text++)
		edit_type(edit, *text);
}

static void assert_line(struct panes_edit *edit, const char *wanted)
{
	_cleanup_free_ char *line = edit_take(edit);

	assert_string_equal(line, wanted);
}

static void test_edit(void **state)
{
	struct panes_edit *edit = calloc(1, sizeof(*edit));

	(void)state;
	type(edit, L"box hostnme  mine");
	for (int i = 0; i < 8; i++)
		edit_move(edit, EDIT_LEFT);
	edit_type(edit, L'a');
	edit_move(edit, EDIT_END);
	edit_move(edit, EDIT_RUB_WORD);
	edit_move(edit, EDIT_RUB);
	type(edit, L"\u00fc\u20ac\U0001f600");
	edit_move(edit, EDIT_BEGIN);
	edit_move(edit, EDIT_RUB);
	edit_move(edit, EDIT_DELETE);
	assert_line(edit, "ox hostname \303\274\342\202\254\360\237\230\200");
	assert_line(edit, "");
	type(edit, L"second");
	assert_line(edit, "second");
	for (int i = 0; i < 5; i++)
		edit_move(edit, EDIT_EARLIER);
	edit_move(edit, EDIT_LATER);
	assert_line(edit, "second");
	edit_move(edit, EDIT_EARLIER);
	edit_move(edit, EDIT_LATER);
	assert_line(edit, "");
	for (int i = 0; i < PANES_LINE_MAX + 10; i++)
		edit_type(edit, L'x');
	assert_int_equal(edit->n, PANES_LINE_MAX);
	edit_move(edit, EDIT_CLEAR);
	for (int i = 0; i < PANES_PAST * 2; i++) {
		edit_type(edit, L'y');
		assert_line(edit, "y");
	}
	edit_done(edit);
	free(edit);
}

static bool within(const struct panes_area *area, int rows, int columns)
{
	return area->height == 0 ||
	       (area->y >= 1 && area->y + area->height <= rows - 2 && area->x >= 0 && area->x + area->width <= columns);
}

static bool meet(const struct panes_area *a, const struct panes_area *b)
{
	return a->height && b->height && a->y < b->y + b->height && b->y < a->y + a->height && a->x < b->x + b->width &&
	       b->x < a->x + a->width;
}

/* Of any size panes lie within the screen and never on each other; at the two sizes that are promised all that should be there is. */
static void test_layout(void **state)
{
	struct lab_panes *panes = calloc(1, sizeof(*panes));
	struct panes_layout layout;

	(void)state;
	for (int rows = 1; rows < 70; rows++)
		for (int columns = 1; columns < 220; columns += 7)
			for (size_t n = 0; n < 3; n++) {
				panes->tape = (rows + columns) % 2;
				panes->whole = (rows + columns) % 3 == 0;
				panes->help = (rows + columns) % 5 == 0;
				panes_lay_out(&layout, rows, columns, panes, n);
				for (int a = 0; a < PART_COUNT; a++) {
					assert_true(rows < 4 || within(&layout.area[a], rows, columns));
					for (int b = 0; b < a; b++)
						assert_false(meet(&layout.area[a], &layout.area[b]));
				}
			}
	*panes = (struct lab_panes){ 0 };
	panes_lay_out(&layout, 24, 80, panes, 1);
	assert_true(layout.area[PART_TEXT].height == 12 && layout.area[PART_SIDES].height == 9 &&
		    layout.area[PART_TAPE].height == 0);
	panes_lay_out(&layout, 24, 80, panes, 0);
	assert_true(layout.area[PART_TEXT].height == 21 && layout.area[PART_SIDES].height == 0);
	panes_lay_out(&layout, 50, 200, panes, 1);
	assert_true(layout.bar == 100 && layout.area[PART_TEXT].height == 47 && layout.area[PART_SIDES].height == 9 &&
		    layout.area[PART_TAPE].height == 38);
	free(panes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sieve),	    cmocka_unit_test(test_wrapping), cmocka_unit_test(test_hanging),
		cmocka_unit_test(test_every_width), cmocka_unit_test(test_reading),  cmocka_unit_test(test_much),
		cmocka_unit_test(test_edit),	    cmocka_unit_test(test_layout),
	};

	(void)setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
