/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words that --volume, --mount and --tmpfs take, from one table: reading them, what they do to a mount, their contradictions,
 * hints and the manual page. A slot is one question ("may it be written?") that a mount answers once: two words of one slot that say
 * different things contradict each other, whatever option they stand in.
 */
#ifndef NSRUN_PLAN_MOUNT_OPTIONS_H
#define NSRUN_PLAN_MOUNT_OPTIONS_H

#include <nsrun/plan/plan.h>

enum mount_slot {
	SLOT_TYPE,
	SLOT_SOURCE,
	SLOT_TARGET,
	SLOT_WRITE,
	SLOT_RECURSE,
	SLOT_PROPAGATION,
	SLOT_SUID,
	SLOT_DEV,
	SLOT_EXEC,
	SLOT_ATIME,
	SLOT_SYMLINKS,
	SLOT_IDMAP,
	SLOT_CHOWN,
	SLOT_LABEL,
	SLOT_COPY,
	SLOT_OVERLAY,
	SLOT_LOWER,
	SLOT_UPPER,
	SLOT_WORK,
	SLOT_SIZE,
	SLOT_MODE,
	SLOT_INODES,
	SLOT_UID,
	SLOT_GID,
	SLOT_COUNT,
};

/* What SLOT_WRITE, SLOT_RECURSE, SLOT_PROPAGATION and the yes-or-no slots are answered with; 0 is "nothing said". */
enum mount_choice {
	CHOICE_NONE,
	CHOICE_YES,
	CHOICE_NO,
	CHOICE_ALWAYS,	       /* SLOT_ATIME */
	CHOICE_READONLY_BELOW, /* SLOT_RECURSE: yes, and read-only below, too */
	CHOICE_WRITABLE_BELOW, /* SLOT_RECURSE: yes, and what is mounted below is not made read-only */
	CHOICE_PRIVATE,
	CHOICE_SLAVE,
	CHOICE_SHARED,
};

enum mount_value {
	VALUE_NONE, /* the word alone */
	VALUE_BOOL, /* [=true|false]; false is the opposite choice */
	VALUE_TEXT, /* =VALUE */
	VALUE_WORD, /* =WORD, a word of the same slot */
};

#define KIND(kind) (1U << MOUNT_##kind)
#define KINDS_ALL (KIND(BIND) | KIND(TMPFS) | KIND(OVERLAY))

struct mount_word {
	const char *word;
	enum mount_value value;
	unsigned kinds;	 /* KIND() bits: of which mounts it is a word */
	bool only_mount; /* of --mount alone: --volume and --tmpfs have a place for it */
	enum mount_slot slot;
	enum mount_choice choice;
	uint64_t attr_set, attr_clear; /* MOUNT_ATTR_* */
	const char *meaning;	       /* for the manual page */
};

extern const struct mount_word mount_words[];
extern const size_t mount_words_count;

/* What one option said. */
struct mount_options {
	const char *option; /* "--volume" */
	const char *text;   /* its value, for messages */
	unsigned kinds;	    /* what it may become */
	struct {
		const struct mount_word *row; /* NULL: nothing */
		enum mount_choice choice;
		const char *value;
	} said[SLOT_COUNT];
};

/* One word, "ro" or "size=64m"; `word` must live as long as the options. An unknown one is refused with the nearest that there is, one
 * that contradicts another with both. */
int mount_options_read(struct mount_options *options, char *word, struct err *err);
/* Are all its words those of this kind of mount? */
int mount_options_check(const struct mount_options *options, enum mount_kind kind, struct err *err);
/* Applies the words' attributes to those that are the default. */
void mount_options_attr(const struct mount_options *options, uint64_t *set, uint64_t *clear);
const char *mount_kind_name(enum mount_kind kind);

/* The next field of a list with commas, in place: one that begins with a double quote goes to the next one, and two of them stand for one inside
 * (RFC 4180, as in docker's --mount). *state is NULL after the last. */
int mount_csv_field(const struct mount_options *options, char **state, char **ret, struct err *err);

#endif
