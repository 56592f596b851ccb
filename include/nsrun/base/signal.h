/* SPDX-License-Identifier: Apache-2.0 */
/* Signals as people write them: signal(7). */
#ifndef NSRUN_BASE_SIGNAL_H
#define NSRUN_BASE_SIGNAL_H

#include <nsrun/base/err.h>

#define SIGNAL_NAME_SIZE 16

/* "SIGTERM", "term", "15", "RTMIN+3", "SIGRTMAX-1". 0 is no signal. `what` begins the message: "--stop-signal", "kill". */
int signal_parse(const char *text, const char *what, int *ret, struct err *err);
/* "SIGTERM", "SIGRTMIN+3"; a number that is none is written as such. Returns buf. */
const char *signal_name(int signal, char buf[SIGNAL_NAME_SIZE]);
/* Of those that ask a program to end (SIGTERM, SIGINT, SIGQUIT, SIGHUP), one that is blocked and waits; 0: none. */
int signal_waiting(void);

#endif
