/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/process.h>

#include <nsrun/kernel/user.h>
#include <nsrun/plan/volumes.h>

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* ---- environment ---- */

struct variable {
	const char *text; /* NAME=VALUE */
	size_t index;	  /* in the order of the command line */
};

static size_t name_length(const char *text)
{
	return strcspn(text, "=");
}

/* By name, then by order. */
static int compare_variables(const void *a, const void *b)
{
	const struct variable *x = a, *y = b;
	const size_t n = name_length(x->text), m = name_length(y->text);
	const int order = memcmp(x->text, y->text, n < m ? n : m);

	if (order)
		return order;
	if (n != m)
		return n < m ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static int compare_order(const void *a, const void *b)
{
	const struct variable *x = a, *y = b;

	return x->index < y->index ? -1 : x->index > y->index;
}

static int add_variable(struct plan *plan, const char *text, struct variable *variables, size_t *n, struct err *err)
{
	if (*text == '\0' || *text == '=')
		return err_input(err, "--env %s: NAME=VALUE or NAME is wanted", text);
	if (!strchr(text, '=')) {
		const char *value = getenv(text);

		if (!value)
			return 0; /* not in the caller's environment: not in the container's */
		text = arena_printf(plan->arena, "%s=%s", text, value);
	} else {
		text = arena_strdup(plan->arena, text);
	}
	if (!text)
		return err_oom(err);
	variables[*n] = (struct variable){ text, *n };
	(*n)++;
	return 0;
}

/* The defaults, then what was asked for; of two with one name the later wins. 100,000 of them are sorted, not searched. */
static int resolve_env(struct plan *plan, const struct plan_request *request, struct err *err)
{
	size_t asked = 0, n = 0, kept = 0;

	while (request->env && request->env[asked])
		asked++;
	struct variable *variables = arena_array(plan->arena, asked + 2, sizeof(*variables));
	const char **env = arena_array(plan->arena, asked + 3, sizeof(*env));
	if (!variables || !env)
		return err_oom(err);

	int r = add_variable(plan, DEFAULT_PATH, variables, &n, err);
	if (r == 0 && plan->terminal)
		r = add_variable(plan, getenv("TERM") ? "TERM" : "TERM=xterm", variables, &n, err);
	for (size_t i = 0; r == 0 && i < asked; i++)
		r = add_variable(plan, request->env[i], variables, &n, err);
	if (r < 0)
		return r;

	qsort(variables, n, sizeof(*variables), compare_variables);
	for (size_t i = 0; i < n; i++) {
		const size_t length = name_length(variables[i].text);
		const bool overridden = i + 1 < n && name_length(variables[i + 1].text) == length &&
					memcmp(variables[i].text, variables[i + 1].text, length) == 0;

		if (!overridden)
			variables[kept++] = variables[i];
	}
	qsort(variables, kept, sizeof(*variables), compare_order);
	for (size_t i = 0; i < kept; i++)
		env[i] = variables[i].text;
	plan->env = env;
	return 0;
}

/* ---- the rest ---- */

/* A directory on 0, 1 or 2 would be the workload's way to the host: /proc/self/fd/0/.. */
static int check_standard_fds(const struct plan_request *request, struct err *err)
{
	for (int fd = request->interactive == NO ? STDOUT_FILENO : STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
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
		return err_input(err, "--tty: standard input and output are not both terminals");
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
		int r = rlimit_parse(request->ulimits[i], &settings[i], err);

		if (r == 0)
			r = rlimit_check(&settings[i], err);
		if (r < 0)
			return r;
	}
	plan->rlimits = settings;
	plan->n_rlimits = n;
	return 0;
}

int plan_resolve_process(struct plan *plan, const struct plan_request *request, struct err *err)
{
	int r = plan->detached ? 0 : check_standard_fds(request, err);

	if (r == 0)
		r = resolve_terminal(plan, request, err);
	if (r == 0)
		r = resolve_streams(plan, request, err);
	if (r == 0)
		r = resolve_env(plan, request, err);
	if (r == 0 && request->user)
		r = user_check_syntax(request->user, err);
	if (r == 0)
		r = plan_container_path(plan->arena, "--workdir", request->workdir ? request->workdir : "/",
					&plan->workdir, err);
	if (r == 0)
		r = resolve_hostname(plan, request->hostname, err);
	if (r == 0)
		r = resolve_rlimits(plan, request, err);
	if (r < 0)
		return r;

	plan->reaper = request->init == YES;
	plan->user = arena_strdup(plan->arena, request->user ? request->user : "0:0");
	if (request->argv && request->argv[0]) {
		if (!*request->argv[0])
			return err_set(err, ERR_NOT_FOUND, ERR_ID_CMD_NOT_FOUND, ENOENT, "CMD is an empty word");
		plan->argv = (const char *const *)arena_strv(plan->arena, request->argv);
		if (!plan->argv)
			return err_oom(err);
	}
	return plan->user ? 0 : err_oom(err);
}
