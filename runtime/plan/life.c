/* SPDX-License-Identifier: Apache-2.0 */
/* How long a container is there, under which name, and what becomes of its output. */
#include <nsrun/plan/life.h>

#include <nsrun/base/strings.h>

#include <ctype.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define NAME_MAX_LENGTH 63
#define LOG_MAX_SIZE (UINT64_C(1) << 20)
#define LOG_MIN_SIZE 4096
#define LOG_MAX_FILES 2
#define LOG_FILES_LIMIT 1000

static int resolve_name(struct plan *plan, const char *name, struct err *err)
{
	if (!name)
		return 0;
	const size_t n = strlen(name);
	bool good = n > 0 && n <= NAME_MAX_LENGTH && isascii(*name) && isalnum((unsigned char)*name);

	for (const char *p = name; *p; p++)
		good = good && isascii(*p) && (isalnum((unsigned char)*p) || strchr("_.-", *p));
	if (!good)
		return err_input(
			err,
			"--name %s: a letter or digit is wanted, then at most %d letters, digits, '_', '.' and '-'",
			name, NAME_MAX_LENGTH - 1);
	plan->name = arena_strdup(plan->arena, name);
	return plan->name ? 0 : err_oom(err);
}

/* Absolute: a keeper leaves the caller's directory. */
static int resolve_file(struct plan *plan, const char *option, const char *path, const char **ret, struct err *err)
{
	char cwd[PATH_MAX];

	if (!path)
		return 0;
	if (*path == '/') {
		*ret = arena_strdup(plan->arena, path);
	} else {
		if (!getcwd(cwd, sizeof(cwd)))
			return err_system(err, "%s %s: the working directory", option, path);
		*ret = arena_printf(plan->arena, "%s/%s", cwd, path);
	}
	return *ret ? 0 : err_oom(err);
}

static int log_option(struct plan_log *log, const char *text, struct err *err)
{
	const char *value;
	uint64_t number;

	if ((value = str_after(text, "max-size="))) {
		if (parse_size(value, &number) < 0 || number < LOG_MIN_SIZE)
			return err_input(err, "--log-opt %s: a size of at least %d bytes is wanted", text,
					 LOG_MIN_SIZE);
		log->max_size = number;
		return 0;
	}
	if ((value = str_after(text, "max-file="))) {
		if (parse_u64(value, &number) < 0 || number < 1 || number > LOG_FILES_LIMIT)
			return err_input(err, "--log-opt %s: a number from 1 to %d is wanted", text, LOG_FILES_LIMIT);
		log->max_file = (unsigned)number;
		return 0;
	}
	return err_input(err, "--log-opt %s: max-size=SIZE or max-file=COUNT is wanted", text);
}

static int resolve_log(struct plan *plan, const struct plan_request *request, struct err *err)
{
	struct plan_log *log = &plan->log;

	*log = (struct plan_log){ .driver = plan->detached ? LOG_FILE : LOG_NONE,
				  .max_size = LOG_MAX_SIZE,
				  .max_file = LOG_MAX_FILES };
	if (request->log_driver && streq(request->log_driver, "file"))
		log->driver = LOG_FILE;
	else if (request->log_driver && streq(request->log_driver, "none"))
		log->driver = LOG_NONE;
	else if (request->log_driver)
		return err_input(err, "--log-driver %s: none or file is wanted", request->log_driver);
	for (const char *const *opt = request->log_opts; opt && *opt; opt++) {
		const int r = log_option(log, *opt, err);

		if (r < 0)
			return r;
		if (log->driver != LOG_FILE)
			return err_input(err, "--log-opt %s: it needs --log-driver file", *opt);
	}
	return 0;
}

int plan_resolve_life(struct plan *plan, const struct plan_request *request, struct err *err)
{
	int r;

	plan->detached = request->detach == YES;
	r = resolve_name(plan, request->name, err);
	if (r == 0)
		r = resolve_file(plan, "--cidfile", request->cidfile, &plan->cidfile, err);
	if (r == 0)
		r = resolve_file(plan, "--pidfile", request->pidfile, &plan->pidfile, err);
	if (r == 0)
		r = resolve_log(plan, request, err);
	if (r == 0 && request->detach_keys) {
		plan->detach_keys = arena_strdup(plan->arena, request->detach_keys);
		r = plan->detach_keys ? 0 : err_oom(err);
	}
	if (r < 0)
		return r;
	plan->keeper = plan->detached || request->detach_keys;
	plan->keep = (plan->detached || plan->name) && request->rm != YES;
	plan->attachable = plan->detached || plan->name || request->detach_keys;
	return 0;
}
