/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/tree.h>

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* A directory that can be entered and is not empty: an empty one is a typing error or a mount that is missing. */
static int check_rootfs(int fd, const char *source, struct err *err)
{
	_cleanup_close_ int readable = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (readable < 0 && (errno != EACCES || faccessat(fd, ".", X_OK, AT_EACCESS) < 0))
		return err_system(err, "rootfs %s", source);
	if (readable < 0)
		return 0; /* may be searched, not listed */

	_cleanup_closedir_ DIR *dir = fdopendir(readable);
	if (!dir)
		return err_oom(err);
	readable = FD_NONE; /* the stream's */
	for (const struct dirent *entry; (entry = readdir(dir));)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			return 0;
	return err_set(err, ERR_INPUT, ERR_ID_ROOTFS_MISSING, 0, "rootfs %s: the directory is empty", source);
}

#define NSS_BUFFER 65536

static bool owned_by_range(const struct plan *plan, const struct stat *st)
{
	uint32_t inside;

	return !plan->auto_pending && idmap_to_inside(&plan->uids, st->st_uid, &inside) &&
	       idmap_to_inside(&plan->gids, st->st_gid, &inside);
}

/* A mount is attached inside the container's own mount namespace, so its flags are not locked (mount_namespaces(7)): who has CAP_SYS_ADMIN
 * there may make a read-only one writable. */
static bool may_remount(const struct plan *plan)
{
	return plan->caps.bounding & CAP_MASK(CAP_SYS_ADMIN);
}

/* Read-only does not keep anybody from a socket or a FIFO (path_resolution(7): a read-only file system refuses changes of files alone), and
 * what is idmapped belongs to container root. */
static bool is_channel(const struct stat *st)
{
	return S_ISSOCK(st->st_mode) || S_ISFIFO(st->st_mode) || S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);
}

/* Host root's trees: to write through an idmapped mount makes files of host root, so others must not reach them. */
static int view_of_host_root(const struct plan *plan, int fd, const struct stat *st, const struct tree_wish *wish,
			     struct plan_tree *tree, struct err *err)
{
	bool hidden = false;

	tree->view = VIEW_IDMAPPED;
	if (wish->is_rootfs && plan->ephemeral) {
		tree->why = "host root's, idmapped, writes are thrown away";
		return 0;
	}
	if (is_channel(st) && !wish->idmap_root)
		return err_refused(
			err, ERR_ID_VOLUME_CHANNEL,
			"volume %s: a socket, FIFO or device of host root, which the container's root would own",
			tree->source);
	if (wish->layer || (wish->readonly && !may_remount(plan))) {
		tree->why = wish->layer ? "host root's, idmapped, only read" : "host root's, idmapped, read-only";
		return 0;
	}
	if (wish->trusted || wish->idmap_root) {
		tree->why = wish->trusted ? "host root's, idmapped, writable by --trust-rootfs"
					  : "host root's, idmapped, writable by idmap=root";
		return 0;
	}
	const int r = tree_is_hidden(fd, st, tree->source, tree->path, &hidden, err);
	if (r < 0)
		return r;
	if (hidden) {
		tree->why = "host root's, idmapped, below a directory that only root can search";
		return 0;
	}
	const char *what = wish->is_rootfs ? "rootfs" : "volume";
	if (wish->readonly)
		return err_refused(
			err, ERR_ID_READONLY_REMOUNT,
			"%s %s: belongs to host root and other users may reach it; read-only does not hold against "
			"CAP_SYS_ADMIN, which may remount it",
			what, tree->source);
	return err_refused(
		err, wish->is_rootfs ? ERR_ID_ROOTFS_OWNER : ERR_ID_VOLUME_OWNER,
		"%s %s: belongs to host root and other users may reach it (no directory above is root's alone, or another "
		"mount shows it), so they could run as host root a set-uid file that is made inside",
		what, tree->source);
}

/* The group that files made by container root get: the owner's own. Not the directory's, which chown(1) of a user alone leaves at root or
 * shadow: that would grant a group which the owner does not have. A number without a passwd entry has the group of that number, unless
 * it is somebody's. */
static bool group_of_owner(uid_t owner, gid_t *ret)
{
	_cleanup_free_ char *buffer = malloc(NSS_BUFFER);
	struct passwd user, *found_user = NULL;
	struct group group, *found_group = NULL;

	*ret = owner;
	if (!buffer || getpwuid_r(owner, &user, buffer, NSS_BUFFER, &found_user) != 0)
		return false;
	if (found_user) {
		*ret = user.pw_gid;
		return user.pw_gid != 0;
	}
	return getgrgid_r(owner, &group, buffer, NSS_BUFFER, &found_group) == 0 && !found_group;
}

/* A map that the caller wrote out. What it grants of host root's falls under the rule for host root's trees; the rest is the caller's word. */
static int view_of_own_ids(const struct plan *plan, int fd, const struct stat *st, const struct tree_wish *wish,
			   struct plan_tree *tree, struct err *err)
{
	bool grants_root;

	int r = plan_parse_volume_ids(plan, wish->ids, tree, &grants_root, err);
	if (r == 0 && (grants_root || (is_channel(st) && st->st_uid == 0)))
		r = view_of_host_root(plan, fd, st, wish, tree, err);
	if (r < 0)
		return r;
	tree->view = VIEW_OWNER_ONLY;
	tree->why = "exactly the ids of idmap=uids= are granted";
	return 0;
}

static int choose_view(const struct plan *plan, int fd, const struct stat *st, const struct tree_wish *wish,
		       struct plan_tree *tree, struct err *err)
{
	tree->view = VIEW_AS_IS;
	if ((wish->idmap || wish->ids) && plan->performer[WORK_IDMAP] == BY_NOBODY)
		return err_refused(err, ERR_ID_IDMAP_UNAVAILABLE, "volume %s: idmap: %s", tree->source,
				   plan_has_userns(plan)
					   ? "a mount with its own ids needs CAP_SYS_ADMIN over the file system"
					   : "without a user namespace there are no other ids to show");
	if (wish->ids)
		return view_of_own_ids(plan, fd, st, wish, tree, err);
	if (wish->idmap)
		return view_of_host_root(plan, fd, st, wish, tree, err);
	if (!(plan_has_userns(plan))) {
		tree->why = "the container has the host's ids";
		return 0;
	}
	if (owned_by_range(plan, st)) {
		tree->why = "owned by the container's ids";
		return 0;
	}
	/* A tmpfs that nsrun makes belongs to its own user namespace, and can be idmapped there (Linux 6.3). */
	if (plan->caller == CALLER_NESTED && plan->performer[WORK_SOURCES] == BY_RUNTIME && wish->is_rootfs &&
	    plan->ephemeral && st->st_uid == 0) {
		tree->view = VIEW_IDMAPPED;
		tree->why = "host root's, copied and idmapped, writes are thrown away";
		return 0;
	}
	if (plan->performer[WORK_IDMAP] == BY_NOBODY) {
		if (!wish->is_rootfs || wish->readonly || wish->layer || plan->ephemeral) {
			tree->why = "belongs to nobody inside; the caller's own rights apply";
			return 0;
		}
		return err_refused(err, plan->caller == CALLER_NESTED ? ERR_ID_NESTED_ROOTFS : ERR_ID_ROOTFS_FOREIGN,
				   "rootfs %s: its owner %u:%u is not among the container's ids", tree->source,
				   st->st_uid, st->st_gid);
	}
	if (st->st_uid == 0)
		return view_of_host_root(plan, fd, st, wish, tree, err);
	if (wish->is_rootfs)
		return err_refused(err, ERR_ID_ROOTFS_FOREIGN,
				   "rootfs %s: its owner %u:%u is neither host root nor among the container's ids",
				   tree->source, st->st_uid, st->st_gid);
	/* A directory whose group is unknown to the mount cannot be written (inode_permission in the kernel: EACCES), and to grant the group would
	 * let set-group-id files of it be made. */
	gid_t group;
	const bool known = group_of_owner(st->st_uid, &group);
	if ((!known || st->st_gid != group) && !wish->layer && (!wish->readonly || may_remount(plan)))
		return err_refused(
			err, ERR_ID_VOLUME_GROUP,
			"volume %s: belongs to user %u, but to group %u, which is not known to be that user's own",
			tree->source, st->st_uid, st->st_gid);
	tree->view = VIEW_OWNER_ONLY;
	tree->why = "an ordinary user's: its owner is container root, no other id is granted";
	tree->owner_uids = (struct idmap){ 1, { { st->st_uid, 0, 1 } } };
	tree->owner_gids = (struct idmap){ 1, { { group, 0, 1 } } };
	tree->owner_pending = true;
	return 0;
}

/* From the container's ids to the host's. plan_parse_volume_ids() saw to it that each extent lies in one of the container's. */
static void settle_map(struct idmap *map, const struct idmap *container)
{
	for (size_t i = 0; i < map->n; i++)
		(void)idmap_to_outside(container, map->extents[i].outside, &map->extents[i].outside);
}

static void settle_tree(const struct plan *plan, struct plan_tree *tree)
{
	if (!tree->owner_pending || plan->auto_pending)
		return;
	settle_map(&tree->owner_uids, &plan->uids);
	settle_map(&tree->owner_gids, &plan->gids);
	tree->owner_pending = false;
}

int plan_find_tree(struct arena *arena, const char *source, enum tree_kind kind, struct plan_tree *ret, int *ret_fd,
		   struct err *err)
{
	struct plan_tree tree = { .source = source, .propagation = MS_PRIVATE };
	const char *what = kind == TREE_ROOTFS ? "rootfs" : "volume";
	char path[PATH_MAX];
	struct stat st;

	_cleanup_close_ int fd = open(source, O_PATH | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_INPUT, kind == TREE_ROOTFS ? ERR_ID_ROOTFS_MISSING : ERR_ID_VOLUME_MISSING,
			       ENOENT, "%s %s: does not exist", what, source);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_system(err, "%s %s", what, source);
	tree.is_directory = S_ISDIR(st.st_mode);
	tree.device = st.st_dev;
	tree.inode = st.st_ino;
	if (kind == TREE_ROOTFS && !tree.is_directory)
		return err_set(err, ERR_INPUT, ERR_ID_ROOTFS_MISSING, ENOTDIR, "rootfs %s: is not a directory", source);
	const int r = tree_path_of(fd, source, path, err);
	if (r < 0)
		return r;
	tree.path = arena_strdup(arena, path);
	if (!tree.path)
		return err_oom(err);
	*ret = tree;
	if (ret_fd)
		*ret_fd = TAKE_FD(fd);
	return 0;
}

int plan_resolve_tree(const struct plan *plan, const char *source, const struct tree_wish *wish, struct plan_tree *ret,
		      struct err *err)
{
	struct plan_tree tree = { 0 };
	_cleanup_close_ int fd = FD_NONE;
	struct stat st;

	int r = plan_find_tree(plan->arena, source, wish->is_rootfs ? TREE_ROOTFS : TREE_VOLUME, &tree, &fd, err);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return err_system(err, "%s", source);
	tree.readonly = wish->readonly;
	if (wish->is_rootfs)
		r = check_rootfs(fd, source, err);
	if (r == 0)
		r = choose_view(plan, fd, &st, wish, &tree, err);
	if (r < 0)
		return r;
	/* What is mounted below comes along only where nobody's ids are changed: the ownership rule looked at this tree, and what lies below
	 * it may be reachable for others by another path. */
	tree.recursive = tree.view == VIEW_AS_IS && !wish->same_mount;
	settle_tree(plan, &tree);
	*ret = tree;
	return 0;
}

void plan_settle_trees(struct plan *plan)
{
	for (size_t i = 0; i < plan->n_sources; i++)
		settle_tree(plan, &plan->sources[i]);
}
