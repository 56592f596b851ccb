/* SPDX-License-Identifier: Apache-2.0 */
/* launches.json. */
#include <nsrun/lab/record.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_NAME "launches.json"
#define FILE_VERSION 1
#define FILE_MAX (8 * 1024 * 1024)

int lab_records_load(const struct lab_place *place, json_t **ret, struct err *err)
{
	_cleanup_free_ char *data = NULL;
	struct stat st;
	size_t size;

	if (place->dir_fd < 0 || (fstatat(place->dir_fd, FILE_NAME, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)) {
		*ret = json_array();
		return *ret ? 0 : err_oom(err);
	}
	const int r = file_read_at(place->dir_fd, FILE_NAME, FILE_MAX, &data, &size, err);
	if (r < 0)
		return r;
	json_t *root = json_loadb(data, size, JSON_REJECT_DUPLICATES, NULL);
	json_t *launches = json_object_get(root, "launches");

	if (!json_is_array(launches) || json_integer_value(json_object_get(root, "version")) != FILE_VERSION) {
		json_decref(root);
		return err_input(err, "%s/" FILE_NAME ": it is damaged; nsrun lab reset begins anew", place->dir);
	}
	*ret = json_incref(launches);
	json_decref(root);
	return 0;
}

static int save(const struct lab_place *place, json_t *launches, struct err *err)
{
	json_t *root = json_pack("{s:i, s:O}", "version", FILE_VERSION, "launches", launches);
	_cleanup_free_ char *text = root ? json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

	json_decref(root);
	return text ? file_replace_at(place->dir_fd, FILE_NAME, 0600, text, strlen(text), err) : err_oom(err);
}

static bool is_of(const json_t *launch, const char *chapter, const char *name)
{
	const char *its_chapter = json_string_value(json_object_get(launch, "chapter"));
	const char *its_name = json_string_value(json_object_get(launch, "name"));

	return its_chapter && streq(its_chapter, chapter) && (!name || (its_name && streq(its_name, name)));
}

static void forget(json_t *launches, const char *chapter, const char *name)
{
	for (size_t i = json_array_size(launches); i-- > 0;)
		if (is_of(json_array_get(launches, i), chapter, name))
			(void)json_array_remove(launches, i);
}

int lab_records_forget(const struct lab_place *place, const char *chapter, struct err *err)
{
	json_t *launches = NULL;

	/* All: also of a file that cannot be read. */
	if (!chapter)
		return unlinkat(place->dir_fd, FILE_NAME, 0) < 0 && errno != ENOENT
			       ? err_system(err, "%s/" FILE_NAME, place->dir)
			       : 0;
	int r = lab_records_load(place, &launches, err);
	if (r == 0 && json_array_size(launches) > 0) {
		forget(launches, chapter, NULL);
		r = save(place, launches, err);
	}
	json_decref(launches);
	return r;
}

static const char *time_of(const json_t *launch)
{
	const char *time = json_string_value(json_object_get(launch, "time"));

	return time ? time : "";
}

/* Those of a chapter in the order in which they were started, whenever they were looked at; the last few of them. */
static void put_in(json_t *launches, const char *chapter, json_t *record)
{
	const char *name = json_string_value(json_object_get(record, "name"));
	size_t at, n = 0, first = 0;

	forget(launches, chapter, name);
	for (at = 0; at < json_array_size(launches); at++) {
		const json_t *launch = json_array_get(launches, at);

		if (is_of(launch, chapter, NULL) && strcmp(time_of(launch), time_of(record)) > 0)
			break;
	}
	json_array_insert(launches, at, record);
	for (size_t i = json_array_size(launches); i-- > 0;)
		if (is_of(json_array_get(launches, i), chapter, NULL)) {
			n++;
			first = i;
		}
	if (n > LAB_LAUNCHES_OF_CHAPTER)
		(void)json_array_remove(launches, first);
	while (json_array_size(launches) > LAB_LAUNCHES_MAX)
		(void)json_array_remove(launches, 0);
}

void lab_records_keep(const struct lab_place *place, const char *chapter, json_t *const *records, size_t n)
{
	struct err ignored = ERR_INIT;
	json_t *launches = NULL;

	if (lab_records_load(place, &launches, &ignored) < 0)
		launches = json_array();
	for (size_t i = 0; i < n; i++)
		put_in(launches, chapter, records[i]);
	(void)save(place, launches, &ignored);
	json_decref(launches);
}
