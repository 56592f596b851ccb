/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of a launch in their time. Where nothing happens for long, since the launch was held or a process is awaited, time is cut out, and the cut is marked. */
#include <nsrun/lab/html.h>

#include <nsrun/base/strings.h>

#include <string.h>

#define ROWS_MAX 256
#define CUT_NS 25000000 /* that no launch takes between two events, on a host that is not overloaded */
#define CUT_SHARE 0.03	/* of the width, for one */
#define CUTS_MAX 8
#define ROW 19
#define HEAD 44
#define ROLE_AT 240
#define BARS_AT 320
#define BARS_END 820
#define BAR_MIN 2.0

struct row {
	const json_t *object;
	int64_t begin, end; /* end -1: it goes on */
};

struct axis {
	int64_t events[ROWS_MAX * 2]; /* sorted */
	double at[ROWS_MAX * 2];      /* of each, in pixels */
	bool cut[ROWS_MAX * 2];	      /* between this one and the next */
	size_t n;
};

static int compare(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static size_t read_rows(json_t *list, struct row *rows)
{
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(list) && n < ROWS_MAX; i++) {
		const json_t *object = json_array_get(list, i);
		const int64_t begin = number_in(object, "begin"), end = number_in(object, "end");

		rows[n++] = (struct row){ .object = object,
					  .begin = begin,
					  .end = json_is_integer(json_object_get(object, "end")) ?
							 (end < begin ? begin : end) :
							 -1 };
	}
	return n;
}

/* The longest gaps are cut, eight at most. */
static unsigned mark_cuts(struct axis *axis, int64_t *ret_shown)
{
	unsigned cuts = 0;

	*ret_shown = axis->n ? axis->events[axis->n - 1] - axis->events[0] : 0;
	while (cuts < CUTS_MAX) {
		int64_t longest = CUT_NS;
		size_t found = axis->n;

		for (size_t i = 0; i + 1 < axis->n; i++)
			if (!axis->cut[i] && axis->events[i + 1] - axis->events[i] > longest) {
				longest = axis->events[i + 1] - axis->events[i];
				found = i;
			}
		if (found == axis->n)
			break;
		axis->cut[found] = true;
		*ret_shown -= longest;
		cuts++;
	}
	return cuts;
}

static void make_axis(struct axis *axis, const struct row *rows, size_t n)
{
	int64_t shown;

	axis->n = 0;
	for (size_t i = 0; i < n; i++) {
		axis->events[axis->n++] = rows[i].begin;
		if (rows[i].end >= 0)
			axis->events[axis->n++] = rows[i].end;
	}
	qsort(axis->events, axis->n, sizeof(axis->events[0]), compare);
	memset(axis->cut, 0, sizeof(axis->cut));
	const double cuts = mark_cuts(axis, &shown), width = BARS_END - BARS_AT;
	const double scale = shown > 0 ? width * (1 - cuts * CUT_SHARE) / (double)shown : 0;

	for (size_t i = 0; i < axis->n; i++) {
		const int64_t gap = i ? axis->events[i] - axis->events[i - 1] : 0;

		axis->at[i] = i == 0		 ? BARS_AT :
			      axis->cut[i - 1] ? axis->at[i - 1] + width * CUT_SHARE :
						 axis->at[i - 1] + (double)gap * scale;
	}
}

static double x_of(const struct axis *axis, int64_t time)
{
	for (size_t i = 0; i < axis->n; i++)
		if (axis->events[i] >= time)
			return axis->at[i];
	return BARS_END;
}

static void put_time(char *buf, size_t size, int64_t ns)
{
	if (ns >= 1000000000)
		snprintf(buf, size, "%.1f s", (double)ns / 1e9);
	else
		snprintf(buf, size, "%.3f ms", (double)ns / 1e6);
}

/* One of those that the page has colours for. */
static const char *role_class(const char *role)
{
	return streq(role, "init") ? "init" : streq(role, "workload") ? "workload" : "runtime";
}

static void draw_row(struct figure *figure, const struct axis *axis, const struct row *row, double y, bool odd)
{
	const char *role = text_in(row->object, "role"), *result = text_in(row->object, "result");
	const bool bad = *result && !streq(result, "ok") && !streq(result, "now");
	double x = x_of(axis, row->begin), end = row->end >= 0 ? x_of(axis, row->end) : BARS_END;
	char time[40], class[48];

	if (end < x + BAR_MIN)
		end = x + BAR_MIN;
	if (end > BARS_END) {
		end = BARS_END;
		x = x < end - BAR_MIN ? x : end - BAR_MIN;
	}
	if (odd)
		figure_rect(figure, "stripe", FIGURE_PAD, y, FIGURE_WIDTH - 2 * FIGURE_PAD, ROW);
	snprintf(class, sizeof(class), "bar %s%s", bad ? "failed" : role_class(role), row->end < 0 ? " open" : "");
	figure_rect(figure, class, x, y + 4, end - x, ROW - 8);
	figure_text(figure, "row", FIGURE_START, FIGURE_PAD + 4, y + 14, ROLE_AT - FIGURE_PAD - 12,
		    text_in(row->object, "name"));
	figure_text(figure, "dim", FIGURE_START, ROLE_AT, y + 14, BARS_AT - ROLE_AT - 8, role);
	if (row->end >= 0)
		put_time(time, sizeof(time), row->end - row->begin);
	else
		snprintf(time, sizeof(time), "goes on");
	figure_text(figure, bad ? "strong" : "dim", FIGURE_END, FIGURE_WIDTH - FIGURE_PAD - 4, y + 14,
		    FIGURE_WIDTH - FIGURE_PAD - BARS_END - 12, bad ? result : time);
}

/* Where it begins, where it ends, and the cuts in it. Labels stand where the one before leaves room. */
static void draw_axis(struct figure *figure, const struct axis *axis, double bottom)
{
	double free_from = BARS_AT + 90;
	char text[40], cut[64];

	figure_line(figure, "edge", BARS_AT, HEAD + FIGURE_PAD - 4, BARS_END, HEAD + FIGURE_PAD - 4);
	figure_text(figure, "dim", FIGURE_START, BARS_AT, FIGURE_PAD + 14, 80, "0");
	put_time(text, sizeof(text), axis->events[axis->n - 1] - axis->events[0]);
	figure_text(figure, "dim", FIGURE_END, BARS_END, FIGURE_PAD + 14, 110, text);
	for (size_t i = 0; i + 1 < axis->n; i++) {
		if (!axis->cut[i])
			continue;
		const double x = (axis->at[i] + axis->at[i + 1]) / 2;

		figure_line(figure, "cut", x, FIGURE_PAD + 36, x, bottom);
		put_time(text, sizeof(text), axis->events[i + 1] - axis->events[i]);
		snprintf(cut, sizeof(cut), "%s left out", text);
		const double width = FIGURE_CHAR * (double)strlen(cut);
		double middle = x;

		if (middle + width / 2 > BARS_END)
			middle = BARS_END - width / 2;
		if (middle - width / 2 < free_from - 90)
			continue;
		figure_text(figure, "dim", FIGURE_MIDDLE, middle, FIGURE_PAD + 32, width + 8, cut);
		free_from = middle + width / 2 + 90 + 8;
	}
}

void figure_tape(FILE *page, const json_t *launch)
{
	struct row rows[ROWS_MAX];
	struct figure figure;
	struct axis axis;
	const size_t n = read_rows(json_object_get(launch, "rows"), rows);
	const double bottom = FIGURE_PAD + HEAD + (double)n * ROW;

	if (n == 0)
		return;
	make_axis(&axis, rows, n);
	figure_begin(&figure);
	figure_text(&figure, "dim", FIGURE_START, FIGURE_PAD + 4, FIGURE_PAD + 14, 200, "row of the score");
	figure_text(&figure, "dim", FIGURE_START, ROLE_AT, FIGURE_PAD + 14, 70, "process");
	figure_text(&figure, "dim", FIGURE_END, FIGURE_WIDTH - FIGURE_PAD - 4, FIGURE_PAD + 14, 110, "took");
	for (size_t i = 0; i < n; i++)
		draw_row(&figure, &axis, &rows[i], FIGURE_PAD + HEAD + (double)i * ROW, i % 2);
	draw_axis(&figure, &axis, bottom);
	figure_end(&figure, page, "tape", "The launch, row by row.",
		   "Each bar is one acquired resource or one change in the kernel, by the process that made it; some wait for another process. docs/architecture.md says what each is for.");
}
