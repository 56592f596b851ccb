/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket of a container that is detached or has a name: SOCK_SEQPACKET at STATE/control, in a directory that only the
 * owner can search; the peer's uid is compared all the same (SO_PEERCRED, unix(7)). One message is one struct control_header and its
 * data. A client whose queue is full, and who takes nothing of it for a second, is dropped: nobody can stop a container by looking at it.
 * The exception is a keeper's own caller (`-it --detach-keys`), who is waited for, as in the foreground.
 */
#ifndef NSRUN_LAUNCH_CONTROL_H
#define NSRUN_LAUNCH_CONTROL_H

#include <nsrun/base/err.h>
#include <nsrun/plan/container.h>

#include <stdint.h>

#define CONTROL_MAGIC UINT32_C(0x6e737231)
#define CONTROL_DATA_MAX 8192

enum control_type {
	/* client to owner */
	CONTROL_ATTACH = 1, /* data: uint32_t flags CONTROL_WANTS_*; output and the end follow */
	CONTROL_WAIT,	    /* the end follows */
	CONTROL_INPUT,	    /* bytes for standard input or the terminal */
	CONTROL_INPUT_END,  /* end of input */
	CONTROL_SIZE,	    /* data: struct winsize */
	/* owner to client */
	CONTROL_STDOUT, /* bytes; of a terminal all are here */
	CONTROL_STDERR,
	CONTROL_END, /* data: int32_t exit status, as a shell has it */
};
#define CONTROL_WANTS_INPUT (1U << 0)
#define CONTROL_WANTS_OUTPUT (1U << 1)

struct control_header {
	uint32_t magic;
	uint16_t type;
	uint16_t length; /* of the data */
};

/* Where it is, for bind(2) and connect(2), by a descriptor of the state directory: a path of any depth. */
struct sockaddr_un;
int control_address(int dir_fd, struct sockaddr_un *ret);
/* Connects to a container's owner. -ENOENT with ERR_ID_NO_CONTROL: it was started in the foreground without a name. */
int control_connect(const struct container *container, int *ret_fd, struct err *err);
int control_send(int fd, enum control_type type, const void *data, size_t length, struct err *err);
/* One message; data has CONTROL_DATA_MAX bytes. 0 and *ret_type 0: end of file. A wrong magic, type or length is an error. */
int control_receive(int fd, enum control_type *ret_type, void *data, size_t *ret_length, struct err *err);
/* Waits for CONTROL_END. -ECONNRESET: the owner died without saying it. */
int control_wait(int fd, int *ret_status, struct err *err);

/* "ctrl-p,ctrl-q", "ctrl-]", "a": the bytes that leave an attached terminal, at most CONTROL_KEYS_MAX. */
#define CONTROL_KEYS_MAX 16
int control_parse_keys(const char *text, unsigned char ret[CONTROL_KEYS_MAX], size_t *ret_n, struct err *err);

#endif
