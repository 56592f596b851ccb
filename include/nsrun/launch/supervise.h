/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime's life after the launch: relay input and output, pass signals on, wait for init. */
#ifndef NSRUN_LAUNCH_SUPERVISE_H
#define NSRUN_LAUNCH_SUPERVISE_H

#include <nsrun/base/pidref.h>
#include <nsrun/launch/control_server.h>
#include <nsrun/launch/log_file.h>
#include <nsrun/launch/oom_watch.h>
#include <nsrun/launch/signals.h>

#include <termios.h>

struct supervision {
	const struct pidref *init;
	const struct signals *signals;
	int pty_master; /* FD_NONE without a terminal */
	int outputs
		[2]; /* reading ends of what are the workload's standard output and error; FD_NONE: they are the caller's own */
	int input; /* writing end of its standard input, for what clients send; FD_NONE: it is the caller's, or null */
	bool no_caller; /* a keeper's: the three below are not there */
	int stdin_fd, stdout_fd, stderr_fd;
	const struct termios *terminal_saved; /* what tty_set_raw saved; NULL when raw mode was not set */
	bool reaper;			      /* init is reaper_run(): it stops and continues the others itself */
	struct log_writer *log;		      /* NULL: none, as the next */
	struct control_server *server;
	struct oom_watch *oom;	    /* NULL: nobody else removes the group */
	int notify;		    /* FD_NONE, or where the workload says that it is ready, */
	const char *notify_address; /* and who wants to know: kernel/notify.h */
};

struct supervised {
	int status; /* as a shell has it */
	int signal; /* that ended init; 0: none */
};

/*
 * Runs until init has ended and all its output is relayed. epoll(7) over pidfd, signalfd, pty or pipes, the caller's
 * descriptors and the control socket, with bounded buffers all ways: the caller who does not read stops the other side, and nothing
 * is lost or spun on; another client who does not read for a second is dropped (control.h).
 *
 * Signals are passed on to init and nothing more, however often they come: PID 1 of a pid namespace does not see
 * those that it has no handler for (pid_namespaces(7)), so SIGTERM does not end a plain `sleep`; --init or SIGKILL
 * does. In raw mode ^C, ^Z and ^D are bytes for the inside; without a terminal the workload has its own session, so
 * ^C reaches this process alone and is passed on. Not passed on: SIGCHLD, SIGPIPE, SIGURG; SIGWINCH copies the
 * size; SIGTSTP gives the terminal back, stops init (with `reaper` all of the container), then this process;
 * SIGCONT wakes both and sets raw mode again.
 *
 * End of input is the terminal's VEOF character. When the user's terminal hangs up, or nobody reads its output
 * any more, `pty_master` is replaced by /dev/null: the inside sees a hang-up, as behind a lost line, and a PID 1 that neither handles nor
 * ignores SIGHUP is killed, since the kernel does not do it; pipes are closed, so that it sees SIGPIPE. Output that is pending when init ends is written out, and of a pipe that a stranger still holds no more than it buffers; a
 * terminating signal (SIGHUP, SIGINT, SIGQUIT, SIGTERM) cuts that short.
 */
int supervise(const struct supervision *supervision, struct supervised *ret, struct err *err);

#endif
