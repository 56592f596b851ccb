/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/resctrl.h>

#include <nsrun/base/file.h>
#include <nsrun/base/mountinfo.h>
#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define MOUNTS_MAX (16U << 20)
#define SCHEMATA_MAX (1U << 20)

static int find_mount(char **ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	char *save = NULL;

	const int r = file_read_virtual_at(AT_FDCWD, "/proc/thread-self/mountinfo", MOUNTS_MAX, &text, NULL, err);
	if (r < 0)
		return r;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct mountinfo mount;

		if (!mountinfo_parse(line, &mount) || !streq(mount.type, "resctrl") || !streq(mount.root, "/"))
			continue;
		*ret = strdup(mount.target);
		return *ret ? 0 : err_oom(err);
	}
	return err_set(err, ERR_SYSTEM, ERR_ID_RESCTRL, ENOENT, "linux.intelRdt: no resctrl file system is mounted");
}

int resctrl_open(int *ret_fd, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = FD_NONE;

#ifdef NSRUN_FAULT_POINTS
	/* No machine of the tests has the hardware. */
	const char *tree = getenv("NSRUN_TEST_RESCTRL");
	if (tree) {
		*ret_fd = open(tree, O_PATH | O_DIRECTORY | O_CLOEXEC);
		return *ret_fd < 0 ? err_system(err, "%s", tree) : 0;
	}
#endif
	const int r = find_mount(&path, err);
	if (r < 0)
		return r;
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_system(err, "%s", path);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* ---- comparing ---- */

static const char *skip_blanks(const char *s)
{
	return s + strspn(s, " \t");
}

/* A mask is written with leading zeros by the kernel and without by people; a bandwidth is a number, too. */
static bool same_value(const char *a, size_t n, const char *b, size_t m)
{
	while (n > 1 && *a == '0')
		a++, n--;
	while (m > 1 && *b == '0')
		b++, m--;
	return n == m && strncasecmp(a, b, n) == 0;
}

/* "1=ff" in "0=f;1=ff": the value of the domain. */
static const char *domain_value(const char *list, const char *domain, size_t n, size_t *ret_size)
{
	while (*list && *list != '\n') {
		list = skip_blanks(list);
		const size_t key = strcspn(list, "=;\n"), whole = strcspn(list, ";\n");

		if (list[key] == '=' && same_value(list, key, domain, n)) {
			*ret_size = whole - key - 1;
			return list + key + 1;
		}
		list += whole;
		if (*list == ';')
			list++;
	}
	return NULL;
}

bool resctrl_line_holds(const char *schemata, const char *line)
{
	line = skip_blanks(line);
	const size_t name = strcspn(line, ":");
	const char *list = NULL;

	for (const char *at = schemata; *at && !list;) {
		at = skip_blanks(at);
		if (strncmp(at, line, name) == 0 && at[name] == ':')
			list = at + name + 1;
		at += strcspn(at, "\n");
		at += *at == '\n';
	}
	if (!list || line[name] != ':')
		return false;
	for (line += name + 1; *skip_blanks(line);) {
		size_t size = 0;

		line = skip_blanks(line);
		const size_t key = strcspn(line, "=;"), whole = strcspn(line, ";");
		const char *value = line[key] == '=' ? domain_value(list, line, key, &size) : NULL;
		if (!value || !same_value(value, size, line + key + 1, whole - key - 1))
			return false;
		line += whole;
		line += *line == ';';
	}
	return true;
}

/* ---- groups ---- */

static bool wants_lines(const struct resctrl_group *group)
{
	return group->schemata && *group->schemata;
}

static int open_group(int root_fd, const char *name, int *ret_fd)
{
	*ret_fd = openat(root_fd, streq(name, "/") ? "." : name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *ret_fd < 0 ? -errno : 0;
}

/* The kernel tells in words why it refuses a line or a process. */
static void explain(int root_fd, char *buf, size_t size)
{
	_cleanup_free_ char *text = NULL;

	buf[0] = '\0';
	if (file_read_virtual_at(root_fd, "info/last_cmd_status", 4096, &text, NULL, NULL) < 0 || str_after(text, "ok"))
		return;
	text[strcspn(text, "\n")] = '\0';
	snprintf(buf, size, " (%s)", text);
}

static int write_file(int root_fd, int dir_fd, const char *file, const char *text, const char *said, struct err *err)
{
	char why[128];

	const int r = file_write_at(dir_fd, file, text, NULL);
	if (r == 0)
		return 0;
	explain(root_fd, why, sizeof(why));
	return err_set(err, ERR_SYSTEM, ERR_ID_RESCTRL_REFUSED, -r, "%s: %s: %.*s%s", said, file,
		       (int)strcspn(text, "\n"), text, why);
}

static int write_lines(int root_fd, int dir_fd, const struct resctrl_group *group, const char *said, struct err *err)
{
	for (const char *const *line = group->schemata; *line; line++) {
		_cleanup_free_ char *text = NULL;

		if (asprintf(&text, "%s\n", *line) < 0)
			return err_oom(err);
		const int r = write_file(root_fd, dir_fd, "schemata", text, said, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int compare_lines(int dir_fd, const struct resctrl_group *group, const char *said, struct err *err)
{
	_cleanup_free_ char *text = NULL;

	const int r = file_read_virtual_at(dir_fd, "schemata", SCHEMATA_MAX, &text, NULL, err);
	if (r < 0)
		return r;
	for (const char *const *line = group->schemata; *line; line++)
		if (!resctrl_line_holds(text, *line))
			return err_set(err, ERR_INPUT, ERR_ID_RESCTRL_DIFFERS, 0,
				       "%s: group %s is there already, and %s is not what it has", said, group->name,
				       *line);
	return 0;
}

static int make_monitor(int dir_fd, const struct resctrl_group *group, const char *said, struct resctrl_made *made,
			struct err *err)
{
	char path[512];

	if (!group->monitor)
		return 0;
	if (snprintf(path, sizeof(path), "mon_groups/%s", group->monitor) >= (int)sizeof(path))
		return err_input(err, "%s: the name of the monitoring group is too long", said);
	if (mkdirat(dir_fd, path, 0755) < 0)
		return err_system_id(err, ERR_ID_RESCTRL_REFUSED, "%s: monitoring group %s", said, group->monitor);
	made->monitor = true;
	return 0;
}

int resctrl_make(int root_fd, const struct resctrl_group *group, const char *said, struct resctrl_made *ret,
		 struct err *err)
{
	_cleanup_close_ int dir = FD_NONE;
	struct resctrl_made made = { 0 };

	if (!streq(group->name, "/") && group->may_make) {
		made.group = mkdirat(root_fd, group->name, 0755) == 0;
		if (!made.group && errno != EEXIST)
			return err_system_id(err, ERR_ID_RESCTRL_REFUSED, "%s: group %s", said, group->name);
	}
	int r = open_group(root_fd, group->name, &dir);
	if (r < 0) {
		errno = -r;
		r = err_system_id(err, r == -ENOENT ? ERR_ID_RESCTRL_GROUP : ERR_ID_NONE, "%s: group %s", said,
				  group->name);
	}
	if (r == 0 && wants_lines(group))
		r = made.group ? write_lines(root_fd, dir, group, said, err) : compare_lines(dir, group, said, err);
	if (r == 0)
		r = make_monitor(dir, group, said, &made, err);
	if (r < 0) {
		(void)resctrl_remove(root_fd, group, &made, NULL);
		return r;
	}
	*ret = made;
	return 0;
}

int resctrl_place(int root_fd, const struct resctrl_group *group, pid_t pid, const char *said, struct err *err)
{
	_cleanup_close_ int dir = FD_NONE;
	char text[16], path[512];

	int r = open_group(root_fd, group->name, &dir);
	if (r < 0) {
		errno = -r;
		return err_system(err, "%s: group %s", said, group->name);
	}
	snprintf(text, sizeof(text), "%d\n", (int)pid);
	r = write_file(root_fd, dir, "tasks", text, said, err);
	if (r == 0 && group->monitor) {
		snprintf(path, sizeof(path), "mon_groups/%s/tasks", group->monitor);
		r = write_file(root_fd, dir, path, text, said, err);
	}
	return r;
}

static int remove_directory(int dir_fd, const char *path, const char *what, struct err *err)
{
	if (unlinkat(dir_fd, path, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	return err_system(err, "resctrl: removing %s %s", what, path);
}

int resctrl_remove(int root_fd, const struct resctrl_group *group, const struct resctrl_made *made, struct err *err)
{
	char path[768];
	int r = 0;

	if (made->monitor) {
		snprintf(path, sizeof(path), "%s/mon_groups/%s", streq(group->name, "/") ? "." : group->name,
			 group->monitor);
		r = remove_directory(root_fd, path, "monitoring group", err);
	}
	if (made->group) {
		const int r2 = remove_directory(root_fd, group->name, "group", err);

		r = r < 0 ? r : r2;
	}
	return r;
}
