/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/launching.h>

#include <nsrun/base/strings.h>
#include <nsrun/cli/containers.h>
#include <nsrun/cli/report.h>
#include <nsrun/kernel/exec.h>
#include <nsrun/kernel/self.h>

#include <fcntl.h>
#include <signal.h>

#define PRESERVED_MAX 1024

int trace_open(const char *name, FILE **ret, struct err *err)
{
	_cleanup_close_ int fd = FD_NONE;
	FILE *file;

	if (!name)
		return 0;
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
	if (fd < 0)
		return err_system(err, "--trace-file %s: open", name);
	if (fd != TRACE_FD) {
		if (dup3(fd, TRACE_FD, O_CLOEXEC) < 0)
			return err_system(err, "--trace-file %s: descriptor %d", name, TRACE_FD);
		close(fd);
		fd = TRACE_FD;
	}
	file = fdopen(fd, "w");
	if (!file)
		return err_system(err, "--trace-file %s: stream", name);
	TAKE_FD(fd);
	*ret = file;
	return 0;
}

int close_descriptors(unsigned first, struct err *err)
{
	const int log = report_log_fd();

	if (log >= (int)first && ((unsigned)log > first && close_range(first, (unsigned)log - 1, 0) < 0))
		return err_system(err, "close_range");
	return exec_close_from(log >= (int)first ? log + 1 : (int)first, FD_NONE, err);
}

int activation_read(struct activation *ret, struct err *err)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS"), *notify = getenv("NOTIFY_SOCKET");
	uint32_t own = 0, n = 0;

	ret->notify = notify && *notify ? notify : NULL;
	/* Meant for another process, which has left its environment to us (sd_listen_fds(3)). */
	if (!pid || !count || parse_u32(pid, &own) < 0 || own != (uint32_t)getpid())
		return 0;
	if (parse_u32(count, &n) < 0 || n > PRESERVED_MAX)
		return err_input(err, "LISTEN_FDS=%.64s: a number up to %d is wanted", count, PRESERVED_MAX);
	ret->listen_fds = n;
	ret->listen_names = n ? getenv("LISTEN_FDNAMES") : NULL;
	return 0;
}

int preserve_descriptors(const char *text, unsigned listen_fds, unsigned *ret, struct err *err)
{
	uint32_t n = 0;

	if (text && (parse_u32(text, &n) < 0 || n > PRESERVED_MAX))
		return err_input(err, "--preserve-fds %s: a number up to %d is wanted", text, PRESERVED_MAX);
	n += listen_fds;
	for (int fd = STDERR_FILENO + 1; fd <= STDERR_FILENO + (int)n; fd++) {
		const int flags = fcntl(fd, F_GETFD);

		if (flags < 0 && fd <= STDERR_FILENO + (int)listen_fds)
			return err_system(err, "LISTEN_FDS=%u: descriptor %d", listen_fds, fd);
		if (flags < 0)
			return err_system(err, "--preserve-fds %s: descriptor %d", text, fd);
		/* Close-on-exec is this program's own word for what is not passed on. */
		(void)fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC);
	}
	*ret = n;
	return close_descriptors(STDERR_FILENO + 1 + n, err);
}

enum trace_format trace_format_of(const char *word, const char *file)
{
	if (word)
		return streq(word, "json") ? TRACE_JSON : TRACE_TEXT;
	return file ? TRACE_TEXT : TRACE_NONE;
}

void print_trace(const struct launch *launch, void *data)
{
	struct trace_job *job = data;

	(void)launch;
	if (job->printed)
		return;
	if (job->format == TRACE_TEXT)
		trace_print_text(job->tape, job->out);
	else if (job->format == TRACE_JSON)
		trace_print_json(job->tape, job->out);
	fflush(job->out);
	job->printed = true;
}

void tape_freep(struct tape **tape)
{
	if (*tape)
		tape_free(*tape);
}

/* A workload that ends by a signal for no visible reason has its reason here. */
void print_cause(const struct plan *plan, const struct launch_result *result)
{
	if (result->exit_status == 128 + SIGSYS && plan->seccomp)
		fprintf(stderr,
			"nsrun: the seccomp filter (%s) ended the workload: a system call of a foreign ABI, such as that of a 32-bit "
			"program, or one that the profile kills for\n"
			"        remedy: --security-opt seccomp=docker permits 32-bit programs\n",
			plan->seccomp_name);
	print_limits_met(stderr, NULL, result->exit_status, &result->events,
			 plan->enter ? &plan->enter->limits : &plan->resources);
}

int protect_self(const struct plan *plan, char *const *argv, struct err *err)
{
	struct stat self;

	const int r = self_stat(&self, err);
	if (r < 0 || !plan_may_write(plan, &self) || self_is_sealed())
		return r;
	return self_reexecute_sealed(argv, err);
}
