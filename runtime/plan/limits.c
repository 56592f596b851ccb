/* SPDX-License-Identifier: Apache-2.0 */
/* Options of limits to values of kernel/cgroup_resources.h. */
#include <nsrun/plan/process.h>

#include <nsrun/base/strings.h>

#include <string.h>
#include <unistd.h>

#define CPU_PERIOD_US 100000

/* "1.5": processors, three decimals at most. The kernel's smallest quota is 1 ms (cgroups(7), cpu.max). */
static int parse_cpus(const char *text, uint64_t *ret_quota, struct err *err)
{
	uint64_t whole = 0, thousandths = 0;
	char digits[24];
	const size_t n = strcspn(text, ".");
	int r = n < sizeof(digits) ? 0 : -EINVAL;

	if (r == 0) {
		memcpy(digits, text, n);
		digits[n] = '\0';
		r = n ? parse_u64(digits, &whole) : 0;
	}
	if (r == 0 && text[n]) {
		const char *fraction = text + n + 1;
		const size_t length = strlen(fraction);

		r = length >= 1 && length <= 3 ? parse_u64(fraction, &thousandths) : -EINVAL;
		for (size_t i = length; i < 3; i++)
			thousandths *= 10;
	}
	if (r < 0 || whole > 1000000)
		return err_input(err, "--cpus %s: a number of processors such as 1.5 is wanted", text);
	const uint64_t quota = whole * CPU_PERIOD_US + thousandths * (CPU_PERIOD_US / 1000);
	if (quota < 1000)
		return err_input(err, "--cpus %s: the smallest share that the kernel takes is 0.01", text);
	const long online = sysconf(_SC_NPROCESSORS_ONLN);
	if (online > 0 && quota > (uint64_t)online * CPU_PERIOD_US)
		return err_input(err, "--cpus %s: this host has %ld processors", text, online);
	*ret_quota = quota;
	return 0;
}

static int add(struct plan *plan, enum cgroup_resource resource, uint64_t number, struct err *err)
{
	const struct cgroup_value value = { .resource = resource, .number = (int64_t)number };

	return cgroup_resources_add(plan->arena, &plan->resources, &value, err);
}

int plan_parse_limits(struct plan *plan, const struct plan_request *request, struct err *err)
{
	uint64_t number;
	int r = 0;

	if (request->memory) {
		if (parse_size(request->memory, &number) < 0 || number < 4096 || number > INT64_MAX)
			return err_input(
				err,
				"--memory %s: bytes from 4k to 8388607t with an optional suffix b, k, m, g, t are wanted",
				request->memory);
		r = add(plan, CGROUP_MEMORY_LIMIT, number, err);
	}
	if (r == 0 && request->pids_limit && !streq(request->pids_limit, "-1") &&
	    !streq(request->pids_limit, "unlimited")) {
		if (parse_u64(request->pids_limit, &number) < 0 || number == 0 || number > INT32_MAX)
			return err_input(err, "--pids-limit %s: a number of processes from 1, or unlimited, is wanted",
					 request->pids_limit);
		r = add(plan, CGROUP_PIDS_LIMIT, number, err);
	}
	if (r == 0 && request->cpus) {
		r = parse_cpus(request->cpus, &number, err);
		if (r == 0)
			r = add(plan, CGROUP_CPU_QUOTA, number, err);
		if (r == 0)
			r = add(plan, CGROUP_CPU_PERIOD, CPU_PERIOD_US, err);
	}
	return r;
}
