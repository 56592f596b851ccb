/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of a container. */
#include <nsrun/plan/container_show.h>

#include <nsrun/base/file.h>
#include <nsrun/base/procstat.h>
#include <nsrun/base/strings.h>
#include <nsrun/kernel/cgroup_use.h>

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define PROCESSES_MAX 65536
#define COMMAND_MAX 4096
#define DEPTH_MAX 256 /* of parents: a chain that is longer is cut */

struct processes {
	struct container_process *list;
	size_t n, room;
	const struct container *container;
	uint64_t ticks, now_ms; /* clock ticks a second; since boot, as start times count */
};

/* The rest of the line "KEY:\t..." in a text of such lines. */
static const char *status_field(const char *text, const char *key)
{
	const size_t len = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		if (strncmp(line, key, len) == 0 && line[len] == ':')
			return line + len + 1;
	return NULL;
}

static pid_t last_number(const char *line)
{
	const size_t len = line ? strcspn(line, "\n") : 0;
	size_t at = len;

	while (at > 0 && line[at - 1] >= '0' && line[at - 1] <= '9')
		at--;
	return at < len ? (pid_t)strtol(line + at, NULL, 10) : 0;
}

static int64_t to_inside(const struct container *c, uint32_t outside)
{
	const json_t *map = json_object_get(c->state, "uid_map"), *extent;
	size_t i;

	json_array_foreach(map, i, extent)
	{
		const json_int_t in = json_integer_value(json_array_get(extent, 0)),
				 out = json_integer_value(json_array_get(extent, 1)),
				 count = json_integer_value(json_array_get(extent, 2));

		if (outside >= out && outside - out < count)
			return in + (outside - out);
	}
	return -1;
}

/* Arguments apart by a space; a process may write anything there. "[name]" where it has none. */
static char *read_command(pid_t pid, const char *comm)
{
	_cleanup_close_ int fd = FD_NONE;
	char path[40], text[COMMAND_MAX + 1], *named;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, COMMAND_MAX);
	while (n > 0 && text[n - 1] == '\0')
		n--;
	if (n <= 0)
		return asprintf(&named, "[%s]", comm) < 0 ? NULL : named;
	for (ssize_t i = 0; i < n; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	text[n] = '\0';
	return strdup(text);
}

/* 0 also when it has ended meanwhile: then it is left out. */
static int add(struct processes *p, pid_t pid, struct err *err)
{
	_cleanup_free_ char *status = NULL;
	struct container_process *process;
	struct procstat stat;
	const char *uids;
	char path[40];
	uid_t uid;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (procstat_read(pid, &stat, NULL) < 0 || file_read_virtual_at(AT_FDCWD, path, 65536, &status, NULL, NULL) < 0)
		return 0;
	uids = status_field(status, "Uid");
	if (!uids || sscanf(uids, " %*u %u", &uid) != 1)
		return 0;
	if (p->n == p->room) {
		const size_t room = p->room ? p->room * 2 : 32;
		struct container_process *more = reallocarray(p->list, room, sizeof(*more));

		if (!more)
			return err_oom(err);
		p->list = more;
		p->room = room;
	}
	process = &p->list[p->n];
	*process = (struct container_process){
		.pid = pid,
		.ppid = stat.ppid,
		.nspid = last_number(status_field(status, "NSpid")),
		.uid = uid,
		.uid_inside = to_inside(p->container, uid),
		.state = stat.state,
		.cpu_ms = (stat.utime + stat.stime) * 1000 / p->ticks,
		.rss_bytes = stat.rss_pages * (uint64_t)sysconf(_SC_PAGESIZE),
		.command = read_command(pid, stat.comm),
	};
	if (!process->command)
		return err_oom(err);
	const uint64_t started = stat.start * 1000 / p->ticks;

	process->age_ms = p->now_ms > started ? p->now_ms - started : 0;
	p->n++;
	return 0;
}

static int add_group(struct processes *p, const char *cgroup, struct err *err)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct cgroup_host host;
	_cleanup_free_ pid_t *pids = NULL;
	size_t n = 0;
	int r;

	if (!arena)
		return err_oom(err);
	r = cgroup_probe(arena, &host, err);
	if (r == 0)
		r = cgroup_list_pids(&host, cgroup, PROCESSES_MAX, &pids, &n, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = add(p, pids[i], err);
	return r;
}

static ino_t pid_namespace(pid_t pid)
{
	struct stat st;
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)pid);
	return stat(path, &st) == 0 ? st.st_ino : 0;
}

/* Orphans inside become children of init, so this finds all that was made inside of a pid namespace; what entered it is found by the
 * namespace, where the caller may look (ptrace(2), access mode checks). */
static bool belongs(pid_t pid, const struct container *c, ino_t namespace)
{
	struct procstat stat;

	if (pid == c->init || (namespace && pid_namespace(pid) == namespace))
		return true;
	for (int i = 0; i < DEPTH_MAX && pid > 1 && procstat_read(pid, &stat, NULL) == 0; i++) {
		if (stat.ppid == c->init)
			return true;
		pid = stat.ppid;
	}
	return false;
}

static int add_related(struct processes *p, struct err *err)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	ino_t ns = pid_namespace(p->container->init);
	struct dirent *entry;
	int r = 0;

	if (!proc)
		return err_system(err, "/proc");
	if (ns == pid_namespace(getpid())) /* --pid=host: it tells nothing */
		ns = 0;
	while (r == 0 && p->n < PROCESSES_MAX && (entry = readdir(proc))) {
		uint32_t pid;

		if (parse_u32(entry->d_name, &pid) == 0 && pid <= INT_MAX && belongs((pid_t)pid, p->container, ns))
			r = add(p, (pid_t)pid, err);
	}
	return r;
}

static int by_pid(const void *a, const void *b)
{
	const struct container_process *x = a, *y = b;

	return x->nspid != y->nspid ? (x->nspid > y->nspid) - (x->nspid < y->nspid)
				    : (x->pid > y->pid) - (x->pid < y->pid);
}

int container_processes(const struct container *container, struct container_process **ret, size_t *ret_n,
			struct err *err)
{
	struct processes p = { .container = container, .ticks = (uint64_t)sysconf(_SC_CLK_TCK) };
	const char *cgroup = container_cgroup(container);
	struct pidref init = PIDREF_NONE;
	struct timespec now;
	int r;

	clock_gettime(CLOCK_BOOTTIME, &now);
	p.now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	r = container_open_init(container, &init, err);
	if (r < 0)
		return r;
	r = cgroup ? add_group(&p, cgroup, err) : -ENOENT;
	/* Empty: the group is out of sight, or all that it lists is. */
	if (r == -ENOENT || (r == 0 && p.n == 0))
		r = add_related(&p, err);
	/* Numbers that were read while init lived were numbers of this container. */
	if (r == 0 && pidref_ended(&init))
		r = err_set(err, ERR_INPUT, ERR_ID_NOT_RUNNING, ESRCH, "%s: it has just ended",
			    container_label(container));
	pidref_close(&init);
	if (r < 0) {
		container_processes_free(p.list, p.n);
		return r;
	}
	if (p.n > 1)
		qsort(p.list, p.n, sizeof(*p.list), by_pid);
	*ret = p.list;
	*ret_n = p.n;
	return 0;
}

void container_processes_free(struct container_process *processes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(processes[i].command);
	free(processes);
}
