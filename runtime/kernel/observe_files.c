/* SPDX-License-Identifier: Apache-2.0 */
/* Of a process: what is mounted, what lies at a path, its control groups. */
#include <nsrun/kernel/observe.h>

#include <nsrun/base/arena.h>
#include <nsrun/base/file.h>
#include <nsrun/base/mountinfo.h>
#include <nsrun/base/strings.h>
#include <nsrun/kernel/cgroup.h>
#include <nsrun/kernel/root.h>

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#define TEXT_MAX ((size_t)64 << 10)
/* v1 spells "max" as the largest multiple of a page in a signed counter. */
#define V1_MEMORY_MAX UINT64_C(0x7ffffffffffff000)

/* ---- mounts ---- */

/* The mount at exactly this place: the last one hides those before it. False: there is none. */
static bool find_mount(char *text, const char *place, struct mountinfo *ret)
{
	bool found = false;
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct mountinfo mount;

		if (mountinfo_parse(line, &mount) && streq(mount.target, place)) {
			*ret = mount;
			found = true;
		}
	}
	return found;
}

int observe_mount(pid_t pid, const struct observe_term *term, FILE *out, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct mountinfo mount;

	const int r = observe_file(pid, "mountinfo", &text, err);
	if (r < 0)
		return r;
	if (!find_mount(text, term->argument, &mount))
		fputs("none", out);
	else if (term->more)
		fprintf(out, "%s,%s", mount.options, mount.super_options);
	else
		fputs(mount.type, out);
	return 0;
}

int observe_propagation(pid_t pid, const struct observe_term *term, FILE *out, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct mountinfo mount;

	const int r = observe_file(pid, "mountinfo", &text, err);
	if (r < 0)
		return r;
	if (!find_mount(text, term->argument, &mount))
		fputs("none", out);
	else if (mount.shared)
		fputs(mount.slave ? "shared slave" : "shared", out);
	else
		fputs(mount.slave ? "slave" : "private", out);
	return 0;
}

/* ---- files ---- */

static const char *type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "link";
	case S_IFSOCK:
		return "socket";
	case S_IFIFO:
		return "fifo";
	case S_IFCHR:
		return "char";
	default:
		return "block";
	}
}

static int put_text(int fd, const struct stat *st, const char *path, FILE *out, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	char link[64];
	size_t size;

	if (!S_ISREG(st->st_mode)) /* a FIFO would hang */
		return err_input(err, "%s: is no regular file", path);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	const int r = file_read_virtual_at(AT_FDCWD, link, TEXT_MAX, &text, &size, err);
	if (r == 0)
		fputs(text, out);
	return r;
}

int observe_path(pid_t pid, const struct observe_term *term, FILE *out, struct err *err)
{
	_cleanup_close_ int root = FD_NONE, fd = FD_NONE;
	struct stat st;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_system(err, "%s", path);
	const int r = root_find(root, term->argument, &fd, err);
	if (r < 0)
		return r;
	if (fd < 0) {
		fputs("none", out);
		return 0;
	}
	if (fstat(fd, &st) < 0)
		return err_system(err, "%s", term->argument);
	if (!term->more)
		fputs(type_name(st.st_mode), out);
	else if (streq(term->more, "uid"))
		fprintf(out, "%u", st.st_uid);
	else if (streq(term->more, "gid"))
		fprintf(out, "%u", st.st_gid);
	else if (streq(term->more, "mode"))
		fprintf(out, "%04o", st.st_mode & 07777);
	else if (streq(term->more, "size"))
		fprintf(out, "%jd", (intmax_t)st.st_size);
	else
		return put_text(fd, &st, term->argument, out, err);
	return 0;
}

/* ---- control groups ---- */

struct groups {
	struct cgroup_host host; /* its *_self are those of the process */
	struct arena *arena;
};

static void groups_done(struct groups *groups)
{
	arena_free(groups->arena);
}

static int groups_of(pid_t pid, struct groups *ret, struct err *err)
{
	_cleanup_free_ char *mounts = NULL, *cgroup = NULL;
	struct groups groups = { .host = CGROUP_HOST_NONE, .arena = arena_new() };
	struct cgroup_roots roots = { 0 };

	if (!groups.arena)
		return err_oom(err);
	int r = observe_file(getpid(), "mountinfo", &mounts, err);
	if (r == 0)
		r = observe_file(pid, "cgroup", &cgroup, err);
	if (r == 0)
		r = cgroup_parse_mounts(groups.arena, mounts, &groups.host, &roots, err);
	if (r == 0)
		r = cgroup_parse_self(groups.arena, cgroup, &groups.host, &roots, err);
	if (r < 0) {
		groups_done(&groups);
		return r;
	}
	*ret = groups;
	return 0;
}

/* Where limits are: on a hybrid host a container without any may be in a v2 group alone. */
static const char *group_path(const struct cgroup_host *host)
{
	static const enum cgroup_ctl order[] = { CGROUP_PIDS, CGROUP_MEMORY, CGROUP_CPU };

	if (*host->v2_self && !streq(host->v2_self, "/"))
		return host->v2_self;
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		if (*host->v1_self[order[i]] && !streq(host->v1_self[order[i]], "/"))
			return host->v1_self[order[i]];
	return "/";
}

int observe_cgroup_path(pid_t pid, const struct observe_term *term, FILE *out, struct err *err)
{
	_cleanup_(groups_done) struct groups groups = { 0 };

	(void)term;
	const int r = groups_of(pid, &groups, err);
	if (r == 0)
		fputs(group_path(&groups.host), out);
	return r;
}

static int read_group_file(const char *mount, const char *group, const char *name, char **ret, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	size_t size;

	if (asprintf(&path, "%s%s/%s", mount, streq(group, "/") ? "" : group, name) < 0)
		return err_oom(err);
	const int r = file_read_virtual_at(AT_FDCWD, path, TEXT_MAX, ret, &size, err);
	if (r == 0)
		(*ret)[strcspn(*ret, "\n")] = '\0';
	return r;
}

static enum cgroup_ctl controller_of(const char *name)
{
	const size_t len = strcspn(name, ".");

	for (enum cgroup_ctl c = 0; c < CGROUP_CONTROLLER_COUNT; c++) {
		const char *word = cgroup_controller_name(c);

		if (word && strlen(word) == len && memcmp(word, name, len) == 0)
			return c;
	}
	return CGROUP_CONTROLLER_COUNT;
}

/* cgroup-v1/memory.rst, sched-bwc.rst: the v1 files that say what a v2 file says. */
static int read_v1(const struct cgroup_host *host, enum cgroup_ctl controller, const char *name, FILE *out,
		   struct err *err)
{
	static const char *const names[][2] = {
		{ "memory.max", "memory.limit_in_bytes" },
		{ "memory.current", "memory.usage_in_bytes" },
		{ "memory.peak", "memory.max_usage_in_bytes" },
		{ "memory.low", "memory.soft_limit_in_bytes" },
		{ "cpu.max", "cpu.cfs_quota_us" },
	};
	const char *mount = host->v1_mount[controller], *group = host->v1_self[controller], *v1 = name;
	_cleanup_free_ char *text = NULL, *period = NULL;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (streq(names[i][0], name))
			v1 = names[i][1];
	int r = read_group_file(mount, group, v1, &text, err);
	if (r == 0 && streq(name, "cpu.max"))
		r = read_group_file(mount, group, "cpu.cfs_period_us", &period, err);
	if (r < 0)
		return r;
	if (period)
		fprintf(out, "%s %s", text[0] == '-' ? "max" : text, period);
	else if (controller == CGROUP_MEMORY && strtoull(text, NULL, 10) >= V1_MEMORY_MAX)
		fputs("max", out);
	else
		fputs(text, out);
	return 0;
}

int observe_cgroup_file(pid_t pid, const struct observe_term *term, FILE *out, struct err *err)
{
	_cleanup_(groups_done) struct groups groups = { 0 };
	const enum cgroup_ctl controller = controller_of(term->argument);
	_cleanup_free_ char *text = NULL;

	if (strchr(term->argument, '/'))
		return err_input(err, "cgroup:%s: is no file of a control group", term->argument);
	int r = groups_of(pid, &groups, err);
	if (r < 0)
		return r;
	if (controller < CGROUP_CONTROLLER_COUNT && cgroup_on_v1(&groups.host, controller))
		return read_v1(&groups.host, controller, term->argument, out, err);
	r = read_group_file(groups.host.v2_mount, groups.host.v2_self, term->argument, &text, err);
	if (r == 0)
		fputs(text, out);
	return r;
}

int observe_oom_kills(pid_t pid, const struct observe_term *term, FILE *out, struct err *err)
{
	_cleanup_(groups_done) struct groups groups = { 0 };

	(void)term;
	const int r = groups_of(pid, &groups, err);
	if (r == 0) {
		const struct cgroup_host *host = &groups.host;

		fprintf(out, "%" PRIu64,
			cgroup_oom_kills(host, cgroup_on_v1(host, CGROUP_MEMORY) ? host->v1_self[CGROUP_MEMORY]
										 : host->v2_self));
	}
	return r;
}
