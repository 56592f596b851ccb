/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/report.h>

#include <nsrun/launch/step.h>

#include <signal.h>
#include <string.h>

#define INDENT "        "

static const struct step *step_of(const struct err *err)
{
	return err->step > STEP_NONE && err->step < STEP_COUNT ? &score[err->step] : NULL;
}

static void print_error(FILE *out, const char *prefix, const struct err *err)
{
	const struct step *step = step_of(err);
	const char *word = err_id_word(err->id);
	/* Room for a message in which every byte is escaped, and strerror. */
	char text[ERR_MESSAGE_MAX * 4 + 128];

	err_format(err, text, sizeof(text));
	if (step && step->name)
		fprintf(out, "nsrun: %s%s (%s): %s\n", prefix, step->name, role_name((enum role)err->role), text);
	else
		fprintf(out, "nsrun: %s%s\n", prefix, text);
	if (step && step->interface && step->manual)
		fprintf(out, INDENT "%s: see %s\n", step->interface, step->manual);
	if (word)
		fprintf(out, INDENT "remedy: %s [%s]\n", err_id_remedy(err->id), word);
	fflush(out);
}

int report_error(FILE *out, const struct err *err)
{
	print_error(out, "", err);
	return err_exit_status(err);
}

void report_cleanup(FILE *out, const struct err *err)
{
	print_error(out, "cleaning up: ", err);
}

int report_flush(FILE *out, const char *name)
{
	struct err err = ERR_INIT;
	const bool failed_before = ferror(out);

	if (fflush(out) == 0 && !failed_before)
		return 0;
	/* The reader has seen what it wanted ("nsrun --help | head -1"): nothing to tell a person. */
	if (errno == EPIPE)
		return 128 + SIGPIPE;
	err_set(&err, ERR_SYSTEM, ERR_ID_NONE, errno ? errno : EIO, "%s: write", name);
	return report_error(stderr, &err);
}
