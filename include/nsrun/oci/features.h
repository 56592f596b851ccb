/* SPDX-License-Identifier: Apache-2.0 */
/*
 * features.md of the runtime specification. Its fields are what this build recognizes: "irrelevant to the actual availability of the features in the host
 * operating system". The one that is about the kernel is seccomp.supportedFlags. What this host has of the others is in annotations of our own:
 * nsrun.host.PATH of the field linux.PATH.
 */
#ifndef NSRUN_OCI_FEATURES_H
#define NSRUN_OCI_FEATURES_H

#include <jansson.h>

/* `version`, `commit`, `libseccomp`: of this program, for its annotations. NULL: no memory. */
#define OCI_HOST_PREFIX "nsrun.host."
json_t *oci_features(const char *version, const char *commit, const char *libseccomp);
/* features_host.c: adds what this host has for this caller, lists with a space between two words. */
void oci_features_of_host(json_t *annotations);

#endif
