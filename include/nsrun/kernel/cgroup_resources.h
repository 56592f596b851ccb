/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every limit that nsrun knows, in one table: where the runtime specification (config-linux.md, "Control groups") has it, the option of a
 * one-shot launch, the file of cgroup v2 with its conversion, the file of cgroup v1. Faces make a list of values; from it follow the
 * controllers that are needed, the files that are written at launch and by update, config.json of --spec, and what stats and inspect show.
 */
#ifndef NSRUN_KERNEL_CGROUP_RESOURCES_H
#define NSRUN_KERNEL_CGROUP_RESOURCES_H

#include <nsrun/base/arena.h>
#include <nsrun/kernel/cgroup.h>

enum cgroup_resource {
	/* memory */
	CGROUP_MEMORY_LIMIT,	   /* bytes; -1: none */
	CGROUP_MEMORY_RESERVATION, /* bytes; -1: none */
	CGROUP_MEMORY_SWAP,	   /* bytes of memory and swap together; -1: none */
	CGROUP_MEMORY_SWAPPINESS,  /* 0 to 100; v1 alone has it for a group */
	CGROUP_MEMORY_NO_OOM_KILL, /* 1: disableOOMKiller; v1 alone has it */
	/* cpu */
	CGROUP_CPU_SHARES,     /* 2 to 262144; on v2 a weight */
	CGROUP_CPU_QUOTA,      /* microseconds each period; -1: none */
	CGROUP_CPU_PERIOD,     /* microseconds */
	CGROUP_CPU_BURST,      /* microseconds */
	CGROUP_CPU_IDLE,       /* 0, 1 */
	CGROUP_CPU_RT_RUNTIME, /* microseconds; v1 alone */
	CGROUP_CPU_RT_PERIOD,
	CGROUP_CPUSET_CPUS, /* .text: a list as in cpuset(7) */
	CGROUP_CPUSET_MEMS,
	/* pids */
	CGROUP_PIDS_LIMIT, /* tasks; -1: none */
	/* blockIO; of one device where .major and .minor are said */
	CGROUP_IO_WEIGHT,      /* 10 to 1000; on v2 1 to 10000 */
	CGROUP_IO_LEAF_WEIGHT, /* of v1 before 5.0: no kernel of today has it */
	CGROUP_IO_WEIGHT_DEVICE,
	CGROUP_IO_LEAF_WEIGHT_DEVICE,
	CGROUP_IO_READ_BPS, /* bytes or operations a second; 0 and -1: none */
	CGROUP_IO_WRITE_BPS,
	CGROUP_IO_READ_IOPS,
	CGROUP_IO_WRITE_IOPS,
	/* by name: .text */
	CGROUP_HUGETLB_LIMIT, /* .text: page size as the kernel spells it, "2MB", "1GB"; bytes */
	CGROUP_RDMA_HANDLES,  /* .text: device */
	CGROUP_RDMA_OBJECTS,
	CGROUP_NET_CLASS,    /* v1 alone */
	CGROUP_NET_PRIORITY, /* .text: interface; v1 alone */
	CGROUP_UNIFIED,	     /* .text: name of a file of the v2 group; .value_text: what is written */
	CGROUP_RESOURCE_COUNT
};

struct cgroup_value {
	enum cgroup_resource resource;
	int64_t number;
	const char *text, *value_text; /* see above; NULL where the resource has none */
	uint32_t major, minor;	       /* of the block device */
	bool from_oci; /* it was said by its key of linux.resources: messages call it so, and not by an option */
};

/* In the order in which they were said. Of two values of the same resource (and device, and text) the later one counts: cgroup_resources_add(). */
struct cgroup_resources {
	struct cgroup_value *values;
	size_t n;
	bool check_before_update; /* memory.checkBeforeUpdate: refuse a limit below what is used now */
};

/* One row of the table. */
struct cgroup_resource_row {
	enum cgroup_ctl controller; /* CGROUP_CONTROLLER_COUNT for unified keys: the name of each tells */
	const char *
		oci; /* below linux.resources: "memory.limit"; "blockIO.throttleReadBpsDevice[]" is an array of objects */
	const char *option; /* of the one-shot face, without dashes; NULL: none */
	int64_t min, max;   /* of .number; -1 besides where .unlimited */
	bool unlimited;
	const char *unit;      /* of messages: "bytes", "microseconds", "" */
	const char *v2_file;   /* NULL: v2 has nothing of the kind. %s: the page size of hugetlb */
	const char *v1_file;   /* NULL: v1 has nothing of the kind */
	const char *v2_remedy; /* where v2_file is NULL: what to use instead */
};
const struct cgroup_resource_row *cgroup_resource_row(enum cgroup_resource resource);

/* What messages call a value: "--memory", "blockIO.weightDevice[] 8:0", "--cgroup memory.high". Returns buf. */
const char *cgroup_resource_label(const struct cgroup_value *value, char *buf, size_t size);

/* Appends, or replaces the value of the same resource, device and text. Strings are borrowed. */
int cgroup_resources_add(struct arena *arena, struct cgroup_resources *resources, const struct cgroup_value *value,
			 struct err *err);
/* NULL: not said. The first one, for those that are by device or name. */
const struct cgroup_value *cgroup_resources_find(const struct cgroup_resources *resources,
						 enum cgroup_resource resource);
/* `number`, or `otherwise` where it is not said. */
int64_t cgroup_resources_number(const struct cgroup_resources *resources, enum cgroup_resource resource,
				int64_t otherwise);
/* The controllers that these values need, as 1 << enum cgroup_ctl: those of unified keys come from their names. */
unsigned cgroup_resources_controllers(const struct cgroup_resources *resources);
/* Is this the file of a v2 group that a container may be given a value of: a controller's, or cgroup.max.*? -EINVAL with the reason. The controller
 * is CGROUP_CONTROLLER_COUNT where none is needed. */
int cgroup_unified_controller(const char *file, enum cgroup_ctl *ret, struct err *err);
/* --cpu-shares and the like as a weight of v2. 2, 1024 (both defaults) and 262144 become 1, 100 and 10000. */
unsigned cgroup_shares_to_weight(uint64_t shares);
unsigned cgroup_io_weight_to_v2(uint64_t weight); /* 10..1000 to 1..10000 */

/*
 * One file of a group and what shall be written to it, as it follows from the values: what launch, update, a systemd scope and --dry-run go by.
 * Where the kernel demands an order that depends on what is there already (memory.memsw beside memory on v1), what it refuses is written once more
 * after the rest.
 */
enum cgroup_check {
	CGROUP_CHECK_NUMBER, /* the same number, rounded down to .unit; "max" and "-1" are none */
	CGROUP_CHECK_LIST,   /* the same set of numbers: "0,1,2" is "0-2" */
	CGROUP_CHECK_WITHIN, /* some of it, and nothing else */
	CGROUP_CHECK_KEYED,  /* a line that begins with the same word and has all the others: "8:0 rbps=1 wbps=max" */
	CGROUP_CHECK_SECOND, /* the second word of the first line: "oom_kill_disable 1" */
	CGROUP_CHECK_WORDS,  /* the words that were written come first: "50000" is "50000 100000" */
	CGROUP_CHECK_ANY,    /* one of the above: a unified key */
};
struct cgroup_setting {
	enum cgroup_ctl controller; /* CGROUP_CONTROLLER_COUNT: of the v2 group itself */
	bool v2;
	enum cgroup_check check; /* how the file shows that it was taken */
	bool optional; /* left out where the kernel has no such file, or says that it does not apply (EOPNOTSUPP); but of each value that was asked for one setting must be taken */
	uint64_t unit; /* bytes that the kernel rounds down to; 1: it does not */
	const struct cgroup_value *from; /* NULL: follows from another one (no swap beside a memory limit) */
	char file[64];
	char value[256];
};
#define CGROUP_SETTINGS_MAX 128
/* Does the file, whose text this is, hold what was written? `text` is changed. */
bool cgroup_setting_held(const struct cgroup_setting *setting, char *text);
/* Would these lines, written to the same file later, leave nothing of it, or another value? */
bool cgroup_setting_overridden(const struct cgroup_setting *setting, const char *lines);

/* The error of a controller that neither hierarchy of this host has: is it switched off, not built in, or held by a v1 hierarchy that is not mounted? */
int cgroup_missing_controller(const struct cgroup_host *host, enum cgroup_ctl controller, const char *wanted_by,
			      struct err *err);

/* Are the numbers in range, and not at odds with each other (swap below the limit, burst above the quota)? No host is needed. */
int cgroup_resources_check(const struct cgroup_resources *resources, struct err *err);
/* Fills `ret` (of CGROUP_SETTINGS_MAX) for this host. ERR_ID_NO_CONTROLLER, ERR_ID_V1_ONLY, ERR_ID_V2_ONLY with the resource's name and remedy. */
int cgroup_settings(const struct cgroup_host *host, const struct cgroup_resources *resources,
		    struct cgroup_setting *ret, size_t *ret_n, struct err *err);

/*
 * Can these limits be applied under this parent? Names the option's controller and the remedy: for an ordinary user the exact drop-in of systemd,
 * for root the boot parameter or the group that must delegate. No side effect.
 */
int cgroup_check_limits(const struct cgroup_host *host, const char *parent, const struct cgroup_resources *resources,
			struct err *err);
/* Makes the groups of the needed controllers (v1 directories; on v2 subtree_control of the groups around, only these controllers), writes the settings,
 * and reads each one back: ERR_ID_LIMIT_NOT_APPLIED where the kernel holds another value. On failure nothing is left but the parent. */
int cgroup_apply_limits(const struct cgroup_host *host, const char *path, const struct cgroup_resources *resources,
			struct err *err);
/* The same for those of one side of a hybrid host. */
enum cgroup_side { CGROUP_IN_V1 = 1, CGROUP_IN_V2 = 2, CGROUP_IN_BOTH = CGROUP_IN_V1 | CGROUP_IN_V2 };
bool cgroup_limits_are_in(const struct cgroup_host *host, const struct cgroup_resources *resources,
			  enum cgroup_side side);
int cgroup_apply_limits_in(const struct cgroup_host *host, const char *path, const struct cgroup_resources *resources,
			   enum cgroup_side side, struct err *err);
/*
 * Changes a living group. `before`: the values that it was made with or updated to, since some files follow from several (v2's swap). All or nothing:
 * what was written is put back when a later file is refused. A limit below what is used now is an error with check_before_update, and otherwise
 * what the kernel makes of it. The controllers must have been given at launch or be enabled by now; a v1 hierarchy in which the container has no group is
 * an error that says so.
 * ret_undo (may be NULL): the lines that bring back what each changed file held, for a caller who fails later.
 */
struct cgroup_undo {
	struct cgroup_setting *list;
	size_t n;
};
int cgroup_update_limits(const struct cgroup_host *host, const char *path, const struct cgroup_resources *before,
			 const struct cgroup_resources *changes, struct cgroup_undo *ret_undo, struct err *err);
/* Of a change whose end nobody saw: `before` with those values of `after` that the group holds. */
int cgroup_which_held(const struct cgroup_host *host, const char *path, const struct cgroup_resources *before,
		      const struct cgroup_resources *after, struct arena *arena, struct cgroup_resources *ret,
		      struct err *err);
/* Writes them. `err`, which says already why, is told in addition what could not be put back. */
void cgroup_undo_update(const struct cgroup_host *host, const char *path, const struct cgroup_undo *undo,
			struct err *err);
void cgroup_undo_done(struct cgroup_undo *undo);

#endif
