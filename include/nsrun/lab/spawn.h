/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that a lab starts. Each ends with it: PR_SET_PDEATHSIG of prctl(2). */
#ifndef NSRUN_LAB_SPAWN_H
#define NSRUN_LAB_SPAWN_H

#include <nsrun/base/err.h>
#include <nsrun/base/pidref.h>

#include <stdbool.h>
#include <stddef.h>

#define LAB_OUTPUT_MAX 65536 /* of what it prints, the rest is left out */

struct lab_spawn {
	const char *const *argv; /* argv[0] is the file, searched in PATH unless it has a slash */
	int dir_fd;		 /* working directory */
	int keep_fd;		 /* stays open, with its number; FD_NONE: none */
	bool terminal; /* it has the lab's own standard streams, process group and terminal; else a session of its own, /dev/null and a pipe */
};

struct lab_process {
	struct pidref ref;
	int output; /* FD_NONE with a terminal */
	char *text; /* what it has printed so far, NUL-terminated; NULL: nothing */
	size_t size;
	bool cut; /* there was more */
};

#define LAB_PROCESS_NONE ((struct lab_process){ .ref = PIDREF_NONE, .output = FD_NONE })

int lab_spawn(const struct lab_spawn *how, struct lab_process *ret, struct err *err);
/* Reads what is there. False: the end of the output was met. */
bool lab_process_drain(struct lab_process *process);
/* Waits until it has ended, at most `seconds`, and reads meanwhile; ^C and the end of that time end it. *ret_status as a shell has it; *ret_how (may be
 * NULL, static): why it was ended, or NULL. */
int lab_process_wait(struct lab_process *process, unsigned seconds, int *ret_status, const char **ret_how,
		     struct err *err);
void lab_process_done(struct lab_process *process);

/* All in one; the caller has the text. */
int lab_capture(const char *const *argv, int dir_fd, unsigned seconds, int *ret_status, char **ret_text,
		struct err *err);
/* With the terminal, which is the lab's again afterwards; without one, its input is /dev/null. */
int lab_with_terminal(const char *const *argv, int dir_fd, int *ret_status, struct err *err);

/*
 * The guardian: a process in a session of its own that waits for the end of the lab (of file, on a pipe) and then ends what the lab has left: its
 * processes, by NSRUN_LAB=TOKEN in their environment, and the containers of its state root, by nsrun rm -f and nsrun gc. It holds the
 * lab's lock until that is done. The token stands in the file of the lock meanwhile: when the guardian is killed together with its lab, the next start ends
 * those processes first.
 */
int lab_guardian_start(const char *program, const char *token, int lock_fd, int *ret_pipe, struct pidref *ret,
		       struct err *err);
/* The end of every process with that environment, but this one. */
void lab_end_marked(const char *token);

#endif
