/* SPDX-License-Identifier: Apache-2.0 */
/* The key "bundle" of a record. */
#include <nsrun/plan/json_put.h>
#include <nsrun/plan/reserve.h>
#include <nsrun/plan/state.h>

static void put_hooks(FILE *f, const struct plan_hooks *hooks, enum hook_kind kind)
{
	fprintf(f, "\"%s\": [", hook_kind_name(kind));
	for (size_t i = 0; i < hooks->n; i++) {
		const struct plan_hook *hook = &hooks->hooks[i];

		fputs(i ? ", {\"path\": " : "{\"path\": ", f);
		json_put_string(f, hook->path);
		if (hook->argv) {
			fputs(", \"args\": ", f);
			json_put_strv(f, hook->argv, SIZE_MAX);
		}
		if (hook->env) {
			fputs(", \"env\": ", f);
			json_put_strv(f, hook->env, SIZE_MAX);
		}
		if (hook->timeout)
			fprintf(f, ", \"timeout\": %u", hook->timeout);
		fputc('}', f);
	}
	fputc(']', f);
}

void state_put_rdt(FILE *f, const struct plan_bundle *bundle, const char *name)
{
	if (!bundle->rdt)
		return;
	/* A group that config.json names is others', too: it stays. */
	fputs(", \"rdt\": {\"group\": ", f);
	json_put_string(f, bundle->rdt->clos_id ? bundle->rdt->clos_id : name);
	fprintf(f, ", \"own\": %s, \"monitor\": ", bundle->rdt->clos_id ? "false" : "true");
	json_put_string(f, bundle->rdt->monitoring ? name : "");
	fputc('}', f);
}

/* What the commands after create need of config.json, which may change by then. */
void state_put_bundle(FILE *f, const struct plan_bundle *bundle, const char *name)
{
	if (!bundle)
		return;
	fputs(",\n \"bundle\": {\"oci_version\": ", f);
	json_put_string(f, bundle->oci_version ? bundle->oci_version : "");
	fputs(", \"dir\": ", f);
	json_put_string(f, bundle->dir);
	fprintf(f, ", \"annotations\": %s, \"settings\": %s, \"no_new_keyring\": %s, \"hooks\": {",
		bundle->annotations ? bundle->annotations : "{}", bundle->settings ? bundle->settings : "{}",
		bundle->no_new_keyring ? "true" : "false");
	put_hooks(f, &bundle->hooks[HOOK_POSTSTART], HOOK_POSTSTART);
	fputs(", ", f);
	put_hooks(f, &bundle->hooks[HOOK_POSTSTOP], HOOK_POSTSTOP);
	fputc('}', f);
	state_put_rdt(f, bundle, name);
	if (bundle->listener.path) {
		fputs(", \"listener\": {\"path\": ", f);
		json_put_string(f, bundle->listener.path);
		fputs(", \"metadata\": ", f);
		json_put_string(f, bundle->listener.metadata ? bundle->listener.metadata : "");
		fputc('}', f);
	}
	fputc('}', f);
}
