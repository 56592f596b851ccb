/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of `nsrun lab`. Each returns the exit status, and has reported what failed. */
#ifndef NSRUN_CLI_LAB_H
#define NSRUN_CLI_LAB_H

#include <nsrun/lab/place.h>
#include <nsrun/lab/play.h>
#include <nsrun/lab/progress.h>
#include <nsrun/plan/request.h>

struct lab_options {
	enum tristate help, json, verify, one_column, plain;
	const char *chapters, *output, *salt, *view;
};

/* What `nsrun lab WORD` takes for no chapter; ends with NULL. */
extern const char *const lab_commands[];

/* Where the learner is, and what comes next. */
int lab_show_next(const struct lab_options *options, struct lab_place *place);
/* Exit status 1: with --verify a chapter has mistakes. */
int lab_show_list(const struct lab_options *options, struct lab_place *place);
/* `ids`: of these chapters, all when there is none. Exit status 1: not all of it is solved. */
int lab_show_check(const struct lab_options *options, struct lab_place *place, const char *const *ids, size_t n);
int lab_reset(const struct lab_options *options, struct lab_place *place, const char *const *ids, size_t n);
/* Without files: the learner's own report; with files: of a class. Exit status 1: some of them are doubtful. */
int lab_report(const struct lab_options *options, struct lab_place *place, const char *const *files, size_t n);
/* Reads a chapter; its mistakes, or why there is none of this name, are printed. */
int lab_read_chapter(const struct lab_place *place, const char *id, struct lab_chapter **ret);
/* Opens the lab's directory where there is one, and what it has of the learner's progress. */
int lab_open_progress(struct lab_place *place, struct lab_progress *ret);

/* ---- views ---- */

/* Panes, or lines: what was asked for, or what this terminal can show. */
int lab_choose_view(const struct lab_options *options, bool *ret_panes, struct err *err);
int lab_open_lines(const struct lab_options *options, struct lab_play *play, struct err *err);
int lab_open_panes(struct lab_play *play, struct err *err);

#endif
