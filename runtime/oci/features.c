/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/oci/features.h>

#include <nsrun/kernel/caps.h>
#include <nsrun/kernel/seccomp.h>
#include <nsrun/oci/config.h>
#include <nsrun/oci/mount_words.h>
#include <nsrun/plan/seccomp_json_read.h>

/* The words come from the tables by which config.json is read. */
static json_t *strings_of(const char *const *words)
{
	json_t *list = json_array();

	for (; *words; words++)
		json_array_append_new(list, json_string(*words));
	return list;
}

static json_t *profile_words(const struct profile_word *words, bool (*wanted)(const struct profile_word *word))
{
	json_t *list = json_array();

	for (; words->name; words++)
		if (!wanted || wanted(words))
			json_array_append_new(list, json_string(words->name));
	return list;
}

static bool kernel_has_flag(const struct profile_word *flag)
{
	return seccomp_flag_is_known(flag->value);
}

/* The native one is a word of libseccomp, not of the specification. */
static bool is_of_the_specification(const struct profile_word *arch)
{
	return arch->value != 0;
}

static json_t *hooks(void)
{
	json_t *list = json_array();

	for (enum hook_kind kind = 0; kind < HOOK_KIND_COUNT; kind++)
		json_array_append_new(list, json_string(hook_kind_name(kind)));
	return list;
}

static json_t *mount_options(void)
{
	json_t *list = json_array();
	const char *word;

	for (size_t i = 0; (word = mount_word_name(i)); i++)
		json_array_append_new(list, json_string(word));
	return list;
}

static json_t *capabilities(void)
{
	json_t *list = json_array();
	const char *name;

	for (unsigned cap = 0; cap < 64 && (name = caps_name(cap)); cap++)
		json_array_append_new(list, json_string(name));
	return list;
}

static json_t *seccomp(void)
{
	return json_pack("{s:b, s:o, s:o, s:o, s:o, s:o}", "enabled", 1, "actions",
			 profile_words(profile_actions, NULL), "operators", profile_words(profile_operators, NULL),
			 "archs", profile_words(profile_archs, is_of_the_specification), "knownFlags",
			 profile_words(profile_flags, NULL), "supportedFlags",
			 profile_words(profile_flags, kernel_has_flag));
}

static json_t *linux_features(void)
{
	static const char *const namespaces[] = { "cgroup", "ipc",  "mount", "network", "pid",
						  "time",   "user", "uts",   NULL };

	return json_pack(
		"{s:o, s:o, s:{s:b, s:b, s:b, s:b, s:b}, s:o, s:{s:b}, s:{s:b}, s:{s:b, s:b, s:b}, s:{s:o, s:o}, "
		"s:{s:{s:b}}, s:{s:b}}",
		"namespaces", strings_of(namespaces), "capabilities", capabilities(), "cgroup", "v1", 1, "v2", 1,
		"systemd", 1, "systemdUser", 1, "rdma", 1, "seccomp", seccomp(), "apparmor", "enabled", 1, "selinux",
		"enabled", 1, "intelRdt", "enabled", 1, "schemata", 1, "monitoring", 1, "memoryPolicy", "modes",
		strings_of(oci_memory_modes), "flags", strings_of(oci_memory_flags), "mountExtensions", "idmap",
		"enabled", 1, "netDevices", "enabled", 1);
}

json_t *oci_features(const char *version, const char *commit, const char *libseccomp)
{
	/* No annotation of config.json changes what this runtime does: the list of unsafe ones is empty. */
	json_t *features =
		json_pack("{s:s, s:s, s:o, s:o, s:o, s:{s:s, s:s, s:s}, s:[]}", "ociVersionMin", "1.0.0",
			  "ociVersionMax", OCI_VERSION, "hooks", hooks(), "mountOptions", mount_options(), "linux",
			  linux_features(), "annotations", "io.github.seccomp.libseccomp.version", libseccomp,
			  "nsrun.commit", commit, "nsrun.version", version, "potentiallyUnsafeConfigAnnotations");

	if (features)
		oci_features_of_host(json_object_get(features, "annotations"));
	return features;
}
