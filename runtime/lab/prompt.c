/* SPDX-License-Identifier: Apache-2.0 */
/* What a learner types. */
#include <nsrun/lab/play.h>

#include <nsrun/base/strings.h>
#include <nsrun/lab/look.h>

#include <string.h>

const char lab_help_text[] = "  Enter, next          go on; at a task: check it\n"
			     "  hint  check  solve   at a task: a hint, grade it, the lab's own solution\n"
			     "  look [NAME] [WHAT]   host and container by the kernel's word: ns ids caps mounts\n"
			     "                       cgroup links processes\n"
			     "  tape [NAME] [ROW]    the rows of its launch, with manual pages and times\n"
			     "  step, go [NAME]      a launch that is held: one row, or all of them\n"
			     "  host CMD             a command on the host (in the lab's directory)\n"
			     "  NAME CMD             the same in the container; both NAME CMD: on both sides\n"
			     "  shell NAME           a shell in it (exit comes back); shell host\n"
			     "  nsrun ...            any command of nsrun; with --name it runs beside the lab\n"
			     "  end NAME             ends a container\n"
			     "  again  quit          the chapter from its beginning; leave, to go on another day\n"
			     "  = TEXT               an answer that would be a command otherwise\n";

/* The rest of `line` behind the word; NULL: it begins with another one. */
static char *behind(char *line, const char *word)
{
	const size_t n = strlen(word);

	if (strncmp(line, word, n) != 0 || (line[n] && line[n] != ' ' && line[n] != '\t'))
		return NULL;
	return line + n + strspn(line + n, " \t");
}

static void show_error(struct lab_play *play, struct err *err)
{
	lab_play_error(play, err);
	*err = ERR_INIT;
}

/* The only container that there is; NULL: none, or several. */
static const char *only_one(const struct lab_play *play)
{
	return play->session->n == 1 ? play->session->containers[0]->name : NULL;
}

static bool is_container(struct lab_play *play, const char *name)
{
	return lab_session_find(play->session, name) || lab_session_state(play->session, name, NULL) != LAB_NONE;
}

/* "[NAME] [WORD...]": the name, the only container where none is said; *ret_rest are the other words. */
static const char *take_name(struct lab_play *play, char **words, char ***ret_rest)
{
	*ret_rest = words;
	if (words[0] && is_container(play, words[0])) {
		*ret_rest = words + 1;
		return words[0];
	}
	const char *name = only_one(play);

	if (!name)
		fputs(words[0] ? "There is no such container.\n" : "Which container?\n", play->view.out);
	return name;
}

static void do_go(struct lab_play *play, const char *name, const char *row, bool every)
{
	struct lab_container *c = name ? lab_session_find(play->session, name) : NULL;
	const enum step_id step = row ? score_find(row) : STEP_NONE;
	struct err err = ERR_INIT;

	if (!c)
		return;
	if (row && step == STEP_NONE) {
		fprintf(play->view.out, "'%s' is no row; `tape %s` has their names.\n", row, name);
		return;
	}
	if (lab_session_go(play->session, c, step, every, &err) < 0) {
		show_error(play, &err);
		return;
	}
	if (c->state == LAB_HELD)
		lab_show_held(&play->view, c);
	else
		lab_say(&play->view, name,
			c->state == LAB_RUNNING ? "its launch is finished: it runs" : "it has ended");
	if (c->state == LAB_ENDED)
		lab_print_output(&play->view, "  | ", c->nsrun.text);
}

/* look, tape, step, go, end: words about a container. */
static bool do_words(struct lab_play *play, const char *word, char *rest)
{
	static const char *const known[] = { "look", "tape", "step", "go", "end" };
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	const char *wrong = NULL, *name;
	struct err err = ERR_INIT;
	char **more;
	bool mine = false;

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		mine = mine || streq(known[i], word);
	if (!mine || !arena)
		return false;
	char **words = lab_split(arena, rest, &wrong);

	if (!words) {
		fprintf(play->view.out, "%s\n", wrong);
		return true;
	}
	name = take_name(play, words, &more);
	if (!name)
		return true;
	if (streq(word, "look"))
		(void)lab_look(&play->view, play->session, name, more, &err);
	else if (streq(word, "tape"))
		(void)lab_show_tape(&play->view, play->session, name, more, &err);
	else if (streq(word, "end"))
		(void)lab_session_end(play->session, name, &err);
	else
		do_go(play, name, more[0], streq(word, "step"));
	if (err_is_set(&err))
		show_error(play, &err);
	return true;
}

/* What a container prints is read by the lab, which escapes it: a terminal does what control characters say. */
static void do_shell_line(struct lab_play *play, const char *name, const char *line)
{
	_cleanup_free_ char *text = NULL;
	struct err err = ERR_INIT;
	int status = 0;

	fflush(play->view.out);
	if (lab_session_sh(play->session, name, line, &status, &text, &err) < 0) {
		show_error(play, &err);
		return;
	}
	lab_print_output(&play->view, "  | ", text);
	if (status)
		fprintf(play->view.out, "  exit status %d\n", status);
}

/* What the learner wants to type to has the terminal itself. `line` NULL: a shell. */
static void do_terminal_line(struct lab_play *play, const char *name, const char *line, const char *say)
{
	struct err err = ERR_INIT;
	int status = 0;

	fflush(play->view.out);
	play->shown->lend(play, say);
	const int r = lab_session_sh_terminal(play->session, name, line, &status, &err);

	play->shown->take_back(play, line != NULL);
	if (r < 0)
		show_error(play, &err);
	else if (line && status)
		fprintf(play->view.out, "  exit status %d\n", status);
}

static void do_shell(struct lab_play *play, const char *name)
{
	const bool host = streq(name, "host");
	char say[160];

	if (!play->terminal) {
		fputs("A shell takes a terminal; `NAME CMD` runs one command.\n", play->view.out);
	} else if (!host && !is_container(play, name)) {
		fputs("There is no such container.\n", play->view.out);
	} else {
		snprintf(say, sizeof(say), "A shell %s%s; `exit` comes back to the lab.\n", host ? "on the " : "in ",
			 name);
		do_terminal_line(play, host ? NULL : name, NULL, say);
	}
}

static void do_both(struct lab_play *play, char *rest)
{
	_cleanup_free_ char *host = NULL, *inside = NULL;
	const size_t n = strcspn(rest, " \t");
	_cleanup_free_ char *name = strndup(rest, n);
	struct err err = ERR_INIT;
	int status;

	rest += n + strspn(rest + n, " \t");
	if (!name || !is_container(play, name) || !*rest) {
		fputs("Wanted is: both NAME CMD\n", play->view.out);
		return;
	}
	if (lab_session_sh(play->session, NULL, rest, &status, &host, &err) < 0 ||
	    lab_session_sh(play->session, name, rest, &status, &inside, &err) < 0)
		show_error(play, &err);
	else
		lab_print_both(&play->view, name, host, inside);
}

/* A launch, exec or attach for a terminal; -t of other commands is something else. Options of the container's command are taken for nsrun's, and do no
 * harm. */
static bool wants_terminal(char *const *words)
{
	if (!words[1] || streq(words[1], "attach"))
		return words[1] != NULL;
	if (words[1][0] != '-' && !strchr(words[1], '/') && !streq(words[1], "rootfs") && !streq(words[1], "exec") &&
	    !streq(words[1], "run"))
		return false;
	for (; *words; words++)
		if (streq(*words, "--tty") || streq(*words, "-t") || streq(*words, "-it") || streq(*words, "-ti"))
			return true;
	return false;
}

static bool has_option(char *const *words, const char *name, const char *letter)
{
	for (; *words; words++)
		if (streq(*words, name) || streq(*words, letter))
			return true;
	return false;
}

/* A launch with a name runs beside the lab, as a block `run` does: in the foreground nobody could look at it. All else is a command. */
static void do_nsrun(struct lab_play *play, const char *line)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	const char *wrong = NULL;
	char **words = arena ? lab_split(arena, line, &wrong) : NULL;

	if (!words)
		fprintf(play->view.out, "%s\n", wrong ? wrong : "memory is exhausted");
	else if (wants_terminal(words) && play->terminal)
		do_terminal_line(play, NULL, line, "");
	else if (words[1] && (words[1][0] == '-' || lab_is_of_bundle(words)) && lab_name_of(words) &&
		 !has_option(words, "--detach", "-d") && !wants_terminal(words) &&
		 !has_option(words, "--dry-run", "--help"))
		(void)lab_play_launch(play, words, STEP_NONE, false, 0);
	else
		do_shell_line(play, NULL, line);
}

/* True: it was a command, which is done. */
static bool do_command(struct lab_play *play, char *line)
{
	const size_t n = strcspn(line, " \t");
	_cleanup_free_ char *word = strndup(line, n);
	char *rest;

	if (!word)
		return true;
	if (streq(word, "help") || streq(word, "?"))
		fputs(lab_help_text, play->view.out);
	else if ((rest = behind(line, "host")) && *rest)
		do_shell_line(play, NULL, rest);
	else if ((rest = behind(line, "shell")) && *rest)
		do_shell(play, rest);
	else if ((rest = behind(line, "both")))
		do_both(play, rest);
	else if (behind(line, "nsrun"))
		do_nsrun(play, line);
	else if (do_words(play, word, line + n + strspn(line + n, " \t")))
		;
	else if (line[n] && is_container(play, word))
		do_shell_line(play, word, line + n + strspn(line + n, " \t"));
	else
		return false;
	return true;
}

static const struct {
	const char *word;
	enum lab_action action;
	bool task; /* only there */
} actions[] = {
	{ "next", LAB_NEXT, false },  { "n", LAB_NEXT, false },	    { "again", LAB_AGAIN, false },
	{ "quit", LAB_LEAVE, false }, { "exit", LAB_LEAVE, false }, { "q", LAB_LEAVE, false },
	{ "hint", LAB_HINT, true },   { "check", LAB_TRY, true },   { "solve", LAB_SOLVE, true },
};

const char *lab_prompt_text(const struct lab_play *play, enum lab_prompt where, char buf[LAB_PROMPT_MAX])
{
	static const char *const words[] = { "", " answer", " task" };

	snprintf(buf, LAB_PROMPT_MAX, "%s %zu/%zu%s> ", play->chapter->id, play->at + 1, play->chapter->n_blocks,
		 words[where]);
	return buf;
}

/* The action of a line; -1: it is none. */
static int action_of(const struct lab_play *play, enum lab_prompt where, const char *line)
{
	if (!*line)
		return where == LAB_AT_TASK ? LAB_TRY : where == LAB_AT_BLOCK ? LAB_NEXT : -1;
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		if (!streq(actions[i].word, line))
			continue;
		if (actions[i].task && where != LAB_AT_TASK) {
			fputs("That is for tasks; there is none now.\n", play->view.out);
			return -1;
		}
		if (actions[i].action == LAB_NEXT)
			return action_of(play, where, "");
		return (int)actions[i].action;
	}
	return -1;
}

static bool is_word_of_actions(const char *line)
{
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (streq(actions[i].word, line))
			return true;
	return false;
}

enum lab_action lab_prompt(struct lab_play *play, enum lab_prompt where, const struct lab_block *block, char **ret_line)
{
	for (;;) {
		_cleanup_free_ char *buf = play->shown->read_line(play, where);
		size_t n = buf ? strlen(buf) : 0;

		if (!buf)
			return LAB_LEAVE;
		while (n > 0 && strchr(" \t\r\n", buf[n - 1]))
			buf[--n] = '\0';
		char *line = buf + strspn(buf, " \t");
		const int action = action_of(play, where, line);

		if (action >= 0)
			return (enum lab_action)action;
		if (where == LAB_AT_ASK && *line == '=') {
			*ret_line = strdup(line + 1 + strspn(line + 1, " "));
			return LAB_ANSWER;
		}
		if (!*line) {
			if (where == LAB_AT_ASK)
				fputs(block->choices.n ? "Wanted is a letter. A guess teaches more than none.\n"
						       : "Wanted is an answer. A guess teaches more than none.\n",
				      play->view.out);
			continue;
		}
		if (is_word_of_actions(line) || do_command(play, line))
			continue;
		if (where == LAB_AT_ASK) {
			*ret_line = strdup(line);
			return LAB_ANSWER;
		}
		fputs("That is no command of the lab; `help` lists them. Commands for a shell are `host CMD` and `NAME CMD`.\n",
		      play->view.out);
	}
}
