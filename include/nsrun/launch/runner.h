/* SPDX-License-Identifier: Apache-2.0 */
/* Walks the score. Every process of a launch runs the same function over the same table and takes the rows of its roles. */
#ifndef NSRUN_LAUNCH_RUNNER_H
#define NSRUN_LAUNCH_RUNNER_H

#include <nsrun/launch/launch.h>

/* Runs the rows of this process' roles up to the end of the table. A STEP_FORK row returns in both processes, and each goes on
 * with the next row in its own role. On failure `err` names row and role. */
int runner_walk(struct launch *launch, struct err *err);

/* The undo of every row that was done, in reverse. Goes on after a failure; `err` has the first one. */
int runner_undo(struct launch *launch, struct err *err);

/* NSRUN_FAULT, in a build with fault points; nothing otherwise. */
int runner_take_fault(struct fault *ret, struct err *err);

#endif
