/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/oci/config.h>

#include <nsrun/base/cleanup.h>
#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <string.h>

int oci_read_names(struct oci_reader *r, struct err *err)
{
	(void)r;
	(void)err;
	return 0;
}

/* In this order: who the container's root is decides about mounts, what can be mounted about devices. */
static int (*const parts[])(struct oci_reader *r, struct err *err) = {
	oci_read_ids,	  oci_read_process, oci_read_names,	oci_read_hooks,	  oci_read_mounts,
	oci_read_devices, oci_read_linux,   oci_read_resources, oci_read_seccomp,
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

int oci_plan(const struct bundle_request *request, struct plan **ret, struct err *err)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	_cleanup_(json_decrefp) json_t *document = NULL;
	_cleanup_close_ int dir = FD_NONE;
	struct plan *plan = arena ? arena_alloc(arena, sizeof(*plan)) : NULL;
	struct plan_bundle *bundle = arena ? arena_alloc(arena, sizeof(*bundle)) : NULL;

	if (!plan || !bundle)
		return err_oom(err);
	plan->arena = arena;
	plan->bundle = bundle;
	const char *where = request->bundle ? request->bundle : ".";
	dir = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_system(err, "bundle %s", where);
	const char *name = request->config ? request->config : "config.json";
	int r = json_at_load(dir, name, OCI_CONFIG_MAX, name, &document, err);
	if (r < 0)
		return r;
	struct oci_reader reader = {
		.plan = plan,
		.bundle = bundle,
		.request = request,
		.config = { .value = document, .key = name },
	};
	r = read_parts(&reader, err);
	if (r < 0)
		return r;
	TAKE_PTR(arena);
	*ret = plan;
	return 0;
}
