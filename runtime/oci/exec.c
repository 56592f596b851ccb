/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/oci/exec.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/lsm.h>
#include <nsrun/oci/config.h>

#include <fcntl.h>
#include <string.h>

/* ---- kept at create ---- */

static int copy_members(json_t *to, const char *key, const json_t *from, const char *const *names, struct err *err)
{
	json_t *part = json_object();
	size_t n = 0;

	if (!part)
		return err_oom(err);
	for (; *names; names++) {
		json_t *value = json_object_get(from, *names);

		if (value && !json_is_null(value) && json_object_set(part, *names, value) == 0)
			n++;
	}
	if (n == 0) {
		json_decref(part);
		return 0;
	}
	return json_object_set_new(to, key, part) < 0 ? err_oom(err) : 0;
}

static void json_decrefp_of(json_t **value)
{
	json_decref(*value);
}

int oci_keep_settings(struct oci_reader *r, struct err *err)
{
	static const char *const process[] = { "scheduler",	  "ioPriority",	  "execCPUAffinity",
					       "apparmorProfile", "selinuxLabel", NULL };
	_cleanup_(json_decrefp_of) json_t *settings = json_object();

	if (!settings)
		return err_oom(err);
	int done = copy_members(settings, "process", json_object_get(r->config.value, "process"), process, err);
	if (done < 0 || json_object_size(settings) == 0)
		return done;
	_cleanup_free_ char *text = json_dumps(settings, JSON_COMPACT | JSON_ENCODE_ANY);
	r->bundle->settings = text ? arena_strdup(r->plan->arena, text) : NULL;
	return r->bundle->settings ? 0 : err_oom(err);
}

/* ---- read at exec ---- */

static int read_kept(struct plan *plan, const struct container *container, struct err *err)
{
	const json_t *bundle = json_object_get(container->state, "bundle");
	const json_t *settings = json_object_get(bundle, "settings");
	const struct json_at top = { .value = settings, .key = "state.json" };
	struct json_at process;

	if (!settings || !json_at_key(&top, "process", &process))
		return 0;
	return oci_read_settings(&process, plan, err);
}

static int read_process_file(struct plan *plan, const char *path, struct err *err)
{
	const char *name = streq(path, "-") ? "process object" : arena_strdup(plan->arena, path);
	json_t *document = NULL;

	if (!name)
		return err_oom(err);
	int r = json_at_load(AT_FDCWD, path, OCI_PROCESS_MAX, name, &document, err);
	if (r < 0)
		return r;
	const struct json_at at = { .value = document, .key = name };
	r = oci_plan_process(&at, plan, err);
	/* Strings of the plan are copies. */
	json_decref(document);
	return r;
}

/* A capability reaches a user other than root through execve(2) in the ambient set alone. */
static int add_caps(struct plan *plan, const char *const *names, struct err *err)
{
	const bool root = str_after(plan->user, "0:") || streq(plan->user, "0") || streq(plan->user, "root");
	struct cap_sets *sets = &plan->caps;
	uint64_t grantable, set = 0;

	if (!names || !*names)
		return 0;
	int r = oci_find_grantable(plan, &grantable, err);
	for (size_t i = 0; r == 0 && names[i]; i++) {
		struct err why = ERR_INIT;
		uint64_t mask = 0;

		if (caps_parse(names[i], &mask, &why) < 0)
			return err_input(err, "--cap %s: %s", names[i], why.message);
		if (mask & ~grantable)
			return err_input(err, "--cap %s: the caller does not have it to give", names[i]);
		set |= mask;
	}
	sets->bounding |= set;
	sets->permitted |= set;
	sets->effective |= set;
	if (!root) {
		sets->inheritable |= set;
		sets->ambient |= set;
	}
	return r;
}

static int set_label(const char *option, const char *said, enum lsm lsm, const char *module, const char **label,
		     struct err *err)
{
	if (!said)
		return 0;
	if (!lsm_enabled(lsm))
		return err_set(err, ERR_INPUT, ERR_ID_LSM_ABSENT, 0, "%s %s: %s is not active on this host", option,
			       said, module);
	*label = said;
	return 0;
}

int oci_plan_exec(const struct oci_exec_request *request, const struct container *container,
		  const struct pidref *process, struct plan **ret, struct err *err)
{
	_cleanup_(plan_freep) struct plan *plan = NULL;

	int r = plan_resolve_exec(&request->base, container, process, &plan, err);
	if (r < 0)
		return r;
	if (container_is_bundle(container))
		r = read_kept(plan, container, err);
	if (r == 0 && request->process_file)
		r = read_process_file(plan, request->process_file, err);
	/* podman's line says it beside its process object. */
	if (request->base.engine && request->base.process.terminal == YES)
		plan->terminal = true;
	if (r == 0)
		r = add_caps(plan, request->caps, err);
	if (r == 0)
		r = set_label("--apparmor", request->apparmor, LSM_APPARMOR, "AppArmor", &plan->labels.apparmor, err);
	if (r == 0)
		r = set_label("--process-label", request->selinux, LSM_SELINUX, "SELinux", &plan->labels.selinux, err);
	if (request->no_new_privs != UNSET)
		plan->no_new_privs = request->no_new_privs == YES;
	if (r == 0)
		r = plan_check_exec(plan, err);
	if (r == 0)
		*ret = TAKE_PTR(plan);
	return r;
}
