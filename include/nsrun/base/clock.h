/* SPDX-License-Identifier: Apache-2.0 */
/* Time for deadlines. */
#ifndef NSRUN_BASE_CLOCK_H
#define NSRUN_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds of CLOCK_MONOTONIC, which no change of the host's date moves: clock_gettime(2). */
static inline uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

#endif
