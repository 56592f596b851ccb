/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/cgroup_freezer.h>

#include <nsrun/base/file.h>

#include <string.h>

#define TEXT_MAX 4096

int cgroup_freezer_state(int group_fd, enum cgroup_freezer *ret, struct err *err)
{
	_cleanup_free_ char *events = NULL, *asked = NULL;

	int r = file_read_virtual_at(group_fd, "cgroup.events", TEXT_MAX, &events, NULL, err);
	if (r == 0)
		r = file_read_virtual_at(group_fd, "cgroup.freeze", TEXT_MAX, &asked, NULL, err);
	if (r != 0 || !events || !asked)
		return r;
	const bool frozen = strstr(events, "frozen 1");

	if (asked[0] == '1')
		*ret = frozen ? CGROUP_FROZEN : CGROUP_FREEZING;
	else
		*ret = frozen ? CGROUP_FROZEN_AROUND : CGROUP_THAWED;
	return 0;
}

int cgroup_pause(int group_fd, const char *what, unsigned timeout_ms, int interrupt_fd, struct err *err)
{
	int r = file_write_at(group_fd, "cgroup.freeze", "1", err);
	if (r < 0)
		return r;
	r = cgroup_wait_event(group_fd, "frozen", 1, timeout_ms, interrupt_fd);
	if (r == 0)
		return 0;
	if (r == -ETIMEDOUT)
		err_set(err, ERR_SYSTEM, ERR_ID_UNFREEZABLE, ETIMEDOUT,
			"%s: not all of its processes stopped within %u ms, and it runs on", what, timeout_ms);
	else
		err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "%s: waiting until it is frozen", what);
	/* Its failure has nothing to add: a group that cannot be written to any more is gone. */
	(void)file_write_at(group_fd, "cgroup.freeze", "0", NULL);
	return r;
}

int cgroup_resume(int group_fd, const char *what, unsigned timeout_ms, struct err *err)
{
	int r = file_write_at(group_fd, "cgroup.freeze", "0", err);
	if (r < 0)
		return r;
	r = cgroup_wait_event(group_fd, "frozen", 0, timeout_ms, FD_NONE);
	/* A signal that waited in the freezer can end it at once, and whoever supervises it removes the group. */
	if (r == -ENODEV || r == -ENOENT)
		return 0;
	if (r == -ETIMEDOUT)
		return err_set(err, ERR_SYSTEM, ERR_ID_FROZEN_AROUND, EBUSY, "%s: it is frozen with a group around it",
			       what);
	return r < 0 ? err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "%s: waiting until it runs", what) : 0;
}
