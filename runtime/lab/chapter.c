/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/lab/chapter.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/lab/reader.h>

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#define FENCE "```"

void lab_mistake(struct lab_reader *reader, unsigned line, const char *fmt, ...)
{
	struct lab_mistakes *m = reader->mistakes;
	char text[1024], escaped[2048];
	char *whole = NULL;
	va_list args;

	if (reader->full)
		return;
	char **lines = reallocarray(m->lines, m->n + 1, sizeof(*lines));
	if (lines)
		m->lines = lines;
	reader->full = ++reader->n_mistakes == LAB_MISTAKES_MAX;
	va_start(args, fmt);
	if (reader->full)
		snprintf(text, sizeof(text), "there are more mistakes than these %d: no more is read",
			 LAB_MISTAKES_MAX - 1);
	else
		vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	escape_text(text, escaped, sizeof(escaped));
	if (!lines || asprintf(&whole, "%s:%u: %s", reader->chapter->path, line, escaped) < 0) {
		reader->failed = true;
		return;
	}
	m->lines[m->n++] = whole;
}

struct lab_line *lab_lines_add(struct lab_reader *reader, struct lab_lines *lines, unsigned line, const char *text)
{
	/* Full at 0 and at each power of two from 8 on. */
	if (lines->n == 0 || (lines->n >= 8 && (lines->n & (lines->n - 1)) == 0)) {
		struct lab_line *at = arena_array(reader->arena, lines->n ? lines->n * 2 : 8, sizeof(*at));

		if (!at) {
			reader->failed = true;
			return NULL;
		}
		if (lines->n)
			memcpy(at, lines->at, lines->n * sizeof(*at));
		lines->at = at;
	}
	lines->at[lines->n] = (struct lab_line){ line, text };
	return &lines->at[lines->n++];
}

const char *lab_text_add(struct lab_reader *reader, struct lab_long_text *text, const char *separator, const char *more,
			 size_t len)
{
	const size_t between = text->text ? strlen(separator) : 0, wanted = text->size + between + len + 1;

	if (!text->text || wanted > text->room) {
		const size_t room = wanted < 64 ? 64 : wanted * 2;
		char *at = arena_alloc(reader->arena, room);

		if (!at) {
			reader->failed = true;
			return NULL;
		}
		if (text->text)
			memcpy(at, text->text, text->size);
		text->text = at;
		text->room = room;
	}
	memcpy(text->text + text->size, separator, between);
	memcpy(text->text + text->size + between, more, len);
	text->size = wanted - 1;
	text->text[text->size] = '\0';
	return text->text;
}

bool lab_is_id(const char *text)
{
	return isalnum((unsigned char)*text) && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(text);
}

bool lab_is_blank(const char *text)
{
	return text[strspn(text, " \t")] == '\0';
}

void lab_reader_knows(struct lab_reader *reader, const char *name, unsigned line)
{
	for (size_t i = 0; i < reader->n_names; i++)
		if (streq(reader->names[i], name))
			return;
	if (!lab_is_id(name) || streq(name, "host") || streq(name, "both") || streq(name, "run"))
		lab_mistake(
			reader, line,
			"--name %s: wanted is a name of a-z, 0-9 and -, and none of host, both, run, which mean something else here",
			name);
	else if (reader->n_names == LAB_NAMES_MAX)
		lab_mistake(reader, line, "--name %s: a chapter has at most %d containers", name, LAB_NAMES_MAX);
	else
		reader->names[reader->n_names++] = name;
}

bool lab_reader_wants(struct lab_reader *reader, const char *name, unsigned line)
{
	for (size_t i = 0; i < reader->n_names; i++)
		if (streq(reader->names[i], name))
			return true;
	const char *near = nearest_word(name, reader->names);

	if (near)
		lab_mistake(reader, line, "%s: no `run` before it has made this container; is it %s?", name, near);
	else
		lab_mistake(reader, line, "%s: no `run` before it has made this container (nsrun --name %s ...)", name,
			    name);
	return false;
}

/* ---- lines and fences ---- */

static void split_lines(struct lab_reader *reader, char *data)
{
	unsigned line = 1;

	for (char *p = data; *p && !reader->failed; line++) {
		char *end = strchrnul(p, '\n');
		const bool last = !*end;

		*end = '\0';
		if (end > p && end[-1] == '\r')
			end[-1] = '\0';
		lab_lines_add(reader, &reader->lines, line, p);
		p = end + !last;
	}
}

static void add_block(struct lab_reader *reader, const struct lab_block *block)
{
	struct lab_chapter *c = reader->chapter;

	if (c->n_blocks == LAB_BLOCKS_MAX) {
		lab_mistake(reader, block->line, "a chapter has at most %d blocks, texts between them included",
			    LAB_BLOCKS_MAX);
		reader->full = true;
		return;
	}
	if (c->n_blocks == reader->room) {
		const size_t room = reader->room ? reader->room * 2 : 16;
		struct lab_block *blocks = arena_array(reader->arena, room, sizeof(*blocks));

		if (!blocks) {
			reader->failed = true;
			return;
		}
		if (c->n_blocks)
			memcpy(blocks, c->blocks, c->n_blocks * sizeof(*blocks));
		c->blocks = blocks;
		reader->room = room;
	}
	c->blocks[c->n_blocks++] = *block;
}

/* Lines [from, to) as one text, without blank ones at both ends; NULL when nothing is left. Comments of HTML are for who writes the file. */
static const char *join_lines(struct lab_reader *reader, size_t from, size_t to, unsigned *ret_line)
{
	const struct lab_line *lines = reader->lines.at;
	bool comment = false, empty = true;
	size_t size = 1;
	char *text, *p;

	for (size_t i = from; i < to; i++)
		size += strlen(lines[i].text) + 1;
	text = p = arena_alloc(reader->arena, size);
	if (!text) {
		reader->failed = true;
		return NULL;
	}
	for (size_t i = from; i < to; i++) {
		const char *line = lines[i].text;

		comment = comment || str_after(line, "<!--");
		if (comment) {
			comment = !strstr(line, "-->");
			continue;
		}
		if (empty && lab_is_blank(line))
			continue;
		if (empty)
			*ret_line = lines[i].line;
		empty = false;
		p = stpcpy(p, line);
		*p++ = '\n';
	}
	while (p > text && strchr(" \t\n", p[-1]))
		p--;
	*p = '\0';
	return empty ? NULL : text;
}

static void add_text(struct lab_reader *reader, size_t from, size_t to)
{
	struct lab_block block = { .word = LAB_TEXT };

	block.text = from < to ? join_lines(reader, from, to, &block.line) : NULL;
	if (block.text)
		add_block(reader, &block);
}

static bool is_fence(const char *line)
{
	return str_after(line, FENCE) != NULL;
}

static bool is_closing(const char *line)
{
	return is_fence(line) && lab_is_blank(line + strlen(FENCE));
}

/* A block of the file that begins at line `at`; returns the line behind it. */
static size_t read_fence(struct lab_reader *reader, size_t at)
{
	const struct lab_line *opening = &reader->lines.at[at];
	const char *info = opening->text + strlen(FENCE), *wrong = NULL;
	struct lab_fence fence = { .line = opening->line, .body = opening + 1 };
	struct lab_block block = { .line = opening->line, .text = "" };
	size_t end = at + 1;

	while (end < reader->lines.n && !is_fence(reader->lines.at[end].text))
		end++;
	fence.n_body = end - at - 1;
	if (*info == '`') {
		lab_mistake(reader, opening->line, "a block begins with three backquotes, not more");
	} else if (end == reader->lines.n || !is_closing(reader->lines.at[end].text)) {
		lab_mistake(reader, opening->line,
			    "this block is not ended: wanted is a line of three backquotes alone%s",
			    end < reader->lines.n ? " before the next block begins (nothing is nested)" : "");
		return end;
	}
	fence.words = lab_split(reader->arena, *info == '`' ? "" : info, &wrong);
	if (!fence.words) {
		lab_mistake(reader, opening->line, "%s", wrong);
		return end + 1;
	}
	while (fence.words[fence.n_words])
		fence.n_words++;
	const char *word = fence.n_words ? fence.words[0] : "";

	if (streq(word, "lab")) {
		lab_read_about(reader, &fence);
		return end + 1;
	}
	if (*word && !reader->begun) {
		lab_mistake(reader, opening->line,
			    "the first block is `lab`: wanted before this one, with minutes: and goal:");
		reader->begun = true; /* said once */
	}
	if (lab_read_block(reader, &fence, &block)) {
		unsigned ignored;

		if (block.word == LAB_SHOWN) {
			block.text = join_lines(reader, at + 1, end, &ignored);
			block.text = block.text ? block.text : "";
		}
		add_block(reader, &block);
	}
	return end + 1;
}

static void read_title(struct lab_reader *reader)
{
	const char *line = reader->lines.n ? reader->lines.at[0].text : "";
	const char *title = str_after(line, "# ");

	if (!title || lab_is_blank(title))
		lab_mistake(reader, 1, "the first line is the title: wanted is `# TITLE`");
	else
		reader->chapter->title = title + strspn(title, " ");
}

static void read_all(struct lab_reader *reader)
{
	size_t text = 1, at = 1;

	read_title(reader);
	while (at < reader->lines.n && !reader->failed && !reader->full) {
		const struct lab_line *line = &reader->lines.at[at];

		if (!is_fence(line->text)) {
			if (str_after(line->text, "# "))
				lab_mistake(reader, line->line, "a chapter has one title: wanted here is `## HEADING`");
			at++;
			continue;
		}
		add_text(reader, text, at);
		at = text = read_fence(reader, at);
	}
	add_text(reader, text, at);
	if (!reader->begun)
		lab_mistake(reader, 1, "no block `lab`: wanted behind the title, with minutes: and goal:");
}

/* The bytes of the character at `p`; 0: it is no UTF-8. Forms that are too long pass: nothing depends on them here. */
static size_t character_length(const unsigned char *p)
{
	const size_t n = *p < 0x80 ? 1 : *p < 0xc2 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80) /* also where the text ends */
			return 0;
	return n;
}

static void check_utf8(struct lab_reader *reader)
{
	for (size_t i = 0; i < reader->lines.n; i++)
		for (const unsigned char *p = (const unsigned char *)reader->lines.at[i].text; *p;) {
			const size_t n = character_length(p);

			if (n == 0) {
				lab_mistake(reader, reader->lines.at[i].line, "this is no UTF-8");
				return;
			}
			p += n;
		}
}

/* FNV-1a: names a version of the file; it protects nothing. */
static uint64_t digest_of(const char *data, size_t size)
{
	uint64_t hash = 0xcbf29ce484222325U;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (unsigned char)data[i]) * 0x100000001b3U;
	return hash;
}

static unsigned line_of(const char *data, const char *at)
{
	unsigned line = 1;

	for (const char *p = data; p < at; p++)
		line += *p == '\n';
	return line;
}

static struct lab_chapter *chapter_new(const char *path, const char *id)
{
	struct arena *arena = arena_new();
	struct lab_chapter *chapter = arena ? arena_alloc(arena, sizeof(*chapter)) : NULL;

	if (!chapter) {
		arena_free(arena);
		return NULL;
	}
	chapter->arena = arena;
	chapter->path = arena_strdup(arena, path);
	chapter->id = arena_strdup(arena, id);
	chapter->title = chapter->goal = "";
	chapter->after = chapter->needs = arena_array(arena, 1, sizeof(char *));
	if (chapter->path && chapter->id && chapter->after)
		return chapter;
	arena_free(arena);
	return NULL;
}

int lab_chapter_parse(const char *path, const char *id, const char *data, size_t size, struct lab_chapter **ret,
		      struct lab_mistakes *mistakes, struct err *err)
{
	_cleanup_(lab_chapter_freep) struct lab_chapter *chapter = chapter_new(path, id);
	const size_t before = mistakes->n;

	if (!chapter)
		return err_oom(err);
	struct lab_reader reader = { .chapter = chapter, .arena = chapter->arena, .mistakes = mistakes };
	const bool fits = size <= LAB_FILE_MAX;
	char *copy = fits ? arena_strndup(chapter->arena, data, size) : NULL;

	if (fits && !copy)
		return err_oom(err);
	if (fits)
		snprintf(chapter->digest, sizeof(chapter->digest), "%016" PRIx64, digest_of(data, size));
	const char *zero = fits ? memchr(data, '\0', size) : NULL;

	if (!fits) {
		lab_mistake(&reader, 1, "a chapter has at most %d bytes, and this has more", LAB_FILE_MAX);
	} else if (zero) {
		lab_mistake(&reader, line_of(data, zero), "this is no text: it has a zero byte");
	} else {
		split_lines(&reader, copy);
		check_utf8(&reader);
		read_all(&reader);
	}
	if (reader.failed)
		return err_oom(err);
	if (mistakes->n > before)
		return err_input(err, "%s: %zu mistake%s", path, mistakes->n - before,
				 mistakes->n - before == 1 ? "" : "s");
	*ret = TAKE_PTR(chapter);
	return 0;
}

int lab_chapter_read(const char *dir, const char *id, struct lab_chapter **ret, struct lab_mistakes *mistakes,
		     struct err *err)
{
	_cleanup_free_ char *path = NULL, *data = NULL;
	size_t size;

	if (!lab_is_id(id))
		return err_set(err, ERR_INPUT, ERR_ID_NONE, ENOENT,
			       "%s: no chapter has such a name: wanted is a-z, 0-9 and -", id);
	if (asprintf(&path, "%s/%s.md", dir, id) < 0) {
		path = NULL;
		return err_oom(err);
	}
	const int r = file_read_at(AT_FDCWD, path, LAB_FILE_MAX, &data, &size, err);

	if (r == -EFBIG)
		return lab_chapter_parse(path, id, NULL, LAB_FILE_MAX + 1, ret, mistakes, err);
	return r < 0 ? r : lab_chapter_parse(path, id, data, size, ret, mistakes, err);
}

void lab_chapter_free(struct lab_chapter *chapter)
{
	if (chapter)
		arena_free(chapter->arena);
}

void lab_words_free(char **words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(words[i]);
	free(words);
}

void lab_mistakes_done(struct lab_mistakes *mistakes)
{
	lab_words_free(mistakes->lines, mistakes->n);
	*mistakes = (struct lab_mistakes){ 0 };
}
