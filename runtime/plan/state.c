/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/reserve.h>
#include <nsrun/plan/state.h>

#include <nsrun/base/file.h>
#include <nsrun/kernel/cgroup.h>
#include <nsrun/kernel/probe.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ARGV_TEXT_MAX 65536 /* what state.json keeps of a long command */

int state_open_dir(int dirfd, const char *name, mode_t mode, const char *what, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = FD_NONE;
	bool made = false;
	struct stat st;

	if (mode) {
		if (mkdirat(dirfd, name, mode) == 0)
			made = true;
		else if (errno != EEXIST)
			return err_system(err, "%s: making it", what);
	}
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		if (errno == ELOOP || errno == ENOTDIR)
			return err_refused(err, ERR_ID_STATE_ROOT,
					   "%s: is no directory, but something that was put there", what);
		return err_system(err, "%s", what);
	}
	if (fstat(fd, &st) < 0)
		return err_system(err, "%s", what);
	/* Made in advance by another user, it would let that user exchange the locks and records below it. */
	if (st.st_uid != geteuid())
		return err_refused(err, ERR_ID_STATE_ROOT, "%s: belongs to uid %u and not to us, uid %u", what,
				   st.st_uid, geteuid());
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return err_refused(err, ERR_ID_STATE_ROOT, "%s: others can write to it (mode %04o)", what,
				   st.st_mode & 07777);
	/* The caller's umask may have taken bits away that mkdir(2) was asked for. */
	if (made && (st.st_mode & 07777) != mode && fchmod(fd, mode) < 0)
		return err_system(err, "%s: mode", what);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* $XDG_RUNTIME_DIR when it is what the XDG base directory specification promises: absolute, and ours alone. */
static const char *runtime_dir(void)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	struct stat st;

	if (!dir || dir[0] != '/' || stat(dir, &st) < 0)
		return NULL;
	return S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH)) ? dir : NULL;
}

/* Root of a user namespace that an ordinary user made sees /run as that user does: not as its own. */
static bool run_is_ours(void)
{
	struct stat st;

	return geteuid() == 0 && (probe_in_initial_userns() || (stat("/run", &st) == 0 && st.st_uid == 0));
}

int state_root_name(char *ret, size_t size, struct err *err)
{
	const char *dir;
	int n;

	if (run_is_ours())
		n = snprintf(ret, size, "/run/nsrun");
	else if ((dir = runtime_dir()))
		n = snprintf(ret, size, "%s/nsrun", dir);
	else
		n = snprintf(ret, size, "/tmp/nsrun-%u", geteuid());
	if (n < 0 || (size_t)n >= size)
		return err_set(err, ERR_INPUT, ERR_ID_NONE, ENAMETOOLONG, "XDG_RUNTIME_DIR");
	return 0;
}

/* As root 0711: a container's root, which is no root of the host, must be able to pass to what is mounted from below it. */
int state_root_make(const char *path, int *ret_fd, struct err *err)
{
	return state_open_dir(AT_FDCWD, path, geteuid() == 0 ? 0711 : 0700, path, ret_fd, err);
}

int state_root_open(char *ret_path, size_t size, struct err *err)
{
	_cleanup_close_ int fd = FD_NONE;
	char path[PATH_MAX];
	int r;

	r = state_root_name(path, sizeof(path), err);
	if (r < 0)
		return r;
	if (strlen(path) >= size)
		return err_set(err, ERR_INPUT, ERR_ID_NONE, ENAMETOOLONG, "XDG_RUNTIME_DIR");
	r = state_root_make(path, &fd, err);
	if (r < 0)
		return r;
	strcpy(ret_path, path);
	return 0;
}

int state_lock(int dirfd, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = openat(dirfd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? -ESTALE : err_system(err, "lock of a container's state directory");
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : err_system(err, "lock of a container's state directory");
	if (fstat(fd, &st) < 0)
		return err_system(err, "lock of a container's state directory");
	if (st.st_nlink ==
	    0) /* opened before, locked after somebody removed it: a lock on a file that no one will find */
		return -ESTALE;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static bool only(const char *s, size_t n, const char *set)
{
	return n > 0 && strspn(s, set) >= n;
}

bool state_is_remap(const char *name)
{
	const char *dot = strchr(name, '.');

	return dot && only(name, (size_t)(dot - name), "0123456789") && only(dot + 1, strlen(dot + 1), "0123456789");
}

bool state_is_id(const char *name)
{
	return strlen(name) == PLAN_ID_LEN && only(name, PLAN_ID_LEN, "0123456789abcdef");
}

int state_start_time(pid_t pid, uint64_t *ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	unsigned long long start;
	char path[64];
	const char *p;
	size_t size;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	r = file_read_virtual_at(AT_FDCWD, path, 8192, &text, &size, err);
	if (r < 0)
		return r;
	/* Field 2 is the name in parentheses, which may itself hold spaces and parentheses: count from the last one. */
	p = strrchr(text, ')');
	if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			 &start) != 1)
		return err_system(err, "%s: without field 22", path);
	*ret = start;
	return 0;
}

bool state_boot_id(char ret[BOOT_ID_SIZE])
{
	_cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, ret, BOOT_ID_SIZE - 1) != BOOT_ID_SIZE - 1)
		return false;
	ret[BOOT_ID_SIZE - 1] = '\0';
	return true;
}

/* JSON text must be UTF-8 (RFC 8259, 8.1) and an argument need not be: the bytes of one that is not are written as U+0080 to U+00FF. */
static void put_string(FILE *f, const char *s)
{
	bool utf8 = true;

	for (const char *p = s; *p; p++) {
		if (*p & 0x80) {
			json_t *test = json_string(s);

			utf8 = test != NULL;
			json_decref(test);
			break;
		}
	}
	fputc('"', f);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8))
			fprintf(f, "\\u%04x", c);
		else if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else
			fputc(c, f);
	}
	fputc('"', f);
}

static void put_optional(FILE *f, const char *name, const char *s)
{
	fprintf(f, ",\n \"%s\": ", name);
	if (s)
		put_string(f, s);
	else
		fputs("null", f);
}

static void put_map(FILE *f, const char *name, const struct idmap *map)
{
	fprintf(f, ",\n \"%s\": [", name);
	for (size_t i = 0; i < map->n; i++)
		fprintf(f, "%s[%u, %u, %u]", i ? ", " : "", map->extents[i].inside, map->extents[i].outside,
			map->extents[i].count);
	fputc(']', f);
}

static int put_process(FILE *f, const char *name, pid_t pid, struct err *err)
{
	uint64_t start;
	int r;

	fprintf(f, ",\n \"%s\": ", name);
	if (pid <= 0) {
		fputs("null", f);
		return 0;
	}
	r = state_start_time(pid, &start, err);
	if (r < 0)
		return r;
	fprintf(f, "{\"pid\": %d, \"start\": %llu}", (int)pid, (unsigned long long)start);
	return 0;
}

static void put_argv(FILE *f, const char *const *argv)
{
	size_t room = ARGV_TEXT_MAX;

	fputs(",\n \"argv\": [", f);
	for (size_t i = 0; argv && argv[i]; i++) {
		size_t len = strlen(argv[i]);

		if (i)
			fputs(", ", f);
		put_string(f, len < room ? argv[i] : "...");
		if (len >= room)
			break;
		room -= len;
	}
	fputc(']', f);
}

/* Before the groups are made: where they will be. */
static int put_places(FILE *f, const struct plan *plan, struct err *err)
{
	struct cgroup_place places[CGROUP_PLACES_MAX];
	size_t n = 0;

	if (plan->cgroup_path) {
		int r = cgroup_places(plan->cgroup_host, &plan->limits, places, &n, err);

		if (r < 0)
			return r;
	}
	fputs(",\n \"hierarchies\": [", f);
	for (size_t i = 0; i < n; i++)
		fprintf(f, "%s{\"name\": \"%s\", \"device\": %ju, \"inode\": %ju}", i ? ", " : "", places[i].name,
			(uintmax_t)places[i].device, (uintmax_t)places[i].inode);
	fputc(']', f);
	return 0;
}

static int put_state(FILE *f, const struct plan *plan, const struct reservation *reservation, pid_t init,
		     struct err *err)
{
	char created[32] = "", boot[BOOT_ID_SIZE];
	struct stat st;
	struct tm tm;
	int r;

	/* The lock is as old as the container, and a second record keeps the time of the first. */
	if (fstat(reservation->lock_fd, &st) == 0 && gmtime_r(&st.st_mtime, &tm))
		strftime(created, sizeof(created), "%Y-%m-%dT%H:%M:%SZ", &tm);
	fprintf(f, "{\"version\": 1");
	put_optional(f, "id", plan->id);
	r = put_process(f, "owner", getpid(), err);
	if (r == 0)
		r = put_process(f, "init", init, err);
	if (r < 0)
		return r;
	/* Start times count from boot: without this one, a record that survives a boot could name a stranger. */
	put_optional(f, "boot_id", state_boot_id(boot) ? boot : NULL);
	put_optional(f, "cgroup", plan->cgroup_path);
	r = put_places(f, plan, err);
	if (r < 0)
		return r;
	put_optional(f, "created", created);
	put_optional(f, "rootfs", plan->rootfs.path ? plan->rootfs.path : plan->rootfs.source);
	put_map(f, "uid_map", &plan->uids);
	put_map(f, "gid_map", &plan->gids);
	put_argv(f, plan->argv);
	fputs("}\n", f);
	return 0;
}

int state_record(const struct plan *plan, const struct reservation *reservation, pid_t init, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int dir = FD_NONE;
	size_t size = 0;
	FILE *f;
	int r;

	f = open_memstream(&text, &size);
	if (!f)
		return err_oom(err);
	r = put_state(f, plan, reservation, init, err);
	if (fclose(f) != 0 && r == 0)
		r = err_oom(err);
	if (r < 0)
		return r;
	dir = open(reservation->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return err_system(err, "%s", reservation->dir);
	return file_replace_at(dir, "state.json", 0600, text, size, err);
}
