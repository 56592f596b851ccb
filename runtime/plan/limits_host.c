/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/limits.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define LIST_TEXT_MAX 65536
#define CPUS_ONLINE "/sys/devices/system/cpu/online"
#define NODES_WITH_MEMORY "/sys/devices/system/node/has_memory"
#define HUGE_PAGES "/sys/kernel/mm/hugepages"
#define BLOCK_DEVICES "/sys/dev/block"

/* ---- processors and memory nodes ---- */

static bool has_bit(const struct cpuset_bits *set, unsigned i)
{
	return set->bits[i / 8] & 1U << i % 8;
}

/* The number that `*p` begins with. */
static int take_number(const char **p, unsigned *ret)
{
	unsigned value = 0;
	const char *s = *p;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	for (; *s >= '0' && *s <= '9'; s++)
		value = value < CPUSET_MAX ? value * 10 + (unsigned)(*s - '0') : value;
	*p = s;
	*ret = value;
	return value < CPUSET_MAX ? 0 : -ERANGE;
}

int cpuset_parse(const char *text, struct cpuset_bits *ret)
{
	struct cpuset_bits set = { 0 };

	for (;;) {
		unsigned first = 0, last;
		int r = take_number(&text, &first);

		last = first;
		if (r == 0 && *text == '-') {
			text++;
			r = take_number(&text, &last);
		}
		if (r < 0)
			return r;
		if (last < first)
			return -EINVAL;
		for (unsigned i = first; i <= last; i++)
			set.bits[i / 8] |= (uint8_t)(1U << i % 8);
		if (*text == '\0')
			break;
		if (*text++ != ',')
			return -EINVAL;
	}
	*ret = set;
	return 0;
}

char *cpuset_format(struct arena *arena, const struct cpuset_bits *set)
{
	char text[LIST_TEXT_MAX], *at = text;

	text[0] = '\0';
	for (unsigned i = 0; i < CPUSET_MAX; i++) {
		unsigned last = i;

		if (!has_bit(set, i))
			continue;
		while (last + 1 < CPUSET_MAX && has_bit(set, last + 1))
			last++;
		/* Even all even numbers below CPUSET_MAX are no longer than that. */
		at += sprintf(at, last > i ? "%s%u-%u" : "%s%u", at > text ? "," : "", i, last);
		i = last;
	}
	return arena_strdup(arena, text);
}

/* What is there. A kernel without NUMA has no such file and one node, 0. */
static int read_present(enum cgroup_resource resource, struct cpuset_bits *ret, struct err *err)
{
	const char *path = resource == CGROUP_CPUSET_CPUS ? CPUS_ONLINE : NODES_WITH_MEMORY;
	_cleanup_free_ char *text = NULL;
	struct err why = ERR_INIT;
	int r;

	r = file_read_virtual_at(AT_FDCWD, path, LIST_TEXT_MAX, &text, NULL, &why);
	if (r == -ENOENT && resource == CGROUP_CPUSET_MEMS)
		return cpuset_parse("0", ret);
	if (r < 0)
		return err_set(err, why.kind, why.id, why.errnum, "--%s: %s", cgroup_resource_row(resource)->option,
			       why.message);
	text[strcspn(text, "\n")] = '\0';
	if (cpuset_parse(text, ret) < 0)
		return err_input(err, "--%s: %s: \"%s\" is no list of numbers", cgroup_resource_row(resource)->option,
				 path, text);
	return 0;
}

int limits_find_cpuset(struct arena *arena, enum cgroup_resource resource, const char *text, const char **ret,
		       struct err *err)
{
	const char *option = cgroup_resource_row(resource)->option;
	const char *things = resource == CGROUP_CPUSET_CPUS ? "processors" : "memory nodes";
	struct cpuset_bits set = { 0 }, present = { 0 }, missing = { 0 };
	bool complete = true;
	int r;

	r = cpuset_parse(text, &set);
	if (r == -EINVAL)
		return err_set(err, ERR_INPUT, ERR_ID_CPUSET, 0,
			       "--%s %s: a list of numbers and ranges such as 0-2,5 is wanted (cpuset(7), List format)",
			       option, text);
	const bool beyond = r == -ERANGE;
	r = read_present(resource, &present, err);
	if (r < 0)
		return r;
	for (size_t i = 0; !beyond && i < sizeof(set.bits); i++) {
		missing.bits[i] = set.bits[i] & (uint8_t)~present.bits[i];
		complete = complete && !missing.bits[i];
	}
	if (beyond || !complete) {
		const char *there = cpuset_format(arena, &present),
			   *absent = beyond ? "" : cpuset_format(arena, &missing);

		if (!there || !absent)
			return err_oom(err);
		return err_set(err, ERR_INPUT, ERR_ID_CPUSET, 0, "--%s %s: this host has the %s %.200s, not %.100s",
			       option, text, things, there, beyond ? "all of these" : absent);
	}
	const char *canonical = cpuset_format(arena, &set);
	if (!canonical)
		return err_oom(err);
	if (strlen(canonical) >= sizeof(((const struct cgroup_setting *)NULL)->value))
		return err_set(err, ERR_INPUT, ERR_ID_CPUSET, 0,
			       "--%s %.200s...: more than %zu characters, with ranges joined", option, text,
			       sizeof(((const struct cgroup_setting *)NULL)->value) - 1);
	*ret = canonical;
	return 0;
}

/* ---- block devices ---- */

static int parse_numbers(const char *text, uint32_t *ret_major, uint32_t *ret_minor)
{
	char first[16];
	const size_t n = strcspn(text, ":");
	uint32_t major, minor;

	if (n >= sizeof(first) || text[n] != ':')
		return -EINVAL;
	memcpy(first, text, n);
	first[n] = '\0';
	/* What dev_t of the kernel holds: 12 and 20 bits. */
	if (parse_u32(first, &major) < 0 || parse_u32(text + n + 1, &minor) < 0 || major >= 1U << 12 ||
	    minor >= 1U << 20)
		return -EINVAL;
	*ret_major = major;
	*ret_minor = minor;
	return 0;
}

static const char *what_it_is(mode_t mode)
{
	return S_ISDIR(mode)   ? "a directory"
	       : S_ISREG(mode) ? "a regular file"
	       : S_ISCHR(mode) ? "a character device"
			       : "something else";
}

/* The disk that a partition is on: its directory in sysfs is in the one of the disk. */
static void name_of_disk(const char *link, char ret[NAME_MAX + 1])
{
	char target[PATH_MAX];
	const ssize_t n = readlink(link, target, sizeof(target) - 1);
	char *slash, *name;

	snprintf(ret, NAME_MAX + 1, "its disk");
	if (n <= 0)
		return;
	target[n] = '\0';
	slash = strrchr(target, '/');
	if (!slash)
		return;
	*slash = '\0';
	name = strrchr(target, '/');
	if (name && strlen(name + 1) < NAME_MAX - 5)
		snprintf(ret, NAME_MAX + 1, "/dev/%s", name + 1);
}

/* Limits and weights are of a request queue, which a whole disk has and a partition has not: blkg_conf_open_bdev() of the kernel answers
 * ENODEV. */
static int check_whole_disk(const char *option, const char *said, const char *device, uint32_t major, uint32_t minor,
			    struct err *err)
{
	char link[64], file[80], disk[NAME_MAX + 1];

	snprintf(link, sizeof(link), BLOCK_DEVICES "/%" PRIu32 ":%" PRIu32, major, minor);
	if (access(link, F_OK) < 0) {
		/* Where sysfs is not mounted it cannot be told; the kernel will refuse what is not there. */
		if (errno != ENOENT || access(BLOCK_DEVICES, F_OK) < 0)
			return 0;
		return err_set(err, ERR_INPUT, ERR_ID_BLOCK_DEVICE, 0,
			       strchr(device, '/') ? "--%s %s: %s is a node of block device %" PRIu32 ":%" PRIu32
						     ", which this host does not have"
						   : "--%s %s: %s: this host has no block device %" PRIu32 ":%" PRIu32,
			       option, said, device, major, minor);
	}
	snprintf(file, sizeof(file), "%s/partition", link);
	if (access(file, F_OK) < 0)
		return 0;
	name_of_disk(link, disk);
	return err_set(err, ERR_INPUT, ERR_ID_BLOCK_DEVICE, 0,
		       "--%s %s: %s is a partition, and the kernel limits whole disks alone: %s", option, said, device,
		       disk);
}

int limits_find_disk(const char *option, const char *said, size_t length, uint32_t *ret_major, uint32_t *ret_minor,
		     struct err *err)
{
	char device[PATH_MAX];
	uint32_t major, minor;
	struct stat st;
	int r;

	if (length == 0 || length >= sizeof(device))
		return err_set(err, ERR_INPUT, ERR_ID_BLOCK_DEVICE, 0,
			       "--%s %.200s: a device is wanted before the last colon", option, said);
	memcpy(device, said, length);
	device[length] = '\0';
	if (!strchr(device, '/')) {
		if (parse_numbers(device, &major, &minor) < 0)
			return err_set(err, ERR_INPUT, ERR_ID_BLOCK_DEVICE, 0,
				       "--%s %s: %s is neither a path, as /dev/sda, nor MAJOR:MINOR", option, said,
				       device);
	} else {
		if (stat(device, &st) < 0 && errno == ENOENT)
			return err_set(err, ERR_INPUT, ERR_ID_BLOCK_DEVICE, 0,
				       "--%s %s: %s does not exist on this host", option, said, device);
		if (stat(device, &st) < 0)
			return err_system_id(err, ERR_ID_BLOCK_DEVICE, "--%s %s: %s", option, said, device);
		if (!S_ISBLK(st.st_mode))
			return err_set(err, ERR_INPUT, ERR_ID_BLOCK_DEVICE, 0, "--%s %s: %s is %s, no block device",
				       option, said, device, what_it_is(st.st_mode));
		major = (uint32_t)major(st.st_rdev);
		minor = (uint32_t)minor(st.st_rdev);
	}
	r = check_whole_disk(option, said, device, major, minor, err);
	if (r < 0)
		return r;
	*ret_major = major;
	*ret_minor = minor;
	return 0;
}

/* ---- huge pages ---- */

/* As hugetlb_cgroup.c of the kernel names its files. */
static void format_page_size(uint64_t bytes, char ret[32])
{
	if (bytes >= UINT64_C(1) << 30)
		snprintf(ret, 32, "%" PRIu64 "GB", bytes >> 30);
	else if (bytes >= UINT64_C(1) << 20)
		snprintf(ret, 32, "%" PRIu64 "MB", bytes >> 20);
	else
		snprintf(ret, 32, "%" PRIu64 "KB", bytes >> 10);
}

/* The sizes that there are, apart by a blank. */
static void list_page_sizes(char *ret, size_t size)
{
	_cleanup_closedir_ DIR *dir = opendir(HUGE_PAGES);
	size_t used = 0;

	ret[0] = '\0';
	for (struct dirent *d; dir && (d = readdir(dir));) {
		const char *rest = str_after(d->d_name, "hugepages-");
		uint64_t bytes;
		char name[32];

		if (!rest || parse_size(rest, &bytes) < 0)
			continue;
		format_page_size(bytes, name);
		if (used + strlen(name) + 2 < size)
			used += (size_t)snprintf(ret + used, size - used, "%s%s", used ? ", " : "", name);
	}
}

int limits_find_page_size(struct arena *arena, const char *said, size_t length, const char **ret, uint64_t *ret_bytes,
			  struct err *err)
{
	char word[32], path[80], name[32], there[160];
	uint64_t bytes;

	snprintf(word, sizeof(word), "%.*s", (int)(length < 31 ? length : 31), said);
	if (length >= sizeof(word) || parse_size(word, &bytes) < 0 || bytes < 1024)
		return err_set(err, ERR_INPUT, ERR_ID_HUGE_PAGES, 0,
			       "--hugetlb %s: a size of pages such as 2m is wanted before =", said);
	snprintf(path, sizeof(path), HUGE_PAGES "/hugepages-%" PRIu64 "kB", bytes >> 10);
	if (bytes & 1023 || access(path, F_OK) < 0) {
		list_page_sizes(there, sizeof(there));
		return err_set(err, ERR_INPUT, ERR_ID_HUGE_PAGES, 0, "--hugetlb %s: %s huge pages%s%s", said,
			       there[0] ? "this kernel has other" : "this kernel has no", there[0] ? ": " : "", there);
	}
	format_page_size(bytes, name);
	*ret = arena_strdup(arena, name);
	*ret_bytes = bytes;
	return *ret ? 0 : err_oom(err);
}
