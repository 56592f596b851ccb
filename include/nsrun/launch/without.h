/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ablation: a launch less one row, to see what that row is for. Only rows that protect or show something, and that no other row of the same launch builds on,
 * can be left out, and only where the container's ids have no power over the host: with the host's user namespace it would be the host that is exposed.
 */
#ifndef NSRUN_LAUNCH_WITHOUT_H
#define NSRUN_LAUNCH_WITHOUT_H

#include <nsrun/launch/step.h>

struct without_row {
	enum step_id step;
	const char *breaks; /* what is so without it */
	enum step_id users
		[4]; /* rows that build on what it makes (`needs` of a row may be an order alone); ends with STEP_NONE */
};
extern const struct without_row without_rows[];
extern const size_t without_rows_count;

bool launch_is_without(const struct plan *plan, const struct step *step);
/* Every name of plan->without is a row of this launch that may be left out; the user namespace is the container's own. */
int launch_check_without(const struct plan *plan, struct err *err);

#endif
