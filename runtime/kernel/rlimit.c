/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/rlimit.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>

static const char *const names[RLIM_NLIMITS + 1] = {
	[RLIMIT_AS] = "as",	      [RLIMIT_CORE] = "core",	      [RLIMIT_CPU] = "cpu",
	[RLIMIT_DATA] = "data",	      [RLIMIT_FSIZE] = "fsize",	      [RLIMIT_LOCKS] = "locks",
	[RLIMIT_MEMLOCK] = "memlock", [RLIMIT_MSGQUEUE] = "msgqueue", [RLIMIT_NICE] = "nice",
	[RLIMIT_NOFILE] = "nofile",   [RLIMIT_NPROC] = "nproc",	      [RLIMIT_RSS] = "rss",
	[RLIMIT_RTPRIO] = "rtprio",   [RLIMIT_RTTIME] = "rttime",     [RLIMIT_SIGPENDING] = "sigpending",
	[RLIMIT_STACK] = "stack",
};

const char *rlimit_name(int resource)
{
	return resource >= 0 && resource < (int)RLIM_NLIMITS && names[resource] ? names[resource] : "unknown";
}

static int parse_value(const char *s, rlim_t *ret)
{
	uint64_t value;
	int r;

	if (streq(s, "unlimited") || streq(s, "-1")) {
		*ret = RLIM_INFINITY;
		return 0;
	}
	r = parse_u64(s, &value);
	if (r < 0)
		return r;
	*ret = value;
	return 0;
}

int rlimit_parse(const char *text, struct rlimit_setting *ret, struct err *err)
{
	const char *equals = strchr(text, '='), *colon, *near;
	struct rlimit_setting setting = { .resource = -1 };
	char name[16] = "", soft[32];
	size_t n;

	if (!equals || equals == text)
		return err_input(err, "%s: expected NAME=SOFT or NAME=SOFT:HARD, as in nofile=1024:2048", text);
	n = (size_t)(equals - text);
	if (n < sizeof(name)) {
		memcpy(name, text, n);
		name[n] = '\0';
		for (int i = 0; i < (int)RLIM_NLIMITS; i++)
			if (streq(names[i], name))
				setting.resource = i;
	}
	if (setting.resource < 0) {
		near = name[0] ? nearest_word(name, names) : NULL;
		return err_input(err, "%.*s: no such resource limit%s%s%s", (int)(n < 64 ? n : 64), text,
				 near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
	}
	colon = strchr(equals + 1, ':');
	n = colon ? (size_t)(colon - equals - 1) : strlen(equals + 1);
	if (n >= sizeof(soft))
		n = 0; /* no number is that long: refused below */
	memcpy(soft, equals + 1, n);
	soft[n] = '\0';
	if (parse_value(soft, &setting.limit.rlim_cur) < 0 ||
	    parse_value(colon ? colon + 1 : soft, &setting.limit.rlim_max) < 0)
		return err_input(err, "%s: a limit is a number below 2^64, or unlimited", text);
	if (setting.limit.rlim_cur > setting.limit.rlim_max)
		return err_input(err, "%s: the soft limit is above the hard one", text);
	*ret = setting;
	return 0;
}

/* CAP_SYS_RESOURCE among the effective capabilities. The kernel asks for it in the initial user namespace: inside another one it is held
 * and worth nothing there, which prlimit(2) then says. */
static bool may_raise(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };

	if (syscall(SYS_capget, &header, data) < 0)
		return false;
	return data[CAP_TO_INDEX(CAP_SYS_RESOURCE)].effective & CAP_TO_MASK(CAP_SYS_RESOURCE);
}

static int above_hard(const struct rlimit_setting *setting, const struct rlimit *now, struct err *err)
{
	if (now->rlim_max == RLIM_INFINITY || setting->limit.rlim_max <= now->rlim_max)
		return 0;
	if (setting->limit.rlim_max == RLIM_INFINITY)
		return err_set(err, ERR_SYSTEM, ERR_ID_LIMIT_ABOVE_HARD, EPERM,
			       "%s=unlimited: the hard limit here is %" PRIu64, rlimit_name(setting->resource),
			       (uint64_t)now->rlim_max);
	return err_set(err, ERR_SYSTEM, ERR_ID_LIMIT_ABOVE_HARD, EPERM,
		       "%s=%" PRIu64 ": the hard limit here is %" PRIu64, rlimit_name(setting->resource),
		       (uint64_t)setting->limit.rlim_max, (uint64_t)now->rlim_max);
}

int rlimit_check(const struct rlimit_setting *setting, struct err *err)
{
	struct rlimit now;

	if (getrlimit((__rlimit_resource_t)setting->resource, &now) < 0)
		return err_system(err, "%s: resource limit", rlimit_name(setting->resource));
	return may_raise() ? 0 : above_hard(setting, &now, err);
}

int rlimit_apply(const struct pidref *child, const struct rlimit_setting *setting, struct err *err)
{
	struct rlimit now;

	if (prlimit(child->pid, (__rlimit_resource_t)setting->resource, &setting->limit, NULL) == 0)
		return 0;
	if (errno == EPERM && prlimit(child->pid, (__rlimit_resource_t)setting->resource, NULL, &now) == 0 &&
	    above_hard(setting, &now, err) < 0)
		return -EPERM;
	errno = errno ?: EPERM;
	/* NOFILE above /proc/sys/fs/nr_open is EPERM for everybody (prlimit(2)). */
	return err_system(err, "%s: set the resource limit of process %d", rlimit_name(setting->resource),
			  (int)child->pid);
}

int oom_score_read(pid_t pid, int *ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);
	const int r = file_read_virtual_at(AT_FDCWD, path, 64, &text, NULL, err);
	if (r == 0)
		*ret = (int)strtol(text, NULL, 10);
	return r;
}

int oom_score_write(const struct pidref *child, int score, const char *said, struct err *err)
{
	char path[64], text[16];

	/* The number is the child's as long as it has not been waited for. */
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)child->pid);
	snprintf(text, sizeof(text), "%d", score);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_system(err, "%s", path);
	if (write(fd, text, strlen(text)) < 0)
		return err_system_id(err, errno == EACCES ? ERR_ID_OOM_SCORE_LOWER : ERR_ID_NONE, "%s %d: process %d",
				     said, score, (int)child->pid);
	return 0;
}
