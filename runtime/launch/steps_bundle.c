/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a container that was made from an OCI bundle: its gate, its hooks, its console. */
#include <nsrun/launch/steps.h>

#include <nsrun/base/file.h>
#include <nsrun/kernel/creds.h>
#include <nsrun/launch/gate.h>
#include <nsrun/launch/hooks.h>
#include <nsrun/plan/oci_state.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

int runtime_gate_open(struct launch *launch, struct err *err)
{
	return gate_open(launch->plan->state_dir, launch->tape, &launch->gate, err);
}

int runtime_gate_close(struct launch *launch, struct err *err)
{
	(void)err;
	closep(&launch->gate);
	launch->gate = FD_NONE;
	return 0;
}

int runtime_state_created(struct launch *launch, struct err *err)
{
	return state_record_init(launch->reservation, launch->init.pid, true, err);
}

int workload_gate_release(struct launch *launch, struct err *err)
{
	(void)launch;
	prctl(PR_SET_NAME, "nsrun-gate"); /* for who lists processes */
	if (prctl(PR_SET_PDEATHSIG, 0L) < 0)
		return err_system(err, "PR_SET_PDEATHSIG");
	return creds_set_dumpable(false, err);
}

int workload_gate_wait(struct launch *launch, struct err *err)
{
	return gate_wait(launch->gate, err);
}

/* ---- hooks ---- */

static int run_hooks(struct launch *launch, enum hook_kind kind, const char *status, pid_t pid, const char *dir,
		     struct err *err)
{
	const struct plan *plan = launch->plan;
	const struct plan_hooks *hooks = &plan->bundle->hooks[kind];

	if (hooks->n == 0)
		return 0;
	_cleanup_free_ char *state = oci_state_text(plan, status, pid);
	return state ? hooks_run(kind, hooks, state, dir, err) : err_oom(err);
}

int runtime_hooks_run(struct launch *launch, struct err *err)
{
	const pid_t pid = launch->init.pid;
	const char *dir = launch->plan->bundle->dir;

	const int r = run_hooks(launch, HOOK_PRESTART, "creating", pid, dir, err);
	return r < 0 ? r : run_hooks(launch, HOOK_CREATE_RUNTIME, "creating", pid, dir, err);
}

/* Hooks in the container's namespaces are told its pid there. */
int init_hooks_container(struct launch *launch, struct err *err)
{
	return run_hooks(launch, HOOK_CREATE_CONTAINER, "creating", getpid(), NULL, err);
}

/* The program comes from the rootfs, which may be hostile: it has what the workload has, and nothing else. */
int workload_hooks_start(struct launch *launch, struct err *err)
{
	return run_hooks(launch, HOOK_START_CONTAINER, "created", getpid(), NULL, err);
}

int launch_poststart(struct launch *launch, struct err *err)
{
	return run_hooks(launch, HOOK_POSTSTART, "running", launch->init.pid, launch->plan->bundle->dir, err);
}

/* ---- console ---- */

static int console_connect(const char *path, int *ret_fd, struct err *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *above = strndup(path, slash == path ? 1 : (size_t)(slash - path));
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int dir = FD_NONE, fd = FD_NONE;

	if (!above)
		return err_oom(err);
	dir = open(above, O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* sun_path has 108 bytes. */
	if (dir >= 0 && snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", dir, slash + 1) >=
				(int)sizeof(address.sun_path))
		return err_set(err, ERR_INPUT, ERR_ID_NONE, ENAMETOOLONG, "--console-socket %s", path);
	if (dir >= 0)
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return err_system(err, "--console-socket %s", path);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int runtime_console_send(struct launch *launch, struct err *err)
{
	const char *path = launch->plan->bundle->console_socket;
	_cleanup_close_ int fd = FD_NONE;

	const int r = console_connect(path, &fd, err);
	if (r < 0)
		return r;
	/* The name is what runc says; engines take it for a name alone. */
	if (send_with_fd(fd, "/dev/ptmx", launch->pty_master) < 0)
		return err_system(err, "--console-socket %s: sending the terminal", path);
	closep(&launch->pty_master);
	launch->pty_master = FD_NONE;
	return 0;
}
