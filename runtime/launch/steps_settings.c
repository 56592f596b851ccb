/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of what config.json says of a process and its host beyond files, ids and control groups. */
#include <nsrun/launch/steps.h>

#include <nsrun/kernel/lsm.h>
#include <nsrun/kernel/seccomp_notify.h>

#include <sys/personality.h>

/* ---- predicates ---- */

bool wants_labels(const struct plan *plan)
{
	return plan->labels.apparmor || plan->labels.selinux;
}

bool wants_listener(const struct plan *plan)
{
	return plan_listener(plan) != NULL;
}

bool wants_proc_kept(const struct plan *plan)
{
	/* In a joined mount namespace /proc is what somebody else has put there. */
	return wants_labels(plan) || wants_listener(plan) || (plan->ns[NS_MNT].use == NS_JOIN && wants_time(plan));
}

bool wants_rdt(const struct plan *plan)
{
	return plan_is_bundle(plan) && plan->bundle->rdt;
}

bool wants_netdevs(const struct plan *plan)
{
	return plan_is_bundle(plan) && plan->bundle->n_netdevs;
}

bool wants_scheduler(const struct plan *plan)
{
	return plan->scheduler != NULL;
}

bool wants_io_priority(const struct plan *plan)
{
	return plan->io_priority != NULL;
}

bool wants_affinity(const struct plan *plan)
{
	return plan->exec_affinity != NULL;
}

bool wants_initial_affinity(const struct plan *plan)
{
	return plan->exec_affinity && plan->exec_affinity->initial.words;
}

bool wants_memory_policy(const struct plan *plan)
{
	return plan->memory_policy != NULL;
}

bool wants_personality(const struct plan *plan)
{
	return plan->has_personality;
}

/* ---- processors, scheduler, memory ---- */

int runtime_affinity_start(struct launch *launch, struct err *err)
{
	launch->arena = arena_new();
	if (!launch->arena)
		return err_oom(err);
	const int r = affinity_save(launch->arena, &launch->affinity_before, err);
	return r < 0 ? r
		     : affinity_apply(&launch->plan->exec_affinity->initial, "process.execCPUAffinity.initial", err);
}

int runtime_affinity_restore(struct launch *launch, struct err *err)
{
	return affinity_apply(&launch->affinity_before, "processors of this process", err);
}

int init_affinity_set(struct launch *launch, struct err *err)
{
	return affinity_apply(&launch->plan->exec_affinity->final, "process.execCPUAffinity.final", err);
}

int runtime_scheduler_set(struct launch *launch, struct err *err)
{
	return scheduler_apply(&launch->init, launch->plan->scheduler, "process.scheduler", err);
}

int runtime_io_priority_set(struct launch *launch, struct err *err)
{
	return io_priority_apply(&launch->init, launch->plan->io_priority, "process.ioPriority", err);
}

int workload_memory_policy_set(struct launch *launch, struct err *err)
{
	return memory_policy_apply(launch->plan->memory_policy, "linux.memoryPolicy", err);
}

int workload_personality_set(struct launch *launch, struct err *err)
{
	if (personality(launch->plan->personality) < 0)
		return err_system(err, "linux.personality: 0x%lx", launch->plan->personality);
	return 0;
}

/* ---- labels ---- */

int runtime_proc_keep(struct launch *launch, struct err *err)
{
	return procfs_open(&launch->host_proc, err);
}

int runtime_proc_leave(struct launch *launch, struct err *err)
{
	(void)err;
	closep(&launch->host_proc);
	launch->host_proc = FD_NONE;
	return 0;
}

int workload_labels_set(struct launch *launch, struct err *err)
{
	const struct lsm_labels *labels = &launch->plan->labels;
	int r = 0;

	if (labels->apparmor)
		r = lsm_label_exec(LSM_APPARMOR, labels->apparmor, launch->host_proc, "process.apparmorProfile", err);
	if (r == 0 && labels->selinux)
		r = lsm_label_exec(LSM_SELINUX, labels->selinux, launch->host_proc, "process.selinuxLabel", err);
	return r;
}

/* ---- resctrl ---- */

static struct resctrl_group rdt_group(const struct plan *plan)
{
	const struct bundle_rdt *rdt = plan->bundle->rdt;

	return (struct resctrl_group){
		.name = rdt->clos_id ?: plan->name,
		.schemata = rdt->schemata,
		.monitor = rdt->monitoring ? plan->name : NULL,
		.may_make = !rdt->clos_id || rdt->schemata,
	};
}

int runtime_rdt_create(struct launch *launch, struct err *err)
{
	const struct resctrl_group group = rdt_group(launch->plan);

	const int r = resctrl_open(&launch->rdt_root, err);
	return r < 0 ? r : resctrl_make(launch->rdt_root, &group, "linux.intelRdt", &launch->rdt_made, err);
}

int runtime_rdt_remove(struct launch *launch, struct err *err)
{
	const struct resctrl_group group = rdt_group(launch->plan);

	/* Others may have joined a group that config.json names. */
	if (launch->begun && launch->plan->bundle->rdt->clos_id)
		launch->rdt_made.group = false;
	return resctrl_remove(launch->rdt_root, &group, &launch->rdt_made, err);
}

int runtime_rdt_place(struct launch *launch, struct err *err)
{
	const struct resctrl_group group = rdt_group(launch->plan);
	int r = 0;

	if (launch->rdt_root < 0) /* exec: the group is there already */
		r = resctrl_open(&launch->rdt_root, err);
	return r < 0 ? r : resctrl_place(launch->rdt_root, &group, launch->init.pid, "linux.intelRdt", err);
}

/* ---- network devices ---- */

static const char *netdev_said(const struct bundle_netdev *device, char *buf, size_t size)
{
	snprintf(buf, size, "linux.netDevices.%s", device->host_name);
	return buf;
}

int runtime_netdevs_return(struct launch *launch, struct err *err)
{
	const struct plan_bundle *bundle = launch->plan->bundle;
	char said[64];
	int result = 0;

	/* What a container got stays its own: the kernel brings a physical device back, and takes away a virtual one, with the namespace. */
	for (size_t i = bundle->n_netdevs; i-- > 0 && launch->netdevs_moved && !launch->begun;) {
		const struct bundle_netdev *device = &bundle->netdevs[i];

		if (!launch->netdevs_moved[i].index)
			continue;
		const int r = netdev_return(&launch->netdev_way, &launch->netdevs_moved[i], device->host_name,
					    netdev_said(device, said, sizeof(said)), result ? NULL : err);
		result = result ?: r;
	}
	free(TAKE_PTR(launch->netdevs_moved));
	netdev_way_close(&launch->netdev_way);
	return result;
}

int runtime_netdevs_move(struct launch *launch, struct err *err)
{
	const struct plan_bundle *bundle = launch->plan->bundle;
	char said[64];

	launch->netdevs_moved = calloc(bundle->n_netdevs, sizeof(*launch->netdevs_moved));
	if (!launch->netdevs_moved)
		return err_oom(err);
	int r = netdev_way_open(&launch->init, &launch->netdev_way, err);
	for (size_t i = 0; i < bundle->n_netdevs && r == 0; i++) {
		const struct bundle_netdev *device = &bundle->netdevs[i];

		r = netdev_move(&launch->netdev_way, device->host_name, device->name,
				netdev_said(device, said, sizeof(said)), &launch->netdevs_moved[i], err);
	}
	/* A row that failed is not undone. */
	if (r < 0)
		(void)runtime_netdevs_return(launch, NULL);
	return r;
}

/* ---- the filter's listener ---- */

int runtime_listener_connect(struct launch *launch, struct err *err)
{
	return seccomp_listener_connect(plan_listener(launch->plan)->listener.path, "linux.seccomp.listenerPath",
					&launch->listener, err);
}

int runtime_listener_close(struct launch *launch, struct err *err)
{
	(void)err;
	closep(&launch->listener);
	launch->listener = FD_NONE;
	return 0;
}

int workload_listener_describe(struct launch *launch, struct err *err)
{
	const pid_t pid = procfs_self(launch->host_proc);

	if (!pid)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, ESRCH,
			       "linux.seccomp.listenerPath: this process in /proc of the host");
	return bundle_process_state(launch->plan, pid, &launch->listener_message, err);
}
