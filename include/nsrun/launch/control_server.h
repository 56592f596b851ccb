/* SPDX-License-Identifier: Apache-2.0 */
/* The owner's side of the control socket: control.h. */
#ifndef NSRUN_LAUNCH_CONTROL_SERVER_H
#define NSRUN_LAUNCH_CONTROL_SERVER_H

#include <nsrun/launch/control.h>

#include <sys/ioctl.h>

struct control_server;

/* What clients ask for; called by control_server_dispatch(). */
struct control_handler {
	void (*input)(const void *data, size_t n, void *context); /* not more than CONTROL_DATA_MAX at once */
	void (*input_end)(void *context);
	void (*size)(const struct winsize *size, void *context);
	bool (*room)(void *context); /* for CONTROL_DATA_MAX bytes of input; without it no client's messages are read */
	void *context;
};

/* Makes DIR/control and listens. */
int control_server_new(const char *dir, struct control_server **ret, struct err *err);
/* A client that is connected already; of its own caller, who is waited for however slow it is. Takes the descriptor. */
int control_server_adopt(struct control_server *server, int fd, struct err *err);
/* Closes all; the socket's name goes with the container's other files. */
void control_server_free(struct control_server *server);

/* Readable when there is something to dispatch. */
int control_server_fd(const struct control_server *server);
void control_server_dispatch(struct control_server *server, const struct control_handler *handler);
/* What handler->room would say: whether clients are to be listened to at all. */
void control_server_set_room(struct control_server *server, bool room);

/* To all who want output. What cannot be sent at once is kept; control_server_full() is true then, and no more may be given. */
void control_server_output(struct control_server *server, enum control_type type, const void *data, size_t n);
bool control_server_full(const struct control_server *server);
/* Milliseconds until a client that does not read is dropped, -1: none is to be; drops those whose time is over. */
int control_server_timeout(struct control_server *server);

/* Tells the end to all, then closes everything. */
void control_server_end(struct control_server *server, int status);

#endif
