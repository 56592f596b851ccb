/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of a launch, as its tape has them. */
#include <nsrun/lab/look.h>

#include <nsrun/base/strings.h>

#include <string.h>

struct ran {
	enum step_id id;
	int64_t begin; /* as it was when the order was made */
};

static int compare_begin(const void *a, const void *b)
{
	const struct ran *x = a, *y = b;

	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	return (int)x->id - (int)y->id;
}

size_t lab_tape_order(const struct tape *tape, enum step_id ret[STEP_COUNT])
{
	struct ran ran[STEP_COUNT];
	size_t n = 0;

	for (enum step_id id = STEP_NONE + 1; id < STEP_COUNT; id++)
		if (atomic_load_explicit(&tape->records[id].state, memory_order_acquire) != TAPE_NOT_RUN) {
			ran[n].id = id;
			ran[n++].begin = tape->records[id].begin_ns;
		}
	qsort(ran, n, sizeof(ran[0]), compare_begin);
	for (size_t i = 0; i < n; i++)
		ret[i] = ran[i].id;
	return n;
}

/* "pivot_root(2)"; "clone3, pid_namespaces(7)" where the page is called otherwise. */
static void interface_text(const struct step *step, char *buf, size_t size)
{
	const char *rest = step->manual && step->interface ? str_after(step->manual, step->interface) : NULL;

	if (rest && *rest == '(')
		snprintf(buf, size, "%s", step->manual);
	else
		snprintf(buf, size, "%s%s%s", step->interface ? step->interface : "", step->manual ? ", " : "",
			 step->manual ? step->manual : "");
}

static void print_row(const struct lab_view *view, const struct tape *tape, enum step_id id, bool whole)
{
	const struct tape_record *record = &tape->records[id];
	const uint32_t state = atomic_load_explicit(&record->state, memory_order_acquire);
	const char *role = role_name(record->role ? (enum role)record->role : score[id].role);
	char interface[128], time[32] = "", note[TAPE_NOTE_MAX + 1] = "", escaped[TAPE_NOTE_MAX * 4 + 1];
	const char *result = state == TAPE_OK	    ? "ok"
			     : state == TAPE_BEGUN  ? "now"
			     : state == TAPE_FAILED ? strerrorname_np(record->errnum)
						    : "not run";

	interface_text(&score[id], interface, sizeof(interface));
	if (state == TAPE_OK && record->end_ns >= record->begin_ns && record->begin_ns)
		snprintf(time, sizeof(time), "%.3f ms", (double)(record->end_ns - record->begin_ns) / 1e6);
	fprintf(view->out, "  %-20s %-8s %-8s %10s  %s\n", score[id].name, role, result ? result : "failed", time,
		interface);
	if (state != TAPE_NOT_RUN)
		memcpy(note, record->note, TAPE_NOTE_MAX);
	if (*note) {
		escape_text(note, escaped, sizeof(escaped));
		fprintf(view->out, "      %s\n", escaped);
	}
	if (whole && score[id].why)
		lab_print_wrapped(view, "      ", "      ", score[id].why);
}

static struct lab_container *find_tape(struct lab_session *session, const char *name, struct err *err)
{
	struct lab_container *c = lab_session_find(session, name);

	if (!c)
		err_input(err, "%s: the lab has not started a container of this name", name);
	else if (!c->tape)
		err_input(err, "%s: this command has no rows that could be shown", name);
	return c && c->tape ? c : NULL;
}

static int print_some(const struct lab_view *view, const struct tape *tape, char *const *rows, struct err *err)
{
	for (; *rows; rows++) {
		const enum step_id id = score_find(*rows);

		if (id == STEP_NONE)
			return err_input(err, "tape: '%s' is no row of the score", *rows);
		print_row(view, tape, id, true);
	}
	return 0;
}

int lab_show_tape(const struct lab_view *view, struct lab_session *session, const char *name, char *const *rows,
		  struct err *err)
{
	struct lab_container *c = find_tape(session, name, err);
	enum step_id ran[STEP_COUNT];

	if (!c)
		return -EINVAL;
	fprintf(view->out, "  %-20s %-8s %-8s %10s  %s\n", "row", "process", "result", "time",
		"kernel interface, manual page");
	if (rows && *rows)
		return print_some(view, c->tape, rows, err);
	const size_t n = lab_tape_order(c->tape, ran);

	for (size_t i = 0; i < n; i++)
		print_row(view, c->tape, ran[i], false);
	return 0;
}

void lab_show_held(const struct lab_view *view, const struct lab_container *c)
{
	const struct step *step = &score[c->held];
	char interface[128];

	interface_text(step, interface, sizeof(interface));
	lab_say(view, "held",
		"%s stands before the row %s (%s, in process %s). %s `step` runs this row, `go` all others.", c->name,
		step->name, interface, role_name(c->held_role), step->why ? step->why : "");
}
