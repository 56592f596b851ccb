/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a container as the runtime specification has it (runtime.md, "State"): what hooks are given, and what `nsrun state` prints. */
#ifndef NSRUN_PLAN_OCI_STATE_H
#define NSRUN_PLAN_OCI_STATE_H

#include <nsrun/plan/plan.h>

#include <jansson.h>

/* What hooks are given; malloc'd, NULL: no memory. pid: as the hook's pid namespace numbers it. */
char *oci_state_text(const struct plan *plan, const char *status, pid_t pid);
json_t *oci_state_json(const char *version, const char *id, const char *status, pid_t pid, const char *bundle,
		       json_t *annotations /* borrowed; NULL: none */);

#endif
