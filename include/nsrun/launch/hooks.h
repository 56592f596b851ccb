/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks of a bundle: programs that are given the container's state as JSON on standard input (config.md, "POSIX-platform Hooks"). */
#ifndef NSRUN_LAUNCH_HOOKS_H
#define NSRUN_LAUNCH_HOOKS_H

#include <nsrun/base/err.h>
#include <nsrun/plan/bundle.h>

/*
 * Runs them one after the other, each with its own environment alone, in its own session, and waits for it: at most its timeout, then its process group
 * gets SIGKILL, and so it does when the caller is killed meanwhile: what left that group by its own will is not reached. The first that fails ends the run, but not that of poststop hooks: `err` tells its path, how it ended and the last line of its standard error. `dir` is the
 * working directory; NULL: the caller's.
 */
int hooks_run(enum hook_kind kind, const struct plan_hooks *hooks, const char *state, const char *dir, struct err *err);

#endif
