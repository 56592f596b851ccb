/* SPDX-License-Identifier: Apache-2.0 */
/* Names of signals, as in signal(7) and kill(1). */
#ifndef NSRUN_BASE_SIGNAME_H
#define NSRUN_BASE_SIGNAME_H

#include <stddef.h>

/* "SIGTERM", "TERM", "15", "SIGRTMIN+3", "RTMAX-1", "SIGRTMIN"; either case. 0 (which only asks), and what the C library keeps for itself
 * (32 and 33), are none. Returns 0 or -EINVAL; *ret untouched on failure. */
int signal_parse(const char *text, int *ret);

#define SIGNAL_NAME_MAX 16
/* "SIGTERM", "SIGRTMIN+3"; a number for what has no name. Returns buf. */
const char *signal_name(int signal, char buf[SIGNAL_NAME_MAX]);

#endif
