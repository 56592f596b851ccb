/* SPDX-License-Identifier: Apache-2.0 */
/* The page of one learner. */
#include <nsrun/lab/report.h>

#include <nsrun/base/strings.h>
#include <nsrun/lab/html.h>

#include <inttypes.h>
#include <string.h>

/* Without what was skipped. */
static int64_t wanted(const json_t *list)
{
	int64_t n = 0;

	for (size_t i = 0; i < json_array_size(list); i++)
		n += !*text_in(json_array_get(list, i), "skipped");
	return n;
}

static int64_t count_right(const json_t *asks)
{
	int64_t n = 0;

	for (size_t i = 0; i < json_array_size(asks); i++)
		n += json_is_true(json_object_get(json_array_get(asks, i), "right"));
	return n;
}

static int64_t count_solved(const json_t *tasks)
{
	int64_t n = 0;

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

static void put_status(FILE *out, const char *status)
{
	fprintf(out, "<span class=\"chip %s\">", streq(status, "solved") ? "solved" : "other");
	html_text(out, status);
	fputs("</span>", out);
}

static void put_tiles(FILE *out, const json_t *chapters)
{
	int64_t chapters_solved = 0, asks = 0, right = 0, tasks = 0, solved = 0, seconds = 0;

	for (size_t i = 0; i < json_array_size(chapters); i++) {
		const json_t *chapter = json_array_get(chapters, i);

		chapters_solved += streq(text_in(chapter, "status"), "solved");
		asks += wanted(json_object_get(chapter, "asks"));
		right += count_right(json_object_get(chapter, "asks"));
		tasks += wanted(json_object_get(chapter, "tasks"));
		solved += count_solved(json_object_get(chapter, "tasks"));
		seconds += number_in(chapter, "seconds") % 100000000;
	}
	fputs("<dl class=\"tiles\">\n", out);
	html_tile(out, "Chapters solved", chapters_solved, (int64_t)json_array_size(chapters));
	html_tile(out, "Predictions right", right, asks);
	html_tile(out, "Tasks solved without help", solved, tasks);
	fputs("<div><dt>Time at it</dt><dd>", out);
	html_seconds(out, seconds);
	fputs("</dd></div>\n</dl>\n", out);
}

static void put_overview(FILE *out, const json_t *chapters)
{
	fputs("<div class=\"wide\"><table class=\"overview\"><thead><tr><th>Chapter</th><th>Status</th><th class=\"num\">Predictions</th>"
	      "<th class=\"num\">Tasks</th><th class=\"num\">Hints</th><th class=\"num\">Time</th><th>Begun</th></tr></thead><tbody>\n",
	      out);
	for (size_t i = 0; i < json_array_size(chapters); i++) {
		const json_t *chapter = json_array_get(chapters, i);
		const json_t *asks = json_object_get(chapter, "asks"), *tasks = json_object_get(chapter, "tasks");
		const bool new = streq(text_in(chapter, "status"), "new");

		/* By number: an id may be anything. */
		fputs("<tr><td>", out);
		if (!new)
			fprintf(out, "<a href=\"#chapter-%zu\">", i);
		html_text(out, text_in(chapter, "title"));
		fputs(new ? "" : "</a>", out);
		fputs("</td><td>", out);
		put_status(out, text_in(chapter, "status"));
		if (new) {
			fprintf(out,
				"</td><td class=\"num dim\">%" PRId64 "</td><td class=\"num dim\">%" PRId64
				"</td><td></td><td></td><td></td></tr>\n",
				wanted(asks), wanted(tasks));
			continue;
		}
		fprintf(out,
			"</td><td class=\"num\">%" PRId64 " of %" PRId64 "</td><td class=\"num\">%" PRId64
			" of %" PRId64 "</td><td class=\"num\">%" PRId64 "</td><td class=\"num\">",
			count_right(asks), wanted(asks), count_solved(tasks), wanted(tasks), sum_of(tasks, "hints"));
		html_seconds(out, number_in(chapter, "seconds"));
		fputs("</td><td class=\"nowrap\">", out);
		html_when(out, text_in(chapter, "begun"));
		fputs("</td></tr>\n", out);
	}
	fputs("</tbody></table></div>\n<p class=\"dim small\">solved: each question was answered and each task was solved by the learner. played: to its end, but a "
	      "question was left out, or the lab has shown how a task is solved. begun: not to its end. skipped: this host cannot play it.</p>\n",
	      out);
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

	fputs("<tr class=\"ask\"><td class=\"long\">", out);
	html_prose(out, text_in(ask, "question"));
	fputs("</td><td class=\"long\">", out);
	if (!given) {
		fputs("<span class=\"chip other\">", out);
		fputs(*text_in(ask, "skipped") ? "not asked here" : "not answered", out);
		fputs("</span>", out);
		if (*text_in(ask, "skipped")) {
			fputs("<p class=\"dim\">", out);
			html_text(out, text_in(ask, "skipped"));
			fputs("</p>", out);
		}
		fputs("</td><td></td></tr>\n", out);
		return;
	}
	put_answer(out, ask, "chosen", "answer");
	fprintf(out, "<span class=\"chip %s\">%s</span></td><td class=\"long\">", right ? "right" : "wrong",
		right ? "right" : "wrong");
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
	const char *state = *text_in(task, "skipped") ? "skipped" : text_in(task, "state");

	fputs("<tr class=\"task\"><td class=\"long\">", out);
	html_prose(out, text_in(task, "text"));
	fputs("</td><td>", out);
	put_status(out, streq(state, "shown") ? "shown by the lab" : state);
	fprintf(out,
		"</td><td class=\"num\">%" PRId64 " of %" PRId64 "</td><td class=\"num\">%" PRId64
		"</td><td class=\"nowrap\">",
		number_in(task, "hints"), number_in(task, "hints_there"), number_in(task, "tries"));
	html_when(out, text_in(task, "time"));
	fputs("</td></tr>\n", out);
}

/* ---- launches ---- */

/* How much there is to see of it. */
static size_t fullness(const json_t *launch)
{
	const json_t *network = json_object_get(launch, "network");

	return (json_array_size(json_object_get(launch, "rows")) > 0) +
	       (json_object_size(json_object_get(launch, "namespaces")) > 0) +
	       (json_array_size(json_object_get(launch, "mounts")) > 0) +
	       json_array_size(json_object_get(launch, "uid_map")) +
	       4 * json_array_size(json_object_get(network, "host"));
}

static void put_launch(FILE *out, const json_t *launch, bool open)
{
	fprintf(out, "<details class=\"launch\"%s>\n<summary><strong>", open ? " open=\"open\"" : "");
	html_text(out, text_in(launch, "name"));
	fputs("</strong> <span class=\"dim\">", out);
	html_when(out, text_in(launch, "time"));
	fputs("; when it was last looked at: ", out);
	html_text(out, text_in(launch, "state"));
	if (json_is_integer(json_object_get(launch, "status")))
		fprintf(out, ", exit status %" PRId64, number_in(launch, "status"));
	fputs("</span></summary>\n<pre>", out);
	html_text(out, text_in(launch, "command"));
	fputs("</pre>\n", out);
	figure_namespaces(out, launch);
	figure_maps(out, launch);
	figure_mounts(out, launch);
	figure_network(out, launch);
	figure_tape(out, launch);
	fputs("</details>\n", out);
}

/* One is open, that which shows most, and of those the last; what is open is what is printed. */
static void put_launches(FILE *out, const json_t *launches, const char *chapter)
{
	size_t n = 0, best = 0, most = 0;

	for (size_t i = 0; i < json_array_size(launches); i++) {
		const json_t *launch = json_array_get(launches, i);

		if (!streq(text_in(launch, "chapter"), chapter))
			continue;
		if (n++ == 0 || fullness(launch) >= most) {
			most = fullness(launch);
			best = i;
		}
	}
	if (n == 0)
		return;
	fputs("<h3>What was launched</h3>\n", out);
	fputs(n > 1 ? "<p class=\"dim small\">As the kernel had it when it was last looked at. One is open; what is open is printed.</p>\n"
		    : "<p class=\"dim small\">As the kernel had it when it was last looked at.</p>\n",
	      out);
	for (size_t i = 0; i < json_array_size(launches); i++)
		if (streq(text_in(json_array_get(launches, i), "chapter"), chapter))
			put_launch(out, json_array_get(launches, i), i == best);
}

/* ---- a chapter ---- */

static void put_tables(FILE *out, const json_t *asks, const json_t *tasks)
{
	if (json_array_size(asks)) {
		fputs("<h3>Predictions against reality</h3>\n<div class=\"wide\"><table class=\"asks\"><thead><tr><th>Question</th><th>Predicted</th><th>Reality</th>"
		      "</tr></thead><tbody>\n",
		      out);
		for (size_t i = 0; i < json_array_size(asks); i++)
			put_ask(out, json_array_get(asks, i));
		fputs("</tbody></table></div>\n", out);
	}
	if (json_array_size(tasks)) {
		fputs("<h3>Tasks</h3>\n<div class=\"wide\"><table><thead><tr><th>Task</th><th>State</th><th class=\"num\">Hints</th><th class=\"num\">Tries</th>"
		      "<th>When</th></tr></thead><tbody>\n",
		      out);
		for (size_t i = 0; i < json_array_size(tasks); i++)
			put_task(out, json_array_get(tasks, i));
		fputs("</tbody></table></div>\n", out);
	}
}

static void put_chapter(FILE *out, const json_t *chapter, size_t number, const json_t *launches)
{
	const char *skipped = text_in(chapter, "skipped");

	fprintf(out, "<section class=\"chapter\" id=\"chapter-%zu\">\n<h2>", number);
	html_text(out, text_in(chapter, "title"));
	fputs("</h2>\n<p>", out);
	put_status(out, text_in(chapter, "status"));
	fprintf(out, " <span class=\"dim\">played %" PRId64 " time%s; took ", number_in(chapter, "plays"),
		number_in(chapter, "plays") == 1 ? "" : "s");
	html_seconds(out, number_in(chapter, "seconds"));
	fprintf(out, " of about %" PRId64 " min</span></p>\n", number_in(chapter, "minutes"));
	if (*skipped) {
		fputs("<p>This host cannot play it: ", out);
		html_text(out, skipped);
		fputs("</p>\n", out);
	}
	put_tables(out, json_object_get(chapter, "asks"), json_object_get(chapter, "tasks"));
	put_launches(out, launches, text_in(chapter, "id"));
	fputs("</section>\n", out);
}

static void put_hash(FILE *out, const json_t *hash)
{
	const bool salted = json_is_true(json_object_get(hash, "salted"));

	fprintf(out, "<footer><h2>The hash</h2>\n<p>SHA-256 of these results%s:</p>\n<pre>",
		salted ? " and the salt of the teacher" : ", without a salt");
	html_text(out, text_in(hash, "value"));
	fputs("</pre>\n<p class=\"dim\">It shows whether the file of results was changed by accident. ", out);
	fputs(salted ? "Who does not know the salt cannot make it anew for a file that was edited; who has made this report on their own machine could read the salt there. "
		     : "Whoever edits the file can make the hash anew. ",
	      out);
	fputs("It does not show who sat at the keyboard.</p></footer>\n", out);
}

void lab_report_page(FILE *out, const json_t *document)
{
	const json_t *chapters = json_object_get(document, "chapters");
	const json_t *launches = json_object_get(document, "launches");
	bool played = false;

	html_begin(out, "nsrun lab: report", "learner");
	fputs("<p class=\"dim\">Made ", out);
	html_when(out, text_in(document, "made"));
	fputs("</p>\n", out);
	put_tiles(out, chapters);
	for (size_t i = 0; i < json_array_size(chapters); i++)
		played = played || !streq(text_in(json_array_get(chapters, i), "status"), "new");
	if (!played)
		fputs("<p>Nothing was played yet: <code>nsrun lab</code> says how to begin.</p>\n", out);
	put_overview(out, chapters);
	figure_predictions(out, chapters);
	for (size_t i = 0; i < json_array_size(chapters); i++)
		if (!streq(text_in(json_array_get(chapters, i), "status"), "new"))
			put_chapter(out, json_array_get(chapters, i), i, launches);
	put_hash(out, json_object_get(document, "hash"));
	html_end(out);
}
