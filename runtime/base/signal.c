/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/base/signal.h>

#include <nsrun/base/strings.h>

#include <ctype.h>
#include <signal.h>
#include <string.h>

/* The kernel's first real-time signal; the C library's SIGRTMIN is above it, since it keeps two for itself (signal(7)). What is
 * sent to is another process, whose library may differ, but its names are those of the user's documentation. */
#define KERNEL_SIGNAL_MAX 64

static bool parse_realtime(const char *text, int *ret)
{
	const char *rest;
	uint32_t n = 0;

	if ((rest = str_after(text, "RTMIN"))) {
		if (*rest && (*rest != '+' || parse_u32(rest + 1, &n) < 0))
			return false;
		if (n > (uint32_t)(SIGRTMAX - SIGRTMIN))
			return false;
		*ret = SIGRTMIN + (int)n;
		return true;
	}
	if ((rest = str_after(text, "RTMAX"))) {
		if (*rest && (*rest != '-' || parse_u32(rest + 1, &n) < 0))
			return false;
		if (n > (uint32_t)(SIGRTMAX - SIGRTMIN))
			return false;
		*ret = SIGRTMAX - (int)n;
		return true;
	}
	return false;
}

static bool parse_name(const char *text, int *ret)
{
	char upper[SIGNAL_NAME_SIZE];
	const char *name;
	size_t i;

	for (i = 0; text[i] && i < sizeof(upper) - 1; i++)
		upper[i] = (char)toupper((unsigned char)text[i]);
	if (text[i])
		return false;
	upper[i] = '\0';
	name = str_after(upper, "SIG");
	name = name ? name : upper;
	for (int signal = 1; signal < SIGRTMIN; signal++) {
		const char *known = sigabbrev_np(signal);

		if (known && streq(name, known)) {
			*ret = signal;
			return true;
		}
	}
	/* Other names of the same numbers: signal(7). */
	static const struct {
		const char *name;
		int signal;
	} others[] = {
		{ "IOT", SIGIOT }, { "CLD", SIGCHLD }, { "IO", SIGIO }, { "POLL", SIGPOLL }, { "UNUSED", SIGSYS }
	};

	for (i = 0; i < ARRAY_LEN(others); i++)
		if (streq(name, others[i].name)) {
			*ret = others[i].signal;
			return true;
		}
	return parse_realtime(name, ret);
}

static const char *nearest_signal(const char *text)
{
	const char *known[SIGNAL_NAME_SIZE * 8] = { NULL };
	char upper[SIGNAL_NAME_SIZE] = "";
	const char *name;
	size_t n = 0;

	for (size_t i = 0; text[i] && i < sizeof(upper) - 1; i++)
		upper[i] = (char)toupper((unsigned char)text[i]);
	for (int signal = 1; signal < SIGRTMIN && n < ARRAY_LEN(known) - 1; signal++)
		if (sigabbrev_np(signal))
			known[n++] = sigabbrev_np(signal);
	name = str_after(upper, "SIG");
	return nearest_word(name ? name : upper, known);
}

int signal_parse(const char *text, const char *what, int *ret, struct err *err)
{
	uint32_t number;
	const char *near;
	int signal;

	if (parse_u32(text, &number) == 0 && number >= 1 && number <= KERNEL_SIGNAL_MAX) {
		*ret = (int)number;
		return 0;
	}
	if (parse_name(text, &signal)) {
		*ret = signal;
		return 0;
	}
	near = nearest_signal(text);
	return err_set(err, ERR_INPUT, ERR_ID_OPTION_VALUE, 0,
		       "%s: '%s' is no signal%s%s%s: a name such as TERM, or 1 to %d", what, text,
		       near ? ": did you mean SIG" : "", near ? near : "", near ? "?" : "", KERNEL_SIGNAL_MAX);
}

const char *signal_name(int signal, char buf[SIGNAL_NAME_SIZE])
{
	const char *known = signal > 0 && signal < SIGRTMIN ? sigabbrev_np(signal) : NULL;

	if (known)
		snprintf(buf, SIGNAL_NAME_SIZE, "SIG%s", known);
	else if (signal >= SIGRTMIN && signal <= SIGRTMAX)
		snprintf(buf, SIGNAL_NAME_SIZE, signal == SIGRTMIN ? "SIGRTMIN" : "SIGRTMIN+%d", signal - SIGRTMIN);
	else
		snprintf(buf, SIGNAL_NAME_SIZE, "%d", signal);
	return buf;
}

int signal_waiting(void)
{
	static const int ends[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP };
	sigset_t set;

	if (sigpending(&set) == 0)
		for (size_t i = 0; i < ARRAY_LEN(ends); i++)
			if (sigismember(&set, ends[i]) == 1)
				return ends[i];
	return 0;
}
