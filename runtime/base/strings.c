/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/base/strings.h>

#include <nsrun/base/cleanup.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *str_after(const char *s, const char *prefix)
{
	const size_t n = strlen(prefix);

	return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

/* The digits at the beginning of `s`; *ret_end is what follows them. */
static int parse_digits(const char *s, uint64_t *ret, const char **ret_end)
{
	uint64_t value = 0;
	const char *p = s;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return -ERANGE;
	if (p == s)
		return -EINVAL;
	*ret = value;
	*ret_end = p;
	return 0;
}

int parse_u64(const char *s, uint64_t *ret)
{
	const char *end;
	uint64_t value;
	const int r = parse_digits(s, &value, &end);

	if (r < 0)
		return r;
	if (*end)
		return -EINVAL;
	*ret = value;
	return 0;
}

int parse_u32(const char *s, uint32_t *ret)
{
	uint64_t value;
	const int r = parse_u64(s, &value);

	if (r < 0)
		return r;
	if (value > UINT32_MAX)
		return -ERANGE;
	*ret = (uint32_t)value;
	return 0;
}

int parse_size(const char *s, uint64_t *ret)
{
	const char *end;
	uint64_t value;
	unsigned shift = 0;
	const int r = parse_digits(s, &value, &end);

	if (r < 0)
		return r;
	if (*end) {
		static const char units[] = "bkmgt";
		const char *unit = strchr(units, tolower((unsigned char)*end));

		if (!unit)
			return -EINVAL;
		shift = (unsigned)(unit - units) * 10;
		end++;
		if (shift && tolower((unsigned char)*end) == 'i')
			end++;
		if (shift && tolower((unsigned char)*end) == 'b')
			end++;
		if (*end)
			return -EINVAL;
	}
	if (shift && value > UINT64_MAX >> shift)
		return -ERANGE;
	*ret = value << shift;
	return 0;
}

size_t utf8_length(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	uint32_t code;
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2, code = p[0] & 0x1fU;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		n = 3, code = p[0] & 0x0fU;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4, code = p[0] & 0x07U;
	else
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3fU);
	}
	if ((n == 3 && code < 0x800) || (n == 4 && (code < 0x10000 || code > 0x10ffff)))
		return 0;
	if ((code >= 0x80 && code < 0xa0) || (code >= 0xd800 && code < 0xe000))
		return 0;
	/* Embeddings, overrides and isolates (Unicode UAX 9) make a terminal show the rest of the line in another order. */
	if ((code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069))
		return 0;
	return n;
}

void escape_text(const char *in, char *out, size_t size)
{
	const unsigned char *p = (const unsigned char *)in;
	size_t used = 0;

	while (*p) {
		size_t n = utf8_length((const char *)p);

		if (n == 0 || (n == 1 && (*p < 0x20 || *p == 0x7f))) {
			if (used + 5 > size)
				break;
			snprintf(out + used, 5, "\\x%02x", *p);
			used += 4;
			p++;
			continue;
		}
		if (used + n + 1 > size)
			break;
		memcpy(out + used, p, n);
		used += n;
		p += n;
	}
	if (size)
		out[used] = '\0';
}

/* Letters added, left out, replaced, and neighbours exchanged (optimal string alignment). */
static size_t edit_distance(const char *a, const char *b)
{
	size_t rows[3][64];
	size_t *before = rows[0], *last = rows[1], *row = rows[2];
	const size_t n = strlen(b);

	if (n + 1 > ARRAY_LEN(rows[0]))
		return SIZE_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t *const oldest = before;

		before = last;
		last = row;
		row = oldest;
		row[0] = i + 1;
		for (size_t j = 0; j < n; j++) {
			size_t least = last[j] + (a[i] != b[j]);

			least = last[j + 1] + 1 < least ? last[j + 1] + 1 : least;
			least = row[j] + 1 < least ? row[j] + 1 : least;
			if (i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] && before[j - 1] + 1 < least)
				least = before[j - 1] + 1;
			row[j + 1] = least;
		}
	}
	return row[n];
}

const char *nearest_word(const char *word, const char *const *known)
{
	const char *best = NULL;
	size_t best_distance = strlen(word) / 3 + 1;

	if (strlen(word) > 256)
		return NULL;
	for (; *known; known++) {
		const size_t distance = edit_distance(word, *known);

		if (distance < best_distance) {
			best = *known;
			best_distance = distance;
		}
	}
	return best;
}

bool path_is_below(const char *path, const char *directory)
{
	const char *rest = str_after(path, directory);

	return rest && *rest == '/';
}
