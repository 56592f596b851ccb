/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSRUN_BASE_STRINGS_H
#define NSRUN_BASE_STRINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool streq(const char *a, const char *b)
{
	return __builtin_strcmp(a, b) == 0;
}

/* The rest of `s` after `prefix`, or NULL. */
const char *str_after(const char *s, const char *prefix);

/* Decimal digits alone: no sign, no space, no leading '+'. Returns 0, -EINVAL or -ERANGE; *ret untouched on failure. */
int parse_u64(const char *s, uint64_t *ret);
int parse_u32(const char *s, uint32_t *ret);

/* Is `path` below `directory`, by the text of both: "/a/b" is below "/a", "/ab" and "/a" are not. */
bool path_is_below(const char *path, const char *directory);

/* Bytes with an optional suffix b k m g t (powers of 1024, either case, "512MiB" and "512MB" too). -1 is not
 * accepted. Returns 0, -EINVAL or -ERANGE. */
int parse_size(const char *s, uint64_t *ret);

/* The length of the valid UTF-8 sequence at `p`, 0 when it is none: overlong forms, surrogates, C1 controls and marks that change the order of a line
 * are none. */
size_t utf8_length(const char *p);

/* Copies `in` with control characters and bytes >= 0x80 that are not valid UTF-8 written as \xNN. Always terminates. */
void escape_text(const char *in, char *out, size_t size);

/* The entry of `known` (NULL-terminated) nearest to `word` by edit distance, NULL when none is near (more than a
 * third of its letters differ). */
const char *nearest_word(const char *word, const char *const *known);

#endif
