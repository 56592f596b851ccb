/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <nsrun/base/strings.h>
#include <nsrun/cli/help.h>
#include <nsrun/cli/options.h>

#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define PARSE(line, err, ...)                                                          \
	({                                                                             \
		static char *const _words[] = { "nsrun", __VA_ARGS__, NULL };          \
		*(err) = ERR_INIT;                                                     \
		command_line_parse((int)ARRAY_LEN(_words) - 1, _words, (line), (err)); \
	})

/* The line is a good one; it is the caller's to free. */
#define GOOD(...)                                           \
	({                                                  \
		struct command_line _line = { 0 };          \
		struct err _err;                            \
		int _r = PARSE(&_line, &_err, __VA_ARGS__); \
		if (_r != 0)                                \
			fail_msg("%s", _err.message);       \
		_line;                                      \
	})

/* The line is refused with this id and a message that has this text. */
#define BAD(want_id, text, ...)                                                  \
	do {                                                                     \
		struct command_line _line = { 0 };                               \
		struct err _err;                                                 \
		assert_int_not_equal(PARSE(&_line, &_err, __VA_ARGS__), 0);      \
		assert_int_equal(_err.kind, ERR_INPUT);                          \
		assert_int_equal(err_exit_status(&_err), 125);                   \
		assert_string_equal(err_id_word(_err.id), err_id_word(want_id)); \
		if (!strstr(_err.message, (text)))                               \
			fail_msg("'%s' lacks '%s'", _err.message, (text));       \
		assert_null(_line.request.rootfs);                               \
	} while (0)

static void assert_words(const char *const *got, const char *const *wanted)
{
	size_t i;

	assert_non_null(got);
	for (i = 0; wanted[i]; i++) {
		assert_non_null(got[i]);
		assert_string_equal(got[i], wanted[i]);
	}
	assert_null(got[i]);
}
#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void test_equals_or_space(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct command_line line =
			i ? GOOD("--memory=1g", "--workdir=/a=b", "--uid-map=0:1:2", "root")
			  : GOOD("--memory", "1g", "--workdir", "/a=b", "--uid-map", "0:1:2", "root");

		assert_string_equal(line.request.memory, "1g");
		assert_string_equal(line.request.workdir, "/a=b");
		assert_words(line.request.uid_map, WORDS("0:1:2"));
		assert_null(line.request.gid_map);
		assert_string_equal(line.request.rootfs, "root");
		assert_null(line.request.argv);
		command_line_done(&line);
		assert_null(line.request.uid_map);
	}
}

static void test_nothing_said_is_unset(void **state)
{
	struct command_line line = GOOD("root"), nothing = { 0 };

	(void)state;
	line.request.rootfs = NULL;
	assert_memory_equal(&line, &nothing, sizeof(line));
}

/* Every row that is built writes its own field and no other: the offsets of the table. */
static void test_every_row_has_its_field(void **state)
{
	(void)state;
	for (size_t i = 0; i < option_rows_count; i++) {
		const struct option_row *row = &option_rows[i];
		struct command_line line = { 0 }, reference = { 0 };
		struct err err = ERR_INIT;
		char word[128];
		char *words[] = { "nsrun", word, NULL };
		const char *value = row->values ? row->values[0] : "x";

		if (row->kind == OPTION_FLAG || row->kind == OPTION_TRISTATE)
			snprintf(word, sizeof(word), "--%s", row->name);
		else
			snprintf(word, sizeof(word), "--%s=%s", row->name, value);
		if (row->status == OPTION_PLANNED) {
			assert_int_not_equal(command_line_parse(2, words, &line, &err), 0);
			assert_int_equal(err.id, ERR_ID_NOT_BUILT);
			assert_non_null(strstr(err.message, row->name));
			continue;
		}
		assert_int_equal(command_line_parse(2, words, &line, &err), 0);

		void *field = (char *)&line + row->offset;

		switch (row->kind) {
		case OPTION_FLAG:
		case OPTION_TRISTATE:
			assert_int_equal(*(enum tristate *)field, YES);
			*(enum tristate *)field = UNSET;
			break;
		case OPTION_STRING:
		case OPTION_OPTIONAL:
			assert_string_equal(*(const char **)field, value);
			*(const char **)field = NULL;
			break;
		case OPTION_LIST:
			assert_words(*(const char *const **)field, WORDS(value));
			command_line_done(&line);
			break;
		}
		if (memcmp(&line, &reference, sizeof(line)) != 0)
			fail_msg("--%s wrote more than one field", row->name);
	}
}

static void test_table_is_sound(void **state)
{
	(void)state;
	for (size_t i = 0; i < option_rows_count; i++) {
		const struct option_row *row = &option_rows[i];

		for (size_t j = 0; j < i; j++) {
			assert_string_not_equal(option_rows[j].name, row->name);
			if (row->letter)
				assert_int_not_equal(option_rows[j].letter, row->letter);
			if (row->status == OPTION_BUILT && option_rows[j].status == OPTION_BUILT)
				assert_int_not_equal(option_rows[j].offset, row->offset);
		}
		assert_true(row->help && strlen(row->help) <= 72);
		assert_int_equal(!row->argument, row->kind == OPTION_FLAG || row->kind == OPTION_TRISTATE);
		assert_true(row->kind != OPTION_OPTIONAL || row->values);
		assert_true(row->status == OPTION_PLANNED || row->example);
	}
}

static void test_tristate(void **state)
{
	struct command_line line = GOOD("--init", "--read-only=true", "--ephemeral=no", "--tty=0", "-i=off", "root");

	(void)state;
	assert_int_equal(line.request.init, YES);
	assert_int_equal(line.request.read_only, YES);
	assert_int_equal(line.request.ephemeral, NO);
	assert_int_equal(line.request.terminal, NO);
	assert_int_equal(line.request.interactive, NO);
	assert_int_equal(line.request.trust_rootfs, UNSET);

	/* Its value is never the next word. */
	line = GOOD("--init", "false");
	assert_int_equal(line.request.init, YES);
	assert_string_equal(line.request.rootfs, "false");

	BAD(ERR_ID_OPTION_VALUE, "true or false", "--init=maybe", "root");
	BAD(ERR_ID_OPTION_VALUE, "true or false", "--init=", "root");
	BAD(ERR_ID_OPTION_VALUE, "'false'", "--init=fals", "root");
	BAD(ERR_ID_OPTION_VALUE, "no value", "--version=true");
}

static void test_clusters(void **state)
{
	struct command_line line =
		GOOD("-ii", "-eA=B", "-e=C=D", "-e", "E=F", "-ie", "G", "-m512m", "-it=false", "root");

	(void)state;
	assert_int_equal(line.request.interactive, YES);
	assert_int_equal(line.request.terminal, NO);
	assert_words(line.request.env, WORDS("A=B", "C=D", "E=F", "G"));
	assert_string_equal(line.request.memory, "512m");
	command_line_done(&line);

	BAD(ERR_ID_UNKNOWN_OPTION, "-y", "-ity", "root");
	BAD(ERR_ID_UNKNOWN_OPTION, "-=", "-=", "root");
	BAD(ERR_ID_NOT_BUILT, "--publish", "-itp", "80:80", "root");
	BAD(ERR_ID_OPTION_VALUE, "-e", "-ite");
}

static void test_end_of_options(void **state)
{
	struct command_line line;

	(void)state;
	line = GOOD("root", "ls", "-l", "--memory", "1g", "--");
	assert_words(line.request.argv, WORDS("ls", "-l", "--memory", "1g", "--"));
	assert_null(line.request.memory);
	assert_false(line.dashes);

	line = GOOD("root", "--", "-l", "--");
	assert_words(line.request.argv, WORDS("-l", "--"));
	assert_true(line.dashes);

	line = GOOD("root", "--", "--");
	assert_words(line.request.argv, WORDS("--"));
	line = GOOD("root", "--");
	assert_null(line.request.argv);
	line = GOOD("--", "-root", "--", "ls");
	assert_string_equal(line.request.rootfs, "-root");
	assert_words(line.request.argv, WORDS("ls"));
	line = GOOD("--", "root", "ls");
	assert_words(line.request.argv, WORDS("ls"));
	line = GOOD("-");
	assert_string_equal(line.request.rootfs, "-");
	line = GOOD("root", "-", "x");
	assert_words(line.request.argv, WORDS("-", "x"));
	line = GOOD("--");
	assert_null(line.request.rootfs);
	/* An empty CMD is the plan's to refuse, not to be lost here. */
	line = GOOD("root", "");
	assert_words(line.request.argv, WORDS(""));

	BAD(ERR_ID_OPTION_ORDER, "-it", "/", "-it", "sh");
	BAD(ERR_ID_OPTION_ORDER, "--memory=1g", "/", "--memory=1g");
}

static void test_values(void **state)
{
	struct command_line line;

	(void)state;
	/* What stands where a value must stand is the value. */
	line = GOOD("-e", "--init", "root");
	assert_words(line.request.env, WORDS("--init"));
	assert_int_equal(line.request.init, UNSET);
	command_line_done(&line);

	/* Said twice: the same, or refused. */
	line = GOOD("--memory", "1g", "--memory=1g", "--init", "--init=yes", "root");
	assert_string_equal(line.request.memory, "1g");
	assert_int_equal(line.request.init, YES);
	BAD(ERR_ID_OPTION_REPEATED, "'1g' and '2g'", "--memory=1g", "-m", "2g", "root");
	BAD(ERR_ID_OPTION_REPEATED, "--init", "--init", "--init=false", "root");
	BAD(ERR_ID_OPTION_REPEATED, "'text' and 'json'", "--trace", "--trace=json", "root");

	line = GOOD("--trace", "root");
	assert_string_equal(line.trace, "text");
	assert_string_equal(line.request.rootfs, "root");
	line = GOOD("--trace=json", "--network=none", "root");
	assert_string_equal(line.trace, "json");

	BAD(ERR_ID_OPTION_VALUE, "SIZE", "--memory");
	BAD(ERR_ID_OPTION_VALUE, "empty", "--memory=", "root");
	BAD(ERR_ID_OPTION_VALUE, "empty", "--memory", "", "root");
	BAD(ERR_ID_OPTION_VALUE, "empty", "-e=", "root");
	BAD(ERR_ID_OPTION_VALUE, "'json'", "--trace=jsn", "root");
	BAD(ERR_ID_OPTION_VALUE, "text, json", "--trace=yes", "root");
	BAD(ERR_ID_OPTION_VALUE, "host", "--userns=none", "root");
	BAD(ERR_ID_OPTION_VALUE, "'seccomp='", "--security-opt", "secomp=x", "root");
	BAD(ERR_ID_NOT_BUILT, "apparmor=x", "--security-opt", "apparmor=x", "root");
	BAD(ERR_ID_NOT_BUILT, "bridge", "--network", "bridge", "root");
	BAD(ERR_ID_OPTION_VALUE, "private, host", "--pid=elsewhere", "root");
	BAD(ERR_ID_OPTION_VALUE, "monotonic=", "--time-offset", "realtime=5", "root");
	line = GOOD("--pid=host", "--network=container:x", "--time-offset", "boottime=5",
		    "--time-offset=monotonic=-1.5", "root");
	assert_string_equal(line.request.pid, "host");
	assert_string_equal(line.request.network, "container:x");
	assert_words(line.request.time_offsets, WORDS("boottime=5", "monotonic=-1.5"));
	command_line_done(&line);

	line = GOOD("--security-opt", "seccomp=./strict", "--security-opt=no-new-privileges", "root");
	assert_words(line.request.security_opts, WORDS("seccomp=./strict", "no-new-privileges"));
	command_line_done(&line);
}

static void test_unknown(void **state)
{
	static char long_word[9000];
	struct command_line line = { 0 };
	struct err err = ERR_INIT;
	char *words[] = { "nsrun", long_word, NULL };

	(void)state;
	BAD(ERR_ID_UNKNOWN_OPTION, "did you mean --memory?", "--memroy=5", "root");
	BAD(ERR_ID_UNKNOWN_OPTION, "did you mean --userns-remap?", "--userns-rema", "x", "root");
	BAD(ERR_ID_UNKNOWN_OPTION, "--quux: unknown option", "--quux", "root");
	/* No abbreviations. */
	BAD(ERR_ID_UNKNOWN_OPTION, "--read", "--read", "root");
	BAD(ERR_ID_UNKNOWN_OPTION, "--: unknown", "--=x", "root");

	/* Words of other tools. */
	BAD(ERR_ID_UNKNOWN_OPTION, "did you mean --network?", "--net", "host", "root");
	BAD(ERR_ID_UNKNOWN_OPTION, "did you mean --cap-add?", "--cap_add=X", "root");
	BAD(ERR_ID_UNKNOWN_OPTION, "did you mean --memory?", "--memory-limit=1", "root");
	BAD(ERR_ID_UNKNOWN_OPTION, "service manager", "--restart=always", "root");
	BAD(ERR_ID_UNKNOWN_OPTION, "did you mean --network?", "-network", "none", "root");
	BAD(ERR_ID_UNKNOWN_OPTION, "did you mean --hostname?", "-hostnam", "x", "root");
	BAD(ERR_ID_UNKNOWN_OPTION, "-e=nv", "-env", "A=B", "root");
	BAD(ERR_ID_UNKNOWN_OPTION, "-P: unknown option", "-P", "root");

	memset(long_word, '-', 2);
	memset(long_word + 2, 'a', sizeof(long_word) - 3);
	assert_int_not_equal(command_line_parse(2, words, &line, &err), 0);
	assert_int_equal(err.id, ERR_ID_UNKNOWN_OPTION);
}

/* What a hint names exists. */
static void test_hints_name_options(void **state)
{
	const struct option_table table = { .rows = option_rows, .count = option_rows_count };

	(void)state;
	assert_non_null(option_spelling(0));
	for (size_t i = 0; option_spelling(i); i++)
		if (!option_find(&table, option_spelling(i)))
			fail_msg("--%s does not exist", option_spelling(i));
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now); /* whatever else the machine does */
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void test_hundred_thousand(void **state)
{
	enum { N = 100000 };
	char **words = calloc(2 * N + 3, sizeof(*words));
	struct command_line line = { 0 };
	struct err err = ERR_INIT;
	const double begin = seconds();
	int n = 0;

	(void)state;
	assert_non_null(words);
	words[n++] = "nsrun";
	for (int i = 0; i < N; i++) {
		words[n++] = "-e";
		words[n++] = "A=B";
	}
	words[n++] = "root";
	assert_int_equal(command_line_parse(n, words, &line, &err), 0);
	for (int i = 0; i < N; i++)
		assert_ptr_equal(line.request.env[i], words[2]);
	assert_null(line.request.env[N]);
	assert_true(seconds() - begin < 2);
	command_line_done(&line);
	free(words);
}

static void test_no_words_at_all(void **state)
{
	char *words[] = { NULL };
	struct command_line line = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(command_line_parse(0, words, &line, &err), 0);
	assert_null(line.request.rootfs);
}

static void assert_hint(const char *word, enum err_id id, const char *text)
{
	struct err err = ERR_INIT;

	assert_true(rootfs_word_check(word, &err) < 0);
	assert_int_equal(err.id, id);
	if (!strstr(err.message, text))
		fail_msg("'%s' lacks '%s'", err.message, text);
}

static void test_words_of_other_tools(void **state)
{
	char dir[] = "/tmp/nsrun-test-XXXXXX";
	struct err err = ERR_INIT;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	assert_hint("run", ERR_ID_ROOTFS_MISSING, "nsrun [OPTIONS] ROOTFS [CMD]");
	assert_hint("doctor", ERR_ID_NOT_BUILT, "planned");
	assert_hint("exec", ERR_ID_UNKNOWN_OPTION, "nsrun exec?"); /* as in nsrun -it exec */
	assert_hint("docker", ERR_ID_ROOTFS_MISSING, "leave the word away");
	assert_hint("ubuntu", ERR_ID_ROOTFS_MISSING, "image");
	assert_hint("cp", ERR_ID_ROOTFS_MISSING, "cp(1)");
	assert_hint("gcc", ERR_ID_UNKNOWN_OPTION, "nsrun gc?");
	assert_hint("images", ERR_ID_ROOTFS_MISSING, "no images");
	assert_hint("docker.io/library/alpine", ERR_ID_ROOTFS_MISSING, "image");
	assert_hint("alpine:3.19", ERR_ID_ROOTFS_MISSING, "image");
	/* Not ours to judge: the plan says what is wrong with a rootfs. */
	assert_int_equal(rootfs_word_check("rootfs", &err), 0);
	assert_int_equal(rootfs_word_check("./run", &err), 0);
	assert_int_equal(rootfs_word_check("", &err), 0);
	/* A directory of that name is a rootfs. */
	assert_int_equal(mkdir("run", 0755), 0);
	assert_int_equal(rootfs_word_check("run", &err), 0);
	assert_int_equal(rmdir("run"), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void test_help_size(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0, lines = 0, width = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	help_print(out);
	fclose(out);
	for (const char *p = text; *p; lines++) {
		const size_t len = strcspn(p, "\n");

		width = len > width ? len : width;
		p += len + (p[len] == '\n');
	}
	assert_in_range(lines, 20, 96);
	assert_in_range(width, 60, 100);
	for (size_t i = 0; i < option_rows_count; i++) {
		char name[64];

		snprintf(name, sizeof(name), " --%s", option_rows[i].name);
		if (option_rows[i].status == OPTION_BUILT)
			assert_non_null(strstr(text, name));
	}
	for (enum option_group group = 0; group < GROUP_COUNT; group++)
		assert_non_null(strstr(text, option_groups[group].example));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equals_or_space),
		cmocka_unit_test(test_nothing_said_is_unset),
		cmocka_unit_test(test_every_row_has_its_field),
		cmocka_unit_test(test_table_is_sound),
		cmocka_unit_test(test_tristate),
		cmocka_unit_test(test_clusters),
		cmocka_unit_test(test_end_of_options),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_hints_name_options),
		cmocka_unit_test(test_hundred_thousand),
		cmocka_unit_test(test_no_words_at_all),
		cmocka_unit_test(test_words_of_other_tools),
		cmocka_unit_test(test_help_size),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
