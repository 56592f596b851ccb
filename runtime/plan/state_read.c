/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of one container's state directory say. */
#include <nsrun/plan/state.h>

#include <nsrun/base/file.h>
#include <nsrun/base/procstat.h>
#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RECORD_MAX (8U << 20) /* the environment is in it */

int state_load(int dirfd, const char *file, const char *where, json_t **ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct err why = ERR_INIT;
	json_error_t parse;
	json_t *state;
	size_t size;

	const int r = file_read_at(dirfd, file, RECORD_MAX, &text, &size, &why);
	if (r == -ENOENT)
		return r;
	if (r < 0)
		return err_set(err, why.kind, why.id, why.errnum, "%s/%s", where, why.message);
	state = json_loadb(text, size, JSON_REJECT_DUPLICATES, &parse);
	if (!state)
		return err_set(err, ERR_INPUT, ERR_ID_RECORD_DAMAGED, EINVAL, "%s/%s: line %d: %s", where, file,
			       parse.line, parse.text);
	if (!json_is_object(state)) {
		json_decref(state);
		return err_set(err, ERR_INPUT, ERR_ID_RECORD_DAMAGED, EINVAL, "%s/%s: no object", where, file);
	}
	*ret = state;
	return 0;
}

enum state_init_known state_read_init(int lock_fd, struct state_init *ret)
{
	char text[STATE_LOCK_TEXT_MAX] = "";
	unsigned long long start;
	int pid;

	*ret = (struct state_init){ 0 };
	const ssize_t n = pread(lock_fd, text, sizeof(text) - 1, 0);
	if (n == 0)
		return STATE_INIT_NONE;
	/* Written by one write(2), which may still be under way: half a line is none. */
	if (n < 0 || text[n - 1] != '\n' || sscanf(text, "%d %llu\n", &pid, &start) != 2 || pid <= 1)
		return STATE_INIT_LOST;
	*ret = (struct state_init){ .pid = pid, .start = start, .created = strstr(text, " created\n") != NULL };
	return STATE_INIT_KNOWN;
}

void state_write_deleted(int lock_fd)
{
	static const char created[] = " created\n", deleted[] = " deleted\n";
	char text[STATE_LOCK_TEXT_MAX] = "";
	const char *word;

	if (pread(lock_fd, text, sizeof(text) - 1, 0) > 0 && (word = strstr(text, created)))
		(void)!pwrite(lock_fd, deleted, strlen(deleted), word - text);
}

bool state_before_boot(const json_t *state)
{
	const char *then = json_string_value(json_object_get(state, "boot_id"));
	char now[BOOT_ID_SIZE];

	return then && state_boot_id(now) && !streq(now, then);
}

bool state_read_map(const json_t *record, const char *key, struct idmap *ret)
{
	const json_t *extents = json_object_get(record, key), *extent;
	size_t i;

	if (json_array_size(extents) > IDMAP_EXTENTS_MAX)
		return false;
	json_array_foreach(extents, i, extent)
	{
		ret->extents[ret->n++] = (struct idmap_extent){
			.inside = (uint32_t)json_integer_value(json_array_get(extent, 0)),
			.outside = (uint32_t)json_integer_value(json_array_get(extent, 1)),
			.count = (uint32_t)json_integer_value(json_array_get(extent, 2)),
		};
	}
	return true;
}

int state_start_time(pid_t pid, uint64_t *ret, struct err *err)
{
	struct procstat stat;

	const int r = procstat_read(pid, &stat, err);
	if (r == 0)
		*ret = stat.start;
	return r;
}

bool state_boot_id(char ret[BOOT_ID_SIZE])
{
	_cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, ret, BOOT_ID_SIZE - 1) != BOOT_ID_SIZE - 1)
		return false;
	ret[BOOT_ID_SIZE - 1] = '\0';
	return true;
}
