/* SPDX-License-Identifier: Apache-2.0 */
/* Bands of uid_map and gid_map: a line of the map is a band from the ids inside to those outside. */
#include <nsrun/lab/html.h>

#include <string.h>

#define EXTENTS_MAX 340 /* of the kernel: user_namespaces(7) */
#define EXTENTS_SHOWN 32
#define SIDE 330
#define RIGHT (FIGURE_WIDTH - FIGURE_PAD - SIDE)
#define GAP 6
#define LOW 26
#define HIGH 44 /* of one that root is in */

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
	if (count <= 1)
		figure_printf(figure, "strong", FIGURE_START, x + 10, y + 17, SIDE - 20, "%lld", (long long)first);
	else
		figure_printf(figure, "strong", FIGURE_START, x + 10, y + 17, SIDE - 20, "%lld to %lld (%lld ids)",
			      (long long)first, (long long)(first + count - 1), (long long)count);
}

static void draw(struct figure *figure, const struct extent *e, const char *what)
{
	const double from = FIGURE_PAD + SIDE, to = RIGHT;

	if (figure->failed)
		return;
	fprintf(figure->out, "<polygon class=\"band\" points=\"%.1f,%.1f %.1f,%.1f %.1f,%.1f %.1f,%.1f\" />\n", from,
		e->left, to, e->right, to, e->right + e->height, from, e->left + e->height);
	figure_rect(figure, "box", FIGURE_PAD, e->left, SIDE, e->height);
	figure_rect(figure, "host", RIGHT, e->right, SIDE, e->height);
	put_range(figure, FIGURE_PAD, e->left, e->inside, e->count);
	put_range(figure, RIGHT, e->right, e->outside, e->count);
	if (e->height < HIGH)
		return;
	figure_printf(figure, "dim", FIGURE_START, FIGURE_PAD + 10, e->left + 35, SIDE - 20, "%s 0: root here", what);
	if (e->outside == 0)
		figure_printf(figure, "bad", FIGURE_START, RIGHT + 10, e->right + 35, SIDE - 20,
			      "root inside is the host's root");
	else
		figure_printf(figure, "dim", FIGURE_START, RIGHT + 10, e->right + 35, SIDE - 20,
			      "root inside is %s %lld here", what, (long long)e->outside);
}

/* From y on; returns where it ends. */
static double draw_map(struct figure *figure, const json_t *map, const char *what, const char *title, double y)
{
	struct extent extents[EXTENTS_MAX], *order[EXTENTS_MAX];
	const size_t all = json_array_size(map), n = all < EXTENTS_SHOWN ? all : EXTENTS_SHOWN;
	int64_t mapped = 0;
	double left, right;

	figure_text(figure, "strong", FIGURE_START, FIGURE_PAD, y + 14, 2 * SIDE, title);
	figure_text(figure, "dim", FIGURE_START, FIGURE_PAD, y + 32, SIDE, "inside: numbers as the container has them");
	figure_text(figure, "dim", FIGURE_START, RIGHT, y + 32, SIDE, "outside: the same as the host has them");
	left = right = y + 40;
	for (size_t i = 0; i < n; i++) {
		const json_t *line = json_array_get(map, i);

		extents[i] =
			(struct extent){ .inside = item(line, 0), .outside = item(line, 1), .count = item(line, 2) };
		extents[i].height = extents[i].inside == 0 ? HIGH : LOW;
		order[i] = &extents[i];
		mapped += extents[i].count;
	}
	qsort(order, n, sizeof(struct extent *), compare_inside);
	for (size_t i = 0; i < n; i++) {
		order[i]->left = left;
		left += order[i]->height + GAP;
	}
	qsort(order, n, sizeof(struct extent *), compare_outside);
	for (size_t i = 0; i < n; i++) {
		order[i]->right = right;
		right += order[i]->height + GAP;
	}
	for (size_t i = 0; i < n; i++)
		draw(figure, &extents[i], what);
	if (all > n) {
		figure_printf(figure, "dim", FIGURE_START, FIGURE_PAD + 10, left + 14, SIDE, "and %zu more lines",
			      all - n);
		left += 24;
	}
	/* The last number is no id: -1 means none in many calls. */
	if (mapped >= UINT32_MAX)
		return left + GAP;
	figure_rect(figure, "area unknown", FIGURE_PAD, left, SIDE, LOW);
	figure_printf(figure, "dim", FIGURE_START, FIGURE_PAD + 10, left + 17, SIDE - 20,
		      "every other %s: nobody, 65534", what);
	return left + LOW + GAP;
}

/* Each namespace has its own map; most have the same lines in both. */
void figure_maps(FILE *page, const json_t *launch)
{
	const json_t *uids = json_object_get(launch, "uid_map"), *gids = json_object_get(launch, "gid_map");
	double y = FIGURE_PAD;
	struct figure figure;

	if (!json_array_size(uids) && !json_array_size(gids))
		return;
	figure_begin(&figure, page, "id-maps", "User and group ids.");
	if (json_equal(uids, gids)) {
		y = draw_map(&figure, uids, "id", "uid_map and gid_map, which have the same lines", y);
	} else {
		if (json_array_size(uids))
			y = draw_map(&figure, uids, "uid", "uid_map", y) + 14;
		if (json_array_size(gids))
			y = draw_map(&figure, gids, "gid", "gid_map", y);
	}
	figure_end(
		&figure,
		"A line of a map is a band: ids of the container, and which ids of the host they are. What no band holds has no name in the container, and shows as "
		"nobody (user_namespaces(7)).");
}
