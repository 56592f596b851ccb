/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/cgroup.h>

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

bool cgroup_may_enter_v2(const struct cgroup_host *host, const char *path)
{
	char file[2 * CGROUP_PATH_MAX + 32];
	int common = 0;

	if (!*host->v2_self)
		return true; /* not to be told from here: the clone will */
	/* The last separator up to which both are the same, the ends included. */
	for (int i = 0;; i++) {
		const bool end_a = !path[i] || path[i] == '/', end_b = !host->v2_self[i] || host->v2_self[i] == '/';

		if (end_a && end_b)
			common = i;
		if (path[i] != host->v2_self[i] || !path[i])
			break;
	}
	snprintf(file, sizeof(file), "%s%.*s/cgroup.procs", host->v2_mount, common, path);
	return faccessat(AT_FDCWD, file, W_OK, AT_EACCESS) == 0;
}
