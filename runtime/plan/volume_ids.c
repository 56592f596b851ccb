/* SPDX-License-Identifier: Apache-2.0 */
/* idmap=uids=DISK-HOST-COUNT#...;gids=...: which ids of the disk are which of the container's. */
#include <nsrun/plan/tree.h>

#include <nsrun/base/strings.h>

#include <string.h>

static int parse_triplet(char *text, uint32_t *numbers)
{
	for (size_t i = 0; i < 3; i++) {
		char *number = strsep(&text, "-");

		if (!number || parse_u32(number, &numbers[i]) < 0)
			return -EINVAL;
	}
	return text ? -EINVAL : 0;
}

/* To the container's id, and whether `count` of them lie side by side there. */
static int to_container(const struct plan *plan, const struct idmap *container, bool relative, uint32_t *id,
			uint32_t count)
{
	/* An `auto` range has 65536 ids, and its place on the host is not known yet. */
	if (plan->auto_pending)
		return relative && *id < 65536 && count <= 65536 - *id ? 0 : -ERANGE;
	for (size_t i = 0; i < container->n; i++) {
		const struct idmap_extent *extent = &container->extents[i];
		const uint32_t first = relative ? extent->inside : extent->outside;

		if (*id < first || *id - first >= extent->count || count > extent->count - (*id - first))
			continue;
		*id = extent->inside + (*id - first);
		return 0;
	}
	return -ERANGE;
}

static int parse_map(const struct plan *plan, char *text, const char *what, const struct idmap *container,
		     struct idmap *ret, struct err *err)
{
	ret->n = 0;
	for (char *triplet; text && (triplet = strsep(&text, "#"));) {
		const bool relative = *triplet == '@';
		uint32_t numbers[3];

		if (ret->n == IDMAP_EXTENTS_MAX)
			return err_input(err, "%s: more than %d extents", what, IDMAP_EXTENTS_MAX);
		if (parse_triplet(triplet + relative, numbers) < 0)
			return err_input(err, "%s: DISK-HOST-COUNT or @DISK-CONTAINER-COUNT is wanted, in numbers",
					 what);
		if (to_container(plan, container, relative, &numbers[1], numbers[2]) < 0)
			return err_set(err, ERR_INPUT, ERR_ID_ID_NOT_MAPPED, 0, "%s: %u and %u from there on", what,
				       numbers[1], numbers[2]);
		ret->extents[ret->n++] = (struct idmap_extent){ numbers[0], numbers[1], numbers[2] };
	}
	return idmap_check(ret, what, err);
}

static bool grants_root(const struct idmap *map)
{
	for (size_t i = 0; i < map->n; i++)
		if (map->extents[i].inside == 0)
			return true;
	return false;
}

int plan_parse_volume_ids(const struct plan *plan, const char *text, struct plan_tree *tree, bool *ret_root,
			  struct err *err)
{
	char *copy = arena_strdup(plan->arena, text);

	if (!copy)
		return err_oom(err);
	char *gids = strchr(copy, ';');
	if (gids)
		*gids++ = '\0';
	if (!str_after(copy, "uids=") || !gids || !str_after(gids, "gids="))
		return err_input(err, "volume %s: idmap=%s: idmap=root, or idmap=uids=...;gids=... is wanted",
				 tree->source, text);
	int r = parse_map(plan, copy + strlen("uids="), "idmap: uids", &plan->uids, &tree->owner_uids, err);
	if (r == 0)
		r = parse_map(plan, gids + strlen("gids="), "idmap: gids", &plan->gids, &tree->owner_gids, err);
	if (r < 0)
		return r;
	tree->owner_pending = true;
	*ret_root = grants_root(&tree->owner_uids) || grants_root(&tree->owner_gids);
	return 0;
}
