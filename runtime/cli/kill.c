/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/commands.h>

#include <nsrun/base/signal.h>
#include <nsrun/base/strings.h>
#include <nsrun/cli/containers.h>
#include <nsrun/cli/globals.h>
#include <nsrun/cli/report.h>
#include <nsrun/kernel/sigfate.h>
#include <nsrun/launch/kill_all.h>
#include <nsrun/plan/container_group.h>

#include <ctype.h>
#include <signal.h>

struct kill_line {
	enum tristate help;
	const char *signal;
	enum tristate all;
};

static const struct option_row rows[] = {
	OPTION_HELP_ROW,
	COMMAND_OPTION(struct kill_line, signal, "signal", 's', "SIGNAL", STRING,
		       "name or number (default: KILL); -TERM is the same as -s TERM", "-s TERM"),
	COMMAND_OPTION(struct kill_line, all, "all", 'a', NULL, TRISTATE, "to every process, not to process 1 alone",
		       "--all"),
};
const struct option_table kill_options = {
	.rows = rows, .count = ARRAY_LEN(rows), .command = "kill", .one_dash = true
};

struct sending {
	int signal;
	bool all;
};

static int act(struct container *container, void *data, struct err *err)
{
	_cleanup_(pidref_close) struct pidref init = PIDREF_NONE;
	const struct sending *sending = data;
	const int signal = sending->signal;
	enum sigfate fate = SIGFATE_TAKEN;
	char name[SIGNAL_NAME_SIZE];
	int r;

	if (sending->all) {
		r = container_kill_all(container, signal, err);
		if (r == 0)
			puts(container_label(container));
		return r;
	}
	r = container_open_init(container, &init, err);
	if (r < 0)
		return r;
	sigfate_of(&init, signal, &fate, NULL);
	r = pidref_kill(&init, signal, err);
	if (r < 0)
		return r;
	if (fate == SIGFATE_DROPPED || fate == SIGFATE_IGNORED)
		fprintf(stderr, "nsrun: %s: %s has no effect: %s\n", container_label(container),
			signal_name(signal, name),
			fate == SIGFATE_IGNORED
				? "process 1 ignores it"
				: "process 1 does not handle it, and the kernel drops it then (pid_namespaces(7))");
	container_look_paused(container, 1);
	if (container->paused && signal != SIGKILL)
		fprintf(stderr, "nsrun: %s: it is paused: %s waits until nsrun resume %s\n", container_label(container),
			signal_name(signal, name), container_label(container));
	if (!globals_is_engine())
		puts(container_label(container));
	return 0;
}

/* "-9", "-TERM", "-SIGTERM", as kill(1) has it: an option of this command begins with a lower-case letter. */
static const char *take_dashed(int *argc, const char **argv)
{
	for (int i = 1; i < *argc && !streq(argv[i], "--"); i++) {
		const char *word = argv[i];

		if (word[0] != '-' || !(isdigit((unsigned char)word[1]) || isupper((unsigned char)word[1])))
			continue;
		for (int k = i; k < *argc; k++) /* the NULL at the end too */
			argv[k] = argv[k + 1];
		(*argc)--;
		return word + 1;
	}
	return NULL;
}

/* ---- the OCI runtime's form: ID [SIGNAL] ---- */

static int kill_bundle(const char *id, const struct sending *sending, struct err *err)
{
	_cleanup_(container_done) struct container container = { 0 };
	_cleanup_(pidref_close) struct pidref init = PIDREF_NONE;
	int r = container_find_bundle(id, &container, err);

	/* What can be known of one without its record is enough. */
	if (r < 0 && r != -ENOENT && container_find_damaged(id, &container, NULL) == 0) {
		*err = ERR_INIT;
		r = 0;
	}
	if (r < 0)
		return r;
	if (sending->all)
		return container_kill_all(&container, sending->signal, err);
	/* In runc's words, which engines take for "it has ended". */
	if (container_open_init(&container, &init, NULL) < 0)
		return err_input(err, "container not running");
	const int killed = pidref_kill(&init, sending->signal, err);
	if (killed == 0 && sending->signal == SIGKILL)
		container_thaw(&container);
	return killed;
}

/* One word may be a bundle's container; of two the second is then the signal, also where it is none: it must not pass for a name, and the
 * container be killed by the signal that is usual here. Otherwise two words are such a line when the second is a signal and the first no
 * container of the one-shot command. */
static bool is_bundle_form(const char *const *names, size_t n, bool signal_said)
{
	_cleanup_(container_done) struct container container = { 0 };
	int signal;

	if (n > 2 || (n == 2 && signal_said))
		return false;
	if (container_find_bundle(names[0], &container, NULL) != -ENOENT) /* also one that is damaged */
		return true;
	return n == 2 && (streq(names[1], "0") || signal_parse(names[1], "kill", &signal, NULL) == 0) &&
	       container_find(names[0], &container, NULL) == -ENOENT;
}

int command_kill(int argc, char *const *argv)
{
	_cleanup_free_ const char **names = NULL, **words = NULL;
	struct kill_line line = { 0 };
	struct err err = ERR_INIT;
	struct sending sending = { .signal = SIGKILL };
	int status, flushed;
	const char *dashed;
	size_t n;

	words = calloc((size_t)argc + 1, sizeof(*words));
	if (!words) {
		err_oom(&err);
		return report_error(stderr, &err);
	}
	for (int i = 0; i < argc; i++)
		words[i] = argv[i];
	dashed = take_dashed(&argc, words);
	if (!command_begin(&kill_options, argc, (char *const *)words, &line, 1, SIZE_MAX, &names, &n, &status))
		return status;
	if (dashed && line.signal) {
		err_set(&err, ERR_INPUT, ERR_ID_OPTION_REPEATED, 0, "kill: -%s and --signal=%s are both said", dashed,
			line.signal);
		return report_error(stderr, &err);
	}
	if (line.signal)
		dashed = line.signal;
	sending.all = line.all == YES;
	if (is_bundle_form(names, n, dashed != NULL)) {
		report_exit_with(1);
		if (n == 2)
			dashed = names[1];
		else if (!dashed)
			sending.signal = SIGTERM;
		if (dashed && streq(dashed, "0")) /* is it there? kill(2) */
			sending.signal = 0;
		else if (dashed && signal_parse(dashed, "kill", &sending.signal, &err) < 0)
			return report_error(stderr, &err);
		return kill_bundle(names[0], &sending, &err) < 0 ? report_error(stderr, &err) : 0;
	}
	if (dashed && signal_parse(dashed, "kill", &sending.signal, &err) < 0)
		return report_error(stderr, &err);
	status = for_each_container(names, n, act, &sending);
	flushed = report_flush(stdout, "standard output");
	return flushed ? flushed : status;
}
