/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/base/procstat.h>

#include <nsrun/base/file.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define PF_FORKNOEXEC 0x40 /* include/linux/sched.h: the same in all kernels since 2.6; cleared by begin_new_exec() */

bool procstat_parse(const char *text, struct procstat *ret)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	struct procstat stat = { 0 };
	unsigned long long utime, stime, start;
	unsigned flags;
	long long rss;
	size_t len;

	/* Field 2 is the name in parentheses, which may itself hold spaces and parentheses: count from the last one. */
	if (!open || !close || close < open || sscanf(text, "%d", &stat.pid) != 1)
		return false;
	if (sscanf(close + 1,
		   " %c %d %*d %*d %*d %*d %u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d %llu %*u %lld",
		   &stat.state, &stat.ppid, &flags, &utime, &stime, &start, &rss) != 7)
		return false;
	len = (size_t)(close - open - 1);
	if (len >= sizeof(stat.comm))
		len = sizeof(stat.comm) - 1;
	memcpy(stat.comm, open + 1, len);
	stat.forked_only = flags & PF_FORKNOEXEC;
	stat.utime = utime;
	stat.stime = stime;
	stat.start = start;
	stat.rss_pages = rss > 0 ? (uint64_t)rss : 0;
	*ret = stat;
	return true;
}

int procstat_read(pid_t pid, struct procstat *ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	r = file_read_virtual_at(AT_FDCWD, path, 8192, &text, NULL, err);
	if (r == -ESRCH) /* it ended between open and read */
		r = -ENOENT;
	if (r < 0)
		return r;
	return procstat_parse(text, ret) ? 0 : err_input(err, "%s: not as proc_pid_stat(5) has it", path);
}

bool procstat_is_namespace_init(pid_t pid)
{
	static const char key[] = "\nNSpid:\t";
	_cleanup_free_ char *text = NULL;
	char path[40];
	const char *line;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (file_read_virtual_at(AT_FDCWD, path, 65536, &text, NULL, NULL) < 0)
		return false;
	line = strstr(text, key);
	if (!line)
		return false;
	line += sizeof(key) - 1;
	const size_t len = strcspn(line, "\n");
	/* Of more than one number the last: that of the innermost namespace. */
	return len > 2 && memcmp(line + len - 2, "\t1", 2) == 0;
}
