/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/process.h>

#include <nsrun/base/signal.h>
#include <nsrun/base/strings.h>
#include <nsrun/kernel/user.h>
#include <nsrun/plan/volumes.h>

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A directory on 0, 1 or 2 would be the workload's way to the host: /proc/self/fd/0/.. */
int plan_check_standard_fds(bool stdin_too, struct err *err)
{
	for (int fd = stdin_too ? STDIN_FILENO : STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
		struct stat st;
		const int flags = fcntl(fd, F_GETFL);

		if (flags < 0 || fstat(fd, &st) < 0)
			return err_system(err, "descriptor %d", fd);
		if (S_ISDIR(st.st_mode) || (flags & O_PATH))
			return err_refused(err, ERR_ID_STDIO_DIRECTORY, "descriptor %d is a directory of the host", fd);
	}
	return 0;
}

static int resolve_terminal(struct plan *plan, const struct plan_request *request, struct err *err)
{
	const bool terminals = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);

	if (plan->detached) {
		plan->terminal = request->terminal == YES;
		plan->stdin_null = !plan->terminal && request->interactive != YES;
		return 0;
	}
	plan->stdin_null = request->interactive == NO;
	if (request->terminal == YES && plan->stdin_null)
		return err_input(err, "--tty and --interactive=false contradict each other");
	if (request->terminal == YES && !terminals)
		return err_set(err, ERR_INPUT, ERR_ID_NO_TERMINAL, 0,
			       "--tty: standard input and output are not both terminals");
	plan->terminal = request->terminal == YES || (request->terminal == UNSET && terminals && !plan->stdin_null);
	return 0;
}

/* Where its standard descriptors lead. */
static int resolve_streams(struct plan *plan, const struct plan_request *request, struct err *err)
{
	if (request->detach_keys && (plan->detached || !plan->terminal))
		return err_input(
			err,
			"--detach-keys %s: is for a terminal in the foreground (-it); after -d say it to nsrun attach",
			request->detach_keys);
	plan->output_pipes = !plan->terminal && (plan->attachable || plan->log.driver != LOG_NONE);
	plan->stdin_pipe = plan->keeper && !plan->terminal && !plan->stdin_null;
	return 0;
}

/* hostname(7): labels of letters, digits and hyphens; the kernel's limit is 64 bytes. */
static int resolve_hostname(struct plan *plan, const char *name, struct err *err)
{
	if (!name)
		return 0; /* the container's short id: plan_reserve */
	if (!*name || strlen(name) > HOST_NAME_MAX)
		return err_input(err, "--hostname %s: 1 to %d characters are wanted", name, HOST_NAME_MAX);
	for (const char *p = name; *p; p++)
		if (!isascii(*p) || !(isalnum((unsigned char)*p) || *p == '.' || *p == '_' || (*p == '-' && p != name)))
			return err_input(err, "--hostname %s: letters, digits, '.', '-' and '_' are wanted", name);
	plan->hostname = arena_strdup(plan->arena, name);
	return plan->hostname ? 0 : err_oom(err);
}

static int resolve_rlimits(struct plan *plan, const struct plan_request *request, struct err *err)
{
	size_t n = 0;

	while (request->ulimits && request->ulimits[n])
		n++;
	struct rlimit_setting *settings = arena_array(plan->arena, n + 1, sizeof(*settings));
	if (!settings)
		return err_oom(err);
	for (size_t i = 0; i < n; i++) {
		struct err why = ERR_INIT;

		if (rlimit_parse(request->ulimits[i], &settings[i], &why) < 0)
			return err_set(err, why.kind, why.id, why.errnum, "--ulimit %s", why.message);
		const int r = rlimit_check(&settings[i], err);
		if (r < 0)
			return r;
	}
	plan->rlimits = settings;
	plan->n_rlimits = n;
	return 0;
}

/* What sethostname(2) and setdomainname(2) take. */
static int resolve_domainname(struct plan *plan, const char *name, struct err *err)
{
	if (!name)
		return 0;
	if (!*name || strlen(name) > HOST_NAME_MAX)
		return err_input(err, "--domainname %s: 1 to %d characters are wanted", name, HOST_NAME_MAX);
	for (const char *p = name; *p; p++)
		if (!isascii(*p) || !(isalnum((unsigned char)*p) || strchr("._-()", *p)))
			return err_input(err, "--domainname %s: letters, digits, '.', '-' and '_' are wanted", name);
	plan->domainname = arena_strdup(plan->arena, name);
	return plan->domainname ? 0 : err_oom(err);
}

static int resolve_umask(struct plan *plan, const char *text, struct err *err)
{
	const size_t n = text ? strlen(text) : 0;

	plan->umask = 022;
	if (!text)
		return 0;
	if (n == 0 || n > 4 || strspn(text, "01234567") != n || (n == 4 && *text != '0'))
		return err_input(err, "--umask %s: an octal number from 0 to 777 is wanted", text);
	plan->umask = (mode_t)strtoul(text, NULL, 8);
	return 0;
}

static int resolve_oom_score(struct plan *plan, const char *text, struct err *err)
{
	uint32_t value;

	if (!text)
		return 0;
	const bool negative = *text == '-';
	if (parse_u32(text + negative, &value) < 0 || value > 1000)
		return err_set(err, ERR_INPUT, ERR_ID_OPTION_VALUE, 0,
			       "--oom-score-adj %s: a number from -1000 to 1000 is wanted", text);
	plan->has_oom_score_adj = true;
	plan->oom_score_adj = negative ? -(int)value : (int)value;
	return 0;
}

static int resolve_groups(struct plan *plan, const struct plan_request *request, struct err *err)
{
	if (!request->group_add || !*request->group_add)
		return 0;
	for (const char *const *p = request->group_add; *p; p++) {
		const int r = user_check_group_syntax(*p, err);

		if (r < 0)
			return r;
	}
	if (plan->deny_setgroups)
		return err_refused(
			err, ERR_ID_SETGROUPS_DENIED,
			"--group-add %s: setgroups(2) is denied to a container whose group map was written without privilege",
			request->group_add[0]);
	plan->groups = (const char *const *)arena_strv(plan->arena, request->group_add);
	return plan->groups ? 0 : err_oom(err);
}

#define STOP_TIMEOUT_MAX (365U * 24 * 3600)

static int resolve_stop(struct plan *plan, const struct plan_request *request, const struct image_config *image,
			struct err *err)
{
	const char *signal = request->stop_signal ?: image->stop_signal;
	uint32_t seconds;

	plan->stop_signal = SIGTERM;
	plan->stop_timeout = PLAN_STOP_TIMEOUT;
	plan->image.stop_signal = request->stop_signal ? ORIGIN_OPTION : signal ? ORIGIN_IMAGE : ORIGIN_DEFAULT;
	if (signal) {
		const char *what = request->stop_signal ? "--stop-signal"
							: arena_printf(plan->arena, "%s: StopSignal", image->path);
		const int r = what ? signal_parse(signal, what, &plan->stop_signal, err) : err_oom(err);

		if (r < 0)
			return r;
	}
	if (request->stop_timeout) {
		if (parse_u32(request->stop_timeout, &seconds) < 0 || seconds > STOP_TIMEOUT_MAX)
			return err_input(err, "--stop-timeout %s: seconds from 0 to %u are wanted",
					 request->stop_timeout, STOP_TIMEOUT_MAX);
		plan->stop_timeout = seconds;
	}
	return 0;
}

/* ---- what is executed ---- */

static size_t words(const char *const *v)
{
	size_t n = 0;

	while (v && v[n])
		n++;
	return n;
}

static bool append_words(struct plan *plan, const char **argv, size_t *at, const char *const *v)
{
	for (; v && *v; v++) {
		argv[*at] = arena_strdup(plan->arena, *v);
		if (!argv[(*at)++])
			return false;
	}
	return true;
}

/* As docker run has it: CMD takes the place of the image's Cmd; --entrypoint that of its Entrypoint, and then its Cmd, which was made for
 * that one, is not used either. */
static int resolve_argv(struct plan *plan, const struct plan_request *request, const struct image_config *image,
			struct err *err)
{
	const char *const own_entrypoint[] = { request->entrypoint, NULL };
	const char *const *entrypoint = request->entrypoint ? own_entrypoint : image->entrypoint;
	const bool said = words(request->argv) > 0;
	const char *const *cmd = said ? request->argv : request->entrypoint ? NULL : image->cmd;
	const size_t n = words(entrypoint), m = words(cmd);
	const bool option = request->entrypoint || said,
		   from_image = (entrypoint == image->entrypoint ? n : 0) || (cmd == image->cmd ? m : 0);

	plan->image.argv = option && from_image ? ORIGIN_BOTH
			   : option		? ORIGIN_OPTION
			   : from_image		? ORIGIN_IMAGE
						: ORIGIN_DEFAULT;
	if (n + m == 0)
		return 0; /* the user's shell */
	const char **argv = arena_array(plan->arena, n + m + 1, sizeof(*argv));
	if (!argv)
		return err_oom(err);
	size_t at = 0;
	if (!append_words(plan, argv, &at, entrypoint) || !append_words(plan, argv, &at, cmd))
		return err_oom(err);
	if (!*argv[0])
		return err_set(err, ERR_NOT_FOUND, ERR_ID_CMD_NOT_FOUND, ENOENT, "CMD is an empty word");
	plan->argv = argv;
	return 0;
}

static int resolve_user(struct plan *plan, const struct plan_request *request, const struct image_config *image,
			struct err *err)
{
	const char *user = request->user ?: image->user;
	struct err wrong = ERR_INIT;

	plan->image.user = request->user ? ORIGIN_OPTION : user ? ORIGIN_IMAGE : ORIGIN_DEFAULT;
	if (user && user_check_syntax(user, &wrong) < 0)
		return err_set(err, wrong.kind, wrong.id, wrong.errnum, "%s%s%s", request->user ? "" : image->path,
			       request->user ? "" : ": User: ", wrong.message);
	plan->user = arena_strdup(plan->arena, user ?: "0:0");
	return plan->user ? 0 : err_oom(err);
}

static int resolve_workdir(struct plan *plan, const struct plan_request *request, const struct image_config *image,
			   struct err *err)
{
	const char *workdir = request->workdir ?: image->workdir;
	const char *what = "--workdir";

	plan->image.workdir = request->workdir ? ORIGIN_OPTION : workdir ? ORIGIN_IMAGE : ORIGIN_DEFAULT;
	if (plan->image.workdir == ORIGIN_IMAGE) {
		what = arena_printf(plan->arena, "%s: WorkingDir", image->path);
		if (!what)
			return err_oom(err);
	}
	return plan_container_path(plan->arena, what, workdir ?: "/", &plan->workdir, err);
}

static int resolve_from_image(struct plan *plan, const struct plan_request *request, const struct image_config *image,
			      struct err *err)
{
	plan->image.path = image->path;
	plan->image.volumes = image->volumes;
	plan->image.ports = image->ports;
	plan->image.labels = image->labels;
	int r = plan_resolve_env(plan, request, image, err);
	if (r == 0)
		r = resolve_user(plan, request, image, err);
	if (r == 0)
		r = resolve_workdir(plan, request, image, err);
	if (r == 0)
		r = resolve_argv(plan, request, image, err);
	if (r == 0)
		r = resolve_stop(plan, request, image, err);
	return r;
}

int plan_resolve_process_of(struct plan *plan, const struct plan_request *request, const struct image_config *image,
			    struct err *err)
{
	int r = plan->detached ? 0 : plan_check_standard_fds(request->interactive != NO, err);

	if (r == 0)
		r = resolve_terminal(plan, request, err);
	if (r == 0)
		r = resolve_streams(plan, request, err);
	if (r == 0)
		r = resolve_from_image(plan, request, image, err);
	if (r == 0)
		r = resolve_groups(plan, request, err);
	if (r == 0)
		r = resolve_hostname(plan, request->hostname, err);
	if (r == 0)
		r = resolve_domainname(plan, request->domainname, err);
	if (r == 0)
		r = resolve_umask(plan, request->umask, err);
	if (r == 0)
		r = resolve_oom_score(plan, request->oom_score_adj, err);
	if (r == 0)
		r = resolve_rlimits(plan, request, err);
	plan->reaper = request->init == YES;
	return r;
}

int plan_resolve_process(struct plan *plan, const struct plan_request *request, struct err *err)
{
	struct image_config image;

	const int r = image_config_load(plan, request, &image, err);
	return r < 0 ? r : plan_resolve_process_of(plan, request, &image, err);
}
