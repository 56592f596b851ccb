/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket with clients that are not nsrun's, and the log's format. */
#include <nsrun/launch/control_server.h>
#include <nsrun/launch/log_file.h>
#include <nsrun/plan/state.h>

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

static char dir[] = "/tmp/nsrun-control-XXXXXX";
static struct control_server *server;

struct heard {
	char input[CONTROL_DATA_MAX + 1];
	size_t n;
	bool end;
	struct winsize size;
};

static void hear_input(const void *data, size_t n, void *context)
{
	struct heard *h = context;

	memcpy(h->input, data, n);
	h->n = n;
}

static void hear_end(void *context)
{
	((struct heard *)context)->end = true;
}

static void hear_size(const struct winsize *size, void *context)
{
	((struct heard *)context)->size = *size;
}

static bool is_room(void *context)
{
	(void)context;
	return true;
}

static struct heard serve(void)
{
	struct heard heard = { .n = 0 };
	const struct control_handler handler = { hear_input, hear_end, hear_size, is_room, &heard };

	for (int i = 0; i < 20; i++)
		control_server_dispatch(server, &handler);
	return heard;
}

static int begin(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	strcpy(dir, "/tmp/nsrun-control-XXXXXX");
	return !mkdtemp(dir) || control_server_new(dir, &server, &err) < 0;
}

static int end(void **state)
{
	char command[64];

	(void)state;
	control_server_free(server);
	server = NULL;
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command) != 0;
}

static int client(void)
{
	struct container container = { .dir = dir };
	struct err err = ERR_INIT;
	int fd;

	strcpy(container.id, "0123456789ab");
	if (control_connect(&container, &fd, &err) < 0)
		fail_msg("%s", err.message);
	serve();
	return fd;
}

static int attached(uint32_t wants)
{
	const int fd = client();
	struct err err = ERR_INIT;

	assert_int_equal(control_send(fd, CONTROL_ATTACH, &wants, sizeof(wants), &err), 0);
	serve();
	return fd;
}

/* The other side closes it; what it had sent before is passed over. */
static bool is_dropped(int fd)
{
	char data[CONTROL_DATA_MAX + 16];
	ssize_t n;

	while ((n = recv(fd, data, sizeof(data), MSG_DONTWAIT)) > 0)
		;
	return n == 0 || errno == ECONNRESET;
}

static void hostile_messages(void **state)
{
	static const struct {
		uint32_t magic;
		uint16_t type, length, sent;
	} bad[] = {
		{ 0, CONTROL_WAIT, 0, 0 },		 /* not nsrun's */
		{ CONTROL_MAGIC, 0, 0, 0 },		 /* no type */
		{ CONTROL_MAGIC, 99, 4, 4 },		 /* unknown */
		{ CONTROL_MAGIC, CONTROL_ATTACH, 0, 0 }, /* without flags */
		{ CONTROL_MAGIC, CONTROL_ATTACH, 4, 8 }, /* longer than it says */
		{ CONTROL_MAGIC, CONTROL_ATTACH, 8, 4 }, /* shorter */
		{ CONTROL_MAGIC, CONTROL_WAIT, 1, 1 },
		{ CONTROL_MAGIC, CONTROL_SIZE, 2, 2 },
		{ CONTROL_MAGIC, CONTROL_INPUT, 1, 1 }, /* before ATTACH */
		{ CONTROL_MAGIC, CONTROL_INPUT_END, 0, 0 },
		{ CONTROL_MAGIC, CONTROL_STDOUT, 1, 1 }, /* of the owner */
		{ CONTROL_MAGIC, CONTROL_END, 4, 4 },
		{ CONTROL_MAGIC, CONTROL_INPUT, 65535, 20000 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		unsigned char message[sizeof(struct control_header) + 20000] = { 0 };
		const struct control_header header = { bad[i].magic, bad[i].type, bad[i].length };
		const int fd = client();
		struct heard heard;

		memcpy(message, &header, sizeof(header));
		assert_true(send(fd, message, sizeof(header) + bad[i].sent, 0) > 0);
		heard = serve();
		if (!is_dropped(fd) || heard.n || heard.end)
			fail_msg("message %zu was accepted", i);
		close(fd);
	}
	/* Half a header; nothing at all, which is end of file to a reader. */
	int fd = client();
	assert_int_equal(send(fd, "n", 1, 0), 1);
	serve();
	assert_true(is_dropped(fd));
	close(fd);
	/* Unknown flags, as of a newer client. */
	fd = attached(8);
	assert_true(is_dropped(fd));
	close(fd);
	/* A descriptor in a message. */
	fd = client();
	union {
		struct cmsghdr header;
		char buffer[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct control_header header = { CONTROL_MAGIC, CONTROL_WAIT, 0 };
	struct iovec iov = { &header, sizeof(header) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};

	control.header = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	assert_true(sendmsg(fd, &msg, 0) > 0);
	serve();
	assert_true(is_dropped(fd));
	close(fd);
}

static void input_size_and_end(void **state)
{
	const struct winsize size = { .ws_row = 7, .ws_col = 9 };
	struct err err = ERR_INIT;
	struct heard heard;
	int fd = attached(CONTROL_WANTS_INPUT | CONTROL_WANTS_OUTPUT);

	(void)state;
	assert_int_equal(control_send(fd, CONTROL_INPUT, "abc", 3, &err), 0);
	heard = serve();
	assert_int_equal(heard.n, 3);
	assert_memory_equal(heard.input, "abc", 3);
	assert_int_equal(control_send(fd, CONTROL_SIZE, &size, sizeof(size), &err), 0);
	heard = serve();
	assert_int_equal(heard.size.ws_col, 9);
	assert_int_equal(control_send(fd, CONTROL_INPUT_END, NULL, 0, &err), 0);
	assert_true(serve().end);

	/* Without room nothing is read, and nothing lost. */
	control_server_set_room(server, false);
	assert_int_equal(control_send(fd, CONTROL_INPUT, "later", 5, &err), 0);
	assert_int_equal(serve().n, 0);
	control_server_set_room(server, true);
	assert_int_equal(serve().n, 5);
	close(fd);
	serve();
}

static void output_and_end_to_all(void **state)
{
	int fds[3], status = 0;
	unsigned char data[CONTROL_DATA_MAX];
	char big[CONTROL_DATA_MAX * 2 + 5];
	enum control_type type;
	struct err err = ERR_INIT;
	size_t length, got = 0;

	(void)state;
	memset(big, 'x', sizeof(big));
	for (int i = 0; i < 2; i++)
		fds[i] = attached(CONTROL_WANTS_OUTPUT);
	fds[2] = client();
	assert_int_equal(control_send(fds[2], CONTROL_WAIT, NULL, 0, &err), 0);
	serve();
	control_server_output(server, CONTROL_STDERR, big, sizeof(big));
	for (int i = 0; i < 2; i++, got = 0)
		while (got < sizeof(big)) {
			assert_int_equal(control_receive(fds[i], &type, data, &length, &err), 0);
			assert_int_equal(type, CONTROL_STDERR);
			got += length;
		}
	assert_int_equal(recv(fds[2], data, 1, MSG_DONTWAIT), -1);
	control_server_end(server, 42);
	server = NULL;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(control_receive(fds[i], &type, data, &length, &err), 0);
		assert_int_equal(type, CONTROL_END);
		memcpy(&status, data, sizeof(status));
		assert_int_equal(status, 42);
		assert_int_equal(control_receive(fds[i], &type, data, &length, &err), 0);
		assert_int_equal(type, 0);
		close(fds[i]);
	}
}

/* Who connects while the end is told hears it, too; a message of the wrong kind does no harm then. */
static void late_clients(void **state)
{
	struct container container = { .dir = dir };
	const struct winsize size = { .ws_row = 1 };
	struct err err = ERR_INIT;
	int fds[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(control_connect(&container, &fds[i], &err), 0);
	assert_int_equal(control_send(fds[0], CONTROL_WAIT, NULL, 0, &err), 0);
	assert_int_equal(control_send(fds[1], CONTROL_SIZE, &size, sizeof(size), &err), 0);
	assert_int_equal(control_send(fds[2], CONTROL_INPUT, "x", 1, &err), 0);
	control_server_end(server, 3);
	server = NULL;
	unsigned char data[CONTROL_DATA_MAX];
	enum control_type type;
	size_t length;
	assert_int_equal(control_receive(fds[0], &type, data, &length, &err), 0);
	assert_int_equal(type, CONTROL_END);
	assert_true(is_dropped(fds[1]));
	assert_true(is_dropped(fds[2]));
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}

/* One that does not read is dropped after a second, and only that one. */
static void slow_client(void **state)
{
	const int slow = attached(CONTROL_WANTS_OUTPUT), quick = attached(CONTROL_WANTS_OUTPUT);
	char block[65536] = "", data[CONTROL_DATA_MAX + 16];
	size_t sent = 0;

	(void)state;
	while (!control_server_full(server)) {
		control_server_output(server, CONTROL_STDOUT, block, sizeof(block));
		sent += sizeof(block);
		assert_true(sent < 100U << 20);
		while (recv(quick, data, sizeof(data), MSG_DONTWAIT) > 0)
			;
	}
	const int wait = control_server_timeout(server);
	assert_true(wait > 500 && wait <= 1000);
	poll(NULL, 0, wait + 20);
	control_server_timeout(server);
	assert_false(control_server_full(server));
	control_server_output(server, CONTROL_STDOUT, "go on", 5);
	assert_true(recv(quick, data, sizeof(data), MSG_DONTWAIT) == (ssize_t)sizeof(struct control_header) + 5);
	assert_true(is_dropped(slow));
	close(slow);
	close(quick);
}

static void many_clients(void **state)
{
	int fds[80];
	unsigned dropped = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = client();
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		dropped += is_dropped(fds[i]);
	assert_int_equal(dropped, 80 - 64);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	serve();
	const int fd = attached(CONTROL_WANTS_OUTPUT); /* there is room again */
	control_server_output(server, CONTROL_STDOUT, "x", 1);
	char data[64];
	assert_true(recv(fd, data, sizeof(data), MSG_DONTWAIT) > 0);
	close(fd);
}

static void keys(void **state)
{
	unsigned char got[CONTROL_KEYS_MAX];
	size_t n;
	static const char *const bad[] = { "",
					   ",",
					   "a,",
					   ",a",
					   "ctrl-",
					   "ctrl-1",
					   "ab",
					   "ctrl-p,,q",
					   "ctrl-pq",
					   "\xc3\xa4",
					   "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q",
					   " " };

	(void)state;
	assert_int_equal(control_parse_keys("ctrl-p,ctrl-q", got, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_memory_equal(got, "\x10\x11", 2);
	assert_int_equal(control_parse_keys("ctrl-],a,ctrl-@,ctrl-Z", got, &n, NULL), 0);
	assert_int_equal(n, 4);
	assert_memory_equal(got,
			    "\x1d"
			    "a\0\x1a",
			    4);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = ERR_INIT;

		if (control_parse_keys(bad[i], got, &n, &err) == 0 || !err_is_set(&err))
			fail_msg("accepted: \"%s\"", bad[i]);
	}
}

/* ---- the log ---- */

static size_t size_of(const char *name)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return stat(path, &st) < 0 ? 0 : (size_t)st.st_size;
}

/* Everything is in the files in its order; no file is larger than it may be, no record torn. */
static void log_rotates(void **state)
{
	const struct plan_log settings = { LOG_FILE, 8192, 3 };
	struct log_writer *log;
	struct err err = ERR_INIT;
	char line[128], why[128], path[128];
	unsigned next = 0;

	(void)state;
	assert_int_equal(log_writer_new(dir, &settings, &log, &err), 0);
	for (unsigned i = 0; i < 2000; i++) {
		const int n = snprintf(line, sizeof(line), "line %u of many\n", i);

		log_writer_put(log, LOG_STDOUT, line, (size_t)n);
	}
	log_writer_put(log, LOG_STDERR, "no end", 6);
	assert_true(log_writer_end(log, why, sizeof(why)));
	log_writer_free(log);
	assert_int_equal(size_of("log.3"), 0);
	for (int i = 2; i >= 0; i--) {
		char name[16] = "log", *text = NULL;
		size_t room = 0;
		ssize_t n;

		if (i)
			snprintf(name, sizeof(name), "log.%d", i);
		assert_in_range(size_of(name), 1, 8192);
		snprintf(path, sizeof(path), "%s/%s", dir, name);
		FILE *file = fopen(path, "r");
		while ((n = getline(&text, &room, file)) > 0) {
			struct log_record record;
			unsigned number;

			assert_true(log_record_parse(text, (size_t)n - 1, &record));
			assert_int_equal(record.time_length, 30);
			if (record.stream == LOG_STDERR) {
				assert_true(record.partial && record.length == 6);
				continue;
			}
			assert_int_equal(sscanf(record.text, "line %u", &number), 1);
			assert_true(next == 0 || number == next);
			next = number + 1;
		}
		free(text);
		fclose(file);
	}
	assert_int_equal(next, 2000);
}

static void log_of_a_full_disk(void **state)
{
	const struct plan_log settings = { LOG_FILE, 1 << 20, 2 };
	struct log_writer *log;
	struct err err = ERR_INIT;
	char why[128] = "", path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/log", dir);
	assert_int_equal(symlink("/dev/full", path), 0); /* not followed */
	assert_int_equal(log_writer_new(dir, &settings, &log, &err), -EEXIST);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(log_writer_new(dir, &settings, &log, &err), 0);
	const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	/* Its file becomes one that takes nothing. */
	for (int fd = 3; fd < full; fd++) {
		char name[64], target[128] = "";

		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		if (readlink(name, target, sizeof(target) - 1) > 0 && strcmp(target, path) == 0)
			dup2(full, fd);
	}
	close(full);
	log_writer_put(log, LOG_STDOUT, "one\ntwo\n", 8);
	log_writer_put(log, LOG_STDOUT, "three\n", 6);
	assert_false(log_writer_end(log, why, sizeof(why)));
	assert_non_null(strstr(why, "No space left"));
	log_writer_free(log);
}

/* As gmtime(3) has it, over leap years and centuries. */
static void times(void **state)
{
	char got[STATE_TIME_SIZE], wanted[64];

	(void)state;
	for (time_t t = 0; t < 7000000000; t += 86400 * 11 + 12345) {
		const struct timespec time = { .tv_sec = t, .tv_nsec = t % 1000000000 };
		struct tm tm;

		gmtime_r(&t, &tm);
		strftime(wanted, sizeof(wanted), "%Y-%m-%dT%H:%M:%S", &tm);
		snprintf(wanted + strlen(wanted), 16, ".%09ldZ", time.tv_nsec);
		state_format_time(&time, got);
		assert_string_equal(got, wanted);
	}
}

static void log_lines(void **state)
{
	static const char *const bad[] = { "",
					   " ",
					   "2026",
					   "2026 stdout",
					   "2026 stdout F",
					   "2026 stdin F x",
					   "2026 stdout X x",
					   "2026 stdout Fx",
					   " stdout F x" };
	struct log_record record;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(log_record_parse(bad[i], strlen(bad[i]), &record));
	assert_true(log_record_parse("2026 stderr F ", 14, &record));
	assert_int_equal(record.length, 0);
	assert_true(log_record_parse("2026 stdout P a b", 17, &record));
	assert_int_equal(record.length, 3);
	assert_true(record.partial);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(hostile_messages, begin, end),
		cmocka_unit_test_setup_teardown(input_size_and_end, begin, end),
		cmocka_unit_test_setup_teardown(output_and_end_to_all, begin, end),
		cmocka_unit_test_setup_teardown(late_clients, begin, end),
		cmocka_unit_test_setup_teardown(slow_client, begin, end),
		cmocka_unit_test_setup_teardown(many_clients, begin, end),
		cmocka_unit_test(keys),
		cmocka_unit_test_setup_teardown(log_rotates, begin, end),
		cmocka_unit_test_setup_teardown(log_of_a_full_disk, begin, end),
		cmocka_unit_test(log_lines),
		cmocka_unit_test(times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
