/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes between a container and whoever looks at it: the part of supervise() that reads and writes. Sources are the pty's master, or
 * the pipes that are the workload's standard output and error; sinks are the caller's descriptors, the log, and attached clients.
 */
#ifndef NSRUN_LAUNCH_RELAY_H
#define NSRUN_LAUNCH_RELAY_H

#include <nsrun/launch/supervise.h>

#define RELAY_BUFFER 65536

struct buffer {
	size_t start, end;
	char *data; /* RELAY_BUFFER; only where it is needed */
};

/* A descriptor and what epoll knows of it. */
struct port {
	int fd;
	uint32_t watched;
	bool owned, socket, blocking;
	bool always; /* a regular file: epoll refuses it (EPERM), and it never waits */
};

/* Output on its way. */
struct flow {
	struct port source; /* the master, or a pipe's end */
	struct port sink;   /* the caller's; FD_NONE: there is none */
	struct buffer buffer;
	enum log_stream stream;
	bool open; /* the source may have more */
	size_t drained;
};

#define FLOWS 2

struct relay {
	const struct supervision *s;
	int epoll;
	struct port init, signals, oom, notify, server, in, inside; /* inside: where input goes, the master or a pipe */
	struct flow flows[FLOWS];
	struct buffer to_inside;
	int terminal;	  /* the one of in and out that is a terminal, or FD_NONE */
	bool in_open;	  /* there is more input to come from the caller */
	bool eof_pending; /* the end of input is still to be passed on */
	bool hung;	  /* nobody has the peer open: EIO, until somebody opens it again */
	bool init_ended, cut_short;
	char last_input;
};

int relay_open(struct relay *r, struct err *err);
void relay_close(struct relay *r);
/* Tells epoll what every port waits for. *ret_ready: one that epoll cannot watch is ready. */
int relay_watch(struct relay *r, bool *ret_ready, struct err *err);
/* `port` is ready: does what there is to do. */
void relay_serve(struct relay *r, const struct port *port);
/* What needs no readiness: regular files, what came from clients, what is left after init's end. */
void relay_go_on(struct relay *r);
/* All output is where it belongs. */
bool relay_is_done(const struct relay *r);

/* The line to the user is lost. */
void relay_hang_up(struct relay *r);
bool relay_terminal_lost(const struct relay *r);
static inline bool relay_has_terminal(const struct relay *r)
{
	return r->s->pty_master >= 0;
}
int relay_watch_port(struct relay *r, struct port *port, uint32_t wanted, struct err *err);

#endif
