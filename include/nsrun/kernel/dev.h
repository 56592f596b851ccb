/* SPDX-License-Identifier: Apache-2.0 */
/* The container's /dev: a tmpfs with the host's own device nodes bound in (mknod(2) is EPERM in a user namespace). */
#ifndef NSRUN_KERNEL_DEV_H
#define NSRUN_KERNEL_DEV_H

#include <nsrun/base/err.h>

/* The nodes that every container has: null zero full random urandom tty. */
struct dev_node {
	const char *name;      /* below /dev */
	unsigned major, minor; /* verified by fstat(2) before it is bound: a name is no proof (CVE-2025-31133) */
};
extern const struct dev_node dev_default_nodes[]; /* ends with a NULL name */

/* Opens the host's /dev/NAME as O_PATH and verifies its number; */
int dev_find_node(const struct dev_node *node, int *ret_fd, struct err *err);
/* and returns a detached mount of it. */
int dev_open_node(const struct dev_node *node, int *ret_mount_fd, struct err *err);
/* Binds every default node into dev_fd (an fd on the container's /dev). */
int dev_bind_nodes(int dev_fd, struct err *err);
/* fd stdin stdout stderr core -> /proc/..., ptmx -> pts/ptmx. */
int dev_make_links(int dev_fd, struct err *err);

#endif
