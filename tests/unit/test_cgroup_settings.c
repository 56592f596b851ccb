/* SPDX-License-Identifier: Apache-2.0 */
/* The table of resources: values to files of v1 and v2, and how a file shows that it holds what was written. No group is made. */
#include <nsrun/base/strings.h>
#include <nsrun/kernel/cgroup_resources.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct arena *arena;
static struct cgroup_host v2 = CGROUP_HOST_NONE, v1 = CGROUP_HOST_NONE, hybrid = CGROUP_HOST_NONE;

/* What settings come out, as "file=value" joined by "; "; the error's message where there is one. */
static const char *settings_of(const struct cgroup_host *host, const struct cgroup_resources *r, struct err *ret_err)
{
	static struct cgroup_setting list[CGROUP_SETTINGS_MAX];
	static char text[4096];
	struct err err = ERR_INIT;
	size_t n = 0, used = 0;

	text[0] = '\0';
	if (cgroup_settings(host, r, list, &n, &err) < 0)
		snprintf(text, sizeof(text), "%s", err.message);
	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s%s=%s", i ? "; " : "",
					 list[i].optional ? "?" : "", list[i].file, list[i].value);
	if (ret_err)
		*ret_err = err;
	return text;
}

#define N(r, n)                                       \
	{                                             \
		.resource = CGROUP_##r, .number = (n) \
	}
#define T(r, t)                                     \
	{                                           \
		.resource = CGROUP_##r, .text = (t) \
	}
#define D(r, n)                                                                \
	{                                                                      \
		.resource = CGROUP_##r, .number = (n), .major = 8, .minor = 16 \
	}
#define K(r, t, n)                                                 \
	{                                                          \
		.resource = CGROUP_##r, .text = (t), .number = (n) \
	}
#define U(key, value)                                                            \
	{                                                                        \
		.resource = CGROUP_UNIFIED, .text = (key), .value_text = (value) \
	}

static void test_conversions(void **state)
{
	static const struct {
		struct cgroup_value values[4];
		const char *on_v2, *on_v1;
	} cases[] = {
		/* Swap: v1 counts memory and swap together, v2 swap alone; a limit alone gives none. */
		{ { N(MEMORY_LIMIT, 1 << 20) },
		  "memory.max=1048576; ?memory.swap.max=0",
		  "memory.limit_in_bytes=1048576; ?memory.memsw.limit_in_bytes=1048576" },
		{ { N(MEMORY_LIMIT, 1 << 20), N(MEMORY_SWAP, 3 << 20) },
		  "memory.max=1048576; memory.swap.max=2097152",
		  "memory.limit_in_bytes=1048576; memory.memsw.limit_in_bytes=3145728" },
		{ { N(MEMORY_LIMIT, 1 << 20), N(MEMORY_SWAP, 1 << 20) },
		  "memory.max=1048576; memory.swap.max=0",
		  "memory.limit_in_bytes=1048576; memory.memsw.limit_in_bytes=1048576" },
		{ { N(MEMORY_LIMIT, 1 << 20), N(MEMORY_SWAP, -1) },
		  "memory.max=1048576; memory.swap.max=max",
		  "memory.limit_in_bytes=1048576; memory.memsw.limit_in_bytes=-1" },
		{ { N(MEMORY_SWAP, -1) }, "memory.swap.max=max", "memory.memsw.limit_in_bytes=-1" },
		{ { N(MEMORY_LIMIT, -1) },
		  "memory.max=max; ?memory.swap.max=max",
		  "memory.limit_in_bytes=-1; ?memory.memsw.limit_in_bytes=-1" },
		{ { N(MEMORY_RESERVATION, 4096) }, "memory.low=4096", "memory.soft_limit_in_bytes=4096" },
		{ { N(MEMORY_SWAPPINESS, 10) }, NULL, "memory.swappiness=10" },
		{ { N(MEMORY_NO_OOM_KILL, 1) }, NULL, "memory.oom_control=1" },
		{ { N(CPU_SHARES, 512) }, "cpu.weight=59", "cpu.shares=512" },
		{ { N(CPU_QUOTA, 50000) }, "cpu.max=50000 100000", "cpu.cfs_period_us=100000; cpu.cfs_quota_us=50000" },
		{ { N(CPU_QUOTA, 5000), N(CPU_PERIOD, 10000), N(CPU_BURST, 2000) },
		  "cpu.max=5000 10000; cpu.max.burst=2000",
		  "cpu.cfs_period_us=10000; cpu.cfs_quota_us=5000; cpu.cfs_burst_us=2000" },
		{ { N(CPU_PERIOD, 10000) }, "cpu.max=max 10000", "cpu.cfs_period_us=10000" },
		{ { N(CPU_QUOTA, -1) }, "cpu.max=max 100000", "cpu.cfs_period_us=100000; cpu.cfs_quota_us=-1" },
		{ { N(CPU_IDLE, 1) }, "cpu.idle=1", "cpu.idle=1" },
		/* An idle group takes no weight. */
		{ { N(CPU_IDLE, 1), N(CPU_SHARES, 1024) },
		  "cpu.weight=100; cpu.idle=1",
		  "cpu.shares=1024; cpu.idle=1" },
		{ { N(CPU_RT_RUNTIME, 5000), N(CPU_RT_PERIOD, 100000) },
		  NULL,
		  "cpu.rt_period_us=100000; cpu.rt_runtime_us=5000" },
		{ { T(CPUSET_CPUS, "0-1"), T(CPUSET_MEMS, "0") },
		  "cpuset.cpus=0-1; cpuset.mems=0",
		  "cpuset.cpus=0-1; cpuset.mems=0" },
		{ { N(PIDS_LIMIT, 77) }, "pids.max=77", "pids.max=77" },
		{ { N(PIDS_LIMIT, -1) }, "pids.max=max", "pids.max=max" },
		{ { N(IO_WEIGHT, 500) },
		  "?io.weight=default 4950; ?io.bfq.weight=default 500",
		  "blkio.bfq.weight=500" },
		{ { D(IO_WEIGHT_DEVICE, 10) },
		  "?io.weight=8:16 1; ?io.bfq.weight=8:16 10",
		  "blkio.bfq.weight_device=8:16 10" },
		{ { D(IO_READ_BPS, 1 << 20), D(IO_WRITE_IOPS, 50) },
		  "io.max=8:16 rbps=1048576; io.max=8:16 wiops=50",
		  "blkio.throttle.read_bps_device=8:16 1048576; blkio.throttle.write_iops_device=8:16 50" },
		{ { D(IO_WRITE_BPS, 0), D(IO_READ_IOPS, -1) },
		  "io.max=8:16 wbps=max; io.max=8:16 riops=max",
		  "blkio.throttle.write_bps_device=8:16 0; blkio.throttle.read_iops_device=8:16 0" },
		{ { K(HUGETLB_LIMIT, "2MB", 4 << 20) },
		  "hugetlb.2MB.max=4194304; ?hugetlb.2MB.rsvd.max=4194304",
		  "hugetlb.2MB.limit_in_bytes=4194304; ?hugetlb.2MB.rsvd.limit_in_bytes=4194304" },
		{ { K(RDMA_HANDLES, "mlx5_0", 2), K(RDMA_OBJECTS, "mlx5_0", -1) },
		  "rdma.max=mlx5_0 hca_handle=2; rdma.max=mlx5_0 hca_object=max",
		  "rdma.max=mlx5_0 hca_handle=2; rdma.max=mlx5_0 hca_object=max" },
		{ { N(NET_CLASS, 0x100001) }, NULL, "net_cls.classid=1048577" },
		{ { K(NET_PRIORITY, "eth0", 5) }, NULL, "net_prio.ifpriomap=eth0 5" },
		{ { U("memory.high", "1G") }, "memory.high=1G", NULL },
		{ { U("cgroup.max.depth", "3") }, "cgroup.max.depth=3", "cgroup.max.depth=3" },
		{ { U("io.max", "8:0 rbps=1\n8:16 rbps=2\n") }, "io.max=8:0 rbps=1; io.max=8:16 rbps=2", NULL },
		/* What follows from another option gives way, what was said does not. */
		{ { N(MEMORY_LIMIT, 1 << 20), U("memory.swap.max", "4096") },
		  "memory.max=1048576; memory.swap.max=4096",
		  NULL },
		{ { N(PIDS_LIMIT, 7), U("pids.max", "7") }, "pids.max=7; pids.max=7", NULL },
		{ { D(IO_READ_BPS, 9), U("io.max", "8:0 rbps=1") }, "io.max=8:16 rbps=9; io.max=8:0 rbps=1", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct cgroup_resources r = { 0 };
		struct err err;

		for (size_t v = 0; v < ARRAY_LEN(cases[i].values); v++) {
			const struct cgroup_value *value = &cases[i].values[v];

			/* The first resource of all is 0 as an empty entry is. */
			if (value->number || value->text || value->major)
				assert_int_equal(cgroup_resources_add(arena, &r, value, NULL), 0);
		}
		for (int on_v1 = 0; on_v1 < 2; on_v1++) {
			const char *wanted = on_v1 ? cases[i].on_v1 : cases[i].on_v2;
			const char *got = settings_of(on_v1 ? &v1 : &v2, &r, &err);

			if (!wanted) {
				assert_int_equal(err.kind, ERR_REFUSED);
				assert_int_equal(err.id, on_v1 ? ERR_ID_V2_ONLY : ERR_ID_V1_ONLY);
				continue;
			}
			if (!streq(got, wanted))
				fail_msg("case %zu on v%d: got \"%s\", wanted \"%s\"", i, on_v1 ? 1 : 2, got, wanted);
		}
	}
}

static void test_contradictions(void **state)
{
	struct cgroup_resources r = { 0 };
	struct err err;

	(void)state;
	cgroup_resources_add(arena, &r, &(struct cgroup_value)N(PIDS_LIMIT, 7), NULL);
	cgroup_resources_add(arena, &r, &(struct cgroup_value)U("pids.max", "8"), NULL);
	settings_of(&v2, &r, &err);
	assert_int_equal(err.kind, ERR_INPUT);
	assert_non_null(strstr(err.message, "pids.max=8"));
	assert_non_null(strstr(err.message, "--pids-limit"));

	/* A key that is written after the option's file must not lift what the option asked for. */
	const struct {
		struct cgroup_value option, key;
		bool refused;
	} pairs[] = {
		{ N(CPU_QUOTA, 50000), U("cpu.max", "max 100000"), true },
		{ N(CPU_QUOTA, 50000), U("cpu.max", "50000 100000"), false },
		{ N(MEMORY_LIMIT, 1 << 20), U("memory.max", "max "), true },
		{ N(MEMORY_LIMIT, 1 << 20), U("memory.high", "max"), false },
		{ N(CPU_SHARES, 100), U("cpu.weight.nice", "-20"), true },
		{ N(IO_WEIGHT, 100), U("io.weight", "default 10000"), true },
		{ N(IO_WEIGHT, 100), U("io.weight", "10000"), true },
		{ N(IO_WEIGHT, 100), U("io.weight", "8:0 10000"), false },
		{ D(IO_WRITE_BPS, 4096), U("io.max", "8:16 riops=9 wbps=max"), true },
		{ D(IO_WRITE_BPS, 4096), U("io.max", "8:32 wbps=max\n08:16 wbps=max"), true },
		{ D(IO_WRITE_BPS, 4096), U("io.max", "8:16 riops=9 wbps=4096"), false },
		{ D(IO_WRITE_BPS, 4096), U("io.max", "8:16 riops=9"), false },
		{ D(IO_WRITE_BPS, 4096), U("io.max", "8:32 wbps=max"), false },
	};
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		r = (struct cgroup_resources){ 0 };
		cgroup_resources_add(arena, &r, &pairs[i].option, NULL);
		cgroup_resources_add(arena, &r, &pairs[i].key, NULL);
		settings_of(&v2, &r, &err);
		if ((err.kind == ERR_INPUT && strstr(err.message, "contradict")) != pairs[i].refused)
			fail_msg("pair %zu: %s", i, err.message);
	}

	r = (struct cgroup_resources){ 0 };
	for (int i = 0; i < CGROUP_SETTINGS_MAX + 1; i++)
		cgroup_resources_add(
			arena, &r,
			&(struct cgroup_value){ .resource = CGROUP_IO_READ_BPS, .number = 1, .major = (uint32_t)i },
			NULL);
	settings_of(&v2, &r, &err);
	assert_int_equal(err.kind, ERR_INPUT);
}

/* The formula of runc 1.3.2 and crun 1.23; what other implementations of it give. */
static void test_weights(void **state)
{
	static const unsigned pairs[][2] = {
		{ 0, 1 },	    { 2, 1 },	     { 3, 2 },	       { 10, 4 },	  { 64, 12 },
		{ 100, 17 },	    { 128, 21 },     { 256, 35 },      { 500, 58 },	  { 512, 59 },
		{ 1000, 99 },	    { 1024, 100 },   { 2000, 170 },    { 2048, 174 },	  { 4096, 303 },
		{ 10000, 627 },	    { 65536, 3023 }, { 100000, 4340 }, { 262143, 10000 }, { 262144, 10000 },
		{ 9999999, 10000 },
	};
	unsigned before = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		assert_int_equal(cgroup_shares_to_weight(pairs[i][0]), pairs[i][1]);
	for (unsigned shares = 2; shares <= 262144; shares++) {
		const unsigned weight = cgroup_shares_to_weight(shares);

		assert_true(weight >= before && weight >= 1 && weight <= 10000);
		before = weight;
	}
	assert_int_equal(cgroup_io_weight_to_v2(10), 1);
	assert_int_equal(cgroup_io_weight_to_v2(100), 910);
	assert_int_equal(cgroup_io_weight_to_v2(1000), 10000);
}

static void test_out_of_range(void **state)
{
	static const struct cgroup_value bad[] = {
		N(MEMORY_LIMIT, 100),
		N(MEMORY_LIMIT, -2),
		N(MEMORY_RESERVATION, -2),
		N(MEMORY_SWAP, 1 << 30),
		N(MEMORY_SWAPPINESS, 101),
		N(MEMORY_SWAPPINESS, -1),
		N(MEMORY_NO_OOM_KILL, 2),
		N(CPU_SHARES, 1),
		N(CPU_SHARES, 262145),
		N(CPU_QUOTA, 999),
		N(CPU_QUOTA, 0),
		N(CPU_PERIOD, 999),
		N(CPU_PERIOD, 1000001),
		N(CPU_PERIOD, -1),
		N(CPU_BURST, -1),
		N(CPU_IDLE, 2),
		N(CPU_RT_RUNTIME, 2000000),
		N(CPU_RT_PERIOD, 0),
		N(PIDS_LIMIT, 0),
		N(PIDS_LIMIT, 4194305),
		N(IO_WEIGHT, 9),
		N(IO_WEIGHT, 1001),
		D(IO_WEIGHT_DEVICE, 0),
		D(IO_READ_BPS, -2),
		D(IO_READ_IOPS, UINT32_MAX),
		K(HUGETLB_LIMIT, "2MB", -2),
		K(HUGETLB_LIMIT, "../x", 1),
		K(RDMA_HANDLES, "x", -2),
		N(NET_CLASS, 1LL << 32),
		U("memory/high", "1"),
		U("memory..high", "1"),
		U("high", "1"),
		U("memory.", "1"),
		U("cgroup.procs", "1"),
		U("cgroup.kill", "1"),
		U("cgroup.freeze", "1"),
		U("cgroup.subtree_control", "+cpu"),
		U("cgroup.type", "threaded"),
		U("cgroup.threads", "1"),
		U("net_cls.classid", "1"),
		U("devices.allow", "a"),
		U("nonsense.max", "1"),
		U("", "1"),
		U(".", "1"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct cgroup_value one = bad[i];
		const struct cgroup_resources r = { .values = &one, .n = 1 };
		struct err err;

		settings_of(one.resource >= CGROUP_CPU_RT_RUNTIME && one.resource <= CGROUP_CPU_RT_PERIOD ? &v1 : &v2,
			    &r, &err);
		if (err.kind != ERR_INPUT && err.id != ERR_ID_V1_ONLY)
			fail_msg("case %zu: kind %d, %s", i, err.kind, err.message);
		assert_non_null(err.message[0] ? err.message : NULL);
	}

	struct cgroup_value burst[] = { N(CPU_QUOTA, 5000), N(CPU_BURST, 5001) };
	struct cgroup_value less[] = { N(MEMORY_LIMIT, 8192), N(MEMORY_SWAP, 4096) };
	const struct cgroup_resources odd[] = { { burst, 2, false }, { less, 2, false } };

	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		struct err err = ERR_INIT;

		assert_true(cgroup_resources_check(&odd[i], &err) < 0);
		assert_int_equal(err.kind, ERR_INPUT);
	}
}

/* Where the controller is decides: v1 keeps it from v2, and none has it at all. */
static void test_places(void **state)
{
	static const struct {
		struct cgroup_value value;
		enum err_id v2, hybrid;
	} cases[] = {
		{ N(MEMORY_SWAPPINESS, 5), ERR_ID_V1_ONLY, ERR_ID_NONE },
		{ N(IO_LEAF_WEIGHT, 100), ERR_ID_NONE, ERR_ID_NONE },
		{ N(NET_CLASS, 5), ERR_ID_V1_ONLY, ERR_ID_V1_ONLY },
		{ U("memory.high", "1"), ERR_ID_NONE, ERR_ID_V2_ONLY },
		{ U("hugetlb.2MB.max", "0"), ERR_ID_NONE, ERR_ID_NONE },
		{ K(RDMA_HANDLES, "x", 1), ERR_ID_NONE, ERR_ID_NO_CONTROLLER },
		{ U("misc.max", "x 1"), ERR_ID_NONE, ERR_ID_NO_CONTROLLER },
	};
	struct cgroup_host none = CGROUP_HOST_NONE;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct cgroup_value one = cases[i].value;
		const struct cgroup_resources r = { .values = &one, .n = 1 };
		struct err err;

		settings_of(&v2, &r, &err);
		assert_int_equal(err.id, cases[i].v2);
		assert_int_equal(err.kind,
				 cases[i].v2 || one.resource == CGROUP_IO_LEAF_WEIGHT ? ERR_REFUSED : ERR_NONE);
		settings_of(&hybrid, &r, &err);
		assert_int_equal(err.id, cases[i].hybrid);
		settings_of(&none, &r, &err);
		assert_int_equal(err.kind, ERR_REFUSED);
	}
}

static void test_controllers(void **state)
{
	struct cgroup_value values[] = { N(CPU_IDLE, 1), U("memory.high", "1"), U("cgroup.max.depth", "1"),
					 K(HUGETLB_LIMIT, "2MB", 1), U("bad", "1") };
	const struct cgroup_resources r = { .values = values, .n = ARRAY_LEN(values) };

	(void)state;
	assert_int_equal(cgroup_resources_controllers(&r),
			 1U << CGROUP_CPU | 1U << CGROUP_MEMORY | 1U << CGROUP_HUGETLB);
	for (enum cgroup_resource i = 0; i < CGROUP_RESOURCE_COUNT; i++) {
		const struct cgroup_resource_row *row = cgroup_resource_row(i);

		assert_non_null(row->oci);
		assert_true(row->v2_file || row->v2_remedy);
		assert_true(row->controller < CGROUP_CONTROLLER_COUNT || i == CGROUP_UNIFIED);
	}
}

static void test_list(void **state)
{
	struct cgroup_resources r = { 0 };
	const struct cgroup_value said[] = { N(PIDS_LIMIT, 1),
					     D(IO_READ_BPS, 1),
					     { .resource = CGROUP_IO_READ_BPS, .number = 2, .major = 8, .minor = 0 },
					     K(HUGETLB_LIMIT, "2MB", 1),
					     K(HUGETLB_LIMIT, "1GB", 2),
					     T(CPUSET_CPUS, "0"),
					     N(PIDS_LIMIT, 9),
					     D(IO_READ_BPS, 8),
					     K(HUGETLB_LIMIT, "2MB", 7),
					     T(CPUSET_CPUS, "1") };
	char label[96];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(said); i++)
		assert_int_equal(cgroup_resources_add(arena, &r, &said[i], NULL), 0);
	assert_int_equal(r.n, 6);
	assert_int_equal(cgroup_resources_number(&r, CGROUP_PIDS_LIMIT, -1), 9);
	assert_int_equal(cgroup_resources_number(&r, CGROUP_IO_READ_BPS, -1), 8);
	assert_int_equal(cgroup_resources_number(&r, CGROUP_HUGETLB_LIMIT, -1), 7);
	assert_int_equal(cgroup_resources_number(&r, CGROUP_CPU_QUOTA, 55), 55);
	assert_string_equal(cgroup_resources_find(&r, CGROUP_CPUSET_CPUS)->text, "1");
	assert_null(cgroup_resources_find(&r, CGROUP_CPU_QUOTA));
	assert_string_equal(cgroup_resource_label(&said[1], label, sizeof(label)), "--device-read-bps 8:16");
	assert_string_equal(cgroup_resource_label(&said[3], label, sizeof(label)), "--hugetlb 2MB");
	/* More than the room that is taken at a time. */
	for (uint32_t i = 0; i < 40; i++)
		cgroup_resources_add(
			arena, &r,
			&(struct cgroup_value){ .resource = CGROUP_IO_WRITE_BPS, .number = i, .major = 9, .minor = i },
			NULL);
	assert_int_equal(r.n, 46);
	assert_int_equal(r.values[45].minor, 39);
	assert_int_equal(r.values[0].number, 9);
}

static void test_held(void **state)
{
	static const struct {
		enum cgroup_check check;
		uint64_t unit;
		const char *value, *text;
		bool held;
	} cases[] = {
		{ CGROUP_CHECK_NUMBER, 1, "77", "77\n", true },
		{ CGROUP_CHECK_NUMBER, 1, "77", "78\n", false },
		{ CGROUP_CHECK_NUMBER, 1, "77", "max\n", false },
		{ CGROUP_CHECK_NUMBER, 1, "max", "max\n", true },
		{ CGROUP_CHECK_NUMBER, 1, "max", "77\n", false },
		{ CGROUP_CHECK_NUMBER, 1, "-1", "-1\n", true },
		{ CGROUP_CHECK_NUMBER, 4096, "-1", "9223372036854771712\n", true },
		{ CGROUP_CHECK_NUMBER, 4096, "67108865", "67108864\n", true },
		{ CGROUP_CHECK_NUMBER, 4096, "67108865", "67108865\n", false },
		{ CGROUP_CHECK_NUMBER, 4096, "67108864", "67104768\n", false },
		{ CGROUP_CHECK_NUMBER, 1, "5", "", false },
		{ CGROUP_CHECK_LIST, 1, "0,1,2", "0-2\n", true },
		{ CGROUP_CHECK_LIST, 1, "2,0-1", "0-2\n", true },
		{ CGROUP_CHECK_LIST, 1, "0-7:1/2", "0,2,4,6\n", true },
		{ CGROUP_CHECK_LIST, 1, "0-3", "0-2\n", false },
		{ CGROUP_CHECK_LIST, 1, "0", "\n", false },
		{ CGROUP_CHECK_LIST, 1, "0", "0-1\n", false },
		{ CGROUP_CHECK_WITHIN, 1, "0-3", "0-2\n", true },
		{ CGROUP_CHECK_WITHIN, 1, "0-3", "0-4\n", false },
		{ CGROUP_CHECK_WITHIN, 1, "4-5", "0-3\n", false },
		{ CGROUP_CHECK_WITHIN, 1, "4-5", "\n", false },
		{ CGROUP_CHECK_KEYED, 1, "8:0 rbps=9", "8:0 rbps=9 wbps=max riops=max wiops=max\n", true },
		{ CGROUP_CHECK_KEYED, 1, "8:0 rbps=9", "8:16 rbps=9 wbps=max\n", false },
		{ CGROUP_CHECK_KEYED, 1, "8:0 rbps=9", "8:16 rbps=1\n8:0 rbps=99 wbps=9\n", false },
		{ CGROUP_CHECK_KEYED, 1, "8:0 rbps=max", "", true },
		{ CGROUP_CHECK_KEYED, 1, "8:0 rbps=max", "8:0 rbps=5 wbps=7\n", false },
		{ CGROUP_CHECK_KEYED, 1, "8:0 5", "", false },
		{ CGROUP_CHECK_KEYED, 1, "8:0 0", "8:16 7\n", true },
		{ CGROUP_CHECK_KEYED, 1, "default 50", "default 50\n8:0 7\n", true },
		{ CGROUP_CHECK_KEYED, 1, "8:0 7", "default 50\n8:0 7\n", true },
		{ CGROUP_CHECK_KEYED, 1, "mlx5_0 hca_object=3",
		  "mlx4_0 hca_handle=1 hca_object=3\nmlx5_0 hca_handle=max hca_object=3\n", true },
		{ CGROUP_CHECK_SECOND, 1, "1", "oom_kill_disable 1\nunder_oom 0\n", true },
		{ CGROUP_CHECK_SECOND, 1, "1", "oom_kill_disable 0\nunder_oom 1\n", false },
		{ CGROUP_CHECK_WORDS, 1, "5000 10000", "5000 10000\n", true },
		{ CGROUP_CHECK_WORDS, 1, "max 10000", "max 100000\n", false },
		{ CGROUP_CHECK_WORDS, 1, "5000", "5000 100000\n", true },
		{ CGROUP_CHECK_ANY, 1, "1G", "1073741824\n", true },
		{ CGROUP_CHECK_ANY, 1, "4097", "4096\n", true },
		{ CGROUP_CHECK_ANY, 1, "max", "max\n", true },
		{ CGROUP_CHECK_ANY, 1, "root", "root\n", true },
		{ CGROUP_CHECK_ANY, 1, "root", "root invalid (Cpu list in cpuset.cpus not exclusive)\n", false },
		{ CGROUP_CHECK_ANY, 1, "0,1", "0-1\n", true },
		{ CGROUP_CHECK_ANY, 1, "50", "50.00\n", true },
		{ CGROUP_CHECK_ANY, 1, "5", "50.00\n", false },
		{ CGROUP_CHECK_ANY, 1, "8:0 target=75000", "8:0 target=75000\n", true },
		{ CGROUP_CHECK_ANY, 1, "res_a 3", "res_b 4\nres_a 3\n", true },
		{ CGROUP_CHECK_ANY, 1, "50000", "50000 100000\n", true },
		{ CGROUP_CHECK_ANY, 1, "60", "default 60\n", true },
		{ CGROUP_CHECK_ANY, 1, "1", "0\n", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct cgroup_setting s = { .check = cases[i].check, .unit = cases[i].unit };
		char text[256];

		snprintf(s.value, sizeof(s.value), "%s", cases[i].value);
		snprintf(text, sizeof(text), "%s", cases[i].text);
		if (cgroup_setting_held(&s, text) != cases[i].held)
			fail_msg("case %zu: %s against %s", i, cases[i].value, cases[i].text);
	}
}

static int set_up(void **state)
{
	(void)state;
	arena = arena_new();
	v2.v2_mount = hybrid.v2_mount = "/sys/fs/cgroup";
	v2.v2_self = hybrid.v2_self = "/";
	for (enum cgroup_ctl c = 0; c < CGROUP_CONTROLLER_COUNT; c++) {
		v2.v2_controller[c] = c < CGROUP_NET_CLS;
		if (c != CGROUP_MISC && c != CGROUP_DMEM)
			v1.v1_mount[c] = "/cgroup/v1";
	}
	v1.v2_mount = "/cgroup/unified";
	hybrid.v2_controller[CGROUP_HUGETLB] = true;
	hybrid.v1_mount[CGROUP_MEMORY] = "/sys/fs/cgroup/memory";
	hybrid.v1_mount[CGROUP_IO] = "/sys/fs/cgroup/blkio";
	return arena ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conversions), cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_weights),	    cmocka_unit_test(test_out_of_range),
		cmocka_unit_test(test_places),	    cmocka_unit_test(test_controllers),
		cmocka_unit_test(test_list),	    cmocka_unit_test(test_held),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
