/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups below a container's that its processes gave to other ids of the container, or closed by their modes: an ordinary user who started it may
 * not remove them by its own rights, but has them in a user namespace with the container's maps, as container root had.
 */
#include <nsrun/kernel/cgroup.h>

#include <nsrun/base/pidref.h>
#include <nsrun/kernel/helper.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct inside {
	int group_fd;
	int (*work)(int group_fd, unsigned timeout_ms);
	unsigned timeout_ms;
	int ready, go;
	pid_t parent;
};

/* Nothing is called here that takes a lock or memory that another thread of the runtime may hold: there is no other. */
static _Noreturn void run_inside(const struct inside *inside)
{
	char byte = 0;
	int r;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != inside->parent || unshare(CLONE_NEWUSER) < 0)
		_exit(errno ? errno : EPERM);
	if (write(inside->ready, &byte, 1) != 1 || read(inside->go, &byte, 1) != 1)
		_exit(EPIPE);
	r = inside->work(inside->group_fd, inside->timeout_ms);
	_exit(r < 0 && -r < 256 ? -r : r < 0 ? EIO : 0);
}

static int write_maps(const struct pidref *child, const struct idmap *uids, const struct idmap *gids)
{
	int r;

	/* user_namespaces(7): one line that maps one's own id needs no helper. */
	if (uids->n == 1 && uids->extents[0].count == 1 && uids->extents[0].outside == geteuid()) {
		r = idmap_deny_setgroups(child, NULL);
		if (r == 0)
			r = idmap_write(child, "uid_map", uids, NULL);
		return r < 0 ? r : idmap_write(child, "gid_map", gids, NULL);
	}
	r = idmap_write_by_helper(child, "newuidmap", uids, NULL);
	return r < 0 ? r : idmap_write_by_helper(child, "newgidmap", gids, NULL);
}

int cgroup_work_inside(int group_fd, const struct idmap *uids, const struct idmap *gids, unsigned timeout_ms,
		       int (*work)(int group_fd, unsigned timeout_ms))
{
	_cleanup_(pidref_close) struct pidref child = PIDREF_NONE;
	int ready[2], go[2], r;
	siginfo_t info = { 0 };
	char byte = 0;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(go, O_CLOEXEC) < 0) {
		r = -errno;
		close(ready[0]);
		close(ready[1]);
		return r;
	}
	const struct inside inside = { group_fd, work, timeout_ms, ready[1], go[0], getpid() };

	pid = fork();
	if (pid == 0) {
		close(ready[0]);
		close(go[1]);
		run_inside(&inside);
	}
	r = pid < 0 ? -errno : pidref_open(pid, &child, NULL);
	close(ready[1]);
	close(go[0]);
	if (r == 0 && read(ready[0], &byte, 1) == 1) {
		r = write_maps(&child, uids, gids);
		if (r == 0 && write(go[1], &byte, 1) != 1)
			r = -EPIPE;
	}
	close(ready[0]);
	close(go[1]); /* the child ends if it still waits */
	if (pid > 0 && waitid(P_PID, (id_t)pid, &info, WEXITED) == 0 && r == 0)
		r = info.si_code == CLD_EXITED ? -info.si_status : -EIO;
	return r;
}
