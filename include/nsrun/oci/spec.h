/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSRUN_OCI_SPEC_H
#define NSRUN_OCI_SPEC_H

#include <nsrun/base/err.h>

#include <jansson.h>
#include <stdbool.h>

/* A config.json to begin with: `sh` in rootfs/, confined. `rootless`: for the caller, an ordinary user, whose own id becomes root inside. Owned by the caller. */
int oci_default_config(bool rootless, json_t **ret, struct err *err);

#endif
