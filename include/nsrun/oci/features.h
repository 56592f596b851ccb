/* SPDX-License-Identifier: Apache-2.0 */
/* features.md of the runtime specification: what this build can do, and of the filter's flags what this kernel knows. */
#ifndef NSRUN_OCI_FEATURES_H
#define NSRUN_OCI_FEATURES_H

#include <jansson.h>

/* `version`, `commit`, `libseccomp`: of this program, for its annotations. NULL: no memory. */
json_t *oci_features(const char *version, const char *commit, const char *libseccomp);

#endif
