/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests of limits do inside a container: one static program, one word for each kind of load. Under emulation it is some ten times slower
 * than on hardware, a script with programs forty times: so all loops are here, and the test reads the kernel's files. A word that
 * says "until the end of standard input" ends with status 0 there, so that the test looks at the group as long as it wants.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1UL << 20)
#define HUGE_PAGE (2 * MIB)

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void say(const char *what)
{
	puts(what);
	fflush(stdout);
}

static void until_end_of_input(void)
{
	char buffer[64];

	while (read(0, buffer, sizeof(buffer)) > 0)
		;
}

static char *anonymous(size_t size, int flags)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* No huge pages, so that each page is charged as it is touched. */
static char *touched(size_t mib)
{
	char *p = anonymous(mib * MIB, 0);

	if (!p)
		exit(3);
	madvise(p, mib * MIB, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < mib * MIB; i += 4096)
		p[i] = (char)(i >> 12 | 1); /* nothing that zswap or KSM makes small */
	return p;
}

/* Memory in use until the end of standard input; each line of it touches all of it again. */
static int hold(size_t mib)
{
	char *p = touched(mib), byte;

	say("held");
	while (read(0, &byte, 1) == 1)
		if (byte == '\n') {
			for (size_t i = 0; i < mib * MIB; i += 4096)
				p[i]++;
			say("again");
		}
	return 0;
}

/* Where the memory is that this process touches, by node, and what it may use. */
static int place(size_t mib)
{
	char line[4096], file[32];
	const char *p = touched(mib);

	FILE *status = fopen("/proc/self/status", "re");
	while (status && fgets(line, sizeof(line), status))
		if (strncmp(line, "Cpus_allowed_list", 17) == 0 || strncmp(line, "Mems_allowed_list", 17) == 0)
			fputs(line, stdout);
	FILE *maps = fopen("/proc/self/numa_maps", "re");
	snprintf(file, sizeof(file), "%lx ", (unsigned long)p);
	while (maps && fgets(line, sizeof(line), maps))
		if (strncmp(line, file, strlen(file)) == 0)
			fputs(line, stdout);
	return 0;
}

/* `n` processes that use all processor time that they get, until the end of standard input. */
static int spin(int n)
{
	for (int i = 0; i < n; i++)
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				;
		}
	say("spinning");
	until_end_of_input();
	return 0;
}

static _Noreturn void storm(void)
{
	for (;;)
		if (fork() < 0)
			usleep(1000);
}

/* A fork storm: as many as there can be, each of which forks again; one that is killed is replaced at once. */
static int bomb(void)
{
	if (fork() == 0)
		storm();
	say("storm");
	until_end_of_input();
	return 0;
}

/* One in each of these groups, which are made below the container's own. A first process with status 7 at the end. */
static int storms(char **groups)
{
	for (; *groups; groups++) {
		char path[256];

		snprintf(path, sizeof(path), "/sys/fs/cgroup/%s", *groups);
		for (char *p = path + strlen("/sys/fs/cgroup/"); (p = strchr(p, '/')); *p++ = '/') {
			*p = '\0';
			mkdir(path, 0755);
		}
		mkdir(path, 0755);
		const pid_t pid = fork();
		if (pid == 0) {
			strcat(path, "/cgroup.procs");
			const int fd = open(path, O_WRONLY | O_CLOEXEC);
			if (fd < 0 || write(fd, "0", 1) != 1)
				_exit(1);
			storm();
		}
		usleep(200000);
		if (waitpid(pid, NULL, WNOHANG) != 0) {
			puts(*groups);
			return 1;
		}
	}
	say("storm");
	until_end_of_input();
	return 7;
}

/* Processes that stay, until the kernel refuses one or there are as many as asked for. Says how many and why. */
static int procs(int wanted)
{
	int made = 0;

	for (; made < wanted; made++) {
		const pid_t pid = fork();

		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			pause();
			_exit(0);
		}
		if (pid < 0)
			break;
	}
	printf("%d %s\n", made, made < wanted ? strerrorname_np(errno) : "all");
	fflush(stdout);
	until_end_of_input();
	return 0;
}

/* O_DIRECT, past the page cache: a limit acts on each request. Says how many seconds it took, then waits for the end of standard input. */
static int direct(const char *how, const char *path, size_t block, int count)
{
	const int writing = *how == 'w',
		  fd = open(path, (writing ? O_WRONLY | O_CREAT : O_RDONLY) | O_DIRECT | O_CLOEXEC, 0600);
	char *p = anonymous(block < MIB ? MIB : block, 0);

	if (fd < 0 || !p) {
		printf("%s: %s\n", path, strerrorname_np(errno));
		return 1;
	}
	memset(p, 'x', block);
	const double begin = now();
	for (int i = 0; i < count; i++) {
		const ssize_t n = writing ? pwrite(fd, p, block, (off_t)((size_t)i * block))
					  : pread(fd, p, block, (off_t)((size_t)i * block));

		if (n != (ssize_t)block) {
			printf("%s: %s after %d\n", path, n < 0 ? strerrorname_np(errno) : "short", i);
			return 1;
		}
	}
	printf("%.3f\n", now() - begin);
	fflush(stdout);
	until_end_of_input();
	return 0;
}

/* Direct reads by `n` processes, each in a part of its own, until the end of standard input: a queue that is never empty. */
static int compete(const char *path, int n, size_t part)
{
	for (int i = 0; i < n; i++)
		if (fork() == 0) {
			const int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
			char *p = anonymous(MIB, 0);

			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (size_t k = 0;; k = (k + 65536) % part)
				if (!p || pread(fd, p, 65536, (off_t)((size_t)i * part + k)) != 65536)
					_exit(1);
		}
	say("competing");
	until_end_of_input();
	return 0;
}

static void bus_error(int number)
{
	static const char text[] = "SIGBUS\n";

	(void)number;
	_exit(write(1, text, sizeof(text) - 1) > 0 ? 0 : 1);
}

/* Huge pages, one after the other, each mapped and touched; says each, and how the one went that was refused. */
static int huge(int count)
{
	signal(SIGBUS, bus_error);
	for (int i = 0; i < count; i++) {
		char *p = anonymous(HUGE_PAGE, MAP_HUGETLB | 21 << MAP_HUGE_SHIFT);

		if (!p) {
			say(strerrorname_np(errno));
			return 0;
		}
		*p = 1;
		say("page");
	}
	say("all");
	until_end_of_input();
	return 0;
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "", *arg = argc > 2 ? argv[2] : "0";

	if (strcmp(word, "hold") == 0)
		return hold(strtoul(arg, NULL, 10));
	if (strcmp(word, "place") == 0)
		return place(strtoul(arg, NULL, 10));
	if (strcmp(word, "spin") == 0)
		return spin(atoi(arg));
	if (strcmp(word, "bomb") == 0)
		return bomb();
	if (strcmp(word, "storms") == 0)
		return storms(argv + 2);
	if (strcmp(word, "procs") == 0)
		return procs(atoi(arg));
	if (strcmp(word, "direct") == 0 && argc == 6)
		return direct(arg, argv[3], strtoul(argv[4], NULL, 10), atoi(argv[5]));
	if (strcmp(word, "compete") == 0 && argc == 5)
		return compete(arg, atoi(argv[3]), strtoul(argv[4], NULL, 10));
	if (strcmp(word, "huge") == 0)
		return huge(atoi(arg));
	return 64;
}
