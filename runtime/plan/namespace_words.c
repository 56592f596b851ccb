/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a namespace, and of the clocks of one. */
#include <nsrun/plan/namespaces.h>

#include <nsrun/base/strings.h>

#include <inttypes.h>
#include <string.h>
#include <time.h>

int ns_parse_word(const char *option, const char *text, bool network, enum ns_word *ret, const char **ret_rest,
		  struct err *err)
{
	static const char *const known[] = { "private", "host", "ns:", "container:", "none", NULL };
	static const char *const planned[] = { "bridge", "pasta", NULL };
	const char *rest;

	*ret_rest = NULL;
	if (streq(text, "private") || (network && streq(text, "none"))) {
		*ret = NS_WORD_PRIVATE;
		return 0;
	}
	if (streq(text, "host")) {
		*ret = NS_WORD_HOST;
		return 0;
	}
	if ((rest = str_after(text, "ns:"))) {
		if (*rest != '/')
			return err_input(err, "--%s %s: an absolute path is wanted after ns:", option, text);
		*ret = NS_WORD_PATH;
		*ret_rest = rest;
		return 0;
	}
	if ((rest = str_after(text, "container:"))) {
		if (!*rest)
			return err_input(
				err, "--%s %s: the name or id of a container is wanted after container:", option, text);
		*ret = NS_WORD_CONTAINER;
		*ret_rest = rest;
		return 0;
	}
	for (size_t i = 0; network && planned[i]; i++)
		if (streq(text, planned[i]))
			return err_set(err, ERR_INPUT, ERR_ID_NOT_BUILT, 0, "--%s %s", option, text);
	const char *near = nearest_word(text, known);
	if (near && !network && streq(near, "none"))
		near = NULL;
	return err_set(err, ERR_INPUT, ERR_ID_NONE, 0,
		       "--%s %s: one of %sprivate, host, ns:PATH, container:NAME is wanted%s%s%s", option, text,
		       network ? "none, " : "", near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* Nine digits at most: what timens_offsets holds. */
static int parse_fraction(const char *digits, uint32_t *ret)
{
	const size_t n = strlen(digits);
	uint32_t value = 0;

	if (n < 1 || n > 9)
		return -EINVAL;
	for (size_t i = 0; i < 9; i++) {
		const char c = i < n ? digits[i] : '0';

		if (c < '0' || c > '9')
			return -EINVAL;
		value = value * 10 + (uint32_t)(c - '0');
	}
	*ret = value;
	return 0;
}

#define NS_PER_SECOND 1000000000

static int parse_seconds(const char *text, struct time_offset *ret)
{
	const bool negative = *text == '-';
	char whole[24];
	uint64_t seconds = 0;
	uint32_t nanoseconds = 0;

	if (*text == '-' || *text == '+')
		text++;
	const size_t n = strcspn(text, ".");
	if (n == 0 || n >= sizeof(whole))
		return -EINVAL;
	memcpy(whole, text, n);
	whole[n] = '\0';
	int r = parse_u64(whole, &seconds);
	if (r == 0 && text[n])
		r = parse_fraction(text + n + 1, &nanoseconds);
	if (r < 0 || seconds > INT64_MAX / 2)
		return -EINVAL;
	/* The kernel adds: -1.25 is -2 seconds and 750 million nanoseconds. */
	*ret = !negative      ? (struct time_offset){ (int64_t)seconds, nanoseconds }
	       : !nanoseconds ? (struct time_offset){ -(int64_t)seconds, 0 }
			      : (struct time_offset){ -(int64_t)seconds - 1, NS_PER_SECOND - nanoseconds };
	return 0;
}

/* The kernel's bounds (proc_timens_set_offset): no clock before 0, none beyond half of what it can count. */
#define CLOCK_SECONDS_MAX (INT64_MAX / NS_PER_SECOND / 2)

int ns_check_time_offset(bool boottime, const struct time_offset *offset, struct err *err)
{
	struct timespec now;

	if (offset->nanoseconds >= NS_PER_SECOND)
		return err_input(err, "%" PRIu32 " nanoseconds are a second or more", offset->nanoseconds);
	if (clock_gettime(boottime ? CLOCK_BOOTTIME : CLOCK_MONOTONIC, &now) < 0)
		return err_system(err, "the clock");
	const int64_t carried = now.tv_nsec + (int64_t)offset->nanoseconds >= NS_PER_SECOND;
	if (offset->seconds < -now.tv_sec - carried)
		return err_input(err, "the clock, at %jd seconds now, would be negative", (intmax_t)now.tv_sec);
	if (offset->seconds > CLOCK_SECONDS_MAX - now.tv_sec - carried)
		return err_input(err, "the kernel's clocks end at %jd seconds", (intmax_t)CLOCK_SECONDS_MAX);
	return 0;
}

int ns_parse_time_offset(const char *text, bool *ret_boottime, struct time_offset *ret, struct err *err)
{
	static const char *const known[] = { "monotonic", "boottime", NULL };
	struct time_offset offset;
	struct err why = ERR_INIT;
	char name[16];
	const size_t n = strcspn(text, "=");

	snprintf(name, sizeof(name), "%.*s", (int)(n < sizeof(name) ? n : sizeof(name) - 1), text);
	const bool boottime = streq(name, known[1]);
	if (!text[n] || (!boottime && !streq(name, known[0]))) {
		const char *near = text[n] ? nearest_word(name, known) : NULL;

		return err_input(err,
				 "--time-offset %s: monotonic=SECONDS or boottime=SECONDS is wanted%s%s%s (the others, "
				 "CLOCK_REALTIME among them, have no offset)",
				 text, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	}
	if (parse_seconds(text + n + 1, &offset) < 0)
		return err_input(err, "--time-offset %s: seconds with at most nine digits after the point are wanted",
				 text);
	const int r = ns_check_time_offset(boottime, &offset, &why);
	if (r < 0)
		return err_set(err, why.kind, why.id, why.errnum, "--time-offset %s: %s", text, why.message);
	*ret_boottime = boottime;
	*ret = offset;
	return 0;
}
