/* SPDX-License-Identifier: Apache-2.0 */
/* The host and its containers beside each other, joined by the inodes of their namespaces. */
#include <nsrun/lab/panes.h>

#include <nsrun/base/strings.h>
#include <nsrun/lab/look.h>

#include <string.h>

#define SUBJECTS_MAX 8
#define MARK_COLUMNS 5 /* blank, the mark, blank */
#define GAP 2

struct row {
	const char *label;
	const char *property;
};

static const struct row namespaces[] = {
	{ "uts", "uts" }, { "ipc", "ipc" },   { "mnt", "mnt" },	      { "pid", "pid" },
	{ "net", "net" }, { "user", "user" }, { "cgroup", "cgroup" }, { "time", "time" },
};
static const struct row ids[] = {
	{ "host name", "hostname" },	    { "process", "process" },
	{ "pid inside", "process.inner" },  { "uid", "uid" },
	{ "uid inside", "uid.inner" },	    { "capabilities", "caps.eff" },
	{ "no_new_privs", "no_new_privs" }, { "seccomp", "seccomp" },
};

/* A table: a label, the host's value, and for each container a mark and its value. */
struct table {
	const char *title;
	const struct row *rows;
	size_t n;
	unsigned label, value;
	bool joins; /* who shares a namespace with another container is told */
};

static const struct table tables[] = {
	{ "inode of", namespaces, ARRAY_LEN(namespaces), 9, 10, true },
	{ "kernel's word", ids, ARRAY_LEN(ids), 14, 12, false },
};

struct sides {
	struct lab_session *session;
	const char *name[SUBJECTS_MAX]; /* the host first */
	size_t n;
};

static unsigned columns_of(const struct table *table, size_t containers)
{
	return table->label + table->value + (unsigned)containers * (MARK_COLUMNS + table->value);
}

/* Cut where it is too long, with a sign that it was; filled up with blanks. */
static void put_cell(FILE *out, const char *text, unsigned columns)
{
	const bool cut = pane_columns(text) > columns;
	unsigned used = 0, width;
	wchar_t c;
	char mark;
	size_t n;

	for (; (n = pane_next(text, &c, &width, &mark)) && used + width + cut <= columns; text += n) {
		if (mark)
			continue;
		fwrite(text, 1, n, out);
		used += width;
	}
	if (cut)
		fputc('~', out);
	for (used += cut; used < columns; used++)
		fputc(' ', out);
}

/* malloc'd, one line of what can be shown; "-" where the kernel does not say. */
static char *value_of(struct lab_session *session, const char *subject, const char *property)
{
	const struct lab_term term = { .text = property, .subject = subject, .property = property };
	_cleanup_free_ char *raw = NULL;
	char *text = NULL;
	unsigned n = 0;

	if (lab_session_value(session, &term, &raw, NULL) < 0)
		return strdup("-");
	if (streq(property, "caps.eff")) {
		for (const char *p = raw; *(p += strspn(p, " ")); n++)
			p += strcspn(p, " ");
		return asprintf(&text, "%u", n) < 0 ? NULL : text;
	}
	const size_t size = strlen(raw) * 4 + 1;

	text = malloc(size);
	if (text)
		escape_text(raw, text, size);
	return text;
}

static void put_heading(FILE *out, const struct sides *sides, const struct table *table)
{
	put_cell(out, table->title, table->label);
	for (size_t i = 0; i < sides->n; i++) {
		if (i > 0)
			put_cell(out, "", MARK_COLUMNS);
		put_cell(out, sides->name[i], table->value);
	}
}

/* How the value of a container stands to those on its left. */
static const char *mark_of(char *const *values, size_t i, bool joins)
{
	if (streq(values[i], "-"))
		return "  .  ";
	if (streq(values[i], values[0]))
		return joins ? " === " : "  =  ";
	for (size_t other = 1; joins && other < i; other++)
		if (streq(values[i], values[other]))
			return "  +  ";
	return "  !  ";
}

static void put_row(FILE *out, const struct sides *sides, const struct table *table, const struct row *row)
{
	char *values[SUBJECTS_MAX] = { NULL };
	bool whole = true;

	for (size_t i = 0; i < sides->n; i++) {
		values[i] = value_of(sides->session, sides->name[i], row->property);
		whole = whole && values[i];
	}
	if (whole) {
		put_cell(out, row->label, table->label);
		put_cell(out, values[0], table->value);
	}
	for (size_t i = 1; whole && i < sides->n; i++) {
		const char *mark = mark_of(values, i, table->joins);

		fputs(mark[2] == '=' ? LAB_CODE : mark[2] == '!' ? LAB_STRONG : LAB_NORMAL, out);
		fputs(mark, out);
		put_cell(out, values[i], table->value);
		fputs(LAB_NORMAL, out);
	}
	for (size_t i = 0; i < sides->n; i++)
		free(values[i]);
}

/* The chosen container, and as many others as there is room for. */
static void choose(struct sides *sides, size_t chosen, size_t most)
{
	struct lab_session *session = sides->session;

	sides->name[sides->n++] = "host";
	if (session->n == 0)
		return;
	if (most >= session->n)
		for (size_t i = 0; i < session->n && sides->n < SUBJECTS_MAX; i++)
			sides->name[sides->n++] = session->containers[i]->name;
	else
		sides->name[sides->n++] = session->containers[chosen < session->n ? chosen : 0]->name;
}

static void write_pane(struct pane *pane, char *text, size_t size)
{
	if (text)
		(void)pane_write(pane, text, size);
	free(text);
}

static void fill_beside(struct pane *pane, const struct sides *sides, FILE *heading)
{
	put_heading(heading, sides, &tables[0]);
	put_cell(heading, "", GAP);
	put_heading(heading, sides, &tables[1]);
	for (size_t i = 0; i < tables[0].n; i++) {
		char *line = NULL;
		size_t size = 0;
		FILE *out = open_memstream(&line, &size);

		if (!out)
			return;
		put_row(out, sides, &tables[0], &tables[0].rows[i]);
		put_cell(out, "", GAP);
		put_row(out, sides, &tables[1], &tables[1].rows[i]);
		fputc('\n', out);
		if (fclose(out) == 0)
			write_pane(pane, line, size);
		else
			free(line);
	}
}

static void fill_below(struct pane *pane, const struct sides *sides, FILE *heading)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return;
	put_heading(heading, sides, &tables[0]);
	for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
		if (t > 0) {
			fputs("\n" LAB_STRONG, out);
			put_heading(out, sides, &tables[t]);
			fputs(LAB_NORMAL "\n", out);
		}
		for (size_t i = 0; i < tables[t].n; i++) {
			put_row(out, sides, &tables[t], &tables[t].rows[i]);
			fputc('\n', out);
		}
	}
	if (fclose(out) == 0)
		write_pane(pane, text, size);
	else
		free(text);
}

void panes_fill_sides(struct pane *pane, struct lab_session *session, size_t chosen, unsigned width, unsigned height,
		      char *ret_heading, size_t heading_size)
{
	struct sides sides = { .session = session };
	const size_t n = session->n < SUBJECTS_MAX ? session->n : SUBJECTS_MAX - 1;
	FILE *heading = fmemopen(ret_heading, heading_size - 1, "w");
	size_t below = 0;

	pane_clear(pane);
	memset(ret_heading, 0, heading_size);
	if (!heading)
		return;
	/* All beside each other; else all with the tables below each other; else one container. */
	const bool beside = columns_of(&tables[0], n) + GAP + columns_of(&tables[1], n) <= width;

	while (below < n && columns_of(&tables[1], below + 1) <= width)
		below++;
	const bool one_beside = columns_of(&tables[0], 1) + GAP + columns_of(&tables[1], 1) <= width;
	const bool tall = height >= tables[0].n + tables[1].n + 2;

	choose(&sides, chosen, beside ? n : tall || !one_beside ? below : 1);
	if (beside || (one_beside && !(tall && below >= n)))
		fill_beside(pane, &sides, heading);
	else
		fill_below(pane, &sides, heading);
	(void)fclose(heading);
	pane_read(pane);
}

/* ---- the tape ---- */

static void put_tape_row(FILE *out, enum step_id id, enum role role, const char *state, const char *time,
			 const char *note)
{
	const bool here = streq(state, "held") || streq(state, "now");

	fprintf(out, "%s%c %-7s %-20s %-8s %9s  %s", here ? LAB_STRONG : LAB_NORMAL, here ? '>' : streq(state, "done") ? ' ' : '!',
		state, score[id].name, role_name(role), time,
		score[id].manual	   ? score[id].manual
		: score[id].interface ? score[id].interface
					   : "");
	if (note && *note) {
		char text[TAPE_NOTE_MAX * 4 + 1];

		escape_text(note, text, sizeof(text));
		fprintf(out, "  (%s)", text);
	}
	fputs(LAB_NORMAL "\n", out);
}

static void put_record(FILE *out, const struct tape *tape, enum step_id id)
{
	const struct tape_record *record = &tape->records[id];
	const uint32_t state = atomic_load_explicit(&record->state, memory_order_acquire);
	char time[32] = "", note[TAPE_NOTE_MAX + 1] = "";
	const char *word = state == TAPE_OK ? "done" : state == TAPE_BEGUN ? "now" : strerrorname_np(record->errnum);

	if (state == TAPE_OK && record->begin_ns && record->end_ns >= record->begin_ns)
		snprintf(time, sizeof(time), "%.3f ms", (double)(record->end_ns - record->begin_ns) / 1e6);
	memcpy(note, record->note, TAPE_NOTE_MAX);
	put_tape_row(out, id, record->role ? (enum role)record->role : score[id].role, word ? word : "failed", time,
		     note);
}

void panes_fill_tape(struct pane *pane, const struct lab_container *container, char *ret_heading, size_t heading_size)
{
	enum step_id ran[STEP_COUNT];
	char *text = NULL;
	size_t size = 0;

	pane_clear(pane);
	snprintf(ret_heading, heading_size, "the launch of %s: state, row, process, time, manual page",
		 container ? container->name : "nothing");
	FILE *out = container && container->tape ? open_memstream(&text, &size) : NULL;

	if (!out) {
		(void)pane_write(pane, "No launch that has rows.\n", 25);
		return;
	}
	const size_t n = lab_tape_order(container->tape, ran);

	for (size_t i = 0; i < n; i++)
		put_record(out, container->tape, ran[i]);
	if (container->state == LAB_HELD)
		put_tape_row(out, container->held, container->held_role, "held", "", NULL);
	if (fclose(out) == 0)
		write_pane(pane, text, size);
	else
		free(text);
}

/* ---- both ---- */

static void take_states(struct lab_panes *panes, char *buf, size_t size)
{
	struct lab_session *session = panes->play->session;
	size_t at = 0;

	*buf = '\0';
	for (size_t i = 0; i < session->n && at < size; i++) {
		const struct lab_container *c = session->containers[i];
		const char *word = lab_session_state_word(session, c->name);

		at += (size_t)snprintf(buf + at, size - at, "%s%s %s", at ? ", " : "", c->name, word);
		if (at < size && c->state == LAB_HELD)
			at += (size_t)snprintf(buf + at, size - at, " before %s", score[c->held].name);
	}
}

bool panes_changed(struct lab_panes *panes)
{
	char now[sizeof(panes->states)];

	take_states(panes, now, sizeof(now));
	return !streq(now, panes->states);
}

void panes_fill(struct lab_panes *panes)
{
	struct lab_session *session = panes->play->session;
	struct pane *tape = &panes->pane[PART_TAPE];
	const size_t rows = tape->n, shown = panes->chosen;

	/* The one that was started last, until the learner chooses another. */
	if (panes->known != session->n)
		panes->chosen = session->n ? session->n - 1 : 0;
	panes->known = session->n;
	take_states(panes, panes->states, sizeof(panes->states));
	panes_fill_sides(&panes->pane[PART_SIDES], session, panes->chosen, panes->pane[PART_SIDES].width,
			 panes->pane[PART_SIDES].height, panes->heading[PART_SIDES], sizeof(panes->heading[0]));
	panes_fill_tape(tape, panes->chosen < session->n ? session->containers[panes->chosen] : NULL,
			panes->heading[PART_TAPE], sizeof(panes->heading[0]));
	/* The last row is where the launch is; who has scrolled stays where he is until there is another one. */
	if (tape->n != rows || panes->chosen != shown)
		tape->top = tape->n;
	pane_lay_out(tape);
}
