/* SPDX-License-Identifier: Apache-2.0 */
/* Writing limits, and looking whether the kernel took them. */
#include <nsrun/kernel/cgroup_write.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_SIZE 4096 /* of a file of a new group, or of one that a container has: some lines */

void cgroup_dirs_close(struct cgroup_dirs *g)
{
	for (unsigned i = 0; i <= CGROUP_V2; i++)
		closep(&g->fds[i]);
}

struct cgroup_dirs cgroup_dirs_none(const struct cgroup_host *host, const char *path)
{
	struct cgroup_dirs g = { .host = host, .path = path };

	for (unsigned i = 0; i <= CGROUP_V2; i++)
		g.fds[i] = FD_NONE;
	return g;
}

/* ---- refusals ---- */

static void around_has(const struct cgroup_dirs *g, const struct cgroup_setting *s, const char *remedy, char *ret,
		       size_t size)
{
	_cleanup_free_ char *text = NULL;
	char name[96];

	/* v2's own list may be empty, what counts is the effective one. */
	snprintf(name, sizeof(name), "../%s%s", s->file, s->v2 && s->controller == CGROUP_CPUSET ? ".effective" : "");
	if (file_read_virtual_at(g->fds[cgroup_hierarchy(s)], name, 65536, &text, NULL, NULL) == 0)
		snprintf(ret, size, "; the group around it has %.*s%s", (int)strcspn(text, "\n"), text, remedy);
}

static void huge_page_sizes(char *ret, size_t size)
{
	_cleanup_closedir_ DIR *dir = opendir("/sys/kernel/mm/hugepages");
	size_t used = (size_t)snprintf(ret, size, "; this kernel has huge pages of");

	for (struct dirent *d; dir && (d = readdir(dir));) {
		unsigned long kb;

		if (sscanf(d->d_name, "hugepages-%lukB", &kb) != 1 || used + 16 > size)
			continue;
		used += (size_t)(kb >= 1 << 20 ? snprintf(ret + used, size - used, " %luGB", kb >> 20)
				 : kb >= 1024  ? snprintf(ret + used, size - used, " %luMB", kb >> 10)
					       : snprintf(ret + used, size - used, " %luKB", kb));
	}
	if (used == strlen("; this kernel has huge pages of"))
		snprintf(ret, size, "; this kernel has no huge pages");
}

static void explain_io(const struct cgroup_setting *s, int error, char *ret, size_t size)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/dev/block/%.*s/partition", (int)strcspn(s->value, " "), s->value);
	if (error == ENODEV)
		snprintf(ret, size, "; %s",
			 access(path, F_OK) == 0 ? "it is a partition, and limits are of whole disks"
						 : "there is no such block device");
	else if (error == EOPNOTSUPP)
		snprintf(ret, size, "; no scheduler that shares by weight serves this disk");
}

/* The kernel gives such files no bit to write (kernfs_fop_open()); root, whom bits do not hold, gets EINVAL from the write. */
static bool is_read_only(const struct cgroup_dirs *g, const struct cgroup_setting *s)
{
	struct stat st;

	return fstatat(g->fds[cgroup_hierarchy(s)], s->file, &st, AT_SYMLINK_NOFOLLOW) == 0 && !(st.st_mode & 0222);
}

/* The reason that the errno alone does not tell. */
static void explain(const struct cgroup_dirs *g, const struct cgroup_setting *s, int error, char *ret, size_t size)
{
	const enum cgroup_resource resource = s->from ? s->from->resource : CGROUP_RESOURCE_COUNT;

	ret[0] = '\0';
	if (is_read_only(g, s))
		snprintf(ret, size, "; the file can only be read");
	else if (resource == CGROUP_HUGETLB_LIMIT && error == ENOENT)
		huge_page_sizes(ret, size);
	else if (error == ENOENT && resource == CGROUP_MEMORY_SWAP)
		snprintf(ret, size, "; this kernel does not count swap (boot parameter swapaccount=1)");
	else if (error == ENOENT && (resource == CGROUP_IO_WEIGHT || resource == CGROUP_IO_WEIGHT_DEVICE))
		snprintf(ret, size,
			 "; no scheduler that shares by weight is loaded: modprobe bfq, or CONFIG_BLK_CGROUP_IOCOST");
	else if (error == ENOENT)
		snprintf(ret, size, "; this kernel has no such file");
	else if (resource >= CGROUP_IO_WEIGHT && resource <= CGROUP_IO_WRITE_IOPS)
		explain_io(s, error, ret, size);
	else if ((resource == CGROUP_RDMA_HANDLES || resource == CGROUP_RDMA_OBJECTS) &&
		 (error == ENODEV || error == EINVAL))
		snprintf(ret, size, "; there is no rdma device of that name (ls /sys/class/infiniband)");
	else if (resource == CGROUP_NET_PRIORITY && error == ENODEV)
		snprintf(ret, size, "; the host has no interface of that name");
	else if (s->controller == CGROUP_CPUSET || (resource == CGROUP_CPU_QUOTA && !s->v2))
		around_has(g, s, "", ret, size);
	else if (resource == CGROUP_CPU_RT_RUNTIME || resource == CGROUP_CPU_RT_PERIOD)
		around_has(g, s, ": write what its containers need there first", ret, size);
	else if (error == EBUSY && s->controller == CGROUP_MEMORY)
		snprintf(ret, size, "; more than that is in use, and cannot be given back");
}

static int refuse(const struct cgroup_dirs *g, const struct cgroup_setting *s, int error, struct err *err)
{
	char why[200], field[128] = "";

	explain(g, s, error, why, sizeof(why));
	if (s->from && s->from->from_oci)
		cgroup_resource_label(s->from, field, sizeof(field));
	return err_set(err, ERR_SYSTEM,
		       error == ENOENT							   ? ERR_ID_LIMIT_NO_FILE
		       : error == EACCES && s->v2 && geteuid() != 0 && !is_read_only(g, s) ? ERR_ID_NOT_DELEGATED
		       : error == EOPNOTSUPP && s->controller == CGROUP_IO		   ? ERR_ID_IO_WEIGHT
											   : ERR_ID_LIMIT_REFUSED,
		       error, "%s%s%s%s/%s: write %s%s", field, *field ? ": " : "",
		       cgroup_dirs_mount(g, cgroup_hierarchy(s)), g->path, s->file, s->value, why);
}

/* ---- one file ---- */

/* cpuset.cpus of v2 takes what the group around does not have, and then the group has all of that one's (cgroup-v2.rst). */
static bool is_effective(int dir_fd, const struct cgroup_setting *s, char *text, size_t size)
{
	struct cgroup_setting effective = *s;
	char name[96];

	snprintf(name, sizeof(name), "%s.effective", s->file);
	const int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return true;
	text[n] = '\0';
	effective.check = CGROUP_CHECK_WITHIN;
	return cgroup_setting_held(&effective, text);
}

/* 0 and the file's text in `text` where it holds another value; *held otherwise. -errno: the kernel refused. */
static int write_file(int dir_fd, const struct cgroup_setting *s, bool *held, char *text, size_t size)
{
	int fd = openat(dir_fd, s->file, O_RDWR | O_CLOEXEC);
	bool readable = true;
	ssize_t n;
	int r = 0;

	/* memory.reclaim and the like are there to be written alone. */
	if (fd < 0 && (errno == EACCES || errno == EINVAL)) {
		fd = openat(dir_fd, s->file, O_WRONLY | O_CLOEXEC);
		readable = false;
	}
	if (fd < 0)
		return -errno;
	n = write(fd, s->value, strlen(s->value));
	if (n < 0)
		r = -errno;
	*held = true;
	if (r == 0 && readable) {
		n = pread(fd, text, size - 1, 0);
		if (n < 0)
			r = -errno;
		else
			text[n] = '\0';
		if (r == 0)
			*held = cgroup_setting_held(s, text);
	}
	close(fd);
	if (r == 0 && *held && s->v2 && s->check == CGROUP_CHECK_LIST)
		*held = is_effective(dir_fd, s, text, size);
	return r;
}

static int not_held(const struct cgroup_dirs *g, const struct cgroup_setting *s, char *text, struct err *err)
{
	text[strcspn(text, "\n")] = '\0';
	return err_set(err, ERR_REFUSED, ERR_ID_LIMIT_NOT_APPLIED, ERANGE, "%s%s/%s: asked for %s, the kernel holds %s",
		       cgroup_dirs_mount(g, cgroup_hierarchy(s)), g->path, s->file, s->value, text);
}

/* ---- all of them ---- */

/* Is nothing of what one value stands for taken? Then it would be dropped in silence. */
static const struct cgroup_setting *first_dropped(const struct cgroup_setting *list, size_t n,
						  const uint8_t progress[CGROUP_SETTINGS_MAX])
{
	for (size_t i = 0; i < n; i++) {
		bool taken = false;

		if (progress[i] != CGROUP_LEFT_OUT || !list[i].from)
			continue;
		for (size_t j = 0; j < n; j++)
			taken |= list[j].from == list[i].from && progress[j] == CGROUP_TAKEN;
		if (!taken)
			return &list[i];
	}
	return NULL;
}

/*
 * In two rounds: what the kernel refuses with EINVAL or EBUSY may depend on a later file of the list (memory may not be above memory and swap, a burst not
 * above its quota), in either direction when a limit changes, so it is written once more after the rest.
 */
int cgroup_write_settings(const struct cgroup_dirs *g, const struct cgroup_setting *list, size_t n,
			  uint8_t progress[CGROUP_SETTINGS_MAX], struct err *err)
{
	int errors[CGROUP_SETTINGS_MAX] = { 0 };
	bool again = true;

	memset(progress, CGROUP_WAITING, n);
	for (int round = 0; round < 2 && again; round++) {
		again = false;
		for (size_t i = 0; i < n; i++) {
			const struct cgroup_setting *s = &list[i];
			char text[TEXT_SIZE];
			bool held = false;

			if (progress[i] != (round ? CGROUP_AGAIN : CGROUP_WAITING))
				continue;
			errors[i] = -write_file(g->fds[cgroup_hierarchy(s)], s, &held, text, sizeof(text));
			if (errors[i] == 0) {
				/* Also where the kernel made something else of it: that, too, is to be put back. */
				progress[i] = CGROUP_TAKEN;
				if (!held)
					return not_held(g, s, text, err);
			} else if (s->optional && (errors[i] == ENOENT || errors[i] == EOPNOTSUPP)) {
				progress[i] = CGROUP_LEFT_OUT;
			} else if (round == 0 && (errors[i] == EINVAL || errors[i] == EBUSY)) {
				progress[i] = CGROUP_AGAIN;
				again = true;
			} else {
				return refuse(g, s, errors[i], err);
			}
		}
	}
	const struct cgroup_setting *dropped = first_dropped(list, n, progress);
	return dropped ? refuse(g, dropped, errors[dropped - list], err) : 0;
}

/* ---- a new container ---- */

static int make_groups(struct cgroup_dirs *g, const struct cgroup_setting *list, size_t n, struct err *err)
{
	unsigned on_v2 = 0;
	int r = 0;

	for (size_t i = 0; i < n; i++)
		if (list[i].v2 && list[i].controller < CGROUP_CONTROLLER_COUNT)
			on_v2 |= 1U << list[i].controller;
	for (size_t i = 0; r == 0 && i < n; i++) {
		const unsigned h = cgroup_hierarchy(&list[i]);

		if (g->fds[h] >= 0)
			continue;
		if (h != CGROUP_V2) {
			r = cgroup_make_v1(g->host, g->path, h, &g->fds[h], &g->made[h], err);
			continue;
		}
		r = cgroup_open_v2(g->host, g->path, &g->fds[CGROUP_V2], NULL);
		if (r == -ENOENT) {
			r = cgroup_make_v2(g->host, g->path, &g->fds[CGROUP_V2], NULL, err);
			g->made[CGROUP_V2] = r == 0;
		} else if (r < 0) {
			r = cgroup_open_v2(g->host, g->path, &g->fds[CGROUP_V2], err);
		}
		if (r == 0 && on_v2)
			r = cgroup_enable_v2(g->host, g->path, on_v2, err);
	}
	return r;
}

static void unmake_groups(struct cgroup_dirs *g)
{
	char full[2 * CGROUP_PATH_MAX];

	for (unsigned i = 0; i <= CGROUP_V2; i++)
		if (g->made[i]) {
			snprintf(full, sizeof(full), "%s%s", cgroup_dirs_mount(g, i), g->path);
			(void)rmdir(full);
		}
}

static size_t keep_side(struct cgroup_setting *list, size_t n, enum cgroup_side side)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (side & (list[i].v2 ? CGROUP_IN_V2 : CGROUP_IN_V1)) {
			if (kept != i)
				list[kept] = list[i];
			kept++;
		}
	return kept;
}

bool cgroup_limits_are_in(const struct cgroup_host *host, const struct cgroup_resources *resources,
			  enum cgroup_side side)
{
	for (size_t i = 0; i < resources->n; i++) {
		const struct cgroup_resources one = { .values = &resources->values[i], .n = 1 };
		const unsigned controllers = cgroup_resources_controllers(&one);
		bool v1 = false;

		for (unsigned c = 0; c < CGROUP_CONTROLLER_COUNT; c++)
			v1 |= (controllers & 1U << c) && cgroup_on_v1(host, c);
		if (side & (v1 ? CGROUP_IN_V1 : CGROUP_IN_V2))
			return true;
	}
	return false;
}

int cgroup_apply_limits(const struct cgroup_host *host, const char *path, const struct cgroup_resources *resources,
			struct err *err)
{
	return cgroup_apply_limits_in(host, path, resources, CGROUP_IN_BOTH, err);
}

int cgroup_apply_limits_in(const struct cgroup_host *host, const char *path, const struct cgroup_resources *resources,
			   enum cgroup_side side, struct err *err)
{
	_cleanup_free_ struct cgroup_setting *list = NULL;
	_cleanup_(cgroup_dirs_close) struct cgroup_dirs groups = cgroup_dirs_none(host, path);
	uint8_t progress[CGROUP_SETTINGS_MAX];
	size_t n;
	int r;

	if (!resources->n)
		return 0;
	if (path[0] != '/' || !path[1] || strstr(path, "/.."))
		return err_bug(err, "%s: not the path of a container's control group", path);
	list = malloc(CGROUP_SETTINGS_MAX * sizeof(*list));
	if (!list)
		return err_oom(err);
	r = cgroup_settings(host, resources, list, &n, err);
	if (r < 0)
		return r;
	n = keep_side(list, n, side);
	r = make_groups(&groups, list, n, err);
	if (r == 0)
		r = cgroup_write_settings(&groups, list, n, progress, err);
	if (r < 0)
		unmake_groups(&groups);
	return r;
}
