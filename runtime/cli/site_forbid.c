/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/site.h>

#include <nsrun/base/strings.h>
#include <nsrun/plan/devices.h>

#include <ctype.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* How values of an option name a place of the host. */
enum place_form {
	PLACE_NONE,
	PLACE_WHOLE,  /* FILE */
	PLACE_BEFORE, /* SRC:DST */
	PLACE_DEVICE, /* PATH[:DST][:rwm]; PATH may have colons */
	PLACE_MOUNT,  /* type=bind,source=SRC,... */
	PLACE_RATE, /* PATH:RATE: what stands before the last colon; MAJOR:MINOR:RATE and a number alone name no place */
};

static enum place_form place_form_of(const struct option_row *row)
{
	static const struct {
		const char *name;
		enum place_form form;
	} forms[] = {
		{ "audit-log", PLACE_WHOLE },	    { "cidfile", PLACE_WHOLE },
		{ "console-socket", PLACE_WHOLE },  { "device", PLACE_DEVICE },
		{ "device-read-bps", PLACE_RATE },  { "device-read-iops", PLACE_RATE },
		{ "device-write-bps", PLACE_RATE }, { "device-write-iops", PLACE_RATE },
		{ "env-file", PLACE_WHOLE },	    { "image-config", PLACE_WHOLE },
		{ "io-weight", PLACE_RATE },	    { "mount", PLACE_MOUNT },
		{ "pid-file", PLACE_WHOLE },	    { "pidfile", PLACE_WHOLE },
		{ "process", PLACE_WHOLE },	    { "volume", PLACE_BEFORE },
		{ "trace-file", PLACE_WHOLE },
	};

	if (!row)
		return PLACE_WHOLE;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++)
		if (streq(row->name, forms[i].name))
			return forms[i].form;
	return PLACE_NONE;
}

bool site_names_place(const struct option_row *row)
{
	return place_form_of(row) != PLACE_NONE;
}

/* The next component of a path, without empty ones and "."; 0 at its end. */
static size_t component(const char **p)
{
	for (;;) {
		size_t n;

		*p += strspn(*p, "/");
		n = strcspn(*p, "/");
		if (n != 1 || **p != '.')
			return n;
		*p += n;
	}
}

bool site_place_overlaps(const char *pattern, const char *path)
{
	for (;;) {
		const size_t n = component(&pattern), m = component(&path);
		char want[NAME_MAX + 1], have[NAME_MAX + 1];

		/* One of them ends: what is left of the other is below it. */
		if (n == 0 || m == 0)
			return true;
		if (n >= sizeof(want) || m >= sizeof(have))
			return false;
		memcpy(want, pattern, n);
		want[n] = '\0';
		memcpy(have, path, m);
		have[m] = '\0';
		if (fnmatch(want, have, 0) != 0)
			return false;
		pattern += n;
		path += m;
	}
}

/* As far as it exists, with the links in it followed; what does not exist is appended. `path` is absolute. */
static void resolve_existing(const char *path, char *ret, size_t size)
{
	char head[PATH_MAX], real[PATH_MAX];
	size_t n = strlen(path);

	snprintf(ret, size, "%s", path);
	if (n >= sizeof(head))
		return;
	memcpy(head, path, n + 1);
	while (n > 0) {
		head[n] = '\0';
		if (realpath(head, real)) {
			snprintf(ret, size, "%s/%s", real, path + n);
			return;
		}
		while (n > 0 && head[n - 1] != '/')
			n--;
		while (n > 0 && head[n - 1] == '/')
			n--;
	}
}

/* The pattern, with links in what stands before its first special character followed: /var/run is /run on most hosts. */
static void resolve_pattern(const char *pattern, char *ret, size_t size)
{
	size_t n = strcspn(pattern, "*?[\\");
	char head[PATH_MAX], real[PATH_MAX];

	while (pattern[n] && n > 0 && pattern[n - 1] != '/')
		n--;
	snprintf(ret, size, "%s", pattern);
	if (n >= sizeof(head))
		return;
	memcpy(head, pattern, n);
	head[n] = '\0';
	resolve_existing(head, real, sizeof(real));
	snprintf(ret, size, "%s/%s", real, pattern + n);
}

/* Compared as it was said and where it leads: a link, "..", "//" and a relative path name the same place. */
static bool place_is_forbidden(const char *pattern, const char *said, size_t len)
{
	char path[PATH_MAX * 2], real[PATH_MAX * 2], resolved[PATH_MAX * 2];
	_cleanup_free_ char *here = NULL;

	if (len == 0 || len >= PATH_MAX)
		return len != 0;
	here = said[0] == '/' ? NULL : getcwd(NULL, 0);
	snprintf(path, sizeof(path), "%s/%.*s", here ? here : "", (int)len, said);
	resolve_existing(path, real, sizeof(real));
	resolve_pattern(pattern, resolved, sizeof(resolved));
	/* ".." as it stands would have to be guessed: where it leads is what counts. */
	if (!strstr(path, "/..") && (site_place_overlaps(pattern, path) || site_place_overlaps(resolved, path)))
		return true;
	return site_place_overlaps(pattern, real) || site_place_overlaps(resolved, real);
}

/* The next field of a line of CSV, unquoted in place ("" in quotes is one quote); NULL behind the last. */
static char *next_field(char **state)
{
	char *in = *state, *out = in, *const field = in;

	if (!in || *in != '"')
		return strsep(state, ",");
	for (in++; *in && !(in[0] == '"' && in[1] != '"'); in++) {
		in += in[0] == '"';
		*out++ = *in;
	}
	in += strcspn(in, ",");
	*state = *in ? in + 1 : NULL;
	*out = '\0';
	return field;
}

/* The next of lowerdir's directories, unescaped in place; NULL behind the last. */
static char *next_layer(char **state)
{
	char *in = *state, *out = in, *const layer = in;

	if (!in)
		return NULL;
	for (; *in && *in != ':'; in++) {
		in += in[0] == '\\' && in[1];
		*out++ = *in;
	}
	*state = *in ? in + 1 : NULL;
	*out = '\0';
	return layer;
}

/* Fields of --mount that name places of the host. */
static bool mount_is_forbidden(const char *pattern, const char *value)
{
	static const char *const keys[] = { "source=", "src=", "upperdir=", "workdir=", NULL };
	_cleanup_free_ char *copy = strdup(value);
	char *state = copy, *field;

	if (!copy)
		return true;
	while ((field = next_field(&state))) {
		const char *rest = NULL;
		char *layers, *layer;

		for (size_t i = 0; !rest && keys[i]; i++)
			rest = str_after(field, keys[i]);
		if (rest && place_is_forbidden(pattern, rest, strlen(rest)))
			return true;
		layers = str_after(field, "lowerdir=") ? field + strlen("lowerdir=") : NULL;
		while ((layer = next_layer(&layers)))
			if (place_is_forbidden(pattern, layer, strlen(layer)))
				return true;
	}
	return false;
}

static bool rate_is_forbidden(const char *pattern, const char *value)
{
	const char *colon = strrchr(value, ':');
	const size_t n = colon ? (size_t)(colon - value) : 0;

	return memchr(value, '/', n) && place_is_forbidden(pattern, value, n);
}

static bool places_are_forbidden(const char *pattern, const struct option_said *said)
{
	struct device_words words;

	switch (place_form_of(said->row)) {
	case PLACE_WHOLE:
		return place_is_forbidden(pattern, said->value, strlen(said->value));
	case PLACE_BEFORE:
		return place_is_forbidden(pattern, said->value, strcspn(said->value, ":"));
	case PLACE_DEVICE:
		device_words_split(said->value, &words);
		return place_is_forbidden(pattern, said->value, words.path);
	case PLACE_MOUNT:
		return mount_is_forbidden(pattern, said->value);
	case PLACE_RATE:
		return rate_is_forbidden(pattern, said->value);
	case PLACE_NONE:
		break;
	}
	return false;
}

/* Sizes in bytes, "unlimited" for -1. */
static void canonical_limit(const struct option_row *row, const char *value, char *buf, size_t size)
{
	uint64_t bytes;

	if (streq(value, "-1") && !streq(row->name, "oom-score-adj"))
		snprintf(buf, size, "unlimited");
	else if (row->argument && streq(row->argument, "SIZE") && parse_size(value, &bytes) == 0)
		snprintf(buf, size, "%" PRIu64, bytes);
}

/* One spelling where an option knows several for the same thing. */
static void canonical(const struct option_row *row, const char *value, char *buf, size_t size)
{
	const char *rest;

	snprintf(buf, size, "%s", value);
	if (row->group == GROUP_LIMITS) {
		canonical_limit(row, value, buf, size);
	} else if (option_is_switch(row)) {
		const enum tristate said = option_tristate(value);

		if (said != UNSET)
			snprintf(buf, size, "%s", said == YES ? "true" : "false");
	} else if (streq(row->name, "cap-add") || streq(row->name, "cap-drop")) {
		for (char *c = buf; *c; c++)
			*c = (char)toupper((unsigned char)*c);
		rest = str_after(buf, "CAP_");
		if (rest)
			memmove(buf, rest, strlen(rest) + 1);
	} else if (streq(row->name, "security-opt")) {
		const size_t n = strcspn(buf, "=:"); /* Docker writes both */

		if (buf[n])
			buf[n] = '=';
		rest = str_after(buf, "no-new-privileges");
		if (rest && (*rest == '\0' || *rest == '=')) {
			const enum tristate said = *rest ? option_tristate(rest + 1) : YES;

			if (said != UNSET)
				snprintf(buf, size, "no-new-privileges=%s", said == YES ? "true" : "false");
		}
	}
}

/* "ns:PATH" of the namespace that nsrun itself is in, or process 1, is "host" in other words. */
static bool names_host_namespace(const struct option_row *row, const char *value)
{
	static const struct {
		const char *option, *file;
	} kinds[] = {
		{ "network", "net" }, { "pid", "pid" },		{ "ipc", "ipc" },     { "uts", "uts" },
		{ "time", "time" },   { "cgroupns", "cgroup" }, { "userns", "user" },
	};
	static const char *const hosts[] = { "self", "1" };
	const char *path = str_after(value, "ns:");
	struct stat named, own;

	if (!path || stat(path, &named) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		for (size_t h = 0; streq(row->name, kinds[i].option) && h < ARRAY_LEN(hosts); h++) {
			char file[64];

			snprintf(file, sizeof(file), "/proc/%s/ns/%s", hosts[h], kinds[i].file);
			if (stat(file, &own) == 0 && own.st_dev == named.st_dev && own.st_ino == named.st_ino)
				return true;
		}
	return false;
}

static bool is_volume_or_mount(const struct option_row *row)
{
	return row && (streq(row->name, "volume") || streq(row->name, "mount"));
}

bool site_forbids(const struct site_forbid *forbid, const struct option_said *said)
{
	const size_t size = strlen(said->value) + sizeof("no-new-privileges=false");
	_cleanup_free_ char *value = NULL;
	char pattern[512];

	if (forbid->pattern && forbid->pattern[0] == '/' && is_volume_or_mount(forbid->row) &&
	    is_volume_or_mount(said->row))
		return places_are_forbidden(forbid->pattern, said);
	if (forbid->row != said->row)
		return false;
	if (!forbid->pattern)
		return !option_is_switch(said->row) || streq(said->value, "true");
	if (forbid->pattern[0] == '/' && site_names_place(said->row))
		return places_are_forbidden(forbid->pattern, said);

	value = malloc(size);
	if (!value)
		return true;
	canonical(said->row, said->value, value, size);
	canonical(forbid->row, forbid->pattern, pattern, sizeof(pattern));
	/* Whoever gets all of them gets the one. */
	if (streq(said->row->name, "cap-add") && streq(value, "ALL"))
		return true;
	if (fnmatch(pattern, value, 0) == 0 || fnmatch(forbid->pattern, said->value, 0) == 0)
		return true;
	return fnmatch(pattern, "host", 0) == 0 && names_host_namespace(said->row, value);
}

bool site_forbids_place(const struct site_forbid *forbid, const struct option_row *row, const char *path)
{
	return forbid->pattern && forbid->pattern[0] == '/' && is_volume_or_mount(forbid->row) &&
	       is_volume_or_mount(row) && place_is_forbidden(forbid->pattern, path, strlen(path));
}

bool site_forbids_rootfs(const struct site_forbid *forbid, const char *rootfs)
{
	return !forbid->row && (!forbid->pattern || place_is_forbidden(forbid->pattern, rootfs, strlen(rootfs)));
}
