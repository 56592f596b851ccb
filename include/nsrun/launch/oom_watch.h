/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OOM kills of a container whose group somebody else removes. systemd does so when the last process has ended, and with it the count is gone. So it is
 * read the moment init has ended, which is nearly always sooner; and for when it is not, the file is watched while the container lives: the kernel
 * notifies when the group runs into its limit (cgroups(7)), yet at most every 10 ms (cgroup_file_notify()), so that a kill may never be seen. It
 * counts "oom" before it chooses a victim. Where this was seen, and no kill for it, the count of the group around, which includes this one's and
 * stays, tells whether one followed. A limit that was met without "oom" says nothing: pages are reclaimed there, and a sibling may be the one that was killed.
 */
#ifndef NSRUN_LAUNCH_OOM_WATCH_H
#define NSRUN_LAUNCH_OOM_WATCH_H

#include <nsrun/kernel/cgroup.h>

struct oom_watch {
	const struct cgroup_host *host; /* NULL: nothing is watched */
	char around[CGROUP_PATH_MAX];
	int fd;	    /* POLLPRI: look */
	bool ended; /* the counts are of after init's end */
	uint64_t ooms, kills, kills_around;
	int64_t awaited_since; /* an "oom" that no kill is counted for, CLOCK_MONOTONIC in ms; 0: none */
};
#define OOM_WATCH_NONE ((struct oom_watch){ .fd = FD_NONE })

/* Of a group whose memory is limited. Where the files are not there nothing is watched. */
void oom_watch_open(struct oom_watch *watch, const struct cgroup_host *host, const char *path);
/* The file was notified. false: it is gone, and is not to be waited for any more. */
bool oom_watch_look(struct oom_watch *watch);
/* Init has ended: to be called before anything else is done about it. */
void oom_watch_end(struct oom_watch *watch);
/* Kills in the group until now, or, where it is gone, those that were seen; and one more where the container was ended by SIGKILL after an "oom" of its
 * own, and a kill was counted around it since. */
uint64_t oom_watch_kills(struct oom_watch *watch, bool killed);
void oom_watch_close(struct oom_watch *watch);

#endif
