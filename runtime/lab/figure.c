/* SPDX-License-Identifier: Apache-2.0 */
/* Figures in their own coordinates, without transformations, so that a script can check them. */
#include <nsrun/lab/html.h>

#include <stdarg.h>
#include <stdlib.h>

static void open_picture(struct figure *figure)
{
	figure->text = NULL;
	figure->height = 0;
	figure->out = open_memstream(&figure->text, &figure->size);
	figure->failed = !figure->out;
}

static void close_picture(struct figure *figure)
{
	if (figure->out && fclose(figure->out) != 0)
		figure->failed = true;
	/* Its text is for those who do not see it, too: no role="img". */
	if (!figure->failed) {
		fprintf(figure->page, "<svg role=\"group\" viewBox=\"0 0 %d %.0f\" aria-label=\"", FIGURE_WIDTH,
			figure->height + FIGURE_PAD);
		html_text(figure->page, figure->title);
		fprintf(figure->page, "\">\n%s</svg>\n", figure->text);
	}
	free(figure->text);
	figure->text = NULL;
	figure->out = NULL;
}

void figure_begin(struct figure *figure, FILE *page, const char *kind, const char *title)
{
	*figure = (struct figure){ .page = page, .title = title };
	fprintf(page, "<figure class=\"%s\">\n<div class=\"wide\">\n", kind);
	open_picture(figure);
}

void figure_cut(struct figure *figure)
{
	close_picture(figure);
	open_picture(figure);
}

void figure_end(struct figure *figure, const char *caption)
{
	close_picture(figure);
	fputs("</div>\n<figcaption><span class=\"figure-title\">", figure->page);
	html_text(figure->page, figure->title);
	fputs("</span> ", figure->page);
	html_text(figure->page, caption);
	fputs("</figcaption>\n</figure>\n", figure->page);
}

static void reach(struct figure *figure, double y)
{
	if (y > figure->height)
		figure->height = y;
}

void figure_rect(struct figure *figure, const char *class, double x, double y, double width, double height)
{
	if (figure->failed)
		return;
	fprintf(figure->out, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"%s\" />\n",
		class, x, y, width, height, width < 8 || height < 8 ? "1" : "3");
	reach(figure, y + height);
}

void figure_line(struct figure *figure, const char *class, double x1, double y1, double x2, double y2)
{
	if (figure->failed)
		return;
	fprintf(figure->out, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" />\n", class, x1, y1,
		x2, y2);
	reach(figure, y1 > y2 ? y1 : y2);
}

void figure_text(struct figure *figure, const char *class, enum figure_anchor anchor, double x, double y, double width,
		 const char *text)
{
	static const char *const anchors[] = { "start", "middle", "end" };

	if (figure->failed || !*text || width < FIGURE_CHAR)
		return;
	fprintf(figure->out, "<text class=\"%s\" text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">", class, anchors[anchor], x,
		y);
	if (html_text_cut(figure->out, text, (unsigned)(width / FIGURE_CHAR))) {
		fputs("<title>", figure->out);
		html_text(figure->out, text);
		fputs("</title>", figure->out);
	}
	fputs("</text>\n", figure->out);
	reach(figure, y + 4);
}

void figure_printf(struct figure *figure, const char *class, enum figure_anchor anchor, double x, double y,
		   double width, const char *fmt, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, fmt);
	const int n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0)
		return;
	figure_text(figure, class, anchor, x, y, width, text);
	free(text);
}

void figure_open(struct figure *figure, const char *tip)
{
	if (figure->failed)
		return;
	fputs("<g><title>", figure->out);
	html_text(figure->out, tip);
	fputs("</title>\n", figure->out);
}

void figure_close(struct figure *figure)
{
	if (!figure->failed)
		fputs("</g>\n", figure->out);
}

double figure_legend(struct figure *figure, const char *class, double x, double y, const char *meaning)
{
	const double width = FIGURE_CHAR * (html_columns(meaning) + 1);

	figure_rect(figure, class, x, y - 10, 12, 12);
	figure_text(figure, "dim", FIGURE_START, x + 18, y, width, meaning);
	return x + 18 + width + 16;
}
