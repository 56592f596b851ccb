/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/attach.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/cli/commands.h>
#include <nsrun/cli/containers.h>
#include <nsrun/cli/report.h>
#include <nsrun/launch/log_file.h>
#include <nsrun/plan/container.h>
#include <nsrun/plan/state.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>

#define LINE_MAX_SIZE 65536 /* of one record; they are shorter */
#define FILES_MAX 1001
#define OWNER_LOOK_MS 1000 /* a killed owner changes no file */

struct logs {
	const char *dir;
	int dir_fd;
	bool timestamps;
	char since[STATE_TIME_SIZE]; /* "": from the beginning */
	bool open_line[2];	     /* the stream's last record did not end its line */
	uint64_t skip;		     /* lines to pass over: --tail */
	bool counting;
	uint64_t lines;
	char buffer[LINE_MAX_SIZE];
	size_t used;
};

/* ---- one file ---- */

static int file_name(unsigned index, char *ret, size_t size)
{
	return index ? snprintf(ret, size, "log.%u", index) : snprintf(ret, size, "log");
}

static int open_log(const struct logs *l, unsigned index, struct stat *st)
{
	char name[24];
	int fd;

	file_name(index, name, sizeof(name));
	fd = openat(l->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && (fstat(fd, st) < 0 || !S_ISREG(st->st_mode))) {
		close(fd);
		return FD_NONE;
	}
	return fd;
}

static int put_record(struct logs *l, const char *line, size_t n)
{
	struct log_record record;
	bool begins;
	FILE *out;

	if (!log_record_parse(line, n, &record))
		return 0;
	begins = !l->open_line[record.stream];
	if (*l->since && strncmp(record.time, l->since, record.time_length) < 0)
		return 0;
	l->open_line[record.stream] = record.partial;
	if (l->counting) {
		l->lines += begins;
		return 0;
	}
	if (begins && l->skip) {
		l->skip--;
		if (!record.partial)
			return 0;
		l->skip++; /* until its end */
	}
	if (l->skip) {
		l->skip -= !record.partial;
		return 0;
	}
	out = record.stream == LOG_STDERR ? stderr : stdout;
	if (l->timestamps && begins)
		fprintf(out, "%.*s ", (int)record.time_length, record.time);
	fwrite(record.text, 1, record.length, out);
	if (!record.partial)
		fputc('\n', out);
	return ferror(out) ? -EIO : 0;
}

/* To its present end. */
static int read_file(struct logs *l, int fd, struct err *err)
{
	for (;;) {
		const ssize_t n = read(fd, l->buffer + l->used, sizeof(l->buffer) - l->used);
		char *at = l->buffer, *newline;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_system(err, "%s/log", l->dir);
		if (n == 0)
			return 0;
		l->used += (size_t)n;
		while ((newline = memchr(at, '\n', l->used - (size_t)(at - l->buffer)))) {
			if (put_record(l, at, (size_t)(newline - at)) < 0)
				return err_system(err, "standard output");
			at = newline + 1;
		}
		l->used -= (size_t)(at - l->buffer);
		memmove(l->buffer, at, l->used);
		if (l->used == sizeof(l->buffer))
			l->used = 0; /* no record is so long */
	}
}

/* ---- all files ---- */

struct files {
	int fds[FILES_MAX]; /* newest first */
	unsigned n;
	ino_t newest;
};

static void files_done(struct files *files)
{
	for (unsigned i = 0; i < files->n; i++)
		close(files->fds[i]);
	free(files);
}

static void files_freep(struct files **files)
{
	if (*files)
		files_done(*files);
}

/* From the newest on: a rotation in between shows one twice, which its inode tells, and hides none. */
static int open_files(const struct logs *l, struct files **ret, struct err *err)
{
	struct files *files = calloc(1, sizeof(*files));
	ino_t last = 0;

	if (!files)
		return err_oom(err);
	for (unsigned i = 0; i < FILES_MAX; i++) {
		struct stat st;
		const int fd = open_log(l, i, &st);

		if (fd < 0 && i > 0)
			break;
		if (fd < 0)
			continue; /* it is just being made anew */
		if (files->n && st.st_ino == last) {
			close(fd);
			continue;
		}
		last = st.st_ino;
		files->newest = files->n ? files->newest : st.st_ino;
		files->fds[files->n++] = fd;
	}
	*ret = files;
	return 0;
}

static int read_files(struct logs *l, const struct files *files, struct err *err)
{
	int r = 0;

	l->used = 0;
	l->open_line[0] = l->open_line[1] = false;
	for (unsigned i = files->n; r == 0 && i-- > 0;) {
		if (lseek(files->fds[i], 0, SEEK_SET) < 0)
			return err_system(err, "%s/log", l->dir);
		r = read_file(l, files->fds[i], err);
	}
	return r;
}

/* ---- following ---- */

/* The file after the one with this inode; FD_NONE: there is none yet. */
static int next_file(const struct logs *l, ino_t current, ino_t *ret_inode)
{
	int newer = FD_NONE;
	ino_t newer_inode = 0;

	for (unsigned i = 0; i < FILES_MAX; i++) {
		struct stat st;
		const int fd = open_log(l, i, &st);

		if (fd < 0 && i == 0)
			continue;
		if (fd < 0)
			break; /* ours is gone: what is oldest comes next */
		if (st.st_ino == current) {
			close(fd);
			break;
		}
		closep(&newer);
		newer = fd;
		newer_inode = st.st_ino;
	}
	*ret_inode = newer_inode;
	return newer;
}

static int follow(struct logs *l, struct container *container, int fd, ino_t inode, struct err *err)
{
	_cleanup_close_ int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), current = fd;
	char events[4096] __attribute__((aligned(8)));

	if (watch < 0 ||
	    inotify_add_watch(watch, l->dir, IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_ONLYDIR) < 0)
		return err_system(err, "%s: watching it", l->dir);
	for (;;) {
		struct pollfd p = { .fd = watch, .events = POLLIN };
		/* Before reading: what it wrote before it ended is there then. */
		const bool lives = container_owner_lives(container);
		ino_t next_inode;
		int next, r = current >= 0 ? read_file(l, current, err) : 0;

		if (r < 0)
			return r;
		next = next_file(l, inode, &next_inode);
		if (next >= 0) {
			/* Nothing is written to it any more once there is a newer one. */
			r = current >= 0 ? read_file(l, current, err) : 0;
			closep(&current);
			current = next;
			inode = next_inode;
			if (r < 0)
				return r;
			continue;
		}
		if (fflush(stdout) != 0 || fflush(stderr) != 0)
			return err_system(err, "standard output");
		if (!lives)
			return 0;
		if (poll(&p, 1, OWNER_LOOK_MS) > 0)
			(void)!read(watch, events, sizeof(events));
	}
}

/* ---- the command ---- */

struct logs_options {
	enum tristate help, follow, timestamps;
	const char *tail, *since;
};

static const struct option_row logs_rows[] = {
	COMMAND_OPTION(struct logs_options, follow, "follow", 'f', NULL, TRISTATE, "go on until the container ends",
		       "-f"),
	COMMAND_OPTION(struct logs_options, tail, "tail", 'n', "COUNT", STRING, "no more than the last lines",
		       "--tail 20"),
	COMMAND_OPTION(struct logs_options, timestamps, "timestamps", 't', NULL, TRISTATE, "the time before each line",
		       "-t"),
	COMMAND_OPTION(struct logs_options, since, "since", 0, "TIME", STRING,
		       "from a time on: 10m, 2h, or as -t has it", "--since 10m"),
	OPTION_HELP_ROW,
};
const struct option_table logs_table = { logs_rows, ARRAY_LEN(logs_rows), "logs" };

static bool parse_ago(const char *text, time_t *ret)
{
	static const struct {
		char unit;
		uint64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	const size_t n = strlen(text);
	char number[16];
	uint64_t value;

	if (n < 2 || n > sizeof(number))
		return false;
	memcpy(number, text, n - 1);
	number[n - 1] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (text[n - 1] == units[i].unit && parse_u64(number, &value) == 0 && value < UINT64_C(4000000000)) {
			*ret = time(NULL) - (time_t)(value * units[i].seconds);
			return true;
		}
	return false;
}

static int parse_since(const char *text, char ret[STATE_TIME_SIZE], struct err *err)
{
	struct timespec when = { 0 };
	struct tm tm = { 0 };
	const char *rest;

	if (parse_ago(text, &when.tv_sec)) {
		state_format_time(&when, ret);
		return 0;
	}
	rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!rest || (*rest != '.' && *rest != 'Z') || text[strlen(text) - 1] != 'Z' || strlen(text) >= STATE_TIME_SIZE)
		return err_input(err, "--since %s: 90s, 10m, 2h, 1d or 2026-01-31T12:00:00Z is wanted", text);
	/* Compared as text: "...:00Z" must not come after "...:00.5Z". */
	snprintf(ret, STATE_TIME_SIZE, "%.*s%s", (int)strlen(text) - 1, text, *rest == 'Z' ? ".0" : "");
	return 0;
}

static int show(struct logs *l, struct container *container, const struct logs_options *options, struct err *err)
{
	_cleanup_(files_freep) struct files *files = NULL;
	uint64_t tail;
	int r;

	r = open_files(l, &files, err);
	if (r < 0)
		return r;
	if (options->tail) {
		if (parse_u64(options->tail, &tail) < 0)
			return err_input(err, "--tail %s: a number is wanted", options->tail);
		l->counting = true;
		r = read_files(l, files, err);
		if (r < 0)
			return r;
		l->counting = false;
		l->skip = l->lines > tail ? l->lines - tail : 0;
	}
	r = read_files(l, files, err);
	if (r < 0 || options->follow != YES)
		return r;
	const int newest = files->n ? fcntl(files->fds[0], F_DUPFD_CLOEXEC, 3) : FD_NONE;
	return follow(l, container, newest, files->newest, err);
}

static int show_logs(const char *word, const struct logs_options *options, struct err *err)
{
	struct container container;
	struct logs *l = calloc(1, sizeof(*l));
	int r = l ? container_find(word, &container, err) : err_oom(err);

	if (r < 0) {
		free(l);
		return r;
	}
	const char *driver = NULL;

	(void)json_unpack(container.state, "{s:{s:s}}", "log", "driver", &driver);
	l->dir = container.dir;
	l->timestamps = options->timestamps == YES;
	l->dir_fd = open(container.dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (driver && streq(driver, "none"))
		r = err_input(err, "%s: its output is not kept (--log-driver none)", word);
	else if (l->dir_fd < 0)
		r = err_system(err, "%s", container.dir);
	else if (options->since)
		r = parse_since(options->since, l->since, err);
	if (r == 0)
		r = show(l, &container, options, err);
	/* Not among what the container has written, and behind it. */
	if (r == 0 && (container.status == CONTAINER_ENDED || container_refresh(&container, NULL) == 0) &&
	    fflush(stdout) == 0)
		print_end(stderr, &container);
	closep(&l->dir_fd);
	free(l);
	container_done(&container);
	return r;
}

int command_logs(int argc, char *const *argv)
{
	_cleanup_free_ const char **names = NULL;
	struct logs_options options = { 0 };
	struct err err = ERR_INIT;
	int r, status;
	size_t n;

	if (!command_begin(&logs_table, argc, argv, &options, 1, 1, &names, &n, &status))
		return status;
	r = show_logs(names[0], &options, &err);
	if (r < 0 && err.errnum == EPIPE)
		return 128 + SIGPIPE;
	status = report_flush(stdout, "standard output");
	return r < 0 ? report_error(stderr, &err) : status;
}
