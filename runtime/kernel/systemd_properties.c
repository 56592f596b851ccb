/* SPDX-License-Identifier: Apache-2.0 */
/* From the files of cgroup v2 to the properties of systemd.resource-control(5), as its D-Bus interface has them. */
#include <nsrun/kernel/systemd.h>

#include <nsrun/base/strings.h>

#include <string.h>

#define USEC_PER_SEC 1000000ULL
#define PERCENT_US (USEC_PER_SEC / 100)
/* io.bfq.weight ends at 1000 where io.weight ends at 10000; systemd has one property for both and computes the first from it. */
#define WEIGHT_DEFAULT 100
#define WEIGHT_MAX 10000
#define BFQ_WEIGHT_MAX 1000

static struct systemd_property *add(struct systemd_properties *ret, const char *name, enum systemd_kind kind)
{
	struct systemd_property *p;

	if (ret->n == ARRAY_LEN(ret->list))
		return NULL;
	p = &ret->list[ret->n++];
	*p = (struct systemd_property){ .name = name, .kind = kind };
	return p;
}

static int bad_value(const struct cgroup_setting *setting, struct err *err)
{
	return err_input(err, "%s: \"%s\": no value that systemd has a property for", setting->file, setting->value);
}

/* Files of memory take suffixes (memparse() in the kernel), and --cgroup passes on what was said. */
static int number_of(const char *text, bool bytes, uint64_t *ret)
{
	if (streq(text, "max")) {
		*ret = UINT64_MAX;
		return 0;
	}
	return bytes ? parse_size(text, ret) : parse_u64(text, ret);
}

static int add_number(struct systemd_properties *ret, const char *name, uint64_t number, struct err *err)
{
	struct systemd_property *p = add(ret, name, SYSTEMD_NUMBER);

	if (!p)
		return err_bug(err, "systemd: too many properties");
	p->number = number;
	return 0;
}

/* The last one said counts, as in the file. */
static void drop(struct systemd_properties *ret, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < ret->n; i++)
		if (!streq(ret->list[i].name, name))
			ret->list[n++] = ret->list[i];
	ret->n = n;
}

/* "50000 100000", "max 100000", "50000". */
static int put_cpu_max(const struct cgroup_setting *setting, struct systemd_properties *ret, struct err *err)
{
	char quota_text[32] = "", period_text[32] = "100000";
	uint64_t quota, period, each_second = UINT64_MAX;
	const int n = sscanf(setting->value, "%31s %31s", quota_text, period_text);
	int r;

	if (n < 1 || number_of(quota_text, false, &quota) < 0 || parse_u64(period_text, &period) < 0 || period == 0 ||
	    period > USEC_PER_SEC || (quota != UINT64_MAX && quota > UINT64_MAX / USEC_PER_SEC))
		return bad_value(setting, err);
	/* Kept in the transient unit as whole per cent, cut off: rounded up, so that a reload makes it none tighter, and never nothing. */
	if (quota != UINT64_MAX) {
		each_second = (quota * USEC_PER_SEC + period - 1) / period;
		each_second = (each_second + PERCENT_US - 1) / PERCENT_US * PERCENT_US;
	}
	r = add_number(ret, "CPUQuotaPeriodUSec", period, err);
	return r < 0 ? r : add_number(ret, "CPUQuotaPerSecUSec", each_second, err);
}

/* "0-3,7" */
static int put_set(const struct cgroup_setting *setting, const char *name, uint8_t *mask,
		   struct systemd_properties *ret, struct err *err)
{
	char text[sizeof(setting->value)], *rest = text;
	struct systemd_property *p;
	size_t n = 0;

	memcpy(text, setting->value, sizeof(text));
	memset(mask, 0, SYSTEMD_MASK_MAX);
	for (char *part; (part = strsep(&rest, ",")) != NULL;) {
		char *dash = strchr(part, '-');
		uint32_t first, last;

		if (!*part)
			continue;
		if (dash)
			*dash = '\0';
		if (parse_u32(part, &first) < 0 || (dash && parse_u32(dash + 1, &last) < 0))
			return bad_value(setting, err);
		if (!dash)
			last = first;
		if (last < first || last >= 8 * SYSTEMD_MASK_MAX)
			return bad_value(setting, err);
		for (uint32_t i = first; i <= last; i++)
			mask[i / 8] |= (uint8_t)(1U << i % 8);
		n = last / 8 + 1 > n ? last / 8 + 1 : n;
	}
	drop(ret, name);
	p = add(ret, name, SYSTEMD_BYTES);
	if (!p)
		return err_bug(err, "systemd: too many properties");
	p->bytes = mask;
	p->n_bytes = n;
	return 0;
}

static int put_device(const char *name, const char *device, uint64_t number, struct systemd_properties *ret,
		      struct err *err)
{
	struct systemd_property *p = add(ret, name, SYSTEMD_DEVICE);

	if (!p)
		return err_bug(err, "systemd: too many properties");
	snprintf(p->device, sizeof(p->device), "/dev/block/%.*s", (int)strcspn(device, " "), device);
	p->number = number;
	return 0;
}

/* "8:0 rbps=1048576 wiops=max" */
static int put_io_max(const struct cgroup_setting *setting, struct systemd_properties *ret, struct err *err)
{
	static const struct {
		const char *key, *property;
	} keys[] = {
		{ "rbps=", "IOReadBandwidthMax" },
		{ "wbps=", "IOWriteBandwidthMax" },
		{ "riops=", "IOReadIOPSMax" },
		{ "wiops=", "IOWriteIOPSMax" },
	};
	char text[sizeof(setting->value)], *rest = text;
	const char *device;

	memcpy(text, setting->value, sizeof(text));
	device = strsep(&rest, " ");
	if (!strchr(device, ':'))
		return bad_value(setting, err);
	for (char *word; (word = strsep(&rest, " ")) != NULL;) {
		const char *value = NULL;
		uint64_t number;
		size_t k;
		int r;

		if (!*word)
			continue;
		for (k = 0; k < ARRAY_LEN(keys); k++)
			if ((value = str_after(word, keys[k].key)) != NULL)
				break;
		if (!value || number_of(value, false, &number) < 0)
			return bad_value(setting, err);
		r = put_device(keys[k].property, device, number, ret, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* "100", "default 100", "8:0 100" */
static int put_io_weight(const struct cgroup_setting *setting, bool bfq, struct systemd_properties *ret,
			 struct err *err)
{
	const char *space = strchr(setting->value, ' '), *text = space ? space + 1 : setting->value;
	const bool general = !space || str_after(setting->value, "default ");
	uint64_t weight;

	if (!general && streq(text, "default"))
		weight = WEIGHT_DEFAULT;
	else if (parse_u64(text, &weight) < 0)
		return bad_value(setting, err);
	if (bfq && weight > WEIGHT_DEFAULT && weight <= BFQ_WEIGHT_MAX)
		weight = WEIGHT_DEFAULT + ((weight - WEIGHT_DEFAULT) * (WEIGHT_MAX - WEIGHT_DEFAULT) +
					   (BFQ_WEIGHT_MAX - WEIGHT_DEFAULT) - 1) /
						  (BFQ_WEIGHT_MAX - WEIGHT_DEFAULT);
	if (general) {
		drop(ret, "IOWeight");
		return add_number(ret, "IOWeight", weight, err);
	}
	return put_device("IODeviceWeight", setting->value, weight, ret, err);
}

/* cpu.weight.nice: the kernel's own table of weights (sched_prio_to_weight, 1024 at 0), as cpu_weight_nice_write_s64() goes by it. */
static int put_cpu_nice(const struct cgroup_setting *setting, struct systemd_properties *ret, struct err *err)
{
	static const unsigned weights[40] = {
		88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904,
		3906,  3121,  2501,  1991,  1586,  1277,  1024,	 820,	655,   526,   423,  335,  272,	215,
		172,   137,   110,   87,    70,	   56,	  45,	 36,	29,    23,    18,   15,
	};
	char *end;
	const long nice = strtol(setting->value, &end, 10);

	if (end == setting->value || *end || nice < -20 || nice > 19)
		return bad_value(setting, err);
	drop(ret, "CPUWeight");
	return add_number(ret, "CPUWeight", (weights[nice + 20] * 100U + 512) / 1024, err);
}

static int put_one(const struct cgroup_setting *setting, struct systemd_properties *ret, struct err *err)
{
	static const struct {
		const char *file, *property;
	} numbers[] = {
		{ "cpu.weight", "CPUWeight" },
		{ "memory.max", "MemoryMax" },
		{ "memory.high", "MemoryHigh" },
		{ "memory.low", "MemoryLow" },
		{ "memory.min", "MemoryMin" },
		{ "memory.swap.max", "MemorySwapMax" },
		{ "memory.zswap.max", "MemoryZSwapMax" }, /* systemd 253 */
		{ "pids.max", "TasksMax" },
	};
	uint64_t number;

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		if (!streq(setting->file, numbers[i].file))
			continue;
		if (number_of(setting->value, str_after(setting->file, "memory."), &number) < 0)
			return bad_value(setting, err);
		drop(ret, numbers[i].property);
		return add_number(ret, numbers[i].property, number, err);
	}
	if (streq(setting->file, "cpu.max")) {
		drop(ret, "CPUQuotaPeriodUSec");
		drop(ret, "CPUQuotaPerSecUSec");
		return put_cpu_max(setting, ret, err);
	}
	if (streq(setting->file, "cpu.weight.nice"))
		return put_cpu_nice(setting, ret, err);
	if (streq(setting->file, "cpuset.cpus"))
		return put_set(setting, "AllowedCPUs", ret->cpus, ret, err);
	if (streq(setting->file, "cpuset.mems"))
		return put_set(setting, "AllowedMemoryNodes", ret->mems, ret, err);
	if (streq(setting->file, "io.max"))
		return put_io_max(setting, ret, err);
	if (streq(setting->file, "io.weight"))
		return put_io_weight(setting, false, ret, err);
	if (streq(setting->file, "io.bfq.weight"))
		return put_io_weight(setting, true, ret, err);
	return 0; /* systemd has none, and leaves the file as it is */
}

static bool has(const struct systemd_properties *ret, const char *name)
{
	for (size_t i = 0; i < ret->n; i++)
		if (streq(ret->list[i].name, name))
			return true;
	return false;
}

/*
 * CPUWeight=idle, which is 0 here, since systemd 252. It rules over a weight, as cpu.idle does. It also stays in the unit until another weight is said: a group
 * that is idle no more has the default one, unless one is said (sched_group_set_idle() in the kernel), and so has the unit.
 */
static int put_cpu_idle(const struct cgroup_setting *settings, size_t n, struct systemd_properties *ret,
			struct err *err)
{
	const char *idle = NULL;

	for (size_t i = 0; i < n; i++)
		if (settings[i].v2 && streq(settings[i].file, "cpu.idle"))
			idle = settings[i].value;
	if (!idle || (streq(idle, "0") && has(ret, "CPUWeight")))
		return 0;
	drop(ret, "CPUWeight");
	return add_number(ret, "CPUWeight", streq(idle, "0") ? WEIGHT_DEFAULT : 0, err);
}

int systemd_properties(const struct cgroup_setting *settings, size_t n, struct systemd_properties *ret, struct err *err)
{
	ret->n = 0;
	for (size_t i = 0; i < n; i++) {
		int r;

		if (!settings[i].v2)
			continue;

		r = put_one(&settings[i], ret, err);
		if (r < 0)
			return r;
	}
	return put_cpu_idle(settings, n, ret, err);
}
