/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/process.h>

#include <linux/ioprio.h>
#include <sys/syscall.h>

/* As the kernel has it since 5.3. glibc declares one of this purpose since 2.41, linux/sched/types.h one that collides with it. */
struct kernel_sched_attr {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};

int scheduler_apply(const struct pidref *process, const struct scheduler_setting *setting, const char *said,
		    struct err *err)
{
	const struct kernel_sched_attr attr = {
		.size = sizeof(attr),
		.policy = setting->policy,
		.flags = setting->flags,
		.nice = setting->nice,
		.priority = setting->priority,
		.runtime = setting->runtime,
		.deadline = setting->deadline,
		.period = setting->period,
	};

	if (syscall(SYS_sched_setattr, process->pid, &attr, 0) == 0)
		return 0;
	return err_system_id(err, errno == EPERM ? ERR_ID_SCHEDULER : ERR_ID_NONE, "%s: sched_setattr", said);
}

int io_priority_apply(const struct pidref *process, const struct io_priority *priority, const char *said,
		      struct err *err)
{
	const int value = priority->class << IOPRIO_CLASS_SHIFT | priority->level;

	if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, process->pid, value) == 0)
		return 0;
	return err_system_id(err, errno == EPERM ? ERR_ID_SCHEDULER : ERR_ID_NONE, "%s: ioprio_set", said);
}
