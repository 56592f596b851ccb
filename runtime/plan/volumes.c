/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/volumes.h>

#include <nsrun/base/strings.h>
#include <nsrun/plan/mounts.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

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

/* ---- where something may be mounted ---- */

static bool lies_in(const char *path, const char *top)
{
	const char *rest = str_after(path, top);

	return rest && (*rest == '\0' || *rest == '/');
}

const char *plan_target_owner(const char *path)
{
	static const char *const taken[] = {
		"/dev/console", "/dev/core",   "/dev/fd",  "/dev/full",	   "/dev/mqueue",
		"/dev/null",	"/dev/ptmx",   "/dev/pts", "/dev/random",  "/dev/stderr",
		"/dev/stdin",	"/dev/stdout", "/dev/tty", "/dev/urandom", "/dev/zero",
	};

	/* A file in /proc that is another one: programs and runtimes have been led astray by that (CVE-2019-16884). */
	if (lies_in(path, "/proc") || lies_in(path, "/sys"))
		return "is the kernel's";
	if (streq(path, "/dev"))
		return "is made by nsrun";
	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		if (lies_in(path, taken[i]))
			return "is made by nsrun";
	return NULL;
}

static int check_target(const struct mount_options *options, const char *path, struct err *err)
{
	if (streq(path, "/"))
		return err_input(err, "%s %s: nothing can be mounted over the rootfs itself", options->option,
				 options->text);
	const char *what = plan_target_owner(path);
	return what ? err_refused(err, ERR_ID_MOUNT_TARGET, "%s %s: %s %s", options->option, options->text, path, what)
		    : 0;
}

static int set_target(struct plan *plan, const struct mount_options *options, const char *target,
		      struct plan_mount *mount, struct err *err)
{
	char what[32];

	snprintf(what, sizeof(what), "%s: target", options->option);
	int r = plan_container_path(plan->arena, what, target, &mount->target, err);
	if (r == 0)
		r = check_target(options, mount->target, err);
	if (r < 0)
		return r;
	mount->said = arena_printf(plan->arena, "%s %s", options->option, options->text);
	return mount->said ? 0 : err_oom(err);
}

/* ---- the three spellings ---- */

/* A message has room for so much of what was said that its reason still fits. */
#define TEXT_MAX_SHOWN 120

static const char *shown(struct plan *plan, const char *text)
{
	const char *shorter =
		strlen(text) <= TEXT_MAX_SHOWN ? NULL : arena_printf(plan->arena, "%.*s...", TEXT_MAX_SHOWN, text);

	return shorter ? shorter : text;
}

static int read_words(struct mount_options *options, char *words, struct err *err)
{
	for (char *word; words && (word = strsep(&words, ","));) {
		const int r = mount_options_read(options, word, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int add_volume(struct plan *plan, const char *text, struct plan_mount *ret, struct err *err)
{
	struct mount_options options = { .option = "--volume", .text = shown(plan, text), .kinds = KIND(BIND) };
	char *source = arena_strdup(plan->arena, text);

	if (!source)
		return err_oom(err);
	char *target = strchr(source, ':');
	if (!target && *source == '/')
		return err_input(err,
				 "--volume %s: SRC:DST[:OPTION,...] is wanted; a directory without a source, empty "
				 "and gone at the end, is --tmpfs %s",
				 text, text);
	if (!target || target == source || !target[1])
		return err_input(err, "--volume %s: SRC:DST[:OPTION,...] is wanted", text);
	*target++ = '\0';
	char *words = strchr(target, ':');
	if (words)
		*words++ = '\0';
	struct plan_mount place = { 0 };
	int r = read_words(&options, words, err);
	if (r == 0)
		r = set_target(plan, &options, target, &place, err);
	if (r == 0)
		r = plan_bind_mount(plan, &options, source, ret, err);
	ret->target = place.target;
	ret->said = place.said;
	return r;
}

static int add_tmpfs(struct plan *plan, const char *text, struct plan_mount *ret, struct err *err)
{
	struct mount_options options = { .option = "--tmpfs", .text = shown(plan, text), .kinds = KIND(TMPFS) };
	char *target = arena_strdup(plan->arena, text);

	if (!target)
		return err_oom(err);
	char *words = strchr(target, ':');
	if (words)
		*words++ = '\0';
	int r = read_words(&options, words, err);
	struct plan_mount place = { 0 };
	if (r == 0)
		r = set_target(plan, &options, target, &place, err);
	if (r == 0)
		r = plan_tmpfs_mount(plan, &options, ret, err);
	ret->target = place.target;
	ret->said = place.said;
	return r;
}

static int kind_of(const struct mount_options *options, enum mount_kind *ret, struct err *err)
{
	const char *type = options->said[SLOT_TYPE].value;

	for (enum mount_kind kind = 0; type && kind < MOUNT_KIND_COUNT; kind++)
		if (streq(type, mount_kind_name(kind))) {
			*ret = kind;
			return 0;
		}
	if (type && streq(type, "volume"))
		return err_input(err,
				 "--mount %s: type=volume: there is no store of named volumes; type=bind takes a "
				 "directory of the host",
				 options->text);
	return err_input(err, "--mount %s: type=bind, type=tmpfs or type=overlay is wanted", options->text);
}

static int add_mount(struct plan *plan, const char *text, struct plan_mount *ret, struct err *err)
{
	struct mount_options options = { .option = "--mount", .text = shown(plan, text), .kinds = KINDS_ALL };
	char *state = arena_strdup(plan->arena, text), *word;
	struct plan_mount place = { 0 };
	enum mount_kind kind = MOUNT_BIND;
	int r = state ? 0 : err_oom(err);

	while (r == 0 && state) {
		r = mount_csv_field(&options, &state, &word, err);
		if (r == 0)
			r = mount_options_read(&options, word, err);
	}
	if (r == 0)
		r = kind_of(&options, &kind, err);
	if (r == 0)
		r = mount_options_check(&options, kind, err);
	if (r == 0 && !options.said[SLOT_TARGET].value)
		r = err_input(err, "--mount %s: target=PATH is wanted", options.text);
	if (r == 0 && kind == MOUNT_BIND && !options.said[SLOT_SOURCE].value)
		r = err_input(err, "--mount %s: source=PATH is wanted", options.text);
	if (r == 0)
		r = set_target(plan, &options, options.said[SLOT_TARGET].value, &place, err);
	if (r < 0)
		return r;
	if (kind == MOUNT_BIND)
		r = plan_bind_mount(plan, &options, options.said[SLOT_SOURCE].value, ret, err);
	else if (kind == MOUNT_TMPFS)
		r = plan_tmpfs_mount(plan, &options, ret, err);
	else
		r = plan_overlay_mount(plan, &options, ret, err);
	ret->target = place.target;
	ret->said = place.said;
	return r;
}

/* ---- all of them ---- */

static int compare_targets(const void *a, const void *b)
{
	return strcmp(((const struct plan_mount *)a)->target, ((const struct plan_mount *)b)->target);
}

static int check_together(const struct plan *plan, const struct plan_request *request, struct err *err)
{
	for (size_t i = 0; i < plan->n_mounts; i++) {
		const struct plan_mount *mount = &plan->mounts[i];

		if (i && streq(plan->mounts[i - 1].target, mount->target))
			return err_input(err, "%s: %s is on %s, too", mount->said, plan->mounts[i - 1].said,
					 mount->target);
		if (request->shm_size && streq(mount->target, "/dev/shm"))
			return err_input(err, "%s: --shm-size is for the /dev/shm that this covers", mount->said);
		for (size_t k = 0; k < i; k++)
			if (plan->mounts[k].kind == MOUNT_BIND &&
			    plan->sources[plan->mounts[k].first_source].propagation == MS_SHARED &&
			    lies_in(mount->target, plan->mounts[k].target))
				return err_refused(err, ERR_ID_SHARED_BELOW, "%s: below %s", mount->said,
						   plan->mounts[k].said);
	}
	return 0;
}

static int resolve_shm(struct plan *plan, const struct plan_request *request, struct err *err)
{
	uint64_t size;

	if (!request->shm_size)
		return 0;
	/* 0 would be no limit at all (tmpfs(5)). */
	if (parse_size(request->shm_size, &size) < 0 || size == 0 || size > INT64_MAX)
		return err_input(err, "--shm-size %s: bytes from 1 with an optional suffix b, k, m, g, t are wanted",
				 request->shm_size);
	plan->shm_size = arena_printf(plan->arena, "%" PRIu64, size);
	return plan->shm_size ? 0 : err_oom(err);
}

static size_t count_colons(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == ':';
	return n;
}

int plan_resolve_mounts(struct plan *plan, const struct plan_request *request, struct err *err)
{
	const struct {
		const char *const *list;
		int (*add)(struct plan *plan, const char *text, struct plan_mount *ret, struct err *err);
	} spellings[] = {
		{ request->volumes, add_volume },
		{ request->mounts, add_mount },
		{ request->tmpfs, add_tmpfs },
	};
	size_t n = 0, trees = 0;

	for (size_t i = 0; i < ARRAY_LEN(spellings); i++)
		for (const char *const *p = spellings[i].list; p && *p; p++, n++)
			trees += 2 + count_colons(*p); /* an upper directory, and each lower one */
	plan->mounts = arena_array(plan->arena, n + 1, sizeof(*plan->mounts));
	plan->sources = arena_array(plan->arena, trees + 1, sizeof(*plan->sources));
	if (!plan->mounts || !plan->sources)
		return err_oom(err);
	plan->n_mounts = plan->n_sources = 0;
	int r = resolve_shm(plan, request, err);
	for (size_t i = 0; i < ARRAY_LEN(spellings); i++)
		for (const char *const *p = spellings[i].list; r == 0 && p && *p; p++) {
			struct plan_mount *mount = &plan->mounts[plan->n_mounts++];

			r = spellings[i].add(plan, *p, mount, err);
			mount->text = *p;
		}
	if (r < 0)
		return r;
	/* A parent is a prefix of what lies below it, and sorts before it. */
	if (n)
		qsort(plan->mounts, n, sizeof(*plan->mounts), compare_targets);
	return check_together(plan, request, err);
}
