/* SPDX-License-Identifier: Apache-2.0 */
/* What can be looked at: both sides by the kernel's word, and the rows of a launch. */
#ifndef NSRUN_LAB_LOOK_H
#define NSRUN_LAB_LOOK_H

#include <nsrun/lab/session.h>
#include <nsrun/lab/text.h>

/* `what` (ends with NULL): of lab_looks[]; empty: all. */
int lab_look(const struct lab_view *view, struct lab_session *session, const char *name, char *const *what,
	     struct err *err);
/* `rows` (ends with NULL): names of the score; empty: all that were run. */
int lab_show_tape(const struct lab_view *view, struct lab_session *session, const char *name, char *const *rows,
		  struct err *err);
/* The rows that have begun, in the order of that: how many. */
size_t lab_tape_order(const struct tape *tape, enum step_id ret[STEP_COUNT]);
/* The row before which a launch stands: what it will do. */
void lab_show_held(const struct lab_view *view, const struct lab_container *container);

#endif
