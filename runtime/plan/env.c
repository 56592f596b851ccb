/* SPDX-License-Identifier: Apache-2.0 */
/* The workload's environment: the defaults, the image's, --env-file, --env; of two with one name the later wins. */
#include <nsrun/plan/process.h>

#include <nsrun/base/file.h>

#include <ctype.h>
#include <fcntl.h>
#include <string.h>

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
/* execve(2) takes some 6 MiB of arguments and environment together. */
#define ENV_FILE_MAX ((size_t)6 << 20)

struct variable {
	const char *text; /* NAME=VALUE */
	size_t index;	  /* in the order in which they were said */
};

struct environment {
	struct arena *arena;
	struct variable *variables;
	size_t n, room;
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

static int append(struct environment *env, const char *text, struct err *err)
{
	if (!text)
		return err_oom(err);
	if (env->n == env->room) {
		const size_t room = env->room ? env->room * 2 : 16;
		struct variable *more = reallocarray(env->variables, room, sizeof(*more));

		if (!more)
			return err_oom(err);
		env->variables = more;
		env->room = room;
	}
	env->variables[env->n] = (struct variable){ text, env->n };
	env->n++;
	return 0;
}

/* NAME=VALUE, or NAME to take it from the caller. */
static int add(struct environment *env, const char *text, const char *where, struct err *err)
{
	if (*text == '\0' || *text == '=')
		return err_input(err, "%s %s: NAME=VALUE or NAME is wanted", where, text);
	if (strchr(text, '='))
		return append(env, arena_strdup(env->arena, text), err);

	const char *value = getenv(text);
	if (!value)
		return 0; /* not in the caller's environment: not in the container's */
	return append(env, arena_printf(env->arena, "%s=%s", text, value), err);
}

/* ---- --env-file ---- */

/* As docker run reads it: blanks before a name are passed over, everything behind "=" is the value as it stands. */
static int add_line(struct environment *env, const char *path, size_t number, char *line, struct err *err)
{
	char where[64];

	while (*line == ' ' || *line == '\t')
		line++;
	if (*line == '\0' || *line == '#')
		return 0;
	const size_t n = name_length(line);
	if (n == 0)
		return err_input(err, "--env-file %s:%zu: a line begins with '=': NAME=VALUE or NAME is wanted", path,
				 number);
	for (size_t i = 0; i < n; i++)
		if (isspace((unsigned char)line[i]))
			return err_input(err, "--env-file %s:%zu: the name '%.*s' contains a blank", path, number,
					 (int)(n < 64 ? n : 64), line);
	snprintf(where, sizeof(where), "line %zu", number);
	return add(env, line, where, err);
}

static int add_file(struct environment *env, const char *path, struct err *err)
{
	/* Not a regular file alone: `--env-file <(program)` is a pipe. */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	_cleanup_free_ char *data = NULL;
	size_t size, number = 0;

	if (fd < 0)
		return err_system(err, "--env-file %s", path);
	int r = file_read_fd(fd, path, 4095, ENV_FILE_MAX, &data, &size, err);
	char *line = data;
	if (r == 0 && size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0)
		line += 3; /* the mark that some editors put before UTF-8 */
	while (r == 0 && line < data + size) {
		char *end = memchr(line, '\n', (size_t)(data + size - line));
		char *next = end ? end + 1 : data + size;

		number++;
		if (!end)
			end = data + size;
		if (memchr(line, '\0', (size_t)(end - line)))
			return err_input(err, "--env-file %s:%zu: contains a NUL byte", path, number);
		*end = '\0';
		if (end > line && end[-1] == '\r')
			end[-1] = '\0';
		r = add_line(env, path, number, line, err);
		line = next;
	}
	return r;
}

/* ---- all of it ---- */

static int collect(struct environment *env, bool terminal, const struct image_config *image,
		   const struct plan_request *request, struct err *err)
{
	int r = append(env, DEFAULT_PATH, err);

	if (r == 0 && terminal)
		r = add(env, getenv("TERM") ? "TERM" : "TERM=xterm", "TERM", err);
	for (const char *const *p = image->env; r == 0 && p && *p; p++)
		r = append(env, *p, err);
	for (const char *const *p = request->env_files; r == 0 && p && *p; p++)
		r = add_file(env, *p, err);
	for (const char *const *p = request->env; r == 0 && p && *p; p++)
		r = add(env, *p, "--env", err);
	return r;
}

/* 100,000 of them are sorted, not searched. */
static const char *const *without_overridden(struct environment *env)
{
	const char **out = arena_array(env->arena, env->n + 1, sizeof(*out));
	struct variable *variables = env->variables;
	size_t kept = 0;

	if (!out)
		return NULL;
	qsort(variables, env->n, sizeof(*variables), compare_variables);
	for (size_t i = 0; i < env->n; i++) {
		const size_t length = name_length(variables[i].text);
		const bool overridden = i + 1 < env->n && name_length(variables[i + 1].text) == length &&
					memcmp(variables[i].text, variables[i + 1].text, length) == 0;

		if (!overridden)
			variables[kept++] = variables[i];
	}
	qsort(variables, kept, sizeof(*variables), compare_order);
	for (size_t i = 0; i < kept; i++)
		out[i] = variables[i].text;
	return out;
}

int plan_resolve_env(struct plan *plan, const struct plan_request *request, const struct image_config *image,
		     struct err *err)
{
	struct environment env = { .arena = plan->arena };
	const bool asked = (request->env && *request->env) || (request->env_files && *request->env_files);
	const bool from_image = image->env && *image->env;

	int r = collect(&env, plan->terminal, image, request, err);
	if (r == 0) {
		plan->env = without_overridden(&env);
		if (!plan->env)
			r = err_oom(err);
	}
	free(env.variables);
	plan->image.env = asked && from_image ? ORIGIN_BOTH
			  : asked	      ? ORIGIN_OPTION
			  : from_image	      ? ORIGIN_IMAGE
					      : ORIGIN_DEFAULT;
	return r;
}
