/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/container_stats.h>

#include <nsrun/base/strings.h>
#include <nsrun/plan/container_group.h>
#include <nsrun/plan/state.h>

#include <time.h>

int container_stats_read(struct arena *arena, const struct container *container, struct container_stats *ret,
			 struct err *err)
{
	struct cgroup_host host;
	struct pidref init = PIDREF_NONE;
	struct container_stats stats;
	struct timespec now, date;
	const char *path;

	int r = container_open_init(container, &init, err);
	if (r < 0)
		return r;
	pidref_close(&init);
	r = container_group(container, arena, &host, &path, err);
	if (r < 0)
		return r;
	r = cgroup_stats_read(arena, path, &stats.group, err);
	if (r == -ENOENT)
		return err_set(err, ERR_INPUT, ERR_ID_NOT_RUNNING, ESRCH, "%s: its control group is gone",
			       container_label(container));
	clock_gettime(CLOCK_MONOTONIC, &now);
	clock_gettime(CLOCK_REALTIME, &date);
	stats.time_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	state_format_time(&date, stats.time);
	if (r == 0)
		*ret = stats;
	return r;
}

int64_t container_stats_cpu(const struct container_stats *before, const struct container_stats *after)
{
	const uint64_t first = before->group.cpu.usage_ns, second = after->group.cpu.usage_ns;

	if (first >= CGROUP_UNKNOWN || second >= CGROUP_UNKNOWN || second < first || after->time_ns <= before->time_ns)
		return -1;
	return (int64_t)((double)(second - first) * 1000 / (double)(after->time_ns - before->time_ns) + 0.5);
}

/* ---- as JSON ---- */

static void put(json_t *to, const char *key, uint64_t value)
{
	if (value != CGROUP_UNKNOWN && value <= INT64_MAX)
		json_object_set_new(to, key, json_integer((json_int_t)value));
}

static void put_limit(json_t *to, const char *key, uint64_t value)
{
	if (value == CGROUP_NO_LIMIT)
		json_object_set_new(to, key, json_null());
	else
		put(to, key, value);
}

/* What was not there at all is left out. */
static void put_object(json_t *to, const char *key, json_t *object)
{
	if (json_object_size(object) || json_array_size(object))
		json_object_set_new(to, key, object);
	else
		json_decref(object);
}

static json_t *amount_json(const struct cgroup_amount *amount)
{
	json_t *json = json_object();

	put(json, "usage", amount->usage);
	put_limit(json, "limit", amount->limit);
	put(json, "max", amount->peak);
	put(json, "failcnt", amount->hits);
	return json;
}

static json_t *counters_json(const struct cgroup_counters *counters)
{
	json_t *json = json_object();

	for (size_t i = 0; i < counters->n; i++)
		put(json, counters->list[i].key, counters->list[i].value);
	return json;
}

static void put_stall(json_t *to, const char *key, const struct cgroup_stall *stall)
{
	if (stall->known)
		json_object_set_new(to, key,
				    json_pack("{s:f, s:f, s:f, s:I}", "avg10", stall->avg10, "avg60", stall->avg60,
					      "avg300", stall->avg300, "total", (json_int_t)stall->total_us));
}

static void put_pressure(json_t *to, const struct cgroup_pressure *pressure)
{
	json_t *json = json_object();

	put_stall(json, "some", &pressure->some);
	put_stall(json, "full", &pressure->full);
	put_object(to, "psi", json);
}

static json_t *cpu_json(const struct cgroup_stats *stats)
{
	json_t *json = json_object(), *usage = json_object(), *throttling = json_object();

	put(usage, "total", stats->cpu.usage_ns);
	put(usage, "user", stats->cpu.user_ns);
	put(usage, "kernel", stats->cpu.system_ns);
	put_object(json, "usage", usage);
	put(throttling, "periods", stats->cpu.periods);
	put(throttling, "throttledPeriods", stats->cpu.throttled);
	put(throttling, "throttledTime", stats->cpu.throttled_ns);
	put_object(json, "throttling", throttling);
	put_limit(json, "quota", stats->cpu.quota_us);
	put(json, "period", stats->cpu.period_us);
	put_object(json, "raw", counters_json(&stats->cpu.stat));
	put_pressure(json, &stats->cpu.pressure);
	return json;
}

static json_t *memory_json(const struct cgroup_stats *stats)
{
	json_t *json = json_object();
	uint64_t cache = cgroup_counter(&stats->memory.stat, "file"); /* v2's word for v1's */

	if (cache == CGROUP_UNKNOWN)
		cache = cgroup_counter(&stats->memory.stat, "cache");
	put_object(json, "usage", amount_json(&stats->memory.bytes));
	put_object(json, "swap", amount_json(&stats->memory.swap));
	put_object(json, "memsw", amount_json(&stats->memory.memsw));
	put(json, "cache", cache);
	put(json, "workingSet", stats->memory.working_set);
	put(json, "oomKills", stats->memory.oom_kills);
	put_object(json, "events", counters_json(&stats->memory.events));
	put_object(json, "raw", counters_json(&stats->memory.stat));
	put_pressure(json, &stats->memory.pressure);
	return json;
}

static void put_operation(json_t *list, const struct cgroup_io *io, const char *op, uint64_t value)
{
	if (value <= INT64_MAX)
		json_array_append_new(list, json_pack("{s:I, s:I, s:s, s:I}", "major", (json_int_t)io->major, "minor",
						      (json_int_t)io->minor, "op", op, "value", (json_int_t)value));
}

static json_t *io_json(const struct cgroup_stats *stats)
{
	json_t *json = json_object(), *bytes = json_array(), *serviced = json_array();

	for (size_t i = 0; i < stats->io.n; i++) {
		const struct cgroup_io *io = &stats->io.list[i];

		put_operation(bytes, io, "Read", io->rbytes);
		put_operation(bytes, io, "Write", io->wbytes);
		put_operation(bytes, io, "Discard", io->dbytes);
		put_operation(serviced, io, "Read", io->rios);
		put_operation(serviced, io, "Write", io->wios);
		put_operation(serviced, io, "Discard", io->dios);
	}
	put_object(json, "ioServiceBytesRecursive", bytes);
	put_object(json, "ioServicedRecursive", serviced);
	put_pressure(json, &stats->io.pressure);
	return json;
}

static json_t *pids_json(const struct cgroup_stats *stats)
{
	json_t *json = json_object();

	put(json, "current", stats->pids.usage);
	put_limit(json, "limit", stats->pids.limit);
	put(json, "max", stats->pids.peak);
	put(json, "failcnt", stats->pids.hits);
	return json;
}

json_t *cgroup_stats_json(const struct cgroup_stats *stats)
{
	json_t *json = json_object(), *huge = json_object(), *rdma = json_object();

	put_object(json, "cpu", cpu_json(stats));
	put_object(json, "memory", memory_json(stats));
	put_object(json, "pids", pids_json(stats));
	put_object(json, "blkio", io_json(stats));
	for (size_t i = 0; i < stats->hugetlb.n; i++)
		put_object(huge, stats->hugetlb.list[i].size, amount_json(&stats->hugetlb.list[i].amount));
	put_object(json, "hugetlb", huge);
	for (size_t i = 0; i < stats->rdma.n; i++) {
		json_t *device = json_object();

		put_object(device, "handles", amount_json(&stats->rdma.list[i].handles));
		put_object(device, "objects", amount_json(&stats->rdma.list[i].objects));
		put_object(rdma, stats->rdma.list[i].device, device);
	}
	put_object(json, "rdma", rdma);
	return json;
}

json_t *container_stats_json(const struct container *container, const struct container_stats *stats)
{
	return json_pack("{s:s, s:s?, s:s, s:s, s:o}", "id", container->id, "name", container->name, "status",
			 container_status_word(container), "time", stats->time, "stats",
			 cgroup_stats_json(&stats->group));
}
