/* SPDX-License-Identifier: Apache-2.0 */
/* All chapters of a directory. */
#include <nsrun/lab/chapter.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/lab/reader.h>

#include <fcntl.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_names(const char *dir, char ***ret, size_t *ret_n, struct err *err)
{
	_cleanup_closedir_ DIR *stream = opendir(dir);
	char **names = NULL;
	size_t n = 0;

	if (!stream)
		return err_system(err, "%s: the directory of chapters", dir);
	for (struct dirent *entry; (entry = readdir(stream));) {
		const char *end = strrchr(entry->d_name, '.');
		char *name = end && streq(end, ".md") ? strndup(entry->d_name, (size_t)(end - entry->d_name)) : NULL;
		/* Others are listed, too, to be told of by who reads them: their writer would look for them in vain. */
		char **more = name && !streq(name, "README") ? reallocarray(names, n + 1, sizeof(*names)) : NULL;

		if (!more) {
			free(name);
			continue;
		}
		names = more;
		names[n++] = name;
	}
	if (n)
		qsort(names, n, sizeof(*names), compare);
	*ret = names;
	*ret_n = n;
	return 0;
}

static bool is_among(const char *id, char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (streq(list[i], id))
			return true;
	return false;
}

/* Is all there that this chapter comes after, as far as the directory has it? */
static bool may_follow(const struct lab_chapter *chapter, char *const *done, size_t n_done, char *const *all, size_t n)
{
	for (char **id = chapter->after; *id; id++)
		if (is_among(*id, all, n) && !is_among(*id, done, n_done))
			return false;
	return true;
}

int lab_chapters_list(const char *dir, char ***ret, size_t *ret_n, struct err *err)
{
	char **names = NULL;
	size_t n = 0, done = 0;

	const int r = read_names(dir, &names, &n, err);
	if (r < 0)
		return r;
	struct lab_chapter **chapters = calloc(n + 1, sizeof(struct lab_chapter *));
	char **order = calloc(n + 1, sizeof(*order));

	if (!chapters || !order) {
		free(chapters);
		free(order);
		lab_words_free(names, n);
		return err_oom(err);
	}
	for (size_t i = 0; i < n; i++) {
		struct lab_mistakes mistakes = { 0 };
		struct err ignored = ERR_INIT;

		(void)lab_chapter_read(dir, names[i], &chapters[i], &mistakes, &ignored);
		lab_mistakes_done(&mistakes);
	}
	for (bool some = true; some;) {
		some = false;
		for (size_t i = 0; i < n && !some; i++)
			if (chapters[i] && !is_among(names[i], order, done) &&
			    may_follow(chapters[i], order, done, names, n)) {
				order[done++] = names[i];
				some = true;
			}
	}
	/* What nothing can come before, and what cannot be read. */
	for (size_t i = 0; i < n; i++)
		if (!is_among(names[i], order, done))
			order[done++] = names[i];
	for (size_t i = 0; i < n; i++)
		lab_chapter_free(chapters[i]);
	free(chapters);
	free(names);
	*ret = order;
	*ret_n = n;
	return 0;
}
