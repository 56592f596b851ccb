/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/title.h>

#include <nsrun/base/file.h>

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

/* Numbers of fields in /proc/PID/stat: proc(5). */
#define FIELD_ARG_START 48
#define FIELD_ENV_END 51

int title_replace(int proc_fd, const char *title, struct err *err)
{
	_cleanup_free_ char *stat = NULL;
	unsigned long bounds[FIELD_ENV_END - FIELD_ARG_START + 1] = { 0 };
	unsigned field = 2;

	const int r = file_read_virtual_at(proc_fd, "self/stat", 8192, &stat, NULL, err);
	if (r < 0)
		return r;
	/* The second field is the command in parentheses and may contain any character: the last ')' ends it. */
	char *rest = strrchr(stat, ')');
	for (char *word, *state = rest ? rest + 2 : NULL; state && (word = strsep(&state, " "));)
		if (++field >= FIELD_ARG_START && field <= FIELD_ENV_END)
			bounds[field - FIELD_ARG_START] = strtoul(word, NULL, 10);

	char *const start = (char *)bounds[0], *const arg_end = (char *)bounds[1];
	if (!start || arg_end <= start || bounds[3] < bounds[2])
		return err_bug(err, "/proc/self/stat: no bounds of the arguments");
	memset(start, 0, (size_t)(arg_end - start));
	memset((char *)bounds[2], 0, bounds[3] - bounds[2]);
	strncpy(start, title, (size_t)(arg_end - start) - 1);
	if (prctl(PR_SET_NAME, title) < 0)
		return err_system(err, "process name");
	return 0;
}
