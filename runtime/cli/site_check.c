/* SPDX-License-Identifier: Apache-2.0 */
/* What is forbidden, beyond the words of a launch: other commands, and what the words led to. */
#include <nsrun/cli/site.h>

#include <nsrun/base/strings.h>

#include <string.h>

/* ---- other commands ---- */

int site_check_command(const struct option_table *launch, const struct option_table *table, void *into, struct err *err)
{
	_cleanup_(site_done) struct site site = { 0 };
	const size_t n = site_collect(table, into, NULL);
	struct option_said *said;

	int r = n ? site_load(launch, &site, err) : 0;
	if (r < 0 || !site.n_files)
		return r;
	said = arena_array(site.arena, n, sizeof(*said));
	if (!said)
		return err_oom(err);
	site_collect(table, into, said);
	for (size_t i = 0; i < n; i++) {
		said[i].row = option_find(launch, said[i].row->name);
		for (size_t f = 0; said[i].row && f < site.n_files; f++)
			for (size_t k = 0; k < site.files[f].n_forbid; k++)
				if (site_forbids(&site.files[f].forbid[k], &said[i]))
					return site_refuse(&site.files[f], &site.files[f].forbid[k], &said[i], NULL,
							   err);
	}
	return 0;
}

/* ---- what the words led to ---- */

/* How many of the files bind who said this: those of earlier layers. */
static size_t files_before(const struct site *site, const struct option_said *said)
{
	for (size_t i = 0; said->file && i < site->n_files; i++)
		if (said->file == site->files[i].path)
			return i;
	return site->n_files;
}

typedef bool (*leads_fn)(const struct site_forbid *forbid, const struct option_said *said, const void *data);

static int check_said(const struct site *site, const struct option_said *said, leads_fn leads, const void *data,
		      struct err *err)
{
	for (size_t i = 0; i < files_before(site, said); i++)
		for (size_t f = 0; f < site->files[i].n_forbid; f++)
			if (leads(&site->files[i].forbid[f], said, data))
				return site_refuse(&site->files[i], &site->files[i].forbid[f], said, NULL, err);
	return 0;
}

static bool leads_to_place(const struct site_forbid *forbid, const struct option_said *said, const void *path)
{
	return site_forbids_place(forbid, said->row, path);
}

static int check_layer(const struct site *site, const struct plan *plan, const struct option_said *said,
		       const struct plan_tree *holder, const struct plan_layer *layer, struct err *err)
{
	const char *path = arena_printf(plan->arena, "%s/%s", holder->path, layer->name);

	return path ? check_said(site, said, leads_to_place, path, err) : err_oom(err);
}

static int check_mount(const struct site *site, const struct plan *plan, const struct option_said *said,
		       const struct plan_mount *mount, struct err *err)
{
	const struct plan_tree *sources = plan->sources + mount->first_source;
	const size_t whole = mount->upper.name ? mount->n_lower : mount->n_sources;
	int r = 0;

	for (size_t i = 0; r == 0 && i < whole; i++)
		r = check_said(site, said, leads_to_place, sources[i].path, err);
	/* Of the directory that holds both, which may be anything, nothing else is seen inside. */
	if (r == 0 && mount->upper.name)
		r = check_layer(site, plan, said, &sources[whole], &mount->upper, err);
	if (r == 0 && mount->upper.name)
		r = check_layer(site, plan, said, &sources[whole], &mount->work, err);
	return r;
}

static bool leads_to_host(const struct site_forbid *forbid, const struct option_said *said, const void *data)
{
	const struct option_said host = { .row = said->row, .value = "host" };

	(void)data;
	return site_forbids(forbid, &host);
}

static bool shares_host_namespace(const struct plan *plan, const struct option_said *said)
{
	static const struct {
		const char *option;
		enum ns_kind kind;
	} kinds[] = {
		{ "network", NS_NET }, { "pid", NS_PID },   { "ipc", NS_IPC },
		{ "uts", NS_UTS },     { "time", NS_TIME }, { "cgroupns", NS_CGROUP },
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (streq(said->row->name, kinds[i].option))
			return plan->ns[kinds[i].kind].use == NS_HOST;
	return false;
}

int site_check_plan(const struct site *site, const struct plan *plan, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < site->n_files; i++)
		for (size_t f = 0; f < site->files[i].n_forbid; f++)
			if (site_forbids_rootfs(&site->files[i].forbid[f], plan->rootfs.path))
				return site_refuse(&site->files[i], &site->files[i].forbid[f], NULL, plan->rootfs.path,
						   err);
	for (size_t i = 0; r == 0 && site->n_files && i < site->n_said; i++) {
		const struct option_said *said = &site->said[i];

		if (shares_host_namespace(plan, said))
			r = check_said(site, said, leads_to_host, NULL, err);
		/* The very string that was asked for: two may read the same. */
		for (size_t m = 0; r == 0 && m < plan->n_mounts; m++)
			if (plan->mounts[m].text == said->value)
				r = check_mount(site, plan, said, &plan->mounts[m], err);
	}
	return r;
}
