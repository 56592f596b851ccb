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
	int64_t shown;
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
					  .end = json_is_integer(json_object_get(object, "end"))
							 ? (end < begin ? begin : end)
							 : -1 };
	}
	return n;
}

/* The longest gaps are cut, eight at most. */
static unsigned mark_cuts(struct axis *axis)
{
	unsigned cuts = 0;

	axis->shown = axis->n ? axis->events[axis->n - 1] - axis->events[0] : 0;
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
		axis->shown -= longest;
		cuts++;
	}
	return cuts;
}

static void make_axis(struct axis *axis, const struct row *rows, size_t n)
{
	axis->n = 0;
	for (size_t i = 0; i < n; i++) {
		axis->events[axis->n++] = rows[i].begin;
		if (rows[i].end >= 0)
			axis->events[axis->n++] = rows[i].end;
	}
	qsort(axis->events, axis->n, sizeof(axis->events[0]), compare);
	memset(axis->cut, 0, sizeof(axis->cut));
	const double cuts = mark_cuts(axis), width = BARS_END - BARS_AT;
	const double scale = axis->shown > 0 ? width * (1 - cuts * CUT_SHARE) / (double)axis->shown : 0;

	for (size_t i = 0; i < axis->n; i++) {
		const int64_t gap = i ? axis->events[i] - axis->events[i - 1] : 0;

		axis->at[i] = i == 0		 ? BARS_AT
			      : axis->cut[i - 1] ? axis->at[i - 1] + width * CUT_SHARE
						 : axis->at[i - 1] + (double)gap * scale;
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
	/* What would be rounded to 1000 is 1 of the next unit. */
	if (ns >= INT64_C(100000000000))
		snprintf(buf, size, "%.0f s", (double)ns / 1e9);
	else if (ns >= 999500000)
		snprintf(buf, size, "%.3g s", (double)ns / 1e9);
	else if (ns >= 999500)
		snprintf(buf, size, "%.3g ms", (double)ns / 1e6);
	else
		snprintf(buf, size, "%.3g \u00b5s", (double)ns / 1e3);
}

/* One of those that the page has colours for. */
static const char *role_class(const char *role)
{
	return streq(role, "init") ? "init" : streq(role, "workload") ? "workload" : "runtime";
}

/* What the row asks of the kernel, beside its bar: on the side that has more room. */
static void put_interface(struct figure *figure, const json_t *row, double x, double end, double y)
{
	const char *interface = text_in(row, "interface");

	if (BARS_END - end >= x - BARS_AT)
		figure_text(figure, "dim call", FIGURE_START, end + 8, y, BARS_END - end - 8, interface);
	else
		figure_text(figure, "dim call", FIGURE_END, x - 8, y, x - BARS_AT - 8, interface);
}

static void draw_row(struct figure *figure, const struct axis *axis, const struct row *row, double y)
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
	snprintf(class, sizeof(class), "bar %s%s", bad ? "failed" : role_class(role), row->end < 0 ? " open" : "");
	figure_rect(figure, class, x, y + 4, end - x, ROW - 8);
	put_interface(figure, row->object, x, end, y + 14);
	figure_text(figure, bad ? "row bad" : "row", FIGURE_START, FIGURE_PAD + 4, y + 14, ROLE_AT - FIGURE_PAD - 12,
		    text_in(row->object, "name"));
	figure_text(figure, "dim", FIGURE_START, ROLE_AT, y + 14, BARS_AT - ROLE_AT - 8, role);
	if (row->end >= 0)
		put_time(time, sizeof(time), row->end - row->begin);
	else
		snprintf(time, sizeof(time), "goes on");
	figure_text(figure, bad ? "bad" : "dim", FIGURE_END, FIGURE_WIDTH - FIGURE_PAD - 4, y + 14,
		    FIGURE_WIDTH - FIGURE_PAD - BARS_END - 12, bad ? result : time);
}

/* Where so much of the time that is shown is over. */
static double x_of_shown(const struct axis *axis, int64_t wanted)
{
	int64_t shown = 0;

	for (size_t i = 0; i + 1 < axis->n; i++) {
		const int64_t gap = axis->cut[i] ? 0 : axis->events[i + 1] - axis->events[i];

		if (gap > 0 && wanted <= shown + gap)
			return axis->at[i] + (axis->at[i + 1] - axis->at[i]) * (double)(wanted - shown) / (double)gap;
		shown += gap;
	}
	return BARS_END;
}

/* 1, 2 or 5 of a power of ten, so that there are ten at most. */
static int64_t step_of(int64_t shown)
{
	static const int64_t factors[] = { 1, 2, 5 };

	for (int64_t power = 1; power < INT64_MAX / 100; power *= 10)
		for (size_t i = 0; i < ARRAY_LEN(factors); i++)
			if (power * factors[i] * 10 >= shown)
				return power * factors[i];
	return shown;
}

static void draw_grid(struct figure *figure, const struct axis *axis, double bottom)
{
	const int64_t step = step_of(axis->shown);
	char text[40], all[40];

	for (int64_t at = 0; axis->shown > 0 && at <= axis->shown; at += step) {
		const double x = x_of_shown(axis, at);

		figure_line(figure, "grid", x, FIGURE_PAD + HEAD - 4, x, bottom);
	}
	put_time(all, sizeof(all), axis->events[axis->n - 1] - axis->events[0]);
	put_time(text, sizeof(text), step);
	figure_printf(figure, "dim", FIGURE_START, BARS_AT, FIGURE_PAD + 14, BARS_END - BARS_AT - 10,
		      "time: %s in all, a line every %s", all, text);
}

/* Above its line, or as near as the figure's ends allow; false: there is no room for it. */
static bool put_cut(struct figure *figure, double x, double *free_from, int64_t ns, bool draw)
{
	char text[40], label[64];

	put_time(text, sizeof(text), ns);
	snprintf(label, sizeof(label), "%s left out", text);
	const double half = FIGURE_CHAR * html_columns(label) / 2;
	double middle = x + half > BARS_END ? BARS_END - half : x;

	if (middle - half < BARS_AT)
		middle = BARS_AT + half;
	if (middle - half < *free_from)
		return false;
	*free_from = middle + half + 10;
	if (draw)
		figure_text(figure, "dim", FIGURE_MIDDLE, middle, FIGURE_PAD + 32, 2 * half + 8, label);
	return true;
}

/* Each with its own time where there is room for all, else their sum. */
static void draw_cuts(struct figure *figure, const struct axis *axis, double bottom)
{
	double free_from[2] = { BARS_AT, BARS_AT };
	int64_t sum = 0;
	bool room = true;
	unsigned n = 0;
	char text[40];

	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i + 1 < axis->n; i++) {
			const double x = (axis->at[i] + axis->at[i + 1]) / 2;
			const int64_t gap = axis->events[i + 1] - axis->events[i];

			if (!axis->cut[i])
				continue;
			if (pass == 0) {
				figure_line(figure, "cut", x, FIGURE_PAD + HEAD - 4, x, bottom);
				sum += gap;
				n++;
			}
			if (pass == 0 || room)
				room = put_cut(figure, x, &free_from[pass], gap, pass == 1) && room;
		}
	if (room)
		return;
	put_time(text, sizeof(text), sum);
	figure_printf(figure, "dim", FIGURE_START, BARS_AT, FIGURE_PAD + 32, BARS_END - BARS_AT,
		      "%s left out, at %u dotted lines", text, n);
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
	figure_begin(&figure, page, "tape", "The launch, row by row.");
	figure_text(&figure, "dim", FIGURE_START, FIGURE_PAD + 4, FIGURE_PAD + 14, 200, "row of the score");
	figure_text(&figure, "dim", FIGURE_START, ROLE_AT, FIGURE_PAD + 14, 70, "process");
	figure_text(&figure, "dim", FIGURE_END, FIGURE_WIDTH - FIGURE_PAD - 4, FIGURE_PAD + 14, 110, "took");
	for (size_t i = 1; i < n; i += 2)
		figure_rect(&figure, "stripe", FIGURE_PAD, FIGURE_PAD + HEAD + (double)i * ROW,
			    FIGURE_WIDTH - 2 * FIGURE_PAD, ROW);
	draw_grid(&figure, &axis, bottom);
	draw_cuts(&figure, &axis, bottom);
	for (size_t i = 0; i < n; i++)
		draw_row(&figure, &axis, &rows[i], FIGURE_PAD + HEAD + (double)i * ROW);
	figure_end(
		&figure,
		"Each row acquires one resource or makes one change in the kernel; beside its bar stands the call. runtime prepares on the host, init builds the container from "
		"within, workload becomes your command. Some rows wait for another process. What one is for: nsrun lab, tape NAME ROW.");
}
