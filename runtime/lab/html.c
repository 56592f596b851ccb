/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/lab/html.h>

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

/* The content policy is a second wall: were something not escaped, it would still not run, and fetch nothing. */
void html_begin(FILE *out, const char *title, const char *kind)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\" />\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n<title>",
	      out);
	html_text(out, title);
	fprintf(out, "</title>\n<style>\n%s</style>\n</head>\n<body class=\"%s\">\n<h1>", html_style, kind);
	html_text(out, title);
	fputs("</h1>\n", out);
}

void html_tile(FILE *out, const char *title, int64_t value, int64_t of)
{
	fputs("<div><dt>", out);
	html_text(out, title);
	fprintf(out, "</dt><dd>%" PRId64 " <small>of %" PRId64 "</small></dd></div>\n", value, of);
}

/* "2020-01-02 03:04 UTC" of a time of RFC 3339. */
void html_when(FILE *out, const char *time)
{
	for (size_t i = 0; i < 16 && time[i]; i++) {
		const char one[2] = { time[i] == 'T' ? ' ' : time[i], '\0' };

		html_text(out, one);
	}
	if (*time)
		fputs(" UTC", out);
}

void html_end(FILE *out)
{
	fputs("</body>\n</html>\n", out);
}

/* ---- text ---- */

/* The character at *p, which goes on behind it; what is no UTF-8 is U+FFFD. */
static uint32_t next_character(const char **p)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *s = (const unsigned char *)*p;
	const unsigned length = s[0] < 0x80		? 1
				: (s[0] & 0xe0) == 0xc0 ? 2
				: (s[0] & 0xf0) == 0xe0 ? 3
				: (s[0] & 0xf8) == 0xf0 ? 4
							: 0;
	uint32_t c = length == 1 ? s[0] : length ? s[0] & (0x7f >> length) : 0xfffd;

	for (unsigned i = 1; i < length; i++) {
		if ((s[i] & 0xc0) != 0x80) {
			*p += i;
			return 0xfffd;
		}
		c = c << 6 | (s[i] & 0x3f);
	}
	*p += length ? length : 1;
	/* In more bytes than it takes it is no character: RFC 3629. */
	return length > 1 && c < least[length] ? 0xfffd : c;
}

static bool is_shown_by_number(uint32_t c)
{
	return (c < 0x20 && c != '\n') || (c >= 0x7f && c < 0xa0) || c == 0xad || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || c == 0x61c ||
	       (c >= 0xd800 && c <= 0xdfff) || (c & 0xfffe) == 0xfffe || c > 0x10ffff;
}

static unsigned columns_of(uint32_t c)
{
	if (is_shown_by_number(c))
		return (unsigned)snprintf(NULL, 0, "\\u{%x}", c);
	/* Latin, Greek and Cyrillic are of one column; of all others the widest is assumed. */
	return c < 0x530 ? 1 : 2;
}

static void put_character(FILE *out, uint32_t c)
{
	if (is_shown_by_number(c))
		fprintf(out, "\\u{%x}", c);
	else if (c == '<' || c == '>' || c == '&' || c == '"' || c == '\'')
		fprintf(out, "&#%u;", c);
	else if (c < 0x80)
		fputc((int)c, out);
	else if (c < 0x800)
		fprintf(out, "%c%c", (int)(0xc0 | c >> 6), (int)(0x80 | (c & 0x3f)));
	else if (c < 0x10000)
		fprintf(out, "%c%c%c", (int)(0xe0 | c >> 12), (int)(0x80 | (c >> 6 & 0x3f)), (int)(0x80 | (c & 0x3f)));
	else
		fprintf(out, "%c%c%c%c", (int)(0xf0 | c >> 18), (int)(0x80 | (c >> 12 & 0x3f)),
			(int)(0x80 | (c >> 6 & 0x3f)), (int)(0x80 | (c & 0x3f)));
}

void html_text(FILE *out, const char *text)
{
	while (*text)
		put_character(out, next_character(&text));
}

unsigned html_columns(const char *text)
{
	unsigned all = 0;

	while (*text)
		all += columns_of(next_character(&text));
	return all;
}

bool html_text_cut(FILE *out, const char *text, unsigned columns)
{
	unsigned done = 0;

	if (html_columns(text) <= columns) {
		html_text(out, text);
		return false;
	}
	for (const char *p = text; *p;) {
		const uint32_t c = next_character(&p);

		done += columns_of(c);
		if (done + 1 > columns)
			break;
		put_character(out, c);
	}
	if (columns)
		fputs("\u2026", out);
	return true;
}

/* The end of an emphasis that begins at `text`, *so* or **so**, in the same paragraph; NULL: it is none. */
static const char *emphasis_end(const char *text, const char *before)
{
	const size_t stars = text[1] == '*' ? 2 : 1;
	const char *end = strstr(text, "\n\n");

	if (text > before && isalnum((unsigned char)text[-1]))
		return NULL;
	if (!text[stars] || isspace((unsigned char)text[stars]) || text[stars] == '*')
		return NULL;
	for (const char *p = text + stars + 1; *p && *p != '`' && (!end || p < end); p++)
		if (strncmp(p, "**", stars) == 0 && !isspace((unsigned char)p[-1]))
			return isalnum((unsigned char)p[stars]) || p[stars] == '*' ? NULL : p;
	return NULL;
}

/* Code that is open goes to the end of its paragraph. */
static bool is_code(const char *text)
{
	return strchr(text + 1, '`') != NULL;
}

void html_prose(FILE *out, const char *text)
{
	const char *const begin = text, *emphasis = NULL;
	bool code = false, open = false;

	while (*text) {
		if (!open)
			fputs("<p>", out);
		open = true;
		if (text[0] == '\n' && text[1] == '\n') {
			fputs(code ? "</code></p>\n" : "</p>\n", out);
			code = open = false;
			text += strspn(text, "\n");
		} else if (*text == '`' && (code || is_code(text))) {
			fputs(code ? "</code>" : "<code>", out);
			code = !code;
			text++;
		} else if (emphasis && text == emphasis) {
			fputs("</em>", out);
			emphasis = NULL;
			text += text[1] == '*' ? 2 : 1;
		} else if (*text == '*' && !code && !emphasis && (emphasis = emphasis_end(text, begin))) {
			fputs("<em>", out);
			text += text[1] == '*' ? 2 : 1;
		} else {
			put_character(out, next_character(&text));
		}
	}
	if (open)
		fputs(code ? "</code></p>\n" : "</p>\n", out);
}

void html_seconds(FILE *out, json_int_t seconds)
{
	if (seconds >= 3600)
		fprintf(out, "%" JSON_INTEGER_FORMAT " h %" JSON_INTEGER_FORMAT " min", seconds / 3600,
			seconds / 60 % 60);
	else if (seconds >= 60)
		fprintf(out, "%" JSON_INTEGER_FORMAT " min", (seconds + 30) / 60);
	else
		fprintf(out, "%" JSON_INTEGER_FORMAT " s", seconds);
}

/* ---- JSON ---- */

const char *text_in(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

int64_t number_in(const json_t *object, const char *key)
{
	const json_int_t value = json_integer_value(json_object_get(object, key));

	return value < 0 ? 0 : value > INT64_C(1) << 53 ? INT64_C(1) << 53 : value;
}
