/* SPDX-License-Identifier: Apache-2.0 */
/* exec as the OCI runtime has it: what config.json says of every process of the container, the process object, and the flags that change either. */
#ifndef NSRUN_OCI_EXEC_H
#define NSRUN_OCI_EXEC_H

#include <nsrun/plan/exec.h>

#define OCI_PROCESS_MAX (8U << 20) /* bytes of a process object */

/* Pointers are borrowed. */
struct oci_exec_request {
	struct exec_request base;
	const char *process_file; /* NULL: the line says it all; "-": standard input */
	const char *const *caps;  /* added to the container's */
	enum tristate no_new_privs;
	const char *apparmor, *selinux;
};

/* plan_resolve_exec() and all the rest. Serves containers of the one-shot command, too. */
int oci_plan_exec(const struct oci_exec_request *request, const struct container *container,
		  const struct pidref *process, struct plan **ret, struct err *err);

#endif
