/* SPDX-License-Identifier: Apache-2.0 */
/* What the completions of all shells are made from, to standard output. */
#ifndef NSRUN_DOCS_COMPLETION_H
#define NSRUN_DOCS_COMPLETION_H

#include <nsrun/cli/commands.h>
#include <nsrun/cli/options.h>

#include <stdio.h>

/* What `nsrun lab` takes beside the names of chapters. */
#define LAB_WORDS "list check solve report reset"

/* What a value is: "file", "source" (SRC:DST), "user", "capability", "signal", "inside", "text". */
const char *value_sort(const struct option_row *row);
bool takes_value(const struct option_row *row);
struct option_table one_shot(void);
/* The words that a value may be; one that ends in "=" or ":" goes on. */
void put_values(const struct option_row *row);
void put_capabilities(void);
void put_groups(void);
void put_commands(void);
bool begins_with_container(const struct command_row *row);

void write_bash(void);
void write_zsh(void);
void write_fish(void);

#endif
