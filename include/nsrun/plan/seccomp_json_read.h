/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the two halves of the profile reader, runtime/plan/seccomp_json.c and seccomp_json_rule.c. */
#ifndef NSRUN_PLAN_SECCOMP_JSON_READ_H
#define NSRUN_PLAN_SECCOMP_JSON_READ_H

#include <nsrun/plan/seccomp_profile.h>

#include <jansson.h>

/* Where a value stands: printed as syscalls[3].args[0].op. */
struct profile_where {
	char text[96];
};

struct profile_reader {
	const char *name; /* of the profile, for messages */
	struct arena *arena;
	struct err *err;
	struct profile_where top; /* "" or, of config.json, "linux.seccomp" */
	bool oci; /* the runtime specification's keys alone: Docker's are unknown to it, and what is unknown is ignored */
};

/* A word and what it stands for; tables end with a NULL name and have at most PROFILE_MAX_WORDS rows. */
struct profile_word {
	const char *name;
	uint32_t value;
};
#define PROFILE_MAX_WORDS 32
/* Of several words for one value the first is the older name; the last one is written. */
extern const struct profile_word profile_actions[], profile_flags[], profile_archs[], profile_operators[];

struct profile_where profile_at(const struct profile_where *parent, const char *key);
struct profile_where profile_at_index(const struct profile_where *parent, size_t index);
int profile_wrong_type(const struct profile_reader *r, const struct profile_where *w, const char *wanted);

/* The member, or NULL when it is not there or null (as Docker writes an empty list). */
const json_t *profile_member(const json_t *object, const char *key);
/* `object` is one, and has no other keys than `known`. */
int profile_check_keys(const struct profile_reader *r, const json_t *object, const struct profile_where *w,
		       const char *const *known);
int profile_read_word(const struct profile_reader *r, const json_t *value, const struct profile_where *w,
		      const struct profile_word *words, const char *kind, uint32_t *ret);
int profile_read_u64(const struct profile_reader *r, const json_t *value, const struct profile_where *w, uint64_t max,
		     uint64_t *ret);
/* A list of strings, NULL-terminated. */
int profile_read_strings(const struct profile_reader *r, const json_t *value, const struct profile_where *w,
			 const char *const **ret);
/* SCMP_ACT_ERRNO and SCMP_ACT_TRACE carry a number; for the others one is an error (OCI runtime specification, errnoRet). */
int profile_read_action(const struct profile_reader *r, const json_t *object, const struct profile_where *w,
			const char *key, const char *errno_key, uint32_t *ret);
/* seccomp_json_rule.c */
int profile_read_entry(const struct profile_reader *r, const json_t *value, const struct profile_where *w,
		       struct profile_entry *ret);

#endif
