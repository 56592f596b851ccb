/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/launch/oom_watch.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NEAR_MS 5000 /* from the event to the end of a victim that gives back much memory */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint64_t count_of(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

/* Through the descriptor, which is quiet then until the next event; ENODEV once the group is removed. */
static bool read_counts(const struct oom_watch *watch, uint64_t *ret_ooms, uint64_t *ret_kills)
{
	char text[512];
	const ssize_t n = watch->fd < 0 ? -1 : pread(watch->fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return false;
	text[n] = '\0';
	*ret_ooms = count_of(text, "\noom ");
	*ret_kills = count_of(text, "\noom_kill ");
	return true;
}

void oom_watch_open(struct oom_watch *watch, const struct cgroup_host *host, const char *path)
{
	char file[2 * CGROUP_PATH_MAX + 32];
	const char *last = strrchr(path, '/');

	*watch = OOM_WATCH_NONE;
	snprintf(file, sizeof(file), "%s%s/memory.events", host->v2_mount, path);
	watch->fd = open(file, O_RDONLY | O_CLOEXEC);
	if (watch->fd < 0)
		return;
	watch->host = host;
	snprintf(watch->around, sizeof(watch->around), "%.*s", (int)(last - path), path);
	oom_watch_look(watch);
}

bool oom_watch_look(struct oom_watch *watch)
{
	/* Before the group's own: a kill between the two is then in its own count, and taken from there. */
	const uint64_t around = cgroup_oom_kills(watch->host, watch->around);
	uint64_t ooms, kills;

	if (!read_counts(watch, &ooms, &kills))
		return false;
	if (kills > watch->kills)
		watch->awaited_since = 0;
	else if (ooms > watch->ooms)
		watch->awaited_since = now_ms();
	watch->ooms = ooms;
	watch->kills = kills;
	watch->kills_around = around;
	return true;
}

uint64_t oom_watch_kills(struct oom_watch *watch, bool killed)
{
	if (!watch->host || oom_watch_look(watch) || watch->ended)
		return watch->kills;
	if (killed && watch->awaited_since && now_ms() - watch->awaited_since < NEAR_MS &&
	    cgroup_oom_kills(watch->host, watch->around) > watch->kills_around)
		return watch->kills + 1;
	return watch->kills;
}

void oom_watch_end(struct oom_watch *watch)
{
	watch->ended = oom_watch_look(watch);
}

void oom_watch_close(struct oom_watch *watch)
{
	closep(&watch->fd);
	*watch = OOM_WATCH_NONE;
}
