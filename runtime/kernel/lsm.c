/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/lsm.h>

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

/* linux/lsm.h, since 6.8. */
#ifndef SYS_lsm_set_self_attr
#define SYS_lsm_get_self_attr 459
#define SYS_lsm_set_self_attr 460
#define SYS_lsm_list_modules 461
#endif
#define ATTR_CURRENT 100
#define ATTR_EXEC 101
#define ATTR_KEYCREATE 103
#define FLAG_SINGLE 1
#define LABEL_MAX 4096 /* a page is the most that the kernel takes */
#define LISTED_MAX 32

struct attribute {
	uint64_t id, flags, len, value_len;
	char value[LABEL_MAX];
};

static const struct {
	uint64_t id;
	const char *files; /* of this thread's directory in procfs */
	const char *verb;  /* before the label, in either */
} lsms[] = {
	[LSM_APPARMOR] = { 104, "thread-self/attr/apparmor/", "exec " },
	[LSM_SELINUX] = { 101, "thread-self/attr/", "" },
};

static bool parameter_is_yes(const char *path)
{
	char c = 0;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd >= 0 && read(fd, &c, 1) == 1 && c == 'Y';
}

/* Until a policy is loaded the kernel takes every label for the first of its own, which is "kernel", and says nothing. */
static bool selinux_decides(bool listed)
{
	struct attribute own = { .id = lsms[LSM_SELINUX].id };
	uint32_t size = sizeof(own);
	struct statfs fs;

	/* Not by the file where there is a call: another module may have it. */
	if (listed && syscall(SYS_lsm_get_self_attr, ATTR_CURRENT, &own, &size, FLAG_SINGLE) == 1)
		return memchr(own.value, ':', sizeof(own.value)) != NULL;
	if (!listed && (statfs("/sys/fs/selinux", &fs) < 0 || fs.f_type != SELINUX_MAGIC))
		return false;
	_cleanup_close_ int fd = open("/proc/thread-self/attr/current", O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd < 0 ? 0 : read(fd, own.value, sizeof(own.value));
	return n > 0 && memchr(own.value, ':', (size_t)n);
}

bool lsm_enabled(enum lsm lsm)
{
	uint64_t ids[LISTED_MAX];
	uint32_t size = sizeof(ids);
	const long n = syscall(SYS_lsm_list_modules, ids, &size, 0);

	for (long i = 0; i < n; i++)
		if (ids[i] == lsms[lsm].id)
			return lsm != LSM_SELINUX || selinux_decides(true);
	if (n >= 0)
		return false;
	if (lsm == LSM_APPARMOR)
		return parameter_is_yes("/sys/module/apparmor/parameters/enabled");
	return selinux_decides(false);
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

static int write_attribute(enum lsm lsm, const char *name, const char *text, int proc_fd)
{
	char file[64];
	/* What is mounted over a file of procfs, or another file system in its place, is not entered; thread-self is an ordinary link. */
	struct open_how how = {
		.flags = O_WRONLY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS,
	};
	const size_t size = strlen(text);
	snprintf(file, sizeof(file), "%s%s", lsms[lsm].files, name);
	_cleanup_close_ int fd = (int)syscall(SYS_openat2, proc_fd, file, &how, sizeof(how));
	if (fd < 0)
		return -1;
	const ssize_t n = write(fd, text, size);
	if (n >= 0 && (size_t)n != size)
		errno = EIO;
	return n == (ssize_t)size ? 0 : -1;
}

static int set_attribute(enum lsm lsm, unsigned number, const char *name, const char *label, int proc_fd,
			 const char *said, struct err *err)
{
	struct attribute attribute = { .id = lsms[lsm].id };
	const int n = snprintf(attribute.value, sizeof(attribute.value), "%s%s", lsms[lsm].verb, label);

	if (n < 0 || (size_t)n >= sizeof(attribute.value) - offsetof(struct attribute, value))
		return err_input(err, "%s: a label has fewer than %d bytes", said, LABEL_MAX - 64);
	/* SELinux takes the empty text and one that begins with a newline for "none" (selinux_setprocattr), and says nothing. */
	if (!*label || strchr(label, '\n')) {
		errno = EINVAL;
		return refuse(lsm, label, said, err);
	}
	attribute.value_len = (uint64_t)n + 1;
	attribute.len = offsetof(struct attribute, value) + attribute.value_len;
	if (syscall(SYS_lsm_set_self_attr, number, &attribute, (uint32_t)attribute.len, 0) == 0)
		return 0;
	/* EPERM: a filter around nsrun that does not know the call; the file tells whether it is that. */
	if (errno != ENOSYS && errno != EPERM)
		return refuse(lsm, label, said, err);
	return write_attribute(lsm, name, attribute.value, proc_fd) == 0 ? 0 : refuse(lsm, label, said, err);
}

int lsm_label_exec(enum lsm lsm, const char *label, int proc_fd, const char *said, struct err *err)
{
	return set_attribute(lsm, ATTR_EXEC, "exec", label, proc_fd, said, err);
}

int lsm_label_keys(const char *label, int proc_fd, const char *said, struct err *err)
{
	return set_attribute(LSM_SELINUX, ATTR_KEYCREATE, "keycreate", label, proc_fd, said, err);
}

int lsm_label_file(int fd, const char *label, const char *said, struct err *err)
{
	if (fsetxattr(fd, "security.selinux", label, strlen(label) + 1, 0) == 0)
		return 0;
	return refuse(LSM_SELINUX, label, said, err);
}
