/* SPDX-License-Identifier: Apache-2.0 */
/* A mount namespace that is joined: where config.json's files are then, and what cannot be said with it (docs/decisions/0019). */
#include <nsrun/oci/config.h>

#include <nsrun/base/strings.h>
#include <nsrun/plan/namespaces.h>

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Its tree is where config.json's files are, and init, which is in it, opens them. */
int oci_join_mounts(struct oci_reader *r, struct err *err)
{
	struct plan *plan = r->plan;
	const struct plan_namespace *ns = &plan->ns[NS_MNT];
	const char *what = arena_printf(plan->arena, "%s: %s.path", r->config.key, ns->word);

	if (!what)
		return err_oom(err);
	if (ns->use == NS_HOST && ns->path)
		return err_input(err,
				 "%s: %s is the caller's own mount namespace, whose root could not be changed for this "
				 "container alone",
				 what, ns->path);
	if (ns->use != NS_JOIN)
		return 0;
	if (r->bundle->no_pivot)
		return err_input(err, "%s: --no-pivot would cover what others in that mount namespace have there",
				 what);
	plan->performer[WORK_SOURCES] = BY_INIT;
	return plan_open_joined_root(plan, what, &r->mount_root, err);
}

/* mount_namespaces(7): mounting takes CAP_SYS_ADMIN over the user namespace that owns the mount namespace. */
static int check_mounts(const struct oci_reader *r, struct err *err)
{
	const struct plan *plan = r->plan;
	const struct plan_namespace *ns = &plan->ns[NS_MNT];

	if (ns->use != NS_JOIN || r->bundle->root_joined || plan->ns[NS_USER].use == NS_HOST || ns->inside)
		return 0;
	return err_refused(
		err, ERR_ID_NAMESPACE_FOREIGN,
		"%s: %s.path: it does not belong to the user namespace of %s: root of that may mount nothing there",
		r->config.key, ns->word, plan->ns[NS_USER].word);
}

int oci_open_source(const struct oci_reader *r, const char *path)
{
	const struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	const int fd = r->mount_root < 0 ? open(path, O_PATH | O_CLOEXEC)
					 : (int)syscall(SYS_openat2, r->mount_root, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* In the mount namespace that is joined, which whoever made it has prepared. Its own root is taken as it is: nothing is mounted, and nothing moves. */
int oci_find_joined_root(struct oci_reader *r, const struct json_at *at, const char *path, struct err *err)
{
	struct plan *plan = r->plan;
	_cleanup_close_ int fd = oci_open_source(r, path);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return json_at_err(at, err, "%s: %s (in the mount namespace that %s joins)", path,
				   strerrordesc_np(errno), plan->ns[NS_MNT].word);
	if (!S_ISDIR(st.st_mode))
		return json_at_err(at, err, "%s: is no directory", path);
	const char *clean = oci_clean_path(plan->arena, path);
	if (!clean)
		return err_oom(err);
	r->bundle->root_joined = streq(clean, "/");
	plan->rootfs = (struct plan_tree){
		.source = clean, .path = clean, .is_directory = true, .device = st.st_dev, .inode = st.st_ino
	};
	return 0;
}

static bool says_something(const json_t *value)
{
	return json_is_true(value) || json_array_size(value) || (json_is_string(value) && *json_string_value(value));
}

/* What would change the files of all who are in it. */
int oci_check_joined(struct oci_reader *r, struct err *err)
{
	struct json_at root = { 0 };
	const struct {
		const struct json_at *object;
		const char *key;
	} others[] = {
		{ &r->config, "mounts" },      { &root, "readonly" },		{ &r->linux_, "devices" },
		{ &r->linux_, "maskedPaths" }, { &r->linux_, "readonlyPaths" }, { &r->linux_, "rootfsPropagation" },
	};
	struct json_at at;

	if (r->plan->ns[NS_MNT].use == NS_JOIN && r->bundle->notify)
		return err_input(
			err,
			"NOTIFY_SOCKET=%s: %s joins a mount namespace, from which nothing leads to the state of "
			"the container, where the workload's socket is",
			r->bundle->notify, r->plan->ns[NS_MNT].word);
	if (!r->bundle->root_joined)
		return check_mounts(r, err);
	json_at_key(&r->config, "root", &root);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (json_at_key(others[i].object, others[i].key, &at) && says_something(at.value))
			return json_at_err(
				&at, err,
				"root.path is the root of the mount namespace that %s joins: for all who are in it "
				"this would hold",
				r->plan->ns[NS_MNT].word);
	return 0;
}
