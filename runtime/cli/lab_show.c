/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/lab.h>

#include <nsrun/base/strings.h>
#include <nsrun/cli/containers.h>
#include <nsrun/cli/report.h>
#include <nsrun/lab/chapter.h>
#include <nsrun/lab/record.h>
#include <nsrun/lab/session.h>
#include <nsrun/lab/text.h>

#include <string.h>
#include <sys/stat.h>

int lab_open_progress(struct lab_place *place, struct lab_progress *ret)
{
	struct err err = ERR_INIT;
	struct stat st;

	/* Nothing is made by looking. */
	if (stat(place->dir, &st) == 0 && lab_place_make(place, &err) < 0)
		return report_error(stderr, &err);
	return lab_progress_load(place, ret, &err) < 0 ? report_error(stderr, &err) : 0;
}

static void suggest(const struct lab_place *place, const char *id, struct err *err)
{
	struct err ignored = ERR_INIT;
	char **ids;
	size_t n;

	if (lab_chapters_list(place->chapters, &ids, &n, &ignored) < 0)
		n = 0, ids = NULL;
	const char *near = n ? nearest_word(id, (const char *const *)ids) : NULL;

	*err = ERR_INIT;
	err_set(err, ERR_INPUT, ERR_ID_LAB_CHAPTER, 0, "%s: there is no such chapter%s%s%s", id, near ? "; is it " : "",
		near ? near : "", near ? "?" : "");
	lab_words_free(ids, n);
}

int lab_read_chapter(const struct lab_place *place, const char *id, struct lab_chapter **ret)
{
	struct lab_mistakes mistakes = { 0 };
	struct err err = ERR_INIT;

	const int r = lab_chapter_read(place->chapters, id, ret, &mistakes, &err);
	if (r == 0)
		return 0;
	for (size_t i = 0; i < mistakes.n; i++)
		fprintf(stderr, "%s\n", mistakes.lines[i]);
	lab_mistakes_done(&mistakes);
	if (r == -ENOENT)
		suggest(place, id, &err);
	return report_error(stderr, &err);
}

static int list_ids(const struct lab_place *place, char ***ret, size_t *ret_n)
{
	struct err err = ERR_INIT;

	return lab_chapters_list(place->chapters, ret, ret_n, &err) < 0 ? report_error(stderr, &err) : 0;
}

/* ---- list ---- */

static json_t *words_json(char *const *words)
{
	json_t *list = json_array();

	for (; *words; words++)
		json_array_append_new(list, json_string(*words));
	return list;
}

static int add_json(json_t *list, const struct lab_chapter *chapter, const struct lab_result *result)
{
	json_t *object = lab_result_json(result);

	if (!object)
		return -ENOMEM;
	json_object_set_new(object, "minutes", json_integer(chapter->minutes));
	json_object_set_new(object, "goal", json_string(chapter->goal));
	json_object_set_new(object, "after", words_json(chapter->after));
	json_object_set_new(object, "needs", words_json(chapter->needs));
	return json_array_append_new(list, object) < 0 ? -ENOMEM : 0;
}

static int add_row(struct table *table, const struct lab_chapter *chapter, const struct lab_result *result)
{
	char minutes[16], where[48];

	snprintf(minutes, sizeof(minutes), "%u", chapter->minutes);
	if (result->status == LAB_BEGUN)
		snprintf(where, sizeof(where), "begun (%zu/%zu)", result->block + 1, result->blocks);
	else
		snprintf(where, sizeof(where), "%s", lab_status_word(result->status));
	const char *const cells[] = { chapter->id, minutes, where, chapter->title };

	return table_add(table, cells);
}

struct listing {
	const struct lab_place *place;
	const struct lab_progress *progress;
	struct table *table;
	json_t *json;
	char **ids;
	size_t n;
	unsigned mistakes;
};

/* What can be told only of all together: names that `nsrun lab` takes for something else, and chapters that wait for each other. */
static bool fits_in(const struct listing *listing, const struct lab_chapter *chapter, size_t at)
{
	bool fits = true;

	for (size_t i = 0; lab_commands[i]; i++)
		if (streq(lab_commands[i], chapter->id)) {
			fprintf(stderr, "%s: a chapter cannot be called like `nsrun lab %s`\n", chapter->path,
				chapter->id);
			fits = false;
		}
	for (char **id = chapter->after; *id; id++)
		for (size_t i = at; i < listing->n; i++)
			if (streq(listing->ids[i], *id)) {
				fprintf(stderr, "%s: after: %s: that one comes after this one in its turn\n",
					chapter->path, *id);
				fits = false;
			}
	return fits;
}

static void list_one(struct listing *listing, size_t at)
{
	const char *id = listing->ids[at];
	_cleanup_(lab_chapter_freep) struct lab_chapter *chapter = NULL;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct lab_mistakes mistakes = { 0 };
	struct err err = ERR_INIT;
	struct lab_result result;

	int r = arena ? lab_chapter_read(listing->place->chapters, id, &chapter, &mistakes, &err) : err_oom(&err);
	if (r == 0)
		r = lab_result_make(arena, chapter, listing->progress, &result, &err);
	if (r == 0 && listing->json)
		r = add_json(listing->json, chapter, &result);
	else if (r == 0)
		r = add_row(listing->table, chapter, &result);
	for (size_t i = 0; i < mistakes.n; i++)
		fprintf(stderr, "%s\n", mistakes.lines[i]);
	if (r < 0 && mistakes.n == 0) {
		if (!err_is_set(&err))
			err_oom(&err);
		report_error(stderr, &err);
	}
	listing->mistakes += r < 0 || !fits_in(listing, chapter, at);
	lab_mistakes_done(&mistakes);
}

static int print_json(json_t *json)
{
	_cleanup_free_ char *text = json_dumps(json, JSON_INDENT(1));
	struct err err = ERR_INIT;

	if (!text) {
		err_oom(&err);
		return report_error(stderr, &err);
	}
	puts(text);
	return 0;
}

int lab_show_list(const struct lab_options *options, struct lab_place *place)
{
	static const char *const titles[] = { "CHAPTER", "MINUTES", "STATUS", "TITLE" };
	_cleanup_(lab_progress_done) struct lab_progress progress = { 0 };
	struct listing listing = { .place = place, .progress = &progress };
	char **ids = NULL;
	size_t n = 0;

	int status = lab_open_progress(place, &progress);
	if (!status)
		status = list_ids(place, &ids, &n);
	if (status)
		return status;
	listing.ids = ids;
	listing.n = n;
	if (options->json == YES)
		listing.json = json_array();
	else
		listing.table = table_new(ARRAY_LEN(titles), titles);
	for (size_t i = 0; (listing.json || listing.table) && i < n; i++)
		list_one(&listing, i);
	if (listing.json) {
		status = print_json(listing.json);
		json_decref(listing.json);
	} else if (listing.table) {
		table_print(listing.table, stdout);
		table_free(listing.table);
	}
	if (options->verify == YES && options->json != YES)
		printf("%zu chapters, %u with mistakes\n", n, listing.mistakes);
	lab_words_free(ids, n);
	const int flushed = report_flush(stdout, "standard output");

	return flushed ? flushed : status ? status : options->verify == YES && listing.mistakes ? 1 : 0;
}

/* ---- next ---- */

int lab_show_next(const struct lab_options *options, struct lab_place *place)
{
	_cleanup_(lab_progress_done) struct lab_progress progress = { 0 };
	const struct lab_view view = { .out = stdout, .width = 80 };
	char **ids = NULL;
	size_t n = 0, done = 0;
	bool said = false;

	(void)options;
	int status = lab_open_progress(place, &progress);
	if (!status)
		status = list_ids(place, &ids, &n);
	for (size_t i = 0; !status && i < n; i++) {
		_cleanup_(lab_chapter_freep) struct lab_chapter *chapter = NULL;
		_cleanup_(arena_freep) struct arena *arena = arena_new();
		struct lab_mistakes mistakes = { 0 };
		struct err err = ERR_INIT;
		struct lab_result result;

		if (arena && lab_chapter_read(place->chapters, ids[i], &chapter, &mistakes, &err) == 0 &&
		    lab_result_make(arena, chapter, &progress, &result, &err) == 0) {
			const bool over = result.status == LAB_SOLVED || result.status == LAB_PLAYED ||
					  result.status == LAB_SKIPPED;

			done += over;
			if (!over && !said) {
				printf("%s: nsrun lab %s\n", result.status == LAB_BEGUN ? "Go on with" : "Next",
				       ids[i]);
				printf("  %s, about %u minutes:\n", chapter->title, chapter->minutes);
				lab_print_wrapped(&view, "  ", "  ", chapter->goal);
				said = true;
			}
		}
		lab_mistakes_done(&mistakes);
	}
	if (!status)
		printf("%s%zu of %zu chapters played; nsrun lab list has all, nsrun lab --help explains.\n",
		       said ? "" : "You are through. ", done, n);
	lab_words_free(ids, n);
	const int flushed = report_flush(stdout, "standard output");

	return flushed ? flushed : status;
}

/* ---- check ---- */

static void print_result(const struct lab_result *r)
{
	printf("%s: %s; predictions right: %u of %zu; tasks solved: %u of %zu\n", r->id, lab_status_word(r->status),
	       r->right, r->asks_wanted, r->solved, r->tasks_wanted);
	if (r->skipped)
		printf("  %s\n", r->skipped);
	for (size_t i = 0; r->status != LAB_NEW && i < r->n_asks; i++)
		printf("  question %s: %s\n", r->asks[i].id,
		       r->asks[i].skipped   ? "skipped"
		       : !r->asks[i].answer ? "no answer"
		       : r->asks[i].right   ? "right"
					    : "wrong");
	for (size_t i = 0; r->status != LAB_NEW && i < r->n_tasks; i++)
		printf("  task %s: %s; hints %u, tries %u\n", r->tasks[i].id,
		       r->tasks[i].skipped ? "skipped" : r->tasks[i].state, r->tasks[i].hints, r->tasks[i].tries);
}

static int check_one(const struct lab_place *place, const struct lab_progress *progress, const char *id, json_t *json,
		     bool *all)
{
	_cleanup_(lab_chapter_freep) struct lab_chapter *chapter = NULL;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct err err = ERR_INIT;
	struct lab_result result;

	const int status = lab_read_chapter(place, id, &chapter);
	if (status)
		return status;
	if (!arena || lab_result_make(arena, chapter, progress, &result, &err) < 0)
		return report_error(stderr, &err);
	/* What this host cannot play is nobody's omission. */
	*all = *all && (result.status == LAB_SOLVED || result.status == LAB_SKIPPED);
	if (json)
		json_array_append_new(json, lab_result_json(&result));
	else
		print_result(&result);
	return 0;
}

int lab_show_check(const struct lab_options *options, struct lab_place *place, const char *const *ids, size_t n)
{
	_cleanup_(lab_progress_done) struct lab_progress progress = { 0 };
	json_t *chapters = options->json == YES ? json_array() : NULL;
	char **all_ids = NULL;
	size_t n_all = 0;
	bool all = true;

	int status = lab_open_progress(place, &progress);
	if (!status && n == 0) {
		status = list_ids(place, &all_ids, &n_all);
		ids = (const char *const *)all_ids;
		n = n_all;
	}
	for (size_t i = 0; !status && i < n; i++)
		status = check_one(place, &progress, ids[i], chapters, &all);
	if (!status && chapters) {
		json_t *object = json_pack("{s:i, s:b, s:O}", "version", 1, "solved", all, "chapters", chapters);

		status = print_json(object);
		json_decref(object);
	}
	json_decref(chapters);
	lab_words_free(all_ids, n_all);
	const int flushed = report_flush(stdout, "standard output");

	return flushed ? flushed : status ? status : all ? 0 : 1;
}

int lab_reset(const struct lab_options *options, struct lab_place *place, const char *const *ids, size_t n)
{
	_cleanup_(lab_progress_done) struct lab_progress progress = { 0 };
	struct err err = ERR_INIT;

	(void)options;
	for (size_t i = 0; i < n; i++) {
		_cleanup_(lab_chapter_freep) struct lab_chapter *chapter = NULL;
		const int status = lab_read_chapter(place, ids[i], &chapter);

		if (status)
			return status;
	}
	int r = lab_place_make(place, &err);
	if (r == 0)
		r = lab_place_lock(place, LAB_LOCK_MS, &err);
	/* All: also of a file that cannot be read. */
	if (r == 0 && n == 0)
		r = lab_session_reset(place, &err);
	if (r == 0)
		r = lab_progress_load(place, &progress, &err);
	for (size_t i = 0; r == 0 && i < n; i++) {
		lab_progress_forget(&progress, ids[i]);
		r = lab_records_forget(place, ids[i], &err);
	}
	if (r == 0)
		r = lab_progress_save(&progress, &err);
	if (r < 0)
		return report_error(stderr, &err);
	if (n == 0)
		puts("All chapters are new again, and the rootfs will be.");
	for (size_t i = 0; i < n; i++)
		printf("%s: new again\n", ids[i]);
	return report_flush(stdout, "standard output");
}
