/* SPDX-License-Identifier: Apache-2.0 */
/* --sysctl: which kernel parameters belong to a namespace (sysctl(8), namespaces(7)). */
#include <nsrun/plan/process.h>

#include <nsrun/base/strings.h>

#include <ctype.h>
#include <string.h>

#define KEY_MAX 256
/* The kernel's own bound for one write to a file of /proc/sys. */
#define VALUE_MAX 4095

static const struct family {
	const char *prefix; /* one that does not end in "/" is the whole path */
	enum ns_kind kind;
} families[] = {
	{ "net/", NS_NET },
	{ "fs/mqueue/", NS_IPC },
	{ "kernel/msgmax", NS_IPC },
	{ "kernel/msgmnb", NS_IPC },
	{ "kernel/msgmni", NS_IPC },
	{ "kernel/msg_next_id", NS_IPC },
	{ "kernel/auto_msgmni", NS_IPC },
	{ "kernel/sem", NS_IPC },
	{ "kernel/sem_next_id", NS_IPC },
	{ "kernel/shmall", NS_IPC },
	{ "kernel/shmmax", NS_IPC },
	{ "kernel/shmmni", NS_IPC },
	{ "kernel/shm_rmid_forced", NS_IPC },
	{ "kernel/shm_next_id", NS_IPC },
	{ "user/", NS_USER },
};

/* As sysctl(8) has it: the first separator decides. "net.ipv4.conf.eth0/100.forwarding" and "net/ipv4/conf/eth0.100/forwarding" are the same. */
static int path_of_key(const char *key, char path[KEY_MAX], struct err *err)
{
	const size_t first = strcspn(key, "./"), n = strlen(key);
	const bool dots = key[first] == '.';

	if (n == 0 || n >= KEY_MAX || first >= n)
		return err_input(err, "a key such as net.ipv4.ip_forward is wanted");
	for (size_t i = 0; i < n; i++) {
		const char c = key[i];

		if (!isascii(c) || !(isalnum((unsigned char)c) || strchr("./_-:@", c)))
			return err_input(err, "the key has a character that no kernel parameter has");
		path[i] = !dots ? c : c == '.' ? '/' : c == '/' ? '.' : c;
	}
	path[n] = '\0';
	for (const char *p = path; *p;) {
		const size_t length = strcspn(p, "/");

		if (length == 0 || strncmp(p, ".", length) == 0 || strncmp(p, "..", length) == 0 ||
		    (p[length] == '/' && !p[length + 1]))
			return err_input(err, "the key has an empty part, or one of dots");
		p += length + (p[length] == '/');
	}
	return 0;
}

/* A bundle may name one of a namespace that was made for it and that it joins, as engines do for the network of a pod. */
static bool covers(const struct plan *plan, enum ns_kind kind)
{
	return plan_is_bundle(plan) ? plan->ns[kind].use != NS_HOST : plan_owns_ns(plan, kind);
}

static int check_namespaced(const struct plan *plan, const char *path, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		const struct family *family = &families[i];
		const size_t n = strlen(family->prefix);

		if (family->prefix[n - 1] == '/' ? strncmp(path, family->prefix, n) != 0 : !streq(path, family->prefix))
			continue;
		if (covers(plan, family->kind))
			return 0;
		return err_refused(err, ERR_ID_SYSCTL_NAMESPACE,
				   "it would change a %s namespace that is not the container's own",
				   family->kind == NS_NET ? "network" : plan_ns_name(family->kind));
	}
	return err_refused(err, ERR_ID_SYSCTL_NAMESPACE, "no namespace covers it: it is the whole host's");
}

int plan_check_sysctl(const struct plan *plan, const char *key, const char *value, struct plan_sysctl *ret,
		      struct err *err)
{
	char path[KEY_MAX];

	int r = path_of_key(key, path, err);
	if (r == 0 && (streq(path, "kernel/hostname") || streq(path, "kernel/domainname")))
		return err_input(err, plan_is_bundle(plan) ? "%s of config.json says it" : "say --%s NAME",
				 path + strlen("kernel/"));
	if (r == 0)
		r = check_namespaced(plan, path, err);
	if (r < 0)
		return r;
	if (!*value || strlen(value) > VALUE_MAX)
		return err_input(err, "a value of 1 to %d bytes is wanted", VALUE_MAX);
	if (strpbrk(value, "\n\r"))
		return err_input(err, "the value has more than one line");
	ret->path = arena_strdup(plan->arena, path);
	ret->value = arena_strdup(plan->arena, value);
	return ret->path && ret->value ? 0 : err_oom(err);
}

static int parse_one(const struct plan *plan, const char *text, struct plan_sysctl *ret, struct err *err)
{
	const char *equals = strchr(text, '=');
	_cleanup_free_ char *key = equals ? strndup(text, (size_t)(equals - text)) : NULL;
	struct err why = ERR_INIT;

	if (!equals || equals == text)
		return err_input(err, "--sysctl %s: KEY=VALUE is wanted", text);
	if (!key)
		return err_oom(err);
	if (plan_check_sysctl(plan, key, equals + 1, ret, &why) < 0)
		return err_set(err, why.kind, why.id, why.errnum, "--sysctl %.200s: %s", text, why.message);
	return 0;
}

int plan_resolve_sysctls(struct plan *plan, const struct plan_request *request, struct err *err)
{
	size_t n = 0;

	while (request->sysctls && request->sysctls[n])
		n++;
	if (n == 0)
		return 0;
	struct plan_sysctl *sysctls = arena_array(plan->arena, n, sizeof(*sysctls));
	if (!sysctls)
		return err_oom(err);
	for (size_t i = 0; i < n; i++) {
		const int r = parse_one(plan, request->sysctls[i], &sysctls[i], err);

		if (r < 0)
			return r;
		for (size_t k = 0; k < i; k++)
			if (streq(sysctls[k].path, sysctls[i].path) && !streq(sysctls[k].value, sysctls[i].value))
				return err_input(err, "--sysctl %s: '%s' and '%s' are both said", sysctls[i].path,
						 sysctls[k].value, sysctls[i].value);
	}
	plan->sysctls = sysctls;
	plan->n_sysctls = n;
	return 0;
}
