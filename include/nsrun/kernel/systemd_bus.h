/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sd-bus(3) as far as it is used here, by pointers that dlopen(3) fills. The declarations are our own: the library's interface is stable, and
 * the build needs neither its headers nor the library.
 */
#ifndef NSRUN_KERNEL_SYSTEMD_BUS_H
#define NSRUN_KERNEL_SYSTEMD_BUS_H

#include <nsrun/base/err.h>

#include <stdint.h>
#include <sys/types.h>

typedef struct sd_bus sd_bus;
typedef struct sd_bus_message sd_bus_message;
typedef struct {
	const char *name;
	const char *message;
	int need_free;
} sd_bus_error;

struct sd_bus_calls {
	int (*new_bus)(sd_bus **ret);
	int (*set_address)(sd_bus *bus, const char *address);
	int (*set_bus_client)(sd_bus *bus, int yes);
	int (*set_method_call_timeout)(sd_bus *bus, uint64_t usec);
	int (*start)(sd_bus *bus);
	int (*get_fd)(sd_bus *bus);
	sd_bus *(*flush_close_unref)(sd_bus *bus);
	int (*message_new_method_call)(sd_bus *bus, sd_bus_message **ret, const char *destination, const char *path,
				       const char *interface, const char *member);
	int (*message_append_basic)(sd_bus_message *message, char type, const void *value);
	int (*message_append_array)(sd_bus_message *message, char type, const void *data, size_t size);
	int (*message_open_container)(sd_bus_message *message, char type, const char *contents);
	int (*message_close_container)(sd_bus_message *message);
	int (*message_read_basic)(sd_bus_message *message, char type, void *ret);
	sd_bus_message *(*message_unref)(sd_bus_message *message);
	int (*call)(sd_bus *bus, sd_bus_message *message, uint64_t usec, sd_bus_error *error, sd_bus_message **reply);
	int (*get_property_string)(sd_bus *bus, const char *destination, const char *path, const char *interface,
				   const char *member, sd_bus_error *error, char **ret);
	int (*message_is_signal)(sd_bus_message *message, const char *interface, const char *member);
	int (*process)(sd_bus *bus, sd_bus_message **ret);
	int (*wait)(sd_bus *bus, uint64_t usec);
	void (*error_free)(sd_bus_error *error);
};

struct systemd {
	void *library;
	struct sd_bus_calls calls;
	sd_bus *bus;
	bool user;   /* the user's manager; false: the system's */
	bool direct; /* its private socket: no bus in between, so no names and no senders */
};

/* As a message has it: what was wanted of it, and which error the manager, the bus or the kernel gave. `error` is freed. */
int systemd_failed(struct systemd *manager, int r, sd_bus_error *error, struct err *err, const char *fmt, ...)
	_printf_(5, 6);

#endif
