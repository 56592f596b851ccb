/* SPDX-License-Identifier: Apache-2.0 */
/* Names, paths and properties. What a manager does with them is tested in the virtual machine: tests/vm. */
#include <nsrun/base/strings.h>
#include <nsrun/kernel/systemd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void slice_is(const char *slice, const char *path)
{
	struct err err = ERR_INIT;
	char got[256] = "";

	assert_int_equal(systemd_slice_path(slice, got, sizeof(got), &err), 0);
	assert_string_equal(got, path);
}

static void test_slices(void **state)
{
	static const char *const bad[] = {
		"",	     ".slice",	 "a",	       "a.service", "-a.slice", "a-.slice",	   "a--b.slice",
		"a/b.slice", "/a.slice", "../a.slice", "a b.slice", "--.slice", "a.slice/b.slice", "\303\244.slice",
	};
	char lengthy[400], small[24];
	struct err err = ERR_INIT;

	(void)state;
	slice_is("system.slice", "/system.slice");
	slice_is("a-b-c.slice", "/a.slice/a-b.slice/a-b-c.slice");
	slice_is("user-1000.slice", "/user.slice/user-1000.slice");
	slice_is("-.slice", "");
	slice_is("a_1:2\\x2d.b.slice", "/a_1:2\\x2d.b.slice");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		err = ERR_INIT;
		assert_int_equal(systemd_slice_path(bad[i], lengthy, sizeof(lengthy), &err), -EINVAL);
		assert_int_equal(err.kind, ERR_INPUT);
	}
	memset(lengthy, 'a', sizeof(lengthy));
	memcpy(lengthy + 300, ".slice", 7);
	err = ERR_INIT;
	assert_int_equal(systemd_slice_path(lengthy, small, sizeof(small), &err), -EINVAL);
	err = ERR_INIT;
	assert_int_equal(systemd_slice_path("aaaa-bbbb-cccc.slice", small, sizeof(small), &err), -ENAMETOOLONG);
}

static void test_units(void **state)
{
	char unit[SYSTEMD_UNIT_SIZE];

	(void)state;
	systemd_unit_name("0123456789ab", unit);
	assert_string_equal(unit, "nsrun-0123456789ab.scope");
	assert_true(systemd_is_unit_group("/system.slice/nsrun-0123456789ab.scope", "0123456789ab"));
	assert_false(systemd_is_unit_group("/system.slice/nsrun-0123456789ab.scope", "0123456789ac"));
	assert_false(systemd_is_unit_group("/system.slice/nsrun-0123456789ab.scope/x", "0123456789ab"));
	assert_false(systemd_is_unit_group("nsrun-0123456789ab.scope", "0123456789ab"));
	assert_null(systemd_unit_of_group("/nsrun/0123456789ab"));
	assert_null(systemd_unit_of_group("/system.slice/ssh.service"));
	assert_null(systemd_unit_of_group("/system.slice/.scope"));
	assert_string_equal(systemd_unit_of_group("/system.slice/docker-1.scope"), "docker-1.scope");
	assert_null(systemd_unit_of_group(""));
	assert_string_equal(systemd_unit_of_group("/a/nsrun-1.scope"), "nsrun-1.scope");
}

/* ---- properties ---- */

static struct systemd_properties got;

static void convert(const char *file, const char *value)
{
	struct cgroup_setting setting = { .v2 = true };
	struct err err = ERR_INIT;

	snprintf(setting.file, sizeof(setting.file), "%s", file);
	snprintf(setting.value, sizeof(setting.value), "%s", value);
	if (systemd_properties(&setting, 1, &got, &err) < 0)
		fail_msg("%s %s: %s", file, value, err.message);
}

static void refused(const char *file, const char *value)
{
	struct cgroup_setting setting = { .v2 = true };
	struct err err = ERR_INIT;

	snprintf(setting.file, sizeof(setting.file), "%s", file);
	snprintf(setting.value, sizeof(setting.value), "%s", value);
	if (systemd_properties(&setting, 1, &got, &err) == 0)
		fail_msg("%s %s was taken", file, value);
	assert_int_equal(err.kind, ERR_INPUT);
}

static void number_is(const char *file, const char *value, const char *name, uint64_t number)
{
	convert(file, value);
	assert_int_equal(got.n, 1);
	assert_string_equal(got.list[0].name, name);
	assert_int_equal(got.list[0].kind, SYSTEMD_NUMBER);
	assert_int_equal(got.list[0].number, number);
}

static void test_numbers(void **state)
{
	(void)state;
	number_is("memory.max", "67108864", "MemoryMax", 67108864);
	number_is("memory.max", "max", "MemoryMax", UINT64_MAX);
	number_is("memory.low", "4096", "MemoryLow", 4096);
	number_is("memory.swap.max", "0", "MemorySwapMax", 0);
	number_is("memory.high", "4096", "MemoryHigh", 4096);
	number_is("cpu.weight", "39", "CPUWeight", 39);
	number_is("pids.max", "100", "TasksMax", 100);
	number_is("pids.max", "max", "TasksMax", UINT64_MAX);
	number_is("io.weight", "default 500", "IOWeight", 500);
	number_is("io.weight", "500", "IOWeight", 500);
	number_is("memory.high", "32M", "MemoryHigh", 32 << 20);
	refused("memory.max", "64x");
	refused("memory.max", "-1");
	refused("memory.max", "");
	refused("pids.max", "0x10");
}

/* sched_prio_to_weight[] of the kernel and back: 0 is 100, the ends are 8668 and 1. */
static void test_nice(void **state)
{
	(void)state;
	number_is("cpu.weight.nice", "0", "CPUWeight", 100);
	number_is("cpu.weight.nice", "-20", "CPUWeight", 8668);
	number_is("cpu.weight.nice", "19", "CPUWeight", 1);
	refused("cpu.weight.nice", "20");
	refused("cpu.weight.nice", "x");
}

/* What systemd computes from it, systemd 252, cgroup_apply_cpu(): never less than what was asked for. */
static void quota_is(const char *value, uint64_t period, uint64_t each_second)
{
	convert("cpu.max", value);
	assert_int_equal(got.n, 2);
	assert_string_equal(got.list[0].name, "CPUQuotaPeriodUSec");
	assert_int_equal(got.list[0].number, period);
	assert_string_equal(got.list[1].name, "CPUQuotaPerSecUSec");
	assert_int_equal(got.list[1].number, each_second);
}

static void test_quota(void **state)
{
	(void)state;
	quota_is("50000 100000", 100000, 500000);
	quota_is("150000 100000", 100000, 1500000);
	quota_is("max 100000", 100000, UINT64_MAX);
	quota_is("50000", 100000, 500000);
	quota_is("12500 100000", 100000, 130000); /* 12.5 %: 13 */
	quota_is("1000 1000000", 1000000, 10000); /* 0.1 %: 1 */
	quota_is("10000 33333", 33333, 310000);
	refused("cpu.max", "");
	refused("cpu.max", "5 0");
	refused("cpu.max", "5 x");
	refused("cpu.max", "-5 100000");
	refused("cpu.max", "5 100000000");
}

static void set_is(const char *file, const char *text, const char *name, const uint8_t *mask, size_t n)
{
	convert(file, text);
	assert_int_equal(got.n, 1);
	assert_string_equal(got.list[0].name, name);
	assert_int_equal(got.list[0].kind, SYSTEMD_BYTES);
	assert_int_equal(got.list[0].n_bytes, n);
	if (n)
		assert_memory_equal(got.list[0].bytes, mask, n);
}

static void test_sets(void **state)
{
	uint8_t last[SYSTEMD_MASK_MAX] = { 0 };

	(void)state;
	set_is("cpuset.cpus", "0", "AllowedCPUs", (const uint8_t[]){ 1 }, 1);
	set_is("cpuset.cpus", "0-3,7", "AllowedCPUs", (const uint8_t[]){ 0x8f }, 1);
	set_is("cpuset.cpus", "7-8", "AllowedCPUs", (const uint8_t[]){ 0x80, 1 }, 2);
	set_is("cpuset.cpus", "16,1", "AllowedCPUs", (const uint8_t[]){ 2, 0, 1 }, 3);
	set_is("cpuset.mems", "1", "AllowedMemoryNodes", (const uint8_t[]){ 2 }, 1);
	set_is("cpuset.cpus", "", "AllowedCPUs", NULL, 0);
	last[SYSTEMD_MASK_MAX - 1] = 0x80;
	set_is("cpuset.cpus", "8191", "AllowedCPUs", last, sizeof(last));
	refused("cpuset.cpus", "8192");
	refused("cpuset.cpus", "3-1");
	refused("cpuset.cpus", "a");
	refused("cpuset.cpus", "1-");
	refused("cpuset.cpus", "-1");
	refused("cpuset.cpus", "4294967295");
}

static void device_is(size_t i, const char *name, const char *device, uint64_t number)
{
	assert_true(i < got.n);
	assert_string_equal(got.list[i].name, name);
	assert_int_equal(got.list[i].kind, SYSTEMD_DEVICE);
	assert_string_equal(got.list[i].device, device);
	assert_int_equal(got.list[i].number, number);
}

static void test_devices(void **state)
{
	(void)state;
	convert("io.max", "8:0 rbps=1048576 wbps=max riops=10 wiops=20");
	assert_int_equal(got.n, 4);
	device_is(0, "IOReadBandwidthMax", "/dev/block/8:0", 1048576);
	device_is(1, "IOWriteBandwidthMax", "/dev/block/8:0", UINT64_MAX);
	device_is(2, "IOReadIOPSMax", "/dev/block/8:0", 10);
	device_is(3, "IOWriteIOPSMax", "/dev/block/8:0", 20);
	convert("io.weight", "8:16 200");
	assert_int_equal(got.n, 1);
	device_is(0, "IODeviceWeight", "/dev/block/8:16", 200);
	/* What systemd makes of it again, systemd 252, BFQ_WEIGHT(): 100 + (w - 100) * 900 / 9900. */
	convert("io.bfq.weight", "default 1000");
	assert_int_equal(got.list[0].number, 10000);
	for (unsigned weight = 1; weight <= 1000; weight++) {
		char text[32];

		snprintf(text, sizeof(text), "%u", weight);
		convert("io.bfq.weight", text);
		const uint64_t w = got.list[0].number;
		assert_int_equal(w <= 100 ? w : 100 + (w - 100) * 900 / 9900, weight);
	}
	refused("io.max", "rbps=1");
	refused("io.max", "8:0 rbps");
	refused("io.max", "8:0 bytes=1");
	refused("io.weight", "default x");
}

static void test_several(void **state)
{
	const struct cgroup_setting settings[] = {
		{ .v2 = true, .file = "memory.max", .value = "1" },
		{ .v2 = true, .file = "hugetlb.2MB.max", .value = "2097152" },
		{ .v2 = true, .file = "rdma.max", .value = "mlx hca_handle=1" },
		{ .v2 = true, .file = "cpu.max.burst", .value = "5" },
		{ .v2 = false, .file = "memory.limit_in_bytes", .value = "7" },
		{ .v2 = true, .file = "cpu.idle", .value = "1" },
		{ .v2 = true, .file = "cpu.weight", .value = "50" },
		{ .v2 = true, .file = "memory.max", .value = "2" },
	};
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(systemd_properties(settings, ARRAY_LEN(settings), &got, &err), 0);
	assert_int_equal(got.n, 2);
	assert_string_equal(got.list[0].name, "MemoryMax");
	assert_int_equal(got.list[0].number, 2);
	assert_string_equal(got.list[1].name, "CPUWeight");
	assert_int_equal(got.list[1].number, 0);
	assert_int_equal(systemd_properties(NULL, 0, &got, &err), 0);
	assert_int_equal(got.n, 0);
}

/* 1 -> 0: a weight in place of CPUWeight=idle, which a reload would bring back. */
static void test_idle(void **state)
{
	struct cgroup_setting settings[] = {
		{ .v2 = true, .file = "cpu.idle", .value = "0" },
		{ .v2 = true, .file = "cpu.weight", .value = "50" },
	};
	struct err err = ERR_INIT;

	(void)state;
	number_is("cpu.idle", "1", "CPUWeight", 0);
	number_is("cpu.idle", "0", "CPUWeight", 100);
	for (unsigned idle = 0; idle < 2; idle++) {
		settings[0].value[0] = (char)('0' + idle);
		assert_int_equal(systemd_properties(settings, 2, &got, &err), 0);
		assert_int_equal(got.n, 1);
		assert_string_equal(got.list[0].name, "CPUWeight");
		assert_int_equal(got.list[0].number, idle ? 0 : 50);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slices),	cmocka_unit_test(test_units),	cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_nice),	cmocka_unit_test(test_quota),	cmocka_unit_test(test_sets),
		cmocka_unit_test(test_devices), cmocka_unit_test(test_several), cmocka_unit_test(test_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
