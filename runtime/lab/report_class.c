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

static json_t *summary_of(const json_t *chapter)
{
	const json_t *asks = json_object_get(chapter, "asks"), *tasks = json_object_get(chapter, "tasks");
	json_int_t right = 0, solved = 0, shown = 0, hints = 0;

	for (size_t i = 0; i < json_array_size(asks); i++)
		right += json_is_true(json_object_get(json_array_get(asks, i), "right"));
	for (size_t i = 0; i < json_array_size(tasks); i++) {
		const json_t *task = json_array_get(tasks, i);

		solved += streq(text_in(task, "state"), "solved");
		shown += streq(text_in(task, "state"), "shown");
		hints += number_in(task, "hints") % 1000000;
	}
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "status", text_in(chapter, "status"), "right", right,
			 "asks", (json_int_t)json_array_size(asks), "solved", solved, "shown", shown, "tasks",
			 (json_int_t)json_array_size(tasks), "hints", hints, "seconds",
			 (json_int_t)number_in(chapter, "seconds"));
}

static bool has_chapter(const json_t *chapters, const char *id)
{
	for (size_t i = 0; i < json_array_size(chapters); i++)
		if (streq(text_in(json_array_get(chapters, i), "id"), id))
			return true;
	return false;
}

static json_t *summaries(json_t *class, const json_t *document)
{
	const json_t *list = json_object_get(document, "chapters");
	json_t *known = json_object_get(class, "chapters"), *all = json_object();

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *chapter = json_array_get(list, i);
		const char *id = text_in(chapter, "id");

		if (!*id)
			continue;
		if (!has_chapter(known, id))
			json_array_append_new(known, json_pack("{s:s, s:s}", "id", id, "title", text_in(chapter, "title")));
		json_object_set_new(all, id, summary_of(chapter));
	}
	return all;
}

/* The learner who has handed in the very same results before; NULL: nobody. */
static const char *same_as(const json_t *class, const char *value)
{
	const json_t *learners = json_object_get(class, "learners");

	for (size_t i = 0; *value && i < json_array_size(learners); i++)
		if (streq(text_in(json_array_get(learners, i), "hash"), value))
			return text_in(json_array_get(learners, i), "name");
	return NULL;
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
	*ret = document;
	return 0;
}

int lab_class_add(json_t *class, const char *path, const char *salt, struct err *err)
{
	enum lab_verdict_of_file verdict = LAB_FILE_UNREADABLE;
	char message[ERR_MESSAGE_MAX * 4] = "";
	struct err why = ERR_INIT;
	json_t *document = NULL;

	if (read_document(path, &document, &why) < 0)
		(void)err_format(&why, message, sizeof(message));
	else
		verdict = lab_report_verify(document, salt);
	const char *value = text_in(json_object_get(document, "hash"), "value");
	json_t *learner = json_pack("{s:o, s:o, s:s, s:o, s:s, s:s, s:s?, s:o}", "name", name_of(path), "file",
				    text_json(path), "verdict", lab_verdict_word(verdict), "reason", text_json(message),
				    "made", text_in(document, "made"), "hash", value, "same_as", same_as(class, value),
				    "chapters", summaries(class, document));
	const int r = json_array_append_new(json_object_get(class, "learners"), learner);

	json_decref(document);
	return r < 0 ? err_oom(err) : 0;
}

unsigned lab_class_doubtful(const json_t *class)
{
	const json_t *learners = json_object_get(class, "learners");
	unsigned n = 0;

	for (size_t i = 0; i < json_array_size(learners); i++) {
		const json_t *learner = json_array_get(learners, i);

		n += !streq(text_in(learner, "verdict"), lab_verdict_word(LAB_FILE_SOUND)) || *text_in(learner, "same_as");
	}
	return n;
}

/* ---- the page ---- */

static const char *verdict_text(const char *word)
{
	static const char *const texts[][2] = {
		{ "sound", "as it was written" },
		{ "edited", "EDITED, or hashed with another salt" },
		{ "unsalted", "hashed without the salt: anybody can have done that" },
		{ "wants-salt", "not checked: it was salted, name the salt" },
		{ "unreadable", "UNREADABLE" },
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (streq(texts[i][0], word))
			return texts[i][1];
	return "";
}

static void put_cell(FILE *out, const json_t *summary)
{
	if (!summary) {
		fputs("<td class=\"dim\">not in the file</td>", out);
		return;
	}
	const char *status = text_in(summary, "status");

	fprintf(out, "<td class=\"result\"><span class=\"%s\">", streq(status, "solved") ? "good" : "dim");
	html_text(out, status);
	fputs("</span>", out);
	if (!streq(status, "new")) {
		fprintf(out,
			"<br />predictions %" PRId64 " of %" PRId64 "<br />tasks %" PRId64 " of %" PRId64
			"<br />hints %" PRId64 ", ",
			number_in(summary, "right"), number_in(summary, "asks"), number_in(summary, "solved"),
			number_in(summary, "tasks"), number_in(summary, "hints"));
		html_seconds(out, number_in(summary, "seconds"));
	}
	fputs("</td>", out);
}

static void put_learner(FILE *out, const json_t *learner, const json_t *chapters)
{
	const char *verdict = text_in(learner, "verdict");
	const bool sound = streq(verdict, "sound");

	fputs("<tr class=\"learner\"><th>", out);
	html_text(out, text_in(learner, "name"));
	fprintf(out, "</th><td class=\"%s\">", sound ? "good" : "bad");
	html_text(out, verdict_text(verdict));
	if (*text_in(learner, "reason")) {
		fputs("<br />", out);
		html_text(out, text_in(learner, "reason"));
	}
	if (*text_in(learner, "same_as")) {
		fputs("<br /><span class=\"bad\">THE SAME FILE as of ", out);
		html_text(out, text_in(learner, "same_as"));
		fputs("</span>", out);
	}
	fputs("</td>", out);
	for (size_t i = 0; i < json_array_size(chapters); i++)
		put_cell(out, json_object_get(json_object_get(learner, "chapters"),
					      text_in(json_array_get(chapters, i), "id")));
	fputs("</tr>\n", out);
}

void lab_class_page(FILE *out, const json_t *class)
{
	const json_t *chapters = json_object_get(class, "chapters"), *learners = json_object_get(class, "learners");

	html_begin(out, "nsrun lab: a class");
	fprintf(out, "<p>%zu results, %u of them doubtful.</p>\n", json_array_size(learners), lab_class_doubtful(class));
	fputs("<div class=\"wide\"><table><thead><tr><th>Learner</th><th>File</th>", out);
	for (size_t i = 0; i < json_array_size(chapters); i++) {
		fputs("<th>", out);
		html_text(out, text_in(json_array_get(chapters, i), "id"));
		fputs("</th>", out);
	}
	fputs("</tr></thead><tbody>\n", out);
	for (size_t i = 0; i < json_array_size(learners); i++)
		put_learner(out, json_array_get(learners, i), chapters);
	fputs("</tbody></table></div>\n<p class=\"dim\">", out);
	fputs(json_is_true(json_object_get(class, "salted")) ?
		      "The hashes were checked with the salt. Whoever knows the salt can make a hash that is right; it was known to whoever made a report." :
		      "The hashes were checked without a salt. They show damage; whoever edits a file can hash it again.",
	      out);
	fputs(" It is never shown who sat at the keyboard.</p>\n", out);
	html_end(out);
}
