/* SPDX-License-Identifier: Apache-2.0 */
/* The page of a class: who has done what, which files are doubtful, and which questions were hard. */
#include <nsrun/lab/report.h>

#include <nsrun/base/strings.h>
#include <nsrun/lab/html.h>

#include <inttypes.h>
#include <stdlib.h>

#define LEARNERS_MAX 1024
#define HARD_MAX 20

static void put_text(FILE *out, const char *before, const char *text, const char *behind)
{
	fputs(before, out);
	html_text(out, text);
	fputs(behind, out);
}

/* ---- learners and chapters ---- */

static void put_cell(FILE *out, const json_t *summary)
{
	const char *status = text_in(summary, "status");

	if (!summary || streq(status, "new")) {
		put_text(out, "<td class=\"cell dim\">", summary ? "new" : "none", "</td>");
		return;
	}
	fprintf(out, "<td class=\"cell %s\"><b>", streq(status, "solved") ? "done" : "");
	html_text(out, status);
	fprintf(out, "</b><br />%" PRId64 "/%" PRId64 "<br />%" PRId64 "/%" PRId64 "<br /><span class=\"dim\">",
		number_in(summary, "right"), number_in(summary, "asks"), number_in(summary, "solved"),
		number_in(summary, "tasks"));
	html_seconds(out, number_in(summary, "seconds"));
	fputs("</span></td>", out);
}

static void put_learner(FILE *out, const json_t *learner, const json_t *chapters)
{
	put_text(out, "<tr class=\"learner\"><th>", text_in(learner, "name"), "");
	if (lab_class_is_doubtful(learner))
		fputs("<br /><span class=\"chip wrong\">doubtful</span>", out);
	fputs("</th>", out);
	if (streq(text_in(learner, "verdict"), "unreadable")) {
		fprintf(out, "<td class=\"dim\" colspan=\"%zu\">",
			json_array_size(chapters) ? json_array_size(chapters) : 1);
		fputs("its file cannot be read</td>", out);
	}
	for (size_t i = 0; !streq(text_in(learner, "verdict"), "unreadable") && i < json_array_size(chapters); i++)
		put_cell(out, json_object_get(json_object_get(learner, "chapters"),
					      text_in(json_array_get(chapters, i), "id")));
	fputs("</tr>\n", out);
}

static int compare(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static bool is_played(const char *status)
{
	return streq(status, "solved") || streq(status, "played");
}

/* How many have solved a chapter, and how long those took who have played it to its end. */
static void put_sum(FILE *out, const json_t *learners, const json_t *chapter)
{
	int64_t seconds[LEARNERS_MAX];
	size_t n = 0, solved = 0;

	for (size_t i = 0; i < json_array_size(learners) && n < LEARNERS_MAX; i++) {
		const json_t *learner = json_array_get(learners, i);
		const json_t *summary = json_object_get(json_object_get(learner, "chapters"), text_in(chapter, "id"));

		if (lab_class_is_doubtful(learner) || !is_played(text_in(summary, "status")))
			continue;
		solved += streq(text_in(summary, "status"), "solved");
		seconds[n++] = number_in(summary, "seconds");
	}
	fprintf(out, "<td class=\"cell\"><b>%zu</b>", solved);
	if (n > 0) {
		qsort(seconds, n, sizeof(seconds[0]), compare);
		fputs("<br /><span class=\"dim\">", out);
		html_seconds(out, seconds[n / 2]);
		fprintf(out, "<br />of %" PRId64 " min</span>", number_in(chapter, "minutes"));
	}
	fputs("</td>", out);
}

/* Those that somebody has begun; the caller has the reference. */
static json_t *begun_of(const json_t *learners, const json_t *chapters)
{
	json_t *begun = json_array();

	for (size_t i = 0; i < json_array_size(chapters); i++) {
		json_t *chapter = json_array_get(chapters, i);
		bool found = false;

		for (size_t k = 0; k < json_array_size(learners) && !found; k++) {
			const char *status =
				text_in(json_object_get(json_object_get(json_array_get(learners, k), "chapters"),
							text_in(chapter, "id")),
					"status");

			found = *status && !streq(status, "new");
		}
		if (found)
			json_array_append(begun, chapter);
	}
	return begun;
}

static void put_others(FILE *out, const json_t *chapters, const json_t *begun)
{
	const char *between = "<p>Nobody has begun: ";

	for (size_t i = 0; i < json_array_size(chapters); i++) {
		bool found = false;

		for (size_t k = 0; k < json_array_size(begun) && !found; k++)
			found = json_array_get(begun, k) == json_array_get(chapters, i);
		if (found)
			continue;
		put_text(out, between, text_in(json_array_get(chapters, i), "id"), "");
		between = ", ";
	}
	if (*between == ',')
		fputs(".</p>\n", out);
}

static void put_matrix(FILE *out, const json_t *learners, const json_t *chapters)
{
	fputs("<div class=\"wide\"><table class=\"matrix\"><thead><tr><th>Learner</th>", out);
	for (size_t i = 0; i < json_array_size(chapters); i++) {
		put_text(out, "<th class=\"cell\" title=\"", text_in(json_array_get(chapters, i), "title"),
			 "\"><span>");
		put_text(out, "", text_in(json_array_get(chapters, i), "id"), "</span></th>");
	}
	fputs("</tr></thead><tbody>\n", out);
	for (size_t i = 0; i < json_array_size(learners); i++)
		put_learner(out, json_array_get(learners, i), chapters);
	fputs("</tbody><tfoot><tr><th>Solved by<br /><span class=\"dim\">half took less than</span></th>", out);
	for (size_t i = 0; i < json_array_size(chapters); i++)
		put_sum(out, learners, json_array_get(chapters, i));
	fputs("</tr></tfoot></table></div>\n<p class=\"dim small\">In a field: the status; predictions that were right; tasks that were solved without help; the time. The last line "
	      "counts no file that is doubtful.</p>\n",
	      out);
}

/* ---- files ---- */

static void put_doubts(FILE *out, const json_t *learners)
{
	fputs("<h2>Files to look at</h2>\n<div class=\"wide\"><table class=\"doubts\"><thead><tr><th>File</th><th>Why</th></tr></thead><tbody>\n",
	      out);
	for (size_t i = 0; i < json_array_size(learners); i++) {
		const json_t *learner = json_array_get(learners, i);
		const char *verdict = text_in(learner, "verdict");

		if (!lab_class_is_doubtful(learner))
			continue;
		put_text(out, "<tr><td class=\"long\">", text_in(learner, "file"), "</td><td class=\"long\">");
		if (!streq(verdict, "sound"))
			put_text(out, "<span class=\"bad\">", lab_verdict_text(verdict), "</span>");
		if (*text_in(learner, "reason"))
			put_text(out, "<br />", text_in(learner, "reason"), "");
		if (*text_in(learner, "same_as"))
			put_text(out, "<p class=\"bad\">the same work, to the nanosecond, as that of ",
				 text_in(learner, "same_as"), "</p>");
		fputs("</td></tr>\n", out);
	}
	fputs("</tbody></table></div>\n", out);
}

/* ---- questions ---- */

struct hard {
	const json_t *chapter, *question;
	int64_t answered, wrong;
};

static int compare_hard(const void *a, const void *b)
{
	const struct hard *x = a, *y = b;
	/* Shares, without a division. */
	const int64_t left = x->wrong * y->answered, right = y->wrong * x->answered;

	if (left != right)
		return left < right ? 1 : -1;
	return y->wrong < x->wrong ? -1 : y->wrong > x->wrong;
}

/* What most of those have said who were wrong. */
static void put_wrong(FILE *out, const json_t *question)
{
	const char *most = NULL, *answer;
	json_t *wrong = json_object_get(question, "wrong"), *count;
	int64_t times = 0;

	json_object_foreach(wrong, answer, count) if (json_integer_value(count) > times)
	{
		times = json_integer_value(count);
		most = answer;
	}
	if (!most)
		return;
	html_text(out, most);
	fprintf(out, " <span class=\"dim\">(%" PRId64 ")</span>", times);
}

static void put_hard(FILE *out, const struct hard *hard, size_t n)
{
	fputs("<h2>What to talk about</h2>\n<p class=\"dim small\">The questions that most have predicted wrongly, of files that are not doubtful.</p>\n"
	      "<div class=\"wide\"><table class=\"hard\"><thead><tr><th>Chapter</th><th>Question</th><th class=\"num\">Wrong</th><th>Most said then</th></tr></thead><tbody>\n",
	      out);
	for (size_t i = 0; i < n && i < HARD_MAX; i++) {
		put_text(out, "<tr><td>", text_in(hard[i].chapter, "id"), "</td><td class=\"long\">");
		html_prose(out, text_in(hard[i].question, "question"));
		fprintf(out, "</td><td class=\"num\">%" PRId64 " of %" PRId64 "</td><td class=\"long\">", hard[i].wrong,
			hard[i].answered);
		put_wrong(out, hard[i].question);
		fputs("</td></tr>\n", out);
	}
	fputs("</tbody></table></div>\n", out);
}

static void put_questions(FILE *out, const json_t *chapters)
{
	size_t n = 0, all = 0;

	for (size_t i = 0; i < json_array_size(chapters); i++)
		all += json_array_size(json_object_get(json_array_get(chapters, i), "questions"));
	struct hard *hard = calloc(all + 1, sizeof(*hard));

	for (size_t i = 0; hard && i < json_array_size(chapters); i++) {
		const json_t *chapter = json_array_get(chapters, i), *questions = json_object_get(chapter, "questions");

		for (size_t k = 0; k < json_array_size(questions); k++) {
			const json_t *question = json_array_get(questions, k);
			const int64_t answered = number_in(question, "answered"), right = number_in(question, "right");

			if (right < answered)
				hard[n++] = (struct hard){ chapter, question, answered, answered - right };
		}
	}
	if (n > 0) {
		qsort(hard, n, sizeof(*hard), compare_hard);
		put_hard(out, hard, n);
	}
	free(hard);
}

void lab_class_page(FILE *out, const json_t *class)
{
	const json_t *chapters = json_object_get(class, "chapters"), *learners = json_object_get(class, "learners");
	const int64_t all = (int64_t)json_array_size(learners), doubtful = lab_class_doubtful(class);

	html_begin(out, "nsrun lab: a class", "class");
	fputs("<dl class=\"tiles\">\n", out);
	fprintf(out, "<div><dt>Learners</dt><dd>%" PRId64 "</dd></div>\n", all);
	html_tile(out, "Files that are doubtful", doubtful, all);
	fprintf(out, "<div><dt>Chapters</dt><dd>%zu</dd></div>\n</dl>\n", json_array_size(chapters));
	json_t *begun = begun_of(learners, chapters);

	put_matrix(out, learners, begun);
	put_others(out, chapters, begun);
	json_decref(begun);
	if (doubtful)
		put_doubts(out, learners);
	put_questions(out, chapters);
	fputs("<footer><h2>What the hashes show</h2>\n<p class=\"dim\">", out);
	fputs(json_is_true(json_object_get(class, "salted"))
		      ? "They were checked with a salt. A file that was edited by somebody who does not know the salt is found; whoever has made a report with it could read it there. "
		      : "They were checked without a salt. They show damage; whoever edits a file can make its hash anew. ",
	      out);
	fputs("No hash shows who sat at the keyboard, and nothing here replaces a question asked face to face.</p></footer>\n",
	      out);
	html_end(out);
}
