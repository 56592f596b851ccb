/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports. A document is what a learner has done on this host, as JSON: {"version": 1, "kind": "report", "made", "chapters": [what lab_result_json() has, and the
 * questions], "launches": [lab/record.h], "hash": {"algorithm", "salted", "value"}}. The page is made of the document alone, so it shows what is handed in.
 */
#ifndef NSRUN_LAB_REPORT_H
#define NSRUN_LAB_REPORT_H

#include <nsrun/base/sha256.h>
#include <nsrun/lab/place.h>
#include <nsrun/lab/progress.h>

#include <jansson.h>
#include <stdio.h>

#define LAB_REPORT_VERSION 1

enum lab_verdict_of_file {
	LAB_FILE_SOUND,	      /* what was hashed */
	LAB_FILE_EDITED,      /* or hashed with another salt: that cannot be told apart */
	LAB_FILE_UNSALTED,    /* a salt is wanted, and this was hashed without: whoever edits it can do so again */
	LAB_FILE_WANTS_SALT,  /* it was salted, and no salt was named here */
	LAB_FILE_CONTRADICTS, /* the hash is right, and the lab would not have written that */
	LAB_FILE_UNREADABLE,
};

/* `salt`: NULL for none. */
int lab_report_make(const struct lab_place *place, const struct lab_progress *progress, const char *salt, json_t **ret,
		    struct err *err);
/* Of the salt, if there is one, and a newline behind it, then the document without "hash" as compact JSON with sorted keys. */
int lab_report_hash(const json_t *document, const char *salt, char ret[SHA256_TEXT_SIZE], struct err *err);
/* Of a document that somebody has handed in. */
enum lab_verdict_of_file lab_report_verify(const json_t *document, const char *salt);
const char *lab_verdict_word(enum lab_verdict_of_file verdict); /* "sound", "edited", ... */
void lab_report_page(FILE *out, const json_t *document);

/*
 * {"version": 1, "kind": "class", "salted", "chapters": [{"id", "title", "minutes", "questions": [{"id", "question", "answered", "right", "wrong": {ANSWER: how often}}]}],
 * "learners": [{"name", "file", "verdict", "reason", "made", "work" (a hash of what was done), "same_as", "chapters": {ID: SUMMARY}}]}
 */
json_t *lab_class_new(const char *salt);
/* A file of `nsrun lab report --json`. One that cannot be read is in the report, too, with its reason. -ENOMEM. */
int lab_class_add(json_t *class, const char *path, const char *salt, struct err *err);
/* Of one of "learners": its file is not sound, or is another one's. */
bool lab_class_is_doubtful(const json_t *learner);
unsigned lab_class_doubtful(const json_t *class);
/* Of "verdict". */
const char *lab_verdict_text(const char *word);
void lab_class_page(FILE *out, const json_t *class);

#endif
