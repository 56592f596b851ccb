/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/launch/without.h>

#include <nsrun/base/strings.h>

#include <linux/sched.h>

const struct without_row without_rows[] = {
	{ STEP_DEVICES_FILTER,
	  "no rule says which device nodes may be opened; the file permissions and the user namespace are what is left" },
	{ STEP_IDS_SETGROUPS, "an ordinary user's gid_map is refused (EPERM): user_namespaces(7)" },
	{ STEP_KEYRING_NEW, "the caller's session keyring, with its keys, is the container's too: keyrings(7)" },
	{ STEP_TIME_OFFSETS, "the clocks of the time namespace are the host's" },
	{ STEP_MOUNTS_PRIVATE, "mounts that the host makes while the launch lasts appear inside: mount_namespaces(7)" },
	{ STEP_PROC_MOUNT,
	  "/proc is the rootfs' own directory: ps(1) and all that reads /proc/self fail",
	  { STEP_SYSCTLS_WRITE, STEP_PATHS_READONLY, STEP_PATHS_MASK } },
	{ STEP_SYS_MOUNT, "/sys is the rootfs' own directory" },
	{ STEP_HOSTNAME_SET, "the new UTS namespace keeps a copy of the host's name" },
	{ STEP_DOMAINNAME_SET, "the new UTS namespace keeps a copy of the host's domain name" },
	{ STEP_SHM_MOUNT, "/dev/shm is missing: shm_open(3) fails" },
	{ STEP_MQUEUE_MOUNT, "the queues of mq_overview(7) cannot be seen as files" },
	{ STEP_LOOPBACK_UP, "the loopback device is down: not even 127.0.0.1 answers" },
	{ STEP_PATHS_READONLY,
	  "parts of /proc that set the kernel's behaviour are as writable as their permissions say" },
	{ STEP_PATHS_MASK, "parts of /proc and /sys that tell of the host can be read" },
	{ STEP_SESSION_NEW, "the workload stays in the caller's session: setsid(2)" },
	{ STEP_CAPS_BOUND,
	  "a program that is executed as uid 0 has every capability of the user namespace again: capabilities(7)" },
	{ STEP_FDS_CLOSE,
	  "what the caller has left open is open inside; through a directory among it the host's files are reached" },
	{ STEP_CAPS_SET, "the workload begins with every capability of the user namespace" },
	{ STEP_SECCOMP_LOAD, "every system call of the kernel can be reached" },
};
const size_t without_rows_count = ARRAY_LEN(without_rows);

bool launch_is_without(const struct plan *plan, const struct step *step)
{
	for (const char *const *name = plan->without; name && *name; name++)
		if (streq(*name, step->name))
			return true;
	return false;
}

static const struct without_row *find(enum step_id step)
{
	for (size_t i = 0; i < without_rows_count; i++)
		if (without_rows[i].step == step)
			return &without_rows[i];
	return NULL;
}

/* No row, or one that must stay: the nearest of those that need not. */
static int explain_name(const char *name, struct err *err)
{
	const char *names[ARRAY_LEN(without_rows) + 1] = { NULL };

	for (size_t i = 0; i < without_rows_count; i++)
		names[i] = score[without_rows[i].step].name;
	const char *near = nearest_word(name, names);
	return err_set(err, ERR_INPUT, ERR_ID_WITHOUT, 0, "--without %s: %s%s%s", name,
		       score_find(name) == STEP_NONE ? "the launch has no such row" : "a launch cannot do without it",
		       near ? "; did you mean " : "", near ? near : "");
}

static int check_row(const struct plan *plan, const char *name, struct err *err)
{
	const struct step *step = &score[score_find(name)];
	struct plan whole = *plan;

	if (step->id == STEP_NONE || !find(step->id))
		return explain_name(name, err);
	whole.without = NULL;
	if (!score_wants(&whole, step->id))
		return err_set(err, ERR_INPUT, ERR_ID_WITHOUT, 0,
			       "--without %s: this launch has no such row anyway: %s", name, step->why);
	for (const enum step_id *user = find(step->id)->users; *user != STEP_NONE; user++)
		if (score_wants(plan, *user))
			return err_set(err, ERR_INPUT, ERR_ID_WITHOUT, 0,
				       "--without %s: row %s of this launch builds on it: leave it out, too", name,
				       score[*user].name);
	return 0;
}

int launch_check_without(const struct plan *plan, struct err *err)
{
	for (const char *const *name = plan->without; name && *name; name++) {
		const int r = check_row(plan, *name, err);

		if (r < 0)
			return r;
	}
	if (plan->without && !(plan->namespaces & CLONE_NEWUSER))
		return err_refused(err, ERR_ID_WITHOUT_HOST,
				   "--without %s: the container has the host's user namespace", plan->without[0]);
	return 0;
}
