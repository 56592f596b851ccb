/* SPDX-License-Identifier: Apache-2.0 */
/* The little of rtnetlink(7) that moving a device takes: requests with attributes, their answers, dumps. */
#ifndef NSRUN_KERNEL_RTNETLINK_H
#define NSRUN_KERNEL_RTNETLINK_H

#include <nsrun/base/err.h>

#include <linux/rtnetlink.h>

struct rtnl {
	int fd; /* owned; of the network namespace in which it was opened, wherever it is used */
	uint32_t sequence;
};
#define RTNL_NONE ((struct rtnl){ .fd = FD_NONE })

/* A message that is being written. */
struct rtnl_request {
	struct nlmsghdr header;
	char room[1024];
};

/* All return 0 or -errno, the kernel's own. */
int rtnl_open(struct rtnl *ret);
void rtnl_close(struct rtnl *rtnl);
/* `body` is the family's structure: ifinfomsg, ifaddrmsg. */
void rtnl_begin(struct rtnl_request *request, uint16_t type, uint16_t flags, const void *body, size_t size);
int rtnl_put(struct rtnl_request *request, uint16_t type, const void *data, size_t size);
int rtnl_put_text(struct rtnl_request *request, uint16_t type, const char *text);
/* Sends it; `each` (or NULL) is called with every message of the answer, and stops the rest by a negative answer, which is returned. */
int rtnl_talk(struct rtnl *rtnl, struct rtnl_request *request, int (*each)(const struct nlmsghdr *message, void *data),
	      void *data);
/* The attribute in the attributes after a body of `size` bytes; NULL: none. */
const struct rtattr *rtnl_find(const struct nlmsghdr *message, size_t size, uint16_t type);

#endif
