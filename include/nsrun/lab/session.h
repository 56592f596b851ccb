/* SPDX-License-Identifier: Apache-2.0 */
/* What a chapter has started: containers by their names, each with its tape, in the lab's own state root. */
#ifndef NSRUN_LAB_SESSION_H
#define NSRUN_LAB_SESSION_H

#include <nsrun/lab/chapter.h>
#include <nsrun/lab/place.h>
#include <nsrun/lab/spawn.h>
#include <nsrun/launch/tape.h>

#include <jansson.h>

#define LAB_COMMAND_SECONDS 60
#define LAB_STATUS_LOST (-1)

enum lab_state {
	LAB_NONE, /* nothing has this name */
	LAB_STARTING,
	LAB_HELD,    /* stands before a row */
	LAB_CREATED, /* of a bundle, and not started */
	LAB_RUNNING,
	LAB_ENDED,
};

struct lab_container {
	char *name;
	struct lab_process nsrun; /* that started it */
	struct tape *tape;	  /* NULL: a command that has none */
	enum lab_state state;
	int status;   /* of LAB_ENDED, as a shell has it */
	bool left_it; /* the command has ended well, and left its container: `create`, -d */
	enum step_id held;
	enum role held_role;
	char *command;	/* as it was typed */
	json_t *record; /* lab/record.h; NULL: nothing was taken down */
};

struct lab_session {
	struct lab_place *place;
	struct lab_container *containers[LAB_CHOICES_MAX * 8];
	size_t n;
	char token[40];
	int guardian_pipe;
	struct pidref guardian;
	const char *recorded; /* the chapter whose launches are taken down for a report; NULL: they are not */
};

/* The place has a directory and its lock. Tidies up what an earlier lab may have left, makes the rootfs if there is none, starts the guardian. */
int lab_session_open(struct lab_place *place, struct lab_session **ret, struct err *err);
/* Everything that the lab has made, and that commands have made in its directory, is removed; what still runs of an earlier lab ends before. */
int lab_session_reset(struct lab_place *place, struct err *err);
/* Before anything is started: a guardian that was killed is replaced. */
int lab_session_guard(struct lab_session *session, struct err *err);
/* Ends all, and waits until it is gone. */
void lab_session_close(struct lab_session *session);
/* Ends what a chapter has started; the session goes on. */
void lab_session_clear(struct lab_session *session);

/* Starts a command of nsrun beside the lab. Comes back when its container runs, stands before `hold` (STEP_NONE: none), or has ended: its
 * state says which. *ret stays the session's. */
int lab_session_run(struct lab_session *session, char *const *words, enum step_id hold, struct lab_container **ret,
		    struct err *err);
/* Lets a held launch go on to `step` (STEP_NONE: to its end), or by one row. */
int lab_session_go(struct lab_session *session, struct lab_container *container, enum step_id step, bool every,
		   struct err *err);
int lab_session_end(struct lab_session *session, const char *name, struct err *err);
/* NULL: the lab has not started one of this name. */
struct lab_container *lab_session_find(struct lab_session *session, const char *name);
/* As it is now. `*ret_status` of one that has ended, LAB_STATUS_LOST where nobody has seen it; may be NULL. */
enum lab_state lab_session_state(struct lab_session *session, const char *name, int *ret_status);
/* "held", "created", "running", "paused", "stopped", "none". */
const char *lab_session_state_word(struct lab_session *session, const char *name);

/* The same of a container by its record alone; `ret_paused` may be NULL, too. */
enum lab_state lab_state_of_record(const char *name, int *ret_status, bool *ret_paused);
/* Looks once, and waits for a row that holds at most `ms` milliseconds. */
enum lab_state lab_container_look(struct lab_container *container, int ms);
/* Until it is held, created, runs, or has ended. */
int lab_container_await(struct lab_container *container, struct err *err);

/* Process 1 of a container, or the first that is called COMM; "host" is this process. -ESRCH with `err` filled. */
int lab_session_pid(struct lab_session *session, const char *subject, const char *comm, pid_t *ret, struct err *err);
/* What a term is: struct lab_kernel. `data` is the session. */
int lab_session_value(void *data, const struct lab_term *term, char **ret, struct err *err);

/* A line for /bin/sh, on the host (name NULL) or in the container: what it prints. */
int lab_session_sh(struct lab_session *session, const char *name, const char *line, int *ret_status, char **ret_text,
		   struct err *err);
/* The same with the terminal; `line` NULL: a shell. */
int lab_session_sh_terminal(struct lab_session *session, const char *name, const char *line, int *ret_status,
			    struct err *err);

#endif
