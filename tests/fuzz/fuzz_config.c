/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json from anybody: oci_plan_document(), the reader of a process object's parts, and that of resources, as libFuzzer feeds them. Planning makes nothing,
 * so that nothing is left behind; what a document names of this host is looked at. Its root is replaced by one that is there, so that not all ends
 * at a path that does not exist.
 */
#include <nsrun/base/strings.h>
#include <nsrun/oci/config.h>
#include <nsrun/plan/limits.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_resources(const json_t *document)
{
	struct arena *arena = arena_new();
	struct cgroup_resources resources;
	struct err err = ERR_INIT;

	if (arena && limits_from_oci(arena, document, "fuzz.", false, &resources, &err) < 0 && !err_is_set(&err))
		abort(); /* an error without a word */
	arena_free(arena);
}

static void replace_root(json_t *document)
{
	json_t *root = json_object_get(document, "root");

	if (json_is_object(root) && json_is_string(json_object_get(root, "path")))
		json_object_set_new(root, "path", json_string("/"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* The cgroupfs manager, too: it only looks. Systemd's would be asked. */
	const struct bundle_request request = { .id = "fuzz", .cgroup_manager = size % 2 ? "cgroupfs" : "disabled" };
	struct err err = ERR_INIT;
	struct plan *plan = NULL;
	json_t *document;

	if (json_at_parse((const char *)data, size, "fuzz", &document, &err) < 0) {
		if (!err_is_set(&err))
			abort();
		return 0;
	}
	read_resources(document);
	replace_root(document);
	if (oci_plan_document(&request, "/", document, &plan, &err) == 0)
		plan_free(plan);
	else if (!err_is_set(&err))
		abort();
	json_decref(document);
	return 0;
}
