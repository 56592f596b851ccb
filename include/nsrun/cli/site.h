/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options that files say: /etc/nsrun/nsrun.json, the host's, and nsrun/nsrun.json in $XDG_CONFIG_HOME or ~/.config, the user's own
 * (nsrun.json(5)). A file has "defaults", values of options, and "forbid", what later layers may not say. Layers in order: the host's
 * file, the user's, the command line.
 *
 *   - Of an option with one value the last layer that says it counts. Lists add up, the host's entries first; where entries are
 *     NAME=VALUE an entry replaces those of the same name from earlier layers. Options that choose the id mapping are one choice: a
 *     layer that says one of them replaces all of them.
 *   - What a file forbids is looked for in the layers behind it, not in its own defaults.
 *
 * It is a rule for those who use nsrun with root's rights, as by sudo(8). An ordinary user may run another program.
 */
#ifndef NSRUN_CLI_SITE_H
#define NSRUN_CLI_SITE_H

#include <nsrun/base/arena.h>
#include <nsrun/cli/options.h>
#include <nsrun/plan/plan.h>

#define SITE_FILES_MAX 2

/* One value of an option, and who said it. Strings live as long as the site and argv. */
struct option_said {
	const struct option_row *row;
	const char *value; /* of a switch "true" or "false" */
	const char *file;  /* NULL: the command line */
	size_t line;
};

struct site_forbid {
	const struct option_row *row; /* NULL: ROOTFS itself */
	const char *pattern;	      /* NULL: whatever its value is */
	const char *text;	      /* as the file has it */
	size_t line;
};

struct site_file {
	const char *path;
	struct option_said *defaults;
	size_t n_defaults;
	struct site_forbid *forbid;
	size_t n_forbid;
};

struct site {
	struct arena *arena; /* NULL while no file was read */
	struct site_file files[SITE_FILES_MAX];
	size_t n_files;
	struct option_said *said; /* set by site_apply(): what counts, in the table's order */
	size_t n_said;
};

/* Finds and reads both files. A missing one is fine. One that others may have written is ERR_ID_SITE_FILE, as is any mistake in it. */
int site_load(const struct option_table *table, struct site *ret, struct err *err);
/* One file's text, as the next layer of `site`. */
int site_parse(struct site *site, const struct option_table *table, const char *path, const char *text, size_t size,
	       struct err *err);
/* Refuses what is forbidden, then puts defaults into `into` where the command line left them unsaid. `rootfs` may be NULL. With `site->said`
 * it tells where each value came from. */
int site_apply(struct site *site, const struct option_table *table, void *into, const char *rootfs, struct err *err);
/* The plan, once it is resolved: refuses volumes, a rootfs and namespaces whose words led to something else when they were opened than when
 * site_apply() looked. A link can be exchanged in between, again and again until it fits; what the plan has is compared by device and inode
 * when it is used. */
int site_check_plan(const struct site *site, const struct plan *plan, struct err *err);
/* Another command that has options of the same names as a launch: what is forbidden there is forbidden here. It loads the files itself. */
int site_check_command(const struct option_table *launch, const struct option_table *table, void *into,
		       struct err *err);
/* An error about the value of an option that a file said gets the file and the line. */
void site_explain(const struct site *site, struct err *err);
/* "option.memory: 512m (/etc/nsrun/nsrun.json:3)", a line for each value that counts. */
void site_print_said(const struct site *site, FILE *out);
void site_done(struct site *site);

/* What a command line says. Counts alone when `out` is NULL. */
size_t site_collect(const struct option_table *table, void *into, struct option_said *out);
/* `said` or `rootfs` is forbidden there. */
int site_refuse(const struct site_file *file, const struct site_forbid *forbid, const struct option_said *said,
		const char *rootfs, struct err *err);

/* site_forbid.c */
bool site_forbids(const struct site_forbid *forbid, const struct option_said *said);
/* A path of the host that an option led to, as the kernel names it. */
bool site_forbids_place(const struct site_forbid *forbid, const struct option_row *row, const char *path);
bool site_forbids_rootfs(const struct site_forbid *forbid, const char *rootfs);
/* True when a value of this option, or of ROOTFS (NULL), names a place of the host that patterns beginning with "/" are compared with. */
bool site_names_place(const struct option_row *row);
/* Does the pattern, which begins with "/", name this absolute path, something above it or something below it? */
bool site_place_overlaps(const char *pattern, const char *path);

#endif
