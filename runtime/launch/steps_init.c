/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of init that are not about files. */
#include <nsrun/launch/steps.h>

#include <nsrun/kernel/creds.h>
#include <nsrun/kernel/notify.h>
#include <nsrun/kernel/exec.h>
#include <nsrun/kernel/lsm.h>
#include <nsrun/kernel/sysctl.h>
#include <nsrun/kernel/title.h>

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

int init_parent_bind(struct launch *launch, struct err *err)
{
	return creds_die_with(&launch->runtime, err);
}

int init_become_root(struct launch *launch, struct err *err)
{
	return creds_become_root(!launch->plan->deny_setgroups, err);
}

/* A change of ids clears dumpable and the parent-death signal (commit_creds in the kernel). */
static int renew_bond(struct launch *launch, struct err *err)
{
	/* Among the processes of a user namespace that was joined some may have CAP_SYS_PTRACE there, and this one has descriptors of the host
	 * (CVE-2016-9962). What it opens of its own in /proc it may open all the same, but for timens_offsets. */
	const bool hidden = launch->plan->ns[NS_USER].use == NS_JOIN || launch->plan->enter;
	const int r = creds_set_dumpable(!hidden, err);

	return r < 0 ? r : creds_die_with(&launch->runtime, err);
}

int init_parent_rebind(struct launch *launch, struct err *err)
{
	return renew_bond(launch, err);
}

int init_keyring_new(struct launch *launch, struct err *err)
{
	const char *label = launch->plan->labels.selinux;
	int r = 0;

	/* The kernel forgets it at execve(2). */
	if (label)
		r = lsm_label_keys(label, launch->host_proc, "process.selinuxLabel", err);
	return r < 0 ? r : creds_new_session_keyring(err);
}

int init_cgroup_attach(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;

	return cgroup_enter_v1(plan->cgroup_host, plan->cgroup_path, launch->tasks_fds, err);
}

int init_cgroupns_unshare(struct launch *launch, struct err *err)
{
	(void)launch;
	if (unshare(CLONE_NEWCGROUP) < 0)
		return err_system(err, "cgroup namespace");
	return 0;
}

int init_umask_set(struct launch *launch, struct err *err)
{
	(void)launch;
	(void)err;
	umask(022);
	return 0;
}

int init_hostname_set(struct launch *launch, struct err *err)
{
	const char *name = launch->plan->hostname;

	if (sethostname(name, strlen(name)) < 0)
		return err_system(err, "hostname %s", name);
	return 0;
}

int init_domainname_set(struct launch *launch, struct err *err)
{
	const char *name = launch->plan->domainname;

	if (setdomainname(name, strlen(name)) < 0)
		return err_system(err, "domainname %s", name);
	return 0;
}

int init_sysctls_write(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;

	/* A bound procfs is read-only; what it shows of /proc/sys depends on the process that looks, and the host's is still there. */
	_cleanup_close_ int bound = FD_NONE;
	if (plan_ns_view(plan, NS_PID) == NS_VIEW_BOUND) {
		bound = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (bound < 0)
			return err_system(err, "/proc of the host");
	}
	for (size_t i = 0; i < plan->n_sysctls; i++) {
		const int r = sysctl_write(bound >= 0 ? bound : launch->proc_fd, plan->sysctls[i].path,
					   plan->sysctls[i].value, err);

		if (r < 0)
			return r;
	}
	return 0;
}

int init_loopback_up(struct launch *launch, struct err *err)
{
	struct ifreq request = { .ifr_name = "lo" };

	(void)launch;
	/* Any socket takes these requests (netdevice(7)); a local one does not depend on IPv4. */
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return err_system(err, "loopback device");
	request.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return err_system(err, "loopback device: setting it up");
	return 0;
}

int init_terminal_open(struct launch *launch, struct err *err)
{
	if (launch->pts_fd < 0)
		return err_input(err, "a terminal needs a devpts on /dev/pts, and none is mounted there");
	const int r = tty_open_pty(launch->pts_fd, &launch->pty_master, &launch->pty_peer, err);

	/* Here and not only in the runtime, which goes on beside the workload: a program reads the size first of all. */
	const struct plan_bundle *bundle = launch->plan->bundle;
	const struct winsize said = { .ws_row = bundle ? bundle->console_rows : 0,
				      .ws_col = bundle ? bundle->console_columns : 0 };

	if (r == 0 && bundle && bundle->has_console_size)
		(void)ioctl(launch->pty_master, TIOCSWINSZ, &said);
	else if (r == 0 && launch->plan->keeper)
		(void)ioctl(launch->pty_master, TIOCSWINSZ, &launch->size);
	else if (r == 0)
		(void)tty_copy_size(STDIN_FILENO, launch->pty_master);
	return r;
}

static const char *env_value(const char *const *env, const char *name)
{
	const size_t n = strlen(name);

	for (; *env; env++)
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
			return *env + n + 1;
	return NULL;
}

#define ADDED_MAX 4 /* by add_activation() */

/* In the place of one of the same name: there is room for what is added. */
static int set_variable(struct launch *launch, const char *name, const char *value, struct err *err)
{
	const size_t length = strlen(name);
	char *text = NULL;
	size_t i = 0;

	if (asprintf(&text, "%s=%s", name, value) < 0)
		return err_oom(err);
	while (launch->env[i] && !(strncmp(launch->env[i], name, length) == 0 && launch->env[i][length] == '='))
		i++;
	launch->env[i] = text;
	return 0;
}

/* Of this launch alone: none of it is in the record, and exec gives it to nobody. */
static int add_activation(struct launch *launch, struct err *err)
{
	const struct plan_bundle *bundle = launch->plan->bundle;
	char count[16], pid[16];
	int r = 0;

	if (bundle->notify)
		r = set_variable(launch, "NOTIFY_SOCKET", PLAN_NOTIFY_DIR "/" NOTIFY_FILE, err);
	if (r < 0 || bundle->listen_fds == 0)
		return r;
	/* sd_listen_fds(3) compares it with getpid(2): 1 but in a pid namespace of others. This process executes the workload. */
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	snprintf(count, sizeof(count), "%u", bundle->listen_fds);
	r = set_variable(launch, "LISTEN_FDS", count, err);
	if (r == 0)
		r = set_variable(launch, "LISTEN_PID", pid, err);
	return r == 0 && bundle->listen_names ? set_variable(launch, "LISTEN_FDNAMES", bundle->listen_names, err) : r;
}

int init_user_resolve(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;
	size_t n = 0;

	closep(&launch->root_fd);
	launch->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (launch->root_fd < 0)
		return err_system(err, "/ in the container");
	int r = user_resolve(launch->root_fd, plan->user, &launch->user, err);
	if (r == 0 && plan->groups)
		r = user_add_groups(launch->root_fd, plan->groups, &launch->user, err);
	if (r < 0)
		return r;

	while (plan->env[n])
		n++;
	launch->env = calloc(n + 1 + ADDED_MAX + 1, sizeof(*launch->env)); /* lives until execve */
	if (!launch->env)
		return err_oom(err);
	memcpy(launch->env, plan->env, n * sizeof(*launch->env));
	if (!env_value(plan->env, "HOME"))
		r = set_variable(launch, "HOME", launch->user.home, err);
	return r == 0 && plan_is_bundle(plan) ? add_activation(launch, err) : r;
}

/* A directory of PATH that the workload's user cannot search is passed over, as that user's shell would. setfsuid(2) lends the ids for
 * access to files and suspends the capabilities that override permissions (capabilities(7)). -ENOENT: not found so. */
static int find_as_user(struct launch *launch, const char *cmd, const char *path, struct err *err)
{
	setfsgid(launch->user.creds.gid);
	setfsuid(launch->user.creds.uid);
	const int found = exec_find(cmd, path, &launch->executable, NULL);
	setfsuid(0);
	setfsgid(0);

	const int r = renew_bond(launch, err); /* a change of fsuid clears it, too */
	if (r < 0)
		return r;
	return found < 0 ? -ENOENT : 0;
}

int init_argv_resolve(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;
	const char *path = env_value(launch->env, "PATH");
	_cleanup_free_ char *joined = NULL;

	launch->argv = (const char **)plan->argv;
	if (!launch->argv) {
		launch->shell[0] = *launch->user.shell ? launch->user.shell : "/bin/sh";
		launch->argv = launch->shell;
	}

	/* A relative name with a slash means the working directory, which is entered with the workload's rights, later. */
	const char *cmd = launch->argv[0];
	if (*cmd != '/' && strchr(cmd, '/')) {
		if (asprintf(&joined, "%s/%s", plan->workdir, cmd) < 0)
			return err_oom(err);
		cmd = joined;
	}
	int r = -ENOENT;
	if (launch->user.creds.uid != 0)
		r = find_as_user(launch, cmd, path, err);
	/* What the user cannot reach is found here all the same, and execve(2), with all of the workload's rights, has the last word. */
	if (r == -ENOENT)
		r = exec_find(cmd, path, &launch->executable, err);
	return r;
}

int init_workload_fork(struct launch *launch, struct err *err)
{
	/* Both before the fork: afterwards the workload could be faster than this process. Its own execve makes it dumpable again. */
	int r = title_replace(launch->proc_fd, "nsrun-init", err);
	if (r == 0)
		r = creds_set_dumpable(false, err);
	if (r < 0)
		return r;
	/* Where this is not PID 1, orphans would go to that one. */
	if (!plan_owns_ns(launch->plan, NS_PID) && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return err_system(err, "becoming the reaper of the container");

	const pid_t pid = fork();
	if (pid < 0)
		return err_system(err, "workload: making its process");
	if (pid == 0) {
		launch->roles = ROLE_WORKLOAD;
		return 0;
	}
	launch->workload = pid;

	/* The reaper holds nothing: neither the caller's terminal or pipes nor the channel, whose end tells of the execve. */
	const int null = openat(launch->dev_fd, "null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return err_system(err, "/dev/null in the container");
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (dup3(null, fd, 0) < 0)
			return err_system(err, "/dev/null in the container");
	if (close_range(STDERR_FILENO + 1, ~0U, 0) < 0)
		return err_system(err, "closing what the reaper does not need");
	return 0;
}
