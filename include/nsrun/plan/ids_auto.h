/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranges that nobody named: `auto`, and `default` with its user nsremap.
 *
 * nsremap's first 65536 ids (of subuid and of subgid) are for `default`, which shares them between its containers. What nsremap has beyond
 * them is where `auto` takes from, 65536 at a time and each for one container alone. When there is no such rest, auto takes from
 * 524288 to 1879048191, the ids that systemd sets aside for containers (systemd's UIDS-GIDS), less what /etc/subuid and /etc/subgid give to
 * anybody, what systemd-nspawn uses now, and any 65536 in which a user of /etc/passwd or a group of /etc/group lies.
 *
 * Inside another container it takes from whatever is mapped there, from 65536 on. A container with 65536 ids or fewer is divided into sixteen: ranges
 * of 4096 ids from 4096 on; one of 4096 ids into ranges of 256 from 256 on; one of 256 is not divided. A rootfs that belongs to the first id
 * of such a range decides which one it is, since no tree can be idmapped there; containers of one tree then share the range.
 */
#ifndef NSRUN_PLAN_IDS_AUTO_H
#define NSRUN_PLAN_IDS_AUTO_H

#include <nsrun/plan/ids.h>

#define AUTO_COUNT 65536u
#define AUTO_COUNT_MIN 256u /* of a range inside another container */
#define AUTO_USER "nsremap"

/* Checks both maps, refuses one that reaches host id 0 or ids that this user namespace has not, and sets root_uid and root_gid. */
int ids_settle_maps(struct plan *plan, bool initial_userns, struct err *err);

/* The maps of `default`. 1: found; 0: the user or its ranges are still to be made. */
int ids_default_find(const struct id_files *files, struct idmap *uids, struct idmap *gids, struct err *err);
/* Makes the user nsremap, and 65536 ids for it, by useradd(8) and usermod(8). `ranges_fd` as below: one at a time. */
int ids_default_make(int ranges_fd, const struct id_files *files, bool initial_userns, struct err *err);

/*
 * Which host ids are in use. `ranges_fd` is the directory STATE_ROOT/ranges; its file `ids` holds nothing: its byte N stands for host uid N
 * and byte 2^32 + N for host gid N, and a container holds an open file description lock (F_OFD_SETLK, fcntl(2)) on the bytes of its ids,
 * exclusive for an auto range and shared for all others. The kernel thus finds every overlap, exact to the id, and a lock ends
 * with its owner.
 */
int ids_hold(int ranges_fd, const struct idmap *uids, const struct idmap *gids, int *ret_fd, struct err *err);
/* `usable` (may be NULL) is asked with the lock held whether the range that begins at `first` can be used: 0 no, 1 yes, or an error that is taken
 * as no. */
int ids_auto_take(int ranges_fd, const struct id_files *files, bool initial_userns,
		  int (*usable)(uint32_t first, void *data), void *data, int *ret_fd, struct subid_range *ret,
		  struct err *err);
/* Inside another container: 1 when an auto range begins at this uid and gid, and how many ids it has; 0 when none does; an error when there are no ranges at all. */
int ids_auto_at(const struct id_files *files, uint32_t first, uint32_t *ret_count, struct err *err);
/* 1: the map onto the auto range that this tree belongs to; 0: it belongs to none. */
int ids_range_of_tree(const char *rootfs, const struct id_files *files, struct idmap *ret, struct err *err);
/* Takes the same lock for one auto range. -EAGAIN, without filling anything, when it is in use. */
int ids_auto_lock(int ranges_fd, uint32_t first, int *ret_fd);

#endif
