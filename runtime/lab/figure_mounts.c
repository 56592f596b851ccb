/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/lab/html.h>

#include <nsrun/base/strings.h>

#define MOUNTS_MAX 512
#define DEPTH_MAX 8
#define ROW 24
#define INDENT 20
#define HEAD 26
#define TYPE_AT 430
#define OPTIONS_AT 540
#define PROPAGATION_AT 840

struct mounts {
	json_t *list;
	size_t n;
	bool drawn[MOUNTS_MAX];
	double y;
	struct figure figure;
};

static void draw(struct mounts *mounts, size_t at, unsigned depth, double parent_y)
{
	struct figure *figure = &mounts->figure;
	const json_t *mount = json_array_get(mounts->list, at);
	const double x = FIGURE_PAD + 6 + INDENT * (depth < DEPTH_MAX ? depth : DEPTH_MAX), y = mounts->y;

	mounts->drawn[at] = true;
	mounts->y += ROW;
	figure_rect(figure, "mount none", FIGURE_PAD, y, FIGURE_WIDTH - 2 * FIGURE_PAD, ROW);
	if (depth > 0) {
		figure_line(figure, "edge", x - INDENT + 6, parent_y, x - INDENT + 6, y + ROW / 2.0);
		figure_line(figure, "edge", x - INDENT + 6, y + ROW / 2.0, x - 3, y + ROW / 2.0);
	}
	figure_text(figure, "strong", FIGURE_START, x, y + 16, TYPE_AT - x - 10, text_in(mount, "target"));
	figure_text(figure, "", FIGURE_START, TYPE_AT, y + 16, OPTIONS_AT - TYPE_AT - 10, text_in(mount, "type"));
	figure_text(figure, "dim", FIGURE_START, OPTIONS_AT, y + 16, PROPAGATION_AT - OPTIONS_AT - 10,
		    text_in(mount, "options"));
	figure_text(figure, "", FIGURE_START, PROPAGATION_AT, y + 16, FIGURE_WIDTH - FIGURE_PAD - PROPAGATION_AT,
		    text_in(mount, "propagation"));
	const int64_t id = number_in(mount, "id");

	for (size_t i = 0; depth < MOUNTS_MAX && i < mounts->n; i++)
		if (!mounts->drawn[i] && number_in(json_array_get(mounts->list, i), "parent") == id)
			draw(mounts, i, depth + 1, y + ROW - 4);
}

static bool has_parent(const struct mounts *mounts, size_t at)
{
	const int64_t parent = number_in(json_array_get(mounts->list, at), "parent");

	for (size_t i = 0; i < mounts->n; i++)
		if (i != at && number_in(json_array_get(mounts->list, i), "id") == parent)
			return true;
	return false;
}

void figure_mounts(FILE *page, const json_t *launch)
{
	json_t *list = json_object_get(launch, "mounts");
	struct mounts mounts = { .list = list,
				 .n = json_array_size(list) < MOUNTS_MAX ? json_array_size(list) : MOUNTS_MAX,
				 .y = FIGURE_PAD + HEAD };
	const int64_t left_out = number_in(launch, "mounts_left_out");
	struct figure *figure = &mounts.figure;

	if (mounts.n == 0)
		return;
	figure_begin(figure);
	figure_text(figure, "dim", FIGURE_START, FIGURE_PAD + 6, FIGURE_PAD + 16, 300, "mounted at");
	figure_text(figure, "dim", FIGURE_START, TYPE_AT, FIGURE_PAD + 16, 100, "type");
	figure_text(figure, "dim", FIGURE_START, OPTIONS_AT, FIGURE_PAD + 16, 280, "options of this mount");
	figure_text(figure, "dim", FIGURE_START, PROPAGATION_AT, FIGURE_PAD + 16, 110, "propagation");
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < mounts.n; i++)
			if (!mounts.drawn[i] && (pass == 1 || !has_parent(&mounts, i)))
				draw(&mounts, i, 0, 0);
	if (left_out)
		figure_printf(figure, "dim", FIGURE_START, FIGURE_PAD + 6, mounts.y + 16, 800, "and %lld more",
			      (long long)left_out);
	figure_end(figure, page, "mounts", "Mounts of the container.",
		   "Each hangs from the mount that it covers a directory of. A shared one tells its peers of mounts below it, a slave is told, a private one neither.");
}
