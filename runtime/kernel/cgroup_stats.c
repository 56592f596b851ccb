/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/cgroup_stats.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <libcgroup.h>
#include <stdio.h>
#include <string.h>

#define FILE_MAX ((size_t)1 << 20) /* io.stat has a line for each device */
#define HUGE_DIR "/sys/kernel/mm/hugepages"

/* "cgroup" is what libcgroup calls the v2 hierarchy, whatever controllers are in it. */
#define V2 "cgroup"

struct reader {
	struct arena *arena;
	const char *path;
	bool found;  /* some file was there */
	bool failed; /* no memory */
};

/* Its default writes to standard output. */
static void drop_log(void *data, int level, const char *fmt, va_list args)
{
	(void)data;
	(void)level;
	(void)fmt;
	(void)args;
}

/* The whole file, or NULL when there is none. libcgroup hands out pieces of at most a buffer's size, with their line ends. */
static char *read_text(struct reader *reader, const char *controller, const char *file)
{
	char name[64], piece[512], *text = NULL, *kept = NULL;
	void *handle = NULL;
	size_t size;
	FILE *f;
	int r;

	snprintf(name, sizeof(name), "%s", file);
	r = cgroup_read_value_begin(controller, reader->path, name, &handle, piece, sizeof(piece));
	if (r != 0 && r != ECGEOF)
		return NULL;
	reader->found = true;
	f = open_memstream(&text, &size);
	for (; f && r == 0; r = cgroup_read_value_next(&handle, piece, sizeof(piece)))
		if (fputs(piece, f) < 0 || ftell(f) > (long)FILE_MAX)
			break;
	cgroup_read_value_end(&handle);
	if (f && fclose(f) == 0)
		kept = arena_strdup(reader->arena, text);
	free(text);
	reader->failed |= !kept;
	return kept;
}

static uint64_t read_number(struct reader *reader, const char *controller, const char *file)
{
	return cgroup_parse_number(read_text(reader, controller, file));
}

static void read_counters(struct reader *reader, const char *controller, const char *file, struct cgroup_counters *ret)
{
	char *text = read_text(reader, controller, file);

	if (text && cgroup_parse_counters(reader->arena, text, ret) < 0)
		reader->failed = true;
}

static void read_pressure(struct reader *reader, const char *file, struct cgroup_pressure *ret)
{
	cgroup_parse_pressure(read_text(reader, V2, file), ret);
}

static uint64_t scaled(uint64_t value, uint64_t factor)
{
	return value >= CGROUP_UNKNOWN ? value : value * factor;
}

static void read_cpu(struct reader *reader, struct cgroup_stats *stats)
{
	struct cgroup_counters v2 = { 0 }, v1 = { 0 };
	unsigned long long quota, period;
	char *max;

	/* Usage is in the cpu.stat of every v2 group, with the controller or without; what a v1 hierarchy has is in its own. */
	read_counters(reader, V2, "cpu.stat", &v2);
	stats->cpu.usage_ns = scaled(cgroup_counter(&v2, "usage_usec"), 1000);
	stats->cpu.user_ns = scaled(cgroup_counter(&v2, "user_usec"), 1000);
	stats->cpu.system_ns = scaled(cgroup_counter(&v2, "system_usec"), 1000);
	if (stats->cpu.usage_ns == CGROUP_UNKNOWN) {
		stats->cpu.usage_ns = read_number(reader, "cpuacct", "cpuacct.usage");
		stats->cpu.user_ns = read_number(reader, "cpuacct", "cpuacct.usage_user");
		stats->cpu.system_ns = read_number(reader, "cpuacct", "cpuacct.usage_sys");
	}
	stats->cpu.quota_us = read_number(reader, "cpu", "cpu.cfs_quota_us");
	stats->cpu.period_us = read_number(reader, "cpu", "cpu.cfs_period_us");
	if (stats->cpu.period_us != CGROUP_UNKNOWN) {
		read_counters(reader, "cpu", "cpu.stat", &v1);
		stats->cpu.throttled_ns = cgroup_counter(&v1, "throttled_time");
	} else {
		max = read_text(reader, V2, "cpu.max");
		if (max && sscanf(max, "max %llu", &period) == 1) {
			stats->cpu.quota_us = CGROUP_NO_LIMIT;
			stats->cpu.period_us = period;
		} else if (max && sscanf(max, "%llu %llu", &quota, &period) == 2) {
			stats->cpu.quota_us = quota;
			stats->cpu.period_us = period;
		}
		stats->cpu.throttled_ns = scaled(cgroup_counter(&v2, "throttled_usec"), 1000);
	}
	stats->cpu.stat = v1.n ? v1 : v2;
	stats->cpu.periods = cgroup_counter(&stats->cpu.stat, "nr_periods");
	stats->cpu.throttled = cgroup_counter(&stats->cpu.stat, "nr_throttled");
	read_pressure(reader, "cpu.pressure", &stats->cpu.pressure);
}

static void read_memory_v1(struct reader *reader, struct cgroup_stats *stats)
{
	stats->memory.bytes.limit = read_number(reader, "memory", "memory.limit_in_bytes");
	stats->memory.bytes.peak = read_number(reader, "memory", "memory.max_usage_in_bytes");
	stats->memory.bytes.hits = read_number(reader, "memory", "memory.failcnt");
	stats->memory.memsw.usage = read_number(reader, "memory", "memory.memsw.usage_in_bytes");
	stats->memory.memsw.limit = read_number(reader, "memory", "memory.memsw.limit_in_bytes");
	stats->memory.memsw.peak = read_number(reader, "memory", "memory.memsw.max_usage_in_bytes");
	stats->memory.memsw.hits = read_number(reader, "memory", "memory.memsw.failcnt");
	read_counters(reader, "memory", "memory.stat", &stats->memory.stat);
	read_counters(reader, "memory", "memory.oom_control", &stats->memory.events);
}

static void read_memory_v2(struct reader *reader, struct cgroup_stats *stats)
{
	struct cgroup_counters swap = { 0 };

	stats->memory.bytes.usage = read_number(reader, V2, "memory.current");
	stats->memory.bytes.limit = read_number(reader, V2, "memory.max");
	stats->memory.bytes.peak = read_number(reader, V2, "memory.peak");
	stats->memory.swap.usage = read_number(reader, V2, "memory.swap.current");
	stats->memory.swap.limit = read_number(reader, V2, "memory.swap.max");
	stats->memory.swap.peak = read_number(reader, V2, "memory.swap.peak");
	read_counters(reader, V2, "memory.swap.events", &swap);
	stats->memory.swap.hits = cgroup_counter(&swap, "max");
	read_counters(reader, V2, "memory.stat", &stats->memory.stat);
	read_counters(reader, V2, "memory.events", &stats->memory.events);
	stats->memory.bytes.hits = cgroup_counter(&stats->memory.events, "max");
}

static void read_memory(struct reader *reader, struct cgroup_stats *stats)
{
	uint64_t inactive;

	stats->memory.bytes.usage = read_number(reader, "memory", "memory.usage_in_bytes");
	if (stats->memory.bytes.usage != CGROUP_UNKNOWN)
		read_memory_v1(reader, stats);
	else
		read_memory_v2(reader, stats);
	stats->memory.oom_kills = cgroup_counter(&stats->memory.events, "oom_kill");
	/* v1's own counters leave groups below out; its totals do not. */
	inactive = cgroup_counter(&stats->memory.stat, "total_inactive_file");
	if (inactive == CGROUP_UNKNOWN)
		inactive = cgroup_counter(&stats->memory.stat, "inactive_file");
	stats->memory.working_set = stats->memory.bytes.usage;
	if (inactive != CGROUP_UNKNOWN && stats->memory.bytes.usage != CGROUP_UNKNOWN)
		stats->memory.working_set =
			stats->memory.bytes.usage > inactive ? stats->memory.bytes.usage - inactive : 0;
	read_pressure(reader, "memory.pressure", &stats->memory.pressure);
}

static void read_pids(struct reader *reader, struct cgroup_stats *stats)
{
	struct cgroup_counters events = { 0 };
	const char *hierarchy = "pids"; /* v1 and v2 have the same files */

	stats->pids.usage = read_number(reader, hierarchy, "pids.current");
	stats->pids.limit = read_number(reader, hierarchy, "pids.max");
	stats->pids.peak = read_number(reader, hierarchy, "pids.peak");
	read_counters(reader, hierarchy, "pids.events", &events);
	stats->pids.hits = cgroup_counter(&events, "max");
}

static void read_io(struct reader *reader, struct cgroup_stats *stats)
{
	char *text = read_text(reader, "blkio", "blkio.throttle.io_service_bytes_recursive");
	int r = 0;

	if (text) {
		r = cgroup_parse_io_v1(reader->arena, text,
				       read_text(reader, "blkio", "blkio.throttle.io_serviced_recursive"),
				       &stats->io.list, &stats->io.n);
	} else {
		text = read_text(reader, V2, "io.stat");
		if (text)
			r = cgroup_parse_io_v2(reader->arena, text, &stats->io.list, &stats->io.n);
	}
	reader->failed |= r < 0;
	read_pressure(reader, "io.pressure", &stats->io.pressure);
}

/* "hugepages-2048kB" is "2MB" in names of files (hugetlb_cgroup.c, mem_fmt). */
static bool huge_name(const char *entry, char ret[24])
{
	const char *number = str_after(entry, "hugepages-");
	unsigned long kb;

	if (!number || sscanf(number, "%lukB", &kb) != 1)
		return false;
	if (kb >= 1UL << 20)
		snprintf(ret, 24, "%luGB", kb >> 20);
	else if (kb >= 1UL << 10)
		snprintf(ret, 24, "%luMB", kb >> 10);
	else
		snprintf(ret, 24, "%luKB", kb);
	return true;
}

static bool read_huge(struct reader *reader, const char *size, struct cgroup_huge *ret)
{
	struct cgroup_counters events = { 0 };
	char file[64];

	ret->size = arena_strdup(reader->arena, size);
	reader->failed |= !ret->size;
	snprintf(file, sizeof(file), "hugetlb.%s.usage_in_bytes", size);
	ret->amount.usage = read_number(reader, "hugetlb", file);
	if (ret->amount.usage != CGROUP_UNKNOWN) {
		snprintf(file, sizeof(file), "hugetlb.%s.limit_in_bytes", size);
		ret->amount.limit = read_number(reader, "hugetlb", file);
		snprintf(file, sizeof(file), "hugetlb.%s.max_usage_in_bytes", size);
		ret->amount.peak = read_number(reader, "hugetlb", file);
		snprintf(file, sizeof(file), "hugetlb.%s.failcnt", size);
		ret->amount.hits = read_number(reader, "hugetlb", file);
		return true;
	}
	snprintf(file, sizeof(file), "hugetlb.%s.current", size);
	ret->amount.usage = read_number(reader, V2, file);
	snprintf(file, sizeof(file), "hugetlb.%s.max", size);
	ret->amount.limit = read_number(reader, V2, file);
	ret->amount.peak = CGROUP_UNKNOWN;
	snprintf(file, sizeof(file), "hugetlb.%s.events", size);
	read_counters(reader, V2, file, &events);
	ret->amount.hits = cgroup_counter(&events, "max");
	return ret->amount.usage != CGROUP_UNKNOWN;
}

static void read_hugetlb(struct reader *reader, struct cgroup_stats *stats)
{
	_cleanup_closedir_ DIR *dir = opendir(HUGE_DIR);
	struct cgroup_huge *list = arena_array(reader->arena, 16, sizeof(*list));
	struct dirent *entry;
	char size[24];

	reader->failed |= !list;
	while (dir && list && stats->hugetlb.n < 16 && (entry = readdir(dir)))
		if (huge_name(entry->d_name, size) && read_huge(reader, size, &list[stats->hugetlb.n]))
			stats->hugetlb.n++;
	stats->hugetlb.list = list;
}

static void read_rdma(struct reader *reader, struct cgroup_stats *stats)
{
	char *current = read_text(reader, "rdma", "rdma.current");

	if (current && cgroup_parse_rdma(reader->arena, current, read_text(reader, "rdma", "rdma.max"),
					 &stats->rdma.list, &stats->rdma.n) < 0)
		reader->failed = true;
}

int cgroup_stats_begin(struct err *err)
{
	cgroup_set_logger(drop_log, CGROUP_LOG_ERROR, NULL);
	const int r = cgroup_init();

	return r == 0 ? 0
		      : err_set(err, ERR_SYSTEM, ERR_ID_NONE, r == ECGOTHER ? cgroup_get_last_errno() : ENODEV,
				"libcgroup: cgroup_init: %s", cgroup_strerror(r));
}

int cgroup_stats_read(struct arena *arena, const char *path, struct cgroup_stats *ret, struct err *err)
{
	const struct cgroup_amount unknown = { CGROUP_UNKNOWN, CGROUP_UNKNOWN, CGROUP_UNKNOWN, CGROUP_UNKNOWN };
	struct reader reader = { .arena = arena, .path = path };
	struct cgroup_stats stats = { .memory = { .bytes = unknown, .swap = unknown, .memsw = unknown } };

	read_cpu(&reader, &stats);
	read_memory(&reader, &stats);
	read_pids(&reader, &stats);
	read_io(&reader, &stats);
	read_hugetlb(&reader, &stats);
	read_rdma(&reader, &stats);
	if (reader.failed)
		return err_oom(err);
	if (!reader.found)
		return -ENOENT;
	*ret = stats;
	return 0;
}
