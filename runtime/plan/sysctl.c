/* SPDX-License-Identifier: Apache-2.0 */
/* --sysctl: which kernel parameters belong to a namespace (sysctl(8), namespaces(7)). */
#include <nsrun/plan/process.h>

#include <nsrun/base/strings.h>

#include <ctype.h>
#include <sched.h>
#include <string.h>

#define KEY_MAX 256
/* The kernel's own bound for one write to a file of /proc/sys. */
#define VALUE_MAX 4095

static const struct family {
	const char *prefix; /* one that does not end in "/" is the whole path */
	uint64_t flag;
	const char *namespace;
} families[] = {
	{ "net/", CLONE_NEWNET, "network" },
	{ "fs/mqueue/", CLONE_NEWIPC, "ipc" },
	{ "kernel/msgmax", CLONE_NEWIPC, "ipc" },
	{ "kernel/msgmnb", CLONE_NEWIPC, "ipc" },
	{ "kernel/msgmni", CLONE_NEWIPC, "ipc" },
	{ "kernel/msg_next_id", CLONE_NEWIPC, "ipc" },
	{ "kernel/auto_msgmni", CLONE_NEWIPC, "ipc" },
	{ "kernel/sem", CLONE_NEWIPC, "ipc" },
	{ "kernel/sem_next_id", CLONE_NEWIPC, "ipc" },
	{ "kernel/shmall", CLONE_NEWIPC, "ipc" },
	{ "kernel/shmmax", CLONE_NEWIPC, "ipc" },
	{ "kernel/shmmni", CLONE_NEWIPC, "ipc" },
	{ "kernel/shm_rmid_forced", CLONE_NEWIPC, "ipc" },
	{ "kernel/shm_next_id", CLONE_NEWIPC, "ipc" },
	{ "user/", CLONE_NEWUSER, "user" },
};

/* As sysctl(8) has it: the first separator decides. "net.ipv4.conf.eth0/100.forwarding" and "net/ipv4/conf/eth0.100/forwarding" are the same. */
static int path_of_key(const char *key, size_t n, const char *text, char path[KEY_MAX], struct err *err)
{
	const size_t first = strcspn(key, "./");
	const bool dots = key[first] == '.';

	if (n == 0 || n >= KEY_MAX || first >= n)
		return err_input(err, "--sysctl %s: KEY=VALUE with a key such as net.ipv4.ip_forward is wanted", text);
	for (size_t i = 0; i < n; i++) {
		const char c = key[i];

		if (!isascii(c) || !(isalnum((unsigned char)c) || strchr("./_-:@", c)))
			return err_input(err, "--sysctl %s: the key has a character that no kernel parameter has",
					 text);
		path[i] = !dots ? c : c == '.' ? '/' : c == '/' ? '.' : c;
	}
	path[n] = '\0';
	for (const char *p = path; *p;) {
		const size_t length = strcspn(p, "/");

		if (length == 0 || strncmp(p, ".", length) == 0 || strncmp(p, "..", length) == 0 ||
		    (p[length] == '/' && !p[length + 1]))
			return err_input(err, "--sysctl %s: the key has an empty part, or one of dots", text);
		p += length + (p[length] == '/');
	}
	return 0;
}

static int check_namespaced(const struct plan *plan, const char *path, const char *text, struct err *err)
{
	if (streq(path, "kernel/hostname") || streq(path, "kernel/domainname"))
		return err_input(err, "--sysctl %s: say --%s NAME", text, path + strlen("kernel/"));
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		const struct family *family = &families[i];
		const size_t n = strlen(family->prefix);

		if (family->prefix[n - 1] == '/' ? strncmp(path, family->prefix, n) != 0 : !streq(path, family->prefix))
			continue;
		if ((plan->namespaces | plan->namespaces_later) & family->flag)
			return 0;
		return err_refused(err, ERR_ID_SYSCTL_NAMESPACE,
				   "--sysctl %s: it would change a %s namespace that is not the container's own", text,
				   family->namespace);
	}
	return err_refused(err, ERR_ID_SYSCTL_NAMESPACE, "--sysctl %s: no namespace covers it: it is the whole host's",
			   text);
}

static int parse_one(const struct plan *plan, const char *text, struct plan_sysctl *ret, struct err *err)
{
	const char *equals = strchr(text, '=');
	char path[KEY_MAX];

	if (!equals)
		return err_input(err, "--sysctl %s: KEY=VALUE is wanted", text);
	int r = path_of_key(text, (size_t)(equals - text), text, path, err);
	if (r == 0)
		r = check_namespaced(plan, path, text, err);
	if (r < 0)
		return r;
	const char *value = equals + 1;
	if (!*value || strlen(value) > VALUE_MAX)
		return err_input(err, "--sysctl %s: a value of 1 to %d bytes is wanted", path, VALUE_MAX);
	if (strpbrk(value, "\n\r"))
		return err_input(err, "--sysctl %s: the value has more than one line", path);
	ret->path = arena_strdup(plan->arena, path);
	ret->value = arena_strdup(plan->arena, value);
	return ret->path && ret->value ? 0 : err_oom(err);
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
