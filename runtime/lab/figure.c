/* SPDX-License-Identifier: Apache-2.0 */
/* Figures in their own coordinates, without transformations, so that a script can check them. */
#include <nsrun/lab/html.h>

#include <stdarg.h>
#include <stdlib.h>

void figure_begin(struct figure *figure)
{
	*figure = (struct figure){ 0 };
	figure->out = open_memstream(&figure->text, &figure->size);
	figure->failed = !figure->out;
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
	fprintf(figure->out, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"3\" />\n", class,
		x, y, width, height);
	reach(figure, y + height);
}

void figure_line(struct figure *figure, const char *class, double x1, double y1, double x2, double y2)
{
	if (figure->failed)
		return;
	fprintf(figure->out, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" />\n", class, x1, y1, x2,
		y2);
	reach(figure, y1 > y2 ? y1 : y2);
}

void figure_text(struct figure *figure, const char *class, enum figure_anchor anchor, double x, double y, double width,
		 const char *text)
{
	static const char *const anchors[] = { "start", "middle", "end" };

	if (figure->failed || !*text || width < FIGURE_CHAR)
		return;
	fprintf(figure->out, "<text class=\"%s\" text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">", class, anchors[anchor], x, y);
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

void figure_end(struct figure *figure, FILE *page, const char *kind, const char *title, const char *caption)
{
	if (figure->out && fclose(figure->out) != 0)
		figure->failed = true;
	if (!figure->failed) {
		fprintf(page,
			"<figure class=\"%s\">\n<div class=\"wide\">\n<svg role=\"img\" viewBox=\"0 0 %d %.0f\" aria-label=\"",
			kind, FIGURE_WIDTH, figure->height + FIGURE_PAD);
		html_text(page, title);
		fprintf(page, "\">\n%s</svg>\n</div>\n<figcaption><span class=\"figure-title\">", figure->text);
		html_text(page, title);
		fputs("</span> ", page);
		html_text(page, caption);
		fputs("</figcaption>\n</figure>\n", page);
	}
	free(figure->text);
	*figure = (struct figure){ .failed = true };
}
