/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/privilege.h>

/* clang-format off */
static const enum performer table[CALLER_COUNT][WORK_COUNT] = {
	/*                            maps        sources     idmap       overlay     views       devices */
	/* Without a user namespace there is no map to write and none to mount through. */
	[CALLER_ROOT_HOST]        = { BY_NOBODY,  BY_RUNTIME, BY_NOBODY,  BY_INIT,    BY_INIT,    BY_RUNTIME },
	[CALLER_ROOT_REMAPPED]    = { BY_RUNTIME, BY_RUNTIME, BY_RUNTIME, BY_RUNTIME, BY_RUNTIME, BY_RUNTIME },
	/* A clone made by open_tree(2) outside of the namespace is EPERM for init, so init makes it. Idmapping needs CAP_SYS_ADMIN over
	 * the file system, which belongs to the initial namespace. */
	[CALLER_USER_RANGES]      = { BY_HELPER,  BY_INIT,    BY_NOBODY,  BY_NOBODY,  BY_NOBODY,  BY_INIT },
	/* One line that maps one's own id, with setgroups denied, is what user_namespaces(7) allows without a helper. */
	[CALLER_USER_SINGLE]      = { BY_RUNTIME, BY_INIT,    BY_NOBODY,  BY_NOBODY,  BY_NOBODY,  BY_INIT },
	/* What the host's namespaces show is bound as it is mounted: a new mount would need their owner's CAP_SYS_ADMIN. */
	/* CAP_SYS_ADMIN over its own mount namespace, but over no file system of the host. Without one of its own (`unshare -Ur`) init opens
	 * the sources, here and for root-host: ids.c. */
	[CALLER_NESTED]           = { BY_RUNTIME, BY_RUNTIME, BY_NOBODY,  BY_NOBODY,  BY_NOBODY,  BY_INIT },
};
/* clang-format on */

enum performer privilege_performer(enum caller caller, enum work work)
{
	return table[caller][work];
}

const char *caller_name(enum caller caller)
{
	static const char *const names[CALLER_COUNT] = {
		[CALLER_ROOT_HOST] = "root-host",     [CALLER_ROOT_REMAPPED] = "root-remapped",
		[CALLER_USER_RANGES] = "user-ranges", [CALLER_USER_SINGLE] = "user-single",
		[CALLER_NESTED] = "nested",
	};
	return names[caller];
}

const char *performer_name(enum performer performer)
{
	static const char *const names[] = {
		[BY_NOBODY] = "nobody",
		[BY_RUNTIME] = "runtime",
		[BY_INIT] = "init",
		[BY_HELPER] = "helper",
	};
	return names[performer];
}

const char *work_name(enum work work)
{
	static const char *const names[WORK_COUNT] = {
		[WORK_MAPS] = "maps",	    [WORK_SOURCES] = "sources", [WORK_IDMAP] = "idmap",
		[WORK_OVERLAY] = "overlay", [WORK_VIEWS] = "views",	[WORK_DEVICES] = "devices",
	};
	return names[work];
}
