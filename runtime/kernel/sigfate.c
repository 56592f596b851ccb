/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/sigfate.h>

#include <nsrun/base/file.h>
#include <nsrun/base/procstat.h>

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

static const char *field(const char *text, const char *key)
{
	const char *line = strstr(text, key);

	return line ? line + strlen(key) : NULL;
}

static bool mask_has(const char *text, const char *key, int signal, bool *ret)
{
	const char *value = field(text, key);
	uint64_t mask;

	if (!value || sscanf(value, "%" SCNx64, &mask) != 1)
		return false;
	*ret = mask >> (signal - 1) & 1;
	return true;
}

/* NSpid has one number for each namespace, outermost first. */
static bool is_first_of_namespace(const char *text)
{
	const char *value = field(text, "\nNSpid:\t");
	const size_t len = value ? strcspn(value, "\n") : 0;

	return len > 2 && value[len - 1] == '1' && value[len - 2] == '\t';
}

bool sigfate_parse(const char *status, int signal, enum sigfate *ret)
{
	bool caught, blocked, ignored;

	if (signal < 1 || signal > 64 || !mask_has(status, "\nSigBlk:\t", signal, &blocked) ||
	    !mask_has(status, "\nSigIgn:\t", signal, &ignored) || !mask_has(status, "\nSigCgt:\t", signal, &caught))
		return false;
	/* Blocked comes first, as in the kernel (sig_ignored()): what is blocked is queued whatever its handler is now. */
	if (signal == SIGKILL || signal == SIGSTOP || caught || blocked)
		*ret = SIGFATE_TAKEN;
	else if (ignored)
		*ret = SIGFATE_IGNORED;
	else
		*ret = is_first_of_namespace(status) ? SIGFATE_DROPPED : SIGFATE_DEFAULT;
	return true;
}

/*
 * While a process waits in sigwaitinfo(2), as an init does, the kernel takes what it waits for out of "SigBlk", though it counts as
 * blocked (do_sigtimedwait(), real_blocked). /proc/PID/wchan tells that it waits there. True also when that cannot be seen.
 */
static bool may_await_signals(pid_t pid)
{
	_cleanup_free_ char *text = NULL;
	struct procstat stat;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/wchan", (int)pid);
	if (file_read_virtual_at(AT_FDCWD, path, 4096, &text, NULL, NULL) < 0)
		return true;
	/* "0" is running, or sleeping where we may not look: ptrace(2), access mode checks. */
	if (text[0] == '0' || text[0] == '\0')
		return procstat_read(pid, &stat, NULL) < 0 || stat.state != 'R';
	return strstr(text, "sigtimedwait") != NULL;
}

static int read_fate(const struct pidref *process, int signal, enum sigfate *ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)process->pid);
	r = file_read_virtual_at(AT_FDCWD, path, 65536, &text, NULL, NULL);
	/* The number is its own as long as the pidfd says that it has not ended. */
	if (pidref_ended(process) || r == -ENOENT || r == -ESRCH)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, ESRCH, "process %d", (int)process->pid);
	if (r < 0)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "%s", path);
	return sigfate_parse(text, signal, ret)
		       ? 0
		       : err_set(err, ERR_INPUT, ERR_ID_NONE, 0, "%s: without its signals", path);
}

int sigfate_of(const struct pidref *process, int signal, enum sigfate *ret, struct err *err)
{
	enum sigfate fate;
	int r;

	r = read_fate(process, signal, &fate, err);
	if (r == 0 && fate == SIGFATE_DROPPED && may_await_signals(process->pid))
		fate = SIGFATE_TAKEN;
	/* Between the two looks it may have left, or entered, the call that hides its mask. */
	if (r == 0 && fate == SIGFATE_DROPPED)
		r = read_fate(process, signal, &fate, err);
	if (r == 0)
		*ret = fate;
	return r;
}
