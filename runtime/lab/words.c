/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines as chapters and learners write them. */
#include <nsrun/lab/chapter.h>

#include <nsrun/base/strings.h>

#include <string.h>

/* One word at *p, which is not blank, into `to`; *p behind it. NULL, or what is wrong. */
static const char *take_word(const char **p, char *to)
{
	const char *s = *p;
	char quote = '\0';

	for (; *s && (quote || !strchr(" \t\n", *s)); s++) {
		if (quote == '\'') {
			if (*s == '\'')
				quote = '\0';
			else
				*to++ = *s;
		} else if (*s == '\\') {
			if (!s[1])
				return "a backslash is the last character";
			/* Within double quotes it is one unless it is before what it could mean: sh(1). */
			if (quote && !strchr("\"\\$`", s[1]))
				*to++ = *s;
			*to++ = *++s;
		} else if (quote ? *s == quote : *s == '"' || *s == '\'') {
			quote = quote ? '\0' : *s;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
	*p = s;
	return quote ? "a quote is open" : NULL;
}

char **lab_split(struct arena *arena, const char *line, const char **ret_wrong)
{
	const size_t most = strlen(line) / 2 + 2;
	char **words = arena_array(arena, most, sizeof(*words));
	char *text = arena_alloc(arena, strlen(line) + most + 1);
	size_t n = 0;

	if (!words || !text) {
		*ret_wrong = "memory is exhausted";
		return NULL;
	}
	for (const char *p = line;;) {
		p += strspn(p, " \t\n");
		if (!*p)
			return words;
		words[n++] = text;
		*ret_wrong = take_word(&p, text);
		if (*ret_wrong)
			return NULL;
		text += strlen(text) + 1;
	}
}

bool lab_is_create(char *const *words)
{
	return words[0] && words[1] && streq(words[1], "create");
}

bool lab_is_of_bundle(char *const *words)
{
	return lab_is_create(words) || (words[0] && words[1] && streq(words[1], "run"));
}

const char *lab_name_of(char *const *words)
{
	const char *name = NULL;
	size_t n = 0;

	for (; words[n]; n++) {
		const char *value = str_after(words[n], "--name=");

		if (value)
			name = name ? name : value;
		else if (!name && streq(words[n], "--name") && words[n + 1])
			name = words[n + 1];
	}
	if (!name && n > 2 && lab_is_of_bundle(words))
		name = words[n - 1];
	return name;
}
