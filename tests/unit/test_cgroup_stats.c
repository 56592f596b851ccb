/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a group, as kernels write them, and nonsense. */
#include <nsrun/base/strings.h>
#include <nsrun/kernel/cgroup_stats.h>
#include <nsrun/plan/container_stats.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct arena *arena;

static int setup(void **state)
{
	(void)state;
	arena = arena_new();
	return arena ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static char *copy(const char *text)
{
	return arena_strdup(arena, text);
}

static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t value;
	} rows[] = {
		{ "0\n", 0 },
		{ "123456\n", 123456 },
		{ "max\n", CGROUP_NO_LIMIT },
		{ "max", CGROUP_NO_LIMIT },
		{ "-1\n", CGROUP_NO_LIMIT },
		{ "max 100000\n", CGROUP_NO_LIMIT },
		{ "9223372036854771712\n", CGROUP_NO_LIMIT }, /* v1's memory.limit_in_bytes of none */
		{ "4611686018427387903\n", 4611686018427387903U },
		{ "", CGROUP_UNKNOWN },
		{ "x\n", CGROUP_UNKNOWN },
		{ "-5\n", CGROUP_UNKNOWN },
		{ "99999999999999999999999999\n", CGROUP_UNKNOWN },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_true(cgroup_parse_number(rows[i].text) == rows[i].value);
	assert_true(cgroup_parse_number(NULL) == CGROUP_UNKNOWN);
}

static void test_counters(void **state)
{
	struct cgroup_counters counters;

	(void)state;
	assert_int_equal(
		cgroup_parse_counters(arena,
				      copy("usage_usec 12\nuser_usec 7\n\nbad\n key 1\nx y\nlast 18446744073709551614"),
				      &counters),
		0);
	assert_int_equal(counters.n, 3);
	assert_true(cgroup_counter(&counters, "usage_usec") == 12);
	assert_true(cgroup_counter(&counters, "user_usec") == 7);
	assert_true(cgroup_counter(&counters, "user") == CGROUP_UNKNOWN);
	assert_string_equal(counters.list[2].key, "last");
	assert_int_equal(cgroup_parse_counters(arena, copy(""), &counters), 0);
	assert_int_equal(counters.n, 0);
}

static void test_pressure(void **state)
{
	struct cgroup_pressure pressure;

	(void)state;
	cgroup_parse_pressure(
		"some avg10=1.50 avg60=0.25 avg300=0.00 total=98765\nfull avg10=100.00 avg60=2.00 avg300=3.00 total=4\n",
		&pressure);
	assert_true(pressure.some.known && pressure.full.known);
	assert_true(pressure.some.avg10 == 1.5 && pressure.some.avg60 == 0.25 && pressure.some.total_us == 98765);
	assert_true(pressure.full.avg10 == 100.0 && pressure.full.avg300 == 3.0 && pressure.full.total_us == 4);
	cgroup_parse_pressure("some avg10=1.50\nother avg10=0 avg60=0 avg300=0 total=0\n", &pressure);
	assert_false(pressure.some.known || pressure.full.known);
	cgroup_parse_pressure(NULL, &pressure);
	assert_false(pressure.some.known);
}

static void test_io_v2(void **state)
{
	struct cgroup_io *list;
	size_t n;

	(void)state;
	assert_int_equal(
		cgroup_parse_io_v2(
			arena,
			copy("8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0\n"
			     "253:1 rbytes=4096 cost.usage=7 wbytes=x\n\n8 rbytes=1\nbad:1 rbytes=2\n8:1x rbytes=3\n"),
			&list, &n),
		0);
	assert_int_equal(n, 2);
	assert_int_equal(list[0].major, 8);
	assert_int_equal(list[0].minor, 16);
	assert_true(list[0].rbytes == 1459200 && list[0].wbytes == 314773504 && list[0].rios == 192 &&
		    list[0].wios == 353 && list[0].dbytes == 0);
	assert_true(list[1].rbytes == 4096 && list[1].wbytes == CGROUP_UNKNOWN && list[1].rios == CGROUP_UNKNOWN);
}

static void test_io_v1(void **state)
{
	struct cgroup_io *list;
	size_t n;

	(void)state;
	assert_int_equal(
		cgroup_parse_io_v1(
			arena,
			copy("254:0 Read 1024\n254:0 Write 2048\n254:0 Sync 1\n254:0 Async 2\n254:0 Discard 3\n"
			     "254:0 Total 6\n8:0 Read 5\nTotal 6\n"),
			copy("8:0 Read 9\n254:0 Write 7\n"), &list, &n),
		0);
	assert_int_equal(n, 2);
	assert_int_equal(list[0].major, 254);
	assert_true(list[0].rbytes == 1024 && list[0].wbytes == 2048 && list[0].dbytes == 3 && list[0].wios == 7 &&
		    list[0].rios == CGROUP_UNKNOWN);
	assert_true(list[1].major == 8 && list[1].rbytes == 5 && list[1].rios == 9);
	assert_int_equal(cgroup_parse_io_v1(arena, copy("Total 0\n"), NULL, &list, &n), 0);
	assert_int_equal(n, 0);
}

/* No machine of the tests has such a device. */
static void test_rdma(void **state)
{
	struct cgroup_rdma *list;
	size_t n;

	(void)state;
	assert_int_equal(
		cgroup_parse_rdma(arena,
				  copy("mlx4_0 hca_handle=2 hca_object=2000\nocrdma1 hca_handle=0 hca_object=0\n"),
				  copy("mlx4_0 hca_handle=3 hca_object=max\n"), &list, &n),
		0);
	assert_int_equal(n, 2);
	assert_string_equal(list[0].device, "mlx4_0");
	assert_true(list[0].handles.usage == 2 && list[0].handles.limit == 3);
	assert_true(list[0].objects.usage == 2000 && list[0].objects.limit == CGROUP_NO_LIMIT);
	assert_true(list[1].handles.usage == 0 && list[1].handles.limit == CGROUP_UNKNOWN);
	assert_int_equal(cgroup_parse_rdma(arena, copy(""), NULL, &list, &n), 0);
	assert_int_equal(n, 0);
}

static void test_cpu_share(void **state)
{
	struct container_stats a = { .time_ns = 1000000000 }, b = { .time_ns = 2000000000 };

	(void)state;
	a.group.cpu.usage_ns = 5000000000;
	b.group.cpu.usage_ns = 6500000000;
	assert_int_equal(container_stats_cpu(&a, &b), 1500);
	assert_int_equal(container_stats_cpu(&b, &a), -1);
	b.group.cpu.usage_ns = CGROUP_UNKNOWN;
	assert_int_equal(container_stats_cpu(&a, &b), -1);
}

static const json_t *at(const json_t *json, const char *path)
{
	char *words = copy(path), *rest = words;

	for (char *word; json && (word = strsep(&rest, "."));)
		json = json_object_get(json, word);
	return json;
}

/* What is unknown is left out, and what has no limit is null. */
static void test_json(void **state)
{
	const struct cgroup_amount unknown = { CGROUP_UNKNOWN, CGROUP_UNKNOWN, CGROUP_UNKNOWN, CGROUP_UNKNOWN };
	struct cgroup_stats stats = { .memory = { .bytes = { 4096, CGROUP_NO_LIMIT, 8192, 0 },
						  .swap = unknown,
						  .memsw = unknown,
						  .working_set = 4000,
						  .oom_kills = 2 },
				      .pids = unknown };
	struct cgroup_io io = { 8, 16, 1, 2, CGROUP_UNKNOWN, 3, 4, CGROUP_UNKNOWN };
	json_t *json;

	(void)state;
	stats.cpu.usage_ns = 12000;
	stats.cpu.user_ns = CGROUP_UNKNOWN;
	stats.cpu.system_ns = CGROUP_UNKNOWN;
	stats.cpu.periods = stats.cpu.throttled = stats.cpu.throttled_ns = CGROUP_UNKNOWN;
	stats.cpu.quota_us = stats.cpu.period_us = CGROUP_UNKNOWN;
	stats.io.list = &io;
	stats.io.n = 1;
	json = cgroup_stats_json(&stats);
	assert_int_equal(json_integer_value(at(json, "cpu.usage.total")), 12000);
	assert_null(at(json, "cpu.usage.user"));
	assert_null(at(json, "cpu.throttling"));
	assert_null(at(json, "cpu.quota"));
	assert_true(json_is_null(at(json, "memory.usage.limit")));
	assert_int_equal(json_integer_value(at(json, "memory.usage.max")), 8192);
	assert_int_equal(json_integer_value(at(json, "memory.oomKills")), 2);
	assert_null(at(json, "memory.swap"));
	assert_null(at(json, "pids"));
	assert_null(at(json, "hugetlb"));
	assert_int_equal(json_array_size(at(json, "blkio.ioServiceBytesRecursive")), 2);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(at(json, "blkio.ioServicedRecursive"), 1), "op")),
		"Write");
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),	  cmocka_unit_test(test_counters), cmocka_unit_test(test_pressure),
		cmocka_unit_test(test_io_v2),	  cmocka_unit_test(test_io_v1),	   cmocka_unit_test(test_rdma),
		cmocka_unit_test(test_cpu_share), cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
