/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/lab/chapter.h>

#include <nsrun/base/strings.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "# T\n\n```lab\nminutes: 5\ngoal: something\n```\n\n"
#define BOX "```run\nnsrun --name box rootfs sleep 600\n```\n"

static struct lab_chapter *parse(const char *text, struct lab_mistakes *mistakes)
{
	struct lab_chapter *chapter = NULL;
	struct err err = ERR_INIT;

	const int r = lab_chapter_parse("c.md", "c", text, strlen(text), &chapter, mistakes, &err);
	assert_int_equal(r<0, mistakes->n> 0);
	assert_int_equal(r < 0, chapter == NULL);
	return chapter;
}

static struct lab_chapter *good(const char *text)
{
	struct lab_mistakes mistakes = { 0 };
	struct lab_chapter *chapter = parse(text, &mistakes);

	for (size_t i = 0; i < mistakes.n; i++)
		print_error("%s\n", mistakes.lines[i]);
	assert_non_null(chapter);
	lab_mistakes_done(&mistakes);
	return chapter;
}

/* Each line of `wanted` begins one mistake, in this order, and there are no others; "*" in it stands for anything. */
static bool matches(const char *text, const char *wanted)
{
	const char *star = strchr(wanted, '*');

	if (!star)
		return strncmp(text, wanted, strlen(wanted)) == 0;
	return strncmp(text, wanted, (size_t)(star - wanted)) == 0 && strstr(text, star + 1);
}

static void bad(const char *text, const char *const *wanted)
{
	struct lab_mistakes mistakes = { 0 };
	size_t n = 0;

	assert_null(parse(text, &mistakes));
	while (wanted[n])
		n++;
	for (size_t i = 0; i < mistakes.n && (i >= n || mistakes.n != n || !matches(mistakes.lines[i], wanted[i])); i++)
		print_error("got:    %s\nwanted: %s\n", mistakes.lines[i], i < n ? wanted[i] : "nothing");
	assert_int_equal(mistakes.n, n);
	for (size_t i = 0; i < n; i++)
		assert_true(matches(mistakes.lines[i], wanted[i]));
	lab_mistakes_done(&mistakes);
}
#define BAD(text, ...) bad((text), (const char *const[]){ __VA_ARGS__, NULL })

static void reads_a_chapter(void **state)
{
	(void)state;
	struct lab_chapter *c = good(
		"# A title\n\n```lab\nminutes: 10\ngoal: you can\n  do it\nafter: uts pid\nneeds: root\n```\n"
		"<!-- not shown -->\nText\nof two lines.\n\n- a list\n"
		"```run hold=root.pivot needs=root\nnsrun --name box \\\n    --hostname inside rootfs sleep 600\n```\n"
		"```go box\n```\n```go box workload.exec\n```\n"
		"```sh\nhostname\nid -u\n```\n```sh box\nhostname\n```\n```sh both box\nhostname\n```\n"
		"```look box ns ids\n```\n```tape box root.pivot\n```\n"
		"```ask one\nWhat? Note: a colon.\n\nMore.\na) this\nb) that\nanswer: b\nwhy: because\n  of it\nholds: box.uts != host.uts\n```\n"
		"```ask two\nWhat?\nanswer: box.uid\n```\n```ask three\nWhat?\nanswer: \"a.b c\"\n```\n"
		"```check\nbox.uts != host.uts\nnot box/sleep.caps.eff has CAP_SYS_ADMIN\n```\n"
		"```task four\nDo it.\nhint: so\nhint: or so\nsolution box: hostname mine\nsolution run: nsrun --name new rootfs true\ncheck: new.state == none\n```\n"
		"```\nas it stands: ``\n```\n```console\n$ true\n```\n```end box\n```\n");
	static const enum lab_word words[] = { LAB_TEXT,  LAB_RUN,  LAB_GO,    LAB_GO,	  LAB_SH,  LAB_SH,
					       LAB_SH,	  LAB_LOOK, LAB_TAPE,  LAB_ASK,	  LAB_ASK, LAB_ASK,
					       LAB_CHECK, LAB_TASK, LAB_SHOWN, LAB_SHOWN, LAB_END };

	assert_string_equal(c->title, "A title");
	assert_string_equal(c->goal, "you can do it");
	assert_string_equal(c->after[1], "pid");
	assert_string_equal(c->needs[0], "root");
	assert_int_equal(c->minutes, 10);
	assert_int_equal(c->n_blocks, ARRAY_LEN(words));
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		assert_int_equal(c->blocks[i].word, words[i]);
	assert_string_equal(c->blocks[0].text, "Text\nof two lines.\n\n- a list");
	const struct lab_block *run = &c->blocks[1];

	assert_string_equal(run->name, "box");
	assert_string_equal(run->lines.at[0].text, "nsrun --name box --hostname inside rootfs sleep 600");
	assert_string_equal(run->words[4], "inside");
	assert_int_equal(run->step, STEP_ROOT_PIVOT);
	assert_string_equal(run->needs[0], "root");
	assert_int_equal(c->blocks[3].step, STEP_WORKLOAD_EXEC);
	assert_int_equal(c->blocks[4].lines.n, 2);
	assert_true(c->blocks[6].both);
	assert_string_equal(c->blocks[7].words[1], "ids");
	const struct lab_block *ask = &c->blocks[9];

	assert_string_equal(ask->text, "What? Note: a colon.\n\nMore.");
	assert_string_equal(ask->why, "because of it");
	assert_int_equal(ask->choices.n, 2);
	assert_int_equal(ask->checks.n, 1);
	assert_true(c->blocks[10].answer_is_term);
	assert_false(c->blocks[11].answer_is_term);
	assert_string_equal(c->blocks[11].answer, "a.b c");
	assert_true(c->blocks[12].checks.at[1].negated);
	assert_string_equal(c->blocks[12].checks.at[1].left.comm, "sleep");
	assert_int_equal(c->blocks[13].hints.n, 2);
	assert_int_equal(c->blocks[13].n_solutions, 2);
	lab_chapter_free(c);
}

static void tells_of_the_file(void **state)
{
	(void)state;
	BAD("", "c.md:1: the first line is the title", "c.md:1: no block `lab`");
	BAD("no title\n", "c.md:1: the first line is the title", "c.md:1: no block `lab`");
	BAD("# T\n```run\nnsrun --name a rootfs true\n```\n", "c.md:2: the first block is `lab`");
	BAD("# T\n```lab\nminutes: many\n```\n", "c.md:3: lab: wanted is `minutes: N`",
	    "c.md:2: lab: wanted is `goal:");
	BAD("# T\n```lab\nminute: 3\nminutes: 3\nminutes: 4\ngoal: x\nneeds: rot\n```\n",
	    "c.md:3: 'minute:' is no entry*minutes", "c.md:5: minutes: stands in line 4",
	    "c.md:7: 'rot' is no need: is it 'root'?");
	BAD(HEAD "```sh\ntrue\n", "c.md:8: this block is not ended");
	BAD(HEAD "```sh\ntrue\n```sh\ntrue\n```\n", "c.md:8: this block is not ended*nothing is nested");
	BAD(HEAD "````sh\ntrue\n````\n", "c.md:8: a block begins with three backquotes");
	BAD(HEAD "```rnu\nnsrun\n```\n", "c.md:8: 'rnu' is no block of a chapter: is it 'run'?");
	BAD(HEAD "# Again\n", "c.md:8: a chapter has one title");
	BAD(HEAD "\xff\n", "c.md:8: this is no UTF-8");
}

static void tells_of_blocks(void **state)
{
	(void)state;
	BAD(HEAD "```run\n```\n", "c.md:8: run: wanted is one command of nsrun, but there are 0");
	BAD(HEAD "```run\nls\n```\n```run\nnsrun rootfs\n```\n```run holds=x\nnsrun --name a 'b\n```\n",
	    "c.md:9: run: wanted is a command of nsrun, not of 'ls'", "c.md:12: run: wanted is a --name",
	    "c.md:14: run: 'holds=x' is none of", "c.md:15: a quote is open");
	BAD(HEAD "```run hold=root.pivto\nnsrun --name a rootfs\n```\n",
	    "c.md:8: 'root.pivto' is no row*is it 'root.pivot'?");
	BAD(HEAD "```run\nnsrun --name host rootfs\n```\n", "c.md:9: --name host: wanted is");
	BAD(HEAD "```run hold=root.pivot\nnsrun create -b dir web\n```\n", "c.md:8: run: `nsrun create` is not held");
	BAD(HEAD BOX "```sh bxo\ntrue\n```\n```sh box two\ntrue\n```\n```sh both\ntrue\n```\n",
	    "c.md:11: bxo: no `run`*is it box?", "c.md:14: sh: one word too many: 'two'",
	    "c.md:17: sh both: which container?");
	BAD(HEAD BOX "```sh\n\n```\n```look box nss\n```\n```look\n```\n```end box now\n```\n",
	    "c.md:11: sh: no command", "c.md:14: 'nss' is no thing to look at: is it 'ns'?",
	    "c.md:16: look: which container?", "c.md:18: end: one word too many: 'now'");
	BAD(HEAD BOX "```end box\ntrue\n```\n```go box nowhere\n```\n", "c.md:12: end: nothing stands within",
	    "c.md:14: 'nowhere' is no row");
	BAD(HEAD BOX "```sh needs=rood\ntrue\\\n```\n", "c.md:11: 'rood' is no need",
	    "c.md:12: the last line ends in a backslash", "c.md:11: sh: no command");
}

static void tells_of_entries(void **state)
{
	(void)state;
	BAD(HEAD "```ask\nWhat?\nanswer: x\n```\n", "c.md:8: ask: wanted is a word that names it");
	BAD(HEAD "```ask a\nanswer: x\n```\n```ask a\nWhat?\n```\n", "c.md:8: ask: wanted is the question",
	    "c.md:11: ask a: there is one of this name in line 8", "c.md:11: ask: wanted is `answer:`");
	BAD(HEAD "```ask a\nWhat?\na) x\nc) y\nanswer: c\nwhy: z\nanswer: a\n```\n",
	    "c.md:14: answer: stands in line 12", "c.md:11: c): wanted is b)",
	    "c.md:12: answer: wanted is a letter from a to b");
	BAD(HEAD "```ask a\nWhat?\nanwser: x\n```\n", "c.md:10: 'anwser:' is no entry of this block: is it 'answer:'?",
	    "c.md:8: ask: wanted is `answer:`");
	BAD(HEAD "```ask a\nWhat?\nanswer: x\nmore prose\n```\n", "c.md:11: ask: wanted behind the first entry");
	BAD(HEAD "```ask a\nWhat?\nanswer: box.uid\n```\n", "c.md:10: answer: box.uid: no `run` before");
	BAD(HEAD "```ask a\nWhat?\nanswer:\n```\n", "c.md:10: answer: is empty");
	BAD(HEAD "```task a\nDo.\n```\n", "c.md:8: task: wanted is a solution", "c.md:8: task: wanted is a check");
	BAD(HEAD BOX
	    "```task a\nDo.\nsolution: x\nsolution bux: x\nsolution run: ls\nhint two: x\ncheck: box.uts == host.uts\n```\n",
	    "c.md:16: 'hint two:'", "c.md:13: solution: wanted is where", "c.md:14: bux: no `run`",
	    "c.md:15: solution run: wanted is");
}

static void tells_of_checks(void **state)
{
	(void)state;
	BAD(HEAD BOX
	    "```check\nbox.uts\nbox.utx == host.uts\nbox.uts = host.uts\nbox.uts == \"x\nbux.uts == 3\n1 == 1\nbox.caps.eff < 3\n"
	    "box.zombies < few\nhost.state == running\nbox.uts == kernel.org\nbox/.uts == 1\n```\n",
	    "c.md:12: box.uts: wanted is TERM OPERATOR TERM", "c.md:13: utx: there is no such property*uts",
	    "c.md:14: *'=' is no operator", "c.md:15: *a double quote is open", "c.md:16: bux.uts: no `run`",
	    "c.md:17: 1 == 1: nothing in it is asked", "c.md:18: *compares numbers", "c.md:19: *few is none",
	    "c.md:20: host.state: only a container", "c.md:21: kernel.org: no `run`*double quotes",
	    "c.md:22: box/.uts: wanted is NAME/COMM");
	BAD(HEAD "```check\n```\n", "c.md:8: check: no check stands in it");
}

/* Whatever it is given, it ends, with a chapter or with mistakes. */
static void survives_anything(void **state)
{
	static const char *const pieces[] = { "```",	   "\n",
					      "```lab\n",  "minutes: 5\n",
					      "goal: x\n", "# ",
					      "ask a\n",   "task b\n",
					      "run\n",	   "nsrun --name box ",
					      "check\n",   "box.uts ",
					      "!= ",	   "host",
					      ".",	   "\"",
					      "'",	   "\\",
					      " ",	   "solution run: ",
					      "hint: ",	   "  ",
					      "\r\n",	   "\xc3\xa4",
					      "\xff",	   "sh both box\n",
					      "a) ",	   "answer: a\n",
					      "needs=",	   "hold=",
					      "<!--",	   "-->",
					      "look box ", "x" };
	char text[4096];

	(void)state;
	srandom(7);
	for (int round = 0; round < 20000; round++) {
		struct lab_mistakes mistakes = { 0 };
		struct lab_chapter *chapter = NULL;
		struct err err = ERR_INIT;
		size_t n = 0;

		if (round % 2)
			n = (size_t)sprintf(text, "%s", HEAD BOX);
		for (int i = (int)(random() % 60); i > 0; i--) {
			const char *piece = pieces[(size_t)random() % ARRAY_LEN(pieces)];

			memcpy(text + n, piece, strlen(piece));
			n += strlen(piece);
			if (random() % 16 == 0)
				text[n++] = (char)random();
		}
		char *exact = malloc(n + 1); /* so that reading beyond it is seen */

		memcpy(exact, text, n);
		const int r = lab_chapter_parse("c.md", "c", exact, n, &chapter, &mistakes, &err);

		assert_int_equal(r<0, mistakes.n> 0);
		assert_int_equal(r < 0, err_is_set(&err));
		lab_chapter_free(chapter);
		lab_mistakes_done(&mistakes);
		free(exact);
	}
}

static void splits_lines(void **state)
{
	struct arena *arena = arena_new();
	const char *wrong = NULL;

	(void)state;
	char **words = lab_split(arena, " a 'b c'\t\"d \\\" \\n\" e\\ f '' ", &wrong);

	assert_non_null(words);
	assert_string_equal(words[0], "a");
	assert_string_equal(words[1], "b c");
	assert_string_equal(words[2], "d \" \\n");
	assert_string_equal(words[3], "e f");
	assert_string_equal(words[4], "");
	assert_null(words[5]);
	assert_null(lab_split(arena, "a \"b", &wrong));
	assert_null(lab_split(arena, "a\\", &wrong));
	assert_string_equal(lab_name_of(lab_split(arena, "nsrun -d --name=web rootfs", &wrong)), "web");
	assert_string_equal(lab_name_of(lab_split(arena, "nsrun create -b dir web", &wrong)), "web");
	assert_null(lab_name_of(lab_split(arena, "nsrun rootfs", &wrong)));
	assert_null(lab_name_of(lab_split(arena, "nsrun create", &wrong)));
	assert_true(lab_is_create(lab_split(arena, "nsrun create -b dir web", &wrong)));
	assert_false(lab_is_create(lab_split(arena, "nsrun run web", &wrong)));
	assert_true(lab_is_of_bundle(lab_split(arena, "nsrun run web", &wrong)));
	assert_false(lab_is_of_bundle(lab_split(arena, "nsrun", &wrong)));
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_chapter), cmocka_unit_test(tells_of_the_file),
		cmocka_unit_test(tells_of_blocks), cmocka_unit_test(tells_of_entries),
		cmocka_unit_test(tells_of_checks), cmocka_unit_test(survives_anything),
		cmocka_unit_test(splits_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
