/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/rtnetlink.h>

#include <string.h>
#include <sys/socket.h>

#define ANSWER_MAX 32768 /* what the kernel puts into one part of a dump at most */

int rtnl_open(struct rtnl *ret)
{
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return -errno;
	*ret = (struct rtnl){ .fd = fd };
	return 0;
}

void rtnl_close(struct rtnl *rtnl)
{
	closep(&rtnl->fd);
	*rtnl = RTNL_NONE;
}

void rtnl_begin(struct rtnl_request *request, uint16_t type, uint16_t flags, const void *body, size_t size)
{
	memset(request, 0, sizeof(*request));
	request->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
	request->header.nlmsg_type = type;
	request->header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	memcpy(request->room, body, size);
}

int rtnl_put(struct rtnl_request *request, uint16_t type, const void *data, size_t size)
{
	const size_t at = NLMSG_ALIGN(request->header.nlmsg_len);
	const struct rtattr attribute = { .rta_len = (unsigned short)RTA_LENGTH(size), .rta_type = type };

	if (at + RTA_SPACE(size) > sizeof(*request))
		return -EMSGSIZE;
	memcpy((char *)request + at, &attribute, sizeof(attribute));
	memcpy((char *)request + at + RTA_LENGTH(0), data, size);
	request->header.nlmsg_len = (uint32_t)(at + RTA_LENGTH(size));
	return 0;
}

int rtnl_put_text(struct rtnl_request *request, uint16_t type, const char *text)
{
	return rtnl_put(request, type, text, strlen(text) + 1);
}

/* 1: there is more to come; 0: that was all. */
static int read_answer(const struct nlmsghdr *message, uint32_t sequence,
		       int (*each)(const struct nlmsghdr *message, void *data), void *data)
{
	int errnum;

	if (message->nlmsg_seq != sequence)
		return 1; /* of an earlier request whose answers were left unread */
	if (message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE) {
		if (message->nlmsg_len < NLMSG_LENGTH(sizeof(errnum)))
			return message->nlmsg_type == NLMSG_DONE ? 0 : -EBADMSG;
		memcpy(&errnum, NLMSG_DATA(message), sizeof(errnum));
		return errnum < 0 ? errnum : 0;
	}
	const int r = each ? each(message, data) : 0;
	return r < 0 ? r : 1;
}

int rtnl_talk(struct rtnl *rtnl, struct rtnl_request *request, int (*each)(const struct nlmsghdr *message, void *data),
	      void *data)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	_cleanup_free_ char *buf = malloc(ANSWER_MAX);

	if (!buf)
		return -ENOMEM;
	request->header.nlmsg_seq = ++rtnl->sequence;
	/* A dump ends with NLMSG_DONE, everything else with an acknowledgement. The bits of NLM_F_DUMP mean something else where something is made. */
	const bool gets = (request->header.nlmsg_type & 3) == 2;
	if (!gets || (request->header.nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		request->header.nlmsg_flags |= NLM_F_ACK;
	if (sendto(rtnl->fd, request, request->header.nlmsg_len, 0, (const struct sockaddr *)&kernel, sizeof(kernel)) <
	    0)
		return -errno;
	for (;;) {
		const ssize_t n = recv(rtnl->fd, buf, ANSWER_MAX, 0);
		unsigned left = n > 0 ? (unsigned)n : 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		for (const struct nlmsghdr *m = (const struct nlmsghdr *)(const void *)buf; NLMSG_OK(m, left);
		     m = NLMSG_NEXT(m, left)) {
			const int r = read_answer(m, request->header.nlmsg_seq, each, data);

			if (r <= 0)
				return r;
		}
	}
}

const struct rtattr *rtnl_find(const struct nlmsghdr *message, size_t size, uint16_t type)
{
	const size_t head = NLMSG_SPACE(size);
	unsigned left = message->nlmsg_len > head ? (unsigned)(message->nlmsg_len - head) : 0;

	for (const struct rtattr *a = (const struct rtattr *)(const void *)((const char *)message + head);
	     RTA_OK(a, left); a = RTA_NEXT(a, left))
		if ((a->rta_type & NLA_TYPE_MASK) == type)
			return a;
	return NULL;
}
