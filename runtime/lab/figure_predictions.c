/* SPDX-License-Identifier: Apache-2.0 */
/* Predictions against reality: a square for each question, chapter by chapter. */
#include <nsrun/lab/html.h>

#include <nsrun/base/strings.h>

#define SQUARE 16
#define STEP 21
#define ROW 26
#define HEAD 34
#define SQUARES_AT 350
#define COUNT_AT (FIGURE_WIDTH - FIGURE_PAD - 6)
#define COUNT_WIDTH 80
#define CHAPTERS_MAX 64
#define ASKS_MAX 256

static void path(struct figure *figure, const char *class, double x, double y, const char *way)
{
	if (!figure->failed)
		fprintf(figure->out, "<path class=\"%s\" d=\"M%.1f %.1f%s\" />\n", class, x, y, way);
}

static void put_square(struct figure *figure, const char *class, double x, double y)
{
	char all[32];

	snprintf(all, sizeof(all), "question %s", class);
	figure_rect(figure, all, x, y, SQUARE, SQUARE);
	if (streq(class, "hit"))
		path(figure, "tick", x + 3.5, y + 8.5, "l3 3.5 6 -7.5");
	else if (streq(class, "miss"))
		path(figure, "cross", x + 4.5, y + 4.5, "l7 7m0 -7l-7 7");
}

static const char *class_of(const json_t *ask)
{
	if (!json_is_string(json_object_get(ask, "answer")))
		return "unasked";
	return json_is_true(json_object_get(ask, "right")) ? "hit" : "miss";
}

static double draw_chapter(struct figure *figure, const json_t *chapter, double y)
{
	const json_t *asks = json_object_get(chapter, "asks");
	const size_t n = json_array_size(asks) < ASKS_MAX ? json_array_size(asks) : ASKS_MAX;
	const size_t in_a_line = (COUNT_AT - COUNT_WIDTH - SQUARES_AT) / STEP;
	size_t at = 0, right = 0;

	figure_text(figure, "strong", FIGURE_START, FIGURE_PAD + 6, y + 17, SQUARES_AT - FIGURE_PAD - 20,
		    text_in(chapter, "title"));
	for (size_t i = 0; i < n; i++) {
		const json_t *ask = json_array_get(asks, i);

		if (*text_in(ask, "skipped"))
			continue;
		const size_t line = at / in_a_line, column = at % in_a_line;

		figure_open(figure, text_in(ask, "question"));
		put_square(figure, class_of(ask), SQUARES_AT + (double)column * STEP, y + 5 + (double)line * ROW);
		figure_close(figure);
		right += json_is_true(json_object_get(ask, "right"));
		at++;
	}
	figure_printf(figure, "", FIGURE_END, COUNT_AT, y + 17, COUNT_WIDTH, "%zu of %zu", right, at);
	const size_t lines = at ? (at + in_a_line - 1) / in_a_line : 1;

	return y + (double)lines * ROW;
}

static double legend(struct figure *figure, const char *class, double x, const char *meaning)
{
	put_square(figure, class, x, FIGURE_PAD + 2);
	figure_text(figure, "dim", FIGURE_START, x + SQUARE + 6, FIGURE_PAD + 15, 200, meaning);
	return x + SQUARE + 6 + FIGURE_CHAR * (html_columns(meaning) + 3);
}

void figure_predictions(FILE *page, const json_t *chapters)
{
	double x = SQUARES_AT, y = FIGURE_PAD + HEAD;
	struct figure figure;
	size_t shown = 0;

	for (size_t i = 0; i < json_array_size(chapters); i++)
		shown += !streq(text_in(json_array_get(chapters, i), "status"), "new");
	if (shown == 0)
		return;
	figure_begin(&figure, page, "predictions", "Predictions against reality.");
	x = legend(&figure, "hit", x, "right");
	x = legend(&figure, "miss", x, "wrong");
	legend(&figure, "unasked", x, "not answered");
	shown = 0;
	for (size_t i = 0; i < json_array_size(chapters) && shown < CHAPTERS_MAX; i++) {
		const json_t *chapter = json_array_get(chapters, i);

		if (streq(text_in(chapter, "status"), "new"))
			continue;
		if (shown++)
			figure_line(&figure, "grid", FIGURE_PAD, y, FIGURE_WIDTH - FIGURE_PAD, y);
		y = draw_chapter(&figure, chapter, y);
	}
	figure_end(
		&figure,
		"A square is a question, in the order of the chapter: what was said before the kernel's answer was seen. A wrong prediction is no fault; it is "
		"where something was learned.");
}
