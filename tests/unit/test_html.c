/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever stands in a text, a browser sees text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <nsrun/lab/html.h>

#include <stdlib.h>
#include <string.h>

typedef void writer(FILE *out, const char *text);

static void assert_written(writer *write, const char *text, const char *wanted)
{
	char *found = NULL;
	size_t size;
	FILE *out = open_memstream(&found, &size);

	assert_non_null(out);
	write(out, text);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(found, wanted);
	assert_int_equal(size, strlen(wanted));
	free(found);
}

static void markup(void **state)
{
	(void)state;
	assert_written(html_text, "", "");
	assert_written(html_text, "plain, 1 = 1; /a-b_c.d", "plain, 1 = 1; /a-b_c.d");
	assert_written(html_text, "<script>&amp;\"'", "&#60;script&#62;&#38;amp;&#34;&#39;");
	assert_written(html_text, "]]>-->", "]]&#62;--&#62;");
	assert_written(html_text, "a\nb", "a\nb");
}

/* All that is neither markup nor to be shown by number goes through as it is. */
static void characters(void **state)
{
	(void)state;
	assert_written(html_text, "\u00e9\u0416\u6f22\U0001f600", "\u00e9\u0416\u6f22\U0001f600");
	assert_written(html_text, "\x01\x1b[31m\t\r\x7f", "\\u{1}\\u{1b}[31m\\u{9}\\u{d}\\u{7f}");
	/* C1, soft hyphen, zero width, turns of direction, byte order mark, no character. */
	assert_written(html_text, "\xc2\x85\u00ad\u200b\u202e\u2066\ufeff\uffff",
		       "\\u{85}\\u{ad}\\u{200b}\\u{202e}\\u{2066}\\u{feff}\\u{ffff}");
}

/* What is no UTF-8 neither hides the markup behind it nor reads beyond the end. */
static void no_utf8(void **state)
{
	(void)state;
	assert_written(html_text, "\xff<", "\ufffd&#60;");
	assert_written(html_text, "\xe2<b", "\ufffd&#60;b");
	assert_written(html_text, "\xe2\x80<", "\ufffd&#60;");
	assert_written(html_text, "\xf0\x9f\x98", "\ufffd");
	assert_written(html_text, "\x80\xbf", "\ufffd\ufffd");
	/* `<` in more bytes than it takes: RFC 3629 forbids that. */
	assert_written(html_text, "\xc0\xbc", "\ufffd");
	assert_written(html_text, "\xe0\x80\xbc", "\ufffd");
	assert_written(html_text, "\xf0\x80\x80\xbc", "\ufffd");
	/* A half of a pair, and beyond the last one. */
	assert_written(html_text, "\xed\xa0\x80", "\\u{d800}");
	assert_written(html_text, "\xf7\xbf\xbf\xbf", "\\u{1fffff}");
}

static void cut(const char *text, unsigned columns, const char *wanted, bool was_cut)
{
	char *found = NULL;
	size_t size;
	FILE *out = open_memstream(&found, &size);

	assert_non_null(out);
	assert_int_equal(html_text_cut(out, text, columns), was_cut);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(found, wanted);
	free(found);
}

static void columns(void **state)
{
	(void)state;
	assert_int_equal(html_columns("abc"), 3);
	assert_int_equal(html_columns("\u6f22\u5b57"), 4);
	assert_int_equal(html_columns("\u202e"), strlen("\\u{202e}"));
	cut("abcdef", 6, "abcdef", false);
	cut("abcdef", 5, "abcd\u2026", true);
	cut("abcdef", 1, "\u2026", true);
	cut("abcdef", 0, "", true);
	cut("", 0, "", false);
	cut("<<<<", 3, "&#60;&#60;\u2026", true);
	cut("\u6f22\u5b57\u6f22", 4, "\u6f22\u2026", true);
}

static void prose(void **state)
{
	(void)state;
	assert_written(html_prose, "", "");
	assert_written(html_prose, "one\ntwo", "<p>one\ntwo</p>\n");
	assert_written(html_prose, "one\n\n\ntwo", "<p>one</p>\n<p>two</p>\n");
	assert_written(html_prose, "say `a<b` now", "<p>say <code>a&#60;b</code> now</p>\n");
	/* A backquote without another one, one that a paragraph ends within. */
	assert_written(html_prose, "it`s", "<p>it`s</p>\n");
	assert_written(html_prose, "a `b\n\nc` d", "<p>a <code>b</code></p>\n<p>c` d</p>\n");
	assert_written(html_prose, "<b>", "<p>&#60;b&#62;</p>\n");
}

static void emphasis(void **state)
{
	(void)state;
	assert_written(html_prose, "a *namespace* of **its own**", "<p>a <em>namespace</em> of <em>its own</em></p>\n");
	assert_written(html_prose, "2 * 3 * 4, *.c and `*a*`", "<p>2 * 3 * 4, *.c and <code>*a*</code></p>\n");
	assert_written(html_prose, "*<b>*", "<p><em>&#60;b&#62;</em></p>\n");
}

static void put_when(FILE *out, const char *text)
{
	html_when(out, text);
}

static void times(void **state)
{
	(void)state;
	assert_written(put_when, "2026-01-02T03:04:05.123456789Z", "2026-01-02 03:04 UTC");
	assert_written(put_when, "", "");
	assert_written(put_when, "<T", "&#60;  UTC");
}

static void numbers(void **state)
{
	json_t *object =
		json_pack("{s:i, s:i, s:I, s:s, s:f}", "a", 7, "b", -1, "c", (json_int_t)INT64_MAX, "d", "9", "e", 1.5);

	(void)state;
	assert_non_null(object);
	assert_int_equal(number_in(object, "a"), 7);
	assert_int_equal(number_in(object, "b"), 0);
	assert_int_equal(number_in(object, "c"), INT64_C(1) << 53);
	assert_int_equal(number_in(object, "d"), 0);
	assert_int_equal(number_in(object, "e"), 0);
	assert_int_equal(number_in(object, "none"), 0);
	assert_int_equal(number_in(NULL, "a"), 0);
	assert_string_equal(text_in(object, "d"), "9");
	assert_string_equal(text_in(object, "a"), "");
	assert_string_equal(text_in(NULL, "a"), "");
	json_decref(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(markup),  cmocka_unit_test(characters), cmocka_unit_test(no_utf8),
		cmocka_unit_test(columns), cmocka_unit_test(prose),	 cmocka_unit_test(emphasis),
		cmocka_unit_test(times),   cmocka_unit_test(numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
