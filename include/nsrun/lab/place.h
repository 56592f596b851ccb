/* SPDX-License-Identifier: Apache-2.0 */
/* Where a lab lives: its directory, which only its user can enter, and what came with nsrun. */
#ifndef NSRUN_LAB_PLACE_H
#define NSRUN_LAB_PLACE_H

#include <nsrun/base/err.h>

#include <stdbool.h>

/* An earlier lab may be tidying up. */
#define LAB_LOCK_MS 10000

struct lab_place {
	char *dir;	/* $NSRUN_LAB_DIR, or nsrun/lab below $XDG_STATE_HOME or ~/.local/state */
	char *state;	/* DIR/state, the state root of its containers */
	char *chapters; /* NULL: not found */
	char *scripts;	/* rootfs-scripts; NULL: not found */
	char *program;	/* this one's file */
	int dir_fd;	/* FD_NONE until lab_place_make() */
	int lock_fd;
};

#define LAB_PLACE_INIT ((struct lab_place){ .dir_fd = FD_NONE, .lock_fd = FD_NONE })

/* Makes nothing. `chapters` (may be NULL): what --chapters says. */
int lab_place_find(const char *chapters, struct lab_place *ret, struct err *err);
/* ERR_ID_LAB_DATA when there are no chapters. */
int lab_place_wants_chapters(const struct lab_place *place, struct err *err);
/* The directory, 0700; opens it. One that has files and no lock is refused: it is somebody's. */
int lab_place_make(struct lab_place *place, struct err *err);
/* Its lock, so that two labs do not meet; waits up to `ms` milliseconds for one that is tidying up. ERR_ID_LAB_BUSY. */
int lab_place_lock(struct lab_place *place, int ms, struct err *err);
/* What containers and commands need in it: the rootfs, and a directory with `nsrun` for PATH. Takes a moment the first time. */
int lab_place_furnish(struct lab_place *place, struct err *err);
/* What a container that plays a host needs: the tree `machine` with this program in it and, as a host of the lab's, a tree `rootfs`. */
int lab_place_furnish_machine(struct lab_place *place, struct err *err);
/* Removes all that is in it, but the lock. lab_session_reset() is what calls it, when nothing runs there. */
int lab_place_strip(struct lab_place *place, struct err *err);
bool lab_place_has_rootfs(const struct lab_place *place);
/* Makes this process and those that it starts use the lab's state root and program: NSRUN_ROOT, PATH, and NSRUN_LAB=TOKEN, which names what the lab
 * has started. */
int lab_place_enter(const struct lab_place *place, const char *token, struct err *err);
void lab_place_done(struct lab_place *place);

#endif
