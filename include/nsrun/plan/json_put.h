/* SPDX-License-Identifier: Apache-2.0 */
/* JSON text as it is written: a record is made in every launch, where a tree of values would cost more than its text. */
#ifndef NSRUN_PLAN_JSON_PUT_H
#define NSRUN_PLAN_JSON_PUT_H

#include <nsrun/kernel/idmap.h>

#include <stdio.h>

void json_put_string(FILE *f, const char *s);
/* A key behind others, and null for NULL; of a map its extents. */
void json_put_optional(FILE *f, const char *name, const char *s);
void json_put_map(FILE *f, const char *name, const struct idmap *map);
/* A list of strings, cut where `room` bytes of text are used up. */
void json_put_strv(FILE *f, const char *const *v, size_t room);

#endif
