/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/cgroup.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <inttypes.h>
#include <libcgroup.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (64 * 1024)
/* kernel/sched/core.c: a period is 1 ms to 1 s, a quota at least 1 ms. */
#define CPU_US_MIN 1000
#define CPU_PERIOD_US_MAX 1000000
#define PIDS_LIMIT_MAX 4194304 /* PID_MAX_LIMIT of 64-bit kernels */
#define SETTINGS_MAX 6

/* One file of a group and what it shall hold. */
struct setting {
	enum cgroup_ctl controller;
	const char *file;
	char value[48];
	bool memory;   /* the kernel counts pages: it rounds down */
	bool optional; /* left out where the kernel has no such file */
};

bool cgroup_limits_any(const struct cgroup_limits *limits)
{
	return cgroup_limits_controllers(limits) != 0;
}

unsigned cgroup_limits_controllers(const struct cgroup_limits *limits)
{
	unsigned mask = 0;

	if (limits->cpu_quota_us != CGROUP_NO_LIMIT)
		mask |= 1U << CGROUP_CPU;
	if (limits->memory_max != CGROUP_NO_LIMIT)
		mask |= 1U << CGROUP_MEMORY;
	if (limits->pids_max != CGROUP_NO_LIMIT)
		mask |= 1U << CGROUP_PIDS;
	return mask;
}

/* ---- can it be done? ---- */

static int check_values(const struct cgroup_limits *limits, struct err *err)
{
	if (limits->pids_max != CGROUP_NO_LIMIT && (limits->pids_max < 1 || limits->pids_max > PIDS_LIMIT_MAX))
		return err_input(err, "%" PRIu64 " processes: the limit is 1 to %d", limits->pids_max, PIDS_LIMIT_MAX);
	if (limits->memory_max != CGROUP_NO_LIMIT && (limits->memory_max < 4096 || limits->memory_max > INT64_MAX))
		return err_input(err, "%" PRIu64 " bytes of memory: the limit is at least one page and below 2^63",
				 limits->memory_max);
	if (limits->cpu_quota_us == CGROUP_NO_LIMIT)
		return 0;
	if (limits->cpu_period_us < CPU_US_MIN || limits->cpu_period_us > CPU_PERIOD_US_MAX)
		return err_input(err, "a CPU period of %" PRIu64 " microseconds: it is %d to %d", limits->cpu_period_us,
				 CPU_US_MIN, CPU_PERIOD_US_MAX);
	if (limits->cpu_quota_us < CPU_US_MIN)
		return err_input(err,
				 "%" PRIu64 " microseconds of CPU time each %" PRIu64
				 ": the kernel takes no quota below %d",
				 limits->cpu_quota_us, limits->cpu_period_us, CPU_US_MIN);
	return 0;
}

/* The group `parent` or, while it does not exist, the nearest one above it, as a full path. */
static void nearest_existing(const char *mount, const char *parent, char *ret, size_t size)
{
	size_t mount_len = strlen(mount);

	snprintf(ret, size, "%s%s", mount, parent);
	while (strlen(ret) > mount_len && access(ret, F_OK) < 0)
		*strrchr(ret, '/') = '\0';
}

static int check_writable(const char *path, const char *name, struct err *err)
{
	if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0)
		return 0;
	return err_set(err, ERR_SYSTEM, errno == EROFS ? ERR_ID_CGROUP_READONLY : ERR_ID_NO_DELEGATION, errno,
		       "%s: limit %s", path, name);
}

/* Is `word` in a file of controller names, which are separated by spaces? */
static bool file_lists(const char *dir, const char *file, const char *word)
{
	_cleanup_free_ char *text = NULL;
	char path[2 * CGROUP_PATH_MAX + 32], *save = NULL;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	if (file_read_virtual_at(AT_FDCWD, path, FILE_MAX, &text, NULL, NULL) < 0)
		return false;
	for (char *w = strtok_r(text, " \n", &save); w; w = strtok_r(NULL, " \n", &save))
		if (streq(w, word))
			return true;
	return false;
}

/* On v2 a group has a controller when its parent's cgroup.subtree_control names it. The nearest group upwards that has it must let us
 * hand it down. */
static int check_v2(const struct cgroup_host *host, const char *parent, const char *name, struct err *err)
{
	char dir[2 * CGROUP_PATH_MAX], file[2 * CGROUP_PATH_MAX + 32];
	size_t mount_len = strlen(host->v2_mount);

	nearest_existing(host->v2_mount, parent, dir, sizeof(dir));
	while (!file_lists(dir, "cgroup.controllers", name)) {
		if (strlen(dir) <= mount_len)
			return err_set(err, ERR_REFUSED, ERR_ID_NO_CONTROLLER, EOPNOTSUPP,
				       "%s: the %s controller is not offered here, so its limit cannot be applied",
				       host->v2_mount, name);
		*strrchr(dir, '/') = '\0';
	}
	if (file_lists(dir, "cgroup.subtree_control", name))
		return 0;
	snprintf(file, sizeof(file), "%s/cgroup.subtree_control", dir);
	return check_writable(file, name, err);
}

int cgroup_check_limits(const struct cgroup_host *host, const char *parent, const struct cgroup_limits *limits,
			struct err *err)
{
	unsigned wanted = cgroup_limits_controllers(limits);
	char dir[2 * CGROUP_PATH_MAX];
	int r;

	r = check_values(limits, err);
	for (unsigned c = 0; r == 0 && c < CGROUP_CONTROLLER_COUNT; c++) {
		const char *name = cgroup_controller_name(c);

		if (!(wanted & 1U << c))
			continue;
		if (host->v1_mount[c][0]) {
			nearest_existing(host->v1_mount[c], parent, dir, sizeof(dir));
			r = check_writable(dir, name, err);
		} else if (host->v2_mount[0]) {
			r = check_v2(host, parent, name, err);
		} else {
			r = err_set(
				err, ERR_REFUSED, ERR_ID_NO_CONTROLLER, EOPNOTSUPP,
				"no hierarchy of control groups with the %s controller is mounted, so its limit cannot be applied",
				name);
		}
	}
	return r;
}

/* ---- applying ---- */

static const char *mount_of(const struct cgroup_host *host, enum cgroup_ctl c)
{
	return host->v1_mount[c][0] ? host->v1_mount[c] : host->v2_mount;
}

static void add(struct setting *list, size_t *n, enum cgroup_ctl controller, const char *file, uint64_t value,
		bool memory)
{
	struct setting *s = &list[(*n)++];

	*s = (struct setting){ .controller = controller, .file = file, .memory = memory };
	snprintf(s->value, sizeof(s->value), "%" PRIu64, value);
}

/*
 * The files, in the order in which they must be written.
 *
 * Swap: a memory limit gives none beside it (v1: memory and swap together are as much as memory; v2: no swap). Docker without
 * --memory-swap gives as much swap again, so that -m 64m may use 128 MiB; here what was asked for is the bound that holds, and a
 * container that reaches it is ended instead of making the host swap. Kernels without swap accounting lack the file.
 */
static size_t list_settings(const struct cgroup_host *host, const struct cgroup_limits *limits, struct setting *list)
{
	unsigned wanted = cgroup_limits_controllers(limits);
	size_t n = 0;

	if (wanted & 1U << CGROUP_MEMORY) {
		if (host->v1_mount[CGROUP_MEMORY][0]) {
			/* In this order: memory+swap may not be below memory (EINVAL). */
			add(list, &n, CGROUP_MEMORY, "memory.limit_in_bytes", limits->memory_max, true);
			add(list, &n, CGROUP_MEMORY, "memory.memsw.limit_in_bytes", limits->memory_max, true);
		} else {
			add(list, &n, CGROUP_MEMORY, "memory.max", limits->memory_max, true);
			add(list, &n, CGROUP_MEMORY, "memory.swap.max", 0, true);
		}
		list[n - 1].optional = true;
	}
	if (wanted & 1U << CGROUP_CPU) {
		if (host->v1_mount[CGROUP_CPU][0]) {
			add(list, &n, CGROUP_CPU, "cpu.cfs_period_us", limits->cpu_period_us, false);
			add(list, &n, CGROUP_CPU, "cpu.cfs_quota_us", limits->cpu_quota_us, false);
		} else {
			add(list, &n, CGROUP_CPU, "cpu.max", 0, false);
			snprintf(list[n - 1].value, sizeof(list[0].value), "%" PRIu64 " %" PRIu64, limits->cpu_quota_us,
				 limits->cpu_period_us);
		}
	}
	if (wanted & 1U << CGROUP_PIDS)
		add(list, &n, CGROUP_PIDS, "pids.max", limits->pids_max, false);
	return n;
}

static void group_file(const struct cgroup_host *host, const char *path, const struct setting *s, char *ret,
		       size_t size)
{
	snprintf(ret, size, "%s%s/%s", mount_of(host, s->controller), path, s->file);
}

/* Drops optional files that the kernel lacks. On v1 the root group has the same files, on v2 the group itself exists already. */
static size_t drop_missing(const struct cgroup_host *host, const char *path, struct setting *list, size_t n)
{
	char file[3 * CGROUP_PATH_MAX];
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		group_file(host, host->v1_mount[list[i].controller][0] ? "" : path, &list[i], file, sizeof(file));
		if (!list[i].optional || access(file, F_OK) == 0)
			list[kept++] = list[i];
	}
	return kept;
}

static bool holds(const struct setting *s, const char *text)
{
	uint64_t wanted, got;

	if (!s->memory)
		return streq(text, s->value);
	if (parse_u64(s->value, &wanted) < 0 || parse_u64(text, &got) < 0)
		return false;
	return got == wanted - wanted % (uint64_t)sysconf(_SC_PAGESIZE);
}

/*
 * The files decide, not the library's result: libcgroup reports an errno without the file, and reports errors for what was done. Where a
 * file holds another value it is written once more by hand, to learn which error belongs to it.
 */
static int verify(const struct cgroup_host *host, const char *path, const struct setting *s, struct err *err)
{
	char file[3 * CGROUP_PATH_MAX];
	int r;

	group_file(host, path, s, file, sizeof(file));
	for (int round = 0;; round++) {
		_cleanup_free_ char *text = NULL;

		r = file_read_virtual_at(AT_FDCWD, file, FILE_MAX, &text, NULL, err);
		if (r < 0)
			return r;
		text[strcspn(text, "\n")] = '\0';
		if (holds(s, text))
			return 0;
		if (round)
			return err_set(err, ERR_REFUSED, ERR_ID_LIMIT_NOT_APPLIED, ERANGE,
				       "%s: asked for %s, the kernel holds %s", file, s->value, text);
		r = file_write_at(AT_FDCWD, file, s->value, NULL);
		if (r < 0)
			return err_set(err, ERR_SYSTEM, ERR_ID_LIMIT_NOT_APPLIED, -r, "%s: write %s", file, s->value);
	}
}

/* Hands a controller down to the children of every group between the mount and the new one. Not by libcgroup: it writes at every level,
 * also at those that are not ours and have it enabled already (EACCES for a delegated user). */
static int enable_v2(const struct cgroup_host *host, const char *path, const char *name, struct err *err)
{
	char dir[2 * CGROUP_PATH_MAX], file[2 * CGROUP_PATH_MAX + 32], word[16];
	size_t mount_len = strlen(host->v2_mount), full_len;
	int r;

	full_len = (size_t)snprintf(dir, sizeof(dir), "%s%s", host->v2_mount, path);
	snprintf(word, sizeof(word), "+%s", name);
	for (size_t i = mount_len; i < full_len; i++) {
		if (dir[i] != '/')
			continue;
		dir[i] = '\0';
		snprintf(file, sizeof(file), "%s/cgroup.subtree_control", dir);
		if (!file_lists(dir, "cgroup.subtree_control", name)) {
			r = cgroup_may_hand_down_v2(dir) ? file_write_at(AT_FDCWD, file, word, NULL) : -EBUSY;
			if (r < 0)
				return err_set(err, ERR_SYSTEM,
					       r == -EBUSY			  ? ERR_ID_CGROUP_BUSY
					       : r == -EACCES || r == -EPERM	  ? ERR_ID_NO_DELEGATION
					       : r == -ENOENT || r == -EOPNOTSUPP ? ERR_ID_NO_CONTROLLER
										  : ERR_ID_NONE,
					       -r, "%s: write %s", file, word);
		}
		dir[i] = '/';
	}
	return 0;
}

/* Makes the v1 groups and writes the values, or only writes them on v2, where the group was made by hand. The result is not looked at: see
 * verify(). */
static int write_by_libcgroup(const struct cgroup_host *host, const char *path, const struct setting *list, size_t n,
			      bool v1, struct err *err)
{
	struct cgroup *group = cgroup_new_cgroup(path + 1);
	int r = 0;

	if (!group)
		return err_oom(err);
	for (size_t i = 0; i < n && r == 0; i++) {
		const char *name = cgroup_controller_name(list[i].controller);
		struct cgroup_controller *controller;

		if (!!host->v1_mount[list[i].controller][0] != v1)
			continue;
		controller = cgroup_get_controller(group, name);
		if (!controller)
			controller = cgroup_add_controller(group, name);
		if (!controller)
			r = err_oom(err);
		else
			r = cgroup_set_value_string(controller, list[i].file, list[i].value);
		if (r > 0)
			r = err_bug(err, "libcgroup: %s: %s", list[i].file, cgroup_strerror(r));
	}
	/* 1: without the chown of some 30 files to the owner that they have already. */
	if (r == 0)
		(void)(v1 ? cgroup_create_cgroup(group, 1) : cgroup_modify_cgroup(group));
	cgroup_free(&group);
	return r;
}

/* Where the v1 group is missing after all, the reason is that of mkdir(2). */
static int explain_missing_group(const struct cgroup_host *host, const char *path, const struct setting *s,
				 struct err *err)
{
	char dir[2 * CGROUP_PATH_MAX];

	snprintf(dir, sizeof(dir), "%s%s", mount_of(host, s->controller), path);
	if (access(dir, F_OK) == 0)
		return 0;
	return err_set(err, ERR_SYSTEM, ERR_ID_NONE, cgroup_get_last_errno() ?: ENOENT, "%s: make control group", dir);
}

static void drop_log(void *data, int level, const char *format, va_list arguments)
{
	(void)data;
	(void)level;
	(void)format;
	(void)arguments;
}

static int apply(const struct cgroup_host *host, const char *path, const struct cgroup_limits *limits, struct err *err)
{
	struct setting list[SETTINGS_MAX];
	unsigned wanted = cgroup_limits_controllers(limits), v1 = 0, v2 = 0;
	size_t n;
	int r;

	for (unsigned c = 0; c < CGROUP_CONTROLLER_COUNT; c++)
		if (wanted & 1U << c)
			*(host->v1_mount[c][0] ? &v1 : &v2) |= 1U << c;
	if (v2) {
		_cleanup_close_ int fd = FD_NONE;

		r = cgroup_make_v2(host, path, &fd, err);
		for (unsigned c = 0; r == 0 && c < CGROUP_CONTROLLER_COUNT; c++)
			if (v2 & 1U << c)
				r = enable_v2(host, path, cgroup_controller_name(c), err);
		if (r < 0)
			return r;
	}
	n = drop_missing(host, path, list, list_settings(host, limits, list));
	/* Here and not earlier: it reads /proc/mounts and /proc/cgroups, 0.6 ms that a launch without limits does not pay. */
	/* Its own would write to standard output, which is the workload's, as loud as CGROUP_LOGLEVEL in the environment says. */
	cgroup_set_logger(drop_log, CGROUP_LOG_ERROR, NULL);
	r = cgroup_init();
	if (r)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, r == ECGOTHER ? cgroup_get_last_errno() : EIO,
			       "libcgroup: cgroup_init: %s", cgroup_strerror(r));
	if (v1)
		r = write_by_libcgroup(host, path, list, n, true, err);
	if (r == 0 && v2)
		r = write_by_libcgroup(host, path, list, n, false, err);
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = explain_missing_group(host, path, &list[i], err);
		if (r == 0)
			r = verify(host, path, &list[i], err);
	}
	return r;
}

int cgroup_apply_limits(const struct cgroup_host *host, const char *path, const struct cgroup_limits *limits,
			struct err *err)
{
	unsigned existed = 0, wanted = cgroup_limits_controllers(limits);
	char dir[2 * CGROUP_PATH_MAX];
	int r;

	if (!wanted)
		return 0;
	if (path[0] != '/' || !path[1] || strstr(path, "/.."))
		return err_bug(err, "%s: not the path of a container's control group", path);
	for (unsigned c = 0; c < CGROUP_CONTROLLER_COUNT; c++) {
		snprintf(dir, sizeof(dir), "%s%s", mount_of(host, c), path);
		existed |= (access(dir, F_OK) == 0) << c;
	}
	r = apply(host, path, limits, err);
	for (unsigned c = 0; r < 0 && c < CGROUP_CONTROLLER_COUNT; c++) {
		if (existed & 1U << c || !(wanted & 1U << c))
			continue;
		snprintf(dir, sizeof(dir), "%s%s", mount_of(host, c), path);
		(void)rmdir(dir);
	}
	return r;
}

/*
 * cgroup.procs and not libcgroup's cgroup_attach_task_pid(), which on v1 writes to `tasks`, so moves one thread. The number is safe: the
 * process is our child and not reaped.
 */
int cgroup_attach_v1(const struct cgroup_host *host, const char *path, const struct cgroup_limits *limits,
		     const struct pidref *process, struct err *err)
{
	unsigned wanted = cgroup_limits_controllers(limits);
	char file[2 * CGROUP_PATH_MAX + 32], number[16];

	snprintf(number, sizeof(number), "%d", (int)process->pid);
	for (unsigned c = 0; c < CGROUP_CONTROLLER_COUNT; c++) {
		int r;

		if (!(wanted & 1U << c) || !host->v1_mount[c][0])
			continue;
		snprintf(file, sizeof(file), "%s%s/cgroup.procs", host->v1_mount[c], path);
		r = file_write_at(AT_FDCWD, file, number, err);
		if (r < 0)
			return r;
	}
	return 0;
}
