/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/base/signame.h>

#include <nsrun/base/strings.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Those before the real-time signals; 32 and 33 are the C library's own (nptl(7)). */
#define NSIG_OF_CLASSIC 32

static int parse_realtime(const char *text, int *ret)
{
	const bool from_min = strncasecmp(text, "RTMIN", 5) == 0, from_max = strncasecmp(text, "RTMAX", 5) == 0;
	uint32_t offset = 0;

	if (!from_min && !from_max)
		return -EINVAL;
	text += 5;
	if (*text && (*text++ != (from_min ? '+' : '-') || parse_u32(text, &offset) < 0))
		return -EINVAL;
	if (offset > (uint32_t)(SIGRTMAX - SIGRTMIN))
		return -EINVAL;
	*ret = from_min ? SIGRTMIN + (int)offset : SIGRTMAX - (int)offset;
	return 0;
}

int signal_parse(const char *text, int *ret)
{
	uint32_t number;

	if (*text >= '0' && *text <= '9') {
		if (parse_u32(text, &number) < 0 || number == 0 || number > (uint32_t)SIGRTMAX ||
		    (number >= (uint32_t)NSIG_OF_CLASSIC && number < (uint32_t)SIGRTMIN))
			return -EINVAL;
		*ret = (int)number;
		return 0;
	}
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (int i = 1; i < NSIG_OF_CLASSIC; i++) {
		const char *name = sigabbrev_np(i);

		if (name && strcasecmp(name, text) == 0) {
			*ret = i;
			return 0;
		}
	}
	if (strcasecmp(text, "CLD") == 0 || strcasecmp(text, "IOT") == 0) { /* synonyms of signal(7) */
		*ret = strcasecmp(text, "CLD") == 0 ? SIGCHLD : SIGABRT;
		return 0;
	}
	return parse_realtime(text, ret);
}

const char *signal_name(int signal, char buf[SIGNAL_NAME_MAX])
{
	const char *name = signal > 0 && signal < NSIG_OF_CLASSIC ? sigabbrev_np(signal) : NULL;

	if (name)
		snprintf(buf, SIGNAL_NAME_MAX, "SIG%s", name);
	else if (signal >= SIGRTMIN && signal <= SIGRTMAX)
		snprintf(buf, SIGNAL_NAME_MAX, "SIGRTMIN+%d", signal - SIGRTMIN);
	else
		snprintf(buf, SIGNAL_NAME_MAX, "%d", signal);
	return buf;
}
