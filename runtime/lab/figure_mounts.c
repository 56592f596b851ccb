/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/lab/html.h>

#include <nsrun/base/strings.h>

#include <string.h>

#define MOUNTS_MAX 512
#define DEPTH_MAX 8
#define ROW 21
#define ROWS_OF_PICTURE 44 /* fits on a page */
#define INDENT 20
#define HEAD 26
#define TYPE_AT 400
#define WRITE_AT 505
#define OPTIONS_AT 605
#define PROPAGATION_AT 850

struct mounts {
	json_t *list;
	size_t n;
	bool drawn[MOUNTS_MAX];
	double y;
	unsigned rows;
	struct figure figure;
};

static void draw_head(struct mounts *mounts)
{
	static const struct {
		double x;
		const char *text;
	} heads[] = { { FIGURE_PAD + 6, "mounted at" },
		      { TYPE_AT, "file system" },
		      { WRITE_AT, "writable" },
		      { OPTIONS_AT, "other options of this mount" },
		      { PROPAGATION_AT, "propagation" } };

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		figure_text(&mounts->figure, "dim", FIGURE_START, heads[i].x, FIGURE_PAD + 14, 210, heads[i].text);
	mounts->y = FIGURE_PAD + HEAD;
	mounts->rows = 0;
}

/* "rw" or "ro" comes first; the rest is what is not said by it. */
static void draw_options(struct figure *figure, const json_t *mount, double y)
{
	const char *options = text_in(mount, "options");
	const bool ro = strncmp(options, "ro", 2) == 0 && (options[2] == ',' || !options[2]);
	const bool rw = strncmp(options, "rw", 2) == 0 && (options[2] == ',' || !options[2]);

	if (json_is_true(json_object_get(mount, "masked"))) {
		figure_text(figure, "dim", FIGURE_START, WRITE_AT, y, OPTIONS_AT - WRITE_AT - 8, "masked");
		figure_text(figure, "dim", FIGURE_START, OPTIONS_AT, y, PROPAGATION_AT - OPTIONS_AT - 8,
			    "/dev/null covers the file");
		return;
	}
	if (ro || rw) {
		figure_text(figure, ro ? "dim" : "strong", FIGURE_START, WRITE_AT, y, OPTIONS_AT - WRITE_AT - 8,
			    ro ? "read-only" : "writable");
		options += options[2] ? 3 : 2;
	}
	figure_text(figure, "dim", FIGURE_START, OPTIONS_AT, y, PROPAGATION_AT - OPTIONS_AT - 8, options);
}

static void draw(struct mounts *mounts, size_t at, unsigned depth, double parent_y)
{
	struct figure *figure = &mounts->figure;
	const json_t *mount = json_array_get(mounts->list, at);
	const double x = FIGURE_PAD + 6 + INDENT * (depth < DEPTH_MAX ? depth : DEPTH_MAX);
	const char *type = text_in(mount, "type");

	mounts->drawn[at] = true;
	if (mounts->rows == ROWS_OF_PICTURE) {
		figure_cut(figure);
		draw_head(mounts);
	}
	const double y = mounts->y;

	mounts->y += ROW;
	mounts->rows++;
	figure_rect(figure, "mount none", FIGURE_PAD, y, FIGURE_WIDTH - 2 * FIGURE_PAD, ROW);
	/* The parent may stand in the picture above. */
	if (parent_y > y)
		parent_y = FIGURE_PAD + HEAD - 4;
	if (depth > 0) {
		figure_line(figure, "edge", x - INDENT + 5, parent_y, x - INDENT + 5, y + ROW / 2.0);
		figure_line(figure, "edge", x - INDENT + 5, y + ROW / 2.0, x - 4, y + ROW / 2.0);
	}
	figure_text(figure, "strong", FIGURE_START, x, y + 15, TYPE_AT - x - 10, text_in(mount, "target"));
	figure_text(figure, "", FIGURE_START, TYPE_AT, y + 15, WRITE_AT - TYPE_AT - 8, type);
	draw_options(figure, mount, y + 15);
	figure_text(figure, "", FIGURE_START, PROPAGATION_AT, y + 15, FIGURE_WIDTH - FIGURE_PAD - PROPAGATION_AT,
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
				 .n = json_array_size(list) < MOUNTS_MAX ? json_array_size(list) : MOUNTS_MAX };
	const int64_t left_out = number_in(launch, "mounts_left_out");
	struct figure *figure = &mounts.figure;

	if (mounts.n == 0)
		return;
	figure_begin(figure, page, "mounts", "Mounts of the container.");
	draw_head(&mounts);
	/* What is damaged may have no root. */
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < mounts.n; i++)
			if (!mounts.drawn[i] && (pass == 1 || !has_parent(&mounts, i)))
				draw(&mounts, i, 0, 0);
	if (left_out)
		figure_printf(figure, "dim", FIGURE_START, FIGURE_PAD + 6, mounts.y + 15, 800, "and %lld more",
			      (long long)left_out);
	figure_end(
		figure,
		"Each hangs from the mount that it covers a file or directory of. When something is mounted below one, its peers learn of it if it is shared; a slave learns "
		"of its master's, a private one of nothing (mount_namespaces(7)).");
}
