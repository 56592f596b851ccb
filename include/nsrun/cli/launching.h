/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands that walk the score share: the one-shot command and exec. */
#ifndef NSRUN_CLI_LAUNCHING_H
#define NSRUN_CLI_LAUNCHING_H

#include <nsrun/launch/launch.h>
#include <nsrun/launch/trace.h>

#include <stdio.h>

/* The trace's place: above it nothing of the caller stays open. */
#define TRACE_FD (STDERR_FILENO + 1)

/* --trace-file at TRACE_FD; *ret is untouched when `name` is NULL. */
int trace_open(const char *name, FILE **ret, struct err *err);
/* All from `first` on, but the log. */
int close_descriptors(unsigned first, struct err *err);
/* What systemd and its like say in the environment (sd_listen_fds(3), sd_notify(3)), as create, run and start take it. */
struct activation {
	unsigned listen_fds;
	const char *listen_names, *notify; /* NULL: nothing is said */
};
int activation_read(struct activation *ret, struct err *err);

/* --preserve-fds N (NULL: 0): descriptors from 3 on, listen_fds and N of them, are the caller's gift; all others stay behind. *ret: how many. */
int preserve_descriptors(const char *text, unsigned listen_fds, unsigned *ret, struct err *err);
/* --trace=WORD, --trace-file FILE; each may be NULL. */
enum trace_format trace_format_of(const char *word, const char *file);

struct trace_job {
	enum trace_format format;
	const struct tape *tape;
	FILE *out;
	bool printed;
};
/* Once; `data` is a struct trace_job, for struct launch_observer. */
void print_trace(const struct launch *launch, void *data);
void tape_freep(struct tape **tape);

/* A workload that ends by a signal for no visible reason has its reason here. */
void print_cause(const struct plan *plan, const struct launch_result *result);

/* Executes a sealed copy of this program with `argv`, main()'s own, where the container could write nsrun's file: only there, it costs an execve. */
int protect_self(const struct plan *plan, char *const *argv, struct err *err);

#endif
