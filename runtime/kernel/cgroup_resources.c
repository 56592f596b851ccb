/* SPDX-License-Identifier: Apache-2.0 */
/* The table of resources, and lists of values. */
#include <nsrun/kernel/cgroup_resources.h>

#include <nsrun/base/strings.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* kernel/sched/core.c (6.1 to 6.18): a period is 1 ms to 1 s, a quota at least 1 ms and at most MAX_BW. */
#define CPU_US_MIN 1000
#define CPU_PERIOD_US_MAX 1000000
#define CPU_US_MAX (((int64_t)1 << 44) - 1)
#define PIDS_LIMIT_MAX 4194304 /* PID_MAX_LIMIT of 64-bit kernels */
#define MEMORY_MIN 4096

#define NO_NET_V2                                                                                                      \
	"cgroup v2 has no network classes: match the group itself (cgroup of iptables, socket cgroupv2 of nftables), " \
	"or mount the v1 hierarchy"
#define NO_RT_V2 "cgroup v2 has no realtime budget: leave it away, and use --ulimit rtprio"

static const struct cgroup_resource_row rows[CGROUP_RESOURCE_COUNT] = {
	[CGROUP_MEMORY_LIMIT] = { CGROUP_MEMORY, "memory.limit", "memory", MEMORY_MIN, INT64_MAX, true, "bytes",
				  "memory.max", "memory.limit_in_bytes", NULL },
	[CGROUP_MEMORY_RESERVATION] = { CGROUP_MEMORY, "memory.reservation", "memory-reservation", 0, INT64_MAX, true,
					"bytes", "memory.low", "memory.soft_limit_in_bytes", NULL },
	[CGROUP_MEMORY_SWAP] = { CGROUP_MEMORY, "memory.swap", "memory-swap", 0, INT64_MAX, true, "bytes",
				 "memory.swap.max", "memory.memsw.limit_in_bytes", NULL },
	[CGROUP_MEMORY_SWAPPINESS] = { CGROUP_MEMORY, "memory.swappiness", NULL, 0, 100, false, "", NULL,
				       "memory.swappiness",
				       "cgroup v2 has no swappiness of a group: bound its swap by memory.swap" },
	[CGROUP_MEMORY_NO_OOM_KILL] = { CGROUP_MEMORY, "memory.disableOOMKiller", NULL, 0, 1, false, "", NULL,
					"memory.oom_control",
					"cgroup v2 cannot switch off the killing: memory.high of a unified key "
					"slows a group down instead" },
	[CGROUP_CPU_SHARES] = { CGROUP_CPU, "cpu.shares", "cpu-shares", 2, 262144, false, "", "cpu.weight",
				"cpu.shares", NULL },
	[CGROUP_CPU_QUOTA] = { CGROUP_CPU, "cpu.quota", "cpus", CPU_US_MIN, CPU_US_MAX, true, "microseconds", "cpu.max",
			       "cpu.cfs_quota_us", NULL },
	[CGROUP_CPU_PERIOD] = { CGROUP_CPU, "cpu.period", NULL, CPU_US_MIN, CPU_PERIOD_US_MAX, false, "microseconds",
				"cpu.max", "cpu.cfs_period_us", NULL },
	[CGROUP_CPU_BURST] = { CGROUP_CPU, "cpu.burst", NULL, 0, CPU_US_MAX, false, "microseconds", "cpu.max.burst",
			       "cpu.cfs_burst_us", NULL },
	[CGROUP_CPU_IDLE] = { CGROUP_CPU, "cpu.idle", NULL, 0, 1, false, "", "cpu.idle", "cpu.idle", NULL },
	[CGROUP_CPU_RT_RUNTIME] = { CGROUP_CPU, "cpu.realtimeRuntime", NULL, 0, CPU_US_MAX, false, "microseconds", NULL,
				    "cpu.rt_runtime_us", NO_RT_V2 },
	[CGROUP_CPU_RT_PERIOD] = { CGROUP_CPU, "cpu.realtimePeriod", NULL, 1, CPU_US_MAX, false, "microseconds", NULL,
				   "cpu.rt_period_us", NO_RT_V2 },
	[CGROUP_CPUSET_CPUS] = { CGROUP_CPUSET, "cpu.cpus", "cpuset-cpus", 0, 0, false, "", "cpuset.cpus",
				 "cpuset.cpus", NULL },
	[CGROUP_CPUSET_MEMS] = { CGROUP_CPUSET, "cpu.mems", "cpuset-mems", 0, 0, false, "", "cpuset.mems",
				 "cpuset.mems", NULL },
	[CGROUP_PIDS_LIMIT] = { CGROUP_PIDS, "pids.limit", "pids-limit", 1, PIDS_LIMIT_MAX, true, "processes",
				"pids.max", "pids.max", NULL },
	[CGROUP_IO_WEIGHT] = { CGROUP_IO, "blockIO.weight", "io-weight", 10, 1000, false, "", "io.weight",
			       "blkio.bfq.weight", NULL },
	[CGROUP_IO_LEAF_WEIGHT] = { CGROUP_IO, "blockIO.leafWeight", NULL, 10, 1000, false, "", NULL, NULL,
				    "no kernel since 5.0 has leaf weights: use blockIO.weight" },
	[CGROUP_IO_WEIGHT_DEVICE] = { CGROUP_IO, "blockIO.weightDevice[]", "io-weight", 10, 1000, false, "",
				      "io.weight", "blkio.bfq.weight_device", NULL },
	[CGROUP_IO_LEAF_WEIGHT_DEVICE] = { CGROUP_IO, "blockIO.weightDevice[]", NULL, 10, 1000, false, "", NULL, NULL,
					   "no kernel since 5.0 has leaf weights: use weight" },
	[CGROUP_IO_READ_BPS] = { CGROUP_IO, "blockIO.throttleReadBpsDevice[]", "device-read-bps", 0, INT64_MAX, true,
				 "bytes a second", "io.max", "blkio.throttle.read_bps_device", NULL },
	[CGROUP_IO_WRITE_BPS] = { CGROUP_IO, "blockIO.throttleWriteBpsDevice[]", "device-write-bps", 0, INT64_MAX, true,
				  "bytes a second", "io.max", "blkio.throttle.write_bps_device", NULL },
	[CGROUP_IO_READ_IOPS] = { CGROUP_IO, "blockIO.throttleReadIOPSDevice[]", "device-read-iops", 0, UINT32_MAX - 1,
				  true, "operations a second", "io.max", "blkio.throttle.read_iops_device", NULL },
	[CGROUP_IO_WRITE_IOPS] = { CGROUP_IO, "blockIO.throttleWriteIOPSDevice[]", "device-write-iops", 0,
				   UINT32_MAX - 1, true, "operations a second", "io.max",
				   "blkio.throttle.write_iops_device", NULL },
	[CGROUP_HUGETLB_LIMIT] = { CGROUP_HUGETLB, "hugepageLimits[]", "hugetlb", 0, INT64_MAX, true, "bytes",
				   "hugetlb.%s.max", "hugetlb.%s.limit_in_bytes", NULL },
	[CGROUP_RDMA_HANDLES] = { CGROUP_RDMA, "rdma.*.hcaHandles", NULL, 0, INT32_MAX, true, "handles", "rdma.max",
				  "rdma.max", NULL },
	[CGROUP_RDMA_OBJECTS] = { CGROUP_RDMA, "rdma.*.hcaObjects", NULL, 0, INT32_MAX, true, "objects", "rdma.max",
				  "rdma.max", NULL },
	[CGROUP_NET_CLASS] = { CGROUP_NET_CLS, "network.classID", NULL, 0, UINT32_MAX, false, "", NULL,
			       "net_cls.classid", NO_NET_V2 },
	[CGROUP_NET_PRIORITY] = { CGROUP_NET_PRIO, "network.priorities[]", NULL, 0, UINT32_MAX, false, "", NULL,
				  "net_prio.ifpriomap", NO_NET_V2 },
	[CGROUP_UNIFIED] = { CGROUP_CONTROLLER_COUNT, "unified", "cgroup", 0, 0, false, "", "%s", NULL, NULL },
};

const struct cgroup_resource_row *cgroup_resource_row(enum cgroup_resource resource)
{
	return &rows[resource];
}

static bool of_device(enum cgroup_resource resource)
{
	return resource >= CGROUP_IO_WEIGHT_DEVICE && resource <= CGROUP_IO_WRITE_IOPS;
}

/* The values of these are texts, so that a text does not tell one from another. */
static bool is_text(enum cgroup_resource resource)
{
	return resource == CGROUP_CPUSET_CPUS || resource == CGROUP_CPUSET_MEMS;
}

const char *cgroup_resource_label(const struct cgroup_value *value, char *buf, size_t size)
{
	const struct cgroup_resource_row *row = &rows[value->resource];
	const bool option = row->option && !value->from_oci;
	const char *dashes = option ? "--" : value->from_oci ? "linux.resources." : "";
	const char *name = option ? row->option : row->oci;

	if (of_device(value->resource))
		snprintf(buf, size, "%s%s %" PRIu32 ":%" PRIu32, dashes, name, value->major, value->minor);
	else if (value->text)
		snprintf(buf, size, "%s%s %s", dashes, name, value->text);
	else
		snprintf(buf, size, "%s%s", dashes, name);
	return buf;
}

static bool same(const struct cgroup_value *a, const struct cgroup_value *b)
{
	return a->resource == b->resource && a->major == b->major && a->minor == b->minor &&
	       (is_text(a->resource) || streq(a->text ?: "", b->text ?: ""));
}

int cgroup_resources_add(struct arena *arena, struct cgroup_resources *resources, const struct cgroup_value *value,
			 struct err *err)
{
	/* Grown by one: they are few, and the arena takes no memory back. Room is for eight at a time. */
	for (size_t i = 0; i < resources->n; i++)
		if (same(&resources->values[i], value)) {
			resources->values[i] = *value;
			return 0;
		}
	if (resources->n % 8 == 0) {
		struct cgroup_value *more = arena_array(arena, resources->n + 8, sizeof(*more));

		if (!more)
			return err_oom(err);
		if (resources->n)
			memcpy(more, resources->values, resources->n * sizeof(*more));
		resources->values = more;
	}
	resources->values[resources->n++] = *value;
	return 0;
}

const struct cgroup_value *cgroup_resources_find(const struct cgroup_resources *resources,
						 enum cgroup_resource resource)
{
	for (size_t i = 0; i < resources->n; i++)
		if (resources->values[i].resource == resource)
			return &resources->values[i];
	return NULL;
}

int64_t cgroup_resources_number(const struct cgroup_resources *resources, enum cgroup_resource resource,
				int64_t otherwise)
{
	const struct cgroup_value *value = cgroup_resources_find(resources, resource);

	return value ? value->number : otherwise;
}

unsigned cgroup_resources_controllers(const struct cgroup_resources *resources)
{
	unsigned mask = 0;

	for (size_t i = 0; i < resources->n; i++) {
		const struct cgroup_value *v = &resources->values[i];
		enum cgroup_ctl c = rows[v->resource].controller;

		if (v->resource == CGROUP_UNIFIED && cgroup_unified_controller(v->text, &c, NULL) < 0)
			continue;
		if (c < CGROUP_CONTROLLER_COUNT)
			mask |= 1U << c;
	}
	return mask;
}

int cgroup_unified_controller(const char *file, enum cgroup_ctl *ret, struct err *err)
{
	const size_t n = strcspn(file, ".");

	if (!file[n] || !file[n + 1] || strchr(file, '/') || strstr(file, "..") ||
	    strlen(file) >= sizeof(((struct cgroup_setting *)NULL)->file))
		return err_input(err, "%.80s: not the name of a file of a control group, such as memory.high", file);
	if (streq(file, "cgroup.max.depth") || streq(file, "cgroup.max.descendants")) {
		*ret = CGROUP_CONTROLLER_COUNT;
		return 0;
	}
	/* What makes a group, moves processes or ends them is not the container's to say. */
	if (str_after(file, "cgroup."))
		return err_input(err, "%s: of these cgroup.max.depth and cgroup.max.descendants are limits", file);
	for (enum cgroup_ctl c = 0; c < CGROUP_NET_CLS; c++) {
		const char *name = cgroup_controller_name(c);

		if (strlen(name) == n && memcmp(file, name, n) == 0) {
			*ret = c;
			return 0;
		}
	}
	return err_input(err, "%s: %.*s is no controller of cgroup v2", file, (int)n, file);
}

/* ---- are they possible at all? ---- */

static int check_range(const struct cgroup_value *v, struct err *err)
{
	const struct cgroup_resource_row *row = &rows[v->resource];
	enum cgroup_ctl c;
	char label[96];

	if (v->resource == CGROUP_UNIFIED)
		return cgroup_unified_controller(v->text, &c, err);
	if (is_text(v->resource) || (row->unlimited && v->number == -1) ||
	    (v->number >= row->min && v->number <= row->max))
		return 0;
	return err_input(err, "%s: %" PRId64 "%s%s: it is %" PRId64 " to %" PRId64 "%s",
			 cgroup_resource_label(v, label, sizeof(label)), v->number, row->unit[0] ? " " : "", row->unit,
			 row->min, row->max, row->unlimited ? ", or -1 for none" : "");
}

static int check_memory(const struct cgroup_resources *r, struct err *err)
{
	const struct cgroup_value *swap = cgroup_resources_find(r, CGROUP_MEMORY_SWAP);
	const int64_t limit = cgroup_resources_number(r, CGROUP_MEMORY_LIMIT, -1);

	if (!swap || swap->number == -1)
		return 0;
	if (limit == -1)
		return err_input(
			err,
			"memory.swap: it bounds memory and swap together, and needs memory.limit (--memory) beside it");
	if (swap->number < limit)
		return err_input(err,
				 "memory.swap: %" PRId64 " bytes of memory and swap together are less than the %" PRId64
				 " of memory alone (--memory)",
				 swap->number, limit);
	return 0;
}

static int check_cpu(const struct cgroup_resources *r, struct err *err)
{
	const int64_t quota = cgroup_resources_number(r, CGROUP_CPU_QUOTA, -1);
	const int64_t burst = cgroup_resources_number(r, CGROUP_CPU_BURST, 0);
	const int64_t runtime = cgroup_resources_number(r, CGROUP_CPU_RT_RUNTIME, 0);
	const int64_t period = cgroup_resources_number(r, CGROUP_CPU_RT_PERIOD, 1000000);

	if (quota != -1 && burst > quota)
		return err_input(err, "cpu.burst: %" PRId64 " microseconds are more than the quota of %" PRId64, burst,
				 quota);
	if (runtime > period)
		return err_input(err,
				 "cpu.realtimeRuntime: %" PRId64 " microseconds are more than the period of %" PRId64,
				 runtime, period);
	return 0;
}

int cgroup_resources_check(const struct cgroup_resources *resources, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < resources->n; i++)
		r = check_range(&resources->values[i], err);
	if (r == 0)
		r = check_memory(resources, err);
	return r < 0 ? r : check_cpu(resources, err);
}
