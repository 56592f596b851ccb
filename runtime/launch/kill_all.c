/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/launch/kill_all.h>

#include <nsrun/base/arena.h>
#include <nsrun/base/file.h>
#include <nsrun/kernel/cgroup_freezer.h>
#include <nsrun/kernel/cgroup_use.h>
#include <nsrun/plan/container_group.h>
#include <nsrun/plan/container_show.h>

#include <signal.h>
#include <string.h>

#define PIDS_MAX 4194304 /* proc(5), pid_max */
#define FREEZE_MS 2000
#define WALKS_MAX 50

static bool among(const pid_t *pids, size_t n, pid_t pid)
{
	for (size_t i = 0; i < n; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

/* The number of a process that has ended may be another's by now: the pidfd is opened first, and the group looked at again after. */
static void send_to(const struct cgroup_host *host, const char *path, const pid_t *pids, size_t n, int signal)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_(pidref_close) struct pidref process = PIDREF_NONE;
		_cleanup_free_ pid_t *now = NULL;
		size_t n_now = 0;

		if (pids[i] > 1 && pidref_open(pids[i], &process, NULL) == 0 &&
		    cgroup_list_pids(host, path, PIDS_MAX, &now, &n_now, NULL) == 0 && among(now, n_now, pids[i]))
			(void)pidref_kill(&process, signal, NULL);
	}
}

/* Each process once, new ones in the next walk. */
static int walk(const struct cgroup_host *host, const char *path, int signal, struct err *err)
{
	_cleanup_free_ pid_t *known = NULL;
	size_t n_known = 0;

	for (int i = 0; i < WALKS_MAX; i++) {
		_cleanup_free_ pid_t *pids = NULL, *fresh = NULL;
		size_t n = 0, n_fresh = 0;

		const int r = cgroup_list_pids(host, path, PIDS_MAX, &pids, &n, err);
		if (r < 0)
			return r == -ENOENT ? 0 : r;
		fresh = calloc(n + 1, sizeof(*fresh));
		if (!fresh)
			return err_oom(err);
		for (size_t k = 0; k < n; k++)
			if (!among(known, n_known, pids[k]))
				fresh[n_fresh++] = pids[k];
		if (n_fresh == 0)
			return 0;
		send_to(host, path, fresh, n_fresh, signal);
		free(known);
		known = TAKE_PTR(pids);
		n_known = n;
	}
	return 0;
}

static int send_v2(const struct container *c, const struct cgroup_host *host, const char *path, int signal,
		   struct err *err)
{
	enum cgroup_freezer state = CGROUP_THAWED;
	_cleanup_close_ int group = FD_NONE;

	int r = cgroup_open_v2(host, path, &group, NULL);
	if (r == -ENOENT)
		return 0; /* nothing is left of it */
	if (r < 0) {
		errno = -r;
		return err_system(err, "%s: its control group %s", container_label(c), path);
	}
	if (signal == SIGKILL)
		return file_write_at(group, "cgroup.kill", "1", err);
	r = cgroup_freezer_state(group, &state, err);
	/* One that cannot be frozen (it sleeps in the kernel) makes no process meanwhile either. */
	const bool frozen = r == 0 && state == CGROUP_THAWED &&
			    cgroup_pause(group, container_label(c), FREEZE_MS, FD_NONE, NULL) == 0;
	if (r == 0)
		r = walk(host, path, signal, err);
	if (frozen) {
		const int resumed = cgroup_resume(group, container_label(c), FREEZE_MS, r == 0 ? err : NULL);

		r = r == 0 ? resumed : r;
	}
	return r;
}

int container_kill_all(const struct container *container, int signal, struct err *err)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	_cleanup_(pidref_close) struct pidref init = PIDREF_NONE;
	struct cgroup_host host;
	const char *path;

	if (!arena)
		return err_oom(err);
	if (!container_cgroup(container)) {
		if (container_open_init(container, &init, NULL) < 0)
			return 0;
		return pidref_kill(&init, signal, err);
	}
	const int r = container_group(container, arena, &host, &path, err);
	if (r < 0)
		return r;
	const int sent = *host.v2_mount ? send_v2(container, &host, path, signal, err) : walk(&host, path, signal, err);
	if (sent == 0 && signal == SIGKILL)
		container_thaw(container);
	return sent;
}
