/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime's own program, out of the container's reach. The process that executes CMD still is nsrun while the kernel resolves CMD, so a
 * CMD or an interpreter that is a link to /proc/self/exe runs nsrun inside, with the container's own ELF loader, and leaves the container
 * holding a descriptor of nsrun's file on the host (CVE-2019-5736). A remapped container may not write a file of host root; one that has
 * the rights of the file's owner may, once no nsrun runs any more (ETXTBSY before).
 */
#ifndef NSRUN_KERNEL_SELF_H
#define NSRUN_KERNEL_SELF_H

#include <nsrun/base/err.h>

#include <sys/stat.h>

/* Whose file this process runs, and with which mode. */
int self_stat(struct stat *ret, struct err *err);
/* This process runs from a sealed copy. */
bool self_is_sealed(void);
/* Executes a copy of this program, in memory and sealed against every change (memfd_create(2), fcntl(2)), with the same arguments
 * and environment. Returns only on failure. */
int self_reexecute_sealed(char *const argv[], struct err *err);

#endif
