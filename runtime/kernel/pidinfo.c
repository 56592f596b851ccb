/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/pidinfo.h>

#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

/* include/uapi/linux/pidfd.h of 6.15: later than the headers that this is built with. */
struct pidinfo {
	uint64_t mask, cgroupid;
	uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
	int32_t exit_code;
};
_Static_assert(sizeof(struct pidinfo) == 64, "PIDFD_INFO_SIZE_VER0");
#define PIDINFO_GET _IOWR(0xFF, 11, struct pidinfo)
#define PIDINFO_EXIT (UINT64_C(1) << 3)

int pidinfo_exit_status(const struct pidref *process, int *ret_status)
{
	struct pidinfo info = { .mask = PIDINFO_EXIT };

	if (ioctl(process->fd, PIDINFO_GET, &info) < 0)
		/* Before 6.15 a reaped one is ESRCH, and the bit is none that is known. */
		return errno == ESRCH || errno == EINVAL ? -ENOTTY : -errno;
	if (!(info.mask & PIDINFO_EXIT))
		return -EAGAIN;
	*ret_status = WIFSIGNALED(info.exit_code) ? 128 + WTERMSIG(info.exit_code) : WEXITSTATUS(info.exit_code);
	return 0;
}
