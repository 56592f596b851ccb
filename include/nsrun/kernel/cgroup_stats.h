/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statistics of a group, as its files have them: cgroup-v2.rst and cgroup-v1/. libcgroup reads them, which knows where each controller is
 * mounted; what it costs (0.6 ms, since it reads /proc/mounts) does not matter to who looks on.
 */
#ifndef NSRUN_KERNEL_CGROUP_STATS_H
#define NSRUN_KERNEL_CGROUP_STATS_H

#include <nsrun/base/arena.h>
#include <nsrun/kernel/cgroup_use.h>

/* A file of lines "key value", such as memory.stat, in its own order. */
struct cgroup_counter {
	const char *key;
	uint64_t value;
};
struct cgroup_counters {
	struct cgroup_counter *list;
	size_t n;
};
/* CGROUP_UNKNOWN when it is not there. */
uint64_t cgroup_counter(const struct cgroup_counters *counters, const char *key);

/* A use with its bound. CGROUP_UNKNOWN where there is no such file; limit CGROUP_NO_LIMIT: none is set. */
struct cgroup_amount {
	uint64_t usage, limit, peak;
	uint64_t hits; /* how often the limit was met */
};

/* Pressure stall information: shares of time in percent, and all of it. `known`: the kernel has it. */
struct cgroup_stall {
	bool known;
	double avg10, avg60, avg300;
	uint64_t total_us;
};
struct cgroup_pressure {
	struct cgroup_stall some, full;
};

struct cgroup_io {
	uint32_t major, minor;
	uint64_t rbytes, wbytes, dbytes, rios, wios, dios; /* CGROUP_UNKNOWN: not told */
};
struct cgroup_huge {
	const char *size; /* "2MB" */
	struct cgroup_amount amount;
};
struct cgroup_rdma {
	const char *device;
	struct cgroup_amount handles, objects;
};

struct cgroup_stats {
	struct {
		uint64_t usage_ns, user_ns, system_ns;
		uint64_t periods, throttled, throttled_ns;
		uint64_t quota_us, period_us; /* quota CGROUP_NO_LIMIT: none */
		struct cgroup_counters stat;
		struct cgroup_pressure pressure;
	} cpu;
	struct {
		struct cgroup_amount bytes;
		struct cgroup_amount swap;  /* v2: swap alone */
		struct cgroup_amount memsw; /* v1: memory and swap together */
		uint64_t working_set;	    /* without the pages of files that were not used lately */
		uint64_t oom_kills;
		struct cgroup_counters stat, events;
		struct cgroup_pressure pressure;
	} memory;
	struct cgroup_amount pids;
	struct {
		struct cgroup_io *list;
		size_t n;
		struct cgroup_pressure pressure;
	} io;
	struct {
		struct cgroup_huge *list;
		size_t n;
	} hugetlb;
	struct {
		struct cgroup_rdma *list;
		size_t n;
	} rdma;
};

/* Once, before anything is read: libcgroup finds out what is mounted. */
int cgroup_stats_begin(struct err *err);
/* `path` as for cgroup_destroy(). What is not there is unknown; -ENOENT, with `err` unset: nothing is, the group is gone. Everything in
 * it belongs to the arena. */
int cgroup_stats_read(struct arena *arena, const char *path, struct cgroup_stats *ret, struct err *err);

/* The parsers, for tests; they write into `text`, which the results point into. A line that is none of the format is passed over. -ENOMEM. */
int cgroup_parse_counters(struct arena *arena, char *text, struct cgroup_counters *ret);
uint64_t cgroup_parse_number(const char *text);
void cgroup_parse_pressure(const char *text, struct cgroup_pressure *ret);
int cgroup_parse_io_v2(struct arena *arena, char *text, struct cgroup_io **ret, size_t *ret_n);
int cgroup_parse_io_v1(struct arena *arena, char *bytes, char *serviced, struct cgroup_io **ret, size_t *ret_n);
int cgroup_parse_rdma(struct arena *arena, char *current, char *max, struct cgroup_rdma **ret, size_t *ret_n);

#endif
