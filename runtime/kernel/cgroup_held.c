/* SPDX-License-Identifier: Apache-2.0 */
/* Does the kernel hold what was written? It rounds, sorts and completes: each file has its own way to say "yes". */
#include <nsrun/kernel/cgroup_resources.h>

#include <nsrun/base/strings.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIST_BITS 8192		       /* NR_CPUS of the largest kernels that distributions build */
#define NO_LIMIT_FROM (UINT64_MAX / 4) /* v1 shows "none" as the largest number of pages that fits a long */

#define BLANKS " \t\v\f\r" /* what separates words for the kernel's parsers */

/* The next word of a line, NULL at its end; *length is that of the word. */
static const char *next_word(const char **rest, size_t *length)
{
	const char *word = *rest + strspn(*rest, BLANKS);

	*length = strcspn(word, BLANKS "\n");
	*rest = word + *length;
	return *length ? word : NULL;
}

static bool is_none(const char *text)
{
	return streq(text, "max") || streq(text, "-1");
}

static bool same_number(const char *wanted, const char *got, uint64_t unit)
{
	uint64_t a, b;

	if (is_none(wanted))
		return is_none(got) || (parse_u64(got, &b) == 0 && b > NO_LIMIT_FROM);
	if (parse_size(wanted, &a) < 0 || parse_u64(got, &b) < 0)
		return false;
	return b == a - a % unit;
}

/* bitmap_parselist() of the kernel: "0-3,8", and "0-7:1/2", one of each two. */
static bool parse_list(const char *text, uint64_t bits[LIST_BITS / 64])
{
	memset(bits, 0, LIST_BITS / 8);
	for (const char *p = text; *p;) {
		unsigned first, last, used = 1, group = 1;
		char *end;

		first = last = (unsigned)strtoul(p, &end, 10);
		if (end == p)
			return false;
		if (*end == '-') {
			p = end + 1;
			last = (unsigned)strtoul(p, &end, 10);
			if (end == p)
				return false;
		}
		if (*end == ':') {
			p = end + 1;
			used = (unsigned)strtoul(p, &end, 10);
			if (end == p || *end != '/')
				return false;
			p = end + 1;
			group = (unsigned)strtoul(p, &end, 10);
			if (end == p || !group)
				return false;
		}
		if (last >= LIST_BITS || first > last || (*end && *end != ','))
			return false;
		for (unsigned i = first; i <= last; i++)
			if ((i - first) % group < used)
				bits[i / 64] |= 1ULL << i % 64;
		p = end + (*end == ',');
	}
	return true;
}

static bool same_list(const char *wanted, const char *got)
{
	uint64_t a[LIST_BITS / 64], b[LIST_BITS / 64];

	return streq(wanted, got) || (parse_list(wanted, a) && parse_list(got, b) && memcmp(a, b, sizeof(a)) == 0);
}

static bool within_list(const char *wanted, const char *got)
{
	uint64_t a[LIST_BITS / 64], b[LIST_BITS / 64];
	bool any = false;

	if (!parse_list(wanted, a) || !parse_list(got, b))
		return false;
	for (size_t i = 0; i < LIST_BITS / 64; i++) {
		any |= b[i] != 0;
		if (b[i] & ~a[i])
			return false;
	}
	return any;
}

static bool line_has(const char *line, const char *word, size_t length)
{
	const char *w;
	size_t n;

	while ((w = next_word(&line, &n)))
		if (n == length && memcmp(w, word, n) == 0)
			return true;
	return false;
}

/* "8:0 rbps=max", "8:0 0": where all is taken away there is no line. */
static bool says_none(const char *words)
{
	const char *w;
	size_t n;

	while ((w = next_word(&words, &n)))
		if (!(n >= 4 && memcmp(w + n - 4, "=max", 4) == 0) && !(n == 1 && *w == '0'))
			return false;
	return true;
}

static bool same_line(const char *wanted, const char *text)
{
	const char *values = wanted, *w;
	size_t key_length, n;
	const char *key = next_word(&values, &key_length);

	for (const char *line = text; key && *line; line += strcspn(line, "\n"), line += *line == '\n') {
		const char *rest = line, *first = next_word(&rest, &n);

		if (!first || n != key_length || memcmp(first, key, n) != 0)
			continue;
		for (const char *v = values; (w = next_word(&v, &n));)
			if (!line_has(rest, w, n))
				return false;
		return true;
	}
	return key && says_none(values);
}

static bool words_come_first(const char *wanted, const char *text)
{
	const char *a, *b;
	size_t m, n;

	while ((a = next_word(&wanted, &m))) {
		b = next_word(&text, &n);
		if (!b || m != n || memcmp(a, b, n) != 0)
			return false;
	}
	return true;
}

/* A file that nsrun does not know: what was written may be any of these. "50" of a percentage is shown as "50.00". */
static bool same_of_any(const char *wanted, const char *text, const char *first_line)
{
	const size_t n = strlen(wanted);
	const bool several = strchr(wanted, ' ');

	if (several)
		return words_come_first(wanted, text) || same_line(wanted, text);
	/* "root invalid (...)" of cpuset.cpus.partition is a refusal, "50000 100000" of cpu.max is none. */
	const bool number = is_none(wanted) || (*wanted >= '0' && *wanted <= '9');

	return streq(wanted, first_line) || same_number(wanted, first_line, 1) ||
	       (!streq(first_line, "0") && same_number(wanted, first_line, (uint64_t)sysconf(_SC_PAGESIZE))) ||
	       (number && words_come_first(wanted, text)) || same_list(wanted, first_line) ||
	       (strncmp(first_line, wanted, n) == 0 && first_line[n] == '.' &&
		!first_line[n + 1 + strspn(first_line + n + 1, "0")]) ||
	       (str_after(first_line, "default ") && streq(str_after(first_line, "default "), wanted));
}

bool cgroup_setting_held(const struct cgroup_setting *setting, char *text)
{
	const char *line = text, *word;
	size_t n;

	if (setting->check == CGROUP_CHECK_KEYED)
		return same_line(setting->value, text);
	if (setting->check == CGROUP_CHECK_WORDS)
		return words_come_first(setting->value, text);
	if (setting->check == CGROUP_CHECK_SECOND) {
		(void)next_word(&line, &n);
		word = next_word(&line, &n);
		return word && n == strlen(setting->value) && memcmp(word, setting->value, n) == 0;
	}
	if (setting->check == CGROUP_CHECK_ANY) {
		char first[256];

		snprintf(first, sizeof(first), "%.*s", (int)strcspn(text, "\n"), text);
		return same_of_any(setting->value, text, first);
	}
	text[strcspn(text, "\n")] = '\0';
	if (setting->check == CGROUP_CHECK_WITHIN)
		return within_list(setting->value, text);
	return setting->check == CGROUP_CHECK_LIST ? same_list(setting->value, text)
						   : same_number(setting->value, text, setting->unit);
}

/* ---- is it set once more? ---- */

/* "8:0" and "08:0" are one disk. */
static bool same_key(const char *a, size_t n_a, const char *b, size_t n_b)
{
	unsigned major[2], minor[2];

	if (sscanf(a, "%u:%u", &major[0], &minor[0]) == 2 && sscanf(b, "%u:%u", &major[1], &minor[1]) == 2)
		return major[0] == major[1] && minor[0] == minor[1];
	return n_a == n_b && memcmp(a, b, n_a) == 0;
}

/* "rbps=1" and "wbps=1" go together, "rbps=1" and "rbps=2" do not; a weight is a number without a name. */
static bool same_name(const char *a, const char *b)
{
	const size_t n_a = strcspn(a, "=" BLANKS "\n"), n_b = strcspn(b, "=" BLANKS "\n");

	if (a[n_a] != '=' || b[n_b] != '=')
		return a[n_a] != '=' && b[n_b] != '=';
	return n_a == n_b && memcmp(a, b, n_a) == 0;
}

static bool line_overrides(const struct cgroup_setting *setting, const char *line)
{
	const char *rest = line, *own_rest = setting->value, *word, *own;
	size_t n, n_own;

	if (setting->check != CGROUP_CHECK_KEYED) {
		n = strcspn(line, "\n");
		return strlen(setting->value) != n || memcmp(setting->value, line, n) != 0;
	}
	const char *key = next_word(&rest, &n), *own_key = next_word(&own_rest, &n_own), *words = rest;

	if (!key || !next_word(&rest, &(size_t){ 0 }))
		return true; /* "50" to io.weight is "default 50" */
	if (!own_key || !same_key(key, n, own_key, n_own))
		return false;
	for (rest = words; (word = next_word(&rest, &n));)
		for (const char *own_words = own_rest; (own = next_word(&own_words, &n_own));)
			if (same_name(word, own) && (n != n_own || memcmp(word, own, n) != 0))
				return true;
	return false;
}

bool cgroup_setting_overridden(const struct cgroup_setting *setting, const char *lines)
{
	for (const char *line = lines; line && *line; line += strcspn(line, "\n"), line += *line == '\n')
		if (line_overrides(setting, line))
			return true;
	return false;
}
