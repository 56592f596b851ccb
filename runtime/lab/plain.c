/* SPDX-License-Identifier: Apache-2.0 */
/* The plain-line view. */
#include <nsrun/lab/play.h>

#include <nsrun/base/strings.h>
#include <nsrun/lab/sieve.h>

static char *read_line(struct lab_play *play, enum lab_prompt where)
{
	char prompt[LAB_PROMPT_MAX], *line = NULL;
	size_t size = 0;

	fputs(lab_prompt_text(play, where, prompt), play->view.out);
	fflush(play->view.out);
	if (getline(&line, &size, play->in) < 0) {
		/* A terminal's own line goes on behind the prompt. */
		fputs("\n", play->view.out);
		free(line);
		return NULL;
	}
	/* A terminal shows the line, and its end. */
	if (!play->terminal)
		fputc('\n', play->view.out);
	fflush(play->view.out);
	return line;
}

static void lend(struct lab_play *play, const char *say)
{
	fputs(say, play->view.out);
	fflush(play->view.out);
}

static void take_back(struct lab_play *play, bool wait)
{
	(void)play;
	(void)wait;
}

static void plain_close(struct lab_play *play, bool wait)
{
	(void)wait;
	fclosep(&play->view.out);
	play->view.out = NULL;
}

static const struct lab_presentation plain = { read_line, lend, take_back, plain_close };

int lab_plain_open(struct lab_play *play, FILE *out, struct err *err)
{
	FILE *stream = lab_sieve_open(out, play->view.colour);

	if (!stream)
		return err_oom(err);
	play->view.out = stream;
	play->view.flow = false;
	play->shown = &plain;
	return 0;
}
