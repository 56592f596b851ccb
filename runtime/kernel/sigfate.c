/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/sigfate.h>

#include <nsrun/base/file.h>

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

int sigfate_of(const struct pidref *process, int signal, enum sigfate *ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	enum sigfate fate;
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)process->pid);
	r = file_read_virtual_at(AT_FDCWD, path, 65536, &text, NULL, NULL);
	/* The number is its own as long as the pidfd says that it has not ended. */
	if (pidref_ended(process) || r == -ENOENT || r == -ESRCH)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, ESRCH, "process %d", (int)process->pid);
	if (r < 0)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "%s", path);
	if (!sigfate_parse(text, signal, &fate))
		return err_set(err, ERR_INPUT, ERR_ID_NONE, 0, "%s: without its signals", path);
	*ret = fate;
	return 0;
}
