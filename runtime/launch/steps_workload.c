/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of the process that executes CMD: what it gives up, in the only order that works. */
#include <nsrun/launch/steps.h>

#include <nsrun/kernel/creds.h>
#include <nsrun/kernel/exec.h>
#include <nsrun/kernel/seccomp_notify.h>
#include <nsrun/launch/signals.h>

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/stat.h>

int workload_terminal_attach(struct launch *launch, struct err *err)
{
	const int r = tty_give(launch->pty_peer, launch->user.creds.uid, err);

	return r < 0 ? r : tty_make_controlling(launch->pty_peer, err);
}

int workload_session_new(struct launch *launch, struct err *err)
{
	(void)launch;
	/* EPERM: a leader already; what waits for start is one of its session. */
	if (setsid() < 0 && getsid(0) != getpid())
		return err_system(err, "new session");
	return 0;
}

int workload_stdin_null(struct launch *launch, struct err *err)
{
	const int last = wants_release(launch->plan) ? STDERR_FILENO : STDIN_FILENO;
	_cleanup_close_ int fd = launch->null_fd >= 0 ? fcntl(launch->null_fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)
						      : openat(launch->dev_fd, "null", O_RDONLY | O_CLOEXEC);

	for (int to = STDIN_FILENO; to <= last; to++)
		if (fd < 0 || dup3(fd, to, 0) < 0)
			return err_system(err, "/dev/null in the container");
	return 0;
}

/* Descriptors of this process' own that outlast this row get the numbers from `first` on, all of them close-on-exec. Returns how many there are. */
static int gather(struct launch *launch, int first, struct err *err)
{
	int *const kept[] = { &launch->channel, &launch->listener, &launch->gate };
	int n = 0;

	/* Out of the way of the first, and of each other. */
	for (size_t i = 1; i < ARRAY_LEN(kept); i++) {
		if (*kept[i] < 0)
			continue;
		*kept[i] = fcntl(*kept[i], F_DUPFD_CLOEXEC, first + (int)ARRAY_LEN(kept));
		if (*kept[i] < 0)
			return err_system(err, "descriptor to be kept: moving it");
	}
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		if (*kept[i] < 0)
			continue;
		if (*kept[i] != first + n && dup3(*kept[i], first + n, O_CLOEXEC) < 0)
			return err_system(err, "descriptor %d: moving it to %d", *kept[i], first + n);
		*kept[i] = first + n++;
	}
	return n;
}

int workload_fds_close(struct launch *launch, struct err *err)
{
	const struct plan_bundle *bundle = launch->plan->bundle;
	const int first = STDERR_FILENO + 1 + (int)(bundle ? bundle->preserve_fds : 0);

	/* Also the bond to the parent, which needs no descriptor once it is set. */
	const int n = gather(launch, first, err);
	if (n < 0)
		return n;
	/* Without close_range(2) the open descriptors are listed, and a /proc that the container has replaced could leave some out. */
	if (launch->plan->enter && launch->proc_fd < 0 && close_range((unsigned)(first + n), ~0U, 0) < 0)
		return err_system(err, "close_range, and %s has no procfs on /proc to do without it",
				  launch->plan->enter->label);
	return exec_close_from(first + n, launch->proc_fd, err);
}

int workload_signals_reset(struct launch *launch, struct err *err)
{
	return wants_gate(launch->plan) ? signals_reset_to_end(err) : signals_reset(err);
}

int workload_caps_bound(struct launch *launch, struct err *err)
{
	return caps_limit_bounding(launch->plan->caps.bounding, err);
}

int workload_caps_keep(struct launch *launch, struct err *err)
{
	(void)launch;
	return caps_keep_across_setuid(true, err);
}

int workload_creds_set(struct launch *launch, struct err *err)
{
	struct creds creds = launch->user.creds;

	/* Memberships that group(5) lists, and that nobody asked for, cannot be had where setgroups(2) is denied. */
	if (launch->plan->deny_setgroups)
		creds.n_groups = 0;
	return creds_set(&creds, !launch->plan->deny_setgroups, err);
}

int workload_umask_set(struct launch *launch, struct err *err)
{
	(void)err;
	umask(launch->plan->umask);
	return 0;
}

int workload_parent_keep(struct launch *launch, struct err *err)
{
	return creds_die_with(&launch->runtime, err);
}

int workload_cwd_enter(struct launch *launch, struct err *err)
{
	if (chdir(launch->plan->workdir) < 0)
		return err_system(err, "working directory %s in the container", launch->plan->workdir);
	return 0;
}

/* A user other than root gets what execve would leave it: nothing but the bounding set. config.json says all five sets itself. */
static struct cap_sets final_caps(const struct launch *launch)
{
	struct cap_sets caps = launch->plan->caps;

	if (launch->user.creds.uid != 0 && !plan_is_bundle(launch->plan))
		caps.effective = caps.permitted = caps.inheritable = caps.ambient = 0;
	return caps;
}

int workload_caps_set(struct launch *launch, struct err *err)
{
	const struct cap_sets caps = final_caps(launch);
	const bool still_loading = launch->wanted[STEP_CAPS_FINAL];

	return caps_set(&caps, still_loading ? CAP_MASK(CAP_SYS_ADMIN) : 0, err);
}

int workload_no_new_privs(struct launch *launch, struct err *err)
{
	(void)launch;
	return creds_no_new_privs(err);
}

int workload_seccomp_load(struct launch *launch, struct err *err)
{
	if (wants_listener(launch->plan))
		return seccomp_program_load_notify(launch->plan->seccomp, TAKE_FD(launch->listener),
						   launch->listener_message, "linux.seccomp.listenerPath", err);
	return seccomp_program_load(launch->plan->seccomp, err);
}

int workload_caps_final(struct launch *launch, struct err *err)
{
	const struct cap_sets caps = final_caps(launch);

	return caps_lower(&caps, err);
}

/* Where nothing of the file says why, a label does. */
static int blame_label(const struct lsm_labels *labels, const struct err *why, struct err *err)
{
	const char *field = labels->selinux ? "process.selinuxLabel" : "process.apparmorProfile";

	return err_set(err, why->kind, ERR_ID_LABEL_EXEC, why->errnum, "%s: %.200s: %s", field,
		       labels->selinux ?: labels->apparmor, why->message);
}

int workload_exec(struct launch *launch, struct err *err)
{
	execve(launch->executable, (char *const *)launch->argv, (char *const *)launch->env);

	const int errnum = errno;
	struct err why = ERR_INIT;

	exec_explain_failure(launch->executable, errnum, &why);
	if ((errnum == EACCES || errnum == EPERM) && why.id == ERR_ID_NONE && wants_labels(launch->plan))
		return blame_label(&launch->plan->labels, &why, err);
	return err_set(err, why.kind, why.id, why.errnum, "%s", why.message);
}
