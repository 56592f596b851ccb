/* SPDX-License-Identifier: Apache-2.0 */
/* The formats of the files of a group. */
#include <nsrun/kernel/cgroup_stats.h>

#include <nsrun/base/strings.h>

#include <stdio.h>
#include <string.h>

/* v1 writes "no limit" as the largest number of pages that fits a long. */
#define V1_NO_LIMIT (UINT64_MAX / 4)

static size_t count_lines(const char *text)
{
	size_t n = 1;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

uint64_t cgroup_counter(const struct cgroup_counters *counters, const char *key)
{
	for (size_t i = 0; i < counters->n; i++)
		if (streq(counters->list[i].key, key))
			return counters->list[i].value;
	return CGROUP_UNKNOWN;
}

int cgroup_parse_counters(struct arena *arena, char *text, struct cgroup_counters *ret)
{
	struct cgroup_counters counters = { .list = arena_array(arena, count_lines(text), sizeof(*counters.list)) };

	if (!counters.list)
		return -ENOMEM;
	for (char *line, *rest = text; (line = strsep(&rest, "\n"));) {
		struct cgroup_counter *counter = &counters.list[counters.n];
		char *value = strchr(line, ' ');

		if (!value || value == line || parse_u64(value + 1, &counter->value) < 0)
			continue;
		*value = '\0';
		counter->key = line;
		counters.n++;
	}
	*ret = counters;
	return 0;
}

uint64_t cgroup_parse_number(const char *text)
{
	char word[24];
	size_t len;
	uint64_t value;

	if (!text)
		return CGROUP_UNKNOWN;
	len = strcspn(text, " \n");
	if (len >= sizeof(word))
		return CGROUP_UNKNOWN;
	memcpy(word, text, len);
	word[len] = '\0';
	if (streq(word, "max") || streq(word, "-1"))
		return CGROUP_NO_LIMIT;
	if (parse_u64(word, &value) < 0)
		return CGROUP_UNKNOWN;
	return value > V1_NO_LIMIT ? CGROUP_NO_LIMIT : value;
}

void cgroup_parse_pressure(const char *text, struct cgroup_pressure *ret)
{
	*ret = (struct cgroup_pressure){ 0 };
	for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		struct cgroup_stall stall = { .known = true };
		unsigned long long total;
		char word[8];

		if (sscanf(line, "%7s avg10=%lf avg60=%lf avg300=%lf total=%llu", word, &stall.avg10, &stall.avg60,
			   &stall.avg300, &total) != 5)
			continue;
		stall.total_us = total;
		if (streq(word, "some"))
			ret->some = stall;
		else if (streq(word, "full"))
			ret->full = stall;
	}
}

static bool parse_device(const char *word, struct cgroup_io *ret)
{
	unsigned long major, minor;
	int n = 0;

	if (sscanf(word, "%lu:%lu%n", &major, &minor, &n) != 2 || word[n] || major > UINT32_MAX || minor > UINT32_MAX)
		return false;
	*ret = (struct cgroup_io){ (uint32_t)major, (uint32_t)minor, CGROUP_UNKNOWN, CGROUP_UNKNOWN,
				   CGROUP_UNKNOWN,  CGROUP_UNKNOWN,  CGROUP_UNKNOWN, CGROUP_UNKNOWN };
	return true;
}

/* io.stat: "8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6", and further keys of single controllers. */
int cgroup_parse_io_v2(struct arena *arena, char *text, struct cgroup_io **ret, size_t *ret_n)
{
	struct cgroup_io *list = arena_array(arena, count_lines(text), sizeof(*list));
	size_t n = 0;

	if (!list)
		return -ENOMEM;
	for (char *line, *rest = text; (line = strsep(&rest, "\n"));) {
		struct cgroup_io *io = &list[n];
		const struct {
			const char *key;
			uint64_t *value;
		} keys[] = { { "rbytes=", &io->rbytes }, { "wbytes=", &io->wbytes }, { "dbytes=", &io->dbytes },
			     { "rios=", &io->rios },	 { "wios=", &io->wios },     { "dios=", &io->dios } };
		char *word = strsep(&line, " ");

		if (!parse_device(word, io))
			continue;
		while ((word = strsep(&line, " ")))
			for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
				const char *value = str_after(word, keys[i].key);

				if (value)
					(void)parse_u64(value, keys[i].value);
			}
		n++;
	}
	*ret = list;
	*ret_n = n;
	return 0;
}

static struct cgroup_io *find_device(struct cgroup_io *list, size_t *n, const struct cgroup_io *wanted)
{
	for (size_t i = 0; i < *n; i++)
		if (list[i].major == wanted->major && list[i].minor == wanted->minor)
			return &list[i];
	list[*n] = *wanted;
	return &list[(*n)++];
}

/* blkio.throttle.io_service_bytes and io_serviced: "8:16 Read 1", a line for each kind, and "Total 1". */
int cgroup_parse_io_v1(struct arena *arena, char *bytes, char *serviced, struct cgroup_io **ret, size_t *ret_n)
{
	struct cgroup_io *list =
		arena_array(arena, count_lines(bytes) + count_lines(serviced ? serviced : ""), sizeof(*list));
	char *const texts[] = { bytes, serviced };
	size_t n = 0;

	if (!list)
		return -ENOMEM;
	for (size_t t = 0; t < ARRAY_LEN(texts); t++)
		for (char *line, *rest = texts[t]; rest && (line = strsep(&rest, "\n"));) {
			const char *device = strsep(&line, " "), *kind = strsep(&line, " ");
			struct cgroup_io named, *io;
			uint64_t value;

			if (!kind || !line || !parse_device(device, &named) || parse_u64(line, &value) < 0)
				continue;
			io = find_device(list, &n, &named);
			if (streq(kind, "Read"))
				*(t == 0 ? &io->rbytes : &io->rios) = value;
			else if (streq(kind, "Write"))
				*(t == 0 ? &io->wbytes : &io->wios) = value;
			else if (streq(kind, "Discard"))
				*(t == 0 ? &io->dbytes : &io->dios) = value;
		}
	*ret = list;
	*ret_n = n;
	return 0;
}

/* "mlx4_0 hca_handle=2 hca_object=max" */
int cgroup_parse_rdma(struct arena *arena, char *current, char *max, struct cgroup_rdma **ret, size_t *ret_n)
{
	const struct cgroup_amount unknown = { CGROUP_UNKNOWN, CGROUP_UNKNOWN, CGROUP_UNKNOWN, CGROUP_UNKNOWN };
	struct cgroup_rdma *list =
		arena_array(arena, count_lines(current) + count_lines(max ? max : ""), sizeof(*list));
	char *const texts[] = { current, max };
	size_t n = 0;

	if (!list)
		return -ENOMEM;
	for (size_t t = 0; t < ARRAY_LEN(texts); t++)
		for (char *line, *rest = texts[t]; rest && (line = strsep(&rest, "\n"));) {
			const char *device = strsep(&line, " "), *handles, *objects;
			size_t i = 0;

			if (!line || !*device)
				continue;
			while (i < n && !streq(list[i].device, device))
				i++;
			if (i == n)
				list[n++] = (struct cgroup_rdma){ device, unknown, unknown };
			while ((handles = objects = strsep(&line, " "))) {
				handles = str_after(handles, "hca_handle=");
				objects = str_after(objects, "hca_object=");
				if (handles)
					*(t == 0 ? &list[i].handles.usage : &list[i].handles.limit) =
						cgroup_parse_number(handles);
				if (objects)
					*(t == 0 ? &list[i].objects.usage : &list[i].objects.limit) =
						cgroup_parse_number(objects);
			}
		}
	*ret = list;
	*ret_n = n;
	return 0;
}
