/* SPDX-License-Identifier: Apache-2.0 */
/* process.scheduler, ioPriority, execCPUAffinity, apparmorProfile, selinuxLabel: also of the process that exec is given. */
#include <nsrun/oci/config.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/lsm.h>

#include <linux/ioprio.h>
#include <linux/sched.h>

#define CPUS_MAX 8192

static int missing(const struct json_at *object, const char *key, struct err *err)
{
	return json_at_err(object, err, "\"%s\" is missing", key);
}

/* ---- scheduler ---- */

static const char *const policies[] = { "SCHED_OTHER", "SCHED_FIFO", "SCHED_RR",       "SCHED_BATCH",
					"SCHED_ISO",   "SCHED_IDLE", "SCHED_DEADLINE", NULL };
#define SCHED_ISO 4 /* reserved, and nowhere in the kernel */

static const char *const scheduler_flags[] = { "SCHED_FLAG_RESET_ON_FORK",  "SCHED_FLAG_RECLAIM",
					       "SCHED_FLAG_DL_OVERRUN",	    "SCHED_FLAG_KEEP_POLICY",
					       "SCHED_FLAG_KEEP_PARAMS",    "SCHED_FLAG_UTIL_CLAMP_MIN",
					       "SCHED_FLAG_UTIL_CLAMP_MAX", NULL };

static int read_scheduler_flags(const struct json_at *object, uint64_t *ret, struct err *err)
{
	struct json_at list;

	if (!json_at_key(object, "flags", &list))
		return 0;
	int r = json_at_array(&list, err);
	for (size_t i = 0; r == 0 && i < json_array_size(list.value); i++) {
		const struct json_at entry = json_at_entry(&list, i);
		size_t bit = 0;

		r = json_at_word(&entry, scheduler_flags, &bit, err);
		/* sched_setattr(2) takes a value with each of these, and the specification has none. */
		if (r == 0 && (1U << bit & SCHED_FLAG_UTIL_CLAMP))
			return json_at_err(&entry, err, "%s goes with a utilization, for which there is no field",
					   scheduler_flags[bit]);
		*ret |= UINT64_C(1) << bit;
	}
	return r;
}

/* What the kernel would answer with EINVAL alone. */
static int check_scheduler(const struct json_at *object, const struct scheduler_setting *s, struct err *err)
{
	const bool realtime = s->policy == SCHED_FIFO || s->policy == SCHED_RR;
	const char *policy = policies[s->policy];
	struct json_at at;

	if (s->policy == SCHED_ISO) {
		json_at_key(object, "policy", &at);
		return json_at_err(&at, err, "Linux has reserved SCHED_ISO and never implemented it");
	}
	if (!json_at_key(object, "priority", &at))
		at = *object;
	if (realtime && (s->priority < 1 || s->priority > 99))
		return json_at_err(&at, err, "%s takes a priority from 1 to 99", policy);
	if (!realtime && s->priority != 0)
		return json_at_err(&at, err, "%s has no priority but 0", policy);
	if (s->policy == SCHED_DEADLINE && (s->runtime == 0 || s->deadline < s->runtime))
		return json_at_err(object, err, "%s takes a runtime above 0 and a deadline that is no smaller", policy);
	if (s->policy != SCHED_DEADLINE && (s->runtime || s->deadline || s->period))
		return json_at_err(object, err, "runtime, deadline and period are of SCHED_DEADLINE, this is %s",
				   policy);
	return 0;
}

static int read_scheduler(const struct json_at *process, struct plan *plan, struct err *err)
{
	struct scheduler_setting *s = arena_alloc(plan->arena, sizeof(*s));
	int64_t nice = 0, priority = 0, runtime = 0, deadline = 0, period = 0;
	struct json_at object, at;
	size_t policy = 0;

	if (!json_at_key(process, "scheduler", &object))
		return 0;
	if (!s)
		return err_oom(err);
	int r = json_at_object(&object, err);
	if (r == 0 && !json_at_key(&object, "policy", &at))
		return missing(&object, "policy", err);
	if (r == 0)
		r = json_at_word(&at, policies, &policy, err);
	if (r == 0)
		r = json_at_int_of(&object, "nice", -20, 19, &nice, err);
	if (r == 0)
		r = json_at_int_of(&object, "priority", 0, INT32_MAX, &priority, err);
	if (r == 0)
		r = json_at_int_of(&object, "runtime", 0, INT64_MAX, &runtime, err);
	if (r == 0)
		r = json_at_int_of(&object, "deadline", 0, INT64_MAX, &deadline, err);
	if (r == 0)
		r = json_at_int_of(&object, "period", 0, INT64_MAX, &period, err);
	if (r == 0)
		r = read_scheduler_flags(&object, &s->flags, err);
	if (r < 0)
		return r;
	s->policy = (uint32_t)policy;
	s->nice = (int32_t)nice;
	s->priority = (uint32_t)priority;
	s->runtime = (uint64_t)runtime;
	s->deadline = (uint64_t)deadline;
	s->period = (uint64_t)period;
	plan->scheduler = s;
	return check_scheduler(&object, s, err);
}

/* ---- I/O ---- */

static int read_io_priority(const struct json_at *process, struct plan *plan, struct err *err)
{
	static const char *const classes[] = { "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE", NULL };
	struct io_priority *p = arena_alloc(plan->arena, sizeof(*p));
	struct json_at object, at;
	int64_t level = 0;
	size_t class = 0;

	if (!json_at_key(process, "ioPriority", &object))
		return 0;
	if (!p)
		return err_oom(err);
	int r = json_at_object(&object, err);
	if (r == 0 && !json_at_key(&object, "class", &at))
		return missing(&object, "class", err);
	if (r == 0)
		r = json_at_word(&at, classes, &class, err);
	if (r == 0)
		r = json_at_int_of(&object, "priority", 0, IOPRIO_NR_LEVELS - 1, &level, err);
	if (r < 0)
		return r;
	p->class = IOPRIO_CLASS_RT + (int)class;
	p->level = (int)level;
	plan->io_priority = p;
	return 0;
}

/* ---- processors ---- */

static int read_cpus(const struct json_at *object, const char *key, struct arena *arena, struct number_set *ret,
		     struct err *err)
{
	struct json_at at;
	const char *text = "";

	if (!json_at_key(object, key, &at))
		return 0;
	int r = json_at_string(&at, NULL, &text, err);
	if (r < 0)
		return r;
	r = number_set_parse(arena, text, CPUS_MAX, ret);
	if (r == -ENOMEM)
		return err_oom(err);
	if (r < 0)
		return json_at_err(&at, err, "'%s': processors are listed as in 0-3,7, each below %d", text, CPUS_MAX);
	return 0;
}

static int read_affinity(const struct json_at *process, struct plan *plan, struct err *err)
{
	struct exec_affinity *affinity = arena_alloc(plan->arena, sizeof(*affinity));
	struct json_at object;

	if (!json_at_key(process, "execCPUAffinity", &object))
		return 0;
	if (!affinity)
		return err_oom(err);
	int r = json_at_object(&object, err);
	if (r == 0)
		r = read_cpus(&object, "initial", plan->arena, &affinity->initial, err);
	if (r == 0)
		r = read_cpus(&object, "final", plan->arena, &affinity->final, err);
	/* config.md: it is not for the container's first process. */
	if (r == 0 && plan->enter && (affinity->initial.words || affinity->final.words))
		plan->exec_affinity = affinity;
	return r;
}

/* ---- labels ---- */

static int read_label(const struct json_at *process, const char *key, enum lsm lsm, const char *name,
		      const char *always, struct arena *arena, const char **ret, struct err *err)
{
	const char *label = NULL;
	struct json_at at;

	if (!json_at_key(process, key, &at))
		return 0;
	const int r = json_at_string(&at, arena, &label, err);
	if (r < 0 || !*label)
		return r;
	if (!lsm_enabled(lsm)) {
		/* Without the module this is how it is anyway. */
		if (always && streq(label, always))
			return 0;
		return json_at_err_id(&at, err, ERR_ID_LSM_ABSENT, "'%s': %s is not active on this host", label, name);
	}
	*ret = label;
	return 0;
}

int oci_read_settings(const struct json_at *process, struct plan *plan, struct err *err)
{
	int r = read_scheduler(process, plan, err);

	if (r == 0)
		r = read_io_priority(process, plan, err);
	if (r == 0)
		r = read_affinity(process, plan, err);
	if (r == 0)
		r = read_label(process, "apparmorProfile", LSM_APPARMOR, "AppArmor", "unconfined", plan->arena,
			       &plan->labels.apparmor, err);
	if (r == 0)
		r = read_label(process, "selinuxLabel", LSM_SELINUX, "SELinux", NULL, plan->arena,
			       &plan->labels.selinux, err);
	return r;
}
