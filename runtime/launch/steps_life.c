/* SPDX-License-Identifier: Apache-2.0 */
/* Rows for those who look at a container: its log, its control socket, its output, files that name it. */
#include <nsrun/launch/steps.h>

#include <nsrun/base/file.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

bool wants_cidfile(const struct plan *plan)
{
	return plan->cidfile;
}

bool wants_pidfile(const struct plan *plan)
{
	return plan->pidfile;
}

bool wants_log(const struct plan *plan)
{
	return plan->log.driver == LOG_FILE;
}

bool wants_control(const struct plan *plan)
{
	return plan->attachable;
}

bool wants_output_pipes(const struct plan *plan)
{
	return plan->output_pipes;
}

bool wants_user_terminal(const struct plan *plan)
{
	return plan->terminal && !plan->keeper && !wants_console_socket(plan);
}

bool wants_kept_terminal(const struct plan *plan)
{
	return plan->terminal && plan->keeper;
}

/* The directory that holds an absolute path, and its name there. Held until the end: a file is removed where it was written, since the owner of
 * the directory may have put a link to another one in its place by then. */
static int open_above(const char *option, const char *path, int *ret_dir, const char **ret_name, struct err *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *above = strndup(path, slash == path ? 1 : (size_t)(slash - path));
	_cleanup_close_ int dir = FD_NONE;

	if (!above)
		return err_oom(err);
	if (!slash[1])
		return err_input(err, "%s %s: names a directory", option, path);
	dir = open(above, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_system(err, "%s %s: %s", option, path, above);
	*ret_dir = TAKE_FD(dir);
	*ret_name = slash + 1;
	return 0;
}

static int remove_from(const char *option, const char *path, int dir, struct err *err)
{
	if (unlinkat(dir, strrchr(path, '/') + 1, 0) < 0 && errno != ENOENT)
		return err_system(err, "%s %s: removing it", option, path);
	return 0;
}

int runtime_cid_write(struct launch *launch, struct err *err)
{
	const struct plan *plan = launch->plan;
	const char *name;

	int r = open_above("--cidfile", plan->cidfile, &launch->cidfile_dir, &name, err);
	if (r < 0)
		return r;
	_cleanup_close_ int fd =
		openat(launch->cidfile_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (fd < 0 && errno == EEXIST)
		return err_set(err, ERR_INPUT, ERR_ID_NONE, EEXIST,
			       "--cidfile %s: is there already; remove it once its container is not needed",
			       plan->cidfile);
	if (fd < 0)
		return err_system(err, "--cidfile %s", plan->cidfile);
	r = write_all(fd, plan->id, strlen(plan->id));
	if (r < 0) {
		(void)unlinkat(launch->cidfile_dir, name, 0);
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "--cidfile %s: write", plan->cidfile);
	}
	return 0;
}

int runtime_cid_remove(struct launch *launch, struct err *err)
{
	return launch->begun ? 0 : remove_from("--cidfile", launch->plan->cidfile, launch->cidfile_dir, err);
}

static const char *pidfile_option(const struct plan *plan)
{
	return plan_is_bundle(plan) ? "--pid-file" : "--pidfile";
}

/* rename(2) would put a file in the place of a device node, /dev/null among them. */
static int check_pidfile(const char *option, const char *path, int dir_fd, const char *name, struct err *err)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_system(err, "%s %s", option, path);
	if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
		return err_input(err, "%s %s: is there, and is no regular file", option, path);
	return 0;
}

int runtime_pid_write(struct launch *launch, struct err *err)
{
	const char *option = pidfile_option(launch->plan), *name;
	char text[16];

	int r = open_above(option, launch->plan->pidfile, &launch->pidfile_dir, &name, err);
	if (r == 0)
		r = check_pidfile(option, launch->plan->pidfile, launch->pidfile_dir, name, err);
	if (r < 0)
		return r;
	/* Engines take a newline for a part of the number. */
	snprintf(text, sizeof(text), plan_is_bundle(launch->plan) ? "%d" : "%d\n", (int)launch->init.pid);
	struct err why = ERR_INIT;
	r = file_replace_at(launch->pidfile_dir, name, 0644, text, strlen(text), &why);
	return r < 0 ? err_set(err, why.kind, why.id, why.errnum, "%s %s", option, launch->plan->pidfile) : 0;
}

int runtime_pid_remove(struct launch *launch, struct err *err)
{
	return remove_from(pidfile_option(launch->plan), launch->plan->pidfile, launch->pidfile_dir, err);
}

int runtime_log_open(struct launch *launch, struct err *err)
{
	return log_writer_new(launch->plan->state_dir, &launch->plan->log, &launch->log, err);
}

int runtime_log_close(struct launch *launch, struct err *err)
{
	(void)err;
	log_writer_free(TAKE_PTR(launch->log));
	return 0;
}

int runtime_control_listen(struct launch *launch, struct err *err)
{
	int r = control_server_new(launch->plan->state_dir, &launch->server, err);

	if (r == 0 && launch->client >= 0)
		r = control_server_adopt(launch->server, TAKE_FD(launch->client), err);
	return r;
}

/* Once the container has ended, the server is with whoever tells its clients. */
int runtime_control_close(struct launch *launch, struct err *err)
{
	(void)err;
	control_server_free(TAKE_PTR(launch->server));
	return 0;
}

static int open_pipe(const struct plan *plan, int *ret_read, int *ret_write, struct err *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_system(err, "pipe for the workload");
	*ret_read = fds[0];
	*ret_write = fds[1];
	/* Whoever opens /dev/stdout is checked against the pipe's owner; an ordinary user's container root is that user. */
	if (plan->caller != CALLER_USER_RANGES && plan->caller != CALLER_USER_SINGLE &&
	    (fchown(fds[0], plan->root_uid, plan->root_gid) < 0))
		return err_system(err, "pipe for the workload: owner");
	return 0;
}

int runtime_output_open(struct launch *launch, struct err *err)
{
	int r = open_pipe(launch->plan, &launch->outputs[0], &launch->workload_fds[1], err);

	if (r == 0)
		r = open_pipe(launch->plan, &launch->outputs[1], &launch->workload_fds[2], err);
	if (r == 0 && launch->plan->stdin_pipe)
		r = open_pipe(launch->plan, &launch->workload_fds[0], &launch->input, err);
	return r;
}

int runtime_output_close(struct launch *launch, struct err *err)
{
	(void)err;
	launch_close_streams(launch, true, true);
	return 0;
}

void launch_close_streams(struct launch *launch, bool ours, bool workloads)
{
	int *const own[] = { &launch->outputs[0], &launch->outputs[1], &launch->input };

	for (size_t i = 0; ours && i < ARRAY_LEN(own); i++) {
		closep(own[i]);
		*own[i] = FD_NONE;
	}
	for (size_t i = 0; workloads && i < ARRAY_LEN(launch->workload_fds); i++) {
		closep(&launch->workload_fds[i]);
		launch->workload_fds[i] = FD_NONE;
	}
}

int runtime_terminal_take(struct launch *launch, struct err *err)
{
	const int flags = fcntl(launch->pty_master, F_GETFL);

	if (flags < 0 || fcntl(launch->pty_master, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_system(err, "terminal of the container");
	return 0;
}

int workload_output_attach(struct launch *launch, struct err *err)
{
	const uid_t uid = launch->user.creds.uid;

	for (int i = 0; i < (int)ARRAY_LEN(launch->workload_fds); i++) {
		if (launch->workload_fds[i] < 0)
			continue;
		if (uid != 0 && fchown(launch->workload_fds[i], uid, (gid_t)-1) < 0)
			return err_system(err, "pipe for the workload: owner");
		if (dup3(launch->workload_fds[i], i, 0) < 0)
			return err_system(err, "pipe for the workload: making it descriptor %d", i);
	}
	return 0;
}
