/* SPDX-License-Identifier: Apache-2.0 */
/* An arena: many allocations, one free. The plan lives in one. Not thread-safe. */
#ifndef NSRUN_BASE_ARENA_H
#define NSRUN_BASE_ARENA_H

#include <nsrun/base/cleanup.h>

#include <stdarg.h>
#include <stddef.h>

struct arena;

/* All return NULL when memory is exhausted. Memory is zeroed and aligned for any type, and belongs to the arena. */
struct arena *arena_new(void);
void arena_free(struct arena *arena); /* NULL is allowed */
void *arena_alloc(struct arena *arena, size_t size);
void *arena_array(struct arena *arena, size_t n, size_t size); /* checks n * size for overflow */
char *arena_strdup(struct arena *arena, const char *s);
char *arena_strndup(struct arena *arena, const char *s, size_t n);
char *arena_printf(struct arena *arena, const char *fmt, ...) _printf_(2, 3);
/* Copies a NULL-terminated vector with its strings. */
char **arena_strv(struct arena *arena, const char *const *v);

static inline void arena_freep(struct arena **a)
{
	arena_free(*a);
}

#endif
