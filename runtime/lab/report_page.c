/* SPDX-License-Identifier: Apache-2.0 */
/* The page of one learner. */
#include <nsrun/lab/report.h>

#include <nsrun/base/strings.h>
#include <nsrun/lab/html.h>

#include <inttypes.h>
#include <string.h>

static void cell(FILE *out, const char *text)
{
	fputs("<td>", out);
	html_text(out, text);
	fputs("</td>", out);
}

static size_t count_right(const json_t *asks)
{
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(asks); i++)
		n += json_is_true(json_object_get(json_array_get(asks, i), "right"));
	return n;
}

static size_t count_solved(const json_t *tasks)
{
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(tasks); i++)
		n += streq(text_in(json_array_get(tasks, i), "state"), "solved");
	return n;
}

static int64_t sum_of(const json_t *list, const char *key)
{
	int64_t sum = 0;

	for (size_t i = 0; i < json_array_size(list); i++)
		sum += number_in(json_array_get(list, i), key) % 1000000;
	return sum;
}

/* "2020-01-02 03:04" of a time of RFC 3339. */
static void put_when(FILE *out, const char *time)
{
	for (size_t i = 0; i < 16 && time[i]; i++) {
		const char one[2] = { time[i] == 'T' ? ' ' : time[i], '\0' };

		html_text(out, one);
	}
	if (*time)
		fputs(" UTC", out);
}

static void put_overview(FILE *out, const json_t *chapters)
{
	fputs("<div class=\"wide\"><table class=\"overview\"><thead><tr><th>Chapter</th><th>Status</th><th>Predictions right</th>"
	      "<th>Tasks solved</th><th>Hints used</th><th>Time</th><th>Begun</th></tr></thead><tbody>\n",
	      out);
	for (size_t i = 0; i < json_array_size(chapters); i++) {
		const json_t *chapter = json_array_get(chapters, i);
		const json_t *asks = json_object_get(chapter, "asks"), *tasks = json_object_get(chapter, "tasks");

		fputs("<tr>", out);
		cell(out, text_in(chapter, "title"));
		cell(out, text_in(chapter, "status"));
		fprintf(out, "<td class=\"num\">%zu of %zu</td><td class=\"num\">%zu of %zu</td><td class=\"num\">%" PRId64,
			count_right(asks), json_array_size(asks), count_solved(tasks), json_array_size(tasks),
			sum_of(tasks, "hints"));
		fputs("</td><td class=\"num\">", out);
		html_seconds(out, number_in(chapter, "seconds"));
		fputs("</td><td>", out);
		put_when(out, text_in(chapter, "begun"));
		fputs("</td></tr>\n", out);
	}
	fputs("</tbody></table></div>\n", out);
}

/* The choice where there is one, else what was typed. */
static void put_answer(FILE *out, const json_t *ask, const char *choice, const char *typed)
{
	const char *text = text_in(ask, choice);

	html_prose(out, *text ? text : text_in(ask, typed));
}

static void put_ask(FILE *out, const json_t *ask)
{
	const bool given = json_is_string(json_object_get(ask, "answer"));
	const bool right = json_is_true(json_object_get(ask, "right"));

	fputs("<tr class=\"ask\"><td>", out);
	html_prose(out, text_in(ask, "question"));
	fputs("</td><td>", out);
	if (!given) {
		fputs("<span class=\"dim\">not answered</span></td><td></td></tr>\n", out);
		return;
	}
	put_answer(out, ask, "chosen", "answer");
	fprintf(out, "<span class=\"%s\">%s</span></td><td>", right ? "good" : "bad", right ? "right" : "wrong");
	put_answer(out, ask, "reality_chosen", "reality");
	if (*text_in(ask, "why")) {
		fputs("<div class=\"dim\">", out);
		html_prose(out, text_in(ask, "why"));
		fputs("</div>", out);
	}
	fputs("</td></tr>\n", out);
}

static void put_task(FILE *out, const json_t *task)
{
	const char *state = text_in(task, "state");

	fputs("<tr class=\"task\"><td>", out);
	html_prose(out, text_in(task, "text"));
	fprintf(out, "</td><td class=\"%s\">", streq(state, "solved") ? "good" : "");
	html_text(out, streq(state, "shown") ? "shown by the lab" : state);
	fprintf(out, "</td><td class=\"num\">%" PRId64 " of %" PRId64 "</td><td class=\"num\">%" PRId64 "</td><td>",
		number_in(task, "hints"), number_in(task, "hints_there"), number_in(task, "tries"));
	put_when(out, text_in(task, "time"));
	fputs("</td></tr>\n", out);
}

static void put_chapter(FILE *out, const json_t *chapter)
{
	const json_t *asks = json_object_get(chapter, "asks"), *tasks = json_object_get(chapter, "tasks");
	const char *skipped = text_in(chapter, "skipped");

	fputs("<section class=\"chapter\">\n<h2>", out);
	html_text(out, text_in(chapter, "title"));
	fputs("</h2>\n<p>", out);
	html_text(out, text_in(chapter, "status"));
	fprintf(out, "; played %" PRId64 " time%s; took ", number_in(chapter, "plays"),
		number_in(chapter, "plays") == 1 ? "" : "s");
	html_seconds(out, number_in(chapter, "seconds"));
	fprintf(out, ", and about %" PRId64 " min were foreseen.</p>\n", number_in(chapter, "minutes"));
	if (*skipped) {
		fputs("<p>This host cannot play it: ", out);
		html_text(out, skipped);
		fputs("</p>\n", out);
	}
	if (json_array_size(asks)) {
		fputs("<h3>Predictions against reality</h3>\n<div class=\"wide\"><table><thead><tr><th>Question</th><th>Predicted</th><th>Reality</th>"
		      "</tr></thead><tbody>\n",
		      out);
		for (size_t i = 0; i < json_array_size(asks); i++)
			put_ask(out, json_array_get(asks, i));
		fputs("</tbody></table></div>\n", out);
	}
	if (json_array_size(tasks)) {
		fputs("<h3>Tasks</h3>\n<div class=\"wide\"><table><thead><tr><th>Task</th><th>State</th><th>Hints</th><th>Tries</th><th>When</th>"
		      "</tr></thead><tbody>\n",
		      out);
		for (size_t i = 0; i < json_array_size(tasks); i++)
			put_task(out, json_array_get(tasks, i));
		fputs("</tbody></table></div>\n", out);
	}
	fputs("</section>\n", out);
}

static void put_launch(FILE *out, const json_t *launch)
{
	fputs("<section class=\"launch\">\n<h3>", out);
	html_text(out, text_in(launch, "name"));
	fputs(", of the chapter ", out);
	html_text(out, text_in(launch, "chapter"));
	fputs("</h3>\n<pre>", out);
	html_text(out, text_in(launch, "command"));
	fputs("</pre>\n<p class=\"dim\">", out);
	put_when(out, text_in(launch, "time"));
	fputs("; when it was last looked at: ", out);
	html_text(out, text_in(launch, "state"));
	if (json_is_integer(json_object_get(launch, "status")))
		fprintf(out, ", exit status %" PRId64, number_in(launch, "status"));
	fputs("</p>\n", out);
	figure_namespaces(out, launch);
	figure_maps(out, launch);
	figure_mounts(out, launch);
	figure_network(out, launch);
	figure_tape(out, launch);
	fputs("</section>\n", out);
}

static void put_hash(FILE *out, const json_t *hash)
{
	fprintf(out, "<footer><p class=\"dim\">SHA-256 of these results%s: <code>",
		json_is_true(json_object_get(hash, "salted")) ? " and the salt of the teacher" : ", without a salt");
	html_text(out, text_in(hash, "value"));
	fputs("</code></p></footer>\n", out);
}

void lab_report_page(FILE *out, const json_t *document)
{
	const json_t *chapters = json_object_get(document, "chapters");
	const json_t *launches = json_object_get(document, "launches");

	html_begin(out, "nsrun lab: report");
	fputs("<p class=\"dim\">Made ", out);
	put_when(out, text_in(document, "made"));
	fputs("</p>\n", out);
	put_overview(out, chapters);
	for (size_t i = 0; i < json_array_size(chapters); i++)
		if (!streq(text_in(json_array_get(chapters, i), "status"), "new"))
			put_chapter(out, json_array_get(chapters, i));
	if (json_array_size(launches)) {
		fputs("<h2>The last launches</h2>\n<p>As the kernel had them when they were last looked at: after their launch, or right before their end.</p>\n",
		      out);
		for (size_t i = json_array_size(launches); i-- > 0;)
			put_launch(out, json_array_get(launches, i));
	}
	put_hash(out, json_object_get(document, "hash"));
	html_end(out);
}
