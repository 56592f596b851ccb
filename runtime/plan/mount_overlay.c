/* SPDX-License-Identifier: Apache-2.0 */
/* --mount type=overlay: its layers are trees like volumes, each under the ownership rule. */
#include <nsrun/plan/mounts.h>

#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>

size_t plan_overlay_layers(const char *lowerdir)
{
	size_t n = 1;

	for (; *lowerdir; lowerdir++) {
		if (lowerdir[0] == '\\' && lowerdir[1])
			lowerdir++;
		else if (*lowerdir == ':')
			n++;
	}
	return n;
}

/* The next of them, with its backslashes taken away, in place. */
static char *next_layer(char **state)
{
	char *layer = *state, *in = layer, *out = layer;

	for (; *in && *in != ':'; in++) {
		if (in[0] == '\\' && in[1])
			in++;
		*out++ = *in;
	}
	*state = *in ? in + 1 : NULL;
	*out = '\0';
	return layer;
}

static bool same_ids(const struct idmap *a, const struct idmap *b)
{
	return a->n == b->n && memcmp(a->extents, b->extents, a->n * sizeof(a->extents[0])) == 0;
}

/* The two directories must lie on one mount (overlayfs answers EINVAL otherwise), so that what is opened is the one that holds both. It is in no
 * path of the container. */
static int resolve_upper(struct plan *plan, const struct mount_options *options, struct plan_mount *mount,
			 struct err *err)
{
	const struct tree_wish wish = { 0 };
	const enum mount_slot slots[] = { SLOT_UPPER, SLOT_WORK };
	struct plan_layer *const layers[] = { &mount->upper, &mount->work };
	struct plan_tree *tree = &plan->sources[plan->n_sources], found[2];
	struct statx mounts[2];
	char *paths[2], *names[2];
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(slots); i++) {
		const int r = plan_resolve_tree(plan, options->said[slots[i]].value, &wish, &found[i], err);

		if (r < 0)
			return r;
		paths[i] = arena_strdup(plan->arena, found[i].path);
		names[i] = paths[i] ? strrchr(paths[i], '/') : NULL;
		if (!names[i])
			return err_oom(err);
		*names[i]++ = '\0';
		if (statx(AT_FDCWD, found[i].path, AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, &mounts[i]) < 0)
			return err_system(err, "%s", found[i].source);
		*layers[i] = (struct plan_layer){ names[i], found[i].device, found[i].inode };
	}
	const char *parent = *paths[0] ? paths[0] : "/";
	struct statx above;
	if (statx(AT_FDCWD, parent, AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, &above) < 0 || stat(parent, &st) < 0)
		return err_system(err, "%s", parent);
	if (!found[0].is_directory || !found[1].is_directory || !streq(paths[0], paths[1]) ||
	    streq(names[0], names[1]) || above.stx_mnt_id != mounts[0].stx_mnt_id ||
	    above.stx_mnt_id != mounts[1].stx_mnt_id)
		return err_set(err, ERR_INPUT, ERR_ID_OVERLAY_LAYERS, 0,
			       "%s %s: upperdir and workdir are not two directories in one, on one mount",
			       options->option, options->text);
	if (found[0].view != found[1].view || !same_ids(&found[0].owner_uids, &found[1].owner_uids) ||
	    !same_ids(&found[0].owner_gids, &found[1].owner_gids))
		return err_set(err, ERR_INPUT, ERR_ID_OVERLAY_LAYERS, 0,
			       "%s %s: upperdir and workdir do not belong to the same user", options->option,
			       options->text);
	*tree = found[0];
	tree->source = tree->path = parent;
	tree->device = st.st_dev;
	tree->inode = st.st_ino;
	tree->is_directory = true;
	plan->n_sources++;
	mount->n_sources++;
	return 0;
}

int plan_overlay_mount(struct plan *plan, const struct mount_options *options, struct plan_mount *ret, struct err *err)
{
	const struct tree_wish wish = { .readonly = true, .layer = true };
	const char *lower = options->said[SLOT_LOWER].value;
	const bool writable = options->said[SLOT_UPPER].value;
	struct plan_mount mount = { .kind = MOUNT_OVERLAY, .is_directory = true, .first_source = plan->n_sources };

	if (!lower)
		return err_input(err, "%s %s: lowerdir=DIR[:DIR...] is wanted", options->option, options->text);
	if (writable != (options->said[SLOT_WORK].value != NULL))
		return err_set(err, ERR_INPUT, ERR_ID_OVERLAY_LAYERS, 0, "%s %s: %s without %s", options->option,
			       options->text, writable ? "upperdir" : "workdir", writable ? "workdir" : "upperdir");
	if (!writable && options->said[SLOT_WRITE].choice == CHOICE_YES)
		return err_set(err, ERR_INPUT, ERR_ID_OVERLAY_LAYERS, 0, "%s %s: rw without upperdir", options->option,
			       options->text);
	mount.n_lower = plan_overlay_layers(lower);
	if (mount.n_lower > OVERLAY_LAYERS_MAX || (!writable && mount.n_lower < 2))
		return err_set(err, ERR_INPUT, ERR_ID_OVERLAY_LAYERS, 0, "%s %s: %zu lower director%s, %s",
			       options->option, options->text, mount.n_lower, mount.n_lower == 1 ? "y" : "ies",
			       mount.n_lower == 1 ? "and no upper one (type=bind,ro shows one read-only)"
						  : "and 50 is what can be had");

	int r = plan_mount_attr(plan, options, writable ? 0 : MOUNT_ATTR_RDONLY, &mount, err);
	char *state = arena_strdup(plan->arena, lower);
	if (!state)
		return err_oom(err);
	while (r == 0 && state) {
		const char *layer = next_layer(&state);
		struct plan_tree *tree = &plan->sources[plan->n_sources];

		if (!*layer)
			return err_input(err, "%s %s: an empty name among the lower directories", options->option,
					 options->text);
		r = plan_resolve_tree(plan, layer, &wish, tree, err);
		if (r == 0 && !tree->is_directory)
			r = err_set(err, ERR_INPUT, ERR_ID_OVERLAY_LAYERS, ENOTDIR, "%s %s: %s", options->option,
				    options->text, layer);
		plan->n_sources++;
		mount.n_sources++;
	}
	if (r == 0 && writable)
		r = resolve_upper(plan, options, &mount, err);
	if (r < 0)
		return r;
	*ret = mount;
	return 0;
}
