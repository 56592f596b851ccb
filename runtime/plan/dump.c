/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/dump.h>

#include <nsrun/base/signal.h>
#include <nsrun/base/strings.h>
#include <nsrun/plan/devices.h>
#include <nsrun/plan/mount_options.h>

#include <inttypes.h>
#include <linux/sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

/* Not in the headers of every C library beside <sched.h>. */
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

/* A key with an optional number, "argv.0"; the value escaped, so that none can look like a line of its own. */
static void put_at(FILE *out, const char *key, long index, const char *value)
{
	_cleanup_free_ char *text = NULL;
	size_t size;

	if (index >= 0)
		fprintf(out, "%s.%ld: ", key, index);
	else
		fprintf(out, "%s: ", key);
	if (!value) {
		fputs("none\n", out);
		return;
	}
	size = strlen(value) * 4 + 1;
	text = malloc(size);
	if (text)
		escape_text(value, text, size);
	fprintf(out, "%s\n", text ? text : "(no memory)");
}

static void put(FILE *out, const char *key, const char *value)
{
	put_at(out, key, -1, value);
}

void dump_put(FILE *out, const char *key, const char *value)
{
	put(out, key, value);
}

static void put_bool(FILE *out, const char *key, bool value)
{
	put(out, key, value ? "yes" : "no");
}

static void put_strv(FILE *out, const char *key, const char *const *v)
{
	if (!v || !*v) {
		put(out, key, NULL);
		return;
	}
	for (long i = 0; v[i]; i++)
		put_at(out, key, i, v[i]);
}

static void put_namespaces(FILE *out, const char *key, uint64_t flags)
{
	static const struct {
		uint64_t flag;
		const char *name;
	} names[] = {
		{ CLONE_NEWUSER, "user" },     { CLONE_NEWNS, "mnt" },	  { CLONE_NEWPID, "pid" },
		{ CLONE_NEWNET, "net" },       { CLONE_NEWIPC, "ipc" },	  { CLONE_NEWUTS, "uts" },
		{ CLONE_NEWCGROUP, "cgroup" }, { CLONE_NEWTIME, "time" },
	};

	fprintf(out, "%s:%s", key, flags ? "" : " none");
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (flags & names[i].flag) {
			fprintf(out, " %s", names[i].name);
			flags &= ~names[i].flag;
		}
	/* A flag that this table does not know must not be invisible. */
	if (flags)
		fprintf(out, " 0x%" PRIx64, flags);
	fputs("\n", out);
}

static void put_idmap(FILE *out, const char *key, const struct idmap *map, bool pending)
{
	fprintf(out, "%s:%s", key, pending ? " auto" : map->n == 0 ? " none" : "");
	for (size_t i = 0; !pending && i < map->n; i++)
		fprintf(out, " %" PRIu32 ":%" PRIu32 ":%" PRIu32, map->extents[i].inside, map->extents[i].outside,
			map->extents[i].count);
	fputs("\n", out);
}

static void put_id(FILE *out, const char *key, uint32_t id, bool pending)
{
	if (pending)
		fprintf(out, "%s: auto\n", key);
	else
		fprintf(out, "%s: %" PRIu32 "\n", key, id);
}

static const char *remap_text(enum remap_source remap)
{
	switch (remap) {
	case REMAP_NONE:
		return "none";
	case REMAP_USER:
		return "user";
	case REMAP_EXPLICIT:
		return "explicit";
	case REMAP_AUTO:
		return "auto";
	case REMAP_OWN_RANGES:
		return "own-ranges";
	case REMAP_SINGLE:
		return "single";
	}
	return "unknown";
}

static void put_namespace(FILE *out, enum ns_kind kind, const struct plan_namespace *ns)
{
	char key[32];

	snprintf(key, sizeof(key), "ns.%s", plan_ns_name(kind));
	put(out, key, ns->use == NS_JOIN ? ns->word : plan_ns_use_name(ns->use));
	if (ns->use != NS_JOIN)
		return;
	fprintf(out, "%s.device: %u:%u\n%s.inode: %ju\n", key, major(ns->device), minor(ns->device), key,
		(uintmax_t)ns->inode);
}

/* As timens_offsets has it: 1.5 seconds back are -2 and 500 million. */
static void put_offset(FILE *out, const char *key, const struct time_offset *offset)
{
	fprintf(out, "%s: %" PRId64 " s %" PRIu32 " ns\n", key, offset->seconds, offset->nanoseconds);
}

static void put_identity(FILE *out, const struct plan *plan)
{
	const bool pending = plan->auto_pending;

	put(out, "caller", caller_name(plan->caller));
	fprintf(out, "caller.uid: %u\ncaller.gid: %u\n", plan->caller_uid, plan->caller_gid);
	for (enum work work = 0; work < WORK_COUNT; work++)
		fprintf(out, "performer.%s: %s\n", work_name(work), performer_name(plan->performer[work]));
	put_namespaces(out, "namespaces", plan->namespaces);
	put_namespaces(out, "namespaces.later", plan->namespaces_later);
	for (enum ns_kind kind = 0; kind < NS_COUNT; kind++)
		put_namespace(out, kind, &plan->ns[kind]);
	if (plan->namespaces_later & CLONE_NEWTIME) {
		put_offset(out, "time.monotonic", &plan->monotonic);
		put_offset(out, "time.boottime", &plan->boottime);
	}
	put(out, "remap", remap_text(plan->remap));
	put(out, "remap.word", plan->remap_word);
	put_idmap(out, "uids", &plan->uids, pending);
	put_idmap(out, "gids", &plan->gids, pending);
	put_bool(out, "setgroups.denied", plan->deny_setgroups);
	put_id(out, "root.uid", plan->root_uid, pending);
	put_id(out, "root.gid", plan->root_gid, pending);
}

static const char *view_text(enum tree_view view)
{
	switch (view) {
	case VIEW_AS_IS:
		return "as-is";
	case VIEW_IDMAPPED:
		return "idmapped";
	case VIEW_OWNER_ONLY:
		return "owner-only";
	}
	return "unknown";
}

#define KEY_MAX 64

static const char *key_of(char key[KEY_MAX], const char *prefix, const char *name)
{
	snprintf(key, KEY_MAX, "%s.%s", prefix, name);
	return key;
}

static const char *propagation_text(uint64_t propagation)
{
	return propagation == MS_SLAVE ? "slave" : propagation == MS_SHARED ? "shared" : "private";
}

/* `prefix` is "rootfs" or "source.0". */
static void put_tree(FILE *out, const char *prefix, const struct plan_tree *tree)
{
	char key[KEY_MAX];

	put(out, key_of(key, prefix, "source"), tree->source);
	put(out, key_of(key, prefix, "path"), tree->path);
	put(out, key_of(key, prefix, "view"), view_text(tree->view));
	put(out, key_of(key, prefix, "why"), tree->why);
	put_bool(out, key_of(key, prefix, "readonly"), tree->readonly);
	put_bool(out, key_of(key, prefix, "directory"), tree->is_directory);
	put_bool(out, key_of(key, prefix, "recursive"), tree->recursive);
	put(out, key_of(key, prefix, "propagation"), propagation_text(tree->propagation));
	put_idmap(out, key_of(key, prefix, "owner.uids"), &tree->owner_uids, false);
	put_idmap(out, key_of(key, prefix, "owner.gids"), &tree->owner_gids, false);
	fprintf(out, "%s: %u:%u\n", key_of(key, prefix, "device"), major(tree->device), minor(tree->device));
	fprintf(out, "%s: %ju\n", key_of(key, prefix, "inode"), (uintmax_t)tree->inode);
}

static void put_etc(FILE *out, const struct plan *plan)
{
	put_bool(out, "etc", plan->etc_wanted);
	put(out, "hosts", plan->etc_wanted ? plan->hosts : NULL);
	put_bool(out, "hosts.required", plan->hosts_required);
	put(out, "resolv.conf", plan->etc_wanted ? plan->resolv_conf : NULL);
	put_bool(out, "resolv.conf.required", plan->resolv_conf_required);
}

static void put_attr(FILE *out, const char *key, uint64_t attr)
{
	static const struct {
		uint64_t attr;
		const char *name;
	} names[] = {
		{ MOUNT_ATTR_RDONLY, "ro" },
		{ MOUNT_ATTR_NOSUID, "nosuid" },
		{ MOUNT_ATTR_NODEV, "nodev" },
		{ MOUNT_ATTR_NOEXEC, "noexec" },
		{ MOUNT_ATTR_NOATIME, "noatime" },
		{ MOUNT_ATTR_STRICTATIME, "strictatime" },
		{ MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow" },
	};

	fprintf(out, "%s:%s", key, attr ? "" : " none");
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (attr & names[i].attr) {
			fprintf(out, " %s", names[i].name);
			attr &= ~names[i].attr;
		}
	/* A bit that this table does not know must not be invisible. */
	if (attr)
		fprintf(out, " 0x%" PRIx64, attr);
	fputs("\n", out);
}

static void put_mount(FILE *out, const char *prefix, const struct plan_mount *mount)
{
	char key[KEY_MAX];

	put(out, key_of(key, prefix, "kind"), mount_kind_name(mount->kind));
	put(out, key_of(key, prefix, "target"), mount->target);
	put(out, key_of(key, prefix, "said"), mount->said);
	put_attr(out, key_of(key, prefix, "attributes"), mount->attr_set);
	put_attr(out, key_of(key, prefix, "attributes.top"), mount->attr_top);
	put_attr(out, key_of(key, prefix, "attributes.cleared"), mount->attr_clear);
	fprintf(out, "%s: %zu", key_of(key, prefix, "sources"), mount->n_sources);
	for (size_t i = 0; i < mount->n_sources; i++)
		fprintf(out, " source.%zu", mount->first_source + i);
	fputs("\n", out);
	if (mount->kind == MOUNT_TMPFS) {
		put(out, key_of(key, prefix, "size"), mount->size ? mount->size : "default");
		put(out, key_of(key, prefix, "mode"), mount->mode);
		put(out, key_of(key, prefix, "inodes"), mount->nr_inodes ? mount->nr_inodes : "default");
		put(out, key_of(key, prefix, "uid"), mount->uid ? mount->uid : "0");
		put(out, key_of(key, prefix, "gid"), mount->gid ? mount->gid : "0");
	}
	if (mount->kind == MOUNT_OVERLAY) {
		put(out, key_of(key, prefix, "upper"), mount->in_memory ? "memory" : mount->upper.name);
		put(out, key_of(key, prefix, "work"), mount->in_memory ? "memory" : mount->work.name);
	}
}

static void put_device(FILE *out, const char *prefix, const struct plan_device *device)
{
	char key[KEY_MAX], access[4];

	put(out, key_of(key, prefix, "source"), device->path);
	put(out, key_of(key, prefix, "target"), device->target);
	put(out, key_of(key, prefix, "said"), device->said);
	fprintf(out, "%s: %c %u:%u\n", key_of(key, prefix, "node"), device->type, device->major, device->minor);
	fprintf(out, "%s: %04o %u:%u\n", key_of(key, prefix, "mode"), (unsigned)device->mode, device->uid, device->gid);
	put(out, key_of(key, prefix, "access"), device_access_text(device->access, access));
}

static void put_files(FILE *out, const struct plan *plan)
{
	put_tree(out, "rootfs", &plan->rootfs);
	put_bool(out, "rootfs.ephemeral", plan->ephemeral);
	put_bool(out, "rootfs.copied", plan->rootfs_copied);
	put_bool(out, "rootfs.nosuid", plan->root_nosuid);
	char prefix[32];
	fprintf(out, "mounts: %zu\n", plan->n_mounts);
	for (size_t i = 0; i < plan->n_mounts; i++) {
		snprintf(prefix, sizeof(prefix), "mount.%zu", i);
		put_mount(out, prefix, &plan->mounts[i]);
	}
	for (size_t i = 0; i < plan->n_sources; i++) {
		snprintf(prefix, sizeof(prefix), "source.%zu", i);
		put_tree(out, prefix, &plan->sources[i]);
	}
	fprintf(out, "devices: %zu\n", plan->n_devices);
	for (size_t i = 0; i < plan->n_devices; i++) {
		snprintf(prefix, sizeof(prefix), "device.%zu", i);
		put_device(out, prefix, &plan->devices[i]);
	}
	put_strv(out, "masked", plan->masked_paths);
	put_strv(out, "masked.asked", plan->asked_masks);
	put_strv(out, "readonly", plan->readonly_paths);
	put(out, "shm.size", plan->shm_size);
	put_etc(out, plan);
}

static void put_limit(FILE *out, rlim_t value)
{
	if (value == RLIM_INFINITY)
		fputs("unlimited", out);
	else
		fprintf(out, "%ju", (uintmax_t)value);
}

static const char *origin_text(enum origin origin)
{
	switch (origin) {
	case ORIGIN_DEFAULT:
		return "default";
	case ORIGIN_OPTION:
		return "options";
	case ORIGIN_IMAGE:
		return "image";
	case ORIGIN_BOTH:
		return "image and options";
	}
	return "unknown";
}

static void put_image(FILE *out, const struct plan_image *image)
{
	put(out, "image", image->path);
	put(out, "argv.from", origin_text(image->argv));
	put(out, "env.from", origin_text(image->env));
	put(out, "workdir.from", origin_text(image->workdir));
	put(out, "user.from", origin_text(image->user));
	put(out, "stop.signal.from", origin_text(image->stop_signal));
	if (!image->path)
		return;
	put_strv(out, "image.label", image->labels);
	put_strv(out, "image.volume.unused", image->volumes);
	put_strv(out, "image.port.unused", image->ports);
}

static void put_sysctls(FILE *out, const struct plan *plan)
{
	if (plan->n_sysctls == 0)
		put(out, "sysctl", NULL);
	for (size_t i = 0; i < plan->n_sysctls; i++) {
		_cleanup_free_ char *text = NULL;

		if (asprintf(&text, "%s=%s", plan->sysctls[i].path, plan->sysctls[i].value) >= 0)
			put_at(out, "sysctl", (long)i, text);
	}
}

/* How it is asked to end, and what the kernel thinks of it. */
static void put_end(FILE *out, const struct plan *plan)
{
	char name[SIGNAL_NAME_SIZE];

	put(out, "stop.signal", signal_name(plan->stop_signal, name));
	fprintf(out, "stop.timeout: %u\n", plan->stop_timeout);
	if (plan->has_oom_score_adj)
		fprintf(out, "oom.score.adj: %d\n", plan->oom_score_adj);
	else
		put(out, "oom.score.adj", NULL);
}

static void put_process(FILE *out, const struct plan *plan)
{
	if (plan->argv && *plan->argv)
		put_strv(out, "argv", plan->argv);
	else
		put(out, "argv", "the user's shell");
	put_strv(out, "env", plan->env);
	put(out, "workdir", plan->workdir);
	put(out, "user", plan->user);
	/* Made of the id when nothing was said. */
	put(out, "hostname", plan->hostname ? plan->hostname : plan_owns_ns(plan, NS_UTS) ? "auto" : NULL);
	put(out, "domainname", plan->domainname);
	put_strv(out, "group", plan->groups);
	fprintf(out, "umask: %04o\n", (unsigned)plan->umask);
	put_image(out, &plan->image);
	put_sysctls(out, plan);
	put_end(out, plan);
	put_bool(out, "terminal", plan->terminal);
	put_bool(out, "stdin.null", plan->stdin_null);
	put_bool(out, "init", plan->reaper);
	if (plan->n_rlimits == 0)
		put(out, "ulimit", NULL);
	for (size_t i = 0; i < plan->n_rlimits; i++) {
		fprintf(out, "ulimit.%s: ", rlimit_name(plan->rlimits[i].resource));
		put_limit(out, plan->rlimits[i].limit.rlim_cur);
		fputs(":", out);
		put_limit(out, plan->rlimits[i].limit.rlim_max);
		fputs("\n", out);
	}
}

static void put_caps(FILE *out, const char *key, uint64_t mask)
{
	fprintf(out, "%s:%s", key, mask ? "" : " none");
	for (unsigned cap = 0; cap < 64; cap++)
		if (mask & CAP_MASK(cap)) {
			const char *name = caps_name(cap);

			if (name)
				fprintf(out, " %s", name);
			else
				fprintf(out, " %u", cap);
		}
	fputs("\n", out);
}

static void put_device_rules(FILE *out, const struct plan *plan)
{
	char text[DEVICE_TEXT_MAX];

	put(out, "device.filter", device_filter_name(plan->device_filter));
	put_bool(out, "device.rules.asked", plan->device_rules_asked);
	for (size_t i = 0; i < plan->device_policy.n; i++)
		put_at(out, "device.rule", (long)i, device_cell_text(&plan->device_policy.cells[i], text));
}

static void put_confinement(FILE *out, const struct plan *plan)
{
	put_caps(out, "caps.bounding", plan->caps.bounding);
	put_caps(out, "caps.effective", plan->caps.effective);
	put_caps(out, "caps.permitted", plan->caps.permitted);
	put_caps(out, "caps.inheritable", plan->caps.inheritable);
	put_caps(out, "caps.ambient", plan->caps.ambient);
	put_bool(out, "privileged", plan->privileged);
	put_bool(out, "no-new-privileges", plan->no_new_privs);
	put(out, "seccomp", plan->seccomp_name);
	fprintf(out, "seccomp.instructions: %u\n", plan->seccomp ? (unsigned)plan->seccomp->len : 0);
	fprintf(out, "seccomp.flags: 0x%x\n", plan->seccomp ? plan->seccomp->flags : 0);
	put_device_rules(out, plan);
	put_strv(out, "without", plan->without);
}

static void put_number(FILE *out, const char *key, uint64_t value, bool limited)
{
	if (limited)
		fprintf(out, "%s: %" PRIu64 "\n", key, value);
	else
		fprintf(out, "%s: none\n", key);
}

static void put_life(FILE *out, const struct plan *plan)
{
	put(out, "name", plan->name);
	put_bool(out, "detached", plan->detached);
	put_bool(out, "keeper", plan->keeper);
	put_bool(out, "kept", plan->keep);
	put_bool(out, "attachable", plan->attachable);
	put(out, "detach.keys", plan->detach_keys);
	put(out, "cidfile", plan->cidfile);
	put(out, "pidfile", plan->pidfile);
	put_bool(out, "output.pipes", plan->output_pipes);
	put_bool(out, "stdin.pipe", plan->stdin_pipe);
	put(out, "log.driver", plan->log.driver == LOG_FILE ? "file" : NULL);
	put_number(out, "log.max-size", plan->log.max_size, plan->log.driver != LOG_NONE);
	put_number(out, "log.max-file", plan->log.max_file, plan->log.driver != LOG_NONE);
}

int plan_dump(const struct plan *plan, FILE *out)
{
	int r;

	/* The id is taken by plan_reserve(), too. */
	put(out, "id", plan->id[0] ? plan->id : "auto");
	put_identity(out, plan);
	put_files(out, plan);
	put_process(out, plan);
	put_confinement(out, plan);
	r = plan_dump_limits(plan, out);
	put_life(out, plan);
	put(out, "state.root", plan->state_root);
	put(out, "state.dir", plan->state_dir ? plan->state_dir : plan->auto_pending || !plan->id[0] ? "auto" : NULL);
	return ferror(out) ? -EIO : r;
}
