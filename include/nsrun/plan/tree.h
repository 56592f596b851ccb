/* SPDX-License-Identifier: Apache-2.0 */
/* The ownership rule: how a tree of the host may appear in the container. docs/architecture.md, "Who owns what on disk". */
#ifndef NSRUN_PLAN_TREE_H
#define NSRUN_PLAN_TREE_H

#include <nsrun/plan/plan.h>

/* What the caller said of a tree. */
struct tree_wish {
	bool is_rootfs;
	bool readonly;	 /* mounted read-only, which who has CAP_SYS_ADMIN inside can undo */
	bool layer;	 /* only ever read: a lower layer of an overlay, whose mount nobody inside can reach */
	bool trusted;	 /* --trust-rootfs */
	bool idmap_root; /* :idmap=root */
	bool idmap;	 /* :idmap */
	bool same_mount; /* without what is mounted below it */
	const char *ids; /* :idmap=uids=..., NULL: nothing said */
};

/* A tree of the host as it is: path, device, inode, is_directory; a rootfs must be a directory. ret_fd (may be NULL): O_PATH. Who owns it is not looked
 * at: what an OCI bundle names is bound as it is. */
enum tree_kind { TREE_ROOTFS, TREE_VOLUME };
int plan_find_tree(struct arena *arena, const char *source, enum tree_kind kind, struct plan_tree *ret, int *ret_fd,
		   struct err *err);
/* Opens source, decides tree->view, readonly, why, device and inode; refuses with the ways out. */
int plan_resolve_tree(const struct plan *plan, const char *source, const struct tree_wish *wish, struct plan_tree *ret,
		      struct err *err);

/* Reads "uids=DISK-HOST-COUNT#DISK-HOST-COUNT;gids=..." (podman's words) into the tree's own map; "@" before DISK: the second number is the
 * container's. *ret_root: does it grant id 0 of the disk? */
int plan_parse_volume_ids(const struct plan *plan, const char *text, struct plan_tree *tree, bool *ret_root,
			  struct err *err);

/* Part of plan_reserve(): writes the ids of an `auto` range into the maps of volumes that have their own. */
void plan_settle_trees(struct plan *plan);

/* True when some directory on the way from "/" to the open directory is root's and can be searched by root alone: then no other user
 * reaches anything below it. Walks up by ".." from the descriptor, so symbolic links and renames do not matter. */
int tree_is_private(int dir_fd, bool *ret, struct err *err);

/* tree_is_private() for the tree itself, which may be a file, and for every other mount of this mount namespace that shows it or a part of it.
 * `path` is its absolute path. What it does not see: mounts in other namespaces, overlays
 * that have the tree as a layer, and hard links. */
int tree_is_hidden(int fd, const struct stat *st, const char *source, const char *path, bool *ret, struct err *err);

/* Do mounts made later below this open file reach other mounts (shared), or come from others (slave)? */
int tree_propagation(int fd, const char *source, bool *ret_shared, bool *ret_slave, struct err *err);

/* The kernel's name for an open file; `path` has PATH_MAX bytes. */
int tree_path_of(int fd, const char *source, char *path, struct err *err);

#endif
