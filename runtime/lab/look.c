/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/lab/look.h>

#include <nsrun/base/file.h>
#include <nsrun/base/mountinfo.h>
#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <string.h>

#define NAME_COLUMNS 15

struct topic {
	const char *name;
	const char *title;
	const char *properties[12];
};

static const struct topic topics[] = {
	{ "ns", "Namespaces, by inode", { "uts", "ipc", "mnt", "pid", "net", "user", "cgroup", "time" } },
	{ "ids",
	  "Ids",
	  { "process", "process.inner", "uid", "uid.inner", "gid", "gid.inner", "uid_map", "gid_map", "setgroups" } },
	{ "caps",
	  "Capabilities and filter",
	  { "caps.eff", "caps.prm", "caps.bnd", "caps.inh", "caps.amb", "no_new_privs", "seccomp" } },
	{ "mounts", "Mounts", { NULL } },
	{ "cgroup", "Control group", { "cgroup.path", "cgroup:pids.max", "cgroup:memory.max", "cgroup:cpu.max" } },
	{ "links", "Network", { "links", "addresses" } },
	{ "processes", "Processes", { NULL } },
};

/* A container chooses its host name and what its processes are called. */
static char *escaped(const char *value)
{
	const size_t size = strlen(value) * 4 + 1;
	char *text = malloc(size);

	if (text)
		escape_text(value, text, size);
	return text;
}

/* malloc'd, also where the kernel does not say: "?" and why. */
static char *value_of(struct lab_session *session, const char *subject, const char *property)
{
	const struct lab_term term = { .text = property, .subject = subject, .property = property };
	_cleanup_free_ char *raw = NULL;
	struct err err = ERR_INIT;
	char text[ERR_MESSAGE_MAX * 4];
	char *value = NULL;

	if (lab_session_value(session, &term, &raw, &err) == 0)
		return escaped(raw);
	if (asprintf(&value, "? (%s)", err_format(&err, text, sizeof(text))) < 0)
		return NULL;
	return value;
}

static void print_pair(const struct lab_view *view, const char *property, const char *name, const char *host,
		       const char *box)
{
	/* Their own ids and numbers are compared by who reads them, namespaces are the same or not. */
	const char *verdict = streq(host, box) ? "same" : "other";
	const unsigned half = view->width > NAME_COLUMNS + 30 ? (view->width - NAME_COLUMNS - 9) / 2 : 12;
	char prefix[80];

	if (view->columns && lab_columns(host) < half && lab_columns(box) < half) {
		fprintf(view->out, "  %-*s %-*s %-*s %s\n", NAME_COLUMNS - 3, property, (int)half, host, (int)half, box,
			verdict);
		return;
	}
	if (streq(host, box)) {
		snprintf(prefix, sizeof(prefix), "  %s: same on both sides: ", property);
		lab_print_wrapped(view, prefix, "    ", *host ? host : "nothing");
		return;
	}
	if (lab_columns(host) + lab_columns(box) + lab_columns(property) + lab_columns(name) + 20 < view->width) {
		fprintf(view->out, "  %s: other: host %s, %s %s\n", property, host, name, box);
		return;
	}
	fprintf(view->out, "  %s: other\n", property);
	lab_print_wrapped(view, "    host: ", "      ", host);
	snprintf(prefix, sizeof(prefix), "    %s: ", name);
	lab_print_wrapped(view, prefix, "      ", *box ? box : "nothing");
}

static bool has_word(const char *set, const char *word, size_t len)
{
	for (const char *p = set; *(p += strspn(p, " "));) {
		const size_t n = strcspn(p, " ");

		if (n == len && strncmp(p, word, n) == 0)
			return true;
		p += n;
	}
	return false;
}

/* Words of `a` that `b` has (or has not), for people: CAP_NAME without its beginning. */
static char *select_words(const char *a, const char *b, bool in_both, unsigned *ret_n)
{
	char *result = NULL;
	size_t size;
	FILE *out = open_memstream(&result, &size);

	*ret_n = 0;
	if (!out)
		return NULL;
	for (const char *p = a; *(p += strspn(p, " "));) {
		const size_t n = strcspn(p, " ");

		if (has_word(b, p, n) == in_both)
			fprintf(out, "%s%.*s", (*ret_n)++ ? " " : "", (int)n, p);
		p += n;
	}
	return fclose(out) == 0 ? result : NULL;
}

/* Sets: what both have, and what one has alone. */
static void print_sets(const struct lab_view *view, const char *property, const char *name, const char *host,
		       const char *box)
{
	unsigned common, only_host, only_box;
	_cleanup_free_ char *both = select_words(host, box, true, &common);
	_cleanup_free_ char *left = select_words(host, box, false, &only_host);
	_cleanup_free_ char *right = select_words(box, host, false, &only_box);
	char prefix[96];

	if (!both || !left || !right)
		return;
	fprintf(view->out, "  %s: %s\n", property, only_host || only_box ? "other" : "same");
	snprintf(prefix, sizeof(prefix), "    both (%u): ", common);
	lab_print_wrapped(view, prefix, "      ", common ? both : "nothing");
	if (only_host) {
		snprintf(prefix, sizeof(prefix), "    the host alone (%u): ", only_host);
		lab_print_wrapped(view, prefix, "      ", left);
	}
	if (only_box) {
		snprintf(prefix, sizeof(prefix), "    %s alone (%u): ", name, only_box);
		lab_print_wrapped(view, prefix, "      ", right);
	}
}

static void look_property(const struct lab_view *view, struct lab_session *session, const char *name,
			  const char *property)
{
	_cleanup_free_ char *host = value_of(session, "host", property), *box = value_of(session, name, property);
	struct observe_term term;

	if (!host || !box || observe_parse(property, &term, NULL) < 0)
		return;
	if (term.property->kind == OBSERVE_SET && *host != '?' && *box != '?' && strlen(host) + strlen(box) > 40)
		print_sets(view, property, name, host, box);
	else
		print_pair(view, property, name, host, box);
	observe_term_done(&term);
}

/* ---- mounts ---- */

static char *read_mounts(struct lab_session *session, const char *subject, struct err *err)
{
	char path[64], *data = NULL;
	size_t size;
	pid_t pid;

	if (lab_session_pid(session, subject, NULL, &pid, err) < 0)
		return NULL;
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
	return file_read_virtual_at(AT_FDCWD, path, LAB_FILE_MAX, &data, &size, err) < 0 ? NULL : data;
}

static unsigned count_lines(const char *text)
{
	unsigned n = 0;

	for (; (text = strchr(text, '\n')); text++)
		n++;
	return n;
}

static void look_mounts(const struct lab_view *view, struct lab_session *session, const char *name)
{
	struct err err = ERR_INIT;
	char message[ERR_MESSAGE_MAX * 4];
	_cleanup_free_ char *host = read_mounts(session, "host", &err), *box = read_mounts(session, name, &err);
	struct mountinfo m;

	if (!host || !box) {
		lab_say(view, "  mounts", "%s", err_format(&err, message, sizeof(message)));
		return;
	}
	if (streq(host, box)) {
		fprintf(view->out, "  The same %u mounts on both sides.\n", count_lines(host));
		return;
	}
	fprintf(view->out, "  The host's mount namespace has %u mounts, that of %s has %u:\n", count_lines(host), name,
		count_lines(box));
	for (char *p = box, *line; (line = strsep(&p, "\n")) && *line;) {
		char target[512];

		if (!mountinfo_parse(line, &m))
			continue;
		escape_text(m.target, target, sizeof(target));
		fprintf(view->out, "    %-28s %-10s %s\n", target, m.type,
			m.shared && m.slave ? "shared, slave"
			: m.shared	    ? "shared"
			: m.slave	    ? "slave"
					    : "private");
	}
}

static unsigned count_words(const char *text)
{
	unsigned n = 0;

	for (; *(text += strspn(text, " ")); n++)
		text += strcspn(text, " ");
	return n;
}

static void look_processes(const struct lab_view *view, struct lab_session *session, const char *name)
{
	_cleanup_free_ char *host = value_of(session, "host", "processes"), *box = value_of(session, name, "processes");
	char prefix[80];

	if (!host || !box)
		return;
	fprintf(view->out, "  host: %u processes in its PID namespace\n", count_words(host));
	snprintf(prefix, sizeof(prefix), "  %s: ", name);
	if (streq(host, box))
		fprintf(view->out, "  %s: the same\n", name);
	else
		lab_print_wrapped(view, prefix, "    ", box);
}

static bool is_wanted(const char *topic, char *const *what)
{
	if (!what || !*what)
		return true;
	for (; *what; what++)
		if (streq(*what, topic))
			return true;
	return false;
}

int lab_look(const struct lab_view *view, struct lab_session *session, const char *name, char *const *what,
	     struct err *err)
{
	pid_t pid;

	for (char *const *word = what; word && *word; word++) {
		bool known = false;

		for (size_t i = 0; i < ARRAY_LEN(topics); i++)
			known = known || streq(topics[i].name, *word);
		if (!known)
			return err_input(err, "look: '%s' is none of ns ids caps mounts cgroup links processes", *word);
	}
	const int r = lab_session_pid(session, name, NULL, &pid, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(topics); i++) {
		if (!is_wanted(topics[i].name, what))
			continue;
		lab_strong(view, true);
		fprintf(view->out, "  %s: host and %s (process %d)\n", topics[i].title, name, pid);
		lab_strong(view, false);
		for (const char *const *property = topics[i].properties; *property; property++)
			look_property(view, session, name, *property);
		if (streq(topics[i].name, "mounts"))
			look_mounts(view, session, name);
		if (streq(topics[i].name, "processes"))
			look_processes(view, session, name);
	}
	return 0;
}
