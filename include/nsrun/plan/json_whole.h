/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON with whole numbers up to 2^64 - 1. jansson's end at 2^63 - 1, and resource limits (RLIM_INFINITY) and arguments of system calls are
 * written as unsigned 64-bit numbers. Those beyond are kept as marked strings, which json_is_u64() knows.
 */
#ifndef NSRUN_PLAN_JSON_WHOLE_H
#define NSRUN_PLAN_JSON_WHOLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* As json_loadb(3). */
json_t *json_load_whole(const char *text, size_t size, size_t flags, json_error_t *error);
/* A whole number that is not negative. ret may be NULL. */
bool json_is_u64(const json_t *value, uint64_t *ret);
/* One of those beyond 2^63 - 1, which json_is_string() takes for a string. */
bool json_is_beyond(const json_t *value);

#endif
