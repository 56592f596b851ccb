/* SPDX-License-Identifier: Apache-2.0 */
/* Layers of options: what is forbidden, what counts, and who said it. */
#include <nsrun/cli/site.h>

#include <nsrun/base/strings.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

void site_done(struct site *site)
{
	arena_free(site->arena);
	*site = (struct site){ 0 };
}

/* All values of all layers, in the order of layers. */
struct layers {
	struct option_said *said;
	size_t n;
	size_t begins[SITE_FILES_MAX + 2]; /* of each layer; the last is the end of all */
	size_t count;
};

static void *field_of(void *into, const struct option_row *row)
{
	return (char *)into + row->offset;
}

static void say(struct option_said *out, size_t *n, const struct option_row *row, const char *value)
{
	if (out)
		out[*n] = (struct option_said){ .row = row, .value = value };
	(*n)++;
}

size_t site_collect(const struct option_table *table, void *into, struct option_said *out)
{
	size_t n = 0;

	for (size_t i = 0; i < table->count; i++) {
		const struct option_row *row = &table->rows[i];
		void *field = field_of(into, row);

		if (row->status != OPTION_BUILT)
			continue;
		if (row->kind == OPTION_LIST) {
			for (const char *const *list = *(const char *const **)field; list && *list; list++)
				say(out, &n, row, *list);
		} else if (!option_is_switch(row)) {
			if (*(const char **)field)
				say(out, &n, row, *(const char **)field);
		} else if (*(enum tristate *)field != UNSET) {
			say(out, &n, row, *(enum tristate *)field == YES ? "true" : "false");
		}
	}
	return n;
}

static int collect_layers(struct site *site, const struct option_table *table, void *into, struct layers *ret,
			  struct err *err)
{
	const size_t on_line = site_collect(table, into, NULL);
	size_t n = on_line;

	for (size_t i = 0; i < site->n_files; i++)
		n += site->files[i].n_defaults;
	if (!site->arena)
		site->arena = arena_new();
	ret->said = site->arena ? arena_array(site->arena, n + 1, sizeof(*ret->said)) : NULL;
	if (!ret->said)
		return err_oom(err);
	for (size_t i = 0; i < site->n_files; i++) {
		const struct site_file *file = &site->files[i];

		ret->begins[ret->count++] = ret->n;
		if (file->n_defaults)
			memcpy(ret->said + ret->n, file->defaults, file->n_defaults * sizeof(*ret->said));
		ret->n += file->n_defaults;
	}
	ret->begins[ret->count++] = ret->n;
	site_collect(table, into, ret->said + ret->n);
	ret->n += on_line;
	ret->begins[ret->count] = ret->n;
	return 0;
}

int site_refuse(const struct site_file *file, const struct site_forbid *forbid, const struct option_said *said,
		const char *rootfs, struct err *err)
{
	char where[160] = "";

	if (rootfs)
		return err_refused(err, ERR_ID_FORBIDDEN_BY_SITE, "ROOTFS %s: %s:%zu forbids %s", rootfs, file->path,
				   forbid->line, forbid->text);
	if (said->file)
		snprintf(where, sizeof(where), " (%s:%zu)", said->file, said->line);
	if (option_is_switch(said->row))
		return err_refused(err, ERR_ID_FORBIDDEN_BY_SITE, "--%s%s%s: %s:%zu forbids %s", said->row->name,
				   streq(said->value, "true") ? "" : "=false", where, file->path, forbid->line,
				   forbid->text);
	return err_refused(err, ERR_ID_FORBIDDEN_BY_SITE, "--%s %s%s: %s:%zu forbids %s", said->row->name, said->value,
			   where, file->path, forbid->line, forbid->text);
}

static int check_forbidden(const struct site *site, const struct layers *layers, const char *rootfs, struct err *err)
{
	for (size_t i = 0; i < site->n_files; i++)
		for (size_t f = 0; f < site->files[i].n_forbid; f++) {
			const struct site_forbid *forbid = &site->files[i].forbid[f];

			if (rootfs && site_forbids_rootfs(forbid, rootfs))
				return site_refuse(&site->files[i], forbid, NULL, rootfs, err);
			for (size_t n = layers->begins[i + 1]; n < layers->n; n++)
				if (site_forbids(forbid, &layers->said[n]))
					return site_refuse(&site->files[i], forbid, &layers->said[n], NULL, err);
		}
	return 0;
}

/* "seccomp" of "seccomp=docker", when entries of this list have names: its argument begins with a word and "=", or "[=". */
static size_t entry_name(const struct option_row *row, const char *value)
{
	size_t n = 0;

	while (row->argument && isupper((unsigned char)row->argument[n]))
		n++;
	if (!n || (row->argument[n] != '=' && strncmp(row->argument + n, "[=", 2) != 0))
		return 0;
	return strcspn(value, "=:");
}

static bool same_entry(const struct option_row *row, const char *a, const char *b)
{
	const size_t n = entry_name(row, a);

	return n && n == entry_name(row, b) && memcmp(a, b, n) == 0;
}

/* Ways to say which ids: one choice. */
static bool chooses_ids(const struct option_row *row)
{
	static const char *const names[] = { "userns-remap", "userns", "uid-map", "gid-map" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (streq(row->name, names[i]))
			return true;
	return false;
}

static bool is_replaced(const struct layers *layers, size_t layer, const struct option_said *said)
{
	for (size_t i = layers->begins[layer + 1]; i < layers->n; i++) {
		const struct option_said *later = &layers->said[i];

		if (chooses_ids(said->row) && chooses_ids(later->row))
			return true;
		if (later->row == said->row &&
		    (said->row->kind != OPTION_LIST || same_entry(said->row, said->value, later->value)))
			return true;
	}
	return false;
}

/* A list that a file has a part in is made anew; what the command line alone says stays as it is. */
static int put_into(const struct option_row *row, const struct option_said *said, size_t n, void *into, struct err *err)
{
	void *field = field_of(into, row);

	if (option_is_switch(row)) {
		*(enum tristate *)field = streq(said->value, "true") ? YES : NO;
	} else if (row->kind == OPTION_LIST) {
		const char **list = calloc(n + 1, sizeof(*list));

		if (!list)
			return err_oom(err);
		for (size_t i = 0; i < n; i++)
			list[i] = said[i].value;
		free(*(void **)field);
		*(const char ***)field = list;
	} else {
		*(const char **)field = said->value;
	}
	return 0;
}

static int merge(struct site *site, const struct option_table *table, const struct layers *layers, void *into,
		 struct err *err)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct option_row *row = &table->rows[i];
		struct option_said *first = site->said + site->n_said;
		bool from_file = false;

		for (size_t layer = 0; layer < layers->count; layer++)
			for (size_t n = layers->begins[layer]; n < layers->begins[layer + 1]; n++) {
				const struct option_said *said = &layers->said[n];

				if (said->row != row || is_replaced(layers, layer, said))
					continue;
				site->said[site->n_said++] = *said;
				from_file |= said->file != NULL;
			}
		if (from_file) {
			const int r = put_into(row, first, (size_t)(site->said + site->n_said - first), into, err);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

int site_apply(struct site *site, const struct option_table *table, void *into, const char *rootfs, struct err *err)
{
	struct layers layers = { 0 };
	int r = collect_layers(site, table, into, &layers, err);

	if (r < 0)
		return r;
	r = check_forbidden(site, &layers, rootfs, err);
	if (r < 0)
		return r;
	site->said = arena_array(site->arena, layers.n + 1, sizeof(*site->said));
	if (!site->said)
		return err_oom(err);
	return merge(site, table, &layers, into, err);
}

/* ---- telling ---- */

/* Does the message name the option, as a whole word? */
static bool message_names(const char *message, const char *name)
{
	char word[80];
	const char *at = message;
	const int n = snprintf(word, sizeof(word), "--%s", name);

	while ((at = strstr(at, word))) {
		at += n;
		if (*at != '-' && !isalnum((unsigned char)*at))
			return true;
	}
	return false;
}

void site_explain(const struct site *site, struct err *err)
{
	const size_t used = strlen(err->message);

	if (err->id == ERR_ID_FORBIDDEN_BY_SITE)
		return;
	for (size_t i = 0; i < site->n_said; i++) {
		const struct option_said *said = &site->said[i];

		if (!said->file || !message_names(err->message, said->row->name))
			continue;
		/* Of a list's entries the message must show the one that it is about. */
		if (said->row->kind == OPTION_LIST && !strstr(err->message, said->value))
			continue;
		snprintf(err->message + used, sizeof(err->message) - used, " (said by %s:%zu)", said->file, said->line);
		return;
	}
}

void site_print_said(const struct site *site, FILE *out)
{
	size_t index = 0;

	for (size_t i = 0; i < site->n_said; i++) {
		const struct option_said *said = &site->said[i];
		const size_t size = strlen(said->value) * 4 + 1;
		_cleanup_free_ char *value = malloc(size);

		index = i && site->said[i - 1].row == said->row ? index + 1 : 0;
		if (value)
			escape_text(said->value, value, size);
		fprintf(out, "option.%s", said->row->name);
		if (said->row->kind == OPTION_LIST)
			fprintf(out, ".%zu", index);
		fprintf(out, ": %s ", value ? value : "(no memory)");
		if (said->file)
			fprintf(out, "(%s:%zu)\n", said->file, said->line);
		else
			fputs("(command line)\n", out);
	}
}
