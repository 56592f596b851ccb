/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/json_put.h>

#include <jansson.h>
#include <string.h>

/* JSON text must be UTF-8 (RFC 8259, 8.1) and an argument need not be: the bytes of one that is not are written as U+0080 to U+00FF. */
void json_put_string(FILE *f, const char *s)
{
	bool utf8 = true;

	for (const char *p = s; *p; p++) {
		if (*p & 0x80) {
			json_t *test = json_string(s);

			utf8 = test != NULL;
			json_decref(test);
			break;
		}
	}
	fputc('"', f);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8))
			fprintf(f, "\\u%04x", c);
		else if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else
			fputc(c, f);
	}
	fputc('"', f);
}

void json_put_optional(FILE *f, const char *name, const char *s)
{
	fprintf(f, ",\n \"%s\": ", name);
	if (s)
		json_put_string(f, s);
	else
		fputs("null", f);
}

void json_put_map(FILE *f, const char *name, const struct idmap *map)
{
	fprintf(f, ",\n \"%s\": [", name);
	for (size_t i = 0; i < map->n; i++)
		fprintf(f, "%s[%u, %u, %u]", i ? ", " : "", map->extents[i].inside, map->extents[i].outside,
			map->extents[i].count);
	fputc(']', f);
}

void json_put_strv(FILE *f, const char *const *v, size_t room)
{
	fputc('[', f);
	for (size_t i = 0; v && v[i]; i++) {
		size_t len = strlen(v[i]);

		if (i)
			fputs(", ", f);
		json_put_string(f, len < room ? v[i] : "...");
		if (len >= room)
			break;
		room -= len;
	}
	fputc(']', f);
}
