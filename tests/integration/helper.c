/* SPDX-License-Identifier: Apache-2.0 */
/* What tests do inside a container and no busybox applet does. One static program, one word for each deed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BAD ((void *)1)
/* Each call in a child of its own: one that succeeds, or is killed, must not change the next ones. */
#define TRY(name, call)                                                                   \
	do {                                                                              \
		fflush(stdout);                                                           \
		pid_t pid_ = fork();                                                      \
		if (pid_ == 0) {                                                          \
			errno = 0;                                                        \
			long ret_ = (call);                                               \
			printf("%s %s\n", name, ret_ < 0 ? strerrorname_np(errno) : "0"); \
			fflush(stdout);                                                   \
			_exit(0);                                                         \
		}                                                                         \
		int status_ = 0;                                                          \
		waitpid(pid_, &status_, 0);                                               \
		if (WIFSIGNALED(status_))                                                 \
			printf("%s SIG%s\n", name, sigabbrev_np(WTERMSIG(status_)));      \
	} while (0)

#ifdef __x86_64__
static long int80(long nr)
{
	long ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(nr) : "memory", "r8", "r9", "r10", "r11");
	if (ret < 0 && ret > -4096) {
		errno = (int)-ret;
		return -1;
	}
	return ret;
}
#endif

/* Bad pointers on purpose: without a filter the kernel answers something other than EPERM, so that a missing filter is seen
 * even where a missing capability would answer EPERM later. */
static int syscalls(void)
{
	char b[64] = "";

	TRY("mount", syscall(SYS_mount, BAD, "/tmp", BAD, 0, 0));
	TRY("umount2", syscall(SYS_umount2, BAD, 0));
	TRY("pivot_root", syscall(SYS_pivot_root, BAD, BAD));
	TRY("open_tree", syscall(SYS_open_tree, -1, BAD, 0));
	TRY("fsopen", syscall(SYS_fsopen, BAD, 0x80));
	TRY("move_mount", syscall(SYS_move_mount, -1, BAD, -1, BAD, 0));
	TRY("mount_setattr", syscall(SYS_mount_setattr, -1, BAD, 0, BAD, 1 << 20));
	TRY("unshare-user", unshare(CLONE_NEWUSER));
	TRY("clone-user", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
	TRY("clone-plain", syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
	TRY("clone3", syscall(SYS_clone3, BAD, 64));
	TRY("setns", syscall(SYS_setns, -1, 0));
	TRY("io_uring_setup", syscall(SYS_io_uring_setup, 1, BAD));
	TRY("io_uring_enter", syscall(SYS_io_uring_enter, -1, 0, 0, 0, 0, 0));
	TRY("io_uring_register", syscall(SYS_io_uring_register, -1, 0, 0, 0));
	TRY("keyctl", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 1));
	TRY("add_key", syscall(SYS_add_key, "user", "nsrun", "x", 1, KEY_SPEC_PROCESS_KEYRING));
	TRY("request_key", syscall(SYS_request_key, BAD, BAD, 0, 0));
	TRY("userfaultfd", syscall(SYS_userfaultfd, 1));
	TRY("vmsplice", syscall(SYS_vmsplice, -1, BAD, 1, 0));
	TRY("bpf", syscall(SYS_bpf, 0, b, 1 << 20));
	TRY("perf_event_open", syscall(SYS_perf_event_open, BAD, 0, -1, -1, 0));
	TRY("open_by_handle_at", syscall(SYS_open_by_handle_at, -1, BAD, 0));
	TRY("reboot", syscall(SYS_reboot, 0, 0, 0, 0));
	TRY("swapon", syscall(SYS_swapon, BAD, 0));
	TRY("acct", syscall(SYS_acct, BAD));
	TRY("unknown", syscall(1999));
	TRY("tiocsti", ioctl(0, TIOCSTI, "x"));
	/* the kernel takes the command as 32 bits: a filter that compares 64 is passed by a high bit */
	TRY("tiocsti-high", syscall(SYS_ioctl, 0, (1UL << 32) | TIOCSTI, "x"));
	TRY("tioclinux", ioctl(0, TIOCLINUX, "\x02"));
	TRY("tiocgwinsz", ioctl(0, TIOCGWINSZ, b));
	TRY("unix", socket(AF_UNIX, SOCK_STREAM, 0));
	TRY("inet", socket(AF_INET, SOCK_STREAM, 0));
	TRY("inet6", socket(AF_INET6, SOCK_STREAM, 0));
	TRY("netlink", socket(AF_NETLINK, SOCK_RAW, 0));
	TRY("alg", socket(38, SOCK_SEQPACKET, 0));
	TRY("packet", socket(AF_PACKET, SOCK_RAW, 0));
	TRY("vsock", socket(40, SOCK_STREAM, 0));
	TRY("bluetooth", socket(31, SOCK_RAW, 0));
	TRY("xdp", socket(44, SOCK_RAW, 0));
#ifdef __x86_64__
	TRY("modify_ldt", syscall(SYS_modify_ldt, 0, b, sizeof(b)));
	TRY("int80", int80(20) == getpid() ? 0 : -1);
	TRY("x32", syscall(0x40000000 | SYS_getpid));
#endif
	return 0;
}

static int fds(void)
{
	for (int fd = 0; fd < 65536; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("%d\n", fd);
	return 0;
}

/* The classical way out of a chroot, and a plain walk by "..": both must end at the container's own root. */
static int escape(void)
{
	struct stat root, now;
	int fd = open("/", O_RDONLY | O_DIRECTORY);

	stat("/", &root);
	for (int i = 0; i < 100; i++)
		if (chdir("..") != 0)
			return 2;
	stat(".", &now);
	printf("walk %s\n", now.st_dev == root.st_dev && now.st_ino == root.st_ino ? "same" : "ESCAPED");
	printf("chroot %s\n", chroot("/tmp") == 0 ? "done" : strerrorname_np(errno));
	fchdir(fd);
	for (int i = 0; i < 100; i++)
		if (chdir("..") != 0)
			return 2;
	stat(".", &now);
	printf("after %s\n", now.st_dev == root.st_dev && now.st_ino == root.st_ino ? "same" : "ESCAPED");
	return 0;
}

static int abstract(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strncpy(address.sun_path + 1, name, sizeof(address.sun_path) - 2);
	if (connect(fd, (struct sockaddr *)&address,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name))) != 0)
		puts(strerrorname_np(errno));
	else
		puts("0");
	return 0;
}

/* Touches memory a MiB at a time and says how far it came. */
static int hog(int mib)
{
	for (int i = 1; i <= mib; i++) {
		char *p = malloc(1 << 20);

		if (!p)
			return 3;
		memset(p, i, 1 << 20);
	}
	printf("touched %d\n", mib);
	return 0;
}

/* Forks until the kernel says no. */
static int forks(int wanted)
{
	int made = 0;

	while (made < wanted) {
		pid_t pid = fork();

		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			pause();
			_exit(0);
		}
		if (pid < 0) {
			printf("%d %s\n", made, strerrorname_np(errno));
			return 0;
		}
		made++;
	}
	printf("%d all\n", made);
	return 0;
}

/* `n` processes that are never the same for long: each forks and ends, the child goes on so, for half a minute at most. */
static int storm(int n)
{
	const time_t end = time(NULL) + 30;

	signal(SIGCHLD, SIG_IGN);
	for (int i = 0; i < n; i++) {
		if (fork() != 0)
			continue;
		setsid();
		while (time(NULL) < end)
			if (fork() > 0)
				_exit(0);
		_exit(0);
	}
	return 0;
}

static double seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Uses as much of one processor as it gets; prints the share. */
static int burn(double wall)
{
	double begin = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);

	while (seconds(CLOCK_MONOTONIC) - begin < wall)
		;
	printf("%.3f\n", (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (seconds(CLOCK_MONOTONIC) - begin));
	return 0;
}

/* Leaves `n` orphans that end at once: zombies until the process that they fall to reaps them. */
static int orphans(int n)
{
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			if (fork() == 0)
				usleep(1000);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
	usleep(300000);
	return 0;
}

/* Out of every bond to the runtime that a process can leave by itself. */
static _Noreturn void stubborn(void)
{
	prctl(PR_SET_PDEATHSIG, 0);
	for (int i = 1; i < 65; i++)
		signal(i, SIG_IGN);
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}

/* A set-uid program's question: who am I? */
static int euid(void)
{
	printf("%d\n", (int)geteuid());
	return 0;
}

static int create(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0644);

	puts(fd < 0 ? strerrorname_np(errno) : "0");
	return 0;
}

/* "monotonic SECONDS" and "boottime SECONDS", as this process has them, by the vDSO and by the system call. */
static int clocks(void)
{
	static const struct {
		clockid_t clock;
		const char *name;
	} all[] = { { CLOCK_MONOTONIC, "monotonic" },
		    { CLOCK_BOOTTIME, "boottime" },
		    { CLOCK_MONOTONIC_RAW, "monotonic_raw" } };

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		struct timespec fast, slow;

		clock_gettime(all[i].clock, &fast);
		syscall(SYS_clock_gettime, all[i].clock, &slow);
		printf("%s %.3f %.3f\n", all[i].name, (double)fast.tv_sec + (double)fast.tv_nsec / 1e9,
		       (double)slow.tv_sec + (double)slow.tv_nsec / 1e9);
	}
	return 0;
}

static void tell(const char *what, bool done)
{
	printf("%s %s\n", what, done ? "DONE" : strerrorname_np(errno));
}

static void look(pid_t pid, const char *name, int flags)
{
	char path[64], what[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	snprintf(what, sizeof(what), "%s%s", name, flags & O_WRONLY ? "(write)" : "");
	const int fd = open(path, flags | O_NONBLOCK);
	char byte;
	tell(what, fd >= 0 && ((flags & (O_DIRECTORY | O_WRONLY | O_PATH)) || read(fd, &byte, 1) >= 0));
	if (fd >= 0)
		close(fd);
}

/* What one process can do to another: each line is DONE or the errno. */
static int attack(pid_t pid)
{
	char buffer[8];
	struct iovec here = { buffer, sizeof(buffer) }, there = { (void *)0x400000, sizeof(buffer) };
	const int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	tell("kill", kill(pid, 0) == 0);
	tell("ptrace", ptrace(PTRACE_SEIZE, pid, 0, 0) == 0);
	tell("process_vm_readv", process_vm_readv(pid, &here, 1, &there, 1, 0) >= 0);
	tell("pidfd_getfd", syscall(SYS_pidfd_getfd, pidfd, 0, 0) >= 0);
	tell("setns", setns(pidfd, CLONE_NEWNS) == 0);
	look(pid, "environ", O_RDONLY);
	look(pid, "mem", O_RDONLY);
	look(pid, "maps", O_RDONLY);
	look(pid, "root/", O_RDONLY | O_DIRECTORY);
	look(pid, "cwd/", O_RDONLY | O_DIRECTORY);
	look(pid, "exe", O_RDONLY);
	look(pid, "fd/0", O_RDONLY);
	look(pid, "ns/mnt", O_RDONLY);
	look(pid, "oom_score_adj", O_WRONLY);
	look(pid, "comm", O_WRONLY);
	tell("setpriority", setpriority(PRIO_PROCESS, (id_t)pid, 5) == 0);
	return 0;
}

/* Changes to the network that CAP_NET_ADMIN and CAP_NET_RAW over it would allow. */
static int net_attack(const char *interface)
{
	struct ifreq request = { 0 };
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	tell("flags(read)", ioctl(fd, SIOCGIFFLAGS, &request) == 0);
	request.ifr_flags ^= IFF_PROMISC;
	tell("flags", ioctl(fd, SIOCSIFFLAGS, &request) == 0);
	request.ifr_mtu = 1400;
	tell("mtu", ioctl(fd, SIOCSIFMTU, &request) == 0);
	tell("packet", socket(AF_PACKET, SOCK_RAW, 0) >= 0);
	tell("raw", socket(AF_INET, SOCK_RAW, 1) >= 0);
	const int forward = open("/proc/sys/net/ipv4/ip_forward", O_WRONLY);
	tell("ip_forward", forward >= 0 && write(forward, "1", 1) == 1);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "nsrun-test0");
	const int tun = open("/dev/net/tun", O_RDWR);
	tell("tun", tun >= 0);
	return 0;
}

/* Looks at every other process but PID 1 that is called `name`, for some seconds, and says what of it could be reached. It counts only when the
 * name is the same after: the process could have executed its program meanwhile. */
static bool is_called(const char *pid, const char *name)
{
	char path[300], text[32] = "";

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 0 && strncmp(text, name, strlen(name)) == 0 && text[strlen(name)] == '\n';
}

static void spy_caps(const char *pid, const char *name)
{
	static char told[16][64]; /* each once, or nobody would read it all */
	char path[300], line[64];

	snprintf(path, sizeof(path), "/proc/%s/status", pid);
	FILE *file = fopen(path, "re");

	while (file && fgets(line, sizeof(line), file))
		for (int i = 0; i < 16 && strncmp(line, "CapPrm:", 7) == 0 && strcmp(line, told[i]) != 0; i++)
			if (!told[i][0] && is_called(pid, name)) {
				strcpy(told[i], line);
				printf("caps %s", line + 8);
				break;
			}
	if (file)
		fclose(file);
}

static void spy_one(const char *pid, const char *name)
{
	static const char *const links[] = { "exe", "cwd", "root", "fd/0", "fd/3", "fd/4", "fd/5", "ns/mnt" };
	static const char *const files[] = { "mem", "environ", "maps", "auxv", "stack", "io", "syscall" };
	char path[300], target[256];
	bool reached[40] = { 0 };
	size_t k = 0;

	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++, k++) {
		snprintf(path, sizeof(path), "/proc/%s/%s", pid, links[i]);
		reached[k] = readlink(path, target, sizeof(target)) >= 0;
	}
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++, k++) {
		snprintf(path, sizeof(path), "/proc/%s/%s", pid, files[i]);
		int fd = open(path, O_RDONLY);

		reached[k] = fd >= 0 && read(fd, target, 1) > 0;
		if (fd >= 0)
			close(fd);
	}
	bool seized = ptrace(PTRACE_SEIZE, atoi(pid), 0, 0) == 0;
	if (!is_called(pid, name))
		memset(reached, 0, sizeof(reached));
	else if (seized)
		printf("ptrace of %s\n", name);
	if (seized) {
		ptrace(PTRACE_INTERRUPT, atoi(pid), 0, 0);
		waitpid(atoi(pid), NULL, __WALL);
		ptrace(PTRACE_DETACH, atoi(pid), 0, 0);
	}
	for (size_t i = 0; i < k; i++)
		if (reached[i])
			printf("%s of %s\n",
			       i < sizeof(links) / sizeof(*links) ? links[i]
								  : files[i - sizeof(links) / sizeof(*links)],
			       name);
}

static int spy(const char *name, int seconds, bool touch)
{
	unsigned seen = 0;

	puts("spying");
	fflush(stdout);
	for (time_t end = time(NULL) + seconds; time(NULL) < end;) {
		DIR *dir = opendir("/proc");

		for (struct dirent *d; dir && (d = readdir(dir));)
			if (atoi(d->d_name) > 1 && atoi(d->d_name) != getpid() && is_called(d->d_name, name)) {
				seen++;
				spy_caps(d->d_name, name);
				if (touch)
					spy_one(d->d_name, name);
			}
		closedir(dir);
	}
	printf("seen %u\n", seen);
	return 0;
}

/* keyctl(2): the label of the session keyring. */
static int keyring(void)
{
	char label[256] = "";

	if (syscall(SYS_keyctl, KEYCTL_GET_SECURITY, KEY_SPEC_SESSION_KEYRING, label, sizeof(label) - 1) < 0)
		printf("errno %d\n", errno);
	else
		printf("%s\n", label);
	return 0;
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "euid";
	const char *arg = argc > 2 ? argv[2] : "0";

	if (strcmp(word, "syscalls") == 0)
		return syscalls();
	if (strcmp(word, "fds") == 0)
		return fds();
	if (strcmp(word, "escape") == 0)
		return escape();
	if (strcmp(word, "abstract") == 0)
		return abstract(arg);
	if (strcmp(word, "hog") == 0)
		return hog(atoi(arg));
	if (strcmp(word, "forks") == 0)
		return forks(atoi(arg));
	if (strcmp(word, "storm") == 0)
		return storm(atoi(arg));
	if (strcmp(word, "burn") == 0)
		return burn(atof(arg));
	if (strcmp(word, "orphans") == 0)
		return orphans(atoi(arg));
	if (strcmp(word, "stubborn") == 0)
		stubborn();
	if (strcmp(word, "clocks") == 0)
		return clocks();
	if (strcmp(word, "attack") == 0)
		return attack(atoi(arg));
	if (strcmp(word, "net-attack") == 0)
		return net_attack(arg);
	if (strcmp(word, "spy") == 0 && argc > 3)
		return spy(arg, atoi(argv[3]), true);
	if (strcmp(word, "spy-caps") == 0 && argc > 3)
		return spy(arg, atoi(argv[3]), false);
	if (strcmp(word, "create") == 0)
		return create(arg);
	if (strcmp(word, "keyring") == 0)
		return keyring();
	if (strcmp(word, "euid") == 0)
		return euid();
	return 64;
}
