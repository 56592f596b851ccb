/* SPDX-License-Identifier: Apache-2.0 */
/* USER[:GROUP] resolved in the container's own passwd(5) and group(5). No NSS: it would load the container's libraries
 * into this process (CVE-2019-14271). */
#ifndef NSRUN_KERNEL_USER_H
#define NSRUN_KERNEL_USER_H

#include <nsrun/kernel/creds.h>

struct user_entry {
	struct creds creds; /* groups: from group(5) when only USER was named; malloc'd */
	char home[256];	    /* "/" when unknown */
	char shell[256];    /* "" when unknown */
	char name[64];	    /* "" when unknown */
};

/* Parses "USER", "USER:GROUP", "UID", "UID:GID"; ids above IDMAP_ID_MAX, signs and spaces are -EINVAL. An absent
 * passwd is no error for numbers. root_fd as in kernel/root.h. spec NULL means "0:0". Files of more than 16 MiB,
 * and with NUL bytes, are refused. A word that begins with a digit is a number or an error, never a name, whatever
 * passwd says. A number that passwd does not know gets group 0, as with other runtimes; the line of a known user
 * that is damaged is an error, never id 0. Of UID:GID passwd tells the home alone: a file that is none, or refused, tells "/". */
int user_resolve(int root_fd, const char *spec, struct user_entry *ret, struct err *err);
/* The syntax alone, for the check before anything is made. */
int user_check_syntax(const char *spec, struct err *err);

/* Adds groups, names of the container's group(5) or numbers, to creds.groups. The vector ends with NULL. */
int user_add_groups(int root_fd, const char *const *words, struct user_entry *user, struct err *err);
int user_check_group_syntax(const char *word, struct err *err);

#endif
