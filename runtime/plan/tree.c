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

struct tree_wish {
	bool is_rootfs, readonly, trusted, idmap_root;
};

/* A mount is attached inside the container's own mount namespace, so its flags are not locked (mount_namespaces(7)): who has CAP_SYS_ADMIN
 * there may make a read-only one writable. */
static bool may_remount(const struct plan *plan)
{
	return plan->caps.bounding & CAP_MASK(CAP_SYS_ADMIN);
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
	/* Read-only does not keep anybody from a socket or a FIFO (path_resolution(7): a read-only file system refuses changes of files alone),
	 * and what is idmapped belongs to container root. */
	const bool channel =
		S_ISSOCK(st->st_mode) || S_ISFIFO(st->st_mode) || S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);
	if (channel && !wish->idmap_root)
		return err_refused(
			err, ERR_ID_VOLUME_CHANNEL,
			"volume %s: a socket, FIFO or device of host root, which the container's root would own",
			tree->source);
	if (wish->readonly && !may_remount(plan)) {
		tree->why = "host root's, idmapped, read-only";
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

static int choose_view(const struct plan *plan, int fd, const struct stat *st, const struct tree_wish *wish,
		       struct plan_tree *tree, struct err *err)
{
	tree->view = VIEW_AS_IS;
	if (!plan_has_userns(plan)) {
		tree->why = "the container has the host's ids";
		return 0;
	}
	if (owned_by_range(plan, st)) {
		tree->why = "owned by the container's ids";
		return 0;
	}
	if (plan->performer[WORK_IDMAP] == BY_NOBODY) {
		if (!wish->is_rootfs || wish->readonly || plan->ephemeral) {
			tree->why = "belongs to nobody inside; the caller's own rights apply";
			return 0;
		}
		return err_refused(err, ERR_ID_ROOTFS_FOREIGN,
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
	if ((!known || st->st_gid != group) && (!wish->readonly || may_remount(plan)))
		return err_refused(
			err, ERR_ID_VOLUME_GROUP,
			"volume %s: belongs to user %u, but to group %u, which is not known to be that user's own",
			tree->source, st->st_uid, st->st_gid);
	tree->view = VIEW_OWNER_ONLY;
	tree->why = "an ordinary user's: its owner is container root, no other id is granted";
	tree->owner_uids = (struct idmap){ 1, { { st->st_uid, plan->root_uid, 1 } } };
	tree->owner_gids = (struct idmap){ 1, { { group, plan->root_gid, 1 } } };
	return 0;
}

int plan_resolve_tree(const struct plan *plan, const char *source, bool is_rootfs, bool wants_readonly, bool trusted,
		      bool idmap_root, struct plan_tree *ret, struct err *err)
{
	const struct tree_wish wish = { is_rootfs, wants_readonly, trusted, idmap_root };
	struct plan_tree tree = { .source = source, .readonly = wants_readonly };
	const char *what = is_rootfs ? "rootfs" : "volume";
	struct stat st;

	_cleanup_close_ int fd = open(source, O_PATH | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && is_rootfs)
		return err_set(err, ERR_INPUT, ERR_ID_ROOTFS_MISSING, ENOENT, "rootfs %s: does not exist", source);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_system(err, "%s %s", what, source);
	tree.is_directory = S_ISDIR(st.st_mode);
	tree.device = st.st_dev;
	tree.inode = st.st_ino;
	if (is_rootfs && !tree.is_directory)
		return err_set(err, ERR_INPUT, ERR_ID_ROOTFS_MISSING, ENOTDIR, "rootfs %s: is not a directory", source);

	char path[PATH_MAX];
	int r = tree_path_of(fd, source, path, err);
	if (r == 0 && !(tree.path = arena_strdup(plan->arena, path)))
		r = err_oom(err);
	if (r == 0 && is_rootfs)
		r = check_rootfs(fd, source, err);
	if (r == 0)
		r = choose_view(plan, fd, &st, &wish, &tree, err);
	if (r < 0)
		return r;
	*ret = tree;
	return 0;
}

void plan_settle_trees(struct plan *plan)
{
	for (size_t i = 0; i < plan->n_volumes; i++) {
		struct plan_tree *tree = &plan->volumes[i];

		if (tree->view != VIEW_OWNER_ONLY)
			continue;
		tree->owner_uids.extents[0].outside = plan->root_uid;
		tree->owner_gids.extents[0].outside = plan->root_gid;
	}
}
