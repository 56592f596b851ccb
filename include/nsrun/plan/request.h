/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a face asks for, as it was said: strings not yet interpreted, NULL or 0 where nothing was said. A face fills it and hands
 * it to plan_resolve(); all parsing, defaults and cross-checks are there, once, for every face. Pointers are borrowed.
 */
#ifndef NSRUN_PLAN_REQUEST_H
#define NSRUN_PLAN_REQUEST_H

#include <stdbool.h>

enum tristate { UNSET = 0, NO, YES };

struct plan_request {
	const char *rootfs;	 /* a directory of the host */
	const char *const *argv; /* CMD and its arguments; NULL or empty: the user's shell */

	const char *userns_remap; /* USER[:GROUP], UID[:GID], "default", "auto" */
	const char *userns;	  /* "host" */
	const char *const
		*uid_map; /* INSIDE:OUTSIDE:COUNT each; vectors end with NULL, the pointer itself may be NULL */
	const char *const *gid_map;
	enum tristate trust_rootfs;

	enum tristate terminal;	   /* UNSET: when stdin and stdout are terminals */
	enum tristate interactive; /* NO: stdin is /dev/null */
	enum tristate init;	   /* a reaper as PID 1 */
	const char *const *env;	   /* NAME=VALUE, or NAME to take it from the caller */
	const char *workdir;
	const char *user; /* inside the container */
	const char *hostname;
	const char *const *ulimits;

	const char *const *volumes; /* SRC:DST[:OPTION,...] */
	enum tristate read_only;
	enum tristate ephemeral;

	const char *memory, *pids_limit, *cpus;

	const char *const *cap_add, *const *cap_drop;
	const char *const *security_opts; /* seccomp=FILE|default|docker|unconfined, no-new-privileges[=BOOL] */
};

#endif
