/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a report shows of launches: launches.json of the lab's directory, {"version": 1, "launches": [LAUNCH...]}, the last that were played. LAUNCH:
 * "chapter", "name", "command", "time", "state", "status" (of one that ended),
 * "namespaces": {"host"|"container": {KIND: {"inode", "owner"}}} (owner: of the user namespace; of a user namespace its parent; null: the kernel does not tell),
 * "uid_map", "gid_map": [[inside, outside, count]...], "mounts": [{"id", "parent", "target", "type", "options", "masked", "propagation"}...],
 * "network": {"time", "host"|"container": [{"name", "state", "addresses", "index", "peer"}...]}, "rows": [{"name", "role", "result", "begin", "end", "interface", "note"}...], in
 * nanoseconds from the first row's begin, "end" null of one that goes on. What the kernel did not tell is missing.
 */
#ifndef NSRUN_LAB_RECORD_H
#define NSRUN_LAB_RECORD_H

#include <nsrun/lab/session.h>

#include <jansson.h>

#define LAB_LAUNCHES_MAX 64
#define LAB_LAUNCHES_OF_CHAPTER 4
#define LAB_MOUNTS_MAX 128
#define LAB_LINKS_MAX 24

/* Takes down what the kernel says of a container now, beside what was taken down before, and keeps it in the file. Does nothing unless session->recorded is
 * set; what fails is left out: a report may lack something, a lesson must not end for it. */
void lab_record(struct lab_session *session, struct lab_container *container);
/* All that run. */
void lab_record_all(struct lab_session *session);
/* Into the file, in the place of older ones of the same chapter and name. */
void lab_records_keep(const struct lab_place *place, const char *chapter, json_t *const *records, size_t n);
/* All that were taken down; an empty list where there is no such file. -EINVAL: it is damaged. */
int lab_records_load(const struct lab_place *place, json_t **ret, struct err *err);
/* Of a chapter; NULL: all. */
int lab_records_forget(const struct lab_place *place, const char *chapter, struct err *err);

#endif
