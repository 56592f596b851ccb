/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/oci/config.h>

#include <nsrun/base/cleanup.h>
#include <nsrun/base/signal.h>
#include <nsrun/base/strings.h>
#include <nsrun/plan/bundle_resolve.h>
#include <nsrun/plan/json_whole.h>
#include <nsrun/plan/process.h>
#include <nsrun/plan/tree.h>

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#define WARNINGS_MAX 64
#define ID_MAX 255 /* a file name (path_resolution(7)) */

int oci_warn(struct oci_reader *r, const struct json_at *at, struct err *err, const char *fmt, ...)
{
	struct plan_bundle *bundle = r->bundle;
	const char **list = (const char **)(uintptr_t)bundle->warnings;
	char text[256];
	va_list args;

	if (!list) {
		list = arena_array(r->plan->arena, WARNINGS_MAX + 1, sizeof(*list));
		bundle->warnings = list;
	}
	if (!list)
		return err_oom(err);
	if (bundle->n_warnings == WARNINGS_MAX)
		return 0;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	const char *way = json_at_path(at, r->plan->arena);
	list[bundle->n_warnings] = way ? arena_printf(r->plan->arena, "%s: %s", way, text) : NULL;
	return list[bundle->n_warnings++] ? 0 : err_oom(err);
}

/* ---- what stands at the top ---- */

/* SemVer: 1.x of this specification is compatible within its major version. */
static int read_version(struct oci_reader *r, struct err *err)
{
	struct json_at at;
	const char *version;

	if (!json_at_key(&r->config, "ociVersion", &at))
		return json_at_err(&r->config, err, "ociVersion is missing");
	const int done = json_at_string(&at, r->plan->arena, &version, err);
	if (done < 0)
		return done;
	const char *minor = str_after(version, "1.");
	const size_t digits = minor ? strspn(minor, "0123456789") : 0;
	if (!digits || minor[digits] != '.' || !isdigit((unsigned char)minor[digits + 1]))
		return json_at_err(&at, err, "'%s': this is a runtime of version %s, which takes 1.x.y", version,
				   OCI_VERSION);
	r->bundle->oci_version = version;
	return 0;
}

static int read_root(struct oci_reader *r, struct err *err)
{
	struct plan *plan = r->plan;
	struct err why = ERR_INIT;
	struct json_at root, at;
	const char *path = "";

	if (!json_at_key(&r->config, "root", &root))
		return json_at_err(&r->config, err, "root is missing");
	int done = json_at_object(&root, err);
	if (done == 0 && !json_at_key(&root, "path", &at))
		return json_at_err(&root, err, "path is missing");
	if (done == 0)
		done = json_at_string(&at, plan->arena, &path, err);
	if (done == 0)
		done = json_at_bool_of(&root, "readonly", &r->bundle->root_readonly, err);
	if (done < 0)
		return done;
	if (!*path)
		return json_at_err(&at, err, "it is empty");
	if (*path != '/')
		path = arena_printf(plan->arena, "%s/%s", r->bundle->dir, path);
	if (!path)
		return err_oom(err);
	done = r->mount_root >= 0 ? oci_find_joined_root(r, &at, path, err)
				  : plan_find_tree(plan->arena, path, TREE_ROOTFS, &plan->rootfs, NULL, &why);
	if (done < 0 && !err_is_set(&why))
		return done;
	if (done < 0)
		return err_set(err, why.kind, why.id, why.errnum, "%s: root.path: %s", r->config.key, why.message);
	plan->rootfs.view = VIEW_AS_IS;
	plan->rootfs.recursive = true;
	plan->rootfs.why = "as config.json names it";
	return 0;
}

/* A name that the uts namespace gets. */
static int read_uts_name(struct oci_reader *r, const char *key, const char **ret, struct err *err)
{
	struct json_at at;
	const char *name;

	if (!json_at_key(&r->config, key, &at))
		return 0;
	const int done = json_at_string(&at, r->plan->arena, &name, err);
	if (done < 0 || !*name)
		return done;
	if (r->plan->ns[NS_UTS].use == NS_HOST)
		return json_at_err(&at, err, "linux.namespaces has no uts namespace: it would be the host's name");
	if (strlen(name) > HOST_NAME_MAX)
		return json_at_err(&at, err, "longer than %d bytes", HOST_NAME_MAX);
	*ret = name;
	return 0;
}

/* For the state of the container and for its hooks; one of them tells how it wants to end. */
static int read_annotations(struct oci_reader *r, struct err *err)
{
	struct json_at at;
	const char *name;
	json_t *value;

	r->bundle->annotations = "{}";
	if (!json_at_key(&r->config, "annotations", &at))
		return 0;
	int done = json_at_object(&at, err);
	if (done < 0)
		return done;
	json_object_foreach((json_t *)(uintptr_t)at.value, name, value)
	{
		const struct json_at entry = { .value = value, .up = &at, .key = name };
		const char *text;

		if (!*name)
			return json_at_err(&at, err, "a name is empty");
		done = json_at_string(&entry, NULL, &text, err);
		if (done < 0)
			return done;
		if (streq(name, "org.opencontainers.image.stopSignal"))
			(void)signal_parse(text, name, &r->plan->stop_signal, NULL);
	}
	_cleanup_free_ char *dump = json_dumps(at.value, JSON_COMPACT);
	r->bundle->annotations = dump ? arena_strdup(r->plan->arena, dump) : NULL;
	return r->bundle->annotations ? 0 : err_oom(err);
}

/* The two names of the uts namespace are set by system calls, which need no procfs that may be written. */
static int read_uts_sysctl(struct oci_reader *r, const struct json_at *at, bool *ret_done, struct err *err)
{
	static const char conflict[] = "it conflicts with the OCI \"hostname\" field";
	struct plan *plan = r->plan;
	const char *value;

	*ret_done = streq(at->key, "kernel.hostname") || streq(at->key, "kernel.domainname");
	if (!*ret_done)
		return 0;
	if (streq(at->key, "kernel.hostname"))
		return json_at_err(at, err, "%s", conflict);
	const int done = json_at_string(at, plan->arena, &value, err);
	if (done < 0)
		return done;
	if (plan->ns[NS_UTS].use == NS_HOST)
		return json_at_err_id(at, err, ERR_ID_SYSCTL_NAMESPACE,
				      "linux.namespaces has no uts namespace: it would be the host's name");
	if (plan->domainname && !streq(plan->domainname, value))
		return json_at_err(at, err, "domainname is '%s', this '%s'", plan->domainname, value);
	if (strlen(value) > HOST_NAME_MAX)
		return json_at_err(at, err, "longer than %d bytes", HOST_NAME_MAX);
	plan->domainname = *value ? value : NULL;
	return 0;
}

static int read_sysctl(struct oci_reader *r, const struct json_at *at, struct plan_sysctl *ret, bool *ret_uts,
		       struct err *err)
{
	struct err why = ERR_INIT;
	const char *value;

	int done = read_uts_sysctl(r, at, ret_uts, err);
	if (done < 0 || *ret_uts)
		return done;
	done = json_at_string(at, NULL, &value, err);
	if (done == 0 && plan_check_sysctl(r->plan, at->key, value, ret, &why) < 0)
		return json_at_err_id(at, err, why.id, "%s", why.message);
	return done;
}

static int read_sysctls(struct oci_reader *r, struct err *err)
{
	struct plan *plan = r->plan;
	struct plan_sysctl *sysctls;
	struct json_at at;
	const char *key;
	json_t *value;
	bool uts;

	if (!json_at_key(&r->linux_, "sysctl", &at))
		return 0;
	int done = json_at_object(&at, err);
	if (done < 0)
		return done;
	sysctls = arena_array(plan->arena, json_object_size(at.value) + 1, sizeof(*sysctls));
	if (!sysctls)
		return err_oom(err);
	json_object_foreach((json_t *)(uintptr_t)at.value, key, value)
	{
		const struct json_at entry = { .value = value, .up = &at, .key = key };

		done = read_sysctl(r, &entry, &sysctls[plan->n_sysctls], &uts, err);
		if (done < 0)
			return done;
		plan->n_sysctls += !uts;
	}
	plan->sysctls = sysctls;
	return 0;
}

int oci_read_names(struct oci_reader *r, struct err *err)
{
	int done = read_root(r, err);

	if (done == 0)
		done = read_uts_name(r, "hostname", &r->plan->hostname, err);
	if (done == 0)
		done = read_uts_name(r, "domainname", &r->plan->domainname, err);
	if (done == 0)
		done = read_sysctls(r, err);
	if (done == 0)
		done = read_annotations(r, err);
	return done;
}

/* ---- the whole ---- */

/* In this order: who the container's root is decides about mounts, what can be mounted about devices. */
static int (*const parts[])(struct oci_reader *r, struct err *err) = {
	read_version,	  oci_read_ids,	  oci_read_process,   oci_read_names,	oci_read_hooks,	   oci_read_mounts,
	oci_read_devices, oci_read_linux, oci_read_resources, oci_read_seccomp, oci_keep_settings, oci_check_joined,
};

static int read_parts(struct oci_reader *r, struct err *err)
{
	int result = json_at_object(&r->config, err);

	if (result == 0 && json_at_key(&r->config, "linux", &r->linux_))
		result = json_at_object(&r->linux_, err);
	for (size_t i = 0; i < ARRAY_LEN(parts) && result == 0; i++)
		result = parts[i](r, err);
	return result;
}

/* As runc takes them. */
static int read_id(struct plan *plan, const char *id, struct err *err)
{
	const size_t n = id ? strlen(id) : 0;
	bool good = n > 0 && !streq(id, ".") && !streq(id, "..");

	if (n > ID_MAX)
		return err_input(err,
				 "invalid container ID format: %.64s...: it has %zu bytes, and at most %d are taken",
				 id, n, ID_MAX);
	for (size_t i = 0; i < n; i++)
		good = good && isascii(id[i]) && (isalnum((unsigned char)id[i]) || strchr("_+-.", id[i]));
	if (!good)
		return err_input(
			err, "invalid container ID format: %.64s: letters, digits, '_', '+', '-' and '.' are wanted",
			id ? id : "");
	plan->name = arena_strdup(plan->arena, id);
	return plan->name ? 0 : err_oom(err);
}

/* Absolute: init and the keeper of a terminal leave the caller's directory. */
static int keep_path(struct plan *plan, const char *path, const char **ret, struct err *err)
{
	char cwd[PATH_MAX];

	if (!path)
		return 0;
	if (*path != '/' && !getcwd(cwd, sizeof(cwd)))
		return err_system(err, "%s: the working directory", path);
	*ret = *path == '/' ? arena_strdup(plan->arena, path) : arena_printf(plan->arena, "%s/%s", cwd, path);
	return *ret ? 0 : err_oom(err);
}

static int read_request(struct plan *plan, struct plan_bundle *bundle, const struct bundle_request *request,
			struct err *err)
{
	static const struct {
		const char *word;
		enum cgroup_manager manager;
	} managers[] = {
		{ "cgroupfs", CGROUP_MANAGER_CGROUPFS },
		{ "systemd", CGROUP_MANAGER_SYSTEMD },
		{ "disabled", CGROUP_MANAGER_DISABLED },
	};
	const char *manager = request->cgroup_manager ? request->cgroup_manager : "cgroupfs";
	bool known = false;

	for (size_t i = 0; i < ARRAY_LEN(managers); i++)
		if (streq(manager, managers[i].word)) {
			plan->cgroup_manager = managers[i].manager;
			known = true;
		}
	if (!known)
		return err_set(err, ERR_INPUT, ERR_ID_CGROUP_MANAGER, 0,
			       "--cgroup-manager %s: cgroupfs, systemd or disabled is wanted", manager);
	plan->detached = request->detached || request->gated;
	plan->keep = request->keep;
	bundle->gated = request->gated;
	bundle->keep = request->keep;
	bundle->no_pivot = request->no_pivot;
	bundle->no_new_keyring = request->no_new_keyring;
	bundle->preserve_fds = request->preserve_fds;
	bundle->listen_fds = request->listen_fds;
	bundle->listen_names = request->listen_names ? arena_strdup(plan->arena, request->listen_names) : NULL;
	bundle->notify = request->notify ? arena_strdup(plan->arena, request->notify) : NULL;
	if ((request->listen_names && !bundle->listen_names) || (request->notify && !bundle->notify))
		return err_oom(err);
	int r = read_id(plan, request->id, err);
	if (r == 0)
		r = keep_path(plan, request->pidfile, &plan->pidfile, err);
	if (r == 0)
		r = keep_path(plan, request->console_socket, &bundle->console_socket, err);
	return r;
}

static void reader_done(struct oci_reader *r)
{
	closep(&r->mount_root);
}

int oci_plan_document(const struct bundle_request *request, const char *dir, const json_t *document, struct plan **ret,
		      struct err *err)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct plan *plan = arena ? arena_alloc(arena, sizeof(*plan)) : NULL;
	struct plan_bundle *bundle = arena ? arena_alloc(arena, sizeof(*bundle)) : NULL;

	if (!plan || !bundle)
		return err_oom(err);
	plan->arena = arena;
	plan->bundle = bundle;
	plan_begin_bundle(plan);
	bundle->dir = arena_strdup(arena, dir);
	if (!bundle->dir)
		return err_oom(err);
	_cleanup_(reader_done) struct oci_reader reader = {
		.plan = plan,
		.bundle = bundle,
		.request = request,
		.mount_root = FD_NONE,
		.config = { .value = document, .key = request->config ? request->config : "config.json" },
	};
	int r = read_request(plan, bundle, request, err);
	if (r == 0)
		r = read_parts(&reader, err);
	if (r == 0)
		r = plan_settle_bundle(plan, err);
	if (r < 0)
		return r;
	TAKE_PTR(arena);
	*ret = plan;
	return 0;
}

int oci_plan(const struct bundle_request *request, struct plan **ret, struct err *err)
{
	const char *where = request->bundle ? request->bundle : ".";
	const char *name = request->config ? request->config : "config.json";
	_cleanup_(json_decrefp) json_t *document = NULL;
	_cleanup_close_ int dir = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err why = ERR_INIT;
	char path[PATH_MAX];

	if (dir < 0)
		return err_system(err, "bundle %s", where);
	int r = tree_path_of(dir, where, path, err);
	if (r < 0)
		return r;
	r = json_at_load(dir, name, OCI_CONFIG_MAX, name, &document, &why);
	/* Of which bundle: who said no --bundle may be in another directory than was thought. */
	if (r < 0)
		return request->config ? err_set(err, why.kind, why.id, why.errnum, "%s", why.message)
				       : err_set(err, why.kind, why.id, why.errnum, "%.256s/%s", path, why.message);
	return oci_plan_document(request, path, document, ret, err);
}
