/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks that are prose and entries: lab, ask, task. */
#include <nsrun/lab/reader.h>

#include <nsrun/base/strings.h>

#include <string.h>

struct entry {
	unsigned line;
	const char *key;
	const char *argument; /* "host" of "solution host:"; NULL: none */
	const char *value;
};

struct entries {
	const char *prose;
	struct entry *at;
	size_t n;
	struct lab_long_text prose_text, last_text; /* of the prose, and of the last entry when it goes on */
};

static const char *const about_keys[] = { "minutes", "goal", "after", "needs", NULL };
static const char *const ask_keys[] = { "answer", "why", "holds", NULL };
static const char *const task_keys[] = { "hint", "solution", "check", NULL };

static bool has_key(const char *const *keys, const char *text, size_t len)
{
	for (; *keys; keys++)
		if (strlen(*keys) == len && strncmp(*keys, text, len) == 0)
			return true;
	return false;
}

/* "KEY: VALUE", "KEY ARGUMENT: VALUE": the lengths of both; false: the line has not that form. */
static bool has_form(const char *line, size_t *ret_key, const char **ret_argument, size_t *ret_argument_len,
		     const char **ret_value)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	const size_t key = strspn(line, letters);
	const char *p = line + key;
	const char *argument = p + strspn(p, " ");
	const size_t argument_len = strspn(argument, letters);

	if (key == 0)
		return false;
	if (*p != ':') {
		if (argument == p || argument_len == 0 || argument[argument_len] != ':')
			return false;
		p = argument + argument_len;
	}
	if (p[1] && !strchr(" \t", p[1]))
		return false;
	*ret_key = key;
	*ret_argument = p == line + key ? NULL : argument;
	*ret_argument_len = argument_len;
	*ret_value = p + 1 + strspn(p + 1, " \t");
	return true;
}

/* "b) text" */
static bool is_choice(const char *line)
{
	return line[0] >= 'a' && line[0] < 'a' + LAB_CHOICES_MAX && line[1] == ')' &&
	       (line[2] == ' ' || line[2] == '\0');
}

static struct entry *add_entry(struct lab_reader *reader, struct entries *entries, const struct entry *entry,
			       size_t room)
{
	if (!entries->at)
		entries->at = arena_array(reader->arena, room, sizeof(*entries->at));
	if (!entries->at || !entry->key || !entry->value) {
		reader->failed = true;
		return NULL;
	}
	entries->at[entries->n] = *entry;
	entries->last_text = (struct lab_long_text){ 0 };
	return &entries->at[entries->n++];
}

static void add_prose(struct lab_reader *reader, struct entries *entries, const char *line)
{
	const char *text = lab_text_add(reader, &entries->prose_text, "\n", line, strlen(line));

	if (text)
		entries->prose = text;
}

/* A line of the block; `keys`: what the block may have; `choices`: it may have a) and b). */
static void read_line(struct lab_reader *reader, const struct lab_fence *fence, size_t i, const char *const *keys,
		      bool choices, struct entries *entries)
{
	const struct lab_line *line = &fence->body[i];
	struct entry *last = entries->n ? &entries->at[entries->n - 1] : NULL;
	struct entry entry = { .line = line->line };
	const char *argument = NULL, *value = NULL;
	size_t key = 0, argument_len = 0;

	if (lab_is_blank(line->text)) {
		if (!last && *entries->prose)
			add_prose(reader, entries, "");
		return;
	}
	if (last && str_after(line->text, "  ")) {
		const char *more = line->text + strspn(line->text, " "), *whole = last->value;

		if (!entries->last_text.text && *whole)
			whole = lab_text_add(reader, &entries->last_text, "", whole, strlen(whole));
		if (whole)
			whole = lab_text_add(reader, &entries->last_text, " ", more, strlen(more));
		if (whole)
			last->value = whole;
		return;
	}
	const bool form = has_form(line->text, &key, &argument, &argument_len, &value);

	if (choices && is_choice(line->text)) {
		entry.key = "choice";
		entry.argument = arena_strndup(reader->arena, line->text, 1);
		entry.value = line->text[2] ? line->text + 3 : "";
		add_entry(reader, entries, &entry, fence->n_body);
	} else if (form && has_key(keys, line->text, key)) {
		entry.key = arena_strndup(reader->arena, line->text, key);
		entry.argument = argument ? arena_strndup(reader->arena, argument, argument_len) : NULL;
		entry.value = value;
		add_entry(reader, entries, &entry, fence->n_body);
	} else {
		const char *word = arena_strndup(reader->arena, line->text, key);
		const char *near = form && word ? nearest_word(word, keys) : NULL;

		if (near)
			lab_mistake(reader, line->line, "'%s:' is no entry of this block: is it '%s:'?", word, near);
		else if (last)
			lab_mistake(
				reader, line->line,
				"%s: wanted behind the first entry are entries (KEY: VALUE), or lines that begin with two blanks and go on "
				"with the one above",
				fence->words[0]);
		else
			add_prose(reader, entries, line->text);
	}
}

static struct entries read_entries(struct lab_reader *reader, const struct lab_fence *fence, const char *const *keys,
				   bool choices)
{
	struct entries entries = { .prose = "" };

	for (size_t i = 0; i < fence->n_body && !reader->failed && !reader->full; i++)
		read_line(reader, fence, i, keys, choices, &entries);
	for (size_t i = 0; i < entries.n && !reader->full; i++) {
		const struct entry *e = &entries.at[i];

		if (lab_is_blank(e->value))
			lab_mistake(reader, e->line, "%s: is empty", e->key);
		if (e->argument && !streq(e->key, "solution") && !streq(e->key, "choice"))
			lab_mistake(reader, e->line, "'%s %s:': only solution has a word before the colon", e->key,
				    e->argument);
	}
	return entries;
}

/* The only entry of this key; NULL: none. A second one is a mistake. */
static const struct entry *only(struct lab_reader *reader, const struct entries *entries, const char *key)
{
	const struct entry *found = NULL;

	for (size_t i = 0; i < entries->n && !reader->full; i++) {
		if (!streq(entries->at[i].key, key))
			continue;
		if (found)
			lab_mistake(reader, entries->at[i].line, "%s: stands in line %u already", key, found->line);
		else
			found = &entries->at[i];
	}
	return found;
}

/* ---- lab ---- */

void lab_read_about(struct lab_reader *reader, const struct lab_fence *fence)
{
	struct lab_chapter *c = reader->chapter;
	const struct entries entries = read_entries(reader, fence, about_keys, false);
	const struct entry *minutes = only(reader, &entries, "minutes"), *goal = only(reader, &entries, "goal");
	const struct entry *after = only(reader, &entries, "after"), *needs = only(reader, &entries, "needs");
	uint32_t n = 0;

	if (reader->begun) {
		lab_mistake(reader, fence->line, "lab: there is one such block, and it is the first");
		return;
	}
	reader->begun = true;
	if (fence->n_words > 1)
		lab_mistake(reader, fence->line, "lab: one word too many: '%s'", fence->words[1]);
	if (*entries.prose)
		lab_mistake(reader, fence->line, "lab: wanted are entries alone: minutes: goal: after: needs:");
	if (!minutes || parse_u32(minutes->value, &n) < 0 || n < 1 || n > 600)
		lab_mistake(reader, minutes ? minutes->line : fence->line,
			    "lab: wanted is `minutes: N`, from 1 to 600");
	if (!goal)
		lab_mistake(reader, fence->line, "lab: wanted is `goal: what the learner can do behind it`");
	c->minutes = n;
	if (goal)
		c->goal = goal->value;
	if (after)
		c->after = lab_read_words(reader, after->value, NULL, "chapter's id", after->line);
	if (needs)
		c->needs = lab_read_words(reader, needs->value, lab_needs, "need", needs->line);
}

/* ---- ask ---- */

static void read_choices(struct lab_reader *reader, const struct entries *entries, struct lab_block *block)
{
	for (size_t i = 0; i < entries->n && !reader->full; i++) {
		const struct entry *e = &entries->at[i];

		if (!streq(e->key, "choice"))
			continue;
		if (e->argument && e->argument[0] != (char)('a' + block->choices.n))
			lab_mistake(reader, e->line, "%s): wanted is %c), in the order of the alphabet", e->argument,
				    (char)('a' + block->choices.n));
		lab_lines_add(reader, &block->choices, e->line, e->value);
	}
}

static void read_answer(struct lab_reader *reader, const struct entry *answer, struct lab_block *block)
{
	struct lab_term term;
	struct err err = ERR_INIT;
	char message[ERR_MESSAGE_MAX * 4];

	block->answer = answer->value;
	if (block->choices.n > 0) {
		if (answer->value[1] || answer->value[0] < 'a' || answer->value[0] >= (char)('a' + block->choices.n))
			lab_mistake(reader, answer->line, "answer: wanted is a letter from a to %c",
				    (char)('a' + block->choices.n - 1));
		return;
	}
	const size_t len = strlen(answer->value);
	const bool quoted = len >= 2 && answer->value[0] == '"' && answer->value[len - 1] == '"';

	if (quoted)
		block->answer = arena_strndup(reader->arena, answer->value + 1, len - 2);
	if (quoted || strchr(answer->value, ' '))
		return;
	if (lab_term_parse(reader->arena, answer->value, false, reader->names, &term, &err) < 0)
		lab_mistake(reader, answer->line, "answer: %s", err_format(&err, message, sizeof(message)));
	else
		block->answer_is_term = term.subject != NULL;
}

void lab_read_ask(struct lab_reader *reader, const struct lab_fence *fence, struct lab_block *block)
{
	const struct entries entries = read_entries(reader, fence, ask_keys, true);
	const struct entry *answer = only(reader, &entries, "answer"), *why = only(reader, &entries, "why");

	block->text = entries.prose;
	block->why = why ? why->value : NULL;
	read_choices(reader, &entries, block);
	if (!*entries.prose)
		lab_mistake(reader, fence->line, "ask: wanted is the question");
	if (block->choices.n == 1)
		lab_mistake(reader, fence->line, "ask: one choice is none: wanted is b), too");
	if (answer && *answer->value)
		read_answer(reader, answer, block);
	else if (!answer)
		lab_mistake(reader, fence->line, "ask: wanted is `answer:`");
	for (size_t i = 0; i < entries.n && !reader->full; i++)
		if (streq(entries.at[i].key, "holds"))
			lab_check_add(reader, &block->checks, entries.at[i].value, entries.at[i].line);
}

/* ---- task ---- */

static void add_solution(struct lab_reader *reader, const struct entry *e, struct lab_block *block, size_t room)
{
	const char *wrong = NULL, *name;
	char **words;

	if (!e->argument) {
		lab_mistake(reader, e->line,
			    "solution: wanted is where: `solution host:`, `solution run:` or `solution NAME:`");
		return;
	}
	if (streq(e->argument, "run")) {
		words = lab_split(reader->arena, e->value, &wrong);
		name = words ? lab_name_of(words) : NULL;
		if (!words)
			lab_mistake(reader, e->line, "solution run: %s", wrong);
		else if (!words[0] || !streq(words[0], "nsrun") || !name)
			lab_mistake(reader, e->line, "solution run: wanted is a command of nsrun with a --name");
		else
			lab_reader_knows(reader, name, e->line);
	} else if (!streq(e->argument, "host") && !lab_reader_wants(reader, e->argument, e->line)) {
		return;
	}
	if (!block->solutions)
		block->solutions = arena_array(reader->arena, room, sizeof(*block->solutions));
	if (!block->solutions) {
		reader->failed = true;
		return;
	}
	block->solutions[block->n_solutions++] = (struct lab_solution){ e->line, e->argument, e->value };
}

void lab_read_task(struct lab_reader *reader, const struct lab_fence *fence, struct lab_block *block)
{
	const struct entries entries = read_entries(reader, fence, task_keys, false);
	size_t checks = 0;

	block->text = entries.prose;
	if (!*entries.prose)
		lab_mistake(reader, fence->line, "task: wanted is what to do");
	/* A solution may make what the checks are about. */
	for (size_t i = 0; i < entries.n && !reader->full; i++)
		if (streq(entries.at[i].key, "solution"))
			add_solution(reader, &entries.at[i], block, entries.n);
	for (size_t i = 0; i < entries.n && !reader->full; i++) {
		const struct entry *e = &entries.at[i];

		if (streq(e->key, "hint"))
			lab_lines_add(reader, &block->hints, e->line, e->value);
		if (streq(e->key, "check")) {
			checks++;
			lab_check_add(reader, &block->checks, e->value, e->line);
		}
	}
	if (block->n_solutions == 0)
		lab_mistake(reader, fence->line, "task: wanted is a solution, with which the chapter is tested");
	if (checks == 0)
		lab_mistake(reader, fence->line, "task: wanted is a check, which grades it");
}
