/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/lab/needs.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/lsm.h>
#include <nsrun/plan/ids.h>

#include <linux/magic.h>
#include <pwd.h>
#include <string.h>
#include <sys/vfs.h>

#define PROBE_SECONDS 60

static bool is_root(void)
{
	return geteuid() == 0;
}

static bool is_ordinary(void)
{
	return geteuid() != 0;
}

/* Root takes ranges that are free; an ordinary user has those of the file. */
static bool has_ids(void)
{
	const struct id_files files = id_files_host;
	const struct passwd *user = getpwuid(geteuid());
	struct subid_ranges ranges = { 0 };

	if (is_root())
		return true;
	const bool some =
		subid_ranges_in(&files, SUBID_UID, user ? user->pw_name : NULL, geteuid(), &ranges, NULL) == 0 &&
		ranges.n > 0;

	subid_ranges_done(&ranges);
	return some;
}

static bool has_v2(void)
{
	struct statfs fs;

	return statfs("/sys/fs/cgroup", &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

static bool has_net_admin(void)
{
	_cleanup_free_ char *caps = NULL;
	struct observe_term term;

	if (observe_parse("caps.eff", &term, NULL) < 0)
		return false;
	const int r = observe(getpid(), &term, &caps, NULL);

	observe_term_done(&term);
	return r == 0 && strstr(caps, "CAP_NET_ADMIN");
}

static bool has_seccomp(void)
{
	return access("/proc/sys/kernel/seccomp/actions_avail", F_OK) == 0;
}

static bool has_apparmor(void)
{
	return lsm_enabled(LSM_APPARMOR);
}

static bool has_selinux(void)
{
	return lsm_enabled(LSM_SELINUX);
}

static bool has_time(void)
{
	return access("/proc/self/ns/time", F_OK) == 0;
}

static const struct {
	const char *word;
	bool (*has)(void);
	const char *launch[8]; /* or a launch with these words succeeds */
	const char *reason;
	const char *remedy;					  /* NULL: the launch tells */
	int (*furnish)(struct lab_place *place, struct err *err); /* what that launch takes; may be NULL */
} needs[] = {
	{ "root", is_root, {}, "this takes root", "play it with sudo nsrun lab" },
	{ "ordinary", is_ordinary, {}, "this is about an ordinary user, and you are root", "log in as another user" },
	{ "ids",
	  has_ids,
	  {},
	  "you have no range of subordinate ids in /etc/subuid",
	  "as root: usermod --add-subuids FIRST-LAST --add-subgids FIRST-LAST USER, with 65536 ids that no other line has" },
	{ "cgroup", NULL, { "--pids-limit", "64", "rootfs", "/bin/true" }, "a control group cannot be made", NULL },
	{ "limits",
	  NULL,
	  { "--pids-limit=64", "--memory", "64m", "rootfs", "/bin/true" },
	  "memory and processes cannot be limited",
	  NULL },
	{ "machine",
	  NULL,
	  { "--privileged", "--ephemeral", "machine", "/bin/nsrun", "--userns=host", "rootfs", "/bin/true" },
	  "no container can play the host here",
	  NULL,
	  lab_place_furnish_machine },
	{ "v2", has_v2, {}, "/sys/fs/cgroup is not pure cgroup v2", "boot with systemd.unified_cgroup_hierarchy=1" },
	{ "net-admin",
	  has_net_admin,
	  {},
	  "this takes CAP_NET_ADMIN in the host's network namespace",
	  "play it with sudo nsrun lab" },
	{ "seccomp",
	  has_seccomp,
	  {},
	  "the kernel was built without seccomp filters",
	  "another kernel (CONFIG_SECCOMP_FILTER)" },
	{ "apparmor", has_apparmor, {}, "AppArmor is not active", "the boot parameters apparmor=1 security=apparmor" },
	{ "selinux", has_selinux, {}, "SELinux is not active", "a host whose policy is loaded (Fedora has one)" },
	{ "time", has_time, {}, "the kernel has no time namespaces", "another kernel (CONFIG_TIME_NS)" },
};

/* Tries a launch with these words. False: *ret_text is what nsrun says of it. */
static bool try_launch(struct lab_session *session, const char *const words[8],
		       int (*furnish)(struct lab_place *place, struct err *err), char **ret_text)
{
	const char *argv[16] = { session->place->program };
	struct err err = ERR_INIT;
	int status;

	for (size_t i = 0; i < 8 && words[i]; i++)
		argv[i + 1] = words[i];
	*ret_text = NULL;
	if ((furnish && furnish(session->place, &err) < 0) ||
	    lab_capture(argv, session->place->dir_fd, PROBE_SECONDS, &status, ret_text, &err) < 0) {
		*ret_text = strdup(err.message);
		return false;
	}
	return status == 0;
}

static char *reason_of(const char *reason, const char *remedy, const char *said)
{
	char *text = NULL;
	int n;

	if (remedy)
		n = asprintf(&text, "%s. What helps: %s", reason, remedy);
	else
		n = asprintf(&text, "%s. nsrun says: %s", reason, said && *said ? said : "nothing");
	return n < 0 ? NULL : text;
}

static bool is_met(struct lab_session *session, const char *word, char **ret_reason)
{
	for (size_t i = 0; i < ARRAY_LEN(needs); i++) {
		_cleanup_free_ char *said = NULL;

		if (!streq(needs[i].word, word))
			continue;
		if (needs[i].has ? needs[i].has()
				 : !session || try_launch(session, needs[i].launch, needs[i].furnish, &said))
			return true;
		if (ret_reason)
			*ret_reason = reason_of(needs[i].reason, needs[i].remedy, said);
		return false;
	}
	return true; /* the reader knows all words */
}

bool lab_needs_met(struct lab_session *session, char *const *words, char **ret_reason)
{
	for (; words && *words; words++)
		if (!is_met(session, *words, ret_reason))
			return false;
	return true;
}

int lab_can_launch(struct lab_session *session, struct err *err)
{
	static const char *const plain[8] = { "rootfs", "/bin/true" };
	_cleanup_free_ char *said = NULL;

	if (try_launch(session, plain, NULL, &said))
		return 0;
	for (char *c = said; c && *c; c++)
		if (*c == '\n')
			*c = ' ';
	return err_set(err, ERR_REFUSED, ERR_ID_NONE, 0, "no container can be started here: %s",
		       said && *said ? said : "nsrun says nothing");
}
