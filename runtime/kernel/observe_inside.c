/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can only be asked from within a namespace: a child enters those of the process, asks the kernel and writes the answer to a pipe. It stays in this
 * process' mount and pid namespaces, so no file and no program of the container has a part in the answer: the /proc/sys that it reads is this side's, whose
 * values are those of the reader's namespaces (proc(5)).
 */
#include <nsrun/kernel/observe.h>

#include <nsrun/base/file.h>
#include <nsrun/base/pidref.h>
#include <nsrun/base/strings.h>
#include <nsrun/kernel/rtnetlink.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_addr.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#define ANSWER_MAX ((size_t)1 << 20)

typedef int asker(const char *argument, FILE *out, struct err *err);

/* Of the namespaces that are not ours already: setns(2) into the own user namespace is EINVAL, and needless for the others. */
static int differing(pid_t pid, int *ret, struct err *err)
{
	static const struct {
		const char *name;
		int flag;
	} kinds[] = {
		{ "user", CLONE_NEWUSER }, { "uts", CLONE_NEWUTS }, { "ipc", CLONE_NEWIPC }, { "net", CLONE_NEWNET }
	};
	int flags = 0;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		ino_t there = 0, here = 0;
		int r = observe_ns_inode(pid, kinds[i].name, &there, err);

		if (r == 0)
			r = observe_ns_inode(getpid(), kinds[i].name, &here, err);
		if (r < 0)
			return r;
		if (there != here)
			flags |= kinds[i].flag;
	}
	*ret = flags;
	return 0;
}

/* Who has power over the namespaces from here (root) need not enter the user namespace; others get it by entering that, too. */
static int enter(const struct pidref *process, int flags, struct err *err)
{
	const int others = flags & ~CLONE_NEWUSER;

	if (!others || setns(process->fd, others) == 0 || (errno == EPERM && setns(process->fd, flags) == 0))
		return 0;
	return err_system(err, "namespaces of process %d", (int)process->pid);
}

static _Noreturn void child(const struct pidref *process, int flags, asker *ask, const char *argument, int fd)
{
	struct err err = ERR_INIT;
	FILE *out = fdopen(fd, "w");
	int r = out ? enter(process, flags, &err) : -errno;

	if (r == 0)
		r = ask(argument, out, &err);
	if (out && fflush(out) != 0 && r == 0)
		r = -EIO;
	_exit(r < 0 ? (-r < 255 ? -r : 255) : 0);
}

static int ask_inside(pid_t pid, asker *ask, const char *what, const char *argument, FILE *out, struct err *err)
{
	_cleanup_(pidref_close) struct pidref process = PIDREF_NONE;
	_cleanup_close_ int from = FD_NONE, to = FD_NONE;
	_cleanup_free_ char *text = NULL;
	int fds[2], flags, status;
	size_t size;

	int r = pidref_open(pid, &process, err);
	if (r < 0)
		return r;
	r = differing(pid, &flags, err);
	if (r < 0)
		return r;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_system(err, "pipe");
	from = fds[0];
	to = fds[1];
	fflush(NULL); /* what is buffered must not be written by both */
	const pid_t asking = fork();
	if (asking < 0)
		return err_system(err, "fork");
	if (asking == 0)
		child(&process, flags, ask, argument, to);
	closep(&to);
	to = FD_NONE;
	r = file_read_fd(from, what, 256, ANSWER_MAX, &text, &size, err);
	while (waitpid(asking, &status, 0) < 0)
		if (errno != EINTR)
			return err_system(err, "%s of process %d", what, (int)pid);
	if (r < 0)
		return r;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		errno = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
		return err_system(err, "%s%s%s of process %d", what, argument ? " " : "", argument ? argument : "",
				  (int)pid);
	}
	fwrite(text, 1, size, out);
	return 0;
}

/* ---- UTS ---- */

static int ask_hostname(const char *argument, FILE *out, struct err *err)
{
	struct utsname names;

	(void)argument;
	if (uname(&names) < 0)
		return err_system(err, "uname");
	fputs(names.nodename, out);
	return 0;
}

static int ask_domainname(const char *argument, FILE *out, struct err *err)
{
	struct utsname names;

	(void)argument;
	if (uname(&names) < 0)
		return err_system(err, "uname");
	fputs(names.domainname, out);
	return 0;
}

int observe_hostname(pid_t pid, const struct observe_term *term, FILE *out, struct err *err)
{
	(void)term;
	return ask_inside(pid, ask_hostname, "host name", NULL, out, err);
}

int observe_domainname(pid_t pid, const struct observe_term *term, FILE *out, struct err *err)
{
	(void)term;
	return ask_inside(pid, ask_domainname, "domain name", NULL, out, err);
}

/* ---- /proc/sys ---- */

static int ask_sysctl(const char *argument, FILE *out, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	char path[512];
	size_t size;

	/* sysctl.conf(5): dots or slashes. */
	const int n = snprintf(path, sizeof(path), "/proc/sys/%s", argument);
	if (n < 0 || (size_t)n >= sizeof(path) || strstr(argument, ".."))
		return err_input(err, "sysctl %s: no such name", argument);
	for (char *c = path + strlen("/proc/sys/"); *c && !strchr(argument, '/'); c++)
		if (*c == '.')
			*c = '/';
	const int r = file_read_virtual_at(AT_FDCWD, path, ANSWER_MAX, &text, &size, err);
	if (r < 0)
		return r;
	for (char *c = text; *c; c++)
		if (*c == '\t')
			*c = ' ';
	fputs(text, out);
	return 0;
}

int observe_sysctl(pid_t pid, const struct observe_term *term, FILE *out, struct err *err)
{
	return ask_inside(pid, ask_sysctl, "sysctl", term->argument, out, err);
}

/* ---- network ---- */

struct answer {
	char (*words)[128];
	size_t n;
	const char *wanted; /* a device */
	int state;	    /* of it: -1 none, 0 down, 1 up */
	bool peers;	    /* words are NAME:INDEX:PEER */
};

static int add_word(struct answer *answer, const char *word)
{
	void *more = reallocarray(answer->words, answer->n + 1, sizeof(answer->words[0]));

	if (!more)
		return -ENOMEM;
	answer->words = more;
	snprintf(answer->words[answer->n++], sizeof(answer->words[0]), "%s", word);
	return 0;
}

static int compare_words(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void put_words(struct answer *answer, FILE *out)
{
	if (answer->n)
		qsort(answer->words, answer->n, sizeof(answer->words[0]), compare_words);
	for (size_t i = 0; i < answer->n; i++)
		fprintf(out, "%s%s", i ? " " : "", answer->words[i]);
	free(answer->words);
}

/* IFLA_LINK is the index of the other end, in the namespace where that is: veth(4). */
static int add_peer(struct answer *answer, const struct nlmsghdr *message, const char *name)
{
	const struct ifinfomsg *info = NLMSG_DATA(message);
	const struct rtattr *link = rtnl_find(message, sizeof(*info), IFLA_LINK);
	uint32_t peer = 0;
	char word[128];

	if (!link || RTA_PAYLOAD(link) < sizeof(peer))
		return 0;
	memcpy(&peer, RTA_DATA(link), sizeof(peer));
	if (peer == 0)
		return 0;
	snprintf(word, sizeof(word), "%s:%d:%" PRIu32, name, info->ifi_index, peer);
	return add_word(answer, word);
}

static int take_link(const struct nlmsghdr *message, void *data)
{
	const struct ifinfomsg *info = NLMSG_DATA(message);
	const struct rtattr *name = rtnl_find(message, sizeof(*info), IFLA_IFNAME);
	struct answer *answer = data;

	if (message->nlmsg_type != RTM_NEWLINK || !name)
		return 0;
	if (answer->peers)
		return add_peer(answer, message, RTA_DATA(name));
	if (!answer->wanted)
		return add_word(answer, RTA_DATA(name));
	if (streq(RTA_DATA(name), answer->wanted))
		answer->state = (info->ifi_flags & IFF_UP) != 0;
	return 0;
}

static int take_address(const struct nlmsghdr *message, void *data)
{
	const struct ifaddrmsg *info = NLMSG_DATA(message);
	const struct rtattr *address = rtnl_find(message, sizeof(*info), IFA_LOCAL);
	char text[INET6_ADDRSTRLEN], device[IF_NAMESIZE], word[128];

	if (!address)
		address = rtnl_find(message, sizeof(*info), IFA_ADDRESS);
	if (message->nlmsg_type != RTM_NEWADDR || !address ||
	    !inet_ntop(info->ifa_family, RTA_DATA(address), text, sizeof(text)) ||
	    !if_indextoname(info->ifa_index, device))
		return 0;
	snprintf(word, sizeof(word), "%s:%s/%u", device, text, info->ifa_prefixlen);
	return add_word(data, word);
}

static int dump(uint16_t type, const void *body, size_t size, int (*each)(const struct nlmsghdr *, void *),
		struct answer *answer, struct err *err)
{
	struct rtnl_request request;
	struct rtnl rtnl;

	int r = rtnl_open(&rtnl);
	if (r == 0) {
		rtnl_begin(&request, type, NLM_F_DUMP, body, size);
		r = rtnl_talk(&rtnl, &request, each, answer);
		rtnl_close(&rtnl);
	}
	if (r < 0) {
		errno = -r;
		return err_system(err, "rtnetlink");
	}
	return 0;
}

static int ask_links(const char *argument, FILE *out, struct err *err)
{
	const struct ifinfomsg body = { .ifi_family = AF_UNSPEC };
	struct answer answer = { .wanted = argument, .state = -1 };

	const int r = dump(RTM_GETLINK, &body, sizeof(body), take_link, &answer, err);
	if (r == 0 && argument)
		fputs(answer.state < 0 ? "none" : answer.state ? "up" : "down", out);
	put_words(&answer, out);
	return r;
}

static int ask_peers(const char *argument, FILE *out, struct err *err)
{
	const struct ifinfomsg body = { .ifi_family = AF_UNSPEC };
	struct answer answer = { .peers = true };

	(void)argument;
	const int r = dump(RTM_GETLINK, &body, sizeof(body), take_link, &answer, err);
	put_words(&answer, out);
	return r;
}

static int ask_addresses(const char *argument, FILE *out, struct err *err)
{
	const struct ifaddrmsg body = { .ifa_family = AF_UNSPEC };
	struct answer answer = { 0 };

	(void)argument;
	const int r = dump(RTM_GETADDR, &body, sizeof(body), take_address, &answer, err);
	put_words(&answer, out);
	return r;
}

int observe_links(pid_t pid, const struct observe_term *term, FILE *out, struct err *err)
{
	return ask_inside(pid, term->more ? ask_peers : ask_links, "network devices", NULL, out, err);
}

int observe_link(pid_t pid, const struct observe_term *term, FILE *out, struct err *err)
{
	return ask_inside(pid, ask_links, "network device", term->argument, out, err);
}

int observe_addresses(pid_t pid, const struct observe_term *term, FILE *out, struct err *err)
{
	(void)term;
	return ask_inside(pid, ask_addresses, "addresses", NULL, out, err);
}
