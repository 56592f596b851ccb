/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/lab/progress.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/plan/state.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_NAME "progress.json"
#define FILE_VERSION 1
#define FILE_MAX (4 * 1024 * 1024)

static int wrong(struct err *err, const char *dir, const char *what)
{
	return err_input(err, "%s/" FILE_NAME ": %s; nsrun lab reset begins anew", dir, what);
}

int lab_progress_load(const struct lab_place *place, struct lab_progress *ret, struct err *err)
{
	_cleanup_free_ char *data = NULL;
	struct stat st;
	size_t size;

	if (place->dir_fd < 0 || (fstatat(place->dir_fd, FILE_NAME, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)) {
		json_t *root = json_pack("{s:i, s:{}}", "version", FILE_VERSION, "chapters");

		if (!root)
			return err_oom(err);
		*ret = (struct lab_progress){ root, place->dir_fd };
		return 0;
	}
	const int r = file_read_at(place->dir_fd, FILE_NAME, FILE_MAX, &data, &size, err);
	if (r < 0)
		return r;
	json_t *root = json_loadb(data, size, JSON_REJECT_DUPLICATES, NULL);

	if (!json_is_object(root) || !json_is_object(json_object_get(root, "chapters"))) {
		json_decref(root);
		return wrong(err, place->dir, "it is damaged");
	}
	if (json_integer_value(json_object_get(root, "version")) != FILE_VERSION) {
		json_decref(root);
		return wrong(err, place->dir, "it is of another version of nsrun");
	}
	*ret = (struct lab_progress){ root, place->dir_fd };
	return 0;
}

int lab_progress_save(const struct lab_progress *progress, struct err *err)
{
	if (progress->dir_fd < 0)
		return 0;
	_cleanup_free_ char *text = json_dumps(progress->root, JSON_INDENT(1) | JSON_SORT_KEYS);

	return text ? file_replace_at(progress->dir_fd, FILE_NAME, 0600, text, strlen(text), err) : err_oom(err);
}

void lab_progress_done(struct lab_progress *progress)
{
	json_decref(progress->root);
	progress->root = NULL;
}

void lab_progress_forget(struct lab_progress *progress, const char *id)
{
	json_t *chapters = json_object_get(progress->root, "chapters");

	if (id)
		(void)json_object_del(chapters, id);
	else
		(void)json_object_clear(chapters);
}

/* ---- a chapter ---- */

static json_t *find(const struct lab_progress *progress, const struct lab_chapter *chapter)
{
	return json_object_get(json_object_get(progress->root, "chapters"), chapter->id);
}

/* The object `key` of an object, made where it is missing; NULL without memory, which all below takes. */
static json_t *object_in(json_t *parent, const char *key)
{
	json_t *object = json_object_get(parent, key);

	if (!json_is_object(object) && json_object_set_new(parent, key, json_object()) == 0)
		object = json_object_get(parent, key);
	return object;
}

static json_t *want(struct lab_progress *progress, const struct lab_chapter *chapter)
{
	return object_in(json_object_get(progress->root, "chapters"), chapter->id);
}

static void set_now(json_t *object, const char *key)
{
	char text[STATE_TIME_SIZE];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	state_format_time(&now, text);
	json_object_set_new(object, key, json_string(text));
}

static unsigned number_of(const json_t *object, const char *key)
{
	const json_int_t value = json_integer_value(json_object_get(object, key));

	return value > 0 && value < INT32_MAX ? (unsigned)value : 0;
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static bool is_same_chapter(const json_t *object, const struct lab_chapter *chapter)
{
	const char *digest = text_of(object, "digest");

	return digest && streq(digest, chapter->digest);
}

size_t lab_progress_block(const struct lab_progress *progress, const struct lab_chapter *chapter)
{
	const json_t *object = find(progress, chapter);
	const unsigned block = number_of(object, "block");

	return is_same_chapter(object, chapter) && block < chapter->n_blocks ? block : 0;
}

void lab_progress_begin(struct lab_progress *progress, const struct lab_chapter *chapter, size_t block)
{
	json_t *object = want(progress, chapter);

	if (block == 0) {
		json_object_set_new(object, "plays", json_integer(number_of(object, "plays") + 1));
		json_object_set_new(object, "asks", json_object());
		json_object_set_new(object, "tasks", json_object());
		json_object_set_new(object, "block", json_integer(0));
		json_object_set_new(object, "digest", json_string(chapter->digest));
		json_object_del(object, "ended");
		set_now(object, "begun");
	}
	json_object_del(object, "skipped");
}

void lab_progress_at(struct lab_progress *progress, const struct lab_chapter *chapter, size_t block, unsigned seconds)
{
	json_t *object = want(progress, chapter);

	json_object_set_new(object, "block", json_integer((json_int_t)block));
	json_object_set_new(object, "seconds", json_integer(number_of(object, "seconds") + seconds));
	if (block == chapter->n_blocks)
		set_now(object, "ended");
}

void lab_progress_ask(struct lab_progress *progress, const struct lab_chapter *chapter, const char *id,
		      const char *answer, bool right, const char *reality)
{
	json_t *object = object_in(object_in(want(progress, chapter), "asks"), id);
	char text[512];

	json_object_del(object, "skipped");
	/* As printable text: jansson takes valid UTF-8 alone. */
	escape_text(answer, text, sizeof(text));
	json_object_set_new(object, "answer", json_string(text));
	escape_text(reality, text, sizeof(text));
	json_object_set_new(object, "reality", json_string(text));
	json_object_set_new(object, "right", json_boolean(right));
	set_now(object, "time");
}

void lab_progress_task(struct lab_progress *progress, const struct lab_chapter *chapter, const char *id,
		       const char *state, unsigned hints, unsigned tries)
{
	json_t *object = object_in(object_in(want(progress, chapter), "tasks"), id);

	json_object_del(object, "skipped");
	json_object_set_new(object, "state", json_string(state ? state : "open"));
	json_object_set_new(object, "hints", json_integer(hints));
	json_object_set_new(object, "tries", json_integer(tries));
	set_now(object, "time");
}

void lab_progress_leave_out(struct lab_progress *progress, const struct lab_chapter *chapter,
			    const struct lab_block *block, const char *reason)
{
	json_t *object =
		object_in(object_in(want(progress, chapter), block->word == LAB_ASK ? "asks" : "tasks"), block->id);
	char text[1024];

	escape_text(reason, text, sizeof(text));
	json_object_set_new(object, "skipped", json_string(text));
}

void lab_progress_skip(struct lab_progress *progress, const struct lab_chapter *chapter, const char *reason)
{
	char text[1024];

	escape_text(reason, text, sizeof(text));
	json_object_set_new(want(progress, chapter), "skipped", json_string(text));
}

/* ---- results ---- */

const char *lab_status_word(enum lab_status status)
{
	static const char *const words[] = { [LAB_NEW] = "new",
					     [LAB_BEGUN] = "begun",
					     [LAB_PLAYED] = "played",
					     [LAB_SOLVED] = "solved",
					     [LAB_SKIPPED] = "skipped" };

	return words[status];
}

static void add_ask(struct lab_result *result, const struct lab_block *block, const json_t *asks)
{
	const json_t *object = json_object_get(asks, block->id);
	struct lab_ask_result *ask = &result->asks[result->n_asks++];

	*ask = (struct lab_ask_result){ .id = block->id,
					.question = block->text,
					.answer = text_of(object, "answer"),
					.reality = text_of(object, "reality"),
					.skipped = text_of(object, "skipped"),
					.block = block,
					.right = json_is_true(json_object_get(object, "right")),
					.time = text_of(object, "time") };
	result->right += ask->right;
	result->asks_wanted += !ask->skipped;
}

static void add_task(struct lab_result *result, const struct lab_block *block, const json_t *tasks)
{
	const json_t *object = json_object_get(tasks, block->id);
	const char *state = text_of(object, "state");
	struct lab_task_result *task = &result->tasks[result->n_tasks++];

	*task = (struct lab_task_result){ .id = block->id,
					  .text = block->text,
					  .hints_there = block->hints.n,
					  .skipped = text_of(object, "skipped"),
					  .state = state ? state : "open",
					  .hints = number_of(object, "hints"),
					  .tries = number_of(object, "tries"),
					  .time = text_of(object, "time") };
	result->solved += streq(task->state, "solved");
	result->tasks_wanted += !task->skipped;
}

static enum lab_status status_of(const struct lab_result *r, const json_t *object)
{
	size_t given = 0;

	if (r->skipped)
		return LAB_SKIPPED;
	if (!object || !r->begun)
		return LAB_NEW;
	if (!r->ended)
		return LAB_BEGUN;
	for (size_t i = 0; i < r->n_asks; i++)
		given += r->asks[i].answer && !r->asks[i].skipped;
	return given >= r->asks_wanted && r->solved >= r->tasks_wanted ? LAB_SOLVED : LAB_PLAYED;
}

int lab_result_make(struct arena *arena, const struct lab_chapter *chapter, const struct lab_progress *progress,
		    struct lab_result *ret, struct err *err)
{
	const json_t *object = find(progress, chapter);
	const bool same = is_same_chapter(object, chapter);
	const json_t *asks = same ? json_object_get(object, "asks") : NULL;
	const json_t *tasks = same ? json_object_get(object, "tasks") : NULL;
	struct lab_result result = { .id = chapter->id,
				     .title = chapter->title,
				     .blocks = chapter->n_blocks,
				     .plays = number_of(object, "plays"),
				     .seconds = number_of(object, "seconds"),
				     .skipped = text_of(object, "skipped"),
				     .begun = same ? text_of(object, "begun") : NULL,
				     .ended = same ? text_of(object, "ended") : NULL,
				     .block = same ? number_of(object, "block") : 0 };

	result.asks = arena_array(arena, chapter->n_blocks + 1, sizeof(*result.asks));
	result.tasks = arena_array(arena, chapter->n_blocks + 1, sizeof(*result.tasks));
	if (!result.asks || !result.tasks)
		return err_oom(err);
	for (size_t i = 0; i < chapter->n_blocks; i++) {
		const struct lab_block *block = &chapter->blocks[i];

		if (block->word == LAB_ASK)
			add_ask(&result, block, asks);
		else if (block->word == LAB_TASK)
			add_task(&result, block, tasks);
	}
	result.status = status_of(&result, object);
	*ret = result;
	return 0;
}

json_t *lab_result_json(const struct lab_result *r)
{
	json_t *asks = json_array(), *tasks = json_array();

	for (size_t i = 0; i < r->n_asks; i++)
		json_array_append_new(asks, json_pack("{s:s, s:s?, s:b, s:s?, s:s?}", "id", r->asks[i].id, "answer",
						      r->asks[i].answer, "right", r->asks[i].right, "time",
						      r->asks[i].time, "skipped", r->asks[i].skipped));
	for (size_t i = 0; i < r->n_tasks; i++)
		json_array_append_new(tasks, json_pack("{s:s, s:s, s:i, s:i, s:s?, s:s?}", "id", r->tasks[i].id,
						       "state", r->tasks[i].state, "hints", (int)r->tasks[i].hints,
						       "tries", (int)r->tasks[i].tries, "time", r->tasks[i].time,
						       "skipped", r->tasks[i].skipped));
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:i, s:i, s:s?, s:s?, s:s?, s:o, s:o}", "id", r->id, "title",
			 r->title, "status", lab_status_word(r->status), "block", (json_int_t)r->block, "blocks",
			 (json_int_t)r->blocks, "plays", (int)r->plays, "seconds", (int)r->seconds, "begun", r->begun,
			 "ended", r->ended, "skipped", r->skipped, "asks", asks, "tasks", tasks);
}
