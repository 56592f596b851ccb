/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probe: run as the workload, it prints as one JSON object all that a process can tell about its own confinement. It is
 * static, reads and never writes, and words what it may not read as "errno NAME", since that is a fact as well. What varies from run to
 * run (inode numbers, device numbers, container ids) is for the reader to normalise: tests/integration/test_probe.py.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/keyctl.h>
#include <linux/securebits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

extern char **environ;

static bool first = true; /* no comma is due */

static void print_string(const char *text)
{
	putchar('"');
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p == '"' || *p == '\\')
			printf("\\%c", *p);
		else if (*p < 0x20 || *p >= 0x7f)
			printf("\\u%04x", *p); /* bytes as Latin-1: lossless for the reader */
		else
			putchar(*p);
	}
	putchar('"');
}

static void comma(void)
{
	if (!first)
		putchar(',');
	first = false;
}

static void key(const char *name)
{
	comma();
	putchar('\n');
	print_string(name);
	printf(": ");
}

static void open_list(const char *name)
{
	key(name);
	putchar('[');
	first = true;
}

static void open_object(const char *name)
{
	if (name)
		key(name);
	else
		comma();
	putchar('{');
	first = true;
}

static void close_with(char bracket)
{
	putchar(bracket);
	first = false;
}

static void item(const char *text)
{
	comma();
	print_string(text);
}

static void string(const char *name, const char *value)
{
	key(name);
	print_string(value);
}

static void number(const char *name, long long value)
{
	key(name);
	printf("%lld", value);
}

static const char *failure(void)
{
	static char text[64];
	snprintf(text, sizeof(text), "errno %s", strerrorname_np(errno));
	return text;
}

static void number_or_errno(const char *name, long long value)
{
	if (value < 0)
		string(name, failure());
	else
		number(name, value);
}

/* A whole small file, without its last newline; NULL and errno on failure. */
static char *read_file(const char *path)
{
	static char data[1 << 18];
	size_t used = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	for (;;) {
		ssize_t n = read(fd, data + used, sizeof(data) - 1 - used);
		if (n < 0) {
			int saved = errno;
			close(fd);
			errno = saved;
			return NULL;
		}
		if (n == 0)
			break;
		used += (size_t)n;
	}
	close(fd);
	if (used > 0 && data[used - 1] == '\n')
		used--;
	data[used] = '\0';
	return data;
}

static void file(const char *name, const char *path)
{
	char *data = read_file(path);
	string(name, data ? data : failure());
}

/* A file's lines with blanks squeezed, since maps are padded. */
static void file_lines(const char *name, const char *path)
{
	char *save = NULL, *data = read_file(path);
	if (!data) {
		string(name, failure());
		return;
	}
	open_list(name);
	for (char *line = strtok_r(data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *out = line;
		bool blank = true; /* none at the beginning */
		for (char *in = line; *in; in++) {
			bool is_blank = *in == ' ' || *in == '\t';
			if (!is_blank || !blank)
				*out++ = is_blank ? ' ' : *in;
			blank = is_blank;
		}
		if (out > line && out[-1] == ' ')
			out--;
		*out = '\0';
		item(line);
	}
	close_with(']');
}

/* The lines of /proc/self/status that say what this process may do. */
static void status(void)
{
	static const char *const wanted[] = {
		"Umask",  "TracerPid", "Uid",	     "Gid",	"Groups",	   "NSpid",	  "NSpgid",
		"NSsid",  "SigBlk",    "SigIgn",     "SigCgt",	"CapInh",	   "CapPrm",	  "CapEff",
		"CapBnd", "CapAmb",    "NoNewPrivs", "Seccomp", "Seccomp_filters", "THP_enabled", NULL
	};
	char *save = NULL, *data = read_file("/proc/self/status");
	if (!data) {
		string("status", failure());
		return;
	}
	open_object("status");
	for (char *line = strtok_r(data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *value = strchr(line, ':');
		if (!value)
			continue;
		*value++ = '\0';
		for (int i = 0; wanted[i]; i++) {
			if (strcmp(line, wanted[i]) != 0)
				continue;
			for (char *p = value; *p; p++)
				if (*p == '\t')
					*p = ' ';
			value += strspn(value, " ");
			for (size_t n = strlen(value); n > 0 && value[n - 1] == ' '; n--)
				value[n - 1] = '\0';
			string(line, value);
		}
	}
	close_with('}');
}

static void processes(void)
{
	number("pid", getpid());
	number("ppid", getppid());
	number("pgid", getpgrp());
	number("sid", getsid(0));
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	string("controlling_terminal", fd < 0 ? failure() : "yes");
	if (fd >= 0)
		close(fd);
}

static void flags(void)
{
	int pdeathsig = -1;
	number_or_errno("dumpable", prctl(PR_GET_DUMPABLE));
	if (prctl(PR_GET_PDEATHSIG, &pdeathsig) < 0)
		pdeathsig = -1;
	number_or_errno("parent_death_signal", pdeathsig);
	number_or_errno("no_new_privs", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	number_or_errno("securebits", prctl(PR_GET_SECUREBITS));
	number_or_errno("keep_capabilities", prctl(PR_GET_KEEPCAPS));
	number_or_errno("child_subreaper", ({
				int on = -1;
				prctl(PR_GET_CHILD_SUBREAPER, &on) < 0 ? -1 : on;
			}));
	number_or_errno("personality", personality(0xffffffff));
	/* the number itself varies: the reader compares it with its own */
	number_or_errno("session_keyring", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, -3 /* the session's */, 0));
	number_or_errno("nice", getpriority(PRIO_PROCESS, 0) + 20);
}

static void namespaces(void)
{
	static const char *const names[] = { "cgroup",		 "ipc",	 "mnt",	 "net", "pid",
					     "pid_for_children", "time", "user", "uts", NULL };
	open_object("namespaces");
	for (int i = 0; names[i]; i++) {
		char path[64], target[64];
		snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		ssize_t n = readlink(path, target, sizeof(target) - 1);
		if (n >= 0)
			target[n] = '\0';
		string(names[i], n < 0 ? failure() : target);
	}
	close_with('}');
}

static const char *kind_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFCHR:
		return "character device";
	case S_IFBLK:
		return "block device";
	case S_IFIFO:
		return "pipe";
	case S_IFSOCK:
		return "socket";
	case S_IFLNK:
		return "link";
	default:
		return "anonymous";
	}
}

static void descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	if (!dir) {
		string("fds", failure());
		return;
	}
	open_list("fds");
	for (struct dirent *entry; (entry = readdir(dir));) {
		char target[PATH_MAX];
		struct stat st;
		int fd = atoi(entry->d_name);
		ssize_t n;
		if (entry->d_name[0] == '.' || fd == dirfd(dir))
			continue;
		n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		if (n < 0)
			n = 0;
		target[n] = '\0';
		open_object(NULL);
		number("fd", fd);
		string("kind", fstat(fd, &st) < 0 ? failure() : kind_of(st.st_mode));
		string("target", target);
		number("access", fcntl(fd, F_GETFL) & O_ACCMODE);
		close_with('}');
	}
	close_with(']');
	closedir(dir);
}

static void directories(void)
{
	char cwd[PATH_MAX];
	struct stat st;
	string("cwd", getcwd(cwd, sizeof(cwd)) ? cwd : failure());
	if (stat("/", &st) == 0) {
		number("root_owner", st.st_uid);
		number("root_group", st.st_gid);
		number("root_inode_same_as_parent", ({
			       struct stat up;
			       stat("/..", &up) == 0 && up.st_ino == st.st_ino &&up.st_dev == st.st_dev;
		       }));
	}
	open_list("dev");
	struct dirent **entries;
	int n = scandir("/dev", &entries, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		char path[PATH_MAX], text[PATH_MAX + 64];
		if (entries[i]->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/dev/%s", entries[i]->d_name);
		if (lstat(path, &st) < 0)
			snprintf(text, sizeof(text), "%s %s", path, failure());
		else if (S_ISCHR(st.st_mode) && strncmp(path, "/dev/console", 12) != 0)
			snprintf(text, sizeof(text), "%s %s %u:%u %04o", path, kind_of(st.st_mode),
				 (unsigned)(st.st_rdev >> 8), (unsigned)(st.st_rdev & 0xff), st.st_mode & 07777);
		else
			snprintf(text, sizeof(text), "%s %s %04o", path, kind_of(st.st_mode), st.st_mode & 07777);
		item(text);
	}
	close_with(']');
}

static void limits(void)
{
	static const struct {
		const char *name;
		int resource;
	} all[] = {
		{ "as", RLIMIT_AS },	       { "core", RLIMIT_CORE },		{ "cpu", RLIMIT_CPU },
		{ "data", RLIMIT_DATA },       { "fsize", RLIMIT_FSIZE },	{ "locks", RLIMIT_LOCKS },
		{ "memlock", RLIMIT_MEMLOCK }, { "msgqueue", RLIMIT_MSGQUEUE }, { "nice", RLIMIT_NICE },
		{ "nofile", RLIMIT_NOFILE },   { "nproc", RLIMIT_NPROC },	{ "rss", RLIMIT_RSS },
		{ "rtprio", RLIMIT_RTPRIO },   { "rttime", RLIMIT_RTTIME },	{ "sigpending", RLIMIT_SIGPENDING },
		{ "stack", RLIMIT_STACK },
	};
	open_object("rlimits");
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct rlimit limit;
		char text[64];
		if (getrlimit(all[i].resource, &limit) < 0)
			snprintf(text, sizeof(text), "%s", failure());
		else
			snprintf(text, sizeof(text), "%lld %lld", (long long)limit.rlim_cur, (long long)limit.rlim_max);
		string(all[i].name, text);
	}
	close_with('}');
}

int main(int argc, char **argv)
{
	struct utsname uts;
	putchar('{');
	open_list("argv");
	for (int i = 0; i < argc; i++)
		item(argv[i]);
	close_with(']');
	status();
	file_lines("uid_map", "/proc/self/uid_map");
	file_lines("gid_map", "/proc/self/gid_map");
	file("setgroups", "/proc/self/setgroups");
	processes();
	flags();
	namespaces();
	if (uname(&uts) == 0) {
		string("hostname", uts.nodename);
		string("domainname", uts.domainname);
	}
	file_lines("cgroup", "/proc/self/cgroup");
	file("oom_score_adj", "/proc/self/oom_score_adj");
	file("lsm_label", "/proc/self/attr/current");
	file("timens_offsets", "/proc/self/timens_offsets");
	file_lines("net_dev", "/proc/self/net/dev");
	directories();
	descriptors();
	limits();
	open_list("environment");
	for (char **entry = environ; *entry; entry++)
		item(*entry);
	close_with(']');
	file_lines("mountinfo", "/proc/self/mountinfo");
	puts("\n}");
	return ferror(stdout) || fflush(stdout) ? 1 : 0;
}
