/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime's life after the launch: relay the terminal, pass signals on, wait for init. */
#ifndef NSRUN_LAUNCH_SUPERVISE_H
#define NSRUN_LAUNCH_SUPERVISE_H

#include <nsrun/base/pidref.h>
#include <nsrun/launch/signals.h>

#include <termios.h>

struct supervision {
	const struct pidref *init;
	const struct signals *signals;
	int pty_master;			      /* FD_NONE without a terminal */
	int stdin_fd, stdout_fd;	      /* the user's terminal when pty_master is there */
	const struct termios *terminal_saved; /* what tty_set_raw saved; NULL when raw mode was not set */
	bool reaper;			      /* init is reaper_run(): it stops and continues the others itself */
};
/*
 * Runs until init has ended and all its output is relayed; *ret_status as a shell has it. epoll(7) over pidfd,
 * signalfd, pty and terminal, with bounded buffers both ways: whoever does not read stops the other side, and
 * nothing is lost or spun on.
 *
 * Signals are passed on to init and nothing more, however often they come: PID 1 of a pid namespace does not see
 * those that it has no handler for (pid_namespaces(7)), so SIGTERM does not end a plain `sleep`; --init or SIGKILL
 * does. In raw mode ^C, ^Z and ^D are bytes for the inside; without a terminal the workload has its own session, so
 * ^C reaches this process alone and is passed on. Not passed on: SIGCHLD, SIGPIPE, SIGURG; SIGWINCH copies the
 * size; SIGTSTP gives the terminal back, stops init (with `reaper` all of the container), then this process;
 * SIGCONT wakes both and sets raw mode again.
 *
 * End of input is the terminal's VEOF character. When the user's terminal hangs up, or nobody reads its output
 * any more, `pty_master` is replaced by /dev/null: the inside sees a hang-up, as behind a lost line. Output that is
 * pending when init ends is written out; a terminating signal (SIGHUP, SIGINT, SIGQUIT, SIGTERM) cuts that short.
 */
int supervise(const struct supervision *supervision, int *ret_status, struct err *err);

#endif
