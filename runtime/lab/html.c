/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/lab/html.h>

#include <inttypes.h>
#include <string.h>

/* Colours are never alone in saying something. The content policy is a second wall: were something not escaped, it would still not run. */
static const char style[] =
	":root{color-scheme:light dark;--ink:#1c2430;--dim:#5a6675;--page:#fff;--card:#f5f7fa;--line:#c4ccd6;--good:#0b6b3a;"
	"--bad:#a3231f;--host:#e3e8ef;--box:#cfe3fb;--both:#f6e3b5;--runtime:#4a6fa5;--init:#2f8a6b;--workload:#b0662a;"
	"--band:#4a86d0}\n"
	"@media (prefers-color-scheme:dark){:root{--ink:#e4e9f0;--dim:#9aa7b8;--page:#12161c;--card:#1b212a;--line:#3b4654;"
	"--good:#5fd19a;--bad:#ff8f86;--host:#2a323d;--box:#1d3c60;--both:#574517;--runtime:#7fa6de;--init:#55b894;"
	"--workload:#dc9455;--band:#4a86d0}}\n"
	"@media print{:root{color-scheme:light;--ink:#000;--dim:#444;--page:#fff;--card:#fff;--line:#999;--good:#0b6b3a;"
	"--bad:#a3231f;--host:#e3e8ef;--box:#cfe3fb;--both:#f6e3b5;--runtime:#4a6fa5;--init:#2f8a6b;--workload:#b0662a;"
	"--band:#4a86d0}figure,tr{break-inside:avoid}h2,h3{break-after:avoid}details>*{display:block}}\n"
	"body{margin:0 auto;max-width:62rem;padding:1rem;font:16px/1.5 system-ui,sans-serif;color:var(--ink);"
	"background:var(--page)}\n"
	"h1,h2,h3{line-height:1.25;overflow-wrap:anywhere}h2{margin-top:2.5rem;border-bottom:1px solid var(--line)}\n"
	"code,pre{font-family:ui-monospace,monospace;font-size:.92em;overflow-wrap:anywhere}pre{white-space:pre-wrap}\n"
	".dim{color:var(--dim)}.good{color:var(--good);font-weight:600}.bad{color:var(--bad);font-weight:600}\n"
	".wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.94em}\n"
	"th,td{border:1px solid var(--line);padding:.35rem .55rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}\n"
	"th{background:var(--card)}td p{margin:0 0 .4rem}.num{text-align:right;white-space:nowrap}\n"
	"figure{margin:1.5rem 0}figcaption{font-size:.9em;color:var(--dim)}.figure-title{font-weight:600;color:var(--ink)}\n"
	"svg{display:block;width:100%;min-width:44rem;height:auto;background:var(--card);border:1px solid var(--line);"
	"border-radius:6px}@media print{svg{min-width:0}}\n"
	"svg text{font:12px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:var(--ink)}\n"
	"svg .dim{fill:var(--dim)}svg .strong{font-weight:600}\n"
	"svg line,svg .none{fill:none}svg .area{stroke:var(--line);fill:none}svg .area{stroke-width:1.5}svg .unknown{stroke-dasharray:5 4}\n"
	"svg .host{fill:var(--host)}svg .box{fill:var(--box)}svg .both{fill:var(--both)}\n"
	"svg .host,svg .box,svg .both{stroke:var(--line)}\n"
	"svg .band{fill:var(--band);fill-opacity:.35;stroke:var(--band)}svg line.wire{stroke:var(--band);stroke-width:3}\n"
	"svg .runtime{fill:var(--runtime)}svg .init{fill:var(--init)}svg .workload{fill:var(--workload)}\n"
	"svg .stripe{fill:var(--page);fill-opacity:.45}svg .failed{fill:var(--bad)}svg .open{fill-opacity:.4}\n"
	"svg .cut{stroke-dasharray:3 3;stroke:var(--dim)}\n";

void html_begin(FILE *out, const char *title)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\" />\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n<title>",
	      out);
	html_text(out, title);
	/* `>` of a selector is text in XML, too; there is no `<` or `&`. */
	fprintf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<h1>", style);
	html_text(out, title);
	fputs("</h1>\n", out);
}

void html_end(FILE *out)
{
	fputs("</body>\n</html>\n", out);
}

/* ---- text ---- */

/* The character at *p, which goes on behind it; what is no UTF-8 is U+FFFD. */
static uint32_t next_character(const char **p)
{
	const unsigned char *s = (const unsigned char *)*p;
	const unsigned length = s[0] < 0x80	      ? 1 :
				(s[0] & 0xe0) == 0xc0 ? 2 :
				(s[0] & 0xf0) == 0xe0 ? 3 :
				(s[0] & 0xf8) == 0xf0 ? 4 :
							0;
	uint32_t c = length == 1 ? s[0] : length ? s[0] & (0x7f >> length) : 0xfffd;

	for (unsigned i = 1; i < length; i++) {
		if ((s[i] & 0xc0) != 0x80) {
			*p += i;
			return 0xfffd;
		}
		c = c << 6 | (s[i] & 0x3f);
	}
	*p += length ? length : 1;
	return c;
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

bool html_text_cut(FILE *out, const char *text, unsigned columns)
{
	unsigned all = 0, done = 0;

	for (const char *p = text; *p && all <= columns;)
		all += columns_of(next_character(&p));
	if (all <= columns) {
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

void html_prose(FILE *out, const char *text)
{
	bool code = false, open = false;

	while (*text) {
		if (!open)
			fputs("<p>", out);
		open = true;
		if (text[0] == '\n' && text[1] == '\n') {
			fputs(code ? "</code></p>\n" : "</p>\n", out);
			code = open = false;
			text += strspn(text, "\n");
			continue;
		}
		if (*text == '`' && (code || strchr(text + 1, '`'))) {
			fputs(code ? "</code>" : "<code>", out);
			code = !code;
			text++;
			continue;
		}
		put_character(out, next_character(&text));
	}
	if (open)
		fputs(code ? "</code></p>\n" : "</p>\n", out);
}

void html_seconds(FILE *out, json_int_t seconds)
{
	if (seconds >= 60)
		fprintf(out, "%" JSON_INTEGER_FORMAT " min ", seconds / 60);
	fprintf(out, "%" JSON_INTEGER_FORMAT " s", seconds % 60);
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
