/* SPDX-License-Identifier: Apache-2.0 */
/* start, state and delete: containers that were made from an OCI bundle. */
#include <nsrun/cli/commands.h>

#include <nsrun/cli/containers.h>
#include <nsrun/cli/report.h>
#include <nsrun/oci/delete.h>
#include <nsrun/launch/gate.h>
#include <nsrun/launch/notify.h>
#include <nsrun/plan/container_group.h>

struct plain_line {
	enum tristate help;
};

static const struct option_row plain_rows[] = { OPTION_HELP_ROW };
const struct option_table start_options = {
	.rows = plain_rows, .count = ARRAY_LEN(plain_rows), .command = "start", .one_dash = true
};
const struct option_table state_options = {
	.rows = plain_rows, .count = ARRAY_LEN(plain_rows), .command = "state", .one_dash = true
};

struct delete_line {
	enum tristate help;
	enum tristate force;
};

static const struct option_row delete_rows[] = {
	OPTION_HELP_ROW,
	COMMAND_OPTION(struct delete_line, force, "force", 'f', NULL, TRISTATE,
		       "kill it first; no error where there is none", "--force"),
};
const struct option_table delete_options = {
	.rows = delete_rows, .count = ARRAY_LEN(delete_rows), .command = "delete", .one_dash = true
};

/* ---- start ---- */

/* runc's words, on which engines wait. */
static int check_created(struct container *c, struct err *err)
{
	switch (c->status) {
	case CONTAINER_CREATED:
		return 0;
	case CONTAINER_STOPPED:
		return err_input(err, "cannot start a container that has stopped");
	case CONTAINER_RUNNING:
		return err_input(err, "cannot start an already running container");
	default:
		return err_input(err, "cannot start a container in the %s state", container_oci_status(c));
	}
}

static int start(const char *id, struct err *err)
{
	_cleanup_(container_done) struct container container = { 0 };
	_cleanup_(notify_done) struct notify notify = NOTIFY_NONE;
	const char *address = getenv("NOTIFY_SOCKET");

	int r = container_find_bundle(id, &container, err);
	if (r == 0)
		r = check_created(&container, err);
	if (r == 0 && address && *address)
		r = container_notify_listen(&container, address, &notify, err);
	if (r < 0)
		return r;
	r = gate_start(&container, err);
	if (r == -EALREADY && !err_is_set(err))
		return err_input(err, "cannot start an already running container");
	if (r == 0)
		r = container_poststart(&container, err);
	return r == 0 ? container_notify_wait(&container, &notify, err) : r;
}

int command_start(int argc, char *const *argv)
{
	_cleanup_free_ const char **names = NULL;
	struct plain_line line = { 0 };
	struct err err = ERR_INIT;
	int status;
	size_t n;

	if (!command_begin(&start_options, argc, argv, &line, 1, 1, &names, &n, &status))
		return status;
	return start(names[0], &err) < 0 ? report_error(stderr, &err) : 0;
}

/* ---- state ---- */

static int print_state(const char *id, struct err *err)
{
	_cleanup_(container_done) struct container container = { 0 };

	const int r = container_find_bundle(id, &container, err);
	if (r < 0)
		return r;
	/* Its id is taken, and there is no record yet of what it will be; a create that was killed then is delete's. */
	if (!container_is_bundle(&container))
		return err_set(err, ERR_INPUT, ERR_ID_NO_CONTAINER, ENOENT, "container does not exist: %.200s", id);
	container_look_paused(&container, 1);
	json_t *state = container_oci_state(&container);
	if (!state)
		return err_oom(err);
	/* A failure stays in the stream, for report_flush(). */
	(void)(json_dumpf(state, stdout, JSON_INDENT(2)) < 0 || puts("") < 0);
	json_decref(state);
	return 0;
}

int command_state(int argc, char *const *argv)
{
	_cleanup_free_ const char **names = NULL;
	struct plain_line line = { 0 };
	struct err err = ERR_INIT;
	int status;
	size_t n;

	if (!command_begin(&state_options, argc, argv, &line, 1, 1, &names, &n, &status))
		return status;
	if (print_state(names[0], &err) < 0)
		return report_error(stderr, &err);
	return report_flush(stdout, "standard output");
}

/* ---- delete ---- */

static int delete_one(const char *id, bool force, struct err *err)
{
	_cleanup_(container_done) struct container container = { 0 };
	struct err poststop = ERR_INIT;

	int r = container_find_bundle(id, &container, err);
	if (r < 0 && force && container_find_damaged(id, &container, NULL) == 0) {
		if (r != -ENOENT)
			err_set(&poststop, err->kind, ERR_ID_NONE, err->errnum,
				"poststop hooks, if there are any, are not run: %.400s", err->message);
		*err = ERR_INIT;
		r = 0;
	}
	if (r == 0)
		r = container_delete(&container, force, &poststop, err);
	if (err_is_set(&poststop))
		report_cleanup(stderr, &poststop);
	if (r == -ENOENT && force) {
		*err = ERR_INIT;
		return 0;
	}
	return r;
}

int command_delete(int argc, char *const *argv)
{
	_cleanup_free_ const char **names = NULL;
	struct delete_line line = { 0 };
	struct err err = ERR_INIT;
	int status = 0;
	size_t n;

	if (!command_begin(&delete_options, argc, argv, &line, 1, 1, &names, &n, &status))
		return status;
	if (delete_one(names[0], line.force == YES, &err) < 0)
		status = report_error(stderr, &err);
	return status;
}
