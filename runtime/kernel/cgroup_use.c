/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/cgroup_use.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define TEXT_MAX (64 * 1024)
#define DEPTH_MAX 16 /* a container may nest groups as deep as it likes; each level holds a descriptor */
/* v1 writes "no limit" as the largest number of pages that fits a long. */
#define V1_MEMORY_NO_LIMIT (UINT64_MAX / 4)

static char *read_group_file(const char *mount, const char *path, const char *file)
{
	char name[2 * CGROUP_PATH_MAX + 64], *text;

	if (!mount[0])
		return NULL;
	snprintf(name, sizeof(name), "%s%s/%s", mount, path, file);
	return file_read_virtual_at(AT_FDCWD, name, TEXT_MAX, &text, NULL, NULL) < 0 ? NULL : text;
}

/* The number that the file begins with; "max" is no limit. */
static uint64_t read_number(const char *mount, const char *path, const char *file)
{
	_cleanup_free_ char *text = read_group_file(mount, path, file);
	uint64_t value;

	if (!text)
		return CGROUP_UNKNOWN;
	text[strcspn(text, " \n")] = '\0';
	if (streq(text, "max") || streq(text, "-1"))
		return CGROUP_NO_LIMIT;
	return parse_u64(text, &value) < 0 ? CGROUP_UNKNOWN : value;
}

/* "usage_usec 123" in cpu.stat. */
static uint64_t read_keyed(const char *mount, const char *path, const char *file, const char *key)
{
	_cleanup_free_ char *text = read_group_file(mount, path, file);
	const size_t len = strlen(key);

	for (char *line, *rest = text; rest && (line = strsep(&rest, "\n"));) {
		uint64_t value;

		if (strncmp(line, key, len) == 0 && line[len] == ' ' && parse_u64(line + len + 1, &value) == 0)
			return value;
	}
	return CGROUP_UNKNOWN;
}

static bool group_exists(const char *mount, const char *path)
{
	char name[2 * CGROUP_PATH_MAX];
	struct stat st;

	snprintf(name, sizeof(name), "%s%s", mount, path);
	return mount[0] && stat(name, &st) == 0 && S_ISDIR(st.st_mode);
}

static void read_cpu(const struct cgroup_host *host, const char *path, struct cgroup_use *use)
{
	const char *v1 = host->v1_mount[CGROUP_CPU];
	uint64_t ns;

	/* cpu.stat is in every v2 group, with the controller or without (cgroup-v2.rst). */
	use->cpu_usage_us = read_keyed(host->v2_mount, path, "cpu.stat", "usage_usec");
	if (use->cpu_usage_us == CGROUP_UNKNOWN) {
		ns = read_number(host->v1_mount[CGROUP_CPUACCT], path, "cpuacct.usage");
		if (ns != CGROUP_UNKNOWN && ns != CGROUP_NO_LIMIT)
			use->cpu_usage_us = ns / 1000;
	}
	if (v1[0]) {
		use->cpu_quota_us = read_number(v1, path, "cpu.cfs_quota_us");
		use->cpu_period_us = read_number(v1, path, "cpu.cfs_period_us");
		return;
	}
	_cleanup_free_ char *text = read_group_file(host->v2_mount, path, "cpu.max");
	unsigned long long quota, period;

	use->cpu_quota_us = use->cpu_period_us = CGROUP_UNKNOWN;
	if (!text)
		return;
	if (sscanf(text, "max %llu", &period) == 1) {
		use->cpu_quota_us = CGROUP_NO_LIMIT;
		use->cpu_period_us = period;
	} else if (sscanf(text, "%llu %llu", &quota, &period) == 2) {
		use->cpu_quota_us = quota;
		use->cpu_period_us = period;
	}
}

void cgroup_read_use(const struct cgroup_host *host, const char *path, struct cgroup_use *ret)
{
	const char *memory = host->v1_mount[CGROUP_MEMORY], *pids = host->v1_mount[CGROUP_PIDS];
	const bool memory_v1 = memory[0], pids_v1 = pids[0];
	struct cgroup_use use = { .exists = group_exists(host->v2_mount, path) };

	for (unsigned c = 0; c < CGROUP_CONTROLLER_COUNT; c++)
		use.exists |= group_exists(host->v1_mount[c], path);
	if (!memory_v1)
		memory = host->v2_mount;
	if (!pids_v1)
		pids = host->v2_mount;
	use.memory_bytes = read_number(memory, path, memory_v1 ? "memory.usage_in_bytes" : "memory.current");
	use.memory_max = read_number(memory, path, memory_v1 ? "memory.limit_in_bytes" : "memory.max");
	if (memory_v1 && use.memory_max != CGROUP_UNKNOWN && use.memory_max > V1_MEMORY_NO_LIMIT)
		use.memory_max = CGROUP_NO_LIMIT;
	use.oom_kills = read_keyed(memory, path, memory_v1 ? "memory.oom_control" : "memory.events", "oom_kill");
	use.pids = read_number(pids, path, "pids.current");
	use.pids_max = read_number(pids, path, "pids.max");
	read_cpu(host, path, &use);
	*ret = use;
}

static uint64_t known(uint64_t value)
{
	return value == CGROUP_UNKNOWN || value == CGROUP_NO_LIMIT ? 0 : value;
}

/* v1 has no counter of limits that were met any more: since 6.14 memory.failcnt stays 0. A highest use this near to the limit says so, too. */
static bool met_memory_v1(const char *mount, const char *path, uint64_t limit)
{
	const uint64_t peak = known(read_number(mount, path, "memory.max_usage_in_bytes"));

	return known(read_number(mount, path, "memory.failcnt")) ||
	       known(read_number(mount, path, "memory.memsw.failcnt")) || peak >= limit - limit / 16;
}

void cgroup_read_events(const struct cgroup_host *host, const char *path, struct cgroup_events *ret)
{
	const bool memory_v1 = host->v1_mount[CGROUP_MEMORY][0], pids_v1 = host->v1_mount[CGROUP_PIDS][0];
	const char *memory = memory_v1 ? host->v1_mount[CGROUP_MEMORY] : host->v2_mount;
	const char *pids = pids_v1 ? host->v1_mount[CGROUP_PIDS] : host->v2_mount;
	const char *const events_file = memory_v1 ? "memory.oom_control" : "memory.events";
	struct cgroup_events events = { 0 };

	events.oom_kills = known(read_keyed(memory, path, events_file, "oom_kill"));
	if (events.oom_kills) {
		const uint64_t limit =
			known(read_number(memory, path, memory_v1 ? "memory.limit_in_bytes" : "memory.max"));

		/* v2's "oom" of memory.events counts also limits that the container has set itself, in groups below (cgroup-v2.rst). */
		if (limit && limit <= V1_MEMORY_NO_LIMIT &&
		    (memory_v1 ? met_memory_v1(memory, path, limit)
			       : known(read_keyed(memory, path, "memory.events.local", "oom")) > 0))
			events.memory_limit = limit;
	}
	events.forks_refused = known(read_keyed(pids, path, "pids.events", "max"));
	if (events.forks_refused)
		events.pids_limit = known(read_number(pids, path, "pids.max"));
	*ret = events;
}

struct pid_list {
	pid_t *pids;
	size_t n, room, max;
};

static int add_pids(struct pid_list *list, int dirfd, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	/* A threaded group's cgroup.procs is EOPNOTSUPP: its processes are listed by the group that the threads belong to. */
	const int r = file_read_virtual_at(dirfd, "cgroup.procs", (size_t)64 << 20, &text, NULL, NULL);

	if (r < 0)
		return 0;
	for (char *line, *rest = text; list->n < list->max && (line = strsep(&rest, "\n"));) {
		uint32_t pid;

		/* 0: a process of a pid namespace that is not below this one. */
		if (parse_u32(line, &pid) < 0 || pid == 0 || pid > INT_MAX)
			continue;
		if (list->n == list->room) {
			const size_t room = list->room ? list->room * 2 : 64;
			pid_t *more = reallocarray(list->pids, room, sizeof(*more));

			if (!more)
				return err_oom(err);
			list->pids = more;
			list->room = room;
		}
		list->pids[list->n++] = (pid_t)pid;
	}
	return 0;
}

static int add_below(struct pid_list *list, int dirfd, unsigned depth, struct err *err)
{
	_cleanup_closedir_ DIR *dir = NULL;
	const int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return 0;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return err_oom(err);
	}
	r = add_pids(list, fd, err);
	for (struct dirent *d; r == 0 && depth < DEPTH_MAX && list->n < list->max && (d = readdir(dir));) {
		_cleanup_close_ int below = FD_NONE;

		if (d->d_type != DT_DIR || streq(d->d_name, ".") || streq(d->d_name, ".."))
			continue;
		below = openat(fd, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below >= 0)
			r = add_below(list, below, depth + 1, err);
	}
	return r;
}

int cgroup_list_pids(const struct cgroup_host *host, const char *path, size_t max, pid_t **ret, size_t *ret_n,
		     struct err *err)
{
	const char *mount = group_exists(host->v2_mount, path) ? host->v2_mount : NULL;
	struct pid_list list = { .max = max };
	_cleanup_close_ int fd = FD_NONE;
	char full[2 * CGROUP_PATH_MAX];
	int r;

	for (unsigned c = 0; !mount && c < CGROUP_CONTROLLER_COUNT; c++)
		if (group_exists(host->v1_mount[c], path))
			mount = host->v1_mount[c];
	if (!mount)
		return -ENOENT;
	snprintf(full, sizeof(full), "%s%s", mount, path);
	fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ENOENT : err_system(err, "%s", full);
	r = add_below(&list, fd, 0, err);
	if (r < 0) {
		free(list.pids);
		return r;
	}
	*ret = list.pids;
	*ret_n = list.n;
	return 0;
}
