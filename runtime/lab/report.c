/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/lab/report.h>

#include <nsrun/base/strings.h>
#include <nsrun/lab/record.h>
#include <nsrun/plan/state.h>

#include <ctype.h>
#include <string.h>

/* ---- the hash ---- */

int lab_report_hash(const json_t *document, const char *salt, char ret[SHA256_TEXT_SIZE], struct err *err)
{
	json_t *copy = json_copy((json_t *)document);
	_cleanup_free_ char *text = NULL;
	struct sha256 sha256;

	if (copy && (!json_object_get(copy, "hash") || json_object_del(copy, "hash") == 0))
		text = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(copy);
	if (!text)
		return err_oom(err);
	sha256_begin(&sha256);
	if (salt) {
		sha256_add(&sha256, salt, strlen(salt));
		sha256_add(&sha256, "\n", 1);
	}
	sha256_add(&sha256, text, strlen(text));
	sha256_end(&sha256, ret);
	return 0;
}

static json_t *hash_json(const json_t *document, const char *salt)
{
	char value[SHA256_TEXT_SIZE];

	if (lab_report_hash(document, salt, value, NULL) < 0)
		return NULL;
	return json_pack("{s:s, s:b, s:s}", "algorithm", "sha256", "salted", salt != NULL, "value", value);
}

enum lab_verdict_of_file lab_report_verify(const json_t *document, const char *salt)
{
	const json_t *hash = json_object_get(document, "hash");
	const char *algorithm = json_string_value(json_object_get(hash, "algorithm"));
	const char *value = json_string_value(json_object_get(hash, "value"));
	const bool salted = json_is_true(json_object_get(hash, "salted"));
	char now[SHA256_TEXT_SIZE];

	/* What is missing was taken out by somebody. */
	if (!algorithm || !streq(algorithm, "sha256") || !value)
		return LAB_FILE_EDITED;
	if (salted && !salt)
		return LAB_FILE_WANTS_SALT;
	if (lab_report_hash(document, salted ? salt : NULL, now, NULL) < 0 || !streq(now, value))
		return LAB_FILE_EDITED;
	return salt && !salted ? LAB_FILE_UNSALTED : LAB_FILE_SOUND;
}

const char *lab_verdict_word(enum lab_verdict_of_file verdict)
{
	static const char *const words[] = { [LAB_FILE_SOUND] = "sound",
					     [LAB_FILE_EDITED] = "edited",
					     [LAB_FILE_UNSALTED] = "unsalted",
					     [LAB_FILE_WANTS_SALT] = "wants-salt",
					     [LAB_FILE_CONTRADICTS] = "contradicts",
					     [LAB_FILE_UNREADABLE] = "unreadable" };

	return words[verdict];
}

/* ---- the document ---- */

/* A letter and its choice: "b) the same". NULL: what was typed says it all. */
static json_t *choice_json(const struct lab_block *block, const char *answer)
{
	const int letter = answer ? tolower((unsigned char)answer[0]) : 0;

	if (letter < 'a' || letter >= 'a' + (int)block->choices.n || (answer[1] && answer[1] != ')'))
		return json_null();
	return json_sprintf("%c) %s", letter, block->choices.at[letter - 'a'].text);
}

static json_t *chapter_json(const struct lab_chapter *chapter, const struct lab_result *result)
{
	json_t *object = lab_result_json(result);
	const json_t *asks = json_object_get(object, "asks"), *tasks = json_object_get(object, "tasks");

	if (!object)
		return NULL;
	json_object_set_new(object, "minutes", json_integer(chapter->minutes));
	json_object_set_new(object, "digest", json_string(chapter->digest));
	for (size_t i = 0; i < result->n_asks; i++) {
		const struct lab_ask_result *ask = &result->asks[i];
		json_t *one = json_array_get(asks, i);

		json_object_set_new(one, "question", json_string(ask->question));
		if (!ask->answer)
			continue;
		/* What is right is told to whoever has answered. */
		json_object_set_new(one, "chosen", choice_json(ask->block, ask->answer));
		json_object_set_new(one, "reality", ask->reality ? json_string(ask->reality) : json_null());
		json_object_set_new(one, "reality_chosen", choice_json(ask->block, ask->reality));
		json_object_set_new(one, "why", ask->block->why ? json_string(ask->block->why) : json_null());
	}
	for (size_t i = 0; i < result->n_tasks; i++) {
		json_t *one = json_array_get(tasks, i);

		json_object_set_new(one, "text", json_string(result->tasks[i].text));
		json_object_set_new(one, "hints_there", json_integer((json_int_t)result->tasks[i].hints_there));
	}
	return object;
}

static int add_chapter(json_t *chapters, const struct lab_place *place, const struct lab_progress *progress,
		       const char *id, struct err *err)
{
	_cleanup_(lab_chapter_freep) struct lab_chapter *chapter = NULL;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct lab_mistakes mistakes = { 0 };
	struct lab_result result;

	int r = arena ? lab_chapter_read(place->chapters, id, &chapter, &mistakes, err) : err_oom(err);
	if (r < 0 && mistakes.n > 0) {
		*err = ERR_INIT;
		r = err_input(err, "%s; nsrun lab list --verify tells all mistakes", mistakes.lines[0]);
	}
	lab_mistakes_done(&mistakes);
	if (r == 0)
		r = lab_result_make(arena, chapter, progress, &result, err);
	if (r == 0 && json_array_append_new(chapters, chapter_json(chapter, &result)) < 0)
		r = err_oom(err);
	return r;
}

static int make_chapters(const struct lab_place *place, const struct lab_progress *progress, json_t *chapters,
			 struct err *err)
{
	char **ids = NULL;
	size_t n = 0;

	int r = lab_chapters_list(place->chapters, &ids, &n, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_chapter(chapters, place, progress, ids[i], err);
	lab_words_free(ids, n);
	return r;
}

int lab_report_make(const struct lab_place *place, const struct lab_progress *progress, const char *salt, json_t **ret,
		    struct err *err)
{
	json_t *chapters = json_array(), *launches = NULL, *document = NULL;
	char made[STATE_TIME_SIZE];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	state_format_time(&now, made);
	int r = lab_records_load(place, &launches, err);
	if (r == 0)
		r = make_chapters(place, progress, chapters, err);
	if (r == 0) {
		document = json_pack("{s:i, s:s, s:s, s:O, s:O}", "version", LAB_REPORT_VERSION, "kind", "report",
				     "made", made, "chapters", chapters, "launches", launches);
		if (!document || json_object_set_new(document, "hash", hash_json(document, salt)) < 0)
			r = err_oom(err);
	}
	json_decref(chapters);
	json_decref(launches);
	if (r < 0)
		json_decref(document);
	else
		*ret = document;
	return r;
}
