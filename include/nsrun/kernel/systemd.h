/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd as the manager of control groups: org.freedesktop.systemd1(5). Where it is PID 1 it is the single writer of the tree, and who wants
 * a group of its own asks for a scope unit, whose group it then is (systemd's "Control Group APIs and Delegation"). The connection
 * is sd-bus, from libsystemd, loaded by dlopen(3) when the first manager is opened: a launch without systemd does not pay for it.
 */
#ifndef NSRUN_KERNEL_SYSTEMD_H
#define NSRUN_KERNEL_SYSTEMD_H

#include <nsrun/base/err.h>
#include <nsrun/base/pidref.h>
#include <nsrun/kernel/cgroup_resources.h>

/*
 * The manager that this caller may ask: of root the system's, of an ordinary user the user's own, also where that user is root of a user namespace.
 * Other roots of user namespaces whose systemd lies outside are refused, and so is a manager in another pid namespace, which would take our numbers for
 * other processes.
 */
struct systemd;
int systemd_open(struct systemd **ret, struct err *err);
void systemd_close(struct systemd *manager);
static inline void systemd_closep(struct systemd **p)
{
	systemd_close(*p);
}
/* The user's own, not the system's? */
bool systemd_is_of_user(void);
/* Is there a socket of that manager? Loads nothing, asks nobody. */
bool systemd_is_there(void);

/* Names. A unit of ours is UNIT_PREFIX, the container's id, ".scope". */
#define SYSTEMD_UNIT_PREFIX "nsrun-"
#define SYSTEMD_UNIT_SIZE 64
void systemd_unit_name(const char *id, char ret[SYSTEMD_UNIT_SIZE]);
/* Does the group's path end with the unit of this container? */
bool systemd_is_unit_group(const char *path, const char *id);
/* Its last component; NULL: the group is none of a scope. */
const char *systemd_unit_of_group(const char *path);
/* "a-b.slice" is "/a.slice/a-b.slice" below the manager's group, "-.slice" that group itself: systemd.slice(5). */
int systemd_slice_path(const char *slice, char *ret, size_t size, struct err *err);
/* Where units go unless an option says otherwise: systemd.special(7). */
const char *systemd_default_slice(bool user);

/* The manager's own group, "" for the root of the hierarchy: slices are below it. */
int systemd_group(struct systemd *manager, char *ret, size_t size, struct err *err);

/*
 * The properties that hold the same limits as these settings of v2, systemd.resource-control(5). Without them systemd would write its own idea of
 * a limit ("none") over ours at the next daemon-reload. What it has no property for (hugetlb, rdma, cpu.max.burst) it leaves alone.
 * systemd keeps a quota in whole per cent of a processor, so ours are rounded up to one there; the file has the exact value.
 */
enum systemd_kind { SYSTEMD_NUMBER, SYSTEMD_BYTES, SYSTEMD_DEVICE };
#define SYSTEMD_MASK_MAX 1024 /* bytes of a set: 8192 processors or nodes */
struct systemd_property {
	const char *name;
	enum systemd_kind kind;
	uint64_t number;      /* UINT64_MAX: "infinity" */
	char device[32];      /* SYSTEMD_DEVICE: "/dev/block/8:0" */
	const uint8_t *bytes; /* SYSTEMD_BYTES: a set of processors or nodes, the lowest in bit 0 of the first byte */
	size_t n_bytes;
};
struct systemd_properties {
	struct systemd_property list[2 * CGROUP_SETTINGS_MAX];
	size_t n;
	uint8_t cpus[SYSTEMD_MASK_MAX], mems[SYSTEMD_MASK_MAX];
};
int systemd_properties(const struct cgroup_setting *settings, size_t n, struct systemd_properties *ret,
		       struct err *err);

struct systemd_scope {
	const char *unit, *slice, *description;
	const struct pidref *process;		     /* moved into it by systemd */
	const char *const *controllers;		     /* delegated ones, ends with NULL; NULL: all that systemd has */
	const struct systemd_properties *properties; /* may be NULL */
	uint64_t stop_us;			     /* `systemctl stop`: from SIGTERM to SIGKILL */
};
/* Starts it and waits until the job is done; then its group's path, as the manager has it. A property that this systemd does not know is left
 * out: the file holds the limit. */
int systemd_start_scope(struct systemd *manager, const struct systemd_scope *scope, char *ret_group, size_t size,
			struct err *err);
/* Until the next reload of the manager and beyond: both its memory and its transient file. */
int systemd_set_properties(struct systemd *manager, const char *unit, const struct systemd_properties *properties,
			   struct err *err);
/* Moves a process into the unit's group, or into `below` it ("" for itself): what an ordinary user's own write is not allowed to (cgroups(7),
 * delegation containment) the managers do among themselves. */
int systemd_attach(struct systemd *manager, const char *unit, const char *below, const struct pidref *process,
		   struct err *err);

/*
 * Kills what is in the group and waits, at most `timeout_ms`, until systemd has seen that it is empty and removed it: were it removed under its hands,
 * the unit would stay for ever. What is there afterwards is for cgroup_destroy().
 */
void systemd_end_scope(const struct cgroup_host *host, const char *path, unsigned timeout_ms);

/* For update: the properties of the unit whose group this is follow the limits that hold from now on. */
int systemd_update_limits(const struct cgroup_host *host, const char *path, const struct cgroup_resources *resources,
			  struct err *err);
/* Those that systemd knows, and hands down itself. */
bool systemd_has_controller(enum cgroup_ctl controller);

#endif
