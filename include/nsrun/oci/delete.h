/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a container that was made from an OCI bundle. */
#ifndef NSRUN_OCI_DELETE_H
#define NSRUN_OCI_DELETE_H

#include <nsrun/plan/container.h>
#include <nsrun/plan/plan.h>

/*
 * Ends what is left of it, its control groups and its poststop hooks included, and removes it. One that waits for start is killed; one that runs or
 * is being created only with `force`, after which a create that is still at work fails, or is killed when it does not. 0 also when somebody else
 * removed it meanwhile. `ret_poststop`: a hook that failed, which changes nothing.
 */
int container_delete(struct container *container, bool force, struct err *ret_poststop, struct err *err);

/* Runs its poststart hooks, as the record has them; one that fails ends the container, and is the error. */
int container_poststart(const struct container *container, struct err *err);

/* The state as the runtime specification has it, with what runc's has beside: rootfs, created, owner. NULL: no memory. */
json_t *container_oci_state(const struct container *container);

#endif
