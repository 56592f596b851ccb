/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/launch/notify.h>

#include <nsrun/kernel/notify.h>
#include <nsrun/launch/steps.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

static int open_dir(const char *state_dir, int *ret_fd, struct err *err)
{
	_cleanup_close_ int dir = open(state_dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir < 0)
		return err_system(err, "%s", state_dir);
	const int fd = openat(dir, NOTIFY_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		return err_system(err, "%s/" NOTIFY_DIR, state_dir);
	*ret_fd = fd < 0 ? FD_NONE : fd;
	return 0;
}

/* ---- the launch ---- */

static int make_dir(const char *state_dir, struct err *err)
{
	_cleanup_close_ int dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	/* Whatever the umask: it is the workload's user who must find the socket. */
	if (dir < 0 || mkdirat(dir, NOTIFY_DIR, 0755) < 0 || fchmodat(dir, NOTIFY_DIR, 0755, 0) < 0)
		return err_system(err, "%s/" NOTIFY_DIR, state_dir);
	return 0;
}

int runtime_notify_listen(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;
	_cleanup_close_ int dir = FD_NONE;

	int r = notify_check(plan->bundle->notify, err);
	if (r == 0)
		r = make_dir(plan->state_dir, err);
	if (r < 0 || plan->bundle->gated)
		return r;
	r = open_dir(plan->state_dir, &dir, err);
	return r < 0 ? r : notify_bind(dir, &launch->notify, err);
}

int runtime_notify_close(struct launch *launch, struct err *err)
{
	(void)err; /* the files go with the state directory */
	closep(&launch->notify);
	launch->notify = FD_NONE;
	return 0;
}

/* ---- start ---- */

void notify_done(struct notify *notify)
{
	closep(&notify->dir);
	closep(&notify->socket);
}

int container_notify_listen(const struct container *container, const char *address, struct notify *ret, struct err *err)
{
	_cleanup_(notify_done) struct notify notify = NOTIFY_NONE;

	notify.address = address;
	int r = open_dir(container->dir, &notify.dir, err);
	if (r < 0 || notify.dir < 0)
		return r;
	if (flock(notify.dir, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? 0 : err_system(err, "%s/" NOTIFY_DIR ": lock", container->dir);
	r = notify_check(address, err);
	if (r == 0)
		r = notify_bind(notify.dir, &notify.socket, err);
	if (r < 0)
		return r;
	*ret = notify;
	notify = NOTIFY_NONE;
	return 0;
}

int container_notify_wait(const struct container *container, const struct notify *notify, struct err *err)
{
	struct pidref init = PIDREF_NONE;

	/* It has ended. */
	if (notify->socket < 0 || container_open_init(container, &init, NULL) < 0)
		return 0;
	const int r = notify_wait(notify->socket, notify->address, &init, FD_NONE, err);
	pidref_close(&init);
	return r;
}
