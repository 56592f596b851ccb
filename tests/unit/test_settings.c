/* SPDX-License-Identifier: Apache-2.0 */
/* The mechanisms behind scheduler, ioPriority, execCPUAffinity, memoryPolicy, netDevices, intelRdt and the filter's listener: as the kernel has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/creds.h>
#include <nsrun/kernel/lsm.h>
#include <nsrun/kernel/netdev.h>
#include <nsrun/kernel/process.h>
#include <nsrun/kernel/resctrl.h>
#include <nsrun/kernel/seccomp_notify.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ioprio.h>
#include <linux/mempolicy.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

/* A child that waits for its end. */
static struct pidref sleeper(void)
{
	struct pidref child = PIDREF_NONE;
	struct err err = ERR_INIT;
	const pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	assert_int_equal(pidref_open(pid, &child, &err), 0);
	return child;
}

static void end(struct pidref *child)
{
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	pidref_close(child);
}

static void schedulers(void **state)
{
	struct pidref child = sleeper();
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(
		scheduler_apply(&child, &(struct scheduler_setting){ .policy = SCHED_BATCH, .nice = 7 }, "x", &err), 0);
	assert_int_equal(sched_getscheduler(child.pid), SCHED_BATCH);
	assert_int_equal(syscall(SYS_getpriority, 0, child.pid), 20 - 7);
	assert_int_equal(
		scheduler_apply(&child, &(struct scheduler_setting){ .policy = SCHED_IDLE, .flags = 1 }, "x", &err), 0);
	assert_int_equal(sched_getscheduler(child.pid), SCHED_IDLE | SCHED_RESET_ON_FORK);
	assert_int_equal(io_priority_apply(&child, &(struct io_priority){ IOPRIO_CLASS_BE, 6 }, "x", &err), 0);
	assert_int_equal(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, child.pid), IOPRIO_CLASS_BE << 13 | 6);
	/* The message has the field and the call. */
	assert_int_equal(
		scheduler_apply(&child, &(struct scheduler_setting){ .policy = 77 }, "process.scheduler", &err),
		-EINVAL);
	assert_string_equal(err.message, "process.scheduler: sched_setattr");
	end(&child);
}

static void number_sets(void **state)
{
	struct arena *arena = arena_new();
	struct number_set set = { 0 };

	(void)state;
	assert_int_equal(number_set_parse(arena, "0-2,64,127", 128, &set), 0);
	assert_int_equal(set.bits, 128);
	assert_true(set.words[0] == 7 && set.words[1] == (1UL << 63 | 1));
	assert_int_equal(number_set_parse(arena, "128", 128, &set), -ERANGE);
	assert_int_equal(number_set_parse(arena, "0-128", 128, &set), -ERANGE);
	assert_int_equal(number_set_parse(arena, "18446744073709551616", 128, &set), -ERANGE);
	assert_int_equal(number_set_parse(arena, "2-1", 128, &set), -EINVAL);
	assert_int_equal(number_set_parse(arena, "1,,2", 128, &set), -EINVAL);
	assert_int_equal(number_set_parse(arena, "", 128, &set), 0);
	assert_null(set.words);
	arena_free(arena);
}

static void placement(void **state)
{
	struct arena *arena = arena_new();
	struct number_set before, set;
	struct err err = ERR_INIT;
	cpu_set_t now;

	(void)state;
	assert_int_equal(affinity_save(arena, &before, &err), 0);
	int first = 0;
	while (!(before.words[0] & 1UL << first))
		first++;
	char text[16];
	snprintf(text, sizeof(text), "%d", first);
	assert_int_equal(number_set_parse(arena, text, 8192, &set), 0);
	assert_int_equal(affinity_apply(&set, "x", &err), 0);
	assert_int_equal(sched_getaffinity(0, sizeof(now), &now), 0);
	assert_true(CPU_COUNT(&now) == 1 && CPU_ISSET(first, &now));
	assert_int_equal(affinity_apply(&(struct number_set){ 0 }, "x", &err), 0);
	assert_int_equal(sched_getaffinity(0, sizeof(now), &now), 0);
	assert_memory_equal(&now, before.words, sizeof(long));
	assert_int_equal(number_set_parse(arena, "8191", 8192, &set), 0);
	assert_int_equal(affinity_apply(&set, "process.execCPUAffinity.final", &err), -EINVAL);
	assert_non_null(strstr(err.message, "process.execCPUAffinity.final"));

	int mode = -1;
	unsigned long nodes[16] = { 0 };
	err = ERR_INIT;
	assert_int_equal(number_set_parse(arena, "0", 1024, &set), 0);
	const struct memory_policy bind = { .mode = MPOL_BIND | MPOL_F_STATIC_NODES, .nodes = set };
	assert_int_equal(memory_policy_apply(&bind, "x", &err), 0);
	assert_int_equal(syscall(SYS_get_mempolicy, &mode, nodes, 1024UL, NULL, 0UL), 0);
	assert_int_equal(mode, MPOL_BIND | MPOL_F_STATIC_NODES);
	assert_int_equal(nodes[0], 1);
	assert_int_equal(memory_policy_apply(&(struct memory_policy){ 0 }, "x", &err), 0);
	assert_int_equal(syscall(SYS_get_mempolicy, &mode, NULL, 0UL, NULL, 0UL), 0);
	assert_int_equal(mode, MPOL_DEFAULT);
	/* The highest bit of the set counts, too: node 1023 is nowhere. */
	assert_int_equal(number_set_parse(arena, "1023", 1024, &set), 0);
	const struct memory_policy far = { .mode = MPOL_BIND, .nodes = set };
	assert_int_equal(memory_policy_apply(&far, "linux.memoryPolicy", &err), -EINVAL);
	assert_int_equal(err.id, ERR_ID_MEMORY_POLICY);
	arena_free(arena);
}

static void procfs(void **state)
{
	struct err err = ERR_INIT;
	int fd = FD_NONE;

	(void)state;
	assert_int_equal(procfs_open(&fd, &err), 0);
	assert_int_equal(procfs_self(fd), getpid());
	close(fd);
	/* Something else in its place is noticed. */
	const pid_t pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("none", "/proc", "tmpfs", 0, NULL) < 0)
			_exit(77);
		_exit(procfs_open(&fd, &err) == -EXDEV ? 0 : 1);
	}
	int status;
	waitpid(pid, &status, 0);
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- network devices ---- */

static void request(struct rtnl *rtnl, struct rtnl_request *r)
{
	const int result = rtnl_talk(rtnl, r, NULL, NULL);

	if (result < 0)
		fail_msg("rtnetlink: %s", strerror(-result));
}

/* Of the first kind that this kernel has. */
static void make_device(struct rtnl *rtnl, const char *name)
{
	static const char *const kinds[] = { "dummy", "ifb", "veth" };
	const struct ifinfomsg info = { 0 };
	int result = -1;

	for (size_t i = 0; i < ARRAY_LEN(kinds) && result < 0; i++) {
		struct rtnl_request r;
		struct {
			struct rtattr head;
			char kind[8];
		} kind = { .head = { (unsigned short)RTA_LENGTH(strlen(kinds[i])), IFLA_INFO_KIND } };

		memcpy(kind.kind, kinds[i], strlen(kinds[i]));
		rtnl_begin(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
		assert_int_equal(rtnl_put_text(&r, IFLA_IFNAME, name), 0);
		assert_int_equal(rtnl_put(&r, IFLA_LINKINFO, &kind, sizeof(kind)), 0);
		result = rtnl_talk(rtnl, &r, NULL, NULL);
	}
	if (result < 0)
		fail_msg("making a device: %s", strerror(-result));
}

static void add_address(struct rtnl *rtnl, int family, const char *address, unsigned char prefix, unsigned char scope,
			const char *device, unsigned lifetime)
{
	const struct ifaddrmsg info = { .ifa_family = (unsigned char)family,
					.ifa_prefixlen = prefix,
					.ifa_scope = scope,
					.ifa_index = if_nametoindex(device) };
	const struct ifa_cacheinfo cache = { .ifa_prefered = lifetime, .ifa_valid = lifetime };
	const size_t size = family == AF_INET ? 4 : 16;
	struct rtnl_request r;
	unsigned char binary[16];

	assert_int_equal(inet_pton(family, address, binary), 1);
	rtnl_begin(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
	assert_int_equal(rtnl_put(&r, IFA_LOCAL, binary, size), 0);
	assert_int_equal(rtnl_put(&r, IFA_ADDRESS, binary, size), 0);
	if (lifetime)
		assert_int_equal(rtnl_put(&r, IFA_CACHEINFO, &cache, sizeof(cache)), 0);
	request(rtnl, &r);
}

/* Addresses of the device, "10.0.0.1 fd00::1", sorted as the kernel has them. */
static void addresses_of(const char *device, char *buf, size_t size)
{
	struct ifaddrs *list, *a;

	*buf = '\0';
	assert_int_equal(getifaddrs(&list), 0);
	for (a = list; a; a = a->ifa_next) {
		const int family = a->ifa_addr ? a->ifa_addr->sa_family : 0;
		char text[INET6_ADDRSTRLEN];

		if (!streq(a->ifa_name, device) || (family != AF_INET && family != AF_INET6))
			continue;
		inet_ntop(family,
			  family == AF_INET ? (void *)&((struct sockaddr_in *)(void *)a->ifa_addr)->sin_addr
					    : (void *)&((struct sockaddr_in6 *)(void *)a->ifa_addr)->sin6_addr,
			  text, sizeof(text));
		if (strncmp(text, "fe80", 4) == 0)
			continue;
		snprintf(buf + strlen(buf), size - strlen(buf), "%s%s", *buf ? " " : "", text);
	}
	freeifaddrs(list);
}

static bool is_up(const char *device)
{
	struct ifreq r = { 0 };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", device);
	return ioctl(fd, SIOCGIFFLAGS, &r) == 0 && (r.ifr_flags & IFF_UP);
}

static void enter(const struct pidref *child)
{
	assert_int_equal(setns(child->fd, CLONE_NEWNET), 0);
}

static void move_devices(void)
{
	struct netdev_way way = NETDEV_WAY_NONE;
	struct netdev_moved moved, second;
	struct rtnl rtnl = RTNL_NONE;
	struct err err = ERR_INIT;
	char text[256];
	int pipe_fds[2];
	struct pidref child = PIDREF_NONE;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	_cleanup_close_ int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(pipe(pipe_fds), 0);
	const pid_t pid = fork();
	if (pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || unshare(CLONE_NEWNET) < 0 ||
		    write(pipe_fds[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(pipe_fds[0], text, 1), 1);
	assert_int_equal(pidref_open(pid, &child, &err), 0);

	assert_int_equal(rtnl_open(&rtnl), 0);
	make_device(&rtnl, "first");
	make_device(&rtnl, "second");
	make_device(&rtnl, "third");
	add_address(&rtnl, AF_INET, "10.99.0.1", 24, RT_SCOPE_UNIVERSE, "first", 0);
	add_address(&rtnl, AF_INET, "10.99.0.2", 24, RT_SCOPE_UNIVERSE, "first", 0);
	add_address(&rtnl, AF_INET, "10.98.0.1", 24, RT_SCOPE_UNIVERSE, "first", 1000); /* goes: it is not permanent */
	add_address(&rtnl, AF_INET, "10.97.0.1", 24, RT_SCOPE_LINK, "first", 0);	/* goes: not global */
	add_address(&rtnl, AF_INET6, "fd00::1", 64, RT_SCOPE_UNIVERSE, "first", 0);

	assert_int_equal(netdev_way_open(&child, &way, &err), 0);
	/* Back where it was. */
	struct stat a, b;
	assert_int_equal(fstat(here, &a), 0);
	assert_int_equal(stat("/proc/self/ns/net", &b), 0);
	assert_true(a.st_ino == b.st_ino);

	assert_int_equal(netdev_move(&way, "first", "eth%d", "linux.netDevices.first", &moved, &err), 0);
	assert_int_equal(if_nametoindex("first"), 0);
	assert_int_equal(netdev_move(&way, "second", "eth0", "linux.netDevices.second", &second, &err), -EEXIST);
	assert_int_equal(err.id, ERR_ID_NETDEV_TAKEN);
	assert_non_null(strstr(err.message, "linux.netDevices.second"));
	assert_true(if_nametoindex("second") > 0);
	err = ERR_INIT;
	assert_int_equal(netdev_move(&way, "none", "none", "x", &second, &err), -ENODEV);
	assert_int_equal(err.id, ERR_ID_NETDEV_MISSING);
	err = ERR_INIT;
	assert_int_equal(netdev_move(&way, "second", "eth%d", "x", &second, &err), 0);

	enter(&child);
	assert_int_equal(if_nametoindex("eth0"), moved.index);
	assert_int_equal(if_nametoindex("eth1"), second.index);
	assert_true(is_up("eth0") && is_up("eth1"));
	addresses_of("eth0", text, sizeof(text));
	assert_string_equal(text, "10.99.0.1 10.99.0.2 fd00::1");
	assert_int_equal(setns(here, CLONE_NEWNET), 0);

	/* The way back, as a launch that fails takes it. It was down. */
	assert_int_equal(netdev_return(&way, &moved, "first", "x", &err), 0);
	addresses_of("first", text, sizeof(text));
	assert_string_equal(text, "10.99.0.1 10.99.0.2 fd00::1");
	assert_false(is_up("first"));
	netdev_way_close(&way);
	rtnl_close(&rtnl);
	end(&child);
}

static void network_devices(void **state)
{
	const pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		move_devices();
		exit(0);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

/* ---- resctrl: no machine here has it. What the kernel does in a new directory is done by this. ---- */

static int tree_fd = FD_NONE;

static void make_file(int dir, const char *path, const char *text)
{
	_cleanup_close_ int fd = openat(dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void read_back(const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = openat(tree_fd, path, O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd >= 0 ? read(fd, buf, size - 1) : -1;

	if (n < 0)
		fail_msg("%s: %s", path, strerror(errno));
	buf[n] = '\0';
}

int __real_mkdirat(int dir, const char *path, mode_t mode);
int __wrap_mkdirat(int dir, const char *path, mode_t mode);
int __wrap_mkdirat(int dir, const char *path, mode_t mode)
{
	const int r = __real_mkdirat(dir, path, mode);

	if (r == 0 && tree_fd >= 0) {
		_cleanup_close_ int made = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		make_file(made, "tasks", "");
		if (!strstr(path, "mon_groups")) {
			make_file(made, "schemata", "");
			assert_int_equal(__real_mkdirat(made, "mon_groups", 0755), 0);
		}
	}
	return r;
}

/* As the kernel does: with what it made itself in it. */
int __real_unlinkat(int dir, const char *path, int flags);
int __wrap_unlinkat(int dir, const char *path, int flags);
int __wrap_unlinkat(int dir, const char *path, int flags)
{
	if (tree_fd >= 0 && (flags & AT_REMOVEDIR)) {
		static const char *const inside[] = { "tasks", "schemata" };
		char name[512];

		for (size_t i = 0; i < ARRAY_LEN(inside); i++) {
			snprintf(name, sizeof(name), "%s/%s", path, inside[i]);
			(void)__real_unlinkat(dir, name, 0);
		}
		snprintf(name, sizeof(name), "%s/mon_groups", path);
		(void)__real_unlinkat(dir, name, AT_REMOVEDIR);
	}
	return __real_unlinkat(dir, path, flags);
}

static void resctrl_lines(void **state)
{
	static const char schemata[] = "    MB:0=100;1= 50\n    L3:0=00ff;1=0f00\nL3CODE:0=1\n";

	(void)state;
	assert_true(resctrl_line_holds(schemata, "L3:0=ff;1=f00"));
	assert_true(resctrl_line_holds(schemata, "L3:1=F00"));
	assert_true(resctrl_line_holds(schemata, " MB:0=100"));
	assert_true(resctrl_line_holds(schemata, "L3CODE:0=1"));
	assert_false(resctrl_line_holds(schemata, "L3:0=fe"));
	assert_false(resctrl_line_holds(schemata, "L3:2=ff"));
	assert_false(resctrl_line_holds(schemata, "L2:0=ff"));
	assert_false(resctrl_line_holds(schemata, "L:0=ff"));
	assert_false(resctrl_line_holds("", "L3:0=ff"));
}

static void resctrl_groups(void **state)
{
	static const char *const lines[] = { "L3:0=ff", "MB:0=20", NULL };
	char dir[] = "/tmp/nsrun-rdt-XXXXXX", text[256];
	struct resctrl_group group = { .name = "web", .schemata = lines, .monitor = "id1", .may_make = true };
	struct resctrl_made made = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	assert_non_null(mkdtemp(dir));
	tree_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_file(tree_fd, "tasks", "");

	assert_int_equal(resctrl_make(tree_fd, &group, "linux.intelRdt", &made, &err), 0);
	assert_true(made.group && made.monitor);
	/* One write for each line; the last one is what a plain file shows of them. */
	read_back("web/schemata", text, sizeof(text));
	assert_string_equal(text, "MB:0=20\n");
	assert_int_equal(resctrl_place(tree_fd, &group, 4711, "linux.intelRdt", &err), 0);
	read_back("web/tasks", text, sizeof(text));
	assert_string_equal(text, "4711\n");
	read_back("web/mon_groups/id1/tasks", text, sizeof(text));
	assert_string_equal(text, "4711\n");

	/* A second container of the group: what it has is compared, and it stays when that one goes. */
	make_file(tree_fd, "web/schemata", "    MB:0=20\n    L3:0=ff\n");
	struct resctrl_made second = { 0 };
	struct resctrl_group joined = { .name = "web", .schemata = lines, .monitor = "id2", .may_make = true };
	assert_int_equal(resctrl_make(tree_fd, &joined, "linux.intelRdt", &second, &err), 0);
	assert_true(!second.group && second.monitor);
	static const char *const others[] = { "L3:0=f", NULL };
	joined.schemata = others;
	joined.monitor = "id3";
	struct resctrl_made none = { 0 };
	assert_true(resctrl_make(tree_fd, &joined, "linux.intelRdt", &none, &err) < 0);
	assert_int_equal(err.id, ERR_ID_RESCTRL_DIFFERS);
	assert_int_equal(faccessat(tree_fd, "web/mon_groups/id3", F_OK, 0), -1);
	joined.monitor = "id2";
	err = ERR_INIT;
	assert_int_equal(resctrl_remove(tree_fd, &joined, &second, &err), 0);
	assert_int_equal(faccessat(tree_fd, "web/mon_groups/id2", F_OK, 0), -1);
	assert_int_equal(faccessat(tree_fd, "web", F_OK, 0), 0);

	/* closID alone: it must be there. */
	struct resctrl_group absent = { .name = "nowhere" };
	assert_int_equal(resctrl_make(tree_fd, &absent, "linux.intelRdt", &none, &err), -ENOENT);
	assert_int_equal(err.id, ERR_ID_RESCTRL_GROUP);
	err = ERR_INIT;
	absent.name = "/";
	assert_int_equal(resctrl_make(tree_fd, &absent, "linux.intelRdt", &none, &err), 0);
	assert_false(none.group);

	assert_int_equal(resctrl_remove(tree_fd, &group, &made, &err), 0);
	assert_int_equal(faccessat(tree_fd, "web", F_OK, 0), -1);
	assert_int_equal(resctrl_remove(tree_fd, &group, &made, &err), 0); /* again: nothing to do */
	assert_int_equal(__real_unlinkat(tree_fd, "tasks", 0), 0);
	close(tree_fd);
	tree_fd = FD_NONE;
	assert_int_equal(rmdir(dir), 0);
}

/* ---- the filter's listener ---- */

static int receive(int socket, char *buf, size_t size)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec part = { .iov_base = buf, .iov_len = size - 1 };
	struct msghdr m = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	const ssize_t n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int fd = -1;

	assert_true(n > 0 && c && c->cmsg_type == SCM_RIGHTS);
	if (!c) /* the analyzer does not know that assert_true() does not return */
		return -1;
	buf[n] = '\0';
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	/* One message to a connection. */
	assert_int_equal(recv(socket, &control, 1, 0), 0);
	return fd;
}

/* `by_default` answers what no rule names. */
static void listener_of(uint32_t by_default, const char *const *notified, const char *const *allowed)
{
	char path[] = "/tmp/nsrun-notify-XXXXXX", text[64];
	const struct seccomp_rule rules[] = { { .names = notified, .action = SCMP_ACT_NOTIFY },
					      { .names = allowed, .action = SCMP_ACT_ALLOW } };
	const struct seccomp_rules all = {
		.default_action = by_default, .rules = rules, .n_rules = 2, .flags = SECCOMP_FILTER_FLAG_TSYNC
	};
	struct seccomp_program program = { 0 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct err err = ERR_INIT;

	assert_int_equal(seccomp_compile(&all, &program, &err), 0);
	assert_non_null(mkdtemp(path));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", path);
	_cleanup_close_ int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(server, 1), 0);
	const pid_t pid = fork();
	if (pid == 0) {
		int socket = FD_NONE;

		if (seccomp_listener_connect(address.sun_path, "x", &socket, &err) < 0 ||
		    creds_no_new_privs(&err) < 0 ||
		    seccomp_program_load_notify(&program, socket, "{\"a\":1}", "x", &err) < 0)
			syscall(SYS_exit_group, 1);
		/* mkdirat is handed on; the answer is the number that the test says. */
		syscall(SYS_exit_group, syscall(SYS_mkdirat, AT_FDCWD, "/tmp/never", 0) == 42 ? 0 : 2);
	}
	_cleanup_close_ int connection = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	assert_true(connection >= 0);
	_cleanup_close_ int listener = receive(connection, text, sizeof(text));
	assert_string_equal(text, "{\"a\":1}");
	for (;;) {
		struct seccomp_notif call = { 0 };
		struct seccomp_notif_resp answer = { 0 };

		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
			break;
		answer.id = call.id;
		if (call.data.nr == SYS_mkdirat)
			answer.val = 42;
		else
			answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) < 0)
			break;
		if (call.data.nr == SYS_mkdirat && by_default == SCMP_ACT_ALLOW)
			break;
		if (call.data.nr == SYS_exit_group)
			break;
	}
	int status;
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	seccomp_program_free(&program);
	unlink(address.sun_path);
	rmdir(path);
}

static void listeners(void **state)
{
	static const char *const mkdirs[] = { "mkdirat", NULL }, *const exits[] = { "exit", NULL };
	static const char *const sends[] = { "mkdirat", "sendmsg", "futex", "sched_yield", NULL };

	(void)state;
	listener_of(SCMP_ACT_ALLOW, mkdirs, exits);
	listener_of(SCMP_ACT_ALLOW, sends, exits);
	/* Every call is handed on, also those by which the descriptor is sent. */
	listener_of(SCMP_ACT_NOTIFY, mkdirs, exits);
}

static void no_listener(void **state)
{
	struct err err = ERR_INIT;
	int fd = FD_NONE;

	(void)state;
	assert_int_equal(seccomp_listener_connect("/nonexistent/s", "linux.seccomp.listenerPath", &fd, &err), -ENOENT);
	assert_int_equal(err.id, ERR_ID_SECCOMP_LISTENER);
	assert_string_equal(err.message, "linux.seccomp.listenerPath: /nonexistent/s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(schedulers),	  cmocka_unit_test(number_sets),     cmocka_unit_test(placement),
		cmocka_unit_test(procfs),	  cmocka_unit_test(network_devices), cmocka_unit_test(resctrl_lines),
		cmocka_unit_test(resctrl_groups), cmocka_unit_test(listeners),	     cmocka_unit_test(no_listener),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
