/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/lab.h>

#include <nsrun/base/strings.h>
#include <nsrun/cli/commands.h>
#include <nsrun/cli/containers.h>
#include <nsrun/cli/report.h>
#include <nsrun/lab/needs.h>
#include <nsrun/lab/play.h>

#include <string.h>

#define WORDS_MAX 1024 /* results of a class, too */

#define LINE(field, ...) COMMAND_OPTION(struct lab_options, field, __VA_ARGS__)

static const struct option_row rows[] = {
	LINE(chapters, "chapters", 0, "DIR", STRING, "chapters of this directory, instead of those of nsrun",
	     "--chapters ~/course"),
	OPTION_HELP_ROW,
	LINE(json, "json", 0, NULL, FLAG, "list, check, report: as JSON", "--json"),
	LINE(one_column, "one-column", 0, NULL, FLAG, "never two sides in one line (for screen readers)",
	     "--one-column"),
	LINE(output, "output", 'o', "FILE", STRING, "report: write it there; - is standard output", "-o anna.html"),
	LINE(salt, "salt", 0, "TEXT", STRING, "report: hash with this (better: $NSRUN_LAB_SALT)", "--salt autumn"),
	LINE(plain, "plain", 0, NULL, FLAG, "lines instead of panes, as --view plain", "--plain"),
	LINE(verify, "verify", 0, NULL, FLAG, "list: read all chapters and tell every mistake", "--verify"),
	LINE(view, "view", 0, "VIEW", STRING, "plain: lines; panes: the whole screen (as it fits)", "--view plain",
	     .values = (const char *const[]){ "plain", "panes", NULL }),
};
const struct option_table lab_options = { .rows = rows, .count = ARRAY_LEN(rows), .command = "lab" };

/* ---- playing ---- */

static int open_session(struct lab_place *place, struct lab_session **ret, struct err *err)
{
	int r = lab_place_make(place, err);

	if (r == 0)
		r = lab_place_lock(place, LAB_LOCK_MS, err);
	if (r < 0)
		return r;
	if (!lab_place_has_rootfs(place)) {
		puts("Making the lab's rootfs, once.");
		fflush(stdout);
	}
	r = lab_session_open(place, ret, err);
	if (r < 0)
		return r;
	r = lab_can_launch(*ret, err);
	if (r < 0) {
		lab_session_close(*ret);
		*ret = NULL;
	}
	return r;
}

static void print_begin(const struct lab_view *view, const struct lab_chapter *chapter)
{
	lab_strong(view, true);
	lab_print_wrapped(view, "", "", chapter->title);
	lab_strong(view, false);
	lab_print_wrapped(view, "About this chapter: ", "  ", chapter->goal);
	fprintf(view->out, "It takes about %u minutes.\n", chapter->minutes);
}

static bool is_playable(struct lab_play *play)
{
	_cleanup_free_ char *reason = NULL;

	if (lab_needs_met(play->session, play->chapter->needs, &reason))
		return true;
	for (char *c = reason; c && *c; c++)
		if (*c == '\n')
			*c = ' ';
	lab_say(&play->view, "skipped", "%s: %s", play->chapter->id, reason ? reason : "this host cannot");
	if (play->progress) {
		lab_progress_skip(play->progress, play->chapter, reason ? reason : "");
		(void)lab_progress_save(play->progress, NULL);
	}
	return false;
}

static void print_outcome(const struct lab_play *play, enum lab_end end)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct lab_result r;

	if (end == LAB_QUIT) {
		lab_say(&play->view, "lab", "you are at block %zu of %zu; `nsrun lab %s` goes on there.", play->at + 1,
			play->chapter->n_blocks, play->chapter->id);
		return;
	}
	if (!arena || lab_result_make(arena, play->chapter, play->progress, &r, NULL) < 0)
		return;
	fputc('\n', play->view.out);
	lab_say(&play->view, "lab",
		"%s: the end. Predictions that were right: %u of %zu; tasks that you have solved: %u of %zu.", r.id,
		r.right, r.asks_wanted, r.solved, r.tasks_wanted);
}

static int play_to_end(struct lab_play *play, enum lab_end *ret, struct err *err)
{
	size_t from = lab_progress_block(play->progress, play->chapter);
	enum lab_end end = LAB_ONCE_MORE;
	int r = 0;

	print_begin(&play->view, play->chapter);
	while (r == 0 && end == LAB_ONCE_MORE) {
		r = lab_play_run(play, from, &end, err);
		if (r == 0 && end == LAB_ONCE_MORE) {
			lab_session_clear(play->session);
			lab_play_done(play);
			play->asked = NULL;
			from = 0;
		}
	}
	*ret = end;
	return r;
}

/* What stays on the terminal when the panes are gone is told once more, as lines. */
static int play_shown(const struct lab_options *options, struct lab_play *play, bool panes, struct err *err)
{
	enum lab_end end = LAB_QUIT;
	int r = 0;

	if (panes) {
		play->shown->close(play, false);
		r = lab_open_panes(play, err);
		if (r < 0)
			return r;
	}
	r = play_to_end(play, &end, err);
	if (r == 0)
		print_outcome(play, end);
	play->shown->close(play, r == 0 && end == LAB_TO_ITS_END);
	if (r == 0 && panes) {
		r = lab_open_lines(options, play, err);
		if (r < 0)
			return r;
		print_outcome(play, end);
		play->shown->close(play, false);
	}
	return r;
}

static int play(const struct lab_options *options, struct lab_place *place, const char *id)
{
	_cleanup_(lab_chapter_freep) struct lab_chapter *chapter = NULL;
	_cleanup_(lab_progress_done) struct lab_progress progress = { 0 };
	struct lab_session *session = NULL;
	struct err err = ERR_INIT;
	bool panes = false;

	int status = lab_read_chapter(place, id, &chapter);
	if (status)
		return status;
	int r = lab_choose_view(options, &panes, &err);
	if (r == 0)
		r = open_session(place, &session, &err);
	if (r == 0)
		r = lab_progress_load(place, &progress, &err);
	struct lab_play state = { .in = stdin,
				  .terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO),
				  .session = session,
				  .chapter = chapter,
				  .progress = &progress };

	if (r == 0)
		r = lab_open_lines(options, &state, &err);
	if (r == 0 && is_playable(&state))
		r = play_shown(options, &state, panes, &err);
	else if (r == 0)
		state.shown->close(&state, false);
	lab_play_done(&state);
	fflush(stdout);
	lab_session_close(session);
	return r < 0 ? report_error(stderr, &err) : report_flush(stdout, "standard output");
}

/* 0: it holds, or this host cannot play it; 1: it does not. */
static int solve_one(const struct lab_options *options, struct lab_session *session, struct lab_place *place,
		     const char *id)
{
	_cleanup_(lab_chapter_freep) struct lab_chapter *chapter = NULL;
	struct err err = ERR_INIT;

	if (lab_read_chapter(place, id, &chapter))
		return 1;
	struct lab_play state = { .session = session, .chapter = chapter };

	if (lab_open_lines(options, &state, &err) < 0)
		return report_error(stderr, &err);
	print_begin(&state.view, chapter);
	if (!is_playable(&state)) {
		state.shown->close(&state, false);
		return 0;
	}
	(void)lab_play_solve(&state, &err);
	lab_play_done(&state);
	fputc('\n', state.view.out);
	if (state.errors)
		lab_say(&state.view, "lab", "%s: does not hold here: %u error%s", id, state.errors,
			state.errors == 1 ? "" : "s");
	else
		lab_say(&state.view, "lab", "%s: holds. Answers that the kernel vouches for: %u.", id, state.vouched);
	state.shown->close(&state, false);
	return state.errors ? 1 : 0;
}

static int solve(const struct lab_options *options, struct lab_place *place, const char *const *ids, size_t n)
{
	struct lab_session *session = NULL;
	struct err err = ERR_INIT;
	int status = 0;

	if (n == 0) {
		err_input(&err, "lab solve: which chapter? nsrun lab list");
		return report_error(stderr, &err);
	}
	if (open_session(place, &session, &err) < 0)
		return report_error(stderr, &err);
	for (size_t i = 0; i < n; i++) {
		status |= solve_one(options, session, place, ids[i]);
		lab_session_clear(session);
		fflush(stdout);
	}
	lab_session_close(session);
	const int flushed = report_flush(stdout, "standard output");

	return flushed ? flushed : status;
}

/* ---- the command ---- */

const char *const lab_commands[] = { "list", "check", "solve", "report", "reset", NULL };

static int dispatch(const struct lab_options *options, struct lab_place *place, const char *const *words, size_t n)
{
	struct err err = ERR_INIT;

	if (n == 0)
		return lab_show_next(options, place);
	if (streq(words[0], "check"))
		return lab_show_check(options, place, words + 1, n - 1);
	if (streq(words[0], "solve"))
		return solve(options, place, words + 1, n - 1);
	if (streq(words[0], "report"))
		return lab_report(options, place, words + 1, n - 1);
	if (streq(words[0], "reset"))
		return lab_reset(options, place, words + 1, n - 1);
	if (n > 1) {
		err_input(&err, "lab: one word too many: '%s'; nsrun lab --help", words[1]);
		return report_error(stderr, &err);
	}
	return streq(words[0], "list") ? lab_show_list(options, place) : play(options, place, words[0]);
}

/* What learners have handed in is read without chapters. */
static bool is_class(const char *const *words, size_t n)
{
	return n > 1 && streq(words[0], "report");
}

int command_lab(int argc, char *const *argv)
{
	_cleanup_(lab_place_done) struct lab_place place = LAB_PLACE_INIT;
	_cleanup_free_ const char **words = NULL;
	struct lab_options options = { 0 };
	struct err err = ERR_INIT;
	int status;
	size_t n;

	if (!command_begin(&lab_options, argc, argv, &options, 0, WORDS_MAX, &words, &n, &status))
		return status;
	if (lab_place_find(options.chapters, &place, &err) < 0 ||
	    (!is_class(words, n) && lab_place_wants_chapters(&place, &err) < 0))
		return report_error(stderr, &err);
	return dispatch(&options, &place, words, n);
}
