/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/ids_auto.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

int ids_append(struct idmap *map, uint32_t inside, const struct subid_ranges *ranges, const char *what, struct err *err)
{
	uint64_t next = inside;

	for (size_t i = 0; i < ranges->n; i++) {
		if (map->n == IDMAP_EXTENTS_MAX || next > IDMAP_ID_MAX)
			return err_input(err, "%s: more than %d ranges, or more ids than there are", what,
					 IDMAP_EXTENTS_MAX);
		map->extents[map->n++] =
			(struct idmap_extent){ (uint32_t)next, ranges->ranges[i].first, ranges->ranges[i].count };
		next += ranges->ranges[i].count;
	}
	return 0;
}

int ids_parse_map(const char *const *words, const char *option, struct idmap *ret, struct err *err)
{
	struct idmap map = { 0 };

	for (; *words; words++) {
		char field[3][16] = { 0 }, end;
		struct idmap_extent *e = &map.extents[map.n];

		if (map.n == IDMAP_EXTENTS_MAX)
			return err_input(err, "%s: more than %d extents", option, IDMAP_EXTENTS_MAX);
		if (sscanf(*words, "%15[0-9]:%15[0-9]:%15[0-9]%c", field[0], field[1], field[2], &end) != 3 ||
		    parse_u32(field[0], &e->inside) < 0 || parse_u32(field[1], &e->outside) < 0 ||
		    parse_u32(field[2], &e->count) < 0)
			return err_input(err, "%s \"%s\": must be INSIDE:OUTSIDE:COUNT, three numbers", option, *words);
		map.n++;
	}
	*ret = map;
	return idmap_check(ret, option, err);
}

bool ids_visible(bool initial_userns, enum subid_kind kind, struct idmap *ret)
{
	_cleanup_free_ char *text = NULL;
	struct idmap map = { 0 };
	size_t size;

	if (initial_userns)
		return false;
	if (file_read_virtual_at(AT_FDCWD, kind == SUBID_UID ? "/proc/self/uid_map" : "/proc/self/gid_map", 65536,
				 &text, &size, NULL) == 0) {
		for (const char *p = text; map.n < IDMAP_EXTENTS_MAX; map.n++) {
			struct idmap_extent *e = &map.extents[map.n];
			int used = 0;

			if (sscanf(p, " %u %u %u%n", &e->inside, &e->outside, &e->count, &used) != 3)
				break;
			p += used;
		}
	}
	*ret = map;
	return true;
}

/* The first id of `first`, `count` that this namespace does not have, or the end. */
static uint64_t visible_end(const struct idmap *visible, uint64_t first, uint64_t count)
{
	uint64_t end = first + count;

	for (size_t i = 0; i < visible->n && first < end; i++) {
		const struct idmap_extent *e = &visible->extents[i];

		if (first >= e->inside && first < (uint64_t)e->inside + e->count) {
			first = (uint64_t)e->inside + e->count;
			i = (size_t)-1;
		}
	}
	return first < end ? first : end;
}

/* user_namespaces(7): what a line of uid_map maps must lie within one line of the map around. */
static bool crosses_extents(const struct idmap *visible, const struct idmap_extent *e)
{
	for (size_t i = 0; i < visible->n; i++) {
		const struct idmap_extent *v = &visible->extents[i];

		if (e->outside >= v->inside && e->outside - v->inside < v->count)
			return e->count > v->count - (e->outside - v->inside);
	}
	return true;
}

int ids_check_map(const struct idmap *map, const struct idmap *visible, bool host_root, const char *what,
		  struct err *err)
{
	int r = idmap_check(map, what, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < map->n; i++) {
		const struct idmap_extent *e = &map->extents[i];
		uint64_t end;

		if (e->outside == 0 && !host_root)
			return err_refused(err, ERR_ID_MAP_HOST_ROOT,
					   "%s: %u:0:%u gives the container id 0 of the %s, which is root there", what,
					   e->inside, e->count, visible ? "user namespace around it" : "host");
		end = visible ? visible_end(visible, e->outside, e->count) : (uint64_t)e->outside + e->count;
		if (end < (uint64_t)e->outside + e->count)
			return err_input(
				err,
				"%s: %u:%u:%u: id %u does not exist in this user namespace (/proc/self/uid_map, gid_map)",
				what, e->inside, e->outside, e->count, (unsigned)end);
		if (visible && crosses_extents(visible, e))
			return err_input(
				err,
				"%s: %u:%u:%u: lies in several lines of this user namespace's own map (/proc/self/uid_map, gid_map): "
				"the kernel wants an extent for each",
				what, e->inside, e->outside, e->count);
	}
	return 0;
}

int ids_settle_maps(struct plan *plan, bool initial_userns, struct err *err)
{
	/* Who writes config.json knows whose it is: in an engine's own user namespace it is the user who runs that. */
	const bool host_root = plan_is_bundle(plan);
	struct idmap uids, gids;
	bool nested_uid = ids_visible(initial_userns, SUBID_UID, &uids),
	     nested_gid = ids_visible(initial_userns, SUBID_GID, &gids);
	int r;

	if (plan->remap != REMAP_NONE) {
		r = ids_check_map(&plan->uids, nested_uid ? &uids : NULL, host_root, "uid map", err);
		if (r < 0)
			return r;
		r = ids_check_map(&plan->gids, nested_gid ? &gids : NULL, host_root, "gid map", err);
		if (r < 0)
			return r;
	}
	if (!idmap_to_outside(&plan->uids, 0, &plan->root_uid) || !idmap_to_outside(&plan->gids, 0, &plan->root_gid))
		return err_input(err, "id maps: they give the container no id 0, and its init starts as that");
	return 0;
}

int ids_range_of_tree(const char *rootfs, const struct id_files *files, struct idmap *ret, struct err *err)
{
	struct stat st;
	uint32_t count;

	/* What is wrong with the path is said where the tree is looked at. No range begins at 0. */
	if (!rootfs || stat(rootfs, &st) < 0 || st.st_uid != st.st_gid)
		st.st_uid = 0;
	const int r = ids_auto_at(files, st.st_uid, &count, err);
	if (r > 0)
		*ret = (struct idmap){ .n = 1, .extents = { { 0, st.st_uid, count } } };
	return r;
}
