/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/options.h>

#include <nsrun/base/strings.h>

#include <stdlib.h>
#include <string.h>

/* More rows than this would be a table that nobody can read, and the limit spares an allocation. */
#define OPTION_ROWS_MAX 128
#define SPELLING_MAX 320

struct parser {
	const struct option_table *table;
	int argc;
	char *const *argv;
	int at; /* the word that is read next */
	void *into;
	size_t counts[OPTION_ROWS_MAX]; /* entries in each list */
};

static void *field_of(void *into, const struct option_row *row)
{
	return (char *)into + row->offset;
}

static const struct option_row *row_by_name(const struct option_table *table, const char *name, size_t len)
{
	for (size_t i = 0; i < table->count; i++)
		if (strncmp(table->rows[i].name, name, len) == 0 && table->rows[i].name[len] == '\0')
			return &table->rows[i];
	return NULL;
}

const struct option_row *option_find(const struct option_table *table, const char *name)
{
	return row_by_name(table, name, strlen(name));
}

static const struct option_row *row_by_letter(const struct option_table *table, char letter)
{
	for (size_t i = 0; i < table->count; i++)
		if (table->rows[i].letter == letter)
			return &table->rows[i];
	return NULL;
}

bool option_is_switch(const struct option_row *row)
{
	return row->kind == OPTION_FLAG || row->kind == OPTION_TRISTATE;
}

/* A word of a list that ends in "=" or ":" stands for all that begin so. */
static bool word_matches(const char *word, const char *value)
{
	size_t len = strlen(word);

	if (len && (word[len - 1] == '=' || word[len - 1] == ':'))
		return strncmp(word, value, len) == 0;
	return streq(word, value);
}

static bool word_among(const char *const *words, const char *value)
{
	for (; words && *words; words++)
		if (word_matches(*words, value))
			return true;
	return false;
}

static int check_planned(const struct option_row *row, const char *spelling, struct err *err)
{
	if (row->status == OPTION_BUILT)
		return 0;
	return err_set(err, ERR_INPUT, ERR_ID_NOT_BUILT, 0, "%s: planned, not built yet: %s", spelling, row->help);
}

/* "text, json" */
static void join_words(const char *const *words, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (; *words && used < size; words++) {
		int n = snprintf(buf + used, size - used, "%s%s", used ? ", " : "", *words);

		used += n > 0 ? (size_t)n : 0;
	}
}

static int check_value(const struct option_row *row, const char *spelling, const char *value, struct err *err)
{
	char known[256];
	const char *near;

	if (value[0] == '\0')
		return err_set(err, ERR_INPUT, ERR_ID_OPTION_VALUE, 0, "%s: the value is empty", spelling);
	/* Planned first: "seccomp=strict" is a word of its own among the files that seccomp= may name. */
	if (word_among(row->planned_values, value))
		return err_set(err, ERR_INPUT, ERR_ID_NOT_BUILT, 0, "%s: '%s' is planned, not built yet", spelling,
			       value);
	if (!row->values || word_among(row->values, value))
		return 0;

	near = nearest_word(value, row->values);
	if (near)
		return err_set(err, ERR_INPUT, ERR_ID_OPTION_VALUE, 0,
			       "%s: '%s' is none of its values: did you mean '%s'?", spelling, value, near);
	join_words(row->values, known, sizeof(known));
	return err_set(err, ERR_INPUT, ERR_ID_OPTION_VALUE, 0, "%s: '%s' is none of its values: %s", spelling, value,
		       known);
}

int option_check(const struct option_row *row, const char *spelling, const char *value, struct err *err)
{
	const int r = check_planned(row, spelling, err);

	return r < 0 ? r : check_value(row, spelling, value, err);
}

enum tristate option_tristate(const char *value)
{
	static const char *const yes[] = { "true", "yes", "on", "1", NULL };
	static const char *const no[] = { "false", "no", "off", "0", NULL };

	return word_among(yes, value) ? YES : word_among(no, value) ? NO : UNSET;
}

static int set_switch(struct parser *p, const struct option_row *row, const char *spelling, const char *value,
		      struct err *err)
{
	static const char *const known[] = { "true", "false", "yes", "no", "on", "off", NULL };
	enum tristate *field = field_of(p->into, row), said = YES;
	const char *near;

	if (value && row->kind == OPTION_FLAG)
		return err_set(err, ERR_INPUT, ERR_ID_OPTION_VALUE, 0, "%s: takes no value", spelling);
	if (value)
		said = option_tristate(value);
	if (said == UNSET) {
		near = nearest_word(value, known);
		return err_set(err, ERR_INPUT, ERR_ID_OPTION_VALUE, 0, "%s=%s: the value is true or false%s%s%s",
			       spelling, value, near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
	}
	if (*field != UNSET && *field != said && !p->table->last_wins)
		return err_set(err, ERR_INPUT, ERR_ID_OPTION_REPEATED, 0, "%s: true and false are both said", spelling);
	*field = said;
	return 0;
}

static int add_to_list(struct parser *p, const struct option_row *row, const char *value, struct err *err)
{
	const char ***field = field_of(p->into, row);
	size_t *count = &p->counts[row - p->table->rows];

	/* A word carries at most one value of a list, so argc bounds the length and the vector never grows. The
	 * kernel gives pages to calloc(3) only where they are written. */
	if (!*field) {
		*field = calloc((size_t)p->argc + 1, sizeof(**field));
		if (!*field)
			return err_oom(err);
	}
	/* Options of a command may stand behind a name, too: what an earlier part of the line has said is there already. */
	if (*count == 0)
		while ((*field)[*count])
			(*count)++;
	(*field)[(*count)++] = value;
	return 0;
}

static int set_value(struct parser *p, const struct option_row *row, const char *spelling, const char *value,
		     struct err *err)
{
	const char **field = field_of(p->into, row);
	int r = check_value(row, spelling, value, err);

	if (r < 0)
		return r;
	if (row->kind == OPTION_LIST)
		return add_to_list(p, row, value, err);
	if (*field && !streq(*field, value) && !p->table->last_wins)
		return err_set(err, ERR_INPUT, ERR_ID_OPTION_REPEATED, 0, "%s: '%s' and '%s' are both said", spelling,
			       *field, value);
	*field = value;
	return 0;
}

/* `attached` is what follows in the same word, NULL for nothing; a value that must be there may be the next word. */
static int apply(struct parser *p, const struct option_row *row, const char *spelling, const char *attached,
		 struct err *err)
{
	int r = check_planned(row, spelling, err);

	if (r < 0)
		return r;
	if (option_is_switch(row))
		return set_switch(p, row, spelling, attached, err);
	if (!attached && row->kind == OPTION_OPTIONAL)
		attached = row->values[0];
	if (!attached) {
		if (p->at >= p->argc)
			return err_set(err, ERR_INPUT, ERR_ID_OPTION_VALUE, 0, "%s: needs a value (%s)", spelling,
				       row->argument);
		attached = p->argv[p->at++];
	}
	return set_value(p, row, spelling, attached, err);
}

const char *option_nearest(const struct option_table *table, const char *name)
{
	const char *names[OPTION_ROWS_MAX + 1] = { NULL };

	for (size_t i = 0; i < table->count && i < OPTION_ROWS_MAX; i++)
		names[i] = table->rows[i].name;
	return nearest_word(name, names);
}

static int unknown_long(const struct option_table *table, const char *name, size_t len, struct err *err)
{
	char word[64], hint[160] = "";

	/* No option is that long, so a longer word has no neighbour. */
	if (len < sizeof(word)) {
		memcpy(word, name, len);
		word[len] = '\0';
		(void)option_hint(table, word, hint, sizeof(hint));
	}
	return err_set(err, ERR_INPUT, ERR_ID_UNKNOWN_OPTION, 0, "--%.*s: unknown option%s",
		       (int)(len < SPELLING_MAX ? len : SPELLING_MAX), name, hint);
}

static int parse_long(struct parser *p, const char *word, struct err *err)
{
	size_t len = strcspn(word, "=");
	const struct option_row *row = row_by_name(p->table, word, len);
	char spelling[SPELLING_MAX];

	if (!row)
		return unknown_long(p->table, word, len, err);
	snprintf(spelling, sizeof(spelling), "--%s", row->name);
	return apply(p, row, spelling, word[len] == '=' ? word + len + 1 : NULL, err);
}

/* "-network host", "-env A=B": two dashes were meant, though the second is a good -e with the value "nv". */
static int check_one_dash(const struct option_table *table, const char *letters, struct err *err)
{
	const size_t len = strcspn(letters, "=");
	const struct option_row *row = len > 2 ? row_by_name(table, letters, len) : NULL;

	if (!row)
		return 0;
	if (row_by_letter(table, letters[0]) && !option_is_switch(row_by_letter(table, letters[0])))
		return err_set(err, ERR_INPUT, ERR_ID_UNKNOWN_OPTION, 0,
			       "-%s: a long option has two dashes: did you mean --%s? A value would be -%c=%s", letters,
			       row->name, letters[0], letters + 1);
	return err_set(err, ERR_INPUT, ERR_ID_UNKNOWN_OPTION, 0,
		       "-%s: a long option has two dashes: did you mean --%s?", letters, row->name);
}

static int unknown_letter(const struct option_table *table, const char *letters, char letter, struct err *err)
{
	const size_t len = strcspn(letters, "=");
	char word[64], hint[160] = "";

	if (letter_hint(table, letter, hint, sizeof(hint)) < 0 && len > 3 && len < sizeof(word)) {
		memcpy(word, letters, len);
		word[len] = '\0';
		(void)option_hint(table, word, hint, sizeof(hint));
	}
	if (!letters[1])
		return err_set(err, ERR_INPUT, ERR_ID_UNKNOWN_OPTION, 0, "-%c: unknown option%s", letter, hint);
	return err_set(err, ERR_INPUT, ERR_ID_UNKNOWN_OPTION, 0, "-%s: unknown option -%c%s", letters, letter, hint);
}

static int parse_cluster(struct parser *p, const char *letters, struct err *err)
{
	const size_t length = strcspn(letters, "=");

	if (p->table->one_dash && length > 1 && row_by_name(p->table, letters, length))
		return parse_long(p, letters, err);
	const int checked = check_one_dash(p->table, letters, err);
	if (checked < 0)
		return checked;
	for (const char *c = letters; *c; c++) {
		const struct option_row *row = row_by_letter(p->table, *c);
		char spelling[SPELLING_MAX];
		const char *attached = NULL;
		int r;

		if (!row)
			return unknown_letter(p->table, letters, *c, err);
		snprintf(spelling, sizeof(spelling), "-%c (--%s)", row->letter, row->name);
		if (c[1] == '=')
			attached = c + 2;
		else if (c[1] != '\0' && !option_is_switch(row))
			attached = c + 1;
		r = apply(p, row, spelling, attached, err);
		if (r < 0 || attached)
			return r;
	}
	return 0;
}

int options_parse(const struct option_table *table, int argc, char *const *argv, void *into, int *ret_at,
		  struct err *err)
{
	struct parser p = { .table = table, .argc = argc, .argv = argv, .at = 1, .into = into };
	int r = 0;

	if (table->count > OPTION_ROWS_MAX)
		return err_bug(err, "options: more than %d rows", OPTION_ROWS_MAX);
	while (r == 0 && p.at < argc) {
		const char *word = argv[p.at];

		/* "-" alone is no option; it is a rootfs of that name. */
		if (word[0] != '-' || word[1] == '\0')
			break;
		p.at++;
		if (streq(word, "--"))
			break;
		r = word[1] == '-' ? parse_long(&p, word + 2, err) : parse_cluster(&p, word + 1, err);
	}
	if (r == 0)
		*ret_at = p.at;
	return r;
}

void options_done(const struct option_table *table, void *into)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct option_row *row = &table->rows[i];

		if (row->kind == OPTION_LIST && row->status == OPTION_BUILT) {
			void **field = field_of(into, row);

			free(*field);
			*field = NULL;
		}
	}
}

/* ---- the one-shot command ---- */

static struct option_table one_shot(void)
{
	return (struct option_table){ .rows = option_rows, .count = option_rows_count };
}

static int take_rootfs_and_command(struct command_line *line, int argc, char *const *argv, int at, struct err *err)
{
	const char *first;

	if (at >= argc)
		return 0;
	line->request.rootfs = argv[at++];
	if (at >= argc)
		return 0;

	first = argv[at];
	if (streq(first, "--")) {
		line->dashes = true;
		at++;
	} else if (first[0] == '-' && first[1] != '\0') {
		/* "nsrun run -it IMAGE": the wrong word is the first one. */
		if (rootfs_word_check(line->request.rootfs, err) < 0)
			return -EINVAL;
		return err_set(err, ERR_INPUT, ERR_ID_OPTION_ORDER, 0, "%s: an option behind ROOTFS (%s)", first,
			       line->request.rootfs);
	}
	if (at < argc)
		line->request.argv = (const char *const *)&argv[at];
	return 0;
}

int command_line_parse(int argc, char *const *argv, struct command_line *ret, struct err *err)
{
	const struct option_table table = one_shot();
	struct command_line line = { 0 };
	int at = 1;

	int r = options_parse(&table, argc, argv, &line, &at, err);
	if (r == 0)
		r = take_rootfs_and_command(&line, argc, argv, at, err);
	if (r < 0) {
		command_line_done(&line);
		return r;
	}
	*ret = line;
	return 0;
}

void command_line_done(struct command_line *line)
{
	const struct option_table table = one_shot();

	options_done(&table, line);
}
