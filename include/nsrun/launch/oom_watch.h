/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OOM kills of a container whose group somebody else removes. systemd does so as soon as the last process has ended, and with it the count is gone
 * before anybody can be sure to have read it. So the file is watched: the kernel notifies when the group runs into its limit (cgroups(7)), which
 * comes before a kill, and at this moment the count of the group around is noted, too. It includes this one's, and stays.
 */
#ifndef NSRUN_LAUNCH_OOM_WATCH_H
#define NSRUN_LAUNCH_OOM_WATCH_H

#include <nsrun/kernel/cgroup.h>

struct oom_watch {
	const struct cgroup_host *host; /* NULL: nothing is watched */
	const char *path;
	char around[CGROUP_PATH_MAX];
	int fd; /* POLLPRI: look */
	uint64_t kills, kills_around;
	int64_t looked; /* when the limit was met, CLOCK_MONOTONIC in ms; 0: never */
};
#define OOM_WATCH_NONE ((struct oom_watch){ .fd = FD_NONE })

/* Of a group whose memory is limited. Where the files are not there nothing is watched. */
void oom_watch_open(struct oom_watch *watch, const struct cgroup_host *host, const char *path);
/* The file was notified. false: it is gone, and is not to be waited for any more. */
bool oom_watch_look(struct oom_watch *watch);
/* Kills in the group until now. Where it is gone already, and the container was ended by SIGKILL within seconds of its limit while a kill was
 * counted around it, that one is this container's. */
uint64_t oom_watch_kills(struct oom_watch *watch, bool killed);
void oom_watch_close(struct oom_watch *watch);

#endif
