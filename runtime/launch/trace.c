/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/launch/trace.h>

#include <nsrun/base/strings.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Notes and names once escaped: every byte may become four. */
#define FIELD_MAX (TAPE_NOTE_MAX * 4 + 1)

struct event {
	const struct step *step;
	const struct tape_record *record;
	uint32_t state;
};

static int compare_begin(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	if (x->record->begin_ns != y->record->begin_ns)
		return x->record->begin_ns < y->record->begin_ns ? -1 : 1;
	return (int)x->step->id - (int)y->step->id;
}

/* The rows that were run, in the order of their begin. */
static size_t collect_events(const struct tape *tape, struct event events[STEP_COUNT])
{
	size_t n = 0;

	for (int id = STEP_NONE + 1; id < STEP_COUNT; id++) {
		const struct tape_record *record = &tape->records[id];
		const uint32_t state = atomic_load_explicit(&record->state, memory_order_acquire);

		if (state != TAPE_NOT_RUN)
			events[n++] = (struct event){ &score[id], record, state };
	}
	qsort(events, n, sizeof(events[0]), compare_begin);
	return n;
}

/* "unfinished": the process ended, or was ended, inside the row; or it waits there. */
static const char *result_of(const struct event *event, char *buf, size_t size)
{
	const char *name;

	switch (event->state) {
	case TAPE_OK:
		return "ok";
	case TAPE_FAILED:
		name = strerrorname_np(event->record->errnum);
		if (name)
			return name;
		snprintf(buf, size, "errno %" PRIi32, event->record->errnum);
		return buf;
	default:
		return "unfinished";
	}
}

static bool has_duration(const struct event *event)
{
	return event->state != TAPE_BEGUN && event->record->end_ns >= event->record->begin_ns;
}

/* "open_tree(2)" where the page is named like the interface, else the interface alone: one word a column. */
static const char *interface_text(const struct step *step)
{
	const char *rest;

	if (!step->interface)
		return "-";
	rest = step->manual ? str_after(step->manual, step->interface) : NULL;
	return rest && *rest == '(' ? step->manual : step->interface;
}

/* A record's role is the process that wrote it; one that was killed before it wrote it leaves the table's. */
static const char *event_role(const struct event *event)
{
	return role_name(event->record->role ? (enum role)event->record->role : event->step->role);
}

static void note_text(const struct event *event, char *buf, size_t size)
{
	char note[TAPE_NOTE_MAX];

	/* The other process may be dead in the middle of writing it. */
	memcpy(note, event->record->note, sizeof(note));
	note[sizeof(note) - 1] = '\0';
	escape_text(note, buf, size);
}

struct widths {
	int role, name, interface, result;
};

static void widen(int *width, const char *text)
{
	const int len = (int)strlen(text);

	if (len > *width)
		*width = len;
}

void trace_print_text(const struct tape *tape, FILE *out)
{
	struct event events[STEP_COUNT];
	const size_t n = collect_events(tape, events);
	struct widths w = { 0 };
	char result[32];

	for (size_t i = 0; i < n; i++) {
		widen(&w.role, event_role(&events[i]));
		widen(&w.name, events[i].step->name);
		widen(&w.interface, interface_text(events[i].step));
		widen(&w.result, result_of(&events[i], result, sizeof(result)));
	}
	for (size_t i = 0; i < n; i++) {
		const struct event *e = &events[i];
		char duration[32] = "-", note[FIELD_MAX];

		if (has_duration(e))
			snprintf(duration, sizeof(duration), "%.3f ms",
				 (double)(e->record->end_ns - e->record->begin_ns) / 1e6);
		note_text(e, note, sizeof(note));
		fprintf(out, "+%.3f ms  %-*s  %-*s  %-*s  %9s  ",
			(double)(e->record->begin_ns - events[0].record->begin_ns) / 1e6, w.role, event_role(e), w.name,
			e->step->name, w.interface, interface_text(e->step), duration);
		/* Padded only when something follows: no line ends in spaces. */
		fprintf(out, "%-*s%s%s\n", note[0] ? w.result : 0, result_of(e, result, sizeof(result)),
			note[0] ? "  " : "", note);
	}
}

/* `text` comes out of escape_text(): valid UTF-8 without control characters. */
static void json_text(FILE *out, const char *key, const char *text)
{
	fprintf(out, "\"%s\": \"", key);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputs("\", ", out);
}

void trace_print_json(const struct tape *tape, FILE *out)
{
	struct event events[STEP_COUNT];
	const size_t n = collect_events(tape, events);

	for (size_t i = 0; i < n; i++) {
		const struct event *e = &events[i];
		char result[32], note[FIELD_MAX];

		note_text(e, note, sizeof(note));
		fputc('{', out);
		json_text(out, "step", e->step->name);
		json_text(out, "role", event_role(e));
		json_text(out, "interface", e->step->interface ? e->step->interface : "");
		json_text(out, "manual", e->step->manual ? e->step->manual : "");
		fprintf(out, "\"begin_us\": %.3f, ", (double)(e->record->begin_ns - events[0].record->begin_ns) / 1e3);
		if (has_duration(e))
			fprintf(out, "\"duration_us\": %.3f, ",
				(double)(e->record->end_ns - e->record->begin_ns) / 1e3);
		else
			fputs("\"duration_us\": null, ", out);
		json_text(out, "result", result_of(e, result, sizeof(result)));
		json_text(out, "note", note);
		fprintf(out, "\"pid\": %" PRIi32 "}\n", e->record->pid);
	}
}

void trace_print_plan(const struct plan *plan, FILE *out)
{
	struct widths w = { 0 };

	for (int id = STEP_NONE + 1; id < STEP_COUNT; id++)
		if (score_wants(plan, (enum step_id)id)) {
			widen(&w.role, role_name(score[id].role));
			widen(&w.name, score[id].name);
		}
	for (int id = STEP_NONE + 1; id < STEP_COUNT; id++)
		if (score_wants(plan, (enum step_id)id))
			fprintf(out, "%-*s  %-*s  %s\n", w.role, role_name(score[id].role), w.name, score[id].name,
				score[id].interface);
}
