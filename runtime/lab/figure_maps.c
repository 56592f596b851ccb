/* SPDX-License-Identifier: Apache-2.0 */
/* Bands of uid_map and gid_map: a line of the map is a band from the ids inside to those outside. */
#include <nsrun/lab/html.h>

#include <string.h>

#define EXTENTS_MAX 340 /* of the kernel: user_namespaces(7) */
#define SIDE 300
#define RIGHT (FIGURE_WIDTH - FIGURE_PAD - SIDE)
#define GAP 8
#define HEAD 28
#define SMALL 24
#define LARGE 46

struct extent {
	int64_t inside, outside, count;
	double height, left, right; /* where it begins on either side */
};

static int compare_inside(const void *a, const void *b)
{
	const struct extent *x = *(struct extent *const *)a, *y = *(struct extent *const *)b;

	return x->inside < y->inside ? -1 : x->inside > y->inside;
}

static int compare_outside(const void *a, const void *b)
{
	const struct extent *x = *(struct extent *const *)a, *y = *(struct extent *const *)b;

	return x->outside < y->outside ? -1 : x->outside > y->outside;
}

static int64_t item(const json_t *list, size_t i)
{
	const json_int_t value = json_integer_value(json_array_get(list, i));

	return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : value;
}

static void put_range(struct figure *figure, double x, double y, int64_t first, int64_t count)
{
	if (count == 1)
		figure_printf(figure, "strong", FIGURE_START, x + 10, y, SIDE - 20, "%lld", (long long)first);
	else
		figure_printf(figure, "strong", FIGURE_START, x + 10, y, SIDE - 20, "%lld to %lld (%lld ids)",
			      (long long)first, (long long)(first + count - 1), (long long)count);
}

static void draw(struct figure *figure, const struct extent *e)
{
	const double bend = (RIGHT - FIGURE_PAD - SIDE) / 2.0, from = FIGURE_PAD + SIDE;

	if (figure->failed)
		return;
	fprintf(figure->out, "<polygon class=\"band\" points=\"%.1f,%.1f %.1f,%.1f %.1f,%.1f %.1f,%.1f\" />\n", from,
		e->left, from + 2 * bend, e->right, from + 2 * bend, e->right + e->height, from, e->left + e->height);
	figure_rect(figure, "box", FIGURE_PAD, e->left, SIDE, e->height);
	figure_rect(figure, "host", RIGHT, e->right, SIDE, e->height);
	put_range(figure, FIGURE_PAD, e->left + e->height / 2 + 4, e->inside, e->count);
	put_range(figure, RIGHT, e->right + e->height / 2 + 4, e->outside, e->count);
}

static void figure_map(FILE *page, const json_t *map, const char *kind, const char *title)
{
	const size_t n = json_array_size(map) < EXTENTS_MAX ? json_array_size(map) : EXTENTS_MAX;
	struct extent extents[EXTENTS_MAX], *order[EXTENTS_MAX];
	struct figure figure;

	if (n == 0)
		return;
	for (size_t i = 0; i < n; i++) {
		const json_t *line = json_array_get(map, i);

		extents[i] = (struct extent){ .inside = item(line, 0), .outside = item(line, 1), .count = item(line, 2) };
		extents[i].height = extents[i].count > 1 ? LARGE : SMALL;
		order[i] = &extents[i];
	}
	double y = FIGURE_PAD + HEAD;

	qsort(order, n, sizeof(order[0]), compare_inside);
	for (size_t i = 0; i < n; y += order[i++]->height + GAP)
		order[i]->left = y;
	y = FIGURE_PAD + HEAD;
	qsort(order, n, sizeof(order[0]), compare_outside);
	for (size_t i = 0; i < n; y += order[i++]->height + GAP)
		order[i]->right = y;
	figure_begin(&figure);
	figure_text(&figure, "dim", FIGURE_START, FIGURE_PAD, FIGURE_PAD + 14, SIDE, "inside: as the container says");
	figure_text(&figure, "dim", FIGURE_START, RIGHT, FIGURE_PAD + 14, SIDE, "outside: as the host says");
	for (size_t i = 0; i < n; i++)
		draw(&figure, &extents[i]);
	figure_end(&figure, page, kind, title,
		   "A high band is a range, a low one a single id. An id that is not in the map is nobody: it shows as 65534 (user_namespaces(7)).");
}

void figure_maps(FILE *page, const json_t *launch)
{
	figure_map(page, json_object_get(launch, "uid_map"), "uid-map", "User ids: uid_map.");
	figure_map(page, json_object_get(launch, "gid_map"), "gid-map", "Group ids: gid_map.");
}
