/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/lab/play.h>

#include <nsrun/base/clock.h>
#include <nsrun/base/strings.h>
#include <nsrun/lab/look.h>
#include <nsrun/lab/needs.h>

#include <stdarg.h>
#include <string.h>

#define RECHECK_MS 30
#define SETTLE_MS 3000

struct lab_kernel lab_play_kernel(struct lab_play *play)
{
	return (struct lab_kernel){ .value = lab_session_value, .data = play->session };
}

void lab_play_wrong(struct lab_play *play, unsigned line, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	char word[256];
	va_list args;

	play->errors++;
	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	va_end(args);
	snprintf(word, sizeof(word), "%s:%u", play->chapter->path, line);
	lab_say(&play->view, word, "%s", text ? text : "");
}

void lab_play_error(struct lab_play *play, const struct err *err)
{
	char text[ERR_MESSAGE_MAX * 4];
	const char *remedy = err_id_remedy(err->id);

	lab_say(&play->view, "nsrun lab", "%s", err_format(err, text, sizeof(text)));
	if (remedy)
		lab_say(&play->view, "remedy", "%s", remedy);
}

bool lab_play_checks(struct lab_play *play, const struct lab_checks *checks, unsigned ms, bool tell)
{
	const struct lab_kernel kernel = lab_play_kernel(play);
	const uint64_t end = now_ms() + ms;
	size_t bad;

	for (;;) {
		bad = 0;
		for (size_t i = 0; i < checks->n; i++)
			bad += lab_check_try(&checks->at[i], &kernel, NULL) != LAB_HOLDS;
		if (bad == 0)
			return true;
		if (now_ms() >= end)
			break;
		usleep(RECHECK_MS * 1000);
	}
	for (size_t i = 0; tell && i < checks->n; i++) {
		_cleanup_free_ char *story = NULL;

		if (lab_check_try(&checks->at[i], &kernel, &story) != LAB_HOLDS)
			lab_say(&play->view, "not yet", "%s", story ? story : checks->at[i].text);
	}
	return false;
}

/* ---- what blocks do ---- */

bool lab_play_launch(struct lab_play *play, char *const *words, enum step_id hold, bool fails, unsigned line)
{
	struct lab_container *c = NULL;
	struct err err = ERR_INIT;
	pid_t pid;

	if (lab_session_run(play->session, words, hold, &c, &err) < 0) {
		lab_play_error(play, &err);
		play->errors++;
		return false;
	}
	/* The status of `create` is its own: it has executed no program. */
	const bool failed = c->state == LAB_ENDED &&
			    ((c->status >= 125 && c->status <= 127) || (c->status && lab_is_create(words)));

	if (!play->quiet && c->state == LAB_HELD)
		lab_show_held(&play->view, c);
	if (!play->quiet && c->state == LAB_RUNNING && lab_session_pid(play->session, c->name, NULL, &pid, &err) == 0)
		lab_say(&play->view, c->name, "it runs; its process 1 is process %d of the host", pid);
	if (!play->quiet && c->state == LAB_CREATED && lab_session_pid(play->session, c->name, NULL, &pid, &err) == 0)
		lab_say(&play->view, c->name, "it is created; process %d of the host, its process 1, waits for start",
			pid);
	if (c->state == LAB_ENDED && (!play->quiet || failed != fails)) {
		lab_print_output(&play->view, "  | ", c->nsrun.text);
		lab_say(&play->view, c->name,
			!failed		       ? "it has ended: exit status %d"
			: lab_is_create(words) ? "it was not created: exit status %d"
					       : "it was not started: exit status %d",
			c->status);
	}
	if (hold != STEP_NONE && c->state != LAB_HELD) {
		lab_play_wrong(play, line, "the launch did not stand before the row %s: it has none in this launch",
			       score[hold].name);
		return false;
	}
	if (failed == fails)
		return true;
	/* What a learner has typed is no mistake of the chapter. */
	if (line == 0)
		return false;
	lab_play_wrong(play, line, fails ? "this must fail to start, and it did not" : "this could not be started");
	return false;
}

static void play_sh_line(struct lab_play *play, const struct lab_block *block, const struct lab_line *line)
{
	_cleanup_free_ char *host = NULL, *inside = NULL;
	struct err err = ERR_INIT;
	int status = 0, inside_status = 0, r = 0;

	/* One alone stands above already. */
	if (!play->quiet && block->lines.n > 1)
		fprintf(play->view.out, "%s$ %s\n",
			block->both   ? "both"
			: block->name ? block->name
				      : "host",
			line->text);
	if (block->both || !block->name)
		r = lab_session_sh(play->session, NULL, line->text, &status, &host, &err);
	if (r == 0 && block->name)
		r = lab_session_sh(play->session, block->name, line->text, &inside_status, &inside, &err);
	if (r < 0) {
		play->errors++;
		lab_play_error(play, &err);
		return;
	}
	if (play->quiet)
		return;
	if (block->both)
		lab_print_both(&play->view, block->name, host, inside);
	else
		lab_print_output(&play->view, "  | ", block->name ? inside : host);
	if (status)
		lab_say(&play->view, "  host", "exit status %d", status);
	if (inside_status)
		lab_say(&play->view, "  status", "%d in %s", inside_status, block->name);
}

static void play_go(struct lab_play *play, const struct lab_block *block)
{
	struct lab_container *c = lab_session_find(play->session, block->name);
	struct err err = ERR_INIT;
	int r = -ENOENT;

	if (!c)
		err_input(&err, "%s: the lab has not started it", block->name);
	else
		r = lab_session_go(play->session, c, block->step, false, &err);
	if (r < 0) {
		lab_play_error(play, &err);
		/* A learner may have let it go by himself. */
		play->errors += !c || !play->in;
		return;
	}
	if (play->quiet)
		return;
	if (c->state == LAB_HELD)
		lab_show_held(&play->view, c);
	else if (c->state == LAB_RUNNING)
		lab_say(&play->view, c->name, "its launch is finished: it runs");
	else
		lab_say(&play->view, c->name, "it has ended: exit status %d", c->status);
	if (c->state == LAB_ENDED)
		lab_print_output(&play->view, "  | ", c->nsrun.text);
}

static void play_check(struct lab_play *play, const struct lab_block *block)
{
	const struct lab_kernel kernel = lab_play_kernel(play);

	(void)lab_play_checks(play, &block->checks, SETTLE_MS, false);
	for (size_t i = 0; i < block->checks.n; i++) {
		_cleanup_free_ char *story = NULL;
		const struct lab_check *check = &block->checks.at[i];

		if (lab_check_try(check, &kernel, &story) == LAB_HOLDS) {
			lab_say(&play->view, "checked", "%s (%s)", check->text, story ? story : "");
			continue;
		}
		lab_play_wrong(play, check->line, "%s", story ? story : check->text);
		if (play->in)
			lab_say(&play->view, "note",
				"here the chapter expects something else than what the kernel says. If commands of your own changed it, `again` plays "
				"the chapter from its beginning.");
	}
}

static void forget_skipped(struct lab_play *play, const struct lab_block *block, const char *reason)
{
	if (block->word == LAB_RUN && block->name && play->n_skipped < ARRAY_LEN(play->skipped))
		play->skipped[play->n_skipped++] = block->name;
	if (play->quiet)
		return;
	const bool next = play->skipping;

	play->skipping = true;
	if (play->reason && streq(play->reason, reason)) {
		if (!next)
			lab_say(&play->view, "skipped", "for the same reason");
		return;
	}
	lab_say(&play->view, "skipped", "%s", reason);
	free(play->reason);
	play->reason = strdup(reason);
}

/* Is the block about a container that was skipped? */
static bool is_skipped(const struct lab_play *play, const struct lab_block *block)
{
	for (size_t i = 0; block->name && block->word != LAB_RUN && i < play->n_skipped; i++)
		if (streq(play->skipped[i], block->name))
			return true;
	return false;
}

enum lab_end lab_play_effect(struct lab_play *play, const struct lab_block *block)
{
	struct err err = ERR_INIT;
	int r = 0;

	switch (block->word) {
	case LAB_RUN:
		(void)lab_play_launch(play, block->words, block->step, block->fails, block->lines.at[0].line);
		break;
	case LAB_SH:
		for (size_t i = 0; i < block->lines.n; i++)
			play_sh_line(play, block, &block->lines.at[i]);
		break;
	case LAB_GO:
		play_go(play, block);
		break;
	case LAB_END:
		r = lab_session_end(play->session, block->name, &err);
		if (r == 0 && !play->quiet)
			lab_say(&play->view, block->name, "it was ended and removed");
		break;
	case LAB_LOOK:
		r = play->quiet ? 0 : lab_look(&play->view, play->session, block->name, block->words, &err);
		break;
	case LAB_TAPE:
		r = play->quiet ? 0 : lab_show_tape(&play->view, play->session, block->name, block->words, &err);
		break;
	case LAB_CHECK:
		if (!play->quiet)
			play_check(play, block);
		break;
	default:
		break;
	}
	if (r < 0) {
		lab_play_error(play, &err);
		play->errors += !play->in || block->word != LAB_END;
	}
	return LAB_TO_ITS_END;
}

/* ---- the chapter ---- */

static const char *what_comes(const struct lab_block *block)
{
	switch (block->word) {
	case LAB_RUN:
		return "starts a container";
	case LAB_SH:
		return block->both ? "runs this on both sides" : "runs this";
	case LAB_LOOK:
		return "looks at both sides, as the kernel has them";
	case LAB_TAPE:
		return "shows the rows of the launch";
	case LAB_GO:
		return "lets the launch go on";
	default:
		return "ends the container";
	}
}

static void announce(const struct lab_play *play, const struct lab_block *block)
{
	FILE *out = play->view.out;

	fputc('\n', out);
	lab_strong(&play->view, true);
	if (block->word == LAB_RUN) {
		fprintf(out, "  $ %s\n", block->lines.at[0].text);
	} else if (block->word == LAB_SH) {
		for (size_t i = 0; i < block->lines.n; i++)
			fprintf(out, "  %s$ %s\n",
				block->both   ? "both"
				: block->name ? block->name
					      : "host",
				block->lines.at[i].text);
	} else {
		fprintf(out, "  %s %s",
			block->word == LAB_LOOK	  ? "look"
			: block->word == LAB_TAPE ? "tape"
			: block->word == LAB_GO	  ? "go"
						  : "end",
			block->name);
		for (char **word = block->words; word && *word; word++)
			fprintf(out, " %s", *word);
		fputc('\n', out);
	}
	lab_strong(&play->view, false);
	if (play->in)
		fprintf(out, "  (Enter %s)\n", what_comes(block));
}

static enum lab_end await_enter(struct lab_play *play, const struct lab_block *block)
{
	if (!play->in)
		return LAB_TO_ITS_END;
	switch (lab_prompt(play, LAB_AT_BLOCK, block, NULL)) {
	case LAB_LEAVE:
		return LAB_QUIT;
	case LAB_AGAIN:
		return LAB_ONCE_MORE;
	default:
		return LAB_TO_ITS_END;
	}
}

static enum lab_end play_block(struct lab_play *play, const struct lab_block *block)
{
	_cleanup_free_ char *reason = NULL;

	if (!lab_needs_met(play->session, block->needs, &reason)) {
		forget_skipped(play, block, reason ? reason : "this host cannot");
		if (play->progress && (block->word == LAB_ASK || block->word == LAB_TASK))
			lab_progress_leave_out(play->progress, play->chapter, block, reason ? reason : "");
		return LAB_TO_ITS_END;
	}
	if (is_skipped(play, block))
		return LAB_TO_ITS_END;
	play->skipping = false;
	switch (block->word) {
	case LAB_TEXT:
		lab_play_tell(play);
		fputc('\n', play->view.out);
		lab_print_markdown(&play->view, block->text);
		return LAB_TO_ITS_END;
	case LAB_SHOWN:
		fputc('\n', play->view.out);
		lab_print_output(&play->view, "    ", block->text);
		return LAB_TO_ITS_END;
	case LAB_ASK:
		lab_play_tell(play);
		return lab_play_ask(play, block);
	case LAB_TASK:
		lab_play_tell(play);
		return lab_play_task(play, block);
	case LAB_CHECK:
		return lab_play_effect(play, block);
	default:
		announce(play, block);
		const enum lab_end end = await_enter(play, block);

		return end == LAB_TO_ITS_END ? lab_play_effect(play, block) : end;
	}
}

/* Blocks that were played another day: what they made is made again. Questions and looks are not repeated. */
static bool set_up(struct lab_play *play, size_t to)
{
	play->quiet = true;
	for (size_t i = 0; i < to && play->errors == 0; i++) {
		const struct lab_block *block = &play->chapter->blocks[i];
		_cleanup_free_ char *reason = NULL;

		if (!lab_needs_met(play->session, block->needs, &reason))
			forget_skipped(play, block, "");
		else if (block->word == LAB_TASK && !is_skipped(play, block))
			(void)lab_play_solution(play, block);
		else if (!is_skipped(play, block))
			(void)lab_play_effect(play, block);
	}
	play->quiet = false;
	return play->errors == 0;
}

static void save(struct lab_play *play, uint64_t *since)
{
	const unsigned seconds = (unsigned)((now_ms() - *since) / 1000);
	struct err err = ERR_INIT;

	if (!play->progress)
		return;
	lab_progress_at(play->progress, play->chapter, play->at, seconds);
	*since += seconds * 1000ULL;
	if (lab_progress_save(play->progress, &err) < 0)
		lab_play_error(play, &err);
}

static enum lab_end play_blocks(struct lab_play *play)
{
	uint64_t since = now_ms();
	enum lab_end end = LAB_TO_ITS_END;

	while (play->at < play->chapter->n_blocks && end == LAB_TO_ITS_END) {
		end = play_block(play, &play->chapter->blocks[play->at]);
		if (end == LAB_TO_ITS_END) {
			play->at++;
			/* A question that waits for its answer is asked again. */
			if (!play->asked)
				save(play, &since);
		}
		fflush(play->view.out);
	}
	if (end == LAB_TO_ITS_END) {
		lab_play_tell(play);
		save(play, &since);
	}
	return end;
}

int lab_play_run(struct lab_play *play, size_t from, enum lab_end *ret, struct err *err)
{
	play->session->recorded = play->progress ? play->chapter->id : NULL;
	if (from > 0) {
		lab_say(&play->view, "lab", "you were at block %zu of %zu; what came before is set up again.", from + 1,
			play->chapter->n_blocks);
		if (!set_up(play, from)) {
			lab_say(&play->view, "lab", "that did not succeed: the chapter begins anew.");
			lab_session_clear(play->session);
			from = 0;
		}
	}
	play->errors = 0;
	play->at = from;
	if (play->progress) {
		lab_progress_begin(play->progress, play->chapter, from);
		if (lab_progress_save(play->progress, err) < 0)
			return -EIO;
	}
	*ret = play_blocks(play);
	return 0;
}

int lab_play_solve(struct lab_play *play, struct err *err)
{
	(void)err;
	play->in = NULL;
	play->at = 0;
	(void)play_blocks(play);
	return 0;
}

void lab_play_done(struct lab_play *play)
{
	free(play->answer);
	free(TAKE_PTR(play->reason));
	play->answer = NULL;
}
