/* SPDX-License-Identifier: Apache-2.0 */
/* Words of options to limits, and limits to JSON and back. */
#include <nsrun/base/strings.h>
#include <nsrun/plan/limits.h>

#include <dirent.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/types.h>

#include <cmocka.h>

static int begin(void **state)
{
	*state = arena_new();
	return *state ? 0 : -1;
}

static int end(void **state)
{
	arena_free(*state);
	return 0;
}

static struct cgroup_resources parsed(void **state, const struct plan_request *request)
{
	struct cgroup_resources got = { 0 };
	struct err err = ERR_INIT;

	if (plan_parse_limits(*state, request, &got, &err) < 0)
		fail_msg("%s", err.message);
	return got;
}

/* The message names each word, up to NULL. */
static void assert_refused(void **state, const struct plan_request *request, ...)
{
	struct cgroup_resources got = { .n = 77 };
	struct err err = ERR_INIT;
	const char *word;
	va_list words;

	if (plan_parse_limits(*state, request, &got, &err) == 0) {
		if (got.n == 0)
			fail_msg("nothing was parsed");
		if (plan_check_limits(&got, &err) == 0)
			fail_msg("%d: %" PRId64 " was taken", (int)got.values[0].resource, got.values[0].number);
		got.n = 77;
	}
	assert_int_equal(got.n, 77);
	assert_int_equal(err.kind, ERR_INPUT);
	va_start(words, request);
	while ((word = va_arg(words, const char *)))
		if (!strstr(err.message, word))
			fail_msg("\"%s\" lacks \"%s\"", err.message, word);
	va_end(words);
}

static void assert_value(const struct cgroup_resources *got, enum cgroup_resource resource, int64_t number)
{
	const struct cgroup_value *value = cgroup_resources_find(got, resource);

	assert_non_null(value);
	assert_int_equal(value->number, number);
}

/* ---- sizes ---- */

static void sizes(void **state)
{
	static const struct {
		const char *text;
		int64_t bytes;
	} good[] = {
		{ "1048576", 1 << 20 }, { "64m", 64 << 20 },	    { "64M", 64 << 20 },	{ "64MB", 64 << 20 },
		{ "64MiB", 64 << 20 },	{ "1g", INT64_C(1) << 30 }, { "2t", INT64_C(2) << 40 }, { "70000b", 70000 },
		{ "-1", -1 },		{ "1024k", 1 << 20 },	    { "unlimited", -1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct cgroup_resources got = parsed(state, &(struct plan_request){ .memory = good[i].text });

		assert_int_equal(got.n, 1);
		assert_value(&got, CGROUP_MEMORY_LIMIT, good[i].bytes);
		got = parsed(state, &(struct plan_request){ .memory_reservation = good[i].text });
		assert_value(&got, CGROUP_MEMORY_RESERVATION, good[i].bytes);
		got = parsed(state, &(struct plan_request){ .memory_swap = good[i].text });
		assert_value(&got, CGROUP_MEMORY_SWAP, good[i].bytes);
	}
}

static void sizes_that_are_none(void **state)
{
	static const struct {
		const char *text, *word;
	} bad[] = {
		{ "", "missing" },
		{ "-5", "negative" },
		{ "-2m", "negative" },
		{ "0", "too small" },
		{ "1", "too small" },
		{ "99999999999999999999", "too large" },
		{ "99999999999999999999g", "too large" },
		{ "16777216t", "too large" },
		{ "9223372036854775808", "too large" },
		{ "1.5g", "1536m" },
		{ "0.5", "fractions" },
		{ "m", "suffixes" },
		{ "12q", "suffixes" },
		{ "1gm", "suffixes" },
		{ "1g ", "suffixes" },
		{ " 1g", "suffixes" },
		{ "+1g", "suffixes" },
		{ "0x10", "suffixes" },
		{ "1e9", "suffixes" },
		{ "max", "suffixes" },
		{ "nan", "suffixes" },
		{ "--1", "suffixes" },
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *text = bad[i].text;

		assert_refused(state, &(struct plan_request){ .memory = text }, "--memory ", text, bad[i].word, NULL);
		assert_refused(state, &(struct plan_request){ .memory_reservation = text }, "--memory-reservation ",
			       text, bad[i].word, NULL);
		assert_refused(state, &(struct plan_request){ .memory_swap = text }, "--memory-swap ", text,
			       bad[i].word, NULL);
	}
}

static void swap_is_memory_and_swap(void **state)
{
	struct cgroup_resources got = parsed(state, &(struct plan_request){ .memory = "64m", .memory_swap = "96m" });
	struct err err = ERR_INIT;

	assert_value(&got, CGROUP_MEMORY_LIMIT, 64 << 20);
	assert_value(&got, CGROUP_MEMORY_SWAP, 96 << 20);
	assert_int_equal(plan_check_limits(&got, &err), 0);
	got = parsed(state, &(struct plan_request){ .memory = "64m", .memory_swap = "unlimited" });
	assert_int_equal(plan_check_limits(&got, &err), 0);
	got = parsed(state, &(struct plan_request){ .memory_swap = "-1" });
	assert_int_equal(plan_check_limits(&got, &err), 0);
	got = parsed(state, &(struct plan_request){ .memory = "64m", .memory_swap = "64m" });
	assert_int_equal(plan_check_limits(&got, &err), 0);
	assert_refused(state, &(struct plan_request){ .memory = "64m", .memory_swap = "63m" }, NULL);
	assert_refused(state, &(struct plan_request){ .memory_swap = "96m" }, "--memory-swap", "--memory ", NULL);
	assert_refused(state, &(struct plan_request){ .memory = "-1", .memory_swap = "96m" }, "--memory-swap", NULL);
	assert_refused(state, &(struct plan_request){ .memory = "64m", .memory_reservation = "65m" },
		       "--memory-reservation", "--memory", NULL);
}

/* ---- counts ---- */

static void counts(void **state)
{
	struct cgroup_resources got = parsed(state, &(struct plan_request){ .cpu_shares = "512", .pids_limit = "77" });

	assert_value(&got, CGROUP_CPU_SHARES, 512);
	assert_value(&got, CGROUP_PIDS_LIMIT, 77);
	got = parsed(state, &(struct plan_request){ .pids_limit = "unlimited" });
	assert_value(&got, CGROUP_PIDS_LIMIT, -1);
	static const char *const bad[] = { "", "-5", "0", "1.5", "ten", "99999999999999999999", "1k", "0x5" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_refused(state, &(struct plan_request){ .cpu_shares = bad[i] }, "--cpu-shares", bad[i], NULL);
		assert_refused(state, &(struct plan_request){ .pids_limit = bad[i] }, "--pids-limit", bad[i], NULL);
	}
	assert_refused(state, &(struct plan_request){ .cpu_shares = "1" }, "at least 2", NULL);
	assert_refused(state, &(struct plan_request){ .cpu_shares = "262145" }, "at most 262144", NULL);
	assert_refused(state, &(struct plan_request){ .cpu_shares = "-1" }, "negative", NULL);
}

static void cpus(void **state)
{
	static const struct {
		const char *text;
		int64_t quota;
	} good[] = { { "1", 100000 },  { "0.5", 50000 },  { ".25", 25000 },
		     { "0.01", 1000 }, { "1.0", 100000 }, { "0.125", 12500 } };
	static const char *const bad[] = { "",	    ".",      "0",	"0.001", "-1.5",
					   "-0.5",  "1.",     "1.2345", "1,5",	 "x",
					   "1e3",   "inf",    "nan",	"0x1",	 "1 ",
					   "1e300", "999999", "1..",	"1.2.3", "18446744073709551616" };

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct cgroup_resources got = parsed(state, &(struct plan_request){ .cpus = good[i].text });

		assert_value(&got, CGROUP_CPU_QUOTA, good[i].quota);
		assert_value(&got, CGROUP_CPU_PERIOD, 100000);
		assert_int_equal(got.n, 2);
	}
	struct cgroup_resources got = parsed(state, &(struct plan_request){ .cpus = "unlimited" });
	assert_value(&got, CGROUP_CPU_QUOTA, -1);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_refused(state, &(struct plan_request){ .cpus = bad[i] }, "--cpus ", bad[i], NULL);
}

/* ---- lists of processors ---- */

static void lists(void **state)
{
	static const struct {
		const char *text, *canonical;
	} good[] = {
		{ "0", "0" },	      { "3,1,2", "1-3" },
		{ "0-2,2-5", "0-5" }, { "8,0-3", "0-3,8" },
		{ "5,5,5", "5" },     { "0,2,4", "0,2,4" },
		{ "7-7", "7" },	      { "0-8191", "0-8191" },
		{ "007", "7" },	      { "10-11,13-14", "10-11,13-14" },
	};
	static const char *const bad[] = { "",	",",  "1,", ",1",  "1,,2",    "1-",  "-1", "2-1", "1-2-3",
					   "a", "1 ", " 1", "1:2", "0-7:2/4", "1;2", "+1", "1\n" };
	static const char *const large[] = { "8192", "0-8192", "99999999999999999999", "0,8192" };
	struct cpuset_bits set;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(cpuset_parse(good[i].text, &set), 0);
		assert_string_equal(cpuset_format(*state, &set), good[i].canonical);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (cpuset_parse(bad[i], &set) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
	for (size_t i = 0; i < ARRAY_LEN(large); i++)
		assert_int_equal(cpuset_parse(large[i], &set), -ERANGE);
	/* The longest one: every second number. */
	memset(&set, 0x55, sizeof(set));
	assert_true(strlen(cpuset_format(*state, &set)) > 16000);
}

static void processors_of_this_host(void **state)
{
	const struct cgroup_resources got =
		parsed(state, &(struct plan_request){ .cpuset_cpus = "0,0-0", .cpuset_mems = "0" });

	assert_int_equal(got.n, 2);
	assert_string_equal(cgroup_resources_find(&got, CGROUP_CPUSET_CPUS)->text, "0");
	assert_string_equal(cgroup_resources_find(&got, CGROUP_CPUSET_MEMS)->text, "0");
	assert_refused(state, &(struct plan_request){ .cpuset_cpus = "0,8191" }, "--cpuset-cpus 0,8191",
		       "this host has the processors 0", "not 8191", NULL);
	assert_refused(state, &(struct plan_request){ .cpuset_cpus = "0-99999999999" },
		       "this host has the processors 0", NULL);
	assert_refused(state, &(struct plan_request){ .cpuset_mems = "1000" }, "--cpuset-mems 1000",
		       "this host has the memory nodes 0", NULL);
	assert_refused(state, &(struct plan_request){ .cpuset_cpus = "" }, "--cpuset-cpus", NULL);
	assert_refused(state, &(struct plan_request){ .cpuset_mems = "1-0" }, "--cpuset-mems 1-0", "cpuset(7)", NULL);
}

/* ---- devices ---- */

/* "MAJOR:MINOR" of a disk, or of a partition. False where this host has none. */
static bool find_device(bool partition, char ret[32])
{
	DIR *dir = opendir("/sys/dev/block");
	bool found = false;

	for (struct dirent *d; dir && !found && (d = readdir(dir));) {
		char file[320];

		snprintf(file, sizeof(file), "/sys/dev/block/%s/partition", d->d_name);
		if (d->d_name[0] == '.' || (access(file, F_OK) == 0) != partition || strlen(d->d_name) > 31)
			continue;
		strcpy(ret, d->d_name);
		found = true;
	}
	if (dir)
		closedir(dir);
	return found;
}

static void devices_that_are_none(void **state)
{
	static const struct {
		const char *device, *word;
	} bad[] = {
		{ "/nonexistent/disk", "does not exist" },
		{ "/dev/null", "a character device" },
		{ "/", "a directory" },
		{ "/proc/self/status", "a regular file" },
		{ "sda", "neither a path" },
		{ "8:", "neither a path" },
		{ ":8", "neither a path" },
		{ "8:0:0", "neither a path" },
		{ "-8:0", "neither a path" },
		{ "4096:0", "neither a path" },
		{ "1:1048576", "neither a path" },
		{ "", "before the last colon" },
		{ "4095:1048575", "no block device 4095:1048575" },
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char said[128];
		const char *const list[] = { said, NULL };

		snprintf(said, sizeof(said), "%s:1m", bad[i].device);
		assert_refused(state, &(struct plan_request){ .device_read_bps = list }, "--device-read-bps ", said,
			       bad[i].word, NULL);
		assert_refused(state, &(struct plan_request){ .device_write_iops = list }, "--device-write-iops ", said,
			       bad[i].word, NULL);
		snprintf(said, sizeof(said), "%s:500", bad[i].device);
		assert_refused(state, &(struct plan_request){ .io_weight = list }, "--io-weight ", said, bad[i].word,
			       NULL);
	}
	const char *const no_colon[] = { "/dev/null", NULL };
	assert_refused(state, &(struct plan_request){ .device_write_bps = no_colon }, "--device-write-bps",
		       "DEVICE:RATE", NULL);
	assert_refused(state, &(struct plan_request){ .io_weight = no_colon }, "--io-weight", "DEVICE:WEIGHT", NULL);
}

static void a_partition_is_no_disk(void **state)
{
	char numbers[32], said[64];
	const char *const list[] = { said, NULL };

	if (!find_device(true, numbers)) {
		print_message("no block device with partitions here\n");
		skip();
	}
	snprintf(said, sizeof(said), "%s:1m", numbers);
	assert_refused(state, &(struct plan_request){ .device_read_bps = list }, numbers, "partition", "whole disks",
		       "/dev/", NULL);
}

static void rates_and_weights(void **state)
{
	char numbers[32], said[64];
	const char *const list[] = { said, NULL };
	unsigned first, second;

	if (!find_device(false, numbers)) {
		print_message("no block device here\n");
		skip();
	}
	assert_int_equal(sscanf(numbers, "%u:%u", &first, &second), 2);
	snprintf(said, sizeof(said), "%s:2m", numbers);
	struct cgroup_resources got =
		parsed(state, &(struct plan_request){ .device_read_bps = list, .device_write_bps = list });
	assert_int_equal(got.n, 2);
	assert_value(&got, CGROUP_IO_READ_BPS, 2 << 20);
	assert_value(&got, CGROUP_IO_WRITE_BPS, 2 << 20);
	assert_true(got.values[0].major == first && got.values[0].minor == second);
	snprintf(said, sizeof(said), "%s:300", numbers);
	got = parsed(state,
		     &(struct plan_request){ .device_read_iops = list, .device_write_iops = list, .io_weight = list });
	assert_value(&got, CGROUP_IO_READ_IOPS, 300);
	assert_value(&got, CGROUP_IO_WRITE_IOPS, 300);
	assert_value(&got, CGROUP_IO_WEIGHT_DEVICE, 300);

	static const char *const bad_rates[] = { "", "-5", "1.5", "x", "99999999999999999999", "1q" };
	for (size_t i = 0; i < ARRAY_LEN(bad_rates); i++) {
		snprintf(said, sizeof(said), "%s:%s", numbers, bad_rates[i]);
		assert_refused(state, &(struct plan_request){ .device_read_bps = list }, "--device-read-bps", said,
			       NULL);
		assert_refused(state, &(struct plan_request){ .device_read_iops = list }, "--device-read-iops", said,
			       NULL);
		assert_refused(state, &(struct plan_request){ .io_weight = list }, "--io-weight", said, NULL);
	}
	snprintf(said, sizeof(said), "%s:1m", numbers);
	assert_refused(state, &(struct plan_request){ .device_read_iops = list }, "a whole number", NULL);
	/* Of one device the last word counts: a site's default gives way to what is said. */
	char other[64];
	const char *const two[] = { said, other, NULL };
	snprintf(other, sizeof(other), "%s:3m", numbers);
	got = parsed(state, &(struct plan_request){ .device_read_bps = two });
	assert_int_equal(got.n, 1);
	assert_value(&got, CGROUP_IO_READ_BPS, 3 << 20);
}

static void weights(void **state)
{
	static const char *const good[] = { "10", NULL }, *const two[] = { "10", "1000", NULL };
	static const char *const bad[] = { "9", "1001", "0", "-1", "-5", "1.5", "x", "", "10000" };
	struct cgroup_resources got = parsed(state, &(struct plan_request){ .io_weight = good });

	assert_value(&got, CGROUP_IO_WEIGHT, 10);
	got = parsed(state, &(struct plan_request){ .io_weight = two });
	assert_int_equal(got.n, 1);
	assert_value(&got, CGROUP_IO_WEIGHT, 1000);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *const list[] = { bad[i], NULL };

		assert_refused(state, &(struct plan_request){ .io_weight = list }, "--io-weight", bad[i], NULL);
	}
}

/* ---- huge pages, unified keys ---- */

static void huge_pages(void **state)
{
	if (access("/sys/kernel/mm/hugepages/hugepages-2048kB", F_OK) == 0) {
		static const char *const spellings[] = { "2m=64m", "2MB=64m", "2048k=64m", "2M=67108864",
							 "2097152=64MiB" };

		for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
			const char *const list[] = { spellings[i], NULL };
			const struct cgroup_resources got = parsed(state, &(struct plan_request){ .hugetlb = list });

			assert_value(&got, CGROUP_HUGETLB_LIMIT, 64 << 20);
			assert_string_equal(got.values[0].text, "2MB");
		}
		assert_refused(state, &(struct plan_request){ .hugetlb = (const char *const[]){ "2m=3m", NULL } },
			       "--hugetlb 2m=3m", "multiple", "2MB", NULL);
		assert_refused(state, &(struct plan_request){ .hugetlb = (const char *const[]){ "3m=6m", NULL } },
			       "--hugetlb 3m=6m", "other huge pages", "2MB", NULL);
	}
	static const char *const bad[] = { "2m",
					   "=64m",
					   "x=64m",
					   "2m=",
					   "2m=x",
					   "2m=-5",
					   "2m=1.5m",
					   "2m=99999999999999999999g",
					   "-2m=64m",
					   "0=64m",
					   "1=64m",
					   "2m=64m=1",
					   "99999999999999999999m=1g" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *const list[] = { bad[i], NULL };

		assert_refused(state, &(struct plan_request){ .hugetlb = list }, "--hugetlb", bad[i], NULL);
	}
}

static void unified(void **state)
{
	static const char *const good[] = { "memory.high=256m",	      "io.max=8:0 rbps=1048576 wbps=max",
					    "hugetlb.2MB.rsvd.max=0", "cgroup.max.descendants=10",
					    "misc.max=a=b",	      NULL };
	struct cgroup_resources got = parsed(state, &(struct plan_request){ .cgroup = good });

	assert_int_equal(got.n, 5);
	assert_string_equal(got.values[1].text, "io.max");
	assert_string_equal(got.values[1].value_text, "8:0 rbps=1048576 wbps=max");
	assert_string_equal(got.values[4].value_text, "a=b");
	static const char *const bad[] = { "",
					   "=",
					   "=1",
					   "memory.high",
					   "memory.high=",
					   "memory=1",
					   ".high=1",
					   "memory.=1",
					   "memory/x.high=1",
					   "../memory.high=1",
					   "memory high.x=1",
					   "a.b=1\n2",
					   "a.b=\xc3\xa4",
					   "cgroup.procs=1",
					   "cgroup.kill=1",
					   "cgroup.freeze=1",
					   "cgroup.subtree_control=+memory",
					   "cgroup.type=threaded",
					   "cgroup.threads=1" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *const list[] = { bad[i], NULL };

		assert_refused(state, &(struct plan_request){ .cgroup = list }, "--cgroup", NULL);
	}
	got = parsed(state, &(struct plan_request){
				    .cgroup = (const char *const[]){ "io.max=8:0 rbps=1\n8:16 rbps=2", NULL } });
	assert_string_equal(got.values[0].value_text, "8:0 rbps=1\n8:16 rbps=2");
	char line[5000] = "memory.high=";
	const char *const list[] = { line, NULL };
	memset(line + 12, '1', sizeof(line) - 13);
	assert_refused(state, &(struct plan_request){ .cgroup = list }, "--cgroup", NULL);
}

/* ---- JSON ---- */

static void assert_same(const struct cgroup_resources *a, const struct cgroup_resources *b)
{
	assert_int_equal(a->n, b->n);
	assert_int_equal(a->check_before_update, b->check_before_update);
	for (size_t i = 0; i < a->n; i++) {
		const struct cgroup_value *one = &a->values[i], *other = NULL;

		for (size_t k = 0; k < b->n && !other; k++)
			if (b->values[k].resource == one->resource && b->values[k].major == one->major &&
			    b->values[k].minor == one->minor && streq(b->values[k].text ?: "", one->text ?: ""))
				other = &b->values[k];
		if (!other) {
			fail_msg("resource %d is missing", (int)one->resource);
			return;
		}
		assert_int_equal(one->number, other->number);
		assert_string_equal(one->text ?: "", other->text ?: "");
		assert_string_equal(one->value_text ?: "", other->value_text ?: "");
	}
}

static void json_and_back(void **state)
{
	struct cgroup_value values[CGROUP_RESOURCE_COUNT + 3];
	struct cgroup_resources all = { .values = values, .check_before_update = true }, back = { 0 };
	struct err err = ERR_INIT;

	for (enum cgroup_resource i = 0; i < CGROUP_RESOURCE_COUNT; i++) {
		const struct cgroup_resource_row *row = cgroup_resource_row(i);
		struct cgroup_value value = { .resource = i, .number = row->min };

		switch (i) {
		case CGROUP_CPUSET_CPUS:
		case CGROUP_CPUSET_MEMS:
			value.text = "0-1";
			value.number = 0;
			break;
		case CGROUP_HUGETLB_LIMIT:
			value.text = "2MB";
			break;
		case CGROUP_RDMA_HANDLES:
		case CGROUP_RDMA_OBJECTS:
			value.text = "mlx5_1";
			break;
		case CGROUP_NET_PRIORITY:
			value.text = "eth0";
			break;
		case CGROUP_UNIFIED:
			value.text = "memory.high";
			value.value_text = "1000";
			value.number = 0;
			break;
		case CGROUP_IO_WEIGHT_DEVICE:
		case CGROUP_IO_LEAF_WEIGHT_DEVICE:
		case CGROUP_IO_READ_BPS:
		case CGROUP_IO_WRITE_BPS:
		case CGROUP_IO_READ_IOPS:
		case CGROUP_IO_WRITE_IOPS:
			value.major = 8;
			value.minor = 16;
			break;
		default:
			break;
		}
		values[all.n++] = value;
	}
	values[all.n++] = (struct cgroup_value){ .resource = CGROUP_IO_WEIGHT_DEVICE, .number = 20, .major = 8 };
	values[all.n++] = (struct cgroup_value){ .resource = CGROUP_HUGETLB_LIMIT, .number = 1 << 30, .text = "1GB" };
	values[all.n++] = (struct cgroup_value){ .resource = CGROUP_UNIFIED, .text = "a.b", .value_text = "max" };

	json_t *json = limits_to_json(&all);
	assert_non_null(json);
	assert_int_equal(json_array_size(json_object_get(json_object_get(json, "blockIO"), "weightDevice")), 2);
	assert_int_equal(json_array_size(json_object_get(json, "hugepageLimits")), 2);
	if (limits_from_json(*state, json, "record", &back, &err) < 0)
		fail_msg("%s", err.message);
	assert_same(&all, &back);
	json_decref(json);

	const struct cgroup_resources none = { 0 };
	json = limits_to_json(&none);
	assert_int_equal(json_object_size(json), 0);
	assert_int_equal(limits_from_json(*state, json, "record", &back, &err), 0);
	assert_int_equal(back.n, 0);
	json_decref(json);
}

static void json_as_the_specification_has_it(void **state)
{
	static const char text[] =
		"{\"memory\":{\"limit\":536870912,\"reservation\":-1,\"swap\":536870912,\"disableOOMKiller\":false,\"checkBeforeUpdate\":true},"
		"\"cpu\":{\"shares\":1024,\"quota\":1000000,\"period\":500000,\"cpus\":\"2-3\",\"mems\":\"0-7\",\"idle\":0},"
		"\"pids\":{\"limit\":32771},"
		"\"blockIO\":{\"weight\":10,\"weightDevice\":[{\"major\":8,\"minor\":0,\"weight\":500}],"
		"\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":0,\"rate\":600}],\"throttleWriteIOPSDevice\":[{\"major\":8,\"minor\":16,\"rate\":300}]},"
		"\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":209715200}],"
		"\"network\":{\"classID\":1048577,\"priorities\":[{\"name\":\"eth0\",\"priority\":500}]},"
		"\"rdma\":{\"mlx5_1\":{\"hcaHandles\":3,\"hcaObjects\":10000}},"
		"\"unified\":{\"memory.high\":\"1000\"},"
		"\"devices\":[{\"allow\":false,\"access\":\"rwm\"}],\"ours\":7,\"cpuset\":null}";
	struct cgroup_resources got;
	struct err err = ERR_INIT;
	json_t *json = json_loads(text, 0, NULL), *back;

	assert_non_null(json);
	if (limits_from_json(*state, json, "x", &got, &err) < 0)
		fail_msg("%s", err.message);
	assert_true(got.check_before_update);
	back = limits_to_json(&got);
	json_object_del(json, "devices");
	json_object_del(json, "ours");
	json_object_del(json, "cpuset");
	if (!json_equal(json, back))
		fail_msg("%s", json_dumps(back, JSON_COMPACT));
	json_decref(json);
	json_decref(back);
}

static void json_that_is_wrong(void **state)
{
	static const struct {
		const char *text, *word;
	} bad[] = {
		{ "{\"memory\":{\"limit\":\"1g\"}}", "memory.limit" },
		{ "{\"memory\":{\"limit\":-2}}", "memory.limit" },
		{ "{\"memory\":7}", "memory" },
		{ "{\"memory\":{\"disableOOMKiller\":1}}", "memory.disableOOMKiller" },
		{ "{\"cpu\":{\"cpus\":3}}", "cpu.cpus" },
		{ "{\"cpu\":{\"shares\":1.5}}", "cpu.shares" },
		{ "{\"cpu\":{\"shares\":1}}", "2 to 262144" },
		{ "{\"blockIO\":{\"throttleReadBpsDevice\":{}}}", "array" },
		{ "{\"blockIO\":{\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":0}]}}",
		  "blockIO.throttleReadBpsDevice" },
		{ "{\"blockIO\":{\"throttleReadBpsDevice\":[{\"minor\":0,\"rate\":5}]}}", "major" },
		{ "{\"blockIO\":{\"throttleReadBpsDevice\":[{\"major\":-1,\"minor\":0,\"rate\":5}]}}", "major" },
		{ "{\"hugepageLimits\":[{\"limit\":5}]}", "hugepageLimits" },
		{ "{\"rdma\":[]}", "rdma" },
		{ "{\"rdma\":{\"a\":{\"hcaHandles\":\"x\"}}}", "rdma" },
		{ "{\"unified\":{\"memory.high\":5}}", "unified" },
		{ "[]", "object" },
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct cgroup_resources got = { .n = 77 };
		struct err err = ERR_INIT;
		json_t *json = json_loads(bad[i].text, 0, NULL);

		assert_non_null(json);
		if (limits_from_json(*state, json, "state.json", &got, &err) == 0)
			fail_msg("%s was taken", bad[i].text);
		assert_int_equal(got.n, 77);
		if (!strstr(err.message, "state.json") || !strstr(err.message, bad[i].word))
			fail_msg("%s: %s", bad[i].text, err.message);
		json_decref(json);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sizes, begin, end),
		cmocka_unit_test_setup_teardown(sizes_that_are_none, begin, end),
		cmocka_unit_test_setup_teardown(swap_is_memory_and_swap, begin, end),
		cmocka_unit_test_setup_teardown(counts, begin, end),
		cmocka_unit_test_setup_teardown(cpus, begin, end),
		cmocka_unit_test_setup_teardown(lists, begin, end),
		cmocka_unit_test_setup_teardown(processors_of_this_host, begin, end),
		cmocka_unit_test_setup_teardown(devices_that_are_none, begin, end),
		cmocka_unit_test_setup_teardown(a_partition_is_no_disk, begin, end),
		cmocka_unit_test_setup_teardown(rates_and_weights, begin, end),
		cmocka_unit_test_setup_teardown(weights, begin, end),
		cmocka_unit_test_setup_teardown(huge_pages, begin, end),
		cmocka_unit_test_setup_teardown(unified, begin, end),
		cmocka_unit_test_setup_teardown(json_and_back, begin, end),
		cmocka_unit_test_setup_teardown(json_as_the_specification_has_it, begin, end),
		cmocka_unit_test_setup_teardown(json_that_is_wrong, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
