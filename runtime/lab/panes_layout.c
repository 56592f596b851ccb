/* SPDX-License-Identifier: Apache-2.0 */
/* Where each pane is. The first row is the title; the last two are the line that is typed, and the keys. */
#include <nsrun/lab/panes.h>

#define BESIDE_COLUMNS 150 /* from here on the text has one side and all else the other */
#define TEXT_COLUMNS_MAX 100
#define STACK_ROWS 37	    /* from here on sides and tape are below each other */
#define SIDES_ROWS 9	    /* with the heading */
#define SIDES_ROWS_BELOW 19 /* with several containers */
#define TEXT_ROWS_MIN 4

static void set(struct panes_area *area, int y, int x, int height, int width)
{
	*area = (struct panes_area){
		.y = y, .x = x, .height = height > 0 ? height : 0, .width = width > 0 ? width : 0
	};
}

static void beside(struct panes_layout *layout, int body, size_t containers)
{
	const int left = layout->columns / 2 < TEXT_COLUMNS_MAX ? layout->columns / 2 : TEXT_COLUMNS_MAX;
	const int right = layout->columns - left - 1;
	const int sides = containers > 1 && body > 2 * SIDES_ROWS_BELOW - 8 ? SIDES_ROWS_BELOW : SIDES_ROWS;

	layout->bar = left;
	set(&layout->area[PART_TEXT], 1, 0, body, left);
	set(&layout->area[PART_SIDES], 1, left + 1, sides, right);
	set(&layout->area[PART_TAPE], 1 + sides, left + 1, body - sides, right);
}

static void stacked(struct panes_layout *layout, int body, bool tape, size_t containers)
{
	const int lower = containers == 0 && !tape ? 0 : SIDES_ROWS;
	/* Where there is no room for two, the text is what cannot be missed. */
	const int shown = body - lower >= TEXT_ROWS_MIN ? lower : 0;
	const int both = layout->rows >= STACK_ROWS && shown ? body / 3 - 2 : 0;

	set(&layout->area[PART_TEXT], 1, 0, body - shown - both, layout->columns);
	if (both || !tape)
		set(&layout->area[PART_SIDES], 1 + body - shown - both, 0, shown, layout->columns);
	if (both || tape)
		set(&layout->area[PART_TAPE], 1 + body - (both ? both : shown), 0, both ? both : shown,
		    layout->columns);
}

void panes_lay_out(struct panes_layout *layout, int rows, int columns, const struct lab_panes *panes, size_t containers)
{
	const int body = rows - 3;

	*layout = (struct panes_layout){ .rows = rows, .columns = columns };
	if (panes->help)
		set(&layout->area[PART_HELP], 1, 0, body, columns);
	else if (panes->whole)
		set(&layout->area[panes->focus], 1, 0, body, columns);
	else if (columns >= BESIDE_COLUMNS && body >= 2 * SIDES_ROWS)
		beside(layout, body, containers);
	else
		stacked(layout, body, panes->tape, containers);
}
