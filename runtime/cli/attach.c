/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/attach.h>

#include <nsrun/base/file.h>
#include <nsrun/base/signal.h>
#include <nsrun/base/strings.h>
#include <nsrun/cli/commands.h>
#include <nsrun/cli/containers.h>
#include <nsrun/cli/report.h>
#include <nsrun/kernel/sigfate.h>
#include <nsrun/kernel/tty.h>
#include <nsrun/launch/control.h>
#include <nsrun/launch/signals.h>
#include <nsrun/plan/container_group.h>

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#define DETACH_KEYS "ctrl-p,ctrl-q"

struct session {
	int fd; /* of the control connection */
	const char *id;
	bool input, raw, proxy;
	bool ends_input, end_pending; /* the end of this input is to be the end of the container's */
	bool lines;		      /* no terminal inside: this one keeps its own line discipline, ^C is a signal */
	unsigned char keys[CONTROL_KEYS_MAX];
	size_t n_keys, matched;
	bool detached, ended;
	int status;
	struct signals signals;
	struct termios saved;
	struct tty_guard guard;
	/* What was typed and is not sent yet. A chunk of input, and the keys that turned out to be none to leave by. */
	unsigned char pending[2048 + CONTROL_KEYS_MAX];
	size_t n_pending;
};

/* ---- the terminal ---- */

static int terminal_begin(struct session *s, struct err *err)
{
	int r;

	if (s->lines || !isatty(STDIN_FILENO))
		return 0;
	r = tty_save(STDIN_FILENO, &s->saved, err);
	if (r == 0)
		r = tty_guard_start(STDIN_FILENO, &s->saved, &s->guard, err);
	if (r == 0)
		r = tty_set_raw(STDIN_FILENO, &s->saved, err);
	s->raw = r == 0;
	return r;
}

static void terminal_end(struct session *s)
{
	if (s->raw)
		(void)tty_restore(STDIN_FILENO, &s->saved);
	tty_guard_end(&s->guard);
}

static int send_size(struct session *s, int rows_more, struct err *err)
{
	struct winsize size;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0)
		return 0;
	size.ws_row = (unsigned short)(size.ws_row + rows_more);
	return control_send(s->fd, CONTROL_SIZE, &size, sizeof(size), err);
}

/* ---- input ---- */

/* What was typed goes to `pending`, but for the keys to leave by. A beginning of them waits for the next key. */
static void take_keys(struct session *s, const unsigned char *data, size_t n)
{
	for (size_t i = 0; i < n && !s->detached; i++) {
		if (s->n_keys && data[i] == s->keys[s->matched]) {
			s->detached = ++s->matched == s->n_keys;
			continue;
		}
		memcpy(s->pending + s->n_pending, s->keys, s->matched);
		s->n_pending += s->matched;
		s->matched = s->n_keys && data[i] == s->keys[0];
		if (!s->matched)
			s->pending[s->n_pending++] = data[i];
	}
}

static void read_input(struct session *s)
{
	unsigned char data[1024]; /* a key may give back as many as it takes: twice as much fits */
	const ssize_t n = read(STDIN_FILENO, data, sizeof(data));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0) {
		take_keys(s, data, (size_t)n);
		return;
	}
	/* The container's own standard input stays open for the next one, unless it was said. A terminal that is gone attaches nobody. */
	s->input = false;
	s->end_pending = s->ends_input && !s->raw;
	s->detached |= s->raw;
}

static int send_pending(struct session *s, struct err *err)
{
	const bool end = s->n_pending == 0;
	struct {
		struct control_header header;
		unsigned char data[sizeof(s->pending)];
	} message = { .header = { CONTROL_MAGIC, end ? CONTROL_INPUT_END : CONTROL_INPUT, (uint16_t)s->n_pending } };

	memcpy(message.data, s->pending, s->n_pending);
	/* Never waits: who waits here does not read, and is dropped. */
	if (send(s->fd, &message, sizeof(message.header) + s->n_pending, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 ||
	    errno == EPIPE || errno == ECONNRESET) { /* its end is read, too */
		s->n_pending = 0;
		s->end_pending = s->end_pending && !end;
	} else if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
		return err_system(err, "control socket: send");
	}
	return 0;
}

/* ---- output ---- */

static int put(int fd, const unsigned char *data, size_t n, struct err *err)
{
	while (n > 0) {
		const ssize_t done = write(fd, data, n);

		if (done < 0 && errno == EAGAIN)
			(void)poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, -1);
		else if (done < 0 && errno != EINTR)
			return err_system(err, fd == STDOUT_FILENO ? "standard output" : "standard error");
		if (done > 0) {
			data += done;
			n -= (size_t)done;
		}
	}
	return 0;
}

static int read_output(struct session *s, struct err *err)
{
	unsigned char data[CONTROL_DATA_MAX];
	enum control_type type;
	int32_t status;
	size_t length;
	int r;

	r = control_receive(s->fd, &type, data, &length, err);
	if (r < 0)
		return r;
	if (type == 0)
		return err_set(
			err, ERR_PEER, ERR_ID_NONE, ECONNRESET,
			"%s: its nsrun closed the connection: it was killed, or output was not read for too long",
			s->id);
	switch (type) {
	case CONTROL_STDOUT:
		return put(STDOUT_FILENO, data, length, err);
	case CONTROL_STDERR:
		return put(STDERR_FILENO, data, length, err);
	case CONTROL_END:
		memcpy(&status, data, sizeof(status));
		s->status = status;
		s->ended = true;
		return 0;
	default:
		return err_set(err, ERR_PEER, ERR_ID_NONE, EPROTO, "%s: message %d of a client came from its nsrun",
			       s->id, type);
	}
}

/* ---- signals ---- */

static void pass_on(struct session *s, int signal)
{
	_cleanup_(pidref_close) struct pidref init = PIDREF_NONE;
	enum sigfate fate = SIGFATE_TAKEN;
	char name[SIGNAL_NAME_SIZE];
	struct container container;

	if (container_find(s->id, &container, NULL) < 0)
		return;
	if (container_open_init(&container, &init, NULL) == 0) {
		sigfate_of(&init, signal, &fate, NULL);
		(void)pidref_kill(&init, signal, NULL);
	}
	container_done(&container);
	/* No key leaves it then: ^C that nobody takes inside is meant for this process. */
	if (!s->lines || (signal != SIGINT && signal != SIGQUIT) ||
	    (fate != SIGFATE_DROPPED && fate != SIGFATE_IGNORED))
		return;
	fprintf(stderr, "nsrun: %s: process 1 %s %s: nsrun stop ends the container\n", s->id,
		fate == SIGFATE_IGNORED ? "ignores" : "does not handle", signal_name(signal, name));
	s->detached = true;
}

static void stop_self(struct session *s)
{
	struct termios ignored;
	sigset_t set, old;

	if (s->raw)
		(void)tty_restore(STDIN_FILENO, &s->saved);
	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	raise(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &set, &old);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (s->raw)
		(void)tty_set_raw(STDIN_FILENO, &ignored, NULL);
}

static int read_signal(struct session *s, struct err *err)
{
	struct signalfd_siginfo info;

	if (read(s->signals.fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	switch (info.ssi_signo) {
	case SIGWINCH:
		return send_size(s, 0, err);
	case SIGTSTP:
		stop_self(s);
		return send_size(s, 0, err);
	case SIGCHLD:
	case SIGCONT:
	case SIGPIPE:
	case SIGURG:
		return 0;
	case SIGHUP:
		/* Of this connection; the container is not this terminal's job. */
		s->detached = true;
		return 0;
	default:
		if (s->proxy) {
			pass_on(s, (int)info.ssi_signo);
		} else if (info.ssi_signo == SIGINT || info.ssi_signo == SIGTERM || info.ssi_signo == SIGQUIT) {
			s->detached = true;
		}
		return 0;
	}
}

/* ---- together ---- */

static int session_loop(struct session *s, struct err *err)
{
	int r = 0;

	while (r == 0 && !s->ended && !s->detached) {
		struct pollfd fds[] = {
			{ .fd = s->fd, .events = (short)(POLLIN | (s->n_pending || s->end_pending ? POLLOUT : 0)) },
			{ .fd = s->signals.fd, .events = POLLIN },
			{ .fd = s->input && !s->n_pending ? STDIN_FILENO : -1, .events = POLLIN },
		};

		if (poll(fds, ARRAY_LEN(fds), -1) < 0) {
			if (errno == EINTR)
				continue;
			return err_system(err, "poll");
		}
		if (fds[1].revents)
			r = read_signal(s, err);
		if (r == 0 && fds[2].revents)
			read_input(s);
		if (r == 0 && (s->n_pending || s->end_pending))
			r = send_pending(s, err);
		if (r == 0 && (fds[0].revents & ~POLLOUT))
			r = read_output(s, err);
	}
	return r;
}

/* Its record has its end before its clients are told. */
static void print_end_of(const char *id)
{
	struct container container;

	if (container_find(id, &container, NULL) < 0)
		return;
	print_end(stderr, &container);
	container_done(&container);
}

/* Reports, and returns the exit status. */
static int run_session(struct session *s, bool attached, struct err *err)
{
	const uint32_t wants = CONTROL_WANTS_OUTPUT | (s->input ? CONTROL_WANTS_INPUT : 0);
	int r = signals_begin(&s->signals, err);

	if (r == 0 && s->input)
		r = terminal_begin(s, err);
	if (r == 0 && !attached) {
		r = control_send(s->fd, CONTROL_ATTACH, &wants, sizeof(wants), err);
		/* Another size first: programs draw anew when it changes, and not otherwise. */
		if (r == 0 && s->raw)
			r = send_size(s, 1, err);
		if (r == 0 && s->raw)
			r = send_size(s, 0, err);
	}
	if (r == 0)
		r = session_loop(s, err);
	terminal_end(s);
	signals_end(&s->signals);
	if (r < 0)
		return err->errnum == EPIPE ? 128 + SIGPIPE : report_error(stderr, err);
	if (s->ended) {
		print_end_of(s->id);
		return s->status;
	}
	fprintf(stderr, "%snsrun: detached from %s\n", s->raw ? "\n" : "", s->id);
	return 0;
}

int attach_terminal(int client, const char *keys, const char *id)
{
	struct session session = {
		.fd = client, .id = id, .input = true, .proxy = true, .signals = SIGNALS_NONE, .guard = TTY_GUARD_NONE
	};
	struct err err = ERR_INIT;

	if (control_parse_keys(keys, session.keys, &session.n_keys, &err) < 0)
		return report_error(stderr, &err);
	return run_session(&session, true, &err);
}

/* ---- nsrun attach ---- */

struct attach_options {
	enum tristate help, no_stdin, end_stdin, sig_proxy;
	const char *keys;
};

static const struct option_row attach_rows[] = {
	COMMAND_OPTION(struct attach_options, keys, "detach-keys", 0, "KEYS", STRING,
		       "keys that leave the terminal (default: " DETACH_KEYS ")", "--detach-keys ctrl-]"),
	COMMAND_OPTION(struct attach_options, no_stdin, "no-stdin", 0, NULL, TRISTATE, "only look: pass no input on",
		       "--no-stdin"),
	COMMAND_OPTION(struct attach_options, end_stdin, "end-stdin", 0, NULL, TRISTATE,
		       "the end of this input is the end of the container's, too", "--end-stdin"),
	COMMAND_OPTION(struct attach_options, sig_proxy, "sig-proxy", 0, NULL, TRISTATE,
		       "pass signals on (default); =false: they end nsrun attach alone", "--sig-proxy=false"),
	OPTION_HELP_ROW,
};
const struct option_table attach_table = { attach_rows, ARRAY_LEN(attach_rows), "attach" };

static int attach_to(const char *word, const struct attach_options *options, struct session *s, struct err *err)
{
	struct container container;
	int status, r;

	r = container_find(word, &container, err);
	if (r < 0)
		return report_error(stderr, err);
	r = refuse_without_owner(&container, "its input and output are those that create was given", err);
	if (r == 0 && (container.status == CONTAINER_ENDED || container.status == CONTAINER_DEAD))
		r = err_set(err, ERR_INPUT, ERR_ID_NOT_RUNNING, ESRCH, "%s: it has ended", word);
	else if (r == 0)
		container_look_paused(&container, 1);
	if (r == 0 && container.paused)
		r = err_set(err, ERR_INPUT, ERR_ID_PAUSED, EAGAIN, "%s: it is paused", word);
	if (r == 0)
		r = control_connect(&container, &s->fd, err);
	s->id = container.id;
	/* Without a terminal inside there is nothing that keys could be taken from, unless they are asked for. */
	s->lines = !json_is_true(json_object_get(container.state, "terminal")) && !options->keys;
	if (s->lines || (!isatty(STDIN_FILENO) && !options->keys))
		s->n_keys = 0;
	status = r < 0 ? report_error(stderr, err) : run_session(s, false, err);
	s->id = NULL;
	container_done(&container);
	closep(&s->fd);
	return status;
}

int command_attach(int argc, char *const *argv)
{
	struct session session = { .fd = FD_NONE, .signals = SIGNALS_NONE, .guard = TTY_GUARD_NONE };
	struct attach_options options = { 0 };
	_cleanup_free_ const char **names = NULL;
	struct err err = ERR_INIT;
	int status;
	size_t n;

	if (!command_begin(&attach_table, argc, argv, &options, 1, 1, &names, &n, &status))
		return status;
	if (control_parse_keys(options.keys ? options.keys : DETACH_KEYS, session.keys, &session.n_keys, &err) < 0)
		return report_error(stderr, &err);
	session.input = options.no_stdin != YES;
	session.ends_input = options.end_stdin == YES;
	session.proxy = options.sig_proxy != NO;
	return attach_to(names[0], &options, &session, &err);
}
