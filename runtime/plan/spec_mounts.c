/* SPDX-License-Identifier: Apache-2.0 */
/* The plan's mounts in the words of config.json. */
#include <nsrun/plan/spec.h>

#include <nsrun/base/strings.h>

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

/* The words of one mount. Once one is no UTF-8 (json_string answers NULL), `bad` says so. */
struct words {
	json_t *array;
	bool bad;
};

static void add_json(struct words *words, json_t *word)
{
	if (json_array_append_new(words->array, word) < 0)
		words->bad = true;
}

static void add(struct words *words, const char *word)
{
	add_json(words, json_string(word));
}

static void add_attributes(struct words *options, const struct plan_mount *mount, bool recursive)
{
	static const struct {
		uint64_t attr;
		const char *set, *cleared;
	} words[] = {
		{ MOUNT_ATTR_NOSUID, "nosuid", "suid" },	 { MOUNT_ATTR_NODEV, "nodev", "dev" },
		{ MOUNT_ATTR_NOEXEC, "noexec", "exec" },	 { MOUNT_ATTR_NOATIME, "noatime", NULL },
		{ MOUNT_ATTR_STRICTATIME, "strictatime", NULL }, { MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow", NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (mount->attr_set & words[i].attr)
			add(options, words[i].set);
		else if ((mount->attr_clear & words[i].attr) && words[i].cleared)
			add(options, words[i].cleared);
	}
	if ((mount->attr_set | mount->attr_top) & MOUNT_ATTR_RDONLY)
		add(options, "ro");
	if (recursive && (mount->attr_set & MOUNT_ATTR_RDONLY))
		add(options, "rro");
}

static json_t *bind_of(const struct plan *plan, const struct plan_mount *mount, struct words *options)
{
	const struct plan_tree *tree = &plan->sources[mount->first_source];

	add(options, tree->recursive ? "rbind" : "bind");
	add(options, tree->propagation == MS_SLAVE    ? "rslave"
		     : tree->propagation == MS_SHARED ? "rshared"
						      : "rprivate");
	add_attributes(options, mount, tree->recursive);
	json_t *object =
		json_pack("{s:s, s:s, s:s}", "destination", mount->target, "type", "bind", "source", tree->path);
	if (tree->view != VIEW_AS_IS) {
		const bool all = tree->view == VIEW_IDMAPPED;

		add(options, "idmap");
		json_object_set_new(object, "uidMappings", spec_id_mappings(all ? &plan->uids : &tree->owner_uids));
		json_object_set_new(object, "gidMappings", spec_id_mappings(all ? &plan->gids : &tree->owner_gids));
	}
	return object;
}

static json_t *tmpfs_of(const struct plan_mount *mount, struct words *options)
{
	const char *const pairs[][2] = { { "size", mount->size },
					 { "mode", mount->mode },
					 { "nr_inodes", mount->nr_inodes },
					 { "uid", mount->uid },
					 { "gid", mount->gid } };

	add_attributes(options, mount, false);
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		if (pairs[i][1])
			add_json(options, json_sprintf("%s=%s", pairs[i][0], pairs[i][1]));
	return json_pack("{s:s, s:s, s:s}", "destination", mount->target, "type", "tmpfs", "source", "tmpfs");
}

static json_t *overlay_of(const struct plan *plan, const struct plan_mount *mount, struct words *options)
{
	const struct plan_tree *trees = &plan->sources[mount->first_source];
	_cleanup_free_ char *lower = NULL;
	size_t size;
	_cleanup_fclose_ FILE *text = open_memstream(&lower, &size);

	if (!text) {
		options->bad = true;
		return NULL;
	}
	for (size_t i = 0; i < mount->n_lower; i++)
		fprintf(text, "%s%s", i ? ":" : "lowerdir=", trees[i].path);
	options->bad |= fflush(text) != 0;
	add_attributes(options, mount, false);
	add(options, lower);
	if (mount->upper.name) {
		const char *parent = trees[mount->n_lower].path;

		add_json(options, json_sprintf("upperdir=%s/%s", parent, mount->upper.name));
		add_json(options, json_sprintf("workdir=%s/%s", parent, mount->work.name));
	}
	if (plan_has_userns(plan))
		add(options, "userxattr");
	return json_pack("{s:s, s:s, s:s}", "destination", mount->target, "type", "overlay", "source", "overlay");
}

bool spec_mounts(const struct plan *plan, json_t *mounts)
{
	for (size_t i = 0; i < plan->n_mounts; i++) {
		const struct plan_mount *mount = &plan->mounts[i];
		struct words options = { .array = json_array() };
		json_t *object;

		if (mount->kind == MOUNT_BIND)
			object = bind_of(plan, mount, &options);
		else if (mount->kind == MOUNT_TMPFS)
			object = tmpfs_of(mount, &options);
		else
			object = overlay_of(plan, mount, &options);
		const bool set = json_object_set_new(object, "options", options.array) == 0;
		if (json_array_append_new(mounts, object) < 0 || !set || options.bad)
			return false;
	}
	return true;
}

bool spec_mounts_are_whole(const struct plan *plan)
{
	for (size_t i = 0; i < plan->n_mounts; i++) {
		const struct plan_mount *mount = &plan->mounts[i];

		if (mount->kind != MOUNT_OVERLAY)
			continue;
		if (mount->in_memory)
			return false;
		for (size_t k = 0; k < mount->n_sources; k++) {
			const struct plan_tree *tree = &plan->sources[mount->first_source + k];

			if (tree->view != VIEW_AS_IS || strpbrk(tree->path, ":,\\"))
				return false;
		}
	}
	return true;
}
