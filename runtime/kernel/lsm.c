/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/lsm.h>

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

/* linux/lsm.h, since 6.8. */
#ifndef SYS_lsm_set_self_attr
#define SYS_lsm_set_self_attr 460
#define SYS_lsm_list_modules 461
#endif
#define ATTR_EXEC 101
#define LABEL_MAX 4096 /* a page is the most that the kernel takes */
#define LISTED_MAX 32

struct attribute {
	uint64_t id, flags, len, value_len;
	char value[LABEL_MAX];
};

static const struct {
	uint64_t id;
	const char *file; /* of this thread's directory in procfs */
	const char *verb; /* before the label, in either */
} lsms[] = {
	[LSM_APPARMOR] = { 104, "thread-self/attr/apparmor/exec", "exec " },
	[LSM_SELINUX] = { 101, "thread-self/attr/exec", "" },
};

static bool parameter_is_yes(const char *path)
{
	char c = 0;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd >= 0 && read(fd, &c, 1) == 1 && c == 'Y';
}

bool lsm_enabled(enum lsm lsm)
{
	uint64_t ids[LISTED_MAX];
	uint32_t size = sizeof(ids);
	struct statfs fs;
	const long n = syscall(SYS_lsm_list_modules, ids, &size, 0);

	for (long i = 0; i < n; i++)
		if (ids[i] == lsms[lsm].id)
			return true;
	if (n >= 0)
		return false;
	if (lsm == LSM_APPARMOR)
		return parameter_is_yes("/sys/module/apparmor/parameters/enabled");
	return statfs("/sys/fs/selinux", &fs) == 0 && fs.f_type == SELINUX_MAGIC;
}

int procfs_open(int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = open("/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct statfs fs;
	struct stat st;

	if (fd < 0 || fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
		return err_system(err, "/proc of the host");
	if (fs.f_type != PROC_SUPER_MAGIC || st.st_ino != 1)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, EXDEV, "/proc of the host is not the root of a procfs");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

pid_t procfs_self(int proc_fd)
{
	char text[32] = "";
	const ssize_t n = readlinkat(proc_fd, "self", text, sizeof(text) - 1);

	return n > 0 ? (pid_t)strtol(text, NULL, 10) : 0;
}

/* What the kernel's answers mean, by either way. */
static int refuse(enum lsm lsm, const char *label, const char *said, struct err *err)
{
	enum err_id id = ERR_ID_LSM_DENIED;

	if (errno == ENOENT && lsm == LSM_APPARMOR)
		id = ERR_ID_APPARMOR_PROFILE;
	else if (errno == EINVAL && lsm == LSM_SELINUX)
		id = ERR_ID_SELINUX_CONTEXT;
	return err_system_id(err, id, "%s: %s", said, label);
}

static int write_attribute(enum lsm lsm, const char *text, int proc_fd)
{
	/* What is mounted over a file of procfs, or another file system in its place, is not entered; thread-self is an ordinary link. */
	struct open_how how = {
		.flags = O_WRONLY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS,
	};
	const size_t size = strlen(text);
	_cleanup_close_ int fd = (int)syscall(SYS_openat2, proc_fd, lsms[lsm].file, &how, sizeof(how));

	if (fd < 0)
		return -1;
	const ssize_t n = write(fd, text, size);
	if (n >= 0 && (size_t)n != size)
		errno = EIO;
	return n == (ssize_t)size ? 0 : -1;
}

int lsm_label_exec(enum lsm lsm, const char *label, int proc_fd, const char *said, struct err *err)
{
	struct attribute attribute = { .id = lsms[lsm].id };
	const int n = snprintf(attribute.value, sizeof(attribute.value), "%s%s", lsms[lsm].verb, label);

	if (n < 0 || (size_t)n >= sizeof(attribute.value) - offsetof(struct attribute, value))
		return err_input(err, "%s: a label has fewer than %d bytes", said, LABEL_MAX - 64);
	attribute.value_len = (uint64_t)n + 1;
	attribute.len = offsetof(struct attribute, value) + attribute.value_len;
	if (syscall(SYS_lsm_set_self_attr, ATTR_EXEC, &attribute, (uint32_t)attribute.len, 0) == 0)
		return 0;
	/* EPERM: a filter around nsrun that does not know the call; the file tells whether it is that. */
	if (errno != ENOSYS && errno != EPERM)
		return refuse(lsm, label, said, err);
	return write_attribute(lsm, attribute.value, proc_fd) == 0 ? 0 : refuse(lsm, label, said, err);
}
