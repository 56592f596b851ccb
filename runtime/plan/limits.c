/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/limits.h>
#include <nsrun/plan/process.h>

#include <nsrun/base/strings.h>

#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define CPU_PERIOD_US 100000
#define UNIFIED_KEY_MAX 63
#define UNIFIED_VALUE_MAX 4000

/* Where the values go, and what an error says was said. */
struct parser {
	struct arena *arena;
	struct cgroup_resources *into;
	struct err *err;
};

static int add(struct parser *p, const struct cgroup_value *value)
{
	return cgroup_resources_add(p->arena, p->into, value, p->err);
}

/* ---- numbers ---- */

static bool counts_bytes(const struct cgroup_resource_row *row)
{
	return str_after(row->unit, "bytes") != NULL;
}

static bool is_fraction(const char *text)
{
	const char *rest = text + strspn(text, "0123456789");

	return *rest == '.' && (isdigit((unsigned char)rest[1]) || rest > text);
}

/* What is wrong with a number that was not taken: `r` is what its parser said. */
static const char *fault_of(const struct cgroup_resource_row *row, const char *text, int r)
{
	if (!*text)
		return "the number is missing";
	if (*text == '-' && isdigit((unsigned char)text[1]))
		return row->unlimited ? "it is negative; no limit is -1 or unlimited" : "it is negative";
	if (r == -ERANGE)
		return "it is too large";
	if (is_fraction(text))
		return counts_bytes(row) ? "fractions are not taken: for 1.5g say 1536m" : "a whole number is wanted";
	return counts_bytes(row) ? "a number of bytes is wanted, alone or with one of the suffixes b, k, m, g, t"
				 : "a whole number is wanted";
}

/* 0 means "none" to the kernel here and "nothing said" there: on the command line it is a mistake. But no huge pages at all can be meant. */
static int64_t least(const struct cgroup_value *value)
{
	const struct cgroup_resource_row *row = cgroup_resource_row(value->resource);

	if (row->min != 0 || value->resource == CGROUP_HUGETLB_LIMIT)
		return row->min;
	return row->controller == CGROUP_MEMORY ? 4096 : 1; /* the kernel counts memory in pages */
}

/* `said` is the whole value of the option, `text` the number in it. Adds it as a value like `value`. */
static int add_number(struct parser *p, const struct cgroup_value *value, const char *said, const char *text)
{
	const struct cgroup_resource_row *row = cgroup_resource_row(value->resource);
	struct cgroup_value number = *value;
	uint64_t amount;
	int r;

	if (row->unlimited && (streq(text, "-1") || streq(text, "unlimited"))) {
		number.number = -1;
		return add(p, &number);
	}
	r = counts_bytes(row) ? parse_size(text, &amount) : parse_u64(text, &amount);
	if (r == 0 && amount > (uint64_t)row->max)
		r = -ERANGE;
	if (r == -ERANGE)
		return err_set(p->err, ERR_INPUT, ERR_ID_OPTION_VALUE, 0,
			       "--%s %s: %s: at most %" PRId64 "%s%s%s is possible", row->option, said,
			       fault_of(row, text, r), row->max, *row->unit ? " " : "", row->unit,
			       row->unlimited ? ", or unlimited," : "");
	if (r < 0)
		return err_set(p->err, ERR_INPUT, ERR_ID_OPTION_VALUE, 0, "--%s %s: %s", row->option, said,
			       fault_of(row, text, r));
	if (amount < (uint64_t)least(value))
		return err_set(p->err, ERR_INPUT, ERR_ID_OPTION_VALUE, 0,
			       "--%s %s: it is too small: at least %" PRId64 "%s%s is wanted%s", row->option, said,
			       least(value), *row->unit ? " " : "", row->unit,
			       row->unlimited ? "; no limit is -1 or unlimited" : "");
	number.number = (int64_t)amount;
	return add(p, &number);
}

static int parse_numbers(struct parser *p, const struct plan_request *request)
{
	const struct {
		const char *text;
		enum cgroup_resource resource;
	} fields[] = {
		{ request->memory, CGROUP_MEMORY_LIMIT },
		{ request->memory_reservation, CGROUP_MEMORY_RESERVATION },
		{ request->memory_swap, CGROUP_MEMORY_SWAP },
		{ request->cpu_shares, CGROUP_CPU_SHARES },
		{ request->pids_limit, CGROUP_PIDS_LIMIT },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(fields); i++)
		if (fields[i].text)
			r = add_number(p, &(struct cgroup_value){ .resource = fields[i].resource }, fields[i].text,
				       fields[i].text);
	return r;
}

/* ---- processors ---- */

/* "1.5": thousandths of a processor, -EINVAL. */
static int parse_thousandths(const char *text, uint64_t *ret)
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
	if (r < 0 || n + strlen(text + n) == 0 || whole > 1000000)
		return -EINVAL;
	*ret = whole * 1000 + thousandths;
	return 0;
}

/* Processors' worth of time as a quota in each period. The kernel's smallest quota is 1 ms (cgroup-v2.rst, cpu.max). */
static int parse_cpus(struct parser *p, const char *text)
{
	struct cgroup_value quota = { .resource = CGROUP_CPU_QUOTA, .number = -1 };
	const struct cgroup_value period = { .resource = CGROUP_CPU_PERIOD, .number = CPU_PERIOD_US };
	uint64_t thousandths;

	if (streq(text, "unlimited"))
		return add(p, &quota);
	if (parse_thousandths(text, &thousandths) < 0)
		return err_set(
			p->err, ERR_INPUT, ERR_ID_OPTION_VALUE, 0,
			*text == '-'
				? "--cpus %s: it is negative; no limit is -1 or unlimited"
				: "--cpus %s: a number of processors such as 1.5 is wanted, with three decimals at most",
			text);
	if (thousandths < 10)
		return err_set(p->err, ERR_INPUT, ERR_ID_OPTION_VALUE, 0,
			       "--cpus %s: the smallest share that the kernel takes is 0.01", text);
	const long online = sysconf(_SC_NPROCESSORS_ONLN);
	if (online > 0 && thousandths > (uint64_t)online * 1000)
		return err_set(p->err, ERR_INPUT, ERR_ID_OPTION_VALUE, 0, "--cpus %s: this host has %ld processors",
			       text, online);
	quota.number = (int64_t)(thousandths * (CPU_PERIOD_US / 1000));
	const int r = add(p, &quota);
	return r < 0 ? r : add(p, &period);
}

static int parse_cpuset(struct parser *p, enum cgroup_resource resource, const char *text)
{
	struct cgroup_value value = { .resource = resource };
	int r;

	if (!text)
		return 0;
	r = limits_find_cpuset(p->arena, resource, text, &value.text, p->err);
	return r < 0 ? r : add(p, &value);
}

/* ---- devices ---- */

/* The last colon is the one before the value: MAJOR:MINOR has one, and paths of /dev/disk/by-path more. */
static int parse_device(struct parser *p, enum cgroup_resource resource, const char *said)
{
	struct cgroup_value value = { .resource = resource };
	const char *option = cgroup_resource_row(resource)->option, *colon = strrchr(said, ':');
	int r;

	if (!colon)
		return err_set(p->err, ERR_INPUT, ERR_ID_OPTION_VALUE, 0,
			       "--%s %s: DEVICE:%s is wanted, with a path or MAJOR:MINOR for DEVICE", option, said,
			       resource == CGROUP_IO_WEIGHT_DEVICE ? "WEIGHT" : "RATE");
	r = limits_find_disk(option, said, (size_t)(colon - said), &value.major, &value.minor, p->err);
	return r < 0 ? r : add_number(p, &value, said, colon + 1);
}

static int parse_io(struct parser *p, const struct plan_request *request)
{
	const struct {
		const char *const *list;
		enum cgroup_resource resource;
	} fields[] = {
		{ request->device_read_bps, CGROUP_IO_READ_BPS },
		{ request->device_write_bps, CGROUP_IO_WRITE_BPS },
		{ request->device_read_iops, CGROUP_IO_READ_IOPS },
		{ request->device_write_iops, CGROUP_IO_WRITE_IOPS },
	};
	int r = 0;

	for (const char *const *said = request->io_weight; r == 0 && said && *said; said++)
		r = strchr(*said, ':') || strchr(*said, '/')
			    ? parse_device(p, CGROUP_IO_WEIGHT_DEVICE, *said)
			    : add_number(p, &(struct cgroup_value){ .resource = CGROUP_IO_WEIGHT }, *said, *said);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		for (const char *const *said = fields[i].list; r == 0 && said && *said; said++)
			r = parse_device(p, fields[i].resource, *said);
	return r;
}

/* ---- by name ---- */

static int parse_hugetlb(struct parser *p, const char *said)
{
	struct cgroup_value value = { .resource = CGROUP_HUGETLB_LIMIT };
	const char *equals = strchr(said, '=');
	uint64_t page, limit;
	int r;

	if (!equals)
		return err_set(p->err, ERR_INPUT, ERR_ID_OPTION_VALUE, 0,
			       "--hugetlb %s: SIZE=LIMIT is wanted, as in 2m=64m", said);
	r = limits_find_page_size(p->arena, said, (size_t)(equals - said), &value.text, &page, p->err);
	if (r < 0)
		return r;
	if (parse_size(equals + 1, &limit) == 0 && limit % page)
		return err_set(
			p->err, ERR_INPUT, ERR_ID_OPTION_VALUE, 0,
			"--hugetlb %s: the limit is no multiple of the page size %s, and the kernel would round it",
			said, value.text);
	return add_number(p, &value, said, equals + 1);
}

static bool is_printable(const char *text, size_t n, const char *without, const char *with)
{
	for (size_t i = 0; i < n; i++)
		if ((!isascii(text[i]) || !isprint((unsigned char)text[i]) || strchr(without, text[i])) &&
		    !strchr(with, text[i]))
			return false;
	return true;
}

/* Several lines are for files that have a line for each key, as io.max one for each disk. Of others, or of one key, only the last would hold. */
static bool is_line_each(const char *text)
{
	const char *next;

	if (!strchr(text, '\n'))
		return true;
	for (const char *line = text; *line; line = next) {
		const size_t n = strcspn(line, "\n"), key = strcspn(line, " \n");

		next = line + n + (line[n] == '\n');
		if (key == 0 || key + 1 >= n)
			return false;
		for (const char *other = text; other < line; other += strcspn(other, "\n") + 1)
			if (strncmp(other, line, key + 1) == 0)
				return false;
	}
	return true;
}

/* Whether this kernel has it is asked later: cgroup_check_limits(). */
static int parse_unified(struct parser *p, const char *said)
{
	struct cgroup_value value = { .resource = CGROUP_UNIFIED };
	enum cgroup_ctl controller;
	struct err why = ERR_INIT;
	const size_t n = strcspn(said, "=");
	const char *dot = memchr(said, '.', n), *text = said + n + 1;

	if (said[n] != '=' || n == 0 || !*text)
		return err_set(p->err, ERR_INPUT, ERR_ID_OPTION_VALUE, 0,
			       "--cgroup %s: KEY=VALUE is wanted, as in memory.high=256m", said);
	if (!dot || dot == said || dot == said + n - 1 || n > UNIFIED_KEY_MAX || !is_printable(said, n, "/ ", ""))
		return err_set(
			p->err, ERR_INPUT, ERR_ID_CGROUP_FILE, 0,
			"--cgroup %.200s: a file of the control group is wanted before =, as memory.high: no path",
			said);
	/* The lines are written one by one: io.max takes a device in each. */
	if (strlen(text) > UNIFIED_VALUE_MAX || !is_printable(text, strlen(text), "", "\n"))
		return err_set(p->err, ERR_INPUT, ERR_ID_CGROUP_FILE, 0,
			       "--cgroup %.200s: the value is to be at most %d printable characters, in lines", said,
			       UNIFIED_VALUE_MAX);
	if (!is_line_each(text))
		return err_set(
			p->err, ERR_INPUT, ERR_ID_CGROUP_FILE, 0,
			"--cgroup %.*s: several lines are taken where each is of another key, as \"8:0 rbps=1\" of io.max",
			(int)n, said);
	value.text = arena_strndup(p->arena, said, n);
	value.value_text = arena_strdup(p->arena, text);
	if (!value.text || !value.value_text)
		return err_oom(p->err);
	/* No file that moves, freezes or ends processes. */
	if (cgroup_unified_controller(value.text, &controller, &why) < 0) {
		const char *reason = strstr(why.message, ": ");

		return err_set(p->err, ERR_INPUT, ERR_ID_CGROUP_FILE, 0, "--cgroup %s: %s", said,
			       reason ? reason + 2 : why.message);
	}
	return add(p, &value);
}

int plan_parse_limits(struct arena *arena, const struct plan_request *request, struct cgroup_resources *ret,
		      struct err *err)
{
	struct cgroup_resources resources = { 0 };
	struct parser p = { .arena = arena, .into = &resources, .err = err };
	int r = parse_numbers(&p, request);

	if (r == 0 && request->cpus)
		r = parse_cpus(&p, request->cpus);
	if (r == 0)
		r = parse_cpuset(&p, CGROUP_CPUSET_CPUS, request->cpuset_cpus);
	if (r == 0)
		r = parse_cpuset(&p, CGROUP_CPUSET_MEMS, request->cpuset_mems);
	if (r == 0)
		r = parse_io(&p, request);
	for (const char *const *said = request->hugetlb; r == 0 && said && *said; said++)
		r = parse_hugetlb(&p, *said);
	for (const char *const *said = request->cgroup; r == 0 && said && *said; said++)
		r = parse_unified(&p, *said);
	if (r == 0)
		*ret = resources;
	return r;
}

/* Said with the names of options, before cgroup_resources_check() says it with those of the specification. */
int plan_check_limits(const struct cgroup_resources *resources, struct err *err)
{
	const struct cgroup_value *swap = cgroup_resources_find(resources, CGROUP_MEMORY_SWAP);
	const int64_t memory = cgroup_resources_number(resources, CGROUP_MEMORY_LIMIT, -1),
		      reserved = cgroup_resources_number(resources, CGROUP_MEMORY_RESERVATION, -1);

	if (swap && swap->number != -1 && memory == -1)
		return err_set(err, ERR_INPUT, ERR_ID_OPTION_VALUE, 0,
			       "--memory-swap %" PRId64
			       ": it counts memory and swap together, and needs --memory beside it",
			       swap->number);
	if (swap && swap->number != -1 && swap->number < memory)
		return err_set(err, ERR_INPUT, ERR_ID_OPTION_VALUE, 0,
			       "--memory-swap %" PRId64
			       ": it counts memory and swap together, and is less than --memory %" PRId64,
			       swap->number, memory);
	if (memory != -1 && reserved > memory)
		return err_set(err, ERR_INPUT, ERR_ID_OPTION_VALUE, 0,
			       "--memory-reservation %" PRId64 ": it is more than --memory %" PRId64, reserved, memory);
	return cgroup_resources_check(resources, err);
}

/* A new group has no limits. No swap limit is one, beside a limit of memory, which is one of swap as well. */
static bool says_nothing(const struct cgroup_resources *resources, const struct cgroup_value *value)
{
	const bool bounded = cgroup_resources_number(resources, CGROUP_MEMORY_LIMIT, -1) != -1;

	return value->number == -1 && !(value->resource == CGROUP_MEMORY_SWAP && bounded);
}

int plan_resolve_limits(struct plan *plan, const struct plan_request *request, struct err *err)
{
	struct cgroup_resources said;
	int r = plan_parse_limits(plan->arena, request, &said, err);

	if (r == 0)
		r = plan_check_limits(&said, err);
	for (size_t i = 0; r == 0 && i < said.n; i++)
		if (!says_nothing(&said, &said.values[i]))
			r = cgroup_resources_add(plan->arena, &plan->resources, &said.values[i], err);
	return r;
}

const struct cgroup_value *limits_memory(const struct cgroup_resources *resources)
{
	const struct cgroup_value *limit = NULL;

	for (size_t i = 0; i < resources->n; i++) {
		const struct cgroup_value *v = &resources->values[i];

		/* The key is written after the option, to the same file. */
		if ((v->resource == CGROUP_MEMORY_LIMIT && v->number >= 0 && !limit) ||
		    (v->resource == CGROUP_UNIFIED && streq(v->text, "memory.max")))
			limit = v;
	}
	return limit;
}

const struct cgroup_value *limits_memory_of(const struct cgroup_resources *resources, uint64_t bytes)
{
	const struct cgroup_value *limit = limits_memory(resources);
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t said;

	if (!limit)
		return NULL;
	if (limit->resource == CGROUP_MEMORY_LIMIT)
		said = (uint64_t)limit->number;
	else if (parse_size(limit->value_text, &said) < 0)
		return NULL;
	return said / page == bytes / page ? limit : NULL;
}
