/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/process.h>

#include <nsrun/base/strings.h>
#include <nsrun/plan/seccomp_profile.h>

#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* Docker gives MKNOD, NET_RAW, AUDIT_WRITE and SETFCAP besides: forged packets, device nodes and file capabilities are
 * nothing that a workload needs unasked. */
static const uint64_t default_caps = CAP_MASK(CAP_CHOWN) | CAP_MASK(CAP_DAC_OVERRIDE) | CAP_MASK(CAP_FOWNER) |
				     CAP_MASK(CAP_FSETID) | CAP_MASK(CAP_KILL) | CAP_MASK(CAP_NET_BIND_SERVICE) |
				     CAP_MASK(CAP_SETGID) | CAP_MASK(CAP_SETUID) | CAP_MASK(CAP_SETPCAP) |
				     CAP_MASK(CAP_SYS_CHROOT);

static int apply_caps(const char *const *names, const char *option, bool add, uint64_t *caps, struct err *err)
{
	for (; names && *names; names++) {
		struct err unknown = ERR_INIT;
		uint64_t mask = 0;

		const int r = caps_parse(*names, &mask, &unknown);
		if (r < 0)
			return err_set(err, unknown.kind, unknown.id, unknown.errnum, "%s: %s", option,
				       unknown.message);
		*caps = add ? *caps | mask : *caps & ~mask;
	}
	return 0;
}

static bool says_all(const char *const *names)
{
	for (; names && *names; names++)
		if (strcasecmp(*names, "ALL") == 0)
			return true;
	return false;
}

/* As Docker has it: --cap-drop ALL first, so that --cap-add names what is left; otherwise drops win over adds. */
static int resolve_caps(struct plan *plan, const struct plan_request *request, struct err *err)
{
	uint64_t asked = 0, caps = plan->privileged ? caps_all() : default_caps;
	int r;

	r = apply_caps(request->cap_add, "--cap-add", true, &asked, err);
	if (r < 0)
		return r;
	if (says_all(request->cap_drop)) {
		if (plan->privileged)
			return err_input(err, "--privileged and --cap-drop ALL contradict each other");
		caps = asked;
	} else {
		caps |= asked;
		r = apply_caps(request->cap_drop, "--cap-drop", false, &caps, err);
		if (r < 0)
			return r;
	}

	if (!plan_has_userns(plan)) {
		/* A new user namespace comes with every capability; the initial one with what the caller has. */
		struct cap_sets own;

		r = caps_get(&own, err);
		if (r < 0)
			return r;
		const uint64_t lacking = caps & ~own.permitted;
		for (unsigned i = 0; i < 64 && !says_all(request->cap_add); i++)
			if (lacking & asked & CAP_MASK(i))
				return err_set(err, ERR_INPUT, ERR_ID_CAP_NOT_HELD, EPERM, "--cap-add: %s",
					       caps_name(i));
		caps &= own.permitted;
	}
	plan->caps = (struct cap_sets){ .bounding = caps, .effective = caps, .permitted = caps };
	return 0;
}

static int parse_bool(const char *text, bool *ret)
{
	if (streq(text, "true") || streq(text, "1") || streq(text, "yes"))
		*ret = true;
	else if (streq(text, "false") || streq(text, "0") || streq(text, "no"))
		*ret = false;
	else
		return -EINVAL;
	return 0;
}

static int apply_security_opt(struct plan *plan, const char *text, const char **seccomp, struct err *err)
{
	static const char *const known[] = { "seccomp", "no-new-privileges", "apparmor", "label", "systempaths", "mask",
					     "unmask",	"writable-cgroups",  NULL };
	char name[32];
	const size_t n = strcspn(text, "=:"); /* Docker writes no-new-privileges:true as well */
	const char *value = text[n] ? text + n + 1 : NULL;

	snprintf(name, sizeof(name), "%.*s", (int)(n < sizeof(name) ? n : sizeof(name) - 1), text);
	if (streq(name, "seccomp")) {
		if (!value || !*value)
			return err_input(
				err,
				"--security-opt %s: seccomp=default, strict, docker, unconfined or a file is wanted",
				text);
		*seccomp = value;
		return 0;
	}
	if (streq(name, "no-new-privileges")) {
		plan->no_new_privs = true;
		if (value && parse_bool(value, &plan->no_new_privs) < 0)
			return err_input(err, "--security-opt %s: true or false is wanted", text);
		return 0;
	}
	if (streq(name, "writable-cgroups")) {
		plan->cgroup_writable = true;
		if (value && parse_bool(value, &plan->cgroup_writable) < 0)
			return err_input(err, "--security-opt %s: true or false is wanted", text);
		return 0;
	}
	if (streq(name, "systempaths") && value && streq(value, "unconfined"))
		return 0; /* plan_resolve_system_paths() reads these three */
	if ((streq(name, "mask") || streq(name, "unmask")) && value && *value)
		return 0;
	if (streq(name, "systempaths") || streq(name, "mask") || streq(name, "unmask"))
		return err_input(err,
				 "--security-opt %s: systempaths=unconfined, mask=PATH[:PATH...], unmask=ALL or "
				 "unmask=PATH[:PATH...] is wanted",
				 text);
	if (streq(name, "apparmor") || streq(name, "label"))
		return err_set(err, ERR_INPUT, ERR_ID_NOT_BUILT, 0, "--security-opt %s", text);
	const char *near = nearest_word(name, known);
	return err_input(err, "--security-opt %s: unknown%s%s%s", text, near ? "; did you mean " : "", near ? near : "",
			 near ? "?" : "");
}

int plan_resolve_confinement(struct plan *plan, const struct plan_request *request, struct err *err)
{
	const char *seccomp = request->privileged == YES ? "unconfined" : "default";

	/* What else is said wins: --privileged gives, and an option beside it takes something back. */
	plan->privileged = request->privileged == YES;
	plan->no_new_privs = !plan->privileged;
	plan->cgroup_writable = plan->privileged;
	for (const char *const *p = request->security_opts; p && *p; p++) {
		const int r = apply_security_opt(plan, *p, &seccomp, err);

		if (r < 0)
			return r;
	}
	plan->root_nosuid = plan->no_new_privs;

	int r = resolve_caps(plan, request, err);
	if (r == 0)
		r = plan_resolve_system_paths(plan, request, err);
	if (r == 0)
		r = plan_resolve_seccomp(plan, seccomp, err);
	return r;
}
