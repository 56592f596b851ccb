/* SPDX-License-Identifier: Apache-2.0 */
/* What the words behind three backquotes mean. */
#include <nsrun/lab/reader.h>

#include <nsrun/base/strings.h>

#include <string.h>

const char *const lab_needs[] = { "root",    "ordinary", "ids",	    "cgroup", "limits",	 "v2", "net-admin",
				  "seccomp", "apparmor", "selinux", "time",   "machine", NULL };
const char *const lab_looks[] = { "ns", "ids", "caps", "mounts", "cgroup", "links", "processes", NULL };

static const struct {
	const char *name;
	enum lab_word word;
} words[] = {
	{ "run", LAB_RUN }, { "sh", LAB_SH },	{ "look", LAB_LOOK },	{ "tape", LAB_TAPE }, { "go", LAB_GO },
	{ "end", LAB_END }, { "ask", LAB_ASK }, { "check", LAB_CHECK }, { "task", LAB_TASK },
};

/* Words of blocks that are shown as they stand: a viewer colours them. */
static const char *const shown[] = { "text", "console", "c", "json", "yaml", "diff", NULL };
static const char *const known_words[] = { "lab",  "run",  "sh",      "look", "tape", "go",   "end",  "ask", "check",
					   "task", "text", "console", "c",    "json", "yaml", "diff", NULL };

static bool is_one_of(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (streq(word, *list))
			return true;
	return false;
}

static void unknown_word(struct lab_reader *reader, unsigned line, const char *word, const char *const *known,
			 const char *what)
{
	const char *near = nearest_word(word, known);
	char list[256] = "";
	size_t n = 0;

	for (; *known && n + 16 < sizeof(list); known++)
		n += (size_t)snprintf(list + n, sizeof(list) - n, " %s", *known);
	if (near)
		lab_mistake(reader, line, "'%s' is no %s: is it '%s'?", word, what, near);
	else
		lab_mistake(reader, line, "'%s' is no %s: wanted is one of%s", word, what, list);
}

char **lab_read_words(struct lab_reader *reader, const char *text, const char *const *known, const char *what,
		      unsigned line)
{
	char **list = arena_array(reader->arena, strlen(text) / 2 + 2, sizeof(*list));
	size_t n = 0;

	if (!list) {
		reader->failed = true;
		return NULL;
	}
	for (const char *p = text; !reader->full && *(p += strspn(p, " \t,"));) {
		const size_t len = strcspn(p, " \t,");
		char *word = arena_strndup(reader->arena, p, len);

		p += len;
		if (!word) {
			reader->failed = true;
			return NULL;
		}
		if (known ? !is_one_of(word, known) : !lab_is_id(word)) {
			if (known)
				unknown_word(reader, line, word, known, what);
			else
				lab_mistake(reader, line, "'%s' is no %s: wanted are a-z, 0-9 and -", word, what);
		} else {
			list[n++] = word;
		}
	}
	return list;
}

/* STEP_NONE with a mistake: no such row. */
static enum step_id read_row(struct lab_reader *reader, const char *name, unsigned line)
{
	const enum step_id id = score_find(name);
	const char *names[STEP_COUNT];

	if (id != STEP_NONE)
		return id;
	for (int i = 1; i < STEP_COUNT; i++)
		names[i - 1] = score[i].name;
	names[STEP_COUNT - 1] = NULL;
	const char *near = nearest_word(name, names);

	lab_mistake(reader, line, "'%s' is no row of the score (docs/architecture.md)%s%s%s", name,
		    near ? ": is it '" : "", near ? near : "", near ? "'?" : "");
	return STEP_NONE;
}

static void too_many(struct lab_reader *reader, const struct lab_fence *fence, size_t at)
{
	lab_mistake(reader, fence->line, "%s: one word too many: '%s'", fence->words[0], fence->words[at]);
}

/* Takes needs=WORD out of the words. */
static void take_needs(struct lab_reader *reader, struct lab_fence *fence, struct lab_block *block)
{
	size_t n = 0;

	for (size_t i = 0; i < fence->n_words && !reader->full; i++) {
		const char *value = str_after(fence->words[i], "needs=");

		if (i > 0 && value)
			block->needs = lab_read_words(reader, value, lab_needs, "need", fence->line);
		else
			fence->words[n++] = fence->words[i];
	}
	fence->words[n] = NULL;
	fence->n_words = n;
}

/* The lines that are not blank; one that ends in a backslash goes on in the next. */
static struct lab_lines read_commands(struct lab_reader *reader, const struct lab_fence *fence)
{
	struct lab_lines commands = { 0 };
	struct lab_long_text begun = { 0 };
	unsigned line = 0;

	for (size_t i = 0; i < fence->n_body && !reader->failed; i++) {
		const char *text = fence->body[i].text;

		if (!begun.text && lab_is_blank(text))
			continue;
		text += begun.text ? strspn(text, " \t") : 0;
		const size_t len = strlen(text);
		const bool goes_on = len > 0 && text[len - 1] == '\\';

		line = begun.text ? line : fence->body[i].line;
		if (!lab_text_add(reader, &begun, "", text, len - goes_on))
			return commands;
		if (goes_on)
			continue;
		if (!lab_is_blank(begun.text))
			lab_lines_add(reader, &commands, line, begun.text);
		begun = (struct lab_long_text){ 0 };
	}
	if (begun.text)
		lab_mistake(reader, line, "the last line ends in a backslash: wanted is a line behind it");
	return commands;
}

static void no_body(struct lab_reader *reader, const struct lab_fence *fence)
{
	for (size_t i = 0; i < fence->n_body; i++)
		if (!lab_is_blank(fence->body[i].text)) {
			lab_mistake(reader, fence->body[i].line, "%s: nothing stands within this block",
				    fence->words[0]);
			return;
		}
}

static void read_run(struct lab_reader *reader, const struct lab_fence *fence, struct lab_block *block)
{
	const char *wrong = NULL, *name;

	for (size_t i = 1; i < fence->n_words && !reader->full; i++) {
		const char *row = str_after(fence->words[i], "hold=");

		if (row)
			block->step = read_row(reader, row, fence->line);
		else if (streq(fence->words[i], "fails"))
			block->fails = true;
		else
			lab_mistake(reader, fence->line, "run: '%s' is none of hold=ROW, fails, needs=WORD",
				    fence->words[i]);
	}
	if (block->fails && block->step)
		lab_mistake(reader, fence->line, "run: hold and fails contradict each other");
	block->lines = read_commands(reader, fence);
	if (block->lines.n != 1) {
		lab_mistake(reader, fence->line, "run: wanted is one command of nsrun, but there %s %zu",
			    block->lines.n == 1 ? "is" : "are", block->lines.n);
		return;
	}
	block->words = lab_split(reader->arena, block->lines.at[0].text, &wrong);
	if (!block->words) {
		lab_mistake(reader, block->lines.at[0].line, "%s", wrong);
	} else if (!streq(block->words[0], "nsrun")) {
		lab_mistake(reader, block->lines.at[0].line, "run: wanted is a command of nsrun, not of '%s'",
			    block->words[0]);
	} else if (!(name = lab_name_of(block->words))) {
		lab_mistake(reader, block->lines.at[0].line,
			    "run: wanted is a --name, by which the other blocks call it");
	} else {
		if (block->step && lab_is_of_bundle(block->words))
			lab_mistake(reader, fence->line,
				    "run: `nsrun %s` is not held: wanted is a launch without a bundle",
				    block->words[1]);
		block->name = name;
		lab_reader_knows(reader, name, block->lines.at[0].line);
	}
}

static void read_sh(struct lab_reader *reader, const struct lab_fence *fence, struct lab_block *block)
{
	size_t at = 1;

	if (fence->n_words > 1 && streq(fence->words[1], "both")) {
		block->both = true;
		at = 2;
		if (fence->n_words == 2)
			lab_mistake(reader, fence->line, "sh both: which container?");
	}
	if (fence->n_words > at && lab_reader_wants(reader, fence->words[at], fence->line))
		block->name = fence->words[at];
	if (fence->n_words > at + 1)
		too_many(reader, fence, at + 1);
	block->lines = read_commands(reader, fence);
	if (block->lines.n == 0)
		lab_mistake(reader, fence->line, "sh: no command stands in it");
}

/* look, tape, go, end: the first word is a container. */
static void read_about_one(struct lab_reader *reader, const struct lab_fence *fence, struct lab_block *block)
{
	const size_t most = block->word == LAB_END ? 2 : block->word == LAB_GO ? 3 : SIZE_MAX;

	no_body(reader, fence);
	if (fence->n_words < 2) {
		lab_mistake(reader, fence->line, "%s: which container?", fence->words[0]);
		return;
	}
	if (lab_reader_wants(reader, fence->words[1], fence->line))
		block->name = fence->words[1];
	if (fence->n_words > most) {
		too_many(reader, fence, most);
		return;
	}
	block->words = fence->words + 2;
	for (char **word = block->words; *word && !reader->full; word++) {
		if (block->word == LAB_LOOK && !is_one_of(*word, lab_looks))
			unknown_word(reader, fence->line, *word, lab_looks, "thing to look at");
		if (block->word == LAB_GO)
			block->step = read_row(reader, *word, fence->line);
		if (block->word == LAB_TAPE)
			(void)read_row(reader, *word, fence->line);
	}
}

void lab_check_add(struct lab_reader *reader, struct lab_checks *checks, const char *text, unsigned line)
{
	struct lab_check check;
	struct err err = ERR_INIT;
	char message[ERR_MESSAGE_MAX * 4];

	if (lab_check_parse(reader->arena, text, line, reader->names, &check, &err) < 0) {
		lab_mistake(reader, line, "%s", err_format(&err, message, sizeof(message)));
		return;
	}
	/* As lines grow: by doubling. */
	if (checks->n == 0 || (checks->n >= 4 && (checks->n & (checks->n - 1)) == 0)) {
		struct lab_check *at = arena_array(reader->arena, checks->n ? checks->n * 2 : 4, sizeof(*at));

		if (!at) {
			reader->failed = true;
			return;
		}
		if (checks->n)
			memcpy(at, checks->at, checks->n * sizeof(*at));
		checks->at = at;
	}
	checks->at[checks->n++] = check;
}

static void read_checks(struct lab_reader *reader, const struct lab_fence *fence, struct lab_block *block)
{
	const size_t before = reader->mistakes->n;

	if (fence->n_words > 1)
		too_many(reader, fence, 1);
	for (size_t i = 0; i < fence->n_body && !reader->full; i++)
		if (!lab_is_blank(fence->body[i].text))
			lab_check_add(reader, &block->checks, fence->body[i].text, fence->body[i].line);
	if (block->checks.n == 0 && reader->mistakes->n == before)
		lab_mistake(reader, fence->line, "check: no check stands in it");
}

static void read_id(struct lab_reader *reader, const struct lab_fence *fence, struct lab_block *block)
{
	const struct lab_chapter *c = reader->chapter;

	block->id = "";
	if (fence->n_words < 2 || !lab_is_id(fence->words[1])) {
		lab_mistake(reader, fence->line, "%s: wanted is a word that names it, of a-z, 0-9 and -",
			    fence->words[0]);
		return;
	}
	if (fence->n_words > 2)
		too_many(reader, fence, 2);
	block->id = fence->words[1];
	for (size_t i = 0; i < c->n_blocks; i++)
		if (c->blocks[i].word == block->word && streq(c->blocks[i].id, block->id))
			lab_mistake(reader, fence->line, "%s %s: there is one of this name in line %u", fence->words[0],
				    block->id, c->blocks[i].line);
}

bool lab_read_block(struct lab_reader *reader, const struct lab_fence *original, struct lab_block *block)
{
	struct lab_fence fence = *original;
	size_t i;

	block->word = LAB_SHOWN;
	if (fence.n_words == 0 || is_one_of(fence.words[0], shown))
		return true;
	for (i = 0; i < ARRAY_LEN(words) && !streq(words[i].name, fence.words[0]); i++)
		;
	if (i == ARRAY_LEN(words)) {
		unknown_word(reader, fence.line, fence.words[0], known_words, "block of a chapter");
		return false;
	}
	block->word = words[i].word;
	take_needs(reader, &fence, block);
	switch (block->word) {
	case LAB_RUN:
		read_run(reader, &fence, block);
		break;
	case LAB_SH:
		read_sh(reader, &fence, block);
		break;
	case LAB_CHECK:
		read_checks(reader, &fence, block);
		break;
	case LAB_ASK:
		read_id(reader, &fence, block);
		lab_read_ask(reader, &fence, block);
		break;
	case LAB_TASK:
		read_id(reader, &fence, block);
		lab_read_task(reader, &fence, block);
		break;
	default:
		read_about_one(reader, &fence, block);
	}
	return true;
}
