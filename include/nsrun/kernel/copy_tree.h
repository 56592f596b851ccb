/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSRUN_KERNEL_COPY_TREE_H
#define NSRUN_KERNEL_COPY_TREE_H

#include <nsrun/base/err.h>

/*
 * Copies what is in one open directory into another: files, directories, links, FIFOs and device nodes with mode, owner, times and extended
 * attributes. The first may be hostile: each name is opened once without following a link and looked at by descriptor. Sockets are left out, and so are
 * owners that this user namespace does not have, and device nodes where none can be made. Hard links become files of their own.
 */
int copy_tree(int from_fd, int to_fd, const char *what, struct err *err);

#endif
