/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/launch/oom_watch.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NEAR_MS 5000 /* from the limit to the kill: reclaim comes first */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A read through this descriptor, after which it is quiet until the next event. */
static bool is_there(const struct oom_watch *watch)
{
	char text[512];

	return watch->fd >= 0 && pread(watch->fd, text, sizeof(text), 0) > 0;
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
	watch->path = path;
	snprintf(watch->around, sizeof(watch->around), "%.*s", (int)(last - path), path);
	watch->kills_around = cgroup_oom_kills(host, watch->around);
	is_there(watch);
}

bool oom_watch_look(struct oom_watch *watch)
{
	const uint64_t around = cgroup_oom_kills(watch->host, watch->around);
	const uint64_t kills = cgroup_oom_kills(watch->host, watch->path);

	watch->looked = now_ms();
	if (!is_there(watch))
		return false;
	watch->kills = kills;
	watch->kills_around = around;
	return true;
}

uint64_t oom_watch_kills(struct oom_watch *watch, bool killed)
{
	uint64_t kills;

	if (!watch->host)
		return 0;
	kills = cgroup_oom_kills(watch->host, watch->path);
	if (is_there(watch))
		return kills;
	if (killed && watch->looked && now_ms() - watch->looked < NEAR_MS &&
	    cgroup_oom_kills(watch->host, watch->around) > watch->kills_around)
		return watch->kills + 1;
	return watch->kills;
}

void oom_watch_close(struct oom_watch *watch)
{
	closep(&watch->fd);
	*watch = OOM_WATCH_NONE;
}
