/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSRUN_PLAN_SECCOMP_JSON_H
#define NSRUN_PLAN_SECCOMP_JSON_H

#include <nsrun/plan/seccomp_profile.h>

/* Reads a profile in the JSON form of the OCI runtime specification (config-linux, "seccomp") with Docker's extensions (archMap, includes,
 * excludes, minKernel, single "name"). `name` is for messages, which say the JSON path and, for a syntax error, line and column. At most 8 MiB. */
int seccomp_json_parse(const char *text, size_t size, const char *name, struct arena *arena,
		       struct seccomp_profile *ret, struct err *err);

/* The same of linux.seccomp of config.json (`name`): keys that the specification does not have are ignored. `top` begins the place of messages. */
int seccomp_json_parse_oci(const char *text, size_t size, const char *name, const char *top, struct arena *arena,
			   struct seccomp_profile *ret, struct err *err);

#endif
