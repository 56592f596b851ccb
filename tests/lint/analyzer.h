/* SPDX-License-Identifier: Apache-2.0 */
/* Included before every source when clang-tidy reads it: what the analyzer cannot see from another file. */
#ifndef NSRUN_TESTS_LINT_ANALYZER_H
#define NSRUN_TESTS_LINT_ANALYZER_H

#include <nsrun/base/err.h>

/* err_set() returns a negative number, always: otherwise a caller of what returned it would seem to go on with unset results. */
static inline int nsrun_negative(int r)
{
	if (r >= 0)
		__builtin_unreachable();
	return r;
}
#define err_set(...) nsrun_negative(err_set(__VA_ARGS__))

#endif
