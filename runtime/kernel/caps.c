/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/caps.h>

#include <nsrun/base/strings.h>

#include <strings.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* In the order of <linux/capability.h>; NULL-terminated for nearest_word(). libcap's cap_to_name(3) allocates and answers in
 * lower case; messages, config.json and manual pages use this spelling. */
static const char *const cap_names[] = {
	"CAP_CHOWN",
	"CAP_DAC_OVERRIDE",
	"CAP_DAC_READ_SEARCH",
	"CAP_FOWNER",
	"CAP_FSETID",
	"CAP_KILL",
	"CAP_SETGID",
	"CAP_SETUID",
	"CAP_SETPCAP",
	"CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST",
	"CAP_NET_ADMIN",
	"CAP_NET_RAW",
	"CAP_IPC_LOCK",
	"CAP_IPC_OWNER",
	"CAP_SYS_MODULE",
	"CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE",
	"CAP_SYS_PACCT",
	"CAP_SYS_ADMIN",
	"CAP_SYS_BOOT",
	"CAP_SYS_NICE",
	"CAP_SYS_RESOURCE",
	"CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG",
	"CAP_MKNOD",
	"CAP_LEASE",
	"CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL",
	"CAP_SETFCAP",
	"CAP_MAC_OVERRIDE",
	"CAP_MAC_ADMIN",
	"CAP_SYSLOG",
	"CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ",
	"CAP_PERFMON",
	"CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
	NULL,
};
#define N_CAP_NAMES (ARRAY_LEN(cap_names) - 1)

static void cap_freep(cap_t *caps)
{
	if (*caps)
		cap_free(*caps);
}

/* libcap asked the kernel once, when the program was loaded (PR_CAPBSET_READ, a binary search): no system call here. */
static unsigned n_caps(void)
{
	cap_value_t bits = cap_max_bits();

	return bits < 0 ? 0 : bits > 64 ? 64 : (unsigned)bits;
}

uint64_t caps_all(void)
{
	unsigned n = n_caps();

	return n == 64 ? UINT64_MAX : CAP_MASK(n) - 1;
}

const char *caps_name(unsigned cap)
{
	return cap < N_CAP_NAMES ? cap_names[cap] : NULL;
}

int caps_parse(const char *name, uint64_t *ret_mask, struct err *err)
{
	bool prefixed = strncasecmp(name, "CAP_", 4) == 0;
	const char *near;
	char word[32];
	size_t i;

	if (strcasecmp(name, "ALL") == 0) {
		*ret_mask = caps_all();
		return 0;
	}
	for (i = 0; i < N_CAP_NAMES; i++)
		if (strcasecmp(cap_names[i] + (prefixed ? 0 : 4), name) == 0)
			break;
	if (i < N_CAP_NAMES && (caps_all() & CAP_MASK(i))) {
		*ret_mask = CAP_MASK(i);
		return 0;
	}
	if (i < N_CAP_NAMES)
		return err_input(err, "%s: this kernel does not have this capability", cap_names[i]);

	/* The distance is meant between words of one spelling. */
	snprintf(word, sizeof(word), "%s%s", prefixed ? "" : "CAP_", name);
	for (char *p = word; *p; p++)
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
	near = nearest_word(word, cap_names);
	if (near)
		return err_input(err, "%s: unknown capability; the nearest is %s", name, near);
	return err_input(err, "%s: unknown capability (capabilities(7))", name);
}

static int read_flag(cap_t caps, cap_flag_t flag, uint64_t *ret)
{
	uint64_t mask = 0;

	for (unsigned i = 0; i < n_caps(); i++) {
		cap_flag_value_t value;

		if (cap_get_flag(caps, (cap_value_t)i, flag, &value) < 0)
			return -errno;
		if (value == CAP_SET)
			mask |= CAP_MASK(i);
	}
	*ret = mask;
	return 0;
}

int caps_get(struct cap_sets *ret, struct err *err)
{
	_cleanup_(cap_freep) cap_t caps = NULL;
	struct cap_sets sets = { 0 };

	caps = cap_get_proc();
	if (!caps)
		return err_system(err, "capget");
	if (read_flag(caps, CAP_EFFECTIVE, &sets.effective) < 0 ||
	    read_flag(caps, CAP_PERMITTED, &sets.permitted) < 0 ||
	    read_flag(caps, CAP_INHERITABLE, &sets.inheritable) < 0)
		return err_system(err, "cap_get_flag");

	/* prctl(2) answers for one capability at a time. 41 such calls are still faster than one open, read and close of
	 * /proc/self/status, and need no procfs. */
	for (unsigned i = 0; i < n_caps(); i++)
		if (cap_get_bound((cap_value_t)i) == 1)
			sets.bounding |= CAP_MASK(i);
	/* The kernel keeps ambient within permitted and inheritable, so that mostly nothing is to be asked. */
	for (unsigned i = 0; i < n_caps(); i++)
		if ((sets.permitted & sets.inheritable & CAP_MASK(i)) && cap_get_ambient((cap_value_t)i) == 1)
			sets.ambient |= CAP_MASK(i);
	*ret = sets;
	return 0;
}

int caps_limit_bounding(uint64_t keep, struct err *err)
{
	/* There is no call that sets the whole bounding set: PR_CAPBSET_DROP takes one capability. */
	for (unsigned i = 0; i < n_caps(); i++) {
		if (keep & CAP_MASK(i))
			continue;
		if (cap_drop_bound((cap_value_t)i) == 0)
			continue;
		/* EPERM without CAP_SETPCAP, even for one that is not in the set any more: then nothing is wrong. */
		if (errno == EPERM && cap_get_bound((cap_value_t)i) == 0)
			continue;
		errno = errno ? errno : EPERM;
		return err_system(err, "%s: dropping it from the bounding set",
				  caps_name(i) ? caps_name(i) : "capability");
	}
	return 0;
}

int caps_keep_across_setuid(bool keep, struct err *err)
{
	/*
	 * setresuid(2) from 0 to other ids clears the permitted set unless SECBIT_KEEP_CAPS is set. PR_SET_KEEPCAPS sets just
	 * that bit; PR_SET_SECUREBITS would need CAP_SETPCAP and a read first, and the other bits are not wanted:
	 * SECBIT_NO_SETUID_FIXUP would be inherited by the workload, where set-uid programs and su rely on the fix-up.
	 * The kernel clears this one at execve(2).
	 */
	if (prctl(PR_SET_KEEPCAPS, keep ? 1L : 0L, 0L, 0L, 0L) < 0)
		return err_system(err, "PR_SET_KEEPCAPS");
	return 0;
}

static int write_flag(cap_t caps, cap_flag_t flag, uint64_t mask)
{
	cap_value_t values[64];
	int n = 0;

	for (unsigned i = 0; i < n_caps(); i++)
		if (mask & CAP_MASK(i))
			values[n++] = (cap_value_t)i;
	return n > 0 ? cap_set_flag(caps, flag, n, values, CAP_SET) : 0;
}

int caps_set(const struct cap_sets *sets, uint64_t extra, struct err *err)
{
	_cleanup_(cap_freep) cap_t caps = NULL;

	caps = cap_init();
	if (!caps)
		return err_system(err, "cap_init");
	if (write_flag(caps, CAP_EFFECTIVE, sets->effective | extra) < 0 ||
	    write_flag(caps, CAP_PERMITTED, sets->permitted | extra) < 0 ||
	    write_flag(caps, CAP_INHERITABLE, sets->inheritable) < 0)
		return err_system(err, "cap_set_flag");
	/* One capset(2) for the three: the kernel checks them together, so that no order between them matters. It also lowers
	 * ambient capabilities that are no longer permitted and inheritable, and never raises one: that comes after it. */
	if (cap_set_proc(caps) < 0) {
		if (errno == EPERM)
			return err_system_id(err, ERR_ID_CAP_NOT_HELD, "capset");
		return err_system(err, "capset");
	}
	if (cap_reset_ambient() < 0)
		return err_system(err, "PR_CAP_AMBIENT_CLEAR_ALL");
	for (unsigned i = 0; i < n_caps(); i++) {
		if (!(sets->ambient & CAP_MASK(i)))
			continue;
		if (cap_set_ambient((cap_value_t)i, CAP_SET) < 0)
			return err_system(err,
					  "%s: adding it to the ambient set (it must be permitted and inheritable)",
					  caps_name(i) ? caps_name(i) : "capability");
	}
	return 0;
}

int caps_lower(const struct cap_sets *sets, struct err *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct data[] = {
		{ (uint32_t)sets->effective, (uint32_t)sets->permitted, (uint32_t)sets->inheritable },
		{ (uint32_t)(sets->effective >> 32), (uint32_t)(sets->permitted >> 32),
		  (uint32_t)(sets->inheritable >> 32) },
	};

	/* By the system call: libcap would allocate memory, which takes calls that the filter may deny. */
	return syscall(SYS_capset, &header, data) < 0 ? err_system(err, "capset") : 0;
}
