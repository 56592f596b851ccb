/* SPDX-License-Identifier: Apache-2.0 */
/* Network devices on their way into the network namespace of a container. */
#ifndef NSRUN_KERNEL_NETDEV_H
#define NSRUN_KERNEL_NETDEV_H

#include <nsrun/base/pidref.h>
#include <nsrun/kernel/rtnetlink.h>

#define NETDEV_NAME_MAX 15 /* IFNAMSIZ - 1 */

/* A name that the kernel takes; with `pattern` one "%d" may be in it, for the first number that is free. */
bool netdev_name_is_valid(const char *name, bool pattern);

/* The way between the caller's network namespace and that of a process. It keeps the latter alive. */
struct netdev_way {
	struct rtnl here, there;
	int here_fd, there_fd; /* the namespaces themselves */
};
#define NETDEV_WAY_NONE \
	((struct netdev_way){ .here = RTNL_NONE, .there = RTNL_NONE, .here_fd = FD_NONE, .there_fd = FD_NONE })

int netdev_way_open(const struct pidref *process, struct netdev_way *ret, struct err *err);
void netdev_way_close(struct netdev_way *way);

/* What was moved, to be able to move it back. */
struct netdev_moved {
	int index; /* there; 0: it is still here */
	bool was_up;
};

/*
 * Moves `name` there, where it is called `new_name` (with %d: the first free number), keeps its permanent addresses of global scope, which a
 * move takes from it, and sets it up. `said` begins the message. What failed halfway is brought back.
 */
int netdev_move(struct netdev_way *way, const char *name, const char *new_name, const char *said,
		struct netdev_moved *ret, struct err *err);
/* The same backwards: for a launch that failed. */
int netdev_return(struct netdev_way *way, const struct netdev_moved *moved, const char *name, const char *said,
		  struct err *err);

#endif
