/* SPDX-License-Identifier: Apache-2.0 */
/* mounts, linux.maskedPaths, linux.readonlyPaths and linux.rootfsPropagation: config.md, "Mounts", and config-linux.md. */
#include <nsrun/oci/config.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/probe.h>
#include <nsrun/oci/mount_words.h>
#include <nsrun/plan/tree.h>

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

const char *oci_clean_path(struct arena *arena, const char *path)
{
	char *clean = arena_alloc(arena, strlen(path) + 2);
	size_t used = 0;

	if (!clean)
		return NULL;
	while (*path) {
		const size_t n = strcspn(path, "/");

		if (n == 2 && path[0] == '.' && path[1] == '.') {
			while (used && clean[--used] != '/')
				;
		} else if (n && !(n == 1 && path[0] == '.')) {
			clean[used++] = '/';
			memcpy(clean + used, path, n);
			used += n;
		}
		path += n + (path[n] == '/');
	}
	if (used == 0)
		clean[used++] = '/';
	clean[used] = '\0';
	return clean;
}

/* ---- one entry ---- */

struct entry {
	struct oci_reader *r;
	const struct json_at *at;
	struct bundle_mount *mount;
	struct mount_said said;
};

static int read_words(struct entry *e, struct err *err)
{
	struct arena *arena = e->r->plan->arena;
	struct json_at options;

	if (!json_at_key(e->at, "options", &options))
		return 0;
	int done = json_at_array(&options, err);
	for (size_t i = 0; done == 0 && i < json_array_size(options.value); i++) {
		const struct json_at option = json_at_entry(&options, i);
		const char *word = NULL;

		done = json_at_string(&option, arena, &word, err);
		if (done < 0)
			return done;
		done = mount_word_read(arena, word, &e->said);
		if (done == -E2BIG)
			return json_at_err(&option, err, "more than the %u bytes that mount(2) takes for a file system",
					   MOUNT_DATA_MAX - 1);
		if (done < 0)
			return err_oom(err);
	}
	e->mount->data = e->said.data;
	return done;
}

/* The mount's own map: ids of the disk to those of the host that they show as. Podman leaves one of both away (idmap=uids=...): those ids stay as they are. */
static int read_own_ids(struct entry *e, struct plan_tree *tree, struct err *err)
{
	struct json_at uids, gids;

	const bool has_uids = json_at_key(e->at, "uidMappings", &uids),
		   has_gids = json_at_key(e->at, "gidMappings", &gids);
	if (!has_uids && !has_gids)
		return 0;
	tree->owner_uids = tree->owner_gids = (struct idmap){ .n = 1, .extents = { { 0, 0, UINT32_MAX } } };
	int done = has_uids ? oci_read_map(&uids, &tree->owner_uids, err) : 0;
	if (done == 0 && has_gids)
		done = oci_read_map(&gids, &tree->owner_gids, err);
	return done;
}

static int read_written_ids(struct entry *e, struct plan_tree *tree, struct err *err)
{
	struct err why = ERR_INIT;
	bool root;

	const int done = plan_parse_volume_ids(e->r->plan, e->said.ids, tree, &root, &why);
	return done < 0 ? json_at_err_id(e->at, err, why.id, "%s", why.message) : 0;
}

/* MOUNT_ATTR_IDMAP: with the ids of this mount or, where it says none, those of the container. */
static int read_ids(struct entry *e, struct plan_tree *tree, struct err *err)
{
	const struct plan *plan = e->r->plan;

	int done = read_own_ids(e, tree, err);
	if (done == 0 && !tree->owner_uids.n && e->said.ids)
		done = read_written_ids(e, tree, err);
	if (done < 0 || (!e->said.idmap && !tree->owner_uids.n))
		return done;
	if (!tree->owner_uids.n && !plan_has_userns(plan))
		return json_at_err(
			e->at, err,
			"options: idmap: neither uidMappings and gidMappings nor a user namespace say which ids are to "
			"show");
	if (plan->ns[NS_MNT].use == NS_JOIN)
		return json_at_err_id(
			e->at, err, ERR_ID_IDMAP_UNAVAILABLE,
			"options: idmap: the source is of the mount namespace that %s joins, and opened there",
			plan->ns[NS_MNT].word);
	if ((plan->caller != CALLER_ROOT_HOST && plan->caller != CALLER_ROOT_REMAPPED) || !probe_in_initial_userns())
		return json_at_err_id(
			e->at, err, ERR_ID_IDMAP_UNAVAILABLE,
			"options: idmap: a mount with its own ids needs CAP_SYS_ADMIN over the file system");
	tree->view = tree->owner_uids.n ? VIEW_OWNER_ONLY : VIEW_IDMAPPED;
	tree->idmap_top = !e->said.idmap_recursive;
	return 0;
}

/* The tree of the host that a bind mount shows: looked at here, opened by a row, which compares. */
static int read_bind(struct entry *e, struct err *err)
{
	struct oci_reader *r = e->r;
	struct plan *plan = r->plan;
	struct json_at source;
	struct stat st;

	if (e->said.unknown)
		return json_at_err(e->at, err, "options: \"%s\": a bind mount has no options of a file system",
				   e->said.unknown);
	if (e->mount->copy_up)
		return json_at_err(e->at, err, "options: tmpcopyup is for type tmpfs alone");
	if (!json_at_key(e->at, "source", &source) || !e->mount->source || !*e->mount->source)
		return json_at_err(e->at, err, "source is missing: a bind mount has one");
	const char *path = *e->mount->source == '/'
				   ? e->mount->source
				   : arena_printf(plan->arena, "%s/%s", r->bundle->dir, e->mount->source);
	if (!path)
		return err_oom(err);
	_cleanup_close_ int fd = oci_open_source(r, path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return json_at_err(&source, err, "%s: %s", path, strerrordesc_np(errno));
	e->mount->is_directory = S_ISDIR(st.st_mode);
	e->mount->source_index = plan->n_sources;
	struct plan_tree *tree = &plan->sources[plan->n_sources++];
	*tree = (struct plan_tree){
		.source = path,
		.path = path,
		.view = VIEW_AS_IS,
		.is_directory = S_ISDIR(st.st_mode),
		.recursive = e->mount->recursive,
		/* As if taken from a mount namespace in which every mount receives from the host's: what the words say is done to it after that. */
		.propagation = (r->bundle->rootfs_propagation & MS_SHARED) ? MS_SHARED : MS_SLAVE,
		.why = "config.json binds it",
		.device = st.st_dev,
		.inode = st.st_ino,
	};
	return read_ids(e, tree, err);
}

static int read_mount(struct entry *e, struct err *err)
{
	struct arena *arena = e->r->plan->arena;
	struct bundle_mount *mount = e->mount;
	struct json_at destination, other;
	const char *text = "";

	int done = json_at_object(e->at, err);
	if (done == 0 && !json_at_key(e->at, "destination", &destination))
		return json_at_err(e->at, err, "destination is missing");
	if (done == 0)
		done = json_at_string(&destination, arena, &text, err);
	if (done == 0)
		done = json_at_string_of(e->at, "type", arena, &mount->type, err);
	if (done == 0)
		done = json_at_string_of(e->at, "source", arena, &mount->source, err);
	if (done == 0)
		done = read_words(e, err);
	if (done < 0)
		return done;
	mount->where = json_at_path(e->at, arena);
	mount->destination = oci_clean_path(arena, text);
	if (!mount->where || !mount->destination)
		return err_oom(err);
	if (streq(mount->destination, "/"))
		return json_at_err(&destination, err, "'%s': nothing can be mounted over the root itself", text);
	if (mount->remount)
		return 0;
	/* Engines say type "bind", with the word or without. */
	if (mount->type && streq(mount->type, "bind"))
		mount->bind = true;
	if (mount->bind) {
		mount->type = NULL;
		return read_bind(e, err);
	}
	if (!mount->type || !*mount->type)
		return json_at_err(e->at, err, "type is missing: what is not a bind mount has one");
	if (e->said.idmap || json_at_key(e->at, "uidMappings", &other) || json_at_key(e->at, "gidMappings", &other))
		return json_at_err(e->at, err, "idmap: only of a bind mount can the ids be changed here");
	if (mount->copy_up && !streq(mount->type, "tmpfs"))
		return json_at_err(e->at, err, "options: tmpcopyup is for type tmpfs alone");
	return 0;
}

/* The last mount: where the workload finds the socket of NOTIFY_SOCKET. The state directory has its name when it is made: plan_reserve(). */
static void add_notify(struct oci_reader *r, struct bundle_mount *mount)
{
	struct plan *plan = r->plan;

	*mount = (struct bundle_mount){
		.where = "NOTIFY_SOCKET",
		.destination = PLAN_NOTIFY_DIR,
		.bind = true,
		.is_directory = true,
		.source_index = plan->n_sources,
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
	};
	plan->sources[plan->n_sources++] = (struct plan_tree){
		.source = "notify",
		.path = "notify",
		.own = true,
		.view = VIEW_AS_IS,
		.is_directory = true,
		.propagation = MS_PRIVATE,
		.why = "for sd_notify(3)",
	};
}

static int read_mounts(struct oci_reader *r, struct err *err)
{
	struct plan *plan = r->plan;
	struct json_at mounts = { 0 };
	int done = 0;

	if (json_at_key(&r->config, "mounts", &mounts))
		done = json_at_array(&mounts, err);
	const size_t n = done == 0 && mounts.value ? json_array_size(mounts.value) : 0;
	if (n > OCI_MOUNTS_MAX)
		return json_at_err(&mounts, err, "%zu of them, and at most %u are taken", n, OCI_MOUNTS_MAX);
	struct bundle_mount *list = arena_array(plan->arena, n + 1, sizeof(*list));
	plan->sources = arena_array(plan->arena, n + 1, sizeof(*plan->sources));
	if (!list || !plan->sources)
		return err_oom(err);
	for (size_t i = 0; done == 0 && i < n; i++) {
		const struct json_at entry = json_at_entry(&mounts, i);
		struct entry e = { .r = r, .at = &entry, .mount = &list[i], .said = { .mount = &list[i] } };

		done = read_mount(&e, err);
	}
	plan_settle_trees(plan);
	if (r->bundle->notify)
		add_notify(r, &list[n]);
	r->bundle->mounts = list;
	r->bundle->n_mounts = n + (r->bundle->notify != NULL);
	return done;
}

/* ---- what is around them ---- */

static int read_propagation(struct oci_reader *r, struct err *err)
{
	static const char *const words[] = { "shared", "slave",	   "private",	  "unbindable", "rshared",
					     "rslave", "rprivate", "runbindable", NULL };
	static const uint64_t flags[] = { MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE };
	struct json_at at;
	size_t word;

	if (!json_at_key(&r->linux_, "rootfsPropagation", &at) || streq(json_string_value(at.value) ?: "-", ""))
		return 0;
	const int done = json_at_word(&at, words, &word, err);
	if (done == 0)
		r->bundle->rootfs_propagation = flags[word % ARRAY_LEN(flags)] | (word < ARRAY_LEN(flags) ? 0 : MS_REC);
	return done;
}

static int read_paths(struct oci_reader *r, const char *key, const char *const **ret, struct err *err)
{
	struct arena *arena = r->plan->arena;
	const char *const *said = NULL;
	struct json_at at;
	size_t n = 0;

	if (!json_at_key(&r->linux_, key, &at))
		return 0;
	const int done = json_at_strings(&at, arena, &said, &n, err);
	if (done < 0)
		return done;
	const char **paths = arena_array(arena, n + 1, sizeof(*paths));
	for (size_t i = 0; paths && i < n; i++) {
		const struct json_at entry = json_at_entry(&at, i);

		if (*said[i] != '/')
			return json_at_err(&entry, err, "'%s' is not absolute", said[i]);
		paths[i] = oci_clean_path(arena, said[i]);
		if (!paths[i])
			return err_oom(err);
		if (streq(paths[i], "/"))
			return json_at_err(&entry, err, "'%s': the root itself; root.readonly makes that read-only",
					   said[i]);
	}
	if (!paths)
		return err_oom(err);
	*ret = paths;
	return 0;
}

int oci_read_mounts(struct oci_reader *r, struct err *err)
{
	int done = read_propagation(r, err);

	/* A clone of the host's mount, which is shared where systemd runs: what is mounted inside must never show there, whatever propagation the root gets
	 * at the end (root.readonly). */
	r->plan->rootfs.propagation =
		(r->bundle->rootfs_propagation & ~(uint64_t)(MS_REC | MS_SLAVE)) ? MS_PRIVATE : MS_SLAVE;
	if (done == 0)
		done = read_mounts(r, err);
	if (done == 0)
		done = read_paths(r, "maskedPaths", &r->plan->masked_paths, err);
	if (done == 0)
		done = read_paths(r, "readonlyPaths", &r->plan->readonly_paths, err);
	return done;
}
