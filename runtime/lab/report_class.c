/* SPDX-License-Identifier: Apache-2.0 */
/* The report of a class: the files that learners have handed in, in one table. */
#include <nsrun/lab/report.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/lab/html.h>

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define FILE_MAX (16 * 1024 * 1024)
#define CHAPTERS_MAX 128 /* of a file */
#define LIST_MAX 256	 /* questions, tasks of a chapter */

json_t *lab_class_new(const char *salt)
{
	return json_pack("{s:i, s:s, s:b, s:[], s:[]}", "version", LAB_REPORT_VERSION, "kind", "class", "salted",
			 salt != NULL, "chapters", "learners");
}

/* ---- one file ---- */

/* "anna" of "results/anna.json", as printable text. */
static json_t *name_of(const char *path)
{
	const char *base = strrchr(path, '/');
	char name[256], text[1024];

	snprintf(name, sizeof(name), "%s", base ? base + 1 : path);
	char *end = strrchr(name, '.');

	if (end && end != name && streq(end, ".json"))
		*end = '\0';
	escape_text(name, text, sizeof(text));
	return json_string(text);
}

static json_t *text_json(const char *text)
{
	char escaped[PATH_MAX];

	escape_text(text, escaped, sizeof(escaped));
	return json_string(escaped);
}

static json_t *find(const json_t *list, const char *id)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (streq(text_in(json_array_get(list, i), "id"), id))
			return json_array_get(list, i);
	return NULL;
}

static bool is_wanted(const json_t *one)
{
	return !*text_in(one, "skipped");
}

static json_t *summary_of(const json_t *chapter)
{
	const json_t *asks = json_object_get(chapter, "asks"), *tasks = json_object_get(chapter, "tasks");
	json_int_t right = 0, solved = 0, shown = 0, hints = 0, n_asks = 0, n_tasks = 0;

	for (size_t i = 0; i < json_array_size(asks); i++) {
		right += json_is_true(json_object_get(json_array_get(asks, i), "right"));
		n_asks += is_wanted(json_array_get(asks, i));
	}
	for (size_t i = 0; i < json_array_size(tasks); i++) {
		const json_t *task = json_array_get(tasks, i);

		solved += streq(text_in(task, "state"), "solved");
		shown += streq(text_in(task, "state"), "shown");
		hints += number_in(task, "hints") % 1000000;
		n_tasks += is_wanted(task);
	}
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "status", text_in(chapter, "status"), "right",
			 right, "asks", n_asks, "solved", solved, "shown", shown, "tasks", n_tasks, "hints", hints,
			 "seconds", (json_int_t)number_in(chapter, "seconds"));
}

/* Which chapters there are is not told by files that are doubtful: one could name others, or too many. */
static json_t *summaries(json_t *class, const json_t *document, bool names_chapters)
{
	const json_t *list = json_object_get(document, "chapters");
	json_t *known = json_object_get(class, "chapters"), *all = json_object();

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *chapter = json_array_get(list, i);
		const char *id = text_in(chapter, "id");

		if (!*id)
			continue;
		if (names_chapters && !find(known, id))
			json_array_append_new(known, json_pack("{s:s, s:s, s:I, s:[]}", "id", id, "title",
							       text_in(chapter, "title"), "minutes",
							       (json_int_t)number_in(chapter, "minutes"), "questions"));
		json_object_set_new(all, id, summary_of(chapter));
	}
	return all;
}

/* ---- what a class has answered ---- */

static void add_one(json_t *object, const char *key)
{
	json_object_set_new(object, key, json_integer((json_int_t)number_in(object, key) + 1));
}

static void count_answer(json_t *questions, const json_t *ask)
{
	const char *answer = json_string_value(json_object_get(ask, "answer")), *id = text_in(ask, "id");
	const char *chosen = text_in(ask, "chosen");
	json_t *question = find(questions, id);

	if (!answer || !*id)
		return;
	if (!question) {
		question = json_pack("{s:s, s:s, s:{}}", "id", id, "question", text_in(ask, "question"), "wrong");
		if (json_array_append_new(questions, question) < 0)
			return;
	}
	add_one(question, "answered");
	if (json_is_true(json_object_get(ask, "right")))
		add_one(question, "right");
	else
		add_one(json_object_get(question, "wrong"), *chosen ? chosen : answer);
}

static void count_answers(json_t *class, const json_t *document)
{
	const json_t *list = json_object_get(document, "chapters");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *chapter = json_array_get(list, i), *asks = json_object_get(chapter, "asks");
		const json_t *known = find(json_object_get(class, "chapters"), text_in(chapter, "id"));

		for (size_t k = 0; known && k < json_array_size(asks); k++)
			count_answer(json_object_get(known, "questions"), json_array_get(asks, k));
	}
}

/* ---- doubts ---- */

/* The learner who has handed in the very same work before, to the nanosecond; NULL: nobody. */
static const char *same_as(const json_t *class, const char *work)
{
	const json_t *learners = json_object_get(class, "learners");

	for (size_t i = 0; *work && i < json_array_size(learners); i++)
		if (streq(text_in(json_array_get(learners, i), "work"), work))
			return text_in(json_array_get(learners, i), "name");
	return NULL;
}

/* Of what was done, and when: not when the file was made. "" where nothing was. */
static void hash_work(const json_t *document, char ret[SHA256_TEXT_SIZE])
{
	const json_t *list = json_object_get(document, "chapters");
	bool begun = false;

	*ret = '\0';
	for (size_t i = 0; i < json_array_size(list); i++)
		begun = begun || *text_in(json_array_get(list, i), "begun");
	json_t *work = begun ? json_pack("{s:O}", "chapters", list) : NULL;

	if (work && lab_report_hash(work, NULL, ret, NULL) < 0)
		*ret = '\0';
	json_decref(work);
}

static bool is_too_much(const json_t *chapters)
{
	for (size_t i = 0; i < json_array_size(chapters); i++) {
		const json_t *chapter = json_array_get(chapters, i);

		if (json_array_size(json_object_get(chapter, "asks")) > LIST_MAX ||
		    json_array_size(json_object_get(chapter, "tasks")) > LIST_MAX)
			return true;
	}
	return json_array_size(chapters) > CHAPTERS_MAX;
}

static const char *wrong_ask(const json_t *ask)
{
	const bool right = json_is_true(json_object_get(ask, "right"));
	const char *chosen = text_in(ask, "chosen"), *reality = text_in(ask, "reality_chosen");

	if (right && !json_is_string(json_object_get(ask, "answer")))
		return "right, and not answered";
	if (*chosen && *reality && right != streq(chosen, reality))
		return right ? "right, and another answer is" : "wrong, and the answer is right";
	return NULL;
}

/* What the lab never writes. It takes no skill to avoid that; it takes care. */
static bool contradicts(const json_t *chapter, char *buf, size_t size)
{
	const json_t *asks = json_object_get(chapter, "asks"), *tasks = json_object_get(chapter, "tasks");
	const char *id = text_in(chapter, "id");
	bool complete = true;

	for (size_t i = 0; i < json_array_size(asks); i++) {
		const json_t *ask = json_array_get(asks, i);
		const char *why = wrong_ask(ask);

		if (why) {
			snprintf(buf, size, "%s, question %s: %s", id, text_in(ask, "id"), why);
			return true;
		}
		complete = complete && (!is_wanted(ask) || json_is_string(json_object_get(ask, "answer")));
	}
	for (size_t i = 0; i < json_array_size(tasks); i++) {
		const json_t *task = json_array_get(tasks, i);
		const bool solved = streq(text_in(task, "state"), "solved");

		if (solved && number_in(task, "tries") == 0) {
			snprintf(buf, size, "%s, task %s: solved, and never tried", id, text_in(task, "id"));
			return true;
		}
		complete = complete && (!is_wanted(task) || solved);
	}
	if (streq(text_in(chapter, "status"), "solved") && !complete) {
		snprintf(buf, size, "%s: solved, and something of it is not", id);
		return true;
	}
	return false;
}

static bool contradicts_itself(const json_t *document, char *buf, size_t size)
{
	const json_t *list = json_object_get(document, "chapters");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *chapter = json_array_get(list, i);

		if (find(list, text_in(chapter, "id")) != chapter) {
			snprintf(buf, size, "%s: it is there twice", text_in(chapter, "id"));
			return true;
		}
		if (contradicts(chapter, buf, size))
			return true;
	}
	return false;
}

static int read_document(const char *path, json_t **ret, struct err *err)
{
	_cleanup_free_ char *data = NULL;
	json_error_t error;
	size_t size;

	const int r = file_read_at(AT_FDCWD, path, FILE_MAX, &data, &size, err);
	if (r < 0)
		return r;
	json_t *document = json_loadb(data, size, JSON_REJECT_DUPLICATES, &error);

	if (!document)
		return err_input(err, "it is damaged: line %d: %s", error.line, error.text);
	if (!streq(text_in(document, "kind"), "report") || !json_is_array(json_object_get(document, "chapters"))) {
		json_decref(document);
		return err_input(err, "it is no file of nsrun lab report --json");
	}
	if (number_in(document, "version") != LAB_REPORT_VERSION) {
		json_decref(document);
		return err_input(err, "it is of another version of nsrun");
	}
	if (is_too_much(json_object_get(document, "chapters"))) {
		json_decref(document);
		return err_input(err, "it has more chapters, questions or tasks than any lab");
	}
	*ret = document;
	return 0;
}

int lab_class_add(json_t *class, const char *path, const char *salt, struct err *err)
{
	enum lab_verdict_of_file verdict = LAB_FILE_UNREADABLE;
	char message[ERR_MESSAGE_MAX * 4] = "", work[SHA256_TEXT_SIZE] = "";
	struct err why = ERR_INIT;
	json_t *document = NULL;

	if (read_document(path, &document, &why) < 0) {
		(void)err_format(&why, message, sizeof(message));
	} else {
		verdict = lab_report_verify(document, salt);
		if (verdict != LAB_FILE_EDITED && contradicts_itself(document, message, sizeof(message)))
			verdict = LAB_FILE_CONTRADICTS;
		hash_work(document, work);
	}
	const char *twin = same_as(class, work);
	/* Without the salt no salted file can be checked, and a class would have no chapters at all. */
	const bool believed = verdict == LAB_FILE_SOUND || (!salt && verdict == LAB_FILE_WANTS_SALT);
	json_t *learner = json_pack("{s:o, s:o, s:s, s:o, s:s, s:s, s:s?, s:o}", "name", name_of(path), "file",
				    text_json(path), "verdict", lab_verdict_word(verdict), "reason", text_json(message),
				    "made", text_in(document, "made"), "work", work, "same_as", twin, "chapters",
				    summaries(class, document, believed));
	const int r = json_array_append_new(json_object_get(class, "learners"), learner);

	/* Each counts once, and what is doubtful does not. */
	if (verdict == LAB_FILE_SOUND && !twin)
		count_answers(class, document);
	json_decref(document);
	return r < 0 ? err_oom(err) : 0;
}

bool lab_class_is_doubtful(const json_t *learner)
{
	return !streq(text_in(learner, "verdict"), lab_verdict_word(LAB_FILE_SOUND)) || *text_in(learner, "same_as");
}

unsigned lab_class_doubtful(const json_t *class)
{
	const json_t *learners = json_object_get(class, "learners");
	unsigned n = 0;

	for (size_t i = 0; i < json_array_size(learners); i++)
		n += lab_class_is_doubtful(json_array_get(learners, i));
	return n;
}

const char *lab_verdict_text(const char *word)
{
	static const char *const texts[][2] = {
		{ "sound", "as it was written" },
		{ "edited", "was edited, or hashed with another salt" },
		{ "unsalted", "hashed without the salt: anybody can have done that" },
		{ "wants-salt", "cannot be checked: it was hashed with a salt, and none was named" },
		{ "contradicts", "contradicts itself: somebody has written it by hand" },
		{ "unreadable", "cannot be read" },
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (streq(texts[i][0], word))
			return texts[i][1];
	return "";
}
