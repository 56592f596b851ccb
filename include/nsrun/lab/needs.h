/* SPDX-License-Identifier: Apache-2.0 */
/* What a chapter needs of this host, found out by trying it. */
#ifndef NSRUN_LAB_NEEDS_H
#define NSRUN_LAB_NEEDS_H

#include <nsrun/lab/session.h>

/* The first of these words (ends with NULL; may be NULL) that is not there: *ret_reason is malloc'd and says why, and what to do. True: all is there.
 * `session` may be NULL: what takes a launch to find out passes then. */
bool lab_needs_met(struct lab_session *session, char *const *needs, char **ret_reason);
/* A container can be started at all. */
int lab_can_launch(struct lab_session *session, struct err *err);

#endif
