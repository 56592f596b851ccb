/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which namespaces a container gets: --pid, --ipc, --uts, --cgroupns, --time, --network and --time-offset. Two calls, because what follows from
 * the ids must be known before trees are looked at, and what follows from the control group only after it.
 */
#ifndef NSRUN_PLAN_NAMESPACES_H
#define NSRUN_PLAN_NAMESPACES_H

#include <nsrun/plan/plan.h>

/* After plan_resolve_ids(): plan->ns[] and the time offsets. An ordinary user who joins a namespace joins the user namespace that owns it,
 * too, and gets its maps. */
int plan_resolve_namespaces(struct plan *plan, const struct plan_request *request, struct err *err);
/* Last of all: plan->namespaces and namespaces_later. Refuses a container that could not be ended. */
int plan_settle_namespaces(struct plan *plan, struct err *err);

/* "private", "host", "ns:PATH", "container:NAME", for the network also "none": what use it is, and the PATH or NAME in *ret_rest. `option` is for
 * messages. */
enum ns_word { NS_WORD_PRIVATE, NS_WORD_HOST, NS_WORD_PATH, NS_WORD_CONTAINER };
int ns_parse_word(const char *option, const char *text, bool network, enum ns_word *ret, const char **ret_rest,
		  struct err *err);
/* "monotonic=SECONDS" or "boottime=SECONDS": decimal, with a sign and up to nine digits of a fraction. *ret_boottime: which clock. */
int ns_parse_time_offset(const char *text, bool *ret_boottime, struct time_offset *ret, struct err *err);

/* Is it within the kernel's bounds: no clock before 0, none beyond half of what it can count? The message names no option. */
int ns_check_time_offset(bool boottime, const struct time_offset *offset, struct err *err);

/* plan->ns[kind].path is to be joined: checks its kind and whether this caller may, and fills the rest; a user namespace brings its maps, which must be
 * those of the plan where some were said. `what` begins messages. The user namespace comes first. */
int plan_join_namespace(struct plan *plan, enum ns_kind kind, const char *what, bool maps_said, struct err *err);

/* After all kinds: the root directory of the mount namespace that is joined, as O_PATH; what config.json names of the host is looked up there. */
int plan_open_joined_root(const struct plan *plan, const char *what, int *ret_fd, struct err *err);

#endif
