/* SPDX-License-Identifier: Apache-2.0 */
/* Questions and tasks. */
#include <nsrun/lab/play.h>
#include <nsrun/lab/record.h>

#include <nsrun/base/clock.h>
#include <nsrun/base/strings.h>

#include <ctype.h>
#include <string.h>

#define SOLVED_MS 3000
#define RECHECK_MS 30

static enum lab_end end_of(enum lab_action action)
{
	return action == LAB_LEAVE ? LAB_QUIT : LAB_ONCE_MORE;
}

/* ---- questions ---- */

/* What is right, now: malloc'd; NULL, with `err`, when the kernel does not say it. */
static char *right_answer(struct lab_play *play, const struct lab_block *block, struct err *err)
{
	struct lab_term term;
	char *value = NULL;

	if (!block->answer_is_term) {
		value = strdup(block->answer);
		if (!value)
			err_oom(err);
		return value;
	}
	/* The reader has parsed it, with the names that were known there. */
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	const size_t end = strcspn(block->answer, "./");
	const char *subject = arena ? arena_strndup(arena, block->answer, end) : NULL;
	const char *const known[] = { subject, NULL };

	if (!subject) {
		err_oom(err);
		return NULL;
	}
	if (lab_term_parse(arena, block->answer, false, known, &term, err) < 0)
		return NULL;
	/* A process that a command has put into the background comes a moment later. */
	const uint64_t last = now_ms() + SOLVED_MS;

	while (lab_session_value(play->session, &term, &value, err) == -ESRCH && now_ms() < last) {
		*err = ERR_INIT;
		usleep(RECHECK_MS * 1000);
	}
	return value;
}

static bool is_right(const struct lab_block *block, const char *given, const char *right)
{
	if (block->choices.n == 0)
		return lab_same(given, right);
	return *given && tolower((unsigned char)given[0]) == right[0] && (given[1] == '\0' || given[1] == ')');
}

/* An answer that is none of the choices; a letter, or one with a parenthesis, or the choice's text. */
static bool is_choice(const struct lab_block *block, const char *given, char ret[2])
{
	const int letter = tolower((unsigned char)given[0]);

	ret[1] = '\0';
	if (letter >= 'a' && letter < 'a' + (int)block->choices.n &&
	    (given[1] == '\0' || (given[1] == ')' && given[2] == '\0'))) {
		ret[0] = (char)letter;
		return true;
	}
	for (size_t i = 0; i < block->choices.n; i++)
		if (lab_same(block->choices.at[i].text, given)) {
			ret[0] = (char)('a' + i);
			return true;
		}
	return false;
}

static void print_question(const struct lab_play *play, const struct lab_block *block)
{
	fputc('\n', play->view.out);
	lab_strong(&play->view, true);
	fputs("Question\n", play->view.out);
	lab_strong(&play->view, false);
	lab_print_markdown(&play->view, block->text);
	for (size_t i = 0; i < block->choices.n; i++) {
		const char first[] = { ' ', ' ', (char)('a' + i), ')', ' ', '\0' };

		lab_print_wrapped(&play->view, first, "     ", block->choices.at[i].text);
	}
}

enum lab_end lab_play_ask(struct lab_play *play, const struct lab_block *block)
{
	print_question(play, block);
	play->asked = block;
	free(TAKE_PTR(play->answer));
	while (play->in) {
		_cleanup_free_ char *line = NULL;
		const enum lab_action action = lab_prompt(play, LAB_AT_ASK, block, &line);
		char letter[2];

		if (action == LAB_LEAVE || action == LAB_AGAIN)
			return end_of(action);
		if (action != LAB_ANSWER || !line)
			continue;
		if (block->choices.n > 0 && !is_choice(block, line, letter)) {
			fprintf(play->view.out, "Wanted is a letter from a to %c, or a command (help).\n",
				(char)('a' + block->choices.n - 1));
			continue;
		}
		play->answer = block->choices.n > 0 ? strdup(letter) : TAKE_PTR(line);
		break;
	}
	if (play->in)
		fputs("Noted; what follows shows it.\n", play->view.out);
	return LAB_TO_ITS_END;
}

/* With nobody to ask: what is right must be graded right, and all else wrong. */
static void prove_grading(struct lab_play *play, const struct lab_block *block, const char *right)
{
	_cleanup_free_ char *more = NULL;
	unsigned wrong = 0;

	if (!is_right(block, right, right))
		lab_play_wrong(play, block->line, "ask %s: the right answer, %s, is graded wrong", block->id, right);
	for (size_t i = 0; i < block->choices.n; i++) {
		const char given[] = { (char)('a' + i), '\0' };

		if (given[0] != right[0])
			wrong += !is_right(block, given, right);
	}
	if (block->choices.n > 0
		    ? wrong + 1 != block->choices.n
		    : asprintf(&more, "%s x", right) < 0 || is_right(block, more, right) || is_right(block, "", right))
		lab_play_wrong(play, block->line, "ask %s: a wrong answer is graded right", block->id);
}

static void print_right(const struct lab_play *play, const struct lab_block *block, const char *right)
{
	if (block->choices.n > 0)
		lab_say(&play->view, "answer", "%s) %s", right, block->choices.at[right[0] - 'a'].text);
	else
		lab_say(&play->view, "answer", "%s", right);
}

void lab_play_tell(struct lab_play *play)
{
	const struct lab_block *block = play->asked;
	struct err err = ERR_INIT;
	char message[ERR_MESSAGE_MAX * 4];

	if (!block)
		return;
	play->asked = NULL;
	_cleanup_free_ char *given = TAKE_PTR(play->answer);

	fputc('\n', play->view.out);
	/* They wait for what is coming, which the answer may be about. */
	const bool holds = lab_play_checks(play, &block->checks, SOLVED_MS, true);
	_cleanup_free_ char *right = right_answer(play, block, &err);

	if (!right) {
		lab_play_wrong(play, block->line, "ask %s: %s", block->id, err_format(&err, message, sizeof(message)));
		return;
	}
	if (!holds)
		lab_play_wrong(play, block->line, "ask %s: what makes its answer true does not hold", block->id);
	else
		play->vouched += block->checks.n > 0 || block->answer_is_term;
	if (!play->in) {
		prove_grading(play, block, right);
		print_right(play, block, right);
	} else if (given) {
		const bool good = is_right(block, given, right);

		lab_say(&play->view, good ? "RIGHT" : "WRONG", "you said: %s", given);
		if (!good)
			print_right(play, block, right);
		if (play->progress)
			lab_progress_ask(play->progress, play->chapter, block->id, given, good, right);
		lab_record_all(play->session);
	}
	if (block->why)
		lab_print_wrapped(&play->view, "", "", block->why);
}

/* ---- tasks ---- */

static bool carry_out(struct lab_play *play, const struct lab_solution *solution)
{
	const bool run = streq(solution->where, "run"), host = streq(solution->where, "host");
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	_cleanup_free_ char *text = NULL;
	struct err err = ERR_INIT;
	const char *wrong;
	int status = 0;

	if (!play->quiet)
		fprintf(play->view.out, "  %s$ %s\n", run ? "" : solution->where, solution->command);
	if (run) {
		char **words = arena ? lab_split(arena, solution->command, &wrong) : NULL;

		return words && lab_play_launch(play, words, STEP_NONE, false, solution->line);
	}
	if (lab_session_sh(play->session, host ? NULL : solution->where, solution->command, &status, &text, &err) < 0) {
		lab_play_error(play, &err);
		play->errors++;
		return false;
	}
	if (!play->quiet)
		lab_print_output(&play->view, "  | ", text);
	/* What it does is graded, not how it ends. */
	return true;
}

bool lab_play_solution(struct lab_play *play, const struct lab_block *block)
{
	for (size_t i = 0; i < block->n_solutions; i++)
		if (!carry_out(play, &block->solutions[i]))
			return false;
	return true;
}

/* With nobody to do it: the checks can fail, and the solution makes them hold. */
static void prove_task(struct lab_play *play, const struct lab_block *block)
{
	const unsigned before = play->errors;

	if (lab_play_checks(play, &block->checks, 0, false))
		lab_play_wrong(play, block->line, "task %s: its checks hold before anything was done", block->id);
	if (!lab_play_solution(play, block) && play->errors == before)
		lab_play_wrong(play, block->line, "task %s: its solution cannot be carried out", block->id);
	if (!lab_play_checks(play, &block->checks, SOLVED_MS, true))
		lab_play_wrong(play, block->line, "task %s: its solution does not make its checks hold", block->id);
	else
		lab_say(&play->view, "solved", "%s", block->id);
}

static void give_hint(struct lab_play *play, const struct lab_block *block, unsigned *hints)
{
	if (*hints == block->hints.n) {
		fputs(block->hints.n ? "There are no more hints; `solve` shows the lab's own solution.\n"
				     : "There is no hint; `solve` shows the lab's own solution.\n",
		      play->view.out);
		return;
	}
	fprintf(play->view.out, "Hint %u of %zu: ", *hints + 1, block->hints.n);
	lab_print_wrapped(&play->view, "", "  ", block->hints.at[*hints].text);
	(*hints)++;
}

static void keep_task(struct lab_play *play, const struct lab_block *block, const char *state, unsigned hints,
		      unsigned tries)
{
	struct err err = ERR_INIT;

	if (!play->progress)
		return;
	lab_progress_task(play->progress, play->chapter, block->id, state, hints, tries);
	if (state)
		lab_record_all(play->session);
	if (lab_progress_save(play->progress, &err) < 0)
		lab_play_error(play, &err);
}

/* True: the task is done. */
static bool solve_it(struct lab_play *play, const struct lab_block *block)
{
	const bool done = lab_play_solution(play, block) && lab_play_checks(play, &block->checks, SOLVED_MS, true);

	if (done)
		lab_say(&play->view, "shown",
			"that was the lab's solution; `again` lets you try the chapter once more.");
	else
		lab_play_wrong(play, block->line,
			       "task %s: the solution did not succeed; `again` plays the chapter from its beginning",
			       block->id);
	return done;
}

enum lab_end lab_play_task(struct lab_play *play, const struct lab_block *block)
{
	unsigned hints = 0, tries = 0;

	fputc('\n', play->view.out);
	lab_strong(&play->view, true);
	fputs("Task\n", play->view.out);
	lab_strong(&play->view, false);
	lab_print_markdown(&play->view, block->text);
	if (!play->in) {
		prove_task(play, block);
		return LAB_TO_ITS_END;
	}
	fputs("(Enter checks it; `hint`, `solve`, `help`)\n", play->view.out);
	for (;;) {
		const enum lab_action action = lab_prompt(play, LAB_AT_TASK, block, NULL);

		switch (action) {
		case LAB_LEAVE:
		case LAB_AGAIN:
			keep_task(play, block, NULL, hints, tries);
			return end_of(action);
		case LAB_HINT:
			give_hint(play, block, &hints);
			break;
		case LAB_SOLVE:
			if (!solve_it(play, block))
				break;
			keep_task(play, block, "shown", hints, tries);
			return LAB_TO_ITS_END;
		default:
			tries++;
			if (!lab_play_checks(play, &block->checks, 500, true))
				break;
			lab_say(&play->view, "SOLVED", "the kernel says so.");
			keep_task(play, block, "solved", hints, tries);
			return LAB_TO_ITS_END;
		}
	}
}
