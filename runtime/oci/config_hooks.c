/* SPDX-License-Identifier: Apache-2.0 */
/* hooks: config.md, "POSIX-platform Hooks". */
#include <nsrun/oci/config.h>

#include <nsrun/base/strings.h>

#include <string.h>

#define TIMEOUT_MAX (365 * 24 * 3600)

static int read_env(const struct json_at *at, struct arena *arena, const char *const **ret, struct err *err)
{
	static const char *const none[] = { NULL };
	struct json_at env;

	*ret = none; /* nothing of the runtime's own is a hook's business */
	if (!json_at_key(at, "env", &env))
		return 0;
	const int r = json_at_strings(&env, arena, ret, NULL, err);
	for (size_t i = 0; r == 0 && (*ret)[i]; i++) {
		const struct json_at entry = json_at_entry(&env, i);

		if (*(*ret)[i] == '=' || !strchr((*ret)[i], '='))
			return json_at_err(&entry, err, "'%s': NAME=VALUE is wanted", (*ret)[i]);
	}
	return r;
}

static int read_hook(const struct json_at *at, struct arena *arena, struct plan_hook *ret, struct err *err)
{
	struct json_at path;
	int64_t timeout = 0;
	size_t n = 0;
	int r = json_at_object(at, err);

	if (r == 0 && !json_at_key(at, "path", &path))
		return json_at_err(at, err, "path is missing");
	if (r == 0)
		r = json_at_string(&path, arena, &ret->path, err);
	if (r == 0 && *ret->path != '/')
		return json_at_err(&path, err, "'%s' is not absolute", ret->path);
	if (r == 0)
		r = json_at_strings_of(at, "args", arena, &ret->argv, &n, err);
	if (r == 0)
		r = read_env(at, arena, &ret->env, err);
	if (r == 0)
		r = json_at_int_of(at, "timeout", 1, TIMEOUT_MAX, &timeout, err);
	if (n == 0) /* its own name is always argv[0] */
		ret->argv = NULL;
	ret->timeout = (unsigned)timeout;
	return r;
}

static int read_kind(const struct json_at *list, struct arena *arena, struct plan_hooks *ret, struct err *err)
{
	int r = json_at_array(list, err);

	if (r < 0)
		return r;
	const size_t n = json_array_size(list->value);
	struct plan_hook *hooks = arena_array(arena, n + 1, sizeof(*hooks));
	if (!hooks)
		return err_oom(err);
	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct json_at entry = json_at_entry(list, i);

		r = read_hook(&entry, arena, &hooks[i], err);
	}
	*ret = (struct plan_hooks){ .n = n, .hooks = hooks };
	return r;
}

int oci_read_hooks(struct oci_reader *r, struct err *err)
{
	struct json_at hooks, list;

	if (!json_at_key(&r->config, "hooks", &hooks))
		return 0;
	int done = json_at_object(&hooks, err);
	for (enum hook_kind kind = 0; done == 0 && kind < HOOK_KIND_COUNT; kind++)
		if (json_at_key(&hooks, hook_kind_name(kind), &list))
			done = read_kind(&list, r->plan->arena, &r->bundle->hooks[kind], err);
	return done;
}
