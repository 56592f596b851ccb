/* SPDX-License-Identifier: Apache-2.0 */
/* From values to files: the same resource is another file, and often another number, on v1 and v2 (cgroups(7), cgroup-v2.rst). */
#include <nsrun/kernel/cgroup_resources.h>

#include <nsrun/base/strings.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CPU_PERIOD_US 100000 /* the kernel's own default */

struct writer {
	const struct cgroup_host *host;
	const struct cgroup_resources *resources;
	struct cgroup_setting *list;
	size_t n;
	struct err *err;
	int error;
};

/* ---- numbers ---- */

/* log2 and 10^x for this alone: the mathematical library would cost each launch its loading. Both to 1e-12 and better in the ranges used. */
static double log2_of(uint64_t n)
{
	const int whole = 63 - __builtin_clzll(n);
	const double m = (double)n / (double)(1ULL << whole), t = (m - 1) / (m + 1); /* m: 1 to 2, t: 0 to 1/3 */
	double power = t, sum = 0;

	for (int k = 1; k < 40; k += 2) { /* ln m = 2 artanh t */
		sum += power / k;
		power *= t * t;
	}
	return whole + 2 * sum / 0.69314718055994530942;
}

static double ten_to(double x)
{
	double term = 1, sum = 1;

	for (int k = 1; k < 60; k++) {
		term *= x * 2.30258509299404568402 / k;
		sum += term;
	}
	return sum;
}

/*
 * 10^((l^2 + 125 l) / 612 - 7/34) with l = log2(shares), rounded up: what runc 1.3.2 and crun 1.23 have since 2025, and the containers of both
 * engines with them (opencontainers/cgroups, pull request 20). The linear 1 + (shares - 2) * 9999 / 262142 of the years before makes 39 of 1024,
 * v1's default, so that a container that asks for no more than anyone else gets less than half of what a group of the host gets, whose default is 100.
 */
unsigned cgroup_shares_to_weight(uint64_t shares)
{
	if (shares <= 2)
		return 1;
	if (shares >= 262144)
		return 10000;
	const double l = log2_of(shares);
	const double weight = ten_to((l * l + 125 * l) / 612 - 7.0 / 34);
	const unsigned below = (unsigned)weight;

	return weight - below > 1e-6 ? below + 1 : below; /* 1024 is 100, not 100.0000000001 */
}

unsigned cgroup_io_weight_to_v2(uint64_t weight)
{
	return (unsigned)(1 + (weight - 10) * 9999 / 990);
}

/* ---- writing the list ---- */

static void fail(struct writer *w, int error)
{
	if (w->error == 0)
		w->error = error;
}

_printf_(4, 5) static struct cgroup_setting *add(struct writer *w, enum cgroup_ctl controller, const char *file,
						 const char *format, ...)
{
	struct cgroup_setting *s;
	va_list arguments;
	int n, m;

	if (w->error)
		return NULL;
	if (w->n == CGROUP_SETTINGS_MAX) {
		fail(w, err_input(w->err, "more than %d settings of control groups", CGROUP_SETTINGS_MAX));
		return NULL;
	}
	s = &w->list[w->n];
	s->controller = controller;
	s->v2 = controller == CGROUP_CONTROLLER_COUNT || !cgroup_on_v1(w->host, controller);
	s->check = CGROUP_CHECK_NUMBER;
	s->optional = false;
	s->unit = 1;
	s->from = NULL;
	n = snprintf(s->file, sizeof(s->file), "%s", file);
	va_start(arguments, format);
	m = vsnprintf(s->value, sizeof(s->value), format, arguments);
	va_end(arguments);
	if (n < 0 || (size_t)n >= sizeof(s->file) || m < 0 || (size_t)m >= sizeof(s->value)) {
		fail(w, err_input(w->err, "%.64s: longer than a control group's file takes: %.64s", file, s->value));
		return NULL;
	}
	w->n++;
	return s;
}

/* A number, which -1 takes away: "max" on v2, "-1" on v1. */
static struct cgroup_setting *add_limit(struct writer *w, const struct cgroup_value *v, const char *file,
					int64_t number)
{
	const enum cgroup_ctl c = cgroup_resource_row(v->resource)->controller;
	struct cgroup_setting *s;

	if (number == -1)
		s = add(w, c, file, "%s", cgroup_on_v1(w->host, c) && c != CGROUP_PIDS ? "-1" : "max");
	else
		s = add(w, c, file, "%" PRId64, number);
	if (s)
		s->from = v;
	return s;
}

static const struct cgroup_value *find(const struct writer *w, enum cgroup_resource resource)
{
	return cgroup_resources_find(w->resources, resource);
}

static bool v1(const struct writer *w, enum cgroup_ctl controller)
{
	return cgroup_on_v1(w->host, controller);
}

/* The file of the value's row on this host. */
static const char *file_of(const struct writer *w, const struct cgroup_value *v)
{
	const struct cgroup_resource_row *row = cgroup_resource_row(v->resource);

	return v1(w, row->controller) ? row->v1_file : row->v2_file;
}

static void plain(struct writer *w, enum cgroup_resource resource, uint64_t unit)
{
	const struct cgroup_value *v = find(w, resource);
	struct cgroup_setting *s = v ? add_limit(w, v, file_of(w, v), v->number) : NULL;

	if (s)
		s->unit = unit;
}

/* ---- by controller ---- */

static void put_swap(struct writer *w, uint64_t page)
{
	const struct cgroup_value *limit = find(w, CGROUP_MEMORY_LIMIT), *swap = find(w, CGROUP_MEMORY_SWAP);
	const bool on_v1 = v1(w, CGROUP_MEMORY);
	struct cgroup_setting *s = NULL;

	if (swap) {
		/* v1 counts memory and swap together, v2 swap alone. */
		const int64_t together = swap->number;
		const int64_t number = together == -1 || on_v1 ? together : together - limit->number;

		s = add_limit(w, swap, file_of(w, swap), number);
	} else if (limit && limit->number != -1) {
		/*
		 * A memory limit gives no swap beside it. Docker without --memory-swap gives as much swap again, so that -m 64m may use 128 MiB; here
		 * what was asked for is the bound that holds, and a container that reaches it is ended instead of making the host swap. Kernels without
		 * swap accounting lack the file.
		 */
		s = on_v1 ? add(w, CGROUP_MEMORY, "memory.memsw.limit_in_bytes", "%" PRId64, limit->number)
			  : add(w, CGROUP_MEMORY, "memory.swap.max", "0");
		if (s)
			s->optional = true;
	} else if (limit) {
		/* An update takes away with the limit what followed from it; and on v1 memory may not be above memory and swap together. */
		s = on_v1 ? add(w, CGROUP_MEMORY, "memory.memsw.limit_in_bytes", "-1")
			  : add(w, CGROUP_MEMORY, "memory.swap.max", "max");
		if (s)
			s->optional = true;
	}
	if (s)
		s->unit = page;
}

static void put_memory(struct writer *w)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE); /* the kernel counts pages: it rounds down */
	const struct cgroup_value *v;

	plain(w, CGROUP_MEMORY_LIMIT, page);
	put_swap(w, page);
	plain(w, CGROUP_MEMORY_RESERVATION, page);
	plain(w, CGROUP_MEMORY_SWAPPINESS, 1);
	v = find(w, CGROUP_MEMORY_NO_OOM_KILL);
	if (v) {
		struct cgroup_setting *s = add_limit(w, v, file_of(w, v), v->number);

		if (s)
			s->check = CGROUP_CHECK_SECOND;
	}
}

static void put_cpu_max(struct writer *w)
{
	const struct cgroup_value *quota = find(w, CGROUP_CPU_QUOTA), *period = find(w, CGROUP_CPU_PERIOD);
	const int64_t us = period ? period->number : CPU_PERIOD_US;
	struct cgroup_setting *s;

	if (!quota && !period)
		return;
	if (v1(w, CGROUP_CPU)) {
		s = add(w, CGROUP_CPU, "cpu.cfs_period_us", "%" PRId64, us);
		if (s)
			s->from = period;
		plain(w, CGROUP_CPU_QUOTA, 1);
		return;
	}
	if (quota && quota->number != -1)
		s = add(w, CGROUP_CPU, "cpu.max", "%" PRId64 " %" PRId64, quota->number, us);
	else
		s = add(w, CGROUP_CPU, "cpu.max", "max %" PRId64, us);
	if (s) {
		s->from = quota ?: period;
		s->check = CGROUP_CHECK_WORDS;
	}
}

static void put_cpu(struct writer *w)
{
	const struct cgroup_value *shares = find(w, CGROUP_CPU_SHARES);

	/* The weight before cpu.idle: an idle group has none, and refuses one. */
	if (shares && !v1(w, CGROUP_CPU)) {
		struct cgroup_setting *s =
			add(w, CGROUP_CPU, "cpu.weight", "%u", cgroup_shares_to_weight((uint64_t)shares->number));

		if (s)
			s->from = shares;
	} else {
		plain(w, CGROUP_CPU_SHARES, 1);
	}
	put_cpu_max(w);
	plain(w, CGROUP_CPU_BURST, 1);
	plain(w, CGROUP_CPU_IDLE, 1);
	plain(w, CGROUP_CPU_RT_PERIOD, 1);
	plain(w, CGROUP_CPU_RT_RUNTIME, 1);
}

static void put_cpuset(struct writer *w)
{
	for (enum cgroup_resource r = CGROUP_CPUSET_CPUS; r <= CGROUP_CPUSET_MEMS; r++) {
		const struct cgroup_value *v = find(w, r);
		struct cgroup_setting *s = v ? add(w, CGROUP_CPUSET, file_of(w, v), "%s", v->text) : NULL;

		if (s) {
			s->from = v;
			s->check = CGROUP_CHECK_LIST;
		}
	}
}

/*
 * Two schedulers share by weight, and which of them serves a disk is the host's choice: io.weight is of iocost, io.bfq.weight of BFQ, which takes 1 to 1000
 * as blockIO.weight is meant. What of both is there is written.
 */
static void put_io_weight(struct writer *w, const struct cgroup_value *v)
{
	const bool device = v->resource == CGROUP_IO_WEIGHT_DEVICE, on_v1 = v1(w, CGROUP_IO);
	const uint64_t weight = (uint64_t)v->number;
	char key[32];

	snprintf(key, sizeof(key), "%" PRIu32 ":%" PRIu32, v->major, v->minor);
	for (int bfq = on_v1; bfq < 2; bfq++) {
		const char *file = on_v1 ? file_of(w, v) : bfq ? "io.bfq.weight" : "io.weight";
		struct cgroup_setting *s = add(w, CGROUP_IO, file, "%s %u", device ? key : "default",
					       bfq ? (unsigned)weight : cgroup_io_weight_to_v2(weight));

		if (!s)
			return;
		s->from = v;
		s->optional = !on_v1;
		s->check = CGROUP_CHECK_KEYED;
		if (on_v1 && !device) { /* this one alone knows no word "default" */
			snprintf(s->value, sizeof(s->value), "%u", (unsigned)weight);
			s->check = CGROUP_CHECK_NUMBER;
		}
	}
}

static void put_io_rate(struct writer *w, const struct cgroup_value *v)
{
	static const char *const keys[] = { "rbps", "wbps", "riops", "wiops" };
	const bool none = v->number <= 0;
	struct cgroup_setting *s;

	if (v1(w, CGROUP_IO))
		s = add(w, CGROUP_IO, file_of(w, v), "%" PRIu32 ":%" PRIu32 " %" PRId64, v->major, v->minor,
			none ? 0 : v->number);
	else if (none)
		s = add(w, CGROUP_IO, "io.max", "%" PRIu32 ":%" PRIu32 " %s=max", v->major, v->minor,
			keys[v->resource - CGROUP_IO_READ_BPS]);
	else
		s = add(w, CGROUP_IO, "io.max", "%" PRIu32 ":%" PRIu32 " %s=%" PRId64, v->major, v->minor,
			keys[v->resource - CGROUP_IO_READ_BPS], v->number);
	if (s) {
		s->from = v;
		s->check = CGROUP_CHECK_KEYED;
	}
}

/* Bytes of a huge page, from its name: "64KB", "2MB", "1GB". */
static uint64_t huge_page(const char *name)
{
	uint64_t bytes;

	return parse_size(name, &bytes) < 0 || bytes == 0 ? 1 : bytes;
}

static void put_hugetlb(struct writer *w, const struct cgroup_value *v)
{
	/* What is reserved by mmap(2) is bounded as well, or a process is killed by SIGBUS for what it was promised. */
	static const char *const reserved[] = { "", ".rsvd" };

	for (int i = 0; i < 2; i++) {
		char file[96];
		struct cgroup_setting *s;

		if (strlen(v->text) > 16 || strpbrk(v->text, "/.")) {
			fail(w, err_input(w->err, "hugetlb %.40s: not a page size", v->text));
			return;
		}
		snprintf(file, sizeof(file), "hugetlb.%s%s.%s", v->text, reserved[i],
			 v1(w, CGROUP_HUGETLB) ? "limit_in_bytes" : "max");
		s = add_limit(w, v, file, v->number);
		if (s) {
			s->unit = huge_page(v->text);
			s->optional = i;
		}
	}
}

static void put_rdma(struct writer *w, const struct cgroup_value *v)
{
	const char *key = v->resource == CGROUP_RDMA_HANDLES ? "hca_handle" : "hca_object";
	struct cgroup_setting *s;

	if (v->number == -1)
		s = add(w, CGROUP_RDMA, "rdma.max", "%s %s=max", v->text, key);
	else
		s = add(w, CGROUP_RDMA, "rdma.max", "%s %s=%" PRId64, v->text, key, v->number);
	if (s) {
		s->from = v;
		s->check = CGROUP_CHECK_KEYED;
	}
}

/* What there can be several of. */
static void put_by_name(struct writer *w, const struct cgroup_value *v)
{
	struct cgroup_setting *s;

	if (v->resource == CGROUP_IO_WEIGHT || v->resource == CGROUP_IO_WEIGHT_DEVICE)
		put_io_weight(w, v);
	else if (v->resource >= CGROUP_IO_READ_BPS && v->resource <= CGROUP_IO_WRITE_IOPS)
		put_io_rate(w, v);
	else if (v->resource == CGROUP_HUGETLB_LIMIT)
		put_hugetlb(w, v);
	else if (v->resource == CGROUP_RDMA_HANDLES || v->resource == CGROUP_RDMA_OBJECTS)
		put_rdma(w, v);
	else if (v->resource == CGROUP_NET_CLASS)
		plain(w, v->resource, 1);
	else if (v->resource == CGROUP_NET_PRIORITY &&
		 (s = add(w, CGROUP_NET_PRIO, file_of(w, v), "%s %" PRId64, v->text, v->number))) {
		s->from = v;
		s->check = CGROUP_CHECK_KEYED;
	}
}

/* cpu.weight.nice is cpu.weight in other numbers. */
static bool is_file_of(const struct cgroup_setting *s, const char *file)
{
	return streq(s->file, file) || (streq(s->file, "cpu.weight") && streq(file, "cpu.weight.nice"));
}

static void put_unified(struct writer *w, const struct cgroup_value *v)
{
	enum cgroup_ctl c;
	const int r = cgroup_unified_controller(v->text, &c, w->err);

	if (r < 0) {
		fail(w, r);
		return;
	}
	for (size_t i = 0; i < w->n; i++) {
		struct cgroup_setting *s = &w->list[i];

		if (!is_file_of(s, v->text))
			continue;
		if (!s->from) { /* what only follows from another option gives way */
			memmove(s, s + 1, (--w->n - i) * sizeof(*s));
			i--;
		} else if (s->from->resource != CGROUP_UNIFIED && cgroup_setting_overridden(s, v->value_text)) {
			char label[96];

			fail(w, err_set(w->err, ERR_INPUT, ERR_ID_LIMIT_CONTRADICTS, 0,
					"%s=%s and %s contradict each other: the file would hold %s", v->text,
					v->value_text, cgroup_resource_label(s->from, label, sizeof(label)), s->value));
			return;
		}
	}
	/* The kernel takes one line in one write(2). */
	for (const char *line = v->value_text; line && *line;) {
		const size_t n = strcspn(line, "\n");
		struct cgroup_setting *s = add(w, c, v->text, "%.*s", (int)n, line);

		if (s) {
			s->from = v;
			s->check = CGROUP_CHECK_ANY;
			s->v2 = true;
		}
		line += n + (line[n] == '\n');
	}
}

/* ---- is there such a file here at all? ---- */

/* ": --memory works there" for memory.max; "" where no option has the file. */
static const char *option_instead(const char *file, char buf[64])
{
	buf[0] = '\0';
	for (enum cgroup_resource i = 0; i < CGROUP_RESOURCE_COUNT; i++) {
		const struct cgroup_resource_row *row = cgroup_resource_row(i);

		if (row->option && row->v1_file && row->v2_file && streq(row->v2_file, file)) {
			snprintf(buf, 64, ": --%s works there", row->option);
			break;
		}
	}
	return buf;
}

static int check_unified(const struct writer *w, const struct cgroup_value *v, const char *label)
{
	enum cgroup_ctl c;
	char option[64];
	const int r = cgroup_unified_controller(v->text, &c, w->err);

	if (r < 0)
		return r;
	if (!w->host->v2_mount[0])
		return err_set(w->err, ERR_REFUSED, ERR_ID_V2_ONLY, EOPNOTSUPP, "%s: no cgroup2 is mounted here",
			       label);
	if (c == CGROUP_CONTROLLER_COUNT || w->host->v2_controller[c])
		return 0;
	if (cgroup_on_v1(w->host, c))
		return err_set(w->err, ERR_REFUSED, ERR_ID_V2_ONLY, EOPNOTSUPP,
			       "%s: the %s controller is in the v1 hierarchy %s, so no v2 group has this file%s", label,
			       cgroup_controller_name(c), w->host->v1_mount[c], option_instead(v->text, option));
	return cgroup_missing_controller(w->host, c, label, w->err);
}

static int check_place(const struct writer *w, const struct cgroup_value *v)
{
	const struct cgroup_resource_row *row = cgroup_resource_row(v->resource);
	const enum cgroup_ctl c = row->controller;
	char label[96];

	cgroup_resource_label(v, label, sizeof(label));
	if (v->resource == CGROUP_UNIFIED)
		return check_unified(w, v, label);
	if (cgroup_on_v1(w->host, c) ? !row->v1_file : !row->v2_file)
		return err_set(w->err, ERR_REFUSED, row->v1_file ? ERR_ID_V1_ONLY : ERR_ID_NONE, EOPNOTSUPP, "%s: %s",
			       label, row->v2_remedy);
	if (cgroup_on_v1(w->host, c) || w->host->v2_controller[c])
		return 0;
	return cgroup_missing_controller(w->host, c, label, w->err);
}

int cgroup_settings(const struct cgroup_host *host, const struct cgroup_resources *resources,
		    struct cgroup_setting *ret, size_t *ret_n, struct err *err)
{
	struct writer w = { .host = host, .resources = resources, .list = ret, .err = err };

	int r = cgroup_resources_check(resources, err);

	for (size_t i = 0; r == 0 && i < resources->n; i++)
		r = check_place(&w, &resources->values[i]);
	if (r < 0)
		return r;
	put_memory(&w);
	put_cpu(&w);
	put_cpuset(&w);
	plain(&w, CGROUP_PIDS_LIMIT, 1);
	for (size_t i = 0; i < resources->n; i++)
		put_by_name(&w, &resources->values[i]);
	/* After all of what they may contradict. */
	for (size_t i = 0; i < resources->n; i++)
		if (resources->values[i].resource == CGROUP_UNIFIED)
			put_unified(&w, &resources->values[i]);
	if (w.error)
		return w.error;
	*ret_n = w.n;
	return 0;
}
