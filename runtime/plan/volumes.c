/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/volumes.h>

#include <nsrun/base/strings.h>
#include <nsrun/plan/tree.h>

#include <stdlib.h>
#include <string.h>

int plan_container_path(struct arena *arena, const char *what, const char *path, const char **ret, struct err *err)
{
	char *clean = arena_alloc(arena, strlen(path) + 2);
	size_t used = 0;

	if (!clean)
		return err_oom(err);
	if (*path != '/')
		return err_input(err, "%s %s: must be an absolute path of the container", what, path);
	while (*path) {
		const size_t n = strcspn(path, "/");

		if (n == 2 && path[0] == '.' && path[1] == '.')
			return err_input(err, "%s: a path of the container may not contain \"..\"", what);
		if (n && !(n == 1 && path[0] == '.')) {
			clean[used++] = '/';
			memcpy(clean + used, path, n);
			used += n;
		}
		path += n + (path[n] == '/');
	}
	if (used == 0)
		clean[used++] = '/';
	clean[used] = '\0';
	*ret = clean;
	return 0;
}

struct volume_options {
	bool readonly, readwrite, idmap_root;
};

static int parse_option(const char *word, const char *text, struct volume_options *options, struct err *err)
{
	static const char *const planned[] = { "z",	  "Z",	      "U",	 "idmap",   "nosuid", "suid",
					       "noexec",  "exec",     "nodev",	 "dev",	    "rbind",  "bind",
					       "private", "rprivate", "shared",	 "rshared", "slave",  "rslave",
					       "nocopy",  "rro",      "noatime", NULL };
	static const char *const known[] = { "ro", "rw", "idmap=root", NULL };

	if (streq(word, "ro"))
		options->readonly = true;
	else if (streq(word, "rw"))
		options->readwrite = true;
	else if (streq(word, "idmap=root"))
		options->idmap_root = true;
	else {
		for (size_t i = 0; planned[i]; i++)
			if (streq(word, planned[i]))
				return err_set(err, ERR_INPUT, ERR_ID_NOT_BUILT, 0, "--volume %s: option %s", text,
					       word);
		const char *near = nearest_word(word, known);
		return err_input(err, "--volume %s: unknown option %s%s%s%s", text, word, near ? " (did you mean " : "",
				 near ? near : "", near ? "?)" : "");
	}
	if (options->readonly && options->readwrite)
		return err_input(err, "--volume %s: ro and rw contradict each other", text);
	return 0;
}

static int parse_volume(struct plan *plan, const char *text, struct plan_tree *ret, struct err *err)
{
	struct volume_options options = { 0 };
	char *source = arena_strdup(plan->arena, text);

	if (!source)
		return err_oom(err);
	char *target = strchr(source, ':');
	if (!target || target == source || !target[1])
		return err_input(err, "--volume %s: SRC:DST[:OPTION,...] is wanted", text);
	*target++ = '\0';
	char *words = strchr(target, ':');
	if (words)
		*words++ = '\0';
	for (char *word, *state = words; state && (word = strsep(&state, ","));) {
		const int r = parse_option(word, text, &options, err);

		if (r < 0)
			return r;
	}

	const char *path;
	int r = plan_container_path(plan->arena, "--volume: target", target, &path, err);
	if (r < 0)
		return r;
	if (streq(path, "/"))
		return err_input(err, "--volume %s: a volume cannot be mounted over the rootfs itself", text);
	r = plan_resolve_tree(plan, source, false, options.readonly, false, options.idmap_root, ret, err);
	ret->target = path;
	return r;
}

static int compare_targets(const void *a, const void *b)
{
	return strcmp(((const struct plan_tree *)a)->target, ((const struct plan_tree *)b)->target);
}

int plan_resolve_volumes(struct plan *plan, const struct plan_request *request, struct err *err)
{
	size_t n = 0;

	while (request->volumes && request->volumes[n])
		n++;
	plan->volumes = arena_array(plan->arena, n + 1, sizeof(*plan->volumes));
	if (!plan->volumes)
		return err_oom(err);
	for (size_t i = 0; i < n; i++) {
		const int r = parse_volume(plan, request->volumes[i], &plan->volumes[i], err);

		if (r < 0)
			return r;
	}
	/* A parent is a prefix of what lies below it, and sorts before it. */
	if (n)
		qsort(plan->volumes, n, sizeof(*plan->volumes), compare_targets);
	for (size_t i = 1; i < n; i++)
		if (streq(plan->volumes[i - 1].target, plan->volumes[i].target))
			return err_input(err, "--volume: two volumes on %s", plan->volumes[i].target);
	plan->n_volumes = n;
	return 0;
}
