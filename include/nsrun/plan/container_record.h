/* SPDX-License-Identifier: Apache-2.0 */
/* Reading one record: the part of container.h that knows the files. */
#ifndef NSRUN_PLAN_CONTAINER_RECORD_H
#define NSRUN_PLAN_CONTAINER_RECORD_H

#include <nsrun/plan/container.h>

#define CONTAINER_RECORD_VERSION 3 /* the newest that can be read */

/* ROOT/REMAP/ID. -ENOENT, without filling `err`: there is none, it is being removed, or nothing was made of it yet. */
int container_record_read(const char *root, int root_fd, const char *remap, const char *id, struct container *ret,
			  struct err *err);

/* What can be known of a bundle's container without its record: init, by the lock; the rest by undo.json, if that can be read. "damaged" is true in
 * `ret->state`. */
int container_record_assume(const char *root, int root_fd, const char *remap, const char *id, struct container *ret,
			    struct err *err);

/* Checks all that is read from a record later, so that no reader meets a wrong type. `where` serves messages. */
int container_record_check(const json_t *state, const char *id, const char *where, struct err *err);

#endif
