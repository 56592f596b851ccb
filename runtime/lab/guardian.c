/* SPDX-License-Identifier: Apache-2.0 */
/* What is left when a lab ends, in whatever way: nothing. */
#include <nsrun/lab/spawn.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/plan/container.h>

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PIPE_FD 3
#define LOCK_FD 4
#define TRIES 100 /* a fifth of a second each, at least */
#define ENVIRONMENT_MAX (1024 * 1024)
#define TOKEN_MAX 64

/* NUL parts the variables. */
static bool is_marked(pid_t pid, const char *mark)
{
	_cleanup_free_ char *data = NULL;
	char path[64];
	size_t size;

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	if (file_read_virtual_at(AT_FDCWD, path, ENVIRONMENT_MAX, &data, &size, NULL) < 0)
		return false; /* it has ended, or is another user's */
	for (const char *p = data; p < data + size; p += strlen(p) + 1)
		if (streq(p, mark))
			return true;
	return false;
}

static bool end_if_marked(pid_t pid, const char *mark)
{
	_cleanup_(pidref_close) struct pidref ref = PIDREF_NONE;

	/* Asked again once it is held: the number may be another process' now. */
	if (pid == getpid() || !is_marked(pid, mark) || pidref_open(pid, &ref, NULL) < 0 || !is_marked(pid, mark))
		return false;
	return pidref_kill(&ref, SIGKILL, NULL) == 0;
}

void lab_end_marked(const char *token)
{
	char mark[128];

	snprintf(mark, sizeof(mark), "NSRUN_LAB=%s", token);
	for (int tries = 0; tries < TRIES; tries++) {
		_cleanup_closedir_ DIR *proc = opendir("/proc");
		bool some = false;

		if (!proc)
			return;
		for (struct dirent *entry; (entry = readdir(proc));) {
			uint32_t pid;

			if (parse_u32(entry->d_name, &pid) == 0 && end_if_marked((pid_t)pid, mark))
				some = true;
		}
		if (!some)
			return;
		usleep(20000);
	}
}

static void command(const char *program, const char *const *words)
{
	const pid_t pid = fork();

	if (pid == 0) {
		execv(program, (char *const *)words);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* False: nothing was left. */
static bool remove_containers(const char *program)
{
	struct container *list = NULL;
	struct err err = ERR_INIT;
	size_t n = 0;

	if (container_list(&list, &n, NULL, NULL, &err) < 0)
		return false;
	const char **words = calloc(n + 4, sizeof(*words));

	if (words && n > 0) {
		words[0] = "nsrun";
		words[1] = "rm";
		words[2] = "-f";
		for (size_t i = 0; i < n; i++)
			words[3 + i] = list[i].id;
		command(program, words);
	}
	for (size_t i = 0; i < n; i++)
		if (container_is_bundle(&list[i]))
			command(program,
				(const char *const[]){ "nsrun", "delete", "--force", container_label(&list[i]), NULL });
	free(words);
	containers_free(list, n);
	/* Those without a name, and what a launch had not finished. */
	command(program, (const char *const[]){ "nsrun", "gc", NULL });
	return n > 0;
}

static _Noreturn void guard(const char *program, const char *token)
{
	char byte;
	ssize_t n;

	while ((n = read(PIPE_FD, &byte, 1)) > 0 || (n < 0 && errno == EINTR))
		;
	/* A process that was forked and not executed yet has no such environment, but ends by its parent-death signal before. */
	for (int tries = 0; tries < TRIES; tries++) {
		lab_end_marked(token);
		if (!remove_containers(program) && tries > 0)
			break;
	}
	_exit(ftruncate(LOCK_FD, 0) < 0);
}

static _Noreturn void become_guardian(const char *program, const char *token, int pipe_fd, int lock_fd)
{
	static const int ignored[] = { SIGHUP,	SIGINT,	 SIGQUIT, SIGTERM, SIGPIPE,
				       SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2 };
	const int null = open("/dev/null", O_RDWR);

	/* The commands that it starts are not what it ends. */
	(void)unsetenv("NSRUN_LAB");
	if (setsid() < 0 || null < 0)
		_exit(1);
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
	/* Above what they are moved to, so that none is overwritten. */
	const int pipe_high = fcntl(pipe_fd, F_DUPFD, 16), lock_high = fcntl(lock_fd, F_DUPFD, 16);

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		(void)dup2(null, fd);
	if (dup2(pipe_high, PIPE_FD) < 0 || dup2(lock_high, LOCK_FD) < 0)
		_exit(1);
	/* Whoever waits for the end of the lab's output must not wait for this. */
	(void)close_range(LOCK_FD + 1, ~0U, 0);
	(void)fcntl(PIPE_FD, F_SETFD, FD_CLOEXEC);
	(void)fcntl(LOCK_FD, F_SETFD, FD_CLOEXEC);
	(void)prctl(PR_SET_NAME, "nsrun-guardian");
	guard(program, token);
}

/* The lock's text is the token of the lab that holds it; of one that has held it, if its guardian was killed before it was done. */
static int take_over(const char *token, int lock_fd, struct err *err)
{
	char earlier[TOKEN_MAX];
	const ssize_t n = pread(lock_fd, earlier, sizeof(earlier) - 1, 0);

	if (n < 0)
		return err_system(err, "the lab's lock");
	earlier[n] = '\0';
	if (streq(earlier, token))
		return 0; /* the same lab needs another guardian */
	if (n > 0)
		lab_end_marked(earlier);
	if (ftruncate(lock_fd, 0) < 0 || pwrite(lock_fd, token, strlen(token), 0) != (ssize_t)strlen(token))
		return err_system(err, "the lab's lock");
	return 0;
}

int lab_guardian_start(const char *program, const char *token, int lock_fd, int *ret_pipe, struct pidref *ret,
		       struct err *err)
{
	_cleanup_close_ int reader = FD_NONE, writer = FD_NONE;
	int ends[2];

	const int taken = take_over(token, lock_fd, err);
	if (taken < 0)
		return taken;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_system(err, "guardian: pipe");
	reader = ends[0];
	writer = ends[1];
	const pid_t pid = fork();

	if (pid < 0)
		return err_system(err, "guardian: fork");
	if (pid == 0) {
		close(writer);
		become_guardian(program, token, reader, lock_fd);
	}
	const int r = pidref_open(pid, ret, err);
	if (r == 0)
		*ret_pipe = TAKE_FD(writer);
	return r;
}
