/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/json_whole.h>

#include <nsrun/base/cleanup.h>
#include <nsrun/base/strings.h>

#include <stdlib.h>
#include <string.h>

/* U+FDD0, which Unicode keeps for a program's own use: text does not have it. */
static const char mark[] = "\xef\xb7\x90";
#define MARK_SIZE (sizeof(mark) - 1)
#define DIGITS_MAX 20 /* of 2^64 - 1 */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* How many of `size` bytes are a literal that only an unsigned number holds; 0: something else. */
static size_t wide_literal(const char *text, size_t size)
{
	char digits[DIGITS_MAX + 1];
	uint64_t value;
	size_t n = 0;

	while (n < size && is_digit(text[n]))
		n++;
	if (n == 0 || n > DIGITS_MAX || text[0] == '0' || (n < size && strchr(".eE", text[n])))
		return 0;
	memcpy(digits, text, n);
	digits[n] = '\0';
	return parse_u64(digits, &value) == 0 && value > INT64_MAX ? n : 0;
}

/* The end of the string that begins at text[at], after its quotation mark. */
static size_t string_end(const char *text, size_t size, size_t at)
{
	for (at++; at < size && text[at] != '"'; at++)
		if (text[at] == '\\')
			at++;
	return at < size ? at + 1 : size;
}

/* A copy with such literals as marked strings. Each of them is as long as MARK_SIZE and more, so that the copy is at most twice as long. */
static char *mark_literals(const char *text, size_t size, size_t *ret_size)
{
	char *copy = malloc(2 * size + 1);
	size_t used = 0;

	for (size_t i = 0; copy && i < size;) {
		const bool begins = is_digit(text[i]) && (i == 0 || (!is_digit(text[i - 1]) && text[i - 1] != '-'));
		const size_t wide = begins ? wide_literal(text + i, size - i) : 0;
		size_t end = i + 1;

		if (wide) {
			copy[used++] = '"';
			memcpy(copy + used, mark, MARK_SIZE);
			used += MARK_SIZE;
			end = i + wide;
		} else if (text[i] == '"') {
			end = string_end(text, size, i);
		}
		memcpy(copy + used, text + i, end - i);
		used += end - i;
		if (wide)
			copy[used++] = '"';
		i = end;
	}
	*ret_size = used;
	return copy;
}

json_t *json_load_whole(const char *text, size_t size, size_t flags, json_error_t *error)
{
	json_t *value = json_loadb(text, size, flags, error);
	_cleanup_free_ char *copy = NULL;
	size_t copy_size;

	if (value || json_error_code(error) != json_error_numeric_overflow)
		return value;
	copy = mark_literals(text, size, &copy_size);
	return copy ? json_loadb(copy, copy_size, flags, error) : NULL;
}

static const char *marked_digits(const json_t *value)
{
	const char *text = json_string_value(value);

	return text && strncmp(text, mark, MARK_SIZE) == 0 ? text + MARK_SIZE : NULL;
}

bool json_is_beyond(const json_t *value)
{
	const char *digits = marked_digits(value);

	return digits && wide_literal(digits, strlen(digits)) == strlen(digits) && *digits;
}

bool json_is_u64(const json_t *value, uint64_t *ret)
{
	uint64_t number = 0;

	if (json_is_beyond(value))
		(void)parse_u64(marked_digits(value), &number);
	else if (json_is_integer(value) && json_integer_value(value) >= 0)
		number = (uint64_t)json_integer_value(value);
	else
		return false;
	if (ret)
		*ret = number;
	return true;
}
