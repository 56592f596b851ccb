/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading JSON with the way to each value: an error names it as linux.resources.devices[0].type. A cursor lives on the stack and knows the one above it;
 * the way is written out only for an error. Strings are borrowed from the document, or copied where an arena is asked for.
 */
#ifndef NSRUN_OCI_JSON_AT_H
#define NSRUN_OCI_JSON_AT_H

#include <nsrun/base/arena.h>
#include <nsrun/base/err.h>

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct json_at {
	const json_t *value;
	const struct json_at *up; /* NULL: the document */
	const char *key; /* of the object above; NULL: an entry of an array. Of the document its name: "config.json" */
	size_t index;
};

#define JSON_AT_VALUES_MAX 200000 /* of a document */

/* A document of at most `max` bytes: no duplicate keys, no NUL in strings, valid UTF-8, nothing after it. `name` is for messages and must outlive it.
 * Owned by the caller (json_decref on ret->value, which is not const there). */
int json_at_parse(const char *text, size_t size, const char *name, json_t **ret, struct err *err);
/* The same of a file, relative to `dir_fd` (AT_FDCWD). "-": standard input. */
int json_at_load(int dir_fd, const char *path, size_t max, const char *name, json_t **ret, struct err *err);

/* The member `key`. False: it is not there, or null, or `at` is no object (say json_at_object() first). */
bool json_at_key(const struct json_at *at, const char *key, struct json_at *ret);
struct json_at json_at_entry(const struct json_at *array, size_t index);

/* "config.json: linux.uidMappings[0].size: " and the text. The plain form is ERR_INPUT without an id. */
int json_at_err(const struct json_at *at, struct err *err, const char *fmt, ...) _printf_(3, 4);
int json_at_err_id(const struct json_at *at, struct err *err, enum err_id id, const char *fmt, ...) _printf_(4, 5);
/* "linux.uidMappings[0].size": for records and later messages. */
const char *json_at_path(const struct json_at *at, struct arena *arena);

/* Is it of that type? */
int json_at_object(const struct json_at *at, struct err *err);
int json_at_array(const struct json_at *at, struct err *err);
/* The value; *ret is untouched on failure. */
int json_at_string(const struct json_at *at, struct arena *arena, const char **ret, struct err *err);
int json_at_bool(const struct json_at *at, bool *ret, struct err *err);
int json_at_int(const struct json_at *at, int64_t min, int64_t max, int64_t *ret, struct err *err);
/* 0 to 2^64 - 1. */
int json_at_u64(const struct json_at *at, uint64_t *ret, struct err *err);
int json_at_strings(const struct json_at *at, struct arena *arena, const char *const **ret, size_t *ret_n,
		    struct err *err);
/* One of `words` (ends with NULL): its index. The error names the nearest. */
int json_at_word(const struct json_at *at, const char *const *words, size_t *ret, struct err *err);

/* Members that may be missing: 0 and *ret untouched then. */
int json_at_string_of(const struct json_at *object, const char *key, struct arena *arena, const char **ret,
		      struct err *err);
int json_at_bool_of(const struct json_at *object, const char *key, bool *ret, struct err *err);
int json_at_int_of(const struct json_at *object, const char *key, int64_t min, int64_t max, int64_t *ret,
		   struct err *err);
int json_at_strings_of(const struct json_at *object, const char *key, struct arena *arena, const char *const **ret,
		       size_t *ret_n, struct err *err);

#endif
