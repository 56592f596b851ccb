/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/container_judge.h>

#include <nsrun/base/file.h>
#include <nsrun/base/procstat.h>
#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

/* ---- the lock ---- */

/*
 * A shared lock that is let go at once: held by its owner, the probe fails and changes nothing. It succeeds for a moment on a
 * dead one only, and on one that is just being made, between open and flock: that launch takes another id then. A second reader
 * is not in the way. Without a lock there is the record of a container that has ended and is kept, or one that is being removed.
 */
int container_look_at_lock(int dirfd, struct container_lock *ret, struct err *err)
{
	_cleanup_close_ int fd = openat(dirfd, "lock", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct container_lock look = { .known = STATE_INIT_LOST };
	struct stat st;

	if (fd < 0 && errno == ENOENT) {
		*ret = look;
		return 0;
	}
	if (fd < 0)
		return err_system(err, "lock of the container");
	if (flock(fd, LOCK_SH | LOCK_NB) == 0)
		flock(fd, LOCK_UN);
	else if (errno == EWOULDBLOCK)
		look.held = true;
	else
		return err_system(err, "lock of the container");
	if (fstat(fd, &st) < 0)
		return err_system(err, "lock of the container");
	if (!S_ISREG(st.st_mode))
		return err_input(err, "lock of the container: no regular file");
	look.known = state_read_init(fd, &look.init);
	*ret = look;
	return 0;
}

bool container_owner_lives(const struct container *container)
{
	_cleanup_close_ int dir = open(container->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct container_lock look;
	int r;

	if (dir < 0)
		return errno != ENOENT;
	r = container_look_at_lock(dir, &look, NULL);
	return r < 0 || look.held;
}

/* ---- its processes ---- */

static void take_process(const json_t *process, pid_t *ret_pid, uint64_t *ret_start)
{
	if (!json_is_object(process))
		return;
	*ret_pid = (pid_t)json_integer_value(json_object_get(process, "pid"));
	*ret_start = (uint64_t)json_integer_value(json_object_get(process, "start"));
}

static bool is_process_now(pid_t pid, uint64_t start, struct procstat *ret)
{
	return pid > 0 && procstat_read(pid, ret, NULL) == 0 && ret->start == start;
}

/* A record of version 1 names init only where there is no control group: it is the owner's child. */
static void find_init_child(struct container *c)
{
	_cleanup_free_ char *text = NULL;
	char path[64];
	pid_t found = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)c->owner, (int)c->owner);
	if (file_read_virtual_at(AT_FDCWD, path, 65536, &text, NULL, NULL) < 0)
		return;
	for (char *word, *rest = text; !found && (word = strsep(&rest, " \n"));) {
		uint32_t pid;

		if (parse_u32(word, &pid) == 0 && pid <= INT_MAX && procstat_is_namespace_init((pid_t)pid))
			found = (pid_t)pid;
	}
	struct procstat stat;

	if (found && procstat_read(found, &stat, NULL) == 0 && stat.ppid == c->owner) {
		c->init = found;
		c->init_start = stat.start;
	}
}

/* Under --init PID 1 never executes anything: it names itself once the container's tree is complete (row workload.fork). */
static bool executes(const struct procstat *init)
{
	return !init->forked_only || streq(init->comm, "nsrun-init");
}

/* The lock tells of an init that is not known yet, and nothing else: who looks takes it for a moment, too. */
void container_judge_bundle(struct container *c, const struct container_lock *look)
{
	struct procstat stat;

	const bool known = look->init.pid > 0 && !state_before_boot(c->state);
	if (known && is_process_now(look->init.pid, look->init.start, &stat) && stat.state != 'Z' &&
	    stat.state != 'X') {
		c->init = look->init.pid;
		c->init_start = look->init.start;
		c->status = executes(&stat)	 ? CONTAINER_RUNNING
			    : look->init.created ? CONTAINER_CREATED
						 : CONTAINER_STARTING;
		return;
	}
	c->status = !known && look->held ? CONTAINER_STARTING : CONTAINER_STOPPED;
	c->init_lost = look->known == STATE_INIT_LOST;
}

void container_judge(struct container *c, const struct container_lock *look)
{
	struct procstat stat;
	uint64_t owner_start = 0;
	bool known;

	take_process(json_object_get(c->state, "owner"), &c->owner, &owner_start);
	if (container_is_bundle(c)) {
		container_judge_bundle(c, look);
		return;
	}
	if (json_is_object(json_object_get(c->state, "exit"))) {
		c->status = CONTAINER_ENDED;
		return;
	}
	if (!look->held || state_before_boot(c->state)) {
		c->status = CONTAINER_DEAD;
		return;
	}
	take_process(json_object_get(c->state, "init"), &c->init, &c->init_start);
	if (look->init.pid > 0) {
		c->init = look->init.pid;
		c->init_start = look->init.start;
	}
	if (c->init == 0 && json_integer_value(json_object_get(c->state, "version")) == 1 &&
	    is_process_now(c->owner, owner_start, &stat))
		find_init_child(c);
	known = c->init > 0;
	if (known && is_process_now(c->init, c->init_start, &stat) && stat.state != 'Z' && stat.state != 'X') {
		c->status = executes(&stat) ? CONTAINER_RUNNING : CONTAINER_STARTING;
		return;
	}
	c->init = 0;
	c->init_start = 0;
	c->status = known ? CONTAINER_RUNNING : CONTAINER_STARTING;
}
