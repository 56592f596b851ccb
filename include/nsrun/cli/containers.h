/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands about containers share. */
#ifndef NSRUN_CLI_CONTAINERS_H
#define NSRUN_CLI_CONTAINERS_H

#include <nsrun/cli/options.h>
#include <nsrun/plan/container.h>

#include <stdio.h>

/* A row of --help, for the table of every command; the command's structure begins with `enum tristate help`. */
#define OPTION_HELP_ROW                                                                                             \
	{                                                                                                           \
		.name = "help", .letter = 'h', .kind = OPTION_FLAG, .group = GROUP_OBSERVE, .status = OPTION_BUILT, \
		.offset = 0, .help = "explain this command", .example = "--help"                                    \
	}
#define COMMAND_OPTION(type, field, n, l, arg, k, text, ex, ...)                                                      \
	{                                                                                                             \
		.name = (n), .letter = (l), .argument = (arg), .kind = OPTION_##k, .group = GROUP_OBSERVE,            \
		.status = OPTION_BUILT, .offset = offsetof(type, field), .help = (text), .example = (ex), __VA_ARGS__ \
	}

/* The words of a command: options may stand before, between and behind names, as with docker; after "--" all are names. The table has no
 * lists. *ret_names is malloc'd, its strings are argv's. */
int command_words(const struct option_table *table, int argc, char *const *argv, void *into, const char ***ret_names,
		  size_t *ret_n, struct err *err);

/* What all commands begin with: words, --help, how many names there may be (at least `least`, at most `most`). True: go on. False: done,
 * with *ret_status. */
bool command_begin(const struct option_table *table, int argc, char *const *argv, void *into, size_t least, size_t most,
		   const char ***ret_names, size_t *ret_n, int *ret_status);

/* Each name, one after the other: what cannot be found, or where `act` fails, is reported and the others are tried all the same. Returns
 * 0, or 125. */
int for_each_container(const char *const *names, size_t n,
		       int (*act)(struct container *container, void *data, struct err *err), void *data);

/* Of a bundle's container that `create` or a detached `run` made: no nsrun owns it that a command could turn to or wait for, and the error has what is to be
 * said instead. 0: it is none. */
int refuse_without_owner(const struct container *container, const char *instead, struct err *err);

/*
 * Why a container ended as it did, where a limit had a part in it: processes that were killed for want of memory, with the limit and what to do; and,
 * of one that failed, processes that could not be made. Nothing otherwise. `label` may be NULL. `said`: the limits that were asked for.
 */
void print_limits_met(FILE *out, const char *label, int status, const struct cgroup_events *events,
		      const struct cgroup_resources *said);
/* The same of what a record says. */
void print_end(FILE *out, const struct container *container);
/* "64.0MiB"; "-" of what is unknown or no limit. */
#define AMOUNT_SIZE 32
const char *amount_text(uint64_t bytes, char buf[AMOUNT_SIZE]);

/* "2 minutes", "3 hours"; "" of what is no time of a record. */
#define AGE_SIZE 32
const char *age_text(const char *time, char buf[AGE_SIZE]);
/* "running", "ended (3) 2 minutes ago", "lost 1 hour ago". */
#define STATUS_SIZE 64
const char *status_text(const struct container *container, char buf[STATUS_SIZE]);

/* Columns that are aligned, each as wide as its widest cell. Cells are escaped: what a container says may hold control characters. */
struct table;
struct table *table_new(size_t columns, const char *const *titles);
int table_add(struct table *table, const char *const *cells); /* 0 or -ENOMEM */
void table_print(const struct table *table, FILE *out);
void table_free(struct table *table);

#endif
