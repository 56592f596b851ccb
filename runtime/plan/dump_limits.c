/* SPDX-License-Identifier: Apache-2.0 */
/* The control groups of a plan: what this host has, which limits hold, and every file that is written for them. */
#include <nsrun/plan/dump.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/cgroup_resources.h>
#include <nsrun/plan/manager.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define KEY_MAX 160

static void put_host(const struct cgroup_host *host, FILE *out)
{
	const bool v2 = host && host->v2_mount[0];
	char key[KEY_MAX];

	dump_put(out, "cgroup.v2", v2 ? host->v2_mount : NULL);
	dump_put(out, "cgroup.v2.self", v2 ? host->v2_self : NULL);
	for (enum cgroup_ctl c = 0; c < CGROUP_CONTROLLER_COUNT; c++) {
		const bool on_v1 = host && host->v1_mount[c][0];

		snprintf(key, sizeof(key), "cgroup.%s", cgroup_controller_name(c));
		dump_put(out, key, on_v1 ? "v1" : host && host->v2_controller[c] ? "v2" : NULL);
		if (!on_v1)
			continue;
		snprintf(key, sizeof(key), "cgroup.%s.mount", cgroup_controller_name(c));
		dump_put(out, key, host->v1_mount[c]);
		snprintf(key, sizeof(key), "cgroup.%s.self", cgroup_controller_name(c));
		dump_put(out, key, host->v1_self[c]);
	}
}

/* "limit.0: memory.limit 67108864", "limit.1: blockIO.weightDevice 8:0 500", "limit.2: unified memory.high 256m": by the names of config.json. */
static void put_value(const struct cgroup_value *value, size_t i, FILE *out)
{
	const char *oci = cgroup_resource_row(value->resource)->oci;
	char key[KEY_MAX], number[24], device[32] = "", text[512];

	snprintf(key, sizeof(key), "limit.%zu", i);
	snprintf(number, sizeof(number), "%" PRId64, value->number);
	if (value->major || value->minor)
		snprintf(device, sizeof(device), " %" PRIu32 ":%" PRIu32, value->major, value->minor);
	if (value->resource == CGROUP_CPUSET_CPUS || value->resource == CGROUP_CPUSET_MEMS)
		snprintf(text, sizeof(text), "%s %s", oci, value->text);
	else
		snprintf(text, sizeof(text), "%.*s%s%s%s %s", (int)strcspn(oci, "["), oci, device,
			 value->text ? " " : "", value->text ?: "",
			 value->value_text     ? value->value_text
			 : value->number == -1 ? "unlimited"
					       : number);
	dump_put(out, key, text);
}

static void put_values(const struct cgroup_resources *resources, FILE *out)
{
	fprintf(out, "limits: %zu\n", resources->n);
	for (size_t i = 0; i < resources->n; i++)
		put_value(&resources->values[i], i, out);
}

/* "cgroup.write.0: v1 memory memory.limit_in_bytes 67108864" */
static int put_settings(const struct plan *plan, FILE *out)
{
	_cleanup_free_ struct cgroup_setting *list = calloc(CGROUP_SETTINGS_MAX, sizeof(*list));
	struct err err = ERR_INIT;
	size_t n = 0;
	int r;

	if (!list)
		return -ENOMEM;
	/* Of limits that this host cannot hold there is no plan: plan_resolve() refuses them. */
	r = plan->cgroup_host && plan->resources.n
		    ? cgroup_settings(plan->cgroup_host, &plan->resources, list, &n, &err)
		    : 0;
	if (r < 0)
		dump_put(out, "cgroup.write", err.message);
	for (size_t i = 0; r == 0 && i < n; i++) {
		char key[KEY_MAX], text[512];

		snprintf(key, sizeof(key), "cgroup.write.%zu", i);
		snprintf(text, sizeof(text), "%s %s %s %s%s", list[i].v2 ? "v2" : "v1",
			 list[i].controller < CGROUP_CONTROLLER_COUNT ? cgroup_controller_name(list[i].controller)
								      : "cgroup",
			 list[i].file, list[i].value, list[i].optional ? " (where the kernel has the file)" : "");
		dump_put(out, key, text);
	}
	return 0;
}

int plan_dump_limits(const struct plan *plan, FILE *out)
{
	put_host(plan->cgroup_host, out);
	dump_put(out, "cgroup.manager", plan_manager_name(plan->cgroup_manager));
	dump_put(out, "cgroup.path", plan->cgroup_path);
	dump_put(out, "cgroup.writable", plan->cgroup_writable ? "yes" : "no");
	dump_put(out, "cgroup.placed-late", plan->placed_late ? "yes" : "no");
	put_values(&plan->resources, out);
	return put_settings(plan, out);
}
