/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/base/signal.h>

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int parsed(const char *text)
{
	int signal = -7;

	return signal_parse(text, "--stop-signal", &signal, NULL) < 0 ? -1 : signal;
}

static void names_and_numbers(void **state)
{
	(void)state;
	assert_int_equal(parsed("SIGTERM"), SIGTERM);
	assert_int_equal(parsed("TERM"), SIGTERM);
	assert_int_equal(parsed("sigterm"), SIGTERM);
	assert_int_equal(parsed("usr1"), SIGUSR1);
	assert_int_equal(parsed("15"), 15);
	assert_int_equal(parsed("64"), 64);
	assert_int_equal(parsed("SIGRTMIN"), SIGRTMIN);
	assert_int_equal(parsed("RTMIN+3"), SIGRTMIN + 3);
	assert_int_equal(parsed("rtmax-1"), SIGRTMAX - 1);
	assert_int_equal(parsed("IOT"), SIGABRT);
	assert_int_equal(parsed("POLL"), SIGIO);
	assert_int_equal(parsed("CLD"), SIGCHLD);
}

static void no_signals(void **state)
{
	static const char *const words[] = { "",	   "0",		  "65",
					     "-1",	   "+1",	  "SIG",
					     "SIGSIGTERM", " TERM",	  "TERM ",
					     "RTMIN+",	   "RTMIN-1",	  "RTMIN+99",
					     "RTMIN+ 1",   "99999999999", "SIGTERMSIGTERMSIGTERM",
					     "\x1b[31m" };
	struct err err = ERR_INIT;
	int signal = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (parsed(words[i]) != -1)
			fail_msg("'%s' is a signal", words[i]);
	assert_true(signal_parse("SIGUSER1", "kill", &signal, &err) < 0);
	assert_int_equal(signal, 7);
	assert_non_null(strstr(err.message, "kill: 'SIGUSER1'"));
	assert_non_null(strstr(err.message, "SIGUSR1?"));
}

static void both_ways(void **state)
{
	char name[SIGNAL_NAME_SIZE];

	(void)state;
	for (int signal = 1; signal <= 64; signal++)
		assert_int_equal(parsed(signal_name(signal, name)), signal);
	assert_string_equal(signal_name(9, name), "SIGKILL");
	assert_string_equal(signal_name(SIGRTMIN + 1, name), "SIGRTMIN+1");
	assert_string_equal(signal_name(0, name), "0");
	assert_string_equal(signal_name(-2147483647, name), "-2147483647");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_numbers),
		cmocka_unit_test(no_signals),
		cmocka_unit_test(both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
