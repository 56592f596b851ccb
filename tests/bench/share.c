/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's own share of a default launch: the same system calls as `nsrun --userns-remap USER ROOTFS CMD`, with nothing around them.
 * No options are understood, no plan is made, no path is looked up twice, no message is worded; whatever nsrun needs on top of this
 * program's time is nsrun's. It is a yardstick and not a runtime: it trusts ROOTFS completely.
 *
 *	share V2_MOUNT FIRST_ID COUNT own|idmap ROOTFS CMD [ARG...]
 *
 * "own": the tree belongs to the ids already; "idmap": it belongs to host root and is mounted through the map. The rows of
 * include/nsrun/launch/score_table.h stand beside the lines that correspond to them; a change there belongs here too.
 */
#include <nsrun/plan/seccomp_builtin.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MUST(expression)                                                             \
	({                                                                           \
		long _r = (long)(expression);                                        \
		if (_r < 0) {                                                        \
			dprintf(2, "share: %s: %s\n", #expression, strerror(errno)); \
			_exit(125);                                                  \
		}                                                                    \
		(int)_r;                                                             \
	})

static int make_fs(const char *type, const char *const (*options)[2], unsigned attr)
{
	int fd = MUST(fsopen(type, FSOPEN_CLOEXEC)), mount;

	MUST(fsconfig(fd, FSCONFIG_SET_STRING, "source", type, 0));
	for (; options && (*options)[0]; options++)
		MUST(fsconfig(fd, FSCONFIG_SET_STRING, (*options)[0], (*options)[1], 0));
	MUST(fsconfig(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	mount = MUST(fsmount(fd, FSMOUNT_CLOEXEC, attr));
	close(fd);
	return mount;
}

static int open_in(int root, const char *path)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

static void attach(int mount, int target)
{
	MUST(move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
	close(target);
}

static void attach_at(int mount, int dir, const char *path)
{
	attach(mount, MUST(open_in(dir, path)));
}

static int clone_of(int fd, bool recursive)
{
	return MUST(open_tree(fd, "",
			      AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0)));
}

#define TRICKS (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

/* etc.mount: a file of the container's own over one that the rootfs has */
static void bind_text(int root, int dev, const char *path, const char *text)
{
	const char *name = strrchr(path, '/') + 1;
	int target = open_in(root, path), dir, file, mount;

	if (target < 0)
		return;
	dir = MUST(openat(dev, "pts", O_PATH | O_DIRECTORY | O_CLOEXEC));
	file = MUST(openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
	MUST(write(file, text, strlen(text)));
	mount = clone_of(file, false);
	attach(mount, target);
	close(mount);
	close(file);
	close(dir);
}

/* dev.mount, dev.nodes, dev.links, etc.mount, pts.mount, shm.mount, mqueue.mount */
static int make_dev(int root)
{
	static const char *const dev_options[][2] = { { "mode", "0755" }, { "size", "64k" }, { NULL, NULL } };
	static const char *const pts_options[][2] = {
		{ "ptmxmode", "0666" }, { "mode", "0620" }, { "gid", "5" }, { NULL, NULL }
	};
	static const char *const shm_options[][2] = { { "mode", "1777" }, { "size", "67108864" }, { NULL, NULL } };
	static const char *const nodes[] = { "/dev/null",   "/dev/zero",    "/dev/full",
					     "/dev/random", "/dev/urandom", "/dev/tty" };
	static const char *const links[][2] = {
		{ "/proc/self/fd", "fd" },	 { "/proc/self/fd/0", "stdin" }, { "/proc/self/fd/1", "stdout" },
		{ "/proc/self/fd/2", "stderr" }, { "pts/ptmx", "ptmx" },
	};
	int dev = make_fs("tmpfs", dev_options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);

	attach_at(dev, root, "dev");
	MUST(mkdirat(dev, "pts", 0755));
	MUST(mkdirat(dev, "shm", 0755));
	MUST(mkdirat(dev, "mqueue", 0755));
	for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
		int node = MUST(open(nodes[i], O_PATH | O_NOFOLLOW | O_CLOEXEC)), mount = clone_of(node, false);
		int target = MUST(openat(dev, nodes[i] + 5, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));

		close(node);
		attach(mount, target);
		close(mount);
	}
	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		MUST(symlinkat(links[i][0], dev, links[i][1]));
	bind_text(root, dev, "etc/hosts",
		  "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\tbench\n");
	bind_text(root, dev, "etc/hostname", "bench\n");
	attach_at(make_fs("devpts", pts_options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC), dev, "pts");
	attach_at(make_fs("tmpfs", shm_options, TRICKS), dev, "shm");
	attach_at(make_fs("mqueue", NULL, TRICKS), dev, "mqueue");
	return dev;
}

/* paths.readonly, paths.mask: the lists of runtime/plan/confinement.c */
static void protect_paths(int proc, int sys, int dev)
{
	static const char *const readonly[] = { "bus", "fs", "irq", "pressure", "sys", "sysrq-trigger" };
	static const char *const masked[] = {
		"acpi",	       "asound", "interrupts", "kcore",	   "keys",	 "key-users",	"latency_stats",
		"sched_debug", "scsi",	 "slabinfo",   "softirqs", "timer_list", "timer_stats",
	};
	static const char *const masked_sys[] = { "devices/virtual/powercap", "firmware",     "class/thermal",
						  "devices/virtual/thermal",  "kernel/notes", "kernel/slab",
						  "kernel/vmcoreinfo" };
	static const char *const empty_options[][2] = {
		{ "size", "0" }, { "nr_inodes", "1" }, { "mode", "0555" }, { NULL, NULL }
	};
	int null = MUST(openat(dev, "null", O_PATH | O_CLOEXEC)), empty = -1;
	long cpus = sysconf(_SC_NPROCESSORS_CONF);

	for (size_t i = 0; i < ARRAY_LEN(readonly); i++) {
		struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
		int target = open_in(proc, readonly[i]), mount;

		if (target < 0)
			continue;
		mount = clone_of(target, true);
		MUST(mount_setattr(mount, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)));
		attach(mount, target);
		close(mount);
	}
	for (size_t i = 0; i < ARRAY_LEN(masked) + ARRAY_LEN(masked_sys) + (size_t)cpus; i++) {
		char cpu[64];
		const char *path = cpu;
		struct stat st;
		int target, cover;

		if (i < ARRAY_LEN(masked))
			path = masked[i];
		else if (i < ARRAY_LEN(masked) + ARRAY_LEN(masked_sys))
			path = masked_sys[i - ARRAY_LEN(masked)];
		else
			snprintf(cpu, sizeof(cpu), "devices/system/cpu/cpu%zu/thermal_throttle",
				 i - ARRAY_LEN(masked) - ARRAY_LEN(masked_sys));
		target = open_in(i < ARRAY_LEN(masked) ? proc : sys, path);
		if (target < 0)
			continue;
		MUST(fstat(target, &st));
		if (!S_ISDIR(st.st_mode))
			cover = clone_of(null, false);
		else if (empty >= 0)
			cover = clone_of(empty, false);
		else
			empty = cover = make_fs("tmpfs", empty_options, TRICKS | MOUNT_ATTR_RDONLY);
		attach(cover, target);
		if (cover != empty)
			close(cover);
	}
}

/* caps.bound to seccomp.load */
static void confine(const struct builtin_filter *filter)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };
	struct sock_fprog program = { .len = filter->program.len,
				      .filter = (struct sock_filter *)filter->program.insns };

	for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (!(filter->caps & UINT64_C(1) << cap))
			MUST(prctl(PR_CAPBSET_DROP, cap, 0, 0, 0));
	MUST(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
	MUST(syscall(SYS_setgroups, 0, NULL));
	MUST(syscall(SYS_setresgid, 0, 0, 0));
	MUST(syscall(SYS_setresuid, 0, 0, 0));
	MUST(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
	MUST(chdir("/"));
	for (int i = 0; i < 2; i++)
		data[i].effective = data[i].permitted = (uint32_t)(filter->caps >> 32 * i);
	MUST(syscall(SYS_capset, &header, data));
	MUST(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	MUST(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, filter->program.flags, &program));
}

static void init(int channel, int tree, char **argv, const struct builtin_filter *filter)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID };
	struct ifreq lo = { .ifr_name = "lo" };
	int proc, sys, dev, net;
	sigset_t none;
	char c;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (read(channel, &c, 1) != 1) /* sync.placed */
		_exit(125);
	MUST(syscall(SYS_setgroups, 0, NULL));
	MUST(syscall(SYS_setresgid, 0, 0, 0));
	MUST(syscall(SYS_setresuid, 0, 0, 0));
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	(void)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
	MUST(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	MUST(mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)));
	MUST(move_mount(tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH));
	proc = make_fs("proc", NULL, TRICKS);
	attach_at(proc, tree, "proc");
	sys = make_fs("sysfs", NULL, TRICKS | MOUNT_ATTR_RDONLY);
	attach_at(sys, tree, "sys");
	dev = make_dev(tree);
	protect_paths(proc, sys, dev);
	MUST(sethostname("0123456789ab", 12));
	net = MUST(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	MUST(ioctl(net, SIOCGIFFLAGS, &lo));
	lo.ifr_flags |= IFF_UP;
	MUST(ioctl(net, SIOCSIFFLAGS, &lo));
	MUST(fchdir(tree));
	MUST(syscall(SYS_pivot_root, ".", "."));
	MUST(umount2(".", MNT_DETACH));
	MUST(chdir("/"));
	MUST(setsid());
	MUST(close_range(3, ~0U, CLOSE_RANGE_CLOEXEC));
	sigemptyset(&none);
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	confine(filter);
	execve(argv[0], argv, (char *[]){ "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL });
	_exit(127);
}

static void write_file(const char *path, const char *text)
{
	int fd = MUST(open(path, O_WRONLY | O_CLOEXEC));

	MUST(write(fd, text, strlen(text)));
	close(fd);
}

static void place(pid_t pid, const char *first, const char *count, bool idmap, int tree)
{
	char path[64], map[64];

	snprintf(map, sizeof(map), "0 %s %s\n", first, count);
	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	write_file(path, map);
	snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
	write_file(path, map);
	if (idmap) {
		struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
		int userns;

		snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
		userns = MUST(open(path, O_RDONLY | O_CLOEXEC));
		attr.userns_fd = (unsigned)userns;
		MUST(mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)));
		close(userns);
	}
}

static const struct builtin_filter *default_filter(void)
{
	for (size_t i = 0; i < n_builtin_filters; i++)
		if (strcmp(builtin_filters[i].profile, "default") == 0)
			return &builtin_filters[i];
	return &builtin_filters[0];
}

int main(int argc, char **argv)
{
	struct clone_args args = {
		.flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS |
			 CLONE_NEWCGROUP | CLONE_PIDFD | CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
	};
	int tree, cgroup, pidfd = -1, channel[2];
	char group[256];
	siginfo_t info;
	pid_t pid;

	if (argc < 7) {
		dprintf(2, "usage: share V2_MOUNT FIRST_ID COUNT own|idmap ROOTFS CMD [ARG...]\n");
		return 2;
	}
	snprintf(group, sizeof(group), "%s/nsrun", argv[1]); /* cgroup.create */
	if (mkdir(group, 0755) < 0 && errno != EEXIST)
		MUST(-1);
	snprintf(group, sizeof(group), "%s/nsrun/share-%d", argv[1], getpid());
	MUST(mkdir(group, 0755));
	cgroup = MUST(open(group, O_PATH | O_DIRECTORY | O_CLOEXEC));
	tree = MUST(open_tree(AT_FDCWD, argv[5], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel));
	args.pidfd = (uint64_t)(uintptr_t)&pidfd;
	args.cgroup = (uint64_t)cgroup;
	pid = (pid_t)MUST(syscall(SYS_clone3, &args, sizeof(args)));
	if (pid == 0) {
		close(channel[0]);
		init(channel[1], tree, argv + 6, default_filter());
	}
	close(channel[1]);
	place(pid, argv[2], argv[3], strcmp(argv[4], "idmap") == 0, tree);
	close(tree);
	MUST(write(channel[0], "", 1));
	MUST(waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED));
	while (rmdir(group) < 0) {
		if (errno != EBUSY)
			MUST(-1);
		sched_yield();
	}
	return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}
