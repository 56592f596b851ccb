/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chapter from anybody: its reader, the plain view of its text, and its checks with what the kernel might say, as libFuzzer feeds them. Nothing is run. Each mistake must have its
 * file and line.
 */
#include <nsrun/base/strings.h>
#include <nsrun/lab/chapter.h>
#include <nsrun/lab/check.h>
#include <nsrun/lab/text.h>

#include <stdlib.h>
#include <string.h>

#define PATH "fuzz.md"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As a kernel that says of everything what the other side wants, or a part of the term. */
static int value_of(void *data, const struct lab_term *term, char **ret, struct err *err)
{
	const uint8_t *byte = data;

	if (*byte % 7 == 0)
		return err_set(err, ERR_INPUT, ERR_ID_NONE, ESRCH, "gone");
	*ret = strdup(*byte % 3 == 0 ? term->property : *byte % 3 == 1 ? "1" : "CAP_CHOWN CAP_KILL");
	return *ret ? 0 : err_oom(err);
}

static void try_checks(const struct lab_checks *checks, const uint8_t *data)
{
	const struct lab_kernel kernel = { .value = value_of, .data = (void *)data };

	for (size_t i = 0; i < checks->n; i++) {
		char *story = NULL;

		(void)lab_check_try(&checks->at[i], &kernel, &story);
		free(story);
	}
}

static void use(const struct lab_chapter *chapter, const uint8_t *data)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	const struct lab_view view = {
		.out = out, .width = 40 + *data % 61, .colour = *data % 2, .columns = *data % 3
	};

	if (!out)
		return;
	for (size_t i = 0; i < chapter->n_blocks; i++) {
		const struct lab_block *block = &chapter->blocks[i];

		lab_print_markdown(&view, block->text);
		lab_print_output(&view, "  | ", block->text);
		lab_print_both(&view, "box", block->text, chapter->title);
		for (size_t k = 0; k < block->choices.n; k++)
			lab_print_wrapped(&view, "  a) ", "     ", block->choices.at[k].text);
		if (block->answer)
			(void)lab_same(block->answer, block->text);
		try_checks(&block->checks, data);
	}
	fclose(out);
	free(text);
}

static void look(const struct lab_mistakes *mistakes)
{
	for (size_t i = 0; i < mistakes->n; i++) {
		const char *number = str_after(mistakes->lines[i], PATH ":");
		char *end;

		if (!number || strtoul(number, &end, 10) == 0 || strncmp(end, ": ", 2) != 0 || end[2] == '\0')
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab_mistakes mistakes = { 0 };
	struct lab_chapter *chapter = NULL;
	struct err err = ERR_INIT;

	if (size == 0)
		return 0;
	if (lab_chapter_parse(PATH, "fuzz", (const char *)data, size, &chapter, &mistakes, &err) == 0)
		use(chapter, data);
	else if (!err_is_set(&err) || (mistakes.n == 0 && err.errnum != ENOMEM))
		abort(); /* an error without a word */
	look(&mistakes);
	lab_chapter_free(chapter);
	lab_mistakes_done(&mistakes);
	return 0;
}
