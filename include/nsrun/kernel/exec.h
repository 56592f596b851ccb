/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and executing CMD in the container: execve(2), elf(5). */
#ifndef NSRUN_KERNEL_EXEC_H
#define NSRUN_KERNEL_EXEC_H

#include <nsrun/base/err.h>

/* CMD as execvp(3) finds it: with a slash as it is (relative to `cwd`), otherwise along `path_variable`. Called after pivot_root, so
 * plain paths are the container's. *ret is malloc'd. Not found: ERR_NOT_FOUND; only non-executable ones: ERR_NOT_EXECUTABLE. */
int exec_find(const char *cmd, const char *path_variable, char **ret, struct err *err);

/* Looks at the file and says why execve failed with `errnum`: interpreter or ELF loader missing, CR LF, noexec, wrong
 * architecture, a directory. Fills err (ERR_NOT_FOUND or ERR_NOT_EXECUTABLE with the ERR_ID). Returns -errnum. Async-signal-safe
 * enough to run after the filter is loaded: it only opens and reads; when that is denied it words the bare errno. */
int exec_explain_failure(const char *file, int errnum, struct err *err);

/* Adds runc's words for the errno of such an error, by which engines decide on exit status 126 or 127, where they are not in it. */
void exec_add_words(struct err *err);

/* Closes every descriptor from `first` on, before a path of the container is resolved: a directory of the host that is left open is a
 * way out through /proc/self/fd, for the working directory, for CMD and for the interpreter after #! (CVE-2024-21626). proc_fd is the root
 * of a trustworthy procfs, or FD_NONE for the one on /proc; it is needed only where close_range(2) is refused. */
int exec_close_from(int first, int proc_fd, struct err *err);

#endif
