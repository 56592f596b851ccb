/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/probe.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL /* Linux 6.3, not in glibc 2.36 */
#define MFD_NOEXEC_SEAL 8U
#endif

/* The inode of the initial user namespace in nsfs: a constant of the kernel (PROC_USER_INIT_INO, include/linux/proc_ns.h). The map
 * would not tell: a namespace may have been given the identity map too, and then has no power over the host. */
#define INITIAL_USERNS_INODE UINT32_C(0xEFFFFFFD)

bool probe_in_initial_userns(void)
{
	struct stat st;

	/* Without procfs the cautious answer: no power over the host is assumed. */
	return stat("/proc/self/ns/user", &st) == 0 && st.st_ino == INITIAL_USERNS_INODE;
}

/* The same for PID namespaces (PROC_PID_INIT_INO). */
#define INITIAL_PIDNS_INODE UINT32_C(0xEFFFFFFC)

bool probe_in_initial_pidns(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == INITIAL_PIDNS_INODE;
}

bool probe_owns_mounts(void)
{
	_cleanup_close_ int mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int owner =
		mounts < 0 ? FD_NONE : ioctl(mounts, NS_GET_USERNS); /* EPERM: a namespace around ours */
	struct stat own, st;

	return owner >= 0 && fstat(owner, &st) == 0 && stat("/proc/self/ns/user", &own) == 0 &&
	       st.st_dev == own.st_dev && st.st_ino == own.st_ino;
}

bool probe_setgroups_denied(void)
{
	_cleanup_close_ int fd = open("/proc/self/setgroups", O_RDONLY | O_CLOEXEC);
	char text[8] = "";

	return fd >= 0 && read(fd, text, 4) == 4 && streq(text, "deny");
}

/* Field 5 of mountinfo is the mount point, with space, tab, newline and backslash in octal (proc(5)): no mount point of interest
 * here changes by that, since only the prefix is compared. */
bool probe_proc_overmounted(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	if (!f)
		return true; /* no procfs to be seen: a new one will not be allowed either */
	while (getline(&line, &size, f) > 0) {
		const char *p = line;

		for (int i = 0; i < 4 && p; i++) {
			p = strchr(p, ' ');
			if (p)
				p++;
		}
		/* binfmt_misc's automount lies on a directory that procfs keeps empty for it; the kernel ignores such mounts
		 * (mnt_already_visible, is_empty_dir_inode). */
		if (p && str_after(p, "/proc/") && !str_after(p, "/proc/sys/fs/binfmt_misc "))
			return true;
	}
	return false;
}

/* -1 when there is no such switch. */
static long read_switch(const char *path)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	char *end;
	long value;

	if (file_read_virtual_at(AT_FDCWD, path, 64, &text, &size, NULL) < 0)
		return -1;
	value = strtol(text, &end, 10);
	return end == text ? -1 : value;
}

/* The root directory of a process outside of any chroot is the root of its mount namespace, whose mount then has the mount point "/"
 * in mountinfo. Inside a chroot mountinfo shows the mounts below it alone, and none at "/" unless it happens to be a mount itself. */
static bool in_chroot(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	struct stat self, init;

	if (stat("/", &self) == 0 && stat("/proc/1/root/", &init) == 0 && self.st_dev == init.st_dev &&
	    self.st_ino == init.st_ino)
		return false;
	if (!f)
		return false;
	while (getline(&line, &size, f) > 0) {
		char point[3];

		if (sscanf(line, "%*s %*s %*s %*s %2s", point) == 1 && streq(point, "/"))
			return false;
	}
	return true;
}

enum err_id probe_userns_refusal(int errnum)
{
	long value;

	if (errnum < 0)
		errnum = -errnum;
	/* ENOSPC: the limit is reached, or is 0 (user_namespaces(7)); EINVAL: the kernel has none; EUSERS: nested 32 deep. */
	if (errnum == ENOSPC)
		return ERR_ID_USERNS_DISABLED;
	if (errnum == EINVAL && access("/proc/self/ns/user", F_OK) < 0)
		return ERR_ID_USERNS_DISABLED;
	if (errnum != EPERM && errnum != EACCES)
		return ERR_ID_NONE;
	if (!(probe_effective_caps() & (UINT64_C(1) << CAP_SYS_ADMIN))) {
		value = read_switch("/proc/sys/kernel/unprivileged_userns_clone");
		if (value == 0)
			return ERR_ID_USERNS_DISABLED;
		value = read_switch("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
		if (value > 0)
			return ERR_ID_USERNS_APPARMOR;
	}
	if (read_switch("/proc/sys/user/max_user_namespaces") == 0)
		return ERR_ID_USERNS_DISABLED;
	return in_chroot() ? ERR_ID_USERNS_CHROOT : ERR_ID_NONE;
}

bool probe_filtered(void)
{
	/* SECCOMP_MODE_FILTER is 2. A filter that refuses this call too is one. */
	const int mode = prctl(PR_GET_SECCOMP, 0, 0, 0, 0);

	return mode == 2 || (mode < 0 && errno == EPERM);
}

uint64_t probe_effective_caps(void)
{
	/* libcap would allocate a set and ask for every capability in turn; glibc has no capget. */
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &header, data) < 0)
		return 0;
	return data[0].effective | (uint64_t)data[1].effective << 32;
}

bool probe_tmpfs_user_xattrs(void)
{
	/* A memfd is a file of tmpfs, for which nothing needs to be mounted. Without MFD_NOEXEC_SEAL (6.3, EINVAL before) the kernel logs
	 * a warning from 6.3 on. */
	int fd = memfd_create("nsrun", MFD_CLOEXEC | MFD_NOEXEC_SEAL);

	if (fd < 0)
		fd = memfd_create("nsrun", MFD_CLOEXEC);
	const bool has = fd >= 0 && fsetxattr(fd, "user.nsrun", "y", 1, 0) == 0;
	closep(&fd);
	return has;
}

bool probe_is_secure_exec(void)
{
	return getauxval(AT_SECURE) != 0;
}
