/* SPDX-License-Identifier: Apache-2.0 */
/* Which view of the lab this terminal gets. */
#include <nsrun/cli/lab.h>

#include <nsrun/base/strings.h>
#include <nsrun/cli/report.h>

#include <string.h>
#include <sys/ioctl.h>

#define WIDTH_MIN 40
#define WIDTH_MAX 100
#define WIDTH 80
#define PANES_ROWS 24
#define PANES_COLUMNS 80

static unsigned width_of(const char *columns)
{
	struct winsize size;
	uint32_t width = WIDTH;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		width = size.ws_col;
	else if (columns && parse_u32(columns, &width) < 0)
		width = WIDTH;
	return width < WIDTH_MIN ? WIDTH_MIN : width > WIDTH_MAX ? WIDTH_MAX : width;
}

static bool wants_no_colour(void)
{
	const char *no_color = getenv("NO_COLOR");

	return no_color && *no_color;
}

int lab_open_lines(const struct lab_options *options, struct lab_play *play, struct err *err)
{
	const char *term = getenv("TERM");
	const bool able = isatty(STDOUT_FILENO) && term && *term && !streq(term, "dumb");

	play->view = (struct lab_view){ .width = width_of(getenv("COLUMNS")),
					.colour = able && !wants_no_colour(),
					.columns = able && options->one_column != YES };
	return lab_plain_open(play, stdout, err);
}

int lab_choose_view(const struct lab_options *options, bool *ret_panes, struct err *err)
{
	const bool lines = options->plain == YES || options->one_column == YES;
	struct winsize size;

	if (options->view && lines && streq(options->view, "panes"))
		return err_input(err, "--view panes: --%s is for lines",
				 options->plain == YES ? "plain" : "one-column");
	*ret_panes = false;
	if (lines || (options->view && streq(options->view, "plain")))
		return 0;
	const char *lack = lab_panes_lack(stdin, stdout);

	if (options->view) {
		*ret_panes = !lack;
		return lack ? err_input(err, "--view panes: %s; --plain shows the same as lines", lack) : 0;
	}
	/* Who wants no colour by NO_COLOR is taken for one who wants nothing but text, too. */
	*ret_panes = !lack && !wants_no_colour() && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
		     size.ws_row >= PANES_ROWS && size.ws_col >= PANES_COLUMNS;
	return 0;
}

int lab_open_panes(struct lab_play *play, struct err *err)
{
	return lab_panes_open(play, stdin, stdout, !wants_no_colour(), err);
}
