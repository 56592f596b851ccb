/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/report.h>

#include <nsrun/base/cleanup.h>
#include <nsrun/base/file.h>
#include <nsrun/launch/step.h>
#include <nsrun/plan/state.h>

#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define LOG_FD_MIN 64
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

/* Where errors go beside standard error: an engine's log. */
static struct {
	int fd;
	bool json;
	int status; /* 0: that of the error */
	const char *prefix;
} log_state = { .fd = FD_NONE, .prefix = "" };

int report_to_file(const char *path, bool json, struct err *err)
{
	/* A FIFO that nobody reads would hold this program for good, here or once it is full; on a regular file O_NONBLOCK has no effect. */
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);

	if (fd < 0 && errno == ENXIO)
		return err_input(err, "--log %s: nobody reads it", path);
	if (fd < 0)
		return err_system(err, "--log %s: open", path);
	/* Out of the way of the descriptors that --preserve-fds means. */
	const int high = fcntl(fd, F_DUPFD_CLOEXEC, LOG_FD_MIN);
	if (high < 0)
		return err_system(err, "--log %s: descriptor", path);
	log_state.fd = high;
	log_state.json = json;
	return 0;
}

int report_log_fd(void)
{
	return log_state.fd;
}

void report_exit_with(int status)
{
	log_state.status = status;
}

void report_begin_with(const char *prefix)
{
	log_state.prefix = prefix;
}

/* Words in quotes, as logfmt has them: a quote in the message must not end it. */
static char *text_line(const char *now, const char *level, const char *message)
{
	_cleanup_free_ char *quoted = malloc(2 * strlen(message) + 1);
	char *line, *to = quoted;

	if (!quoted)
		return NULL;
	for (; *message; *to++ = *message++)
		if (*message == '"' || *message == '\\')
			*to++ = '\\';
	*to = '\0';
	return asprintf(&line, "time=\"%s\" level=%s msg=\"nsrun: %s\"\n", now, level, quoted) < 0 ? NULL : line;
}

/* One write(2) a line: several nsrun may append to it. */
static void log_error(const char *level, const char *prefix, const struct err *err)
{
	char text[ERR_MESSAGE_MAX * 4 + 128], now[STATE_TIME_SIZE];
	const struct step *step = step_of(err);
	_cleanup_free_ char *line = NULL;
	struct timespec time;

	if (log_state.fd < 0)
		return;
	err_format(err, text, sizeof(text));
	clock_gettime(CLOCK_REALTIME, &time);
	state_format_time(&time, now);
	_cleanup_free_ char *message = NULL;
	const char *remedy = err_id_remedy(err->id);
	if (asprintf(&message, "%s%s%s%s%s%s", prefix, step && step->name ? step->name : "",
		     step && step->name ? ": " : "", text, remedy ? "; remedy: " : "", remedy ? remedy : "") < 0) {
		message = NULL;
		return;
	}
	if (log_state.json) {
		/* JSON_ENSURE_ASCII: what a name of the container holds cannot break the line. */
		json_t *entry = json_pack("{ss ss+ ss}", "level", level, "msg", "nsrun: ", message, "time", now);
		char *dumped = entry ? json_dumps(entry, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;

		json_decref(entry);
		if (!dumped || asprintf(&line, "%s\n", dumped) < 0)
			line = NULL;
		free(dumped);
	} else {
		line = text_line(now, level, message);
	}
	if (line)
		(void)write_all(log_state.fd, line, strlen(line));
}

int report_error(FILE *out, const struct err *err)
{
	print_error(out, log_state.prefix, err);
	log_error("error", log_state.prefix, err);
	return log_state.status ? log_state.status : err_exit_status(err);
}

void report_warning(const char *text)
{
	struct err warning = ERR_INIT;
	char escaped[ERR_MESSAGE_MAX * 4 + 128];

	err_input(&warning, "%s", text);
	err_format(&warning, escaped, sizeof(escaped));
	if (log_state.fd < 0) /* an engine gives the workload's standard error to create, too */
		fprintf(stderr, "nsrun: warning: %s\n", escaped);
	log_error("warning", "", &warning);
}

void report_cleanup(FILE *out, const struct err *err)
{
	print_error(out, "cleaning up: ", err);
	log_error("warning", "cleaning up: ", err);
}

/* A write that failed some time ago has left no errno. */
static bool has_lost_its_reader(FILE *out)
{
	struct pollfd pipe = { .fd = fileno(out) };

	return poll(&pipe, 1, 0) == 1 && (pipe.revents & POLLERR);
}

int report_flush(FILE *out, const char *name)
{
	struct err err = ERR_INIT;
	const bool failed_before = ferror(out);

	if (fflush(out) == 0 && !failed_before)
		return 0;
	/* The reader has seen what it wanted ("nsrun --help | head -1"): nothing to tell a person. */
	if (errno == EPIPE || (failed_before && has_lost_its_reader(out)))
		return 128 + SIGPIPE;
	err_set(&err, ERR_SYSTEM, ERR_ID_NONE, errno ? errno : EIO, "%s: write", name);
	return report_error(stderr, &err);
}
