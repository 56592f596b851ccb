/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/oci/spec.h>

#include <unistd.h>

/* Docker's default capabilities without those that hardening guides advise to drop first (MKNOD, NET_RAW, AUDIT_WRITE, SYS_CHROOT): a bundle that needs more says so. */
static const char *const capabilities[] = { "CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FOWNER",
					    "CAP_FSETID",  "CAP_KILL",	       "CAP_NET_BIND_SERVICE",
					    "CAP_SETFCAP", "CAP_SETGID",       "CAP_SETPCAP",
					    "CAP_SETUID" };

static const char text[] =
	"{\"ociVersion\":\"1.3.0\","
	"\"process\":{\"terminal\":true,\"user\":{\"uid\":0,\"gid\":0},\"args\":[\"sh\"],"
	"\"env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",\"TERM=xterm\"],\"cwd\":\"/\","
	"\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"hard\":1024,\"soft\":1024}],\"noNewPrivileges\":true},"
	"\"root\":{\"path\":\"rootfs\",\"readonly\":true},\"hostname\":\"nsrun\","
	"\"mounts\":["
	"{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\",\"options\":[\"nosuid\",\"noexec\",\"nodev\"]},"
	"{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"options\":[\"nosuid\",\"strictatime\",\"mode=755\","
	"\"size=65536k\"]},"
	"{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\",\"options\":[\"nosuid\",\"noexec\","
	"\"newinstance\",\"ptmxmode=0666\",\"mode=0620\",\"gid=5\"]},"
	"{\"destination\":\"/dev/shm\",\"type\":\"tmpfs\",\"source\":\"shm\",\"options\":[\"nosuid\",\"noexec\",\"nodev\","
	"\"mode=1777\",\"size=65536k\"]},"
	"{\"destination\":\"/dev/mqueue\",\"type\":\"mqueue\",\"source\":\"mqueue\",\"options\":[\"nosuid\",\"noexec\",\"nodev\"]},"
	"{\"destination\":\"/sys\",\"type\":\"sysfs\",\"source\":\"sysfs\",\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"ro\"]},"
	"{\"destination\":\"/sys/fs/cgroup\",\"type\":\"cgroup\",\"source\":\"cgroup\",\"options\":[\"nosuid\",\"noexec\",\"nodev\","
	"\"relatime\",\"ro\"]}],"
	"\"linux\":{\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"}]},"
	"\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"mount\"},"
	"{\"type\":\"cgroup\"}],"
	"\"maskedPaths\":[\"/proc/acpi\",\"/proc/asound\",\"/proc/interrupts\",\"/proc/kcore\",\"/proc/keys\","
	"\"/proc/latency_stats\",\"/proc/timer_list\",\"/proc/timer_stats\",\"/proc/sched_debug\",\"/proc/scsi\",\"/sys/firmware\","
	"\"/sys/devices/virtual/powercap\"],"
	"\"readonlyPaths\":[\"/proc/bus\",\"/proc/fs\",\"/proc/irq\",\"/proc/sys\",\"/proc/sysrq-trigger\"]}}";

static json_t *capability_sets(void)
{
	static const char *const sets[] = { "bounding", "effective", "permitted" };
	json_t *object = json_object();

	for (size_t i = 0; i < sizeof(sets) / sizeof(*sets); i++) {
		json_t *list = json_array();

		for (size_t k = 0; k < sizeof(capabilities) / sizeof(*capabilities); k++)
			json_array_append_new(list, json_string(capabilities[k]));
		json_object_set_new(object, sets[i], list);
	}
	return object;
}

/* The entry of an array whose member `key` is `word`; -1. */
static ssize_t find(const json_t *array, const char *key, const char *word)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(array, i, entry)
	{
		const char *value = json_string_value(json_object_get(entry, key));

		if (value && __builtin_strcmp(value, word) == 0)
			return (ssize_t)i;
	}
	return -1;
}

static int map_to_caller(json_t *linux_, const char *key, unsigned id)
{
	return json_object_set_new(linux_, key,
				   json_pack("[{sisisi}]", "containerID", 0, "hostID", (int)id, "size", 1));
}

/*
 * What the kernel allows to an ordinary user: a user namespace that maps the one id which is its own; so no gid=5 of devpts, which is not mapped; no limits
 * without a group of its own; and the host's network, whose sysfs only its owner may mount: a bind of /sys.
 */
static int make_rootless(json_t *spec)
{
	json_t *linux_ = json_object_get(spec, "linux"), *mounts = json_object_get(spec, "mounts"),
	       *namespaces = json_object_get(linux_, "namespaces"), *option;
	size_t i;

	json_object_del(linux_, "resources");
	json_array_remove(namespaces, (size_t)find(namespaces, "type", "network"));
	json_array_append_new(namespaces, json_pack("{ss}", "type", "user"));
	json_t *pts =
		json_object_get(json_array_get(mounts, (size_t)find(mounts, "destination", "/dev/pts")), "options");
	json_array_foreach(pts, i, option) if (__builtin_strcmp(json_string_value(option), "gid=5") == 0)
	{
		json_array_remove(pts, i);
		break;
	}
	json_array_remove(mounts, (size_t)find(mounts, "destination", "/sys/fs/cgroup"));
	json_array_set_new(mounts, (size_t)find(mounts, "destination", "/sys"),
			   json_pack("{ssssss s[sssss]}", "destination", "/sys", "type", "none", "source", "/sys",
				     "options", "rbind", "nosuid", "noexec", "nodev", "ro"));
	return map_to_caller(linux_, "uidMappings", geteuid()) < 0 ||
			       map_to_caller(linux_, "gidMappings", getegid()) < 0
		       ? -1
		       : 0;
}

int oci_default_config(bool rootless, json_t **ret, struct err *err)
{
	json_t *spec = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

	if (!spec || json_object_set_new(json_object_get(spec, "process"), "capabilities", capability_sets()) < 0 ||
	    (rootless && make_rootless(spec) < 0)) {
		json_decref(spec);
		return err_oom(err);
	}
	*ret = spec;
	return 0;
}
