/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan from an OCI bundle: config.json of the runtime specification 1.3 (ociVersion 1.x) and what the command says. Nothing is made here. A known field that cannot
 * be honoured is an error with its JSON path, as is a wrong type; unknown fields are ignored.
 */
#ifndef NSRUN_OCI_CONFIG_H
#define NSRUN_OCI_CONFIG_H

#include <nsrun/oci/json_at.h>
#include <nsrun/plan/plan.h>

#define OCI_VERSION "1.3.0"
#define OCI_CONFIG_MAX (8U << 20) /* bytes: an environment may have megabytes, all else is small */
#define OCI_MOUNTS_MAX 16384

/* What create, run and spec say beside config.json. Pointers are borrowed. */
struct bundle_request {
	const char *id;		    /* the container's: plan->name */
	const char *bundle;	    /* directory; NULL: the current one */
	const char *config;	    /* NULL: config.json in it */
	const char *state_root;	    /* --root; NULL: the default */
	const char *cgroup_manager; /* "cgroupfs", "systemd", "disabled"; NULL: cgroupfs */
	const char *pidfile, *console_socket;
	bool gated;    /* create */
	bool detached; /* create; run --detach */
	bool keep, no_pivot, no_new_keyring;
	unsigned preserve_fds, listen_fds; /* the second are among the first */
	const char *listen_names, *notify; /* struct plan_bundle */
};

int oci_plan(const struct bundle_request *request, struct plan **ret, struct err *err);
/* The same of a document that is read already; `dir` is the bundle's absolute path. */
int oci_plan_document(const struct bundle_request *request, const char *dir, const json_t *document, struct plan **ret,
		      struct err *err);

/*
 * exec --process FILE: the process object alone, onto a plan that plan_resolve_exec() has made. `at` is the object. What it does not say stays the
 * container's. The plan has a bundle, which takes the warnings.
 */
int oci_plan_process(const struct json_at *at, struct plan *plan, struct err *err);
/* Of a process' capabilities what the caller has to give: all in a user namespace of the container's, otherwise its own. */
int oci_find_grantable(const struct plan *plan, uint64_t *ret, struct err *err);

/* The parts, each in its own file, each reading its own members of the document and writing its own fields of the plan. */
struct oci_reader {
	struct plan *plan;
	struct plan_bundle *bundle; /* plan->bundle, while it may be written */
	const struct bundle_request *request;
	struct json_at config; /* the document */
	struct json_at linux_; /* its `linux`; value NULL: none */
	int mount_root; /* of the mount namespace that is joined: root.path and sources of binds are of its tree; FD_NONE: none is */
};
/* A file of the host that config.json names, as O_PATH: -errno, and errno is set. */
int oci_open_source(const struct oci_reader *r, const char *path);
/* Adds to plan->bundle->warnings; `at` is what cannot be granted. */
int oci_warn(struct oci_reader *r, const struct json_at *at, struct err *err, const char *fmt, ...) _printf_(4, 5);
/* "network" of NS_NET. */
const char *oci_namespace_name(enum ns_kind kind);
/* An array of containerID, hostID, size. */
int oci_read_map(const struct json_at *at, struct idmap *ret, struct err *err);

/* A path of the container as a process there means it: without ".", ".." and doubled slashes; a relative one begins at "/" (config.md, "Mounts"). NULL: no memory. */
const char *oci_clean_path(struct arena *arena, const char *path);
/* config_joined.c. After the namespaces are read and joined: r->mount_root. */
int oci_join_mounts(struct oci_reader *r, struct err *err);
/* root.path, in that namespace. */
int oci_find_joined_root(struct oci_reader *r, const struct json_at *at, const char *path, struct err *err);
/* Last: what would change the files of all who are in it, or that nobody may mount there. */
int oci_check_joined(struct oci_reader *r, struct err *err);
int oci_read_ids(struct oci_reader *r,
		 struct err *err); /* config_ids.c: linux.namespaces, uidMappings, gidMappings, timeOffsets */
int oci_read_process(struct oci_reader *r, struct err *err); /* config_process.c: process */
int oci_read_names(struct oci_reader *r,
		   struct err *err); /* config.c: hostname, domainname, linux.sysctl, annotations, root */
int oci_read_hooks(struct oci_reader *r, struct err *err); /* config_hooks.c */
int oci_read_mounts(struct oci_reader *r,
		    struct err *err); /* config_mounts.c: mounts, maskedPaths, readonlyPaths, rootfsPropagation */
int oci_read_devices(struct oci_reader *r,
		     struct err *err); /* config_devices.c: linux.devices, linux.resources.devices */
int oci_read_resources(struct oci_reader *r,
		       struct err *err); /* config_resources.c: cgroupsPath, the rest of linux.resources */
int oci_read_seccomp(struct oci_reader *r, struct err *err); /* config_seccomp.c: linux.seccomp */
/* linux.memoryPolicy: its modes and flags, each list ends with NULL; beside each what set_mempolicy(2) has for it. */
extern const char *const oci_memory_modes[], *const oci_memory_flags[];
extern const int oci_memory_mode_values[], oci_memory_flag_values[];
int oci_read_linux(struct oci_reader *r,
		   struct err *err); /* config_linux.c: netDevices, intelRdt, memoryPolicy, personality, mountLabel */
/* exec.c: keeps of config.json in bundle->settings what further processes need. */
int oci_keep_settings(struct oci_reader *r, struct err *err);
/* config_settings.c: scheduler, ioPriority, execCPUAffinity, apparmorProfile, selinuxLabel of a process object. */
int oci_read_settings(const struct json_at *process, struct plan *plan, struct err *err);

#endif
