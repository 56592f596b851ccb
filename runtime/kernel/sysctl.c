/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/sysctl.h>

#include <nsrun/base/file.h>

#include <ctype.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#define READ_MAX ((size_t)64 << 10)

/* The next word, or NULL; its length. */
static const char *next_word(const char **at, size_t *ret_length)
{
	while (isspace((unsigned char)**at))
		(*at)++;
	if (!**at)
		return NULL;
	const char *word = *at;
	while (**at && !isspace((unsigned char)**at))
		(*at)++;
	*ret_length = (size_t)(*at - word);
	return word;
}

static bool number_of(const char *word, size_t length, long long *ret)
{
	char text[32], *end;

	if (length >= sizeof(text))
		return false;
	memcpy(text, word, length);
	text[length] = '\0';
	errno = 0;
	*ret = strtoll(text, &end, 0);
	return errno == 0 && end != text && *end == '\0';
}

bool sysctl_same(const char *a, const char *b)
{
	for (;;) {
		size_t n = 0, m = 0;
		const char *x = next_word(&a, &n), *y = next_word(&b, &m);
		long long left, right;

		if (!x || !y)
			return !x && !y;
		if (n == m && memcmp(x, y, n) == 0)
			continue;
		if (!number_of(x, n, &left) || !number_of(y, m, &right) || left != right)
			return false;
	}
}

static int open_parameter(int proc_fd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)flags | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS,
	};
	char name[512];

	if (snprintf(name, sizeof(name), "sys/%s", path) >= (int)sizeof(name)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return (int)syscall(SYS_openat2, proc_fd, name, &how, sizeof(how));
}

static bool is_procfs(int fd)
{
	struct statfs fs;
	struct stat st;

	return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC && fstat(fd, &st) == 0 && st.st_ino == 1;
}

int sysctl_write(int proc_fd, const char *path, const char *value, struct err *err)
{
	_cleanup_free_ char *kept = NULL;
	size_t size = 0;

	if (!is_procfs(proc_fd))
		return err_bug(err, "/proc/sys/%s: not a procfs", path);
	_cleanup_close_ int fd = open_parameter(proc_fd, path, O_WRONLY);
	if (fd < 0)
		return err_system_id(err, ERR_ID_SYSCTL_REFUSED, "/proc/sys/%s", path);
	const ssize_t n = write(fd, value, strlen(value));
	if (n < 0)
		return err_system_id(err, errno == EACCES || errno == EPERM ? ERR_ID_SYSCTL_REFUSED : ERR_ID_NONE,
				     "/proc/sys/%s: writing '%s'", path, value);
	if ((size_t)n != strlen(value))
		return err_set(err, ERR_SYSTEM, ERR_ID_SYSCTL_NOT_KEPT, EIO,
			       "/proc/sys/%s: only %zd bytes of '%s' taken", path, n, value);

	_cleanup_close_ int read_fd = open_parameter(proc_fd, path, O_RDONLY);
	if (read_fd < 0 && errno == EACCES)
		return 0; /* one that only acts, such as net/ipv4/route/flush */
	if (read_fd < 0)
		return err_system(err, "/proc/sys/%s: reading it back", path);
	const int r = file_read_fd(read_fd, path, 255, READ_MAX, &kept, &size, err);
	if (r < 0)
		return r;
	if (!sysctl_same(kept, value)) {
		kept[strcspn(kept, "\n")] = '\0';
		return err_set(err, ERR_SYSTEM, ERR_ID_SYSCTL_NOT_KEPT, 0,
			       "/proc/sys/%s: '%s' was written, and it is '%s'", path, value, kept);
	}
	return 0;
}
