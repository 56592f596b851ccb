/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/launch/log_file.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/plan/state.h>

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define OUT_SIZE 32768	/* what one write(2) takes */
#define LINE_SIZE 16384 /* a longer line becomes several records, as other runtimes have it */
#define HEADER_SIZE 64	/* time, stream, tag, newline */

struct line {
	size_t n;
	char text[LINE_SIZE];
};

struct log_writer {
	int dir, fd;
	uint64_t max_size, size; /* size: of what is in the file */
	unsigned max_file;
	size_t line_size;
	int errnum; /* the first failure */
	uint64_t missing;
	size_t used;
	char out[OUT_SIZE];
	struct line lines[2];
};

static void failed(struct log_writer *log, int errnum, uint64_t missing)
{
	log->errnum = log->errnum ? log->errnum : errnum;
	log->missing += missing;
}

static int open_log(struct log_writer *log, int flags)
{
	log->fd = openat(log->dir, "log", O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
	return log->fd < 0 ? -errno : 0;
}

int log_writer_new(const char *dir, const struct plan_log *settings, struct log_writer **ret, struct err *err)
{
	struct log_writer *log = calloc(1, sizeof(*log));

	if (!log)
		return err_oom(err);
	log->fd = FD_NONE;
	log->max_size = settings->max_size;
	log->max_file = settings->max_file;
	log->line_size = settings->max_size / 2 < LINE_SIZE ? settings->max_size / 2 : LINE_SIZE;
	log->dir = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (log->dir < 0 || open_log(log, O_CREAT | O_EXCL) < 0) {
		const int r = err_system(err, "%s/log", dir);

		log_writer_free(log);
		return r;
	}
	*ret = log;
	return 0;
}

void log_writer_free(struct log_writer *log)
{
	if (!log)
		return;
	closep(&log->fd);
	closep(&log->dir);
	free(log);
}

static void flush(struct log_writer *log)
{
	int r;

	if (!log->used)
		return;
	if (log->fd < 0 && (r = open_log(log, O_CREAT)) < 0) {
		failed(log, -r, log->used);
	} else {
		r = write_all(log->fd, log->out, log->used);
		if (r == 0)
			log->size += log->used;
		else if (ftruncate(log->fd, (off_t)log->size) == 0) /* half a record would spoil the next one, too */
			failed(log, -r, log->used);
		else
			failed(log, -r, log->used);
	}
	log->used = 0;
}

/* log becomes log.1, and so on; what would be the last but one too many goes. */
static void rotate(struct log_writer *log)
{
	char from[24], to[24];
	int r;

	flush(log);
	for (unsigned i = log->max_file; i-- > 1;) {
		snprintf(to, sizeof(to), "log.%u", i);
		snprintf(from, sizeof(from), "log.%u", i - 1);
		if (i == 1)
			strcpy(from, "log");
		if (renameat(log->dir, from, log->dir, to) < 0 && errno != ENOENT)
			failed(log, errno, 0);
	}
	if (log->max_file == 1 && unlinkat(log->dir, "log", 0) < 0 && errno != ENOENT)
		failed(log, errno, 0);
	closep(&log->fd);
	log->size = 0;
	r = open_log(log, O_CREAT);
	if (r < 0)
		failed(log, -r, 0);
}

static void put_record(struct log_writer *log, const char *now, enum log_stream stream, bool partial, const char *text,
		       size_t n)
{
	const char *name = stream == LOG_STDOUT ? "stdout" : "stderr";
	const size_t room = n + HEADER_SIZE;

	if (log->used + room > OUT_SIZE)
		flush(log);
	if (log->size + log->used + room > log->max_size && log->size + log->used > 0)
		rotate(log);
	log->used += (size_t)snprintf(log->out + log->used, HEADER_SIZE, "%s %s %c ", now, name, partial ? 'P' : 'F');
	memcpy(log->out + log->used, text, n);
	log->used += n;
	log->out[log->used++] = '\n';
}

static void take_time(char now[STATE_TIME_SIZE])
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	state_format_time(&time, now);
}

void log_writer_put(struct log_writer *log, enum log_stream stream, const char *data, size_t n)
{
	struct line *line = &log->lines[stream];
	char now[STATE_TIME_SIZE];

	take_time(now);
	while (n > 0) {
		const char *newline = memchr(data, '\n', n);
		const size_t whole = newline ? (size_t)(newline - data) : n, room = log->line_size - line->n;
		const size_t take = whole < room ? whole : room;
		const bool ends = newline && take == whole;

		/* A whole line that nothing came before needs no copy. */
		if (ends && line->n == 0) {
			put_record(log, now, stream, false, data, take);
		} else {
			memcpy(line->text + line->n, data, take);
			line->n += take;
			if (ends || line->n == log->line_size) {
				put_record(log, now, stream, !ends, line->text, line->n);
				line->n = 0;
			}
		}
		data += take + (ends ? 1 : 0);
		n -= take + (ends ? 1 : 0);
	}
	flush(log);
}

bool log_writer_end(struct log_writer *log, char *ret_why, size_t size)
{
	char now[STATE_TIME_SIZE];

	take_time(now);
	for (enum log_stream s = LOG_STDOUT; s <= LOG_STDERR; s++)
		if (log->lines[s].n) {
			put_record(log, now, s, true, log->lines[s].text, log->lines[s].n);
			log->lines[s].n = 0;
		}
	flush(log);
	if (!log->errnum)
		return true;
	snprintf(ret_why, size, "%s: %" PRIu64 " bytes of output are missing", strerror(log->errnum), log->missing);
	return false;
}

bool log_record_parse(const char *line, size_t n, struct log_record *ret)
{
	const char *time_end = memchr(line, ' ', n);
	const char *at = time_end ? time_end + 1 : NULL;
	struct log_record record = { .time = line };

	if (!time_end || time_end == line || (size_t)(line + n - at) < strlen("stdout F "))
		return false;
	record.time_length = (size_t)(time_end - line);
	if (memcmp(at, "stdout ", 7) == 0)
		record.stream = LOG_STDOUT;
	else if (memcmp(at, "stderr ", 7) == 0)
		record.stream = LOG_STDERR;
	else
		return false;
	if ((at[7] != 'P' && at[7] != 'F') || at[8] != ' ')
		return false;
	record.partial = at[7] == 'P';
	record.text = at + 9;
	record.length = (size_t)(line + n - record.text);
	*ret = record;
	return true;
}
