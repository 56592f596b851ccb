/* SPDX-License-Identifier: Apache-2.0 */
/* The same fields, as far as this kernel and what was mounted for this caller decide them. */
#include <nsrun/oci/features.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/ability.h>
#include <nsrun/kernel/caps.h>
#include <nsrun/kernel/lsm.h>
#include <nsrun/kernel/resctrl.h>
#include <nsrun/kernel/seccomp.h>
#include <nsrun/kernel/systemd.h>
#include <nsrun/oci/config.h>
#include <nsrun/plan/seccomp_json_read.h>

#include <linux/mempolicy.h>
#include <sys/stat.h>
#include <sys/utsname.h>

/* Words that are found, with a space between two: an annotation is a string. */
struct words {
	char text[2048];
	size_t len;
};

static void add_word(struct words *words, const char *word)
{
	const int n = snprintf(words->text + words->len, sizeof(words->text) - words->len, "%s%s",
			       words->len ? " " : "", word);

	if (n > 0 && (size_t)n < sizeof(words->text) - words->len)
		words->len += (size_t)n;
}

static void say(json_t *annotations, const char *path, const char *value)
{
	char key[96];

	snprintf(key, sizeof(key), OCI_HOST_PREFIX "%s", path);
	json_object_set_new(annotations, key, json_string(value));
}

static void say_whether(json_t *annotations, const char *path, bool value)
{
	say(annotations, path, value ? "true" : "false");
}

static void namespaces(json_t *annotations)
{
	static const struct {
		const char *word, *file; /* of config.json, of /proc/self/ns */
	} kinds[] = { { "cgroup", "cgroup" }, { "ipc", "ipc" },	  { "mount", "mnt" }, { "network", "net" },
		      { "pid", "pid" },	      { "time", "time" }, { "user", "user" }, { "uts", "uts" } };
	struct words found = { .len = 0 };

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (ability_namespace(kinds[i].file))
			add_word(&found, kinds[i].word);
	say(annotations, "namespaces", found.text);
	say_whether(annotations, "netDevices.enabled", ability_namespace("net"));
}

static void capabilities(json_t *annotations)
{
	const uint64_t known = caps_all();
	struct words found = { .len = 0 };

	for (unsigned cap = 0; cap < 64; cap++)
		if ((known & CAP_MASK(cap)) && caps_name(cap))
			add_word(&found, caps_name(cap));
	say(annotations, "capabilities", found.text);
}

static void cgroup(json_t *annotations)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct cgroup_host host = CGROUP_HOST_NONE;
	struct words v1 = { .len = 0 }, v2 = { .len = 0 };
	struct err err = ERR_INIT;
	const bool user = geteuid() != 0, manager = systemd_is_there();

	if (!arena || cgroup_probe(arena, &host, &err) < 0)
		host = (struct cgroup_host)CGROUP_HOST_NONE;
	for (enum cgroup_ctl ctl = 0; ctl < CGROUP_CONTROLLER_COUNT; ctl++) {
		if (ctl != CGROUP_NAMED_SYSTEMD && cgroup_on_v1(&host, ctl))
			add_word(&v1, cgroup_v1_name(ctl));
		if (host.v2_controller[ctl])
			add_word(&v2, cgroup_controller_name(ctl));
	}
	say_whether(annotations, "cgroup.v1", v1.len > 0);
	say(annotations, "cgroup.v1.controllers", v1.text);
	say_whether(annotations, "cgroup.v2", host.v2_mount[0] != '\0');
	say(annotations, "cgroup.v2.controllers", v2.text);
	say_whether(annotations, "cgroup.rdma", cgroup_on_v1(&host, CGROUP_RDMA) || host.v2_controller[CGROUP_RDMA]);
	say_whether(annotations, "cgroup.systemd", manager && !user);
	say_whether(annotations, "cgroup.systemdUser", manager && user);
}

static void seccomp(json_t *annotations)
{
	struct words actions = { .len = 0 }, archs = { .len = 0 };

	for (const struct profile_word *w = profile_actions; w->name; w++)
		if (seccomp_action_is_known(w->value))
			add_word(&actions, w->name);
	/* A filter is made for others, too: what it says of them nobody asks here. */
	for (const struct profile_word *w = profile_archs; w->name; w++)
		if (w->value == seccomp_native_arch())
			add_word(&archs, w->name);
	say_whether(annotations, "seccomp.enabled", actions.len > 0);
	say(annotations, "seccomp.actions", actions.text);
	say(annotations, "seccomp.archs", archs.text);
}

static void modules(json_t *annotations)
{
	_cleanup_close_ int resctrl = FD_NONE;
	struct err err = ERR_INIT;
	struct stat st;

	say_whether(annotations, "apparmor.enabled", lsm_enabled(LSM_APPARMOR));
	say_whether(annotations, "selinux.enabled", lsm_enabled(LSM_SELINUX));
	say_whether(annotations, "intelRdt.enabled", ability_filesystem("resctrl"));
	/* Both need it mounted: resctrl.rst in the kernel's documentation. */
	const bool mounted = resctrl_open(&resctrl, &err) == 0;
	say_whether(annotations, "intelRdt.schemata", mounted && fstatat(resctrl, "schemata", &st, 0) == 0);
	say_whether(annotations, "intelRdt.monitoring", mounted && fstatat(resctrl, "mon_groups", &st, 0) == 0);
}

static void memory_policy(json_t *annotations)
{
	struct words modes = { .len = 0 }, flags = { .len = 0 };

	for (size_t i = 0; oci_memory_modes[i]; i++)
		if (ability_memory_policy(oci_memory_mode_values[i]))
			add_word(&modes, oci_memory_modes[i]);
	/* MPOL_F_NUMA_BALANCING goes with no other mode before Linux 6.14. */
	for (size_t i = 0; oci_memory_flags[i]; i++)
		if (ability_memory_policy(MPOL_BIND | oci_memory_flag_values[i]))
			add_word(&flags, oci_memory_flags[i]);
	say(annotations, "memoryPolicy.modes", modes.text);
	say(annotations, "memoryPolicy.flags", flags.text);
}

void oci_features_of_host(json_t *annotations)
{
	struct utsname name;

	if (uname(&name) == 0)
		say(annotations, "kernel", name.release);
	namespaces(annotations);
	capabilities(annotations);
	cgroup(annotations);
	seccomp(annotations);
	modules(annotations);
	memory_policy(annotations);
	say_whether(annotations, "mountExtensions.idmap.enabled", ability_idmapped_mounts());
}
