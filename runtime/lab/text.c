/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/lab/text.h>

#include <nsrun/base/strings.h>
#include <nsrun/lab/sieve.h>

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

/* A character's bytes but its first, and marks, take no column. */
unsigned lab_columns(const char *text)
{
	unsigned n = 0;

	for (const char *p = text; *p; p++)
		n += (unsigned char)*p >= ' ' && ((unsigned char)*p & 0xc0) != 0x80;
	return n;
}

void lab_strong(const struct lab_view *view, bool on)
{
	if (view->colour)
		fputs(on ? LAB_STRONG : LAB_NORMAL, view->out);
}

/* ---- Markdown within a line ---- */

static void put_plain(FILE *out, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fputc(iscntrl((unsigned char)text[i]) ? ' ' : text[i], out);
}

/* "[text](where)" becomes "text (where)". Returns how many bytes it has; 0: it is none. */
static size_t put_link(FILE *out, const char *p)
{
	const size_t text = strcspn(p + 1, "]\n");

	if (p[1 + text] != ']' || p[2 + text] != '(')
		return 0;
	const size_t where = strcspn(p + 3 + text, ")\n");

	if (p[3 + text + where] != ')')
		return 0;
	put_plain(out, p + 1, text);
	fputs(" (", out);
	put_plain(out, p + 3 + text, where);
	fputc(')', out);
	return text + where + 4;
}

/* A span between marks; 0: the mark is a character like others. */
static size_t put_span(const struct lab_view *view, FILE *out, const char *p)
{
	const char *mark = str_after(p, "**") ? "**" : *p == '*' ? "*" : "`";
	const size_t len = strlen(mark);
	const char *end = strstr(p + len, mark);

	if (!end || end == p + len || (*mark == '*' && isspace((unsigned char)p[len])))
		return 0;
	if (view->colour)
		fputs(*mark == '`' ? LAB_CODE : LAB_STRONG, out);
	/* The backquotes stay: without colour nothing else says where a command ends. */
	if (*mark == '`' || !view->colour)
		fputs(mark, out);
	put_plain(out, p + len, (size_t)(end - p) - len);
	if (*mark == '`' || !view->colour)
		fputs(mark, out);
	if (view->colour)
		fputs(LAB_NORMAL, out);
	return (size_t)(end - p) + len;
}

/* malloc'd; NULL without memory. */
static char *inline_marks(const struct lab_view *view, const char *text)
{
	char *result = NULL;
	size_t size;
	FILE *out = open_memstream(&result, &size);

	if (!out)
		return NULL;
	while (*text) {
		size_t n = 0;

		if (*text == '`' || *text == '*')
			n = put_span(view, out, text);
		else if (*text == '[')
			n = put_link(out, text);
		else if (*text == '\\' && ispunct((unsigned char)text[1]))
			text++;
		if (n == 0) {
			put_plain(out, text, 1);
			n = 1;
		}
		text += n;
	}
	if (fclose(out) != 0) {
		free(result);
		return NULL;
	}
	return result;
}

/* ---- wrapping ---- */

/* Blanks part words; a word that is longer than a line stands alone. */
static void wrap(const struct lab_view *view, const char *first, const char *rest, const char *text)
{
	unsigned at = lab_columns(first);
	bool empty = true;

	fputs(first, view->out);
	if (view->flow)
		fprintf(view->out, LAB_HANG_BEGIN "%s" LAB_HANG_END, rest);
	for (const char *p = text; *(p += strspn(p, " \t\n"));) {
		const size_t len = strcspn(p, " \t\n");
		_cleanup_free_ char *word = strndup(p, len);
		const unsigned columns = word ? lab_columns(word) : 0;

		if (!empty && !view->flow && at + 1 + columns > view->width) {
			fprintf(view->out, "\n%s", rest);
			at = lab_columns(rest);
			empty = true;
		}
		if (!empty) {
			fputc(' ', view->out);
			at++;
		}
		fwrite(p, 1, len, view->out);
		at += columns;
		empty = false;
		p += len;
	}
	fputc('\n', view->out);
}

void lab_print_wrapped(const struct lab_view *view, const char *first, const char *rest, const char *text)
{
	_cleanup_free_ char *marked = inline_marks(view, text);

	wrap(view, first, rest, marked ? marked : text);
}

void lab_say(const struct lab_view *view, const char *word, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL, *first = NULL, *escaped = NULL;
	char rest[32] = "";
	va_list args;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0) {
		text = NULL;
		return;
	}
	for (char *c = text; *c; c++)
		if (*c == '\n')
			*c = ' ';
	escaped = malloc((size_t)n * 4 + 1);
	if (!escaped ||
	    asprintf(&first, "%s%s:%s ", view->colour ? LAB_STRONG : "", word, view->colour ? LAB_NORMAL : "") < 0) {
		first = NULL;
		return;
	}
	escape_text(text, escaped, (size_t)n * 4 + 1);
	const unsigned indent = lab_columns(first);

	memset(rest, ' ', indent < 16 ? indent : 4);
	wrap(view, first, rest, escaped);
}

/* ---- Markdown ---- */

/* How many columns a list item's mark has: "- ", "12. "; 0: it is no item. */
static size_t item_mark(const char *line)
{
	const size_t blanks = strspn(line, " ");
	const char *p = line + blanks;
	const size_t digits = strspn(p, "0123456789");

	if ((*p == '-' || *p == '*' || *p == '+') && p[1] == ' ')
		return blanks + 2;
	if (digits && (p[digits] == '.' || p[digits] == ')') && p[digits + 1] == ' ')
		return blanks + digits + 2;
	return 0;
}

static bool stands_alone(const char *line)
{
	return *line == '|' || *line == '#' || *line == '>' || str_after(line, "    ");
}

static void print_heading(const struct lab_view *view, const char *line)
{
	line += strspn(line, "#");
	line += strspn(line, " ");
	lab_strong(view, true);
	lab_print_wrapped(view, "== ", "   ", line);
	lab_strong(view, false);
}

static void flush_paragraph(const struct lab_view *view, char *paragraph, size_t mark)
{
	char first[32] = "", rest[32] = "";

	if (!*paragraph)
		return;
	if (mark && mark < sizeof(first)) {
		memcpy(first, paragraph, mark);
		first[mark] = '\0';
		memset(rest, ' ', mark);
		rest[mark] = '\0';
	} else {
		mark = 0;
	}
	lab_print_wrapped(view, first, rest, paragraph + mark);
	*paragraph = '\0';
}

static void print_line_as_is(const struct lab_view *view, const char *line)
{
	if (*line == '#') {
		print_heading(view, line);
	} else if (*line == '|') {
		put_plain(view->out, line, strlen(line));
		fputc('\n', view->out);
	} else if (*line == '>') {
		lab_print_wrapped(view, "  ", "  ", line + 1);
	} else {
		put_plain(view->out, line, strlen(line));
		fputc('\n', view->out);
	}
}

void lab_print_markdown(const struct lab_view *view, const char *text)
{
	_cleanup_free_ char *paragraph = malloc(strlen(text) + 2);
	size_t mark = 0;

	if (!paragraph)
		return;
	*paragraph = '\0';
	for (const char *p = text; *p;) {
		const size_t len = strcspn(p, "\n");
		_cleanup_free_ char *line = strndup(p, len);

		p += len + (p[len] == '\n');
		if (!line)
			return;
		const bool blank = line[strspn(line, " \t")] == '\0';
		const size_t item = item_mark(line);

		if (blank || item || (stands_alone(line) && !(mark && *line == ' '))) {
			flush_paragraph(view, paragraph, mark);
			mark = 0;
		}
		if (blank) {
			fputc('\n', view->out);
		} else if (stands_alone(line) && !mark && !item) {
			print_line_as_is(view, line);
		} else {
			mark = item ? item : mark;
			sprintf(paragraph + strlen(paragraph), "%s%s", *paragraph ? " " : "",
				item ? line : line + strspn(line, " \t"));
		}
	}
	flush_paragraph(view, paragraph, mark);
}

/* ---- what programs print ---- */

static char *take_line(const char **text)
{
	const size_t len = strcspn(*text, "\n");
	_cleanup_free_ char *raw = strndup(*text, len);
	char *escaped = malloc(len * 4 + 9);

	*text += len + ((*text)[len] == '\n');
	if (raw && escaped) {
		for (char *c = raw; *c; c++)
			if (*c == '\t' || (*c == '\r' && !c[1]))
				*c = ' ';
		escape_text(raw, escaped, len * 4 + 9);
	} else if (escaped) {
		*escaped = '\0';
	}
	return escaped;
}

void lab_print_output(const struct lab_view *view, const char *prefix, const char *text)
{
	while (text && *text) {
		_cleanup_free_ char *line = take_line(&text);

		fprintf(view->out, "%s%s\n", prefix, line ? line : "");
	}
}

/* As much of `text` as the columns hold, filled up with blanks. */
static void put_cell(FILE *out, const char *text, unsigned columns)
{
	unsigned n = 0;

	for (const char *p = text; *p; p++) {
		if (((unsigned char)*p & 0xc0) != 0x80 && n++ == columns)
			break;
		fputc(*p, out);
	}
	while (n < columns) {
		fputc(' ', out);
		n++;
	}
}

static bool fits(const char *text, unsigned columns)
{
	while (*text) {
		const size_t len = strcspn(text, "\n");

		if (len > columns)
			return false;
		text += len + (text[len] == '\n');
	}
	return true;
}

static void print_below(const struct lab_view *view, const char *right_name, const char *left, const char *right)
{
	const int width = (int)(strlen(right_name) > 4 ? strlen(right_name) : 4);
	char prefix[80];

	if (streq(left, right)) {
		lab_print_output(view, "  both: ", *left ? left : "(nothing)");
		return;
	}
	snprintf(prefix, sizeof(prefix), "  %-*s: ", width, "host");
	lab_print_output(view, prefix, *left ? left : "(nothing)");
	snprintf(prefix, sizeof(prefix), "  %-*s: ", width, right_name);
	lab_print_output(view, prefix, *right ? right : "(nothing)");
	fputs("  They differ.\n", view->out);
}

void lab_print_both(const struct lab_view *view, const char *right_name, const char *left, const char *right)
{
	const unsigned half = view->width > 20 ? (view->width - 7) / 2 : 6;

	left = left ? left : "";
	right = right ? right : "";
	if (!view->columns || view->width < 60 || !fits(left, half) || !fits(right, half)) {
		print_below(view, right_name, left, right);
		return;
	}
	fputs("  ", view->out);
	put_cell(view->out, "host", half);
	fprintf(view->out, "     %s\n", right_name);
	while (*left || *right) {
		_cleanup_free_ char *a = take_line(&left), *b = take_line(&right);
		const bool same = a && b && streq(a, b);

		fputs("  ", view->out);
		put_cell(view->out, a ? a : "", half);
		fprintf(view->out, "  %s  %s\n", same ? "=" : "!", b ? b : "");
	}
}
