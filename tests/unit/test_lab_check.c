/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/lab/check.h>
#include <nsrun/lab/sieve.h>
#include <nsrun/lab/text.h>

#include <nsrun/base/strings.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const known[] = { "box", NULL };

/* What this kernel says. */
static int value(void *data, const struct lab_term *term, char **ret, struct err *err)
{
	static const struct {
		const char *text, *value;
	} values[] = {
		{ "box.uts", "4026532281" },
		{ "host.uts", "4026531838" },
		{ "box.net", "7" },
		{ "host.net", "7" },
		{ "box.hostname", "inside" },
		{ "box.caps.eff", "CAP_CHOWN CAP_KILL" },
		{ "box.caps.bnd", "CAP_KILL CAP_CHOWN" },
		{ "box.caps.amb", "" },
		{ "box.zombies", "2" },
		{ "box.cgroup:pids.max", "max" },
		{ "box.uid_map", "0 100000 65536" },
		{ "host.hostname", "a\033[31mb" },
	};

	(void)data;
	for (size_t i = 0; i < ARRAY_LEN(values); i++)
		if (streq(values[i].text, term->text)) {
			*ret = strdup(values[i].value);
			return 0;
		}
	return err_set(err, ERR_INPUT, ERR_ID_NONE, ESRCH, "box: it has no process 1: it does not run");
}

static enum lab_verdict try(const char *text, char **ret_story)
{
	const struct lab_kernel kernel = { .value = value };
	struct arena *arena = arena_new();
	struct lab_check check;
	struct err err = ERR_INIT;

	if (lab_check_parse(arena, text, 3, known, &check, &err) < 0) {
		print_error("%s: %s\n", text, err.message);
		fail();
	}
	assert_int_equal(check.line, 3);
	const enum lab_verdict verdict = lab_check_try(&check, &kernel, ret_story);

	arena_free(arena);
	return verdict;
}

static void holds(const char *text)
{
	if (try(text, NULL) != LAB_HOLDS)
		print_error("does not hold: %s\n", text);
	assert_int_equal(try(text, NULL), LAB_HOLDS);
}

static void fails(const char *text, const char *wanted)
{
	char *story = NULL;

	assert_int_equal(try(text, &story), LAB_FAILS);
	if (!streq(story, wanted))
		print_error("got:    %s\nwanted: %s\n", story, wanted);
	assert_string_equal(story, wanted);
	free(story);
}

static void compares(void **state)
{
	(void)state;
	holds("box.uts != host.uts");
	holds("box.net == host.net");
	holds("not box.uts == host.uts");
	holds("box.hostname == inside");
	holds("box.hostname has sid");
	holds("box.zombies == 2");
	holds("box.zombies == 02");
	holds("box.zombies < 10");
	holds("box.zombies <= 2");
	holds("box.zombies >= 2");
	holds("3 > box.zombies");
	holds("box.cgroup:pids.max > 1000000");
	holds("box.cgroup:pids.max == max");
	holds("box.caps.eff == box.caps.bnd");
	holds("box.caps.eff == \"CAP_KILL CAP_CHOWN\"");
	holds("box.caps.eff has CAP_KILL");
	holds("not box.caps.eff has CAP_KIL");
	holds("box.caps.amb == \"\"");
	holds("box.caps.eff != box.caps.amb");
	holds("box.uid_map == \"0 100000 65536\"");
	holds("box.uid_map has 100000");
}

static void tells(void **state)
{
	(void)state;
	fails("box.uts == host.uts",
	      "box.uts is 4026532281, host.uts is 4026531838: box has another UTS namespace than the host; wanted: box.uts == host.uts");
	fails("host.net != box.net",
	      "host.net is 7, box.net is 7: box shares the network namespace of the host; wanted: host.net != box.net");
	fails("box.hostname == mine", "box.hostname is inside; wanted: mine");
	fails("box.hostname != inside", "box.hostname is inside; wanted: anything but inside");
	fails("box.zombies > 2", "box.zombies is 2; wanted: more than 2");
	fails("box.caps.eff has CAP_SYS_ADMIN",
	      "box.caps.eff is CAP_CHOWN CAP_KILL; wanted: something that has CAP_SYS_ADMIN");
	fails("not box.caps.eff has CAP_KILL",
	      "box.caps.eff is CAP_CHOWN CAP_KILL; wanted: not box.caps.eff has CAP_KILL");
	fails("box.caps.amb has CAP_KILL", "box.caps.amb is empty; wanted: something that has CAP_KILL");
	fails("host.hostname == x", "host.hostname is a\\x1b[31mb; wanted: x");
}

/* What cannot be asked holds neither way. */
static void is_unknown(void **state)
{
	char *story = NULL;

	(void)state;
	assert_int_equal(try("box.ipc == host.ipc", &story), LAB_UNKNOWN);
	assert_non_null(strstr(story, "it does not run"));
	free(story);
	assert_int_equal(try("not box.ipc == host.ipc", NULL), LAB_UNKNOWN);
	assert_int_equal(try("box.hostname < 3", NULL), LAB_UNKNOWN);
}

static void same_answers(void **state)
{
	(void)state;
	assert_true(lab_same("Inside", " inside "));
	assert_true(lab_same("007", "7"));
	assert_true(lab_same("b a", "a b"));
	assert_true(lab_same("0 100000  65536", "0 100000 65536"));
	assert_false(lab_same("inside x", "inside"));
	assert_false(lab_same("", "inside"));
	assert_false(lab_same("7", "8"));
}

static char *printed(unsigned width, bool colour, const char *text)
{
	char *result = NULL;
	size_t size;
	FILE *to = open_memstream(&result, &size), *out = lab_sieve_open(to, colour);
	const struct lab_view view = { .out = out, .width = width, .colour = colour };

	lab_print_markdown(&view, text);
	fclose(out);
	fclose(to);
	return result;
}

static void prints(unsigned width, bool colour, const char *text, const char *wanted)
{
	char *got = printed(width, colour, text);

	if (!streq(got, wanted))
		print_error("got:\n%s\nwanted:\n%s\n", got, wanted);
	assert_string_equal(got, wanted);
	free(got);
}

static void prints_markdown(void **state)
{
	(void)state;
	prints(20, false, "one two three four five six\nseven", "one two three four\nfive six seven\n");
	prints(20, false, "## Head\n\ntext", "== Head\n\ntext\n");
	prints(20, false, "- one two three four five\n  six\n- b", "- one two three four\n  five six\n- b\n");
	prints(40, false, "`a *b*` and *c* and 2 * 3 [t](u)", "`a *b*` and *c* and 2 * 3 t (u)\n");
	prints(40, true, "*c* d", "\033[1mc\033[0m d\n");
	prints(40, true, "`c` d", "\033[36m`c`\033[0m d\n");
	prints(10, true, "*aaa* bbb ccc", "\033[1maaa\033[0m bbb\nccc\n");
	prints(20, false, "| a | b | c | d | e | f |\n| - |", "| a | b | c | d | e | f |\n| - |\n");
	prints(20, false,
	       "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4 \xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4 \xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4 x",
	       "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4 \xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4 \xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4 x\n");
	prints(20, false, "a\033[31mb", "a [31mb\n");
	prints(20, false, "*", "*\n");
	prints(20, false, "", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compares),	cmocka_unit_test(tells),	   cmocka_unit_test(is_unknown),
		cmocka_unit_test(same_answers), cmocka_unit_test(prints_markdown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
