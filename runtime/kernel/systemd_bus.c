/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/systemd_bus.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/systemd.h>

#include <ctype.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define LIBRARY "libsystemd.so.0"
#define CALL_TIMEOUT_US (10 * 1000000ULL) /* sd-bus' own 25 s are long for somebody who waits for a prompt */
#define SYSTEM_BUS "/run/dbus/system_bus_socket"
#define SYSTEM_PRIVATE "/run/systemd/private"

static int load(struct systemd *manager, struct err *err)
{
	struct sd_bus_calls *calls = &manager->calls;
	const struct {
		const char *name;
		void *to; /* a pointer to a function: memcpy, since ISO C converts none of them to void * (dlopen(3), NOTES) */
	} symbols[] = {
		{ "sd_bus_new", &calls->new_bus },
		{ "sd_bus_set_address", &calls->set_address },
		{ "sd_bus_set_bus_client", &calls->set_bus_client },
		{ "sd_bus_set_method_call_timeout", &calls->set_method_call_timeout },
		{ "sd_bus_start", &calls->start },
		{ "sd_bus_get_fd", &calls->get_fd },
		{ "sd_bus_flush_close_unref", &calls->flush_close_unref },
		{ "sd_bus_message_new_method_call", &calls->message_new_method_call },
		{ "sd_bus_message_append_basic", &calls->message_append_basic },
		{ "sd_bus_message_append_array", &calls->message_append_array },
		{ "sd_bus_message_open_container", &calls->message_open_container },
		{ "sd_bus_message_close_container", &calls->message_close_container },
		{ "sd_bus_message_read_basic", &calls->message_read_basic },
		{ "sd_bus_message_unref", &calls->message_unref },
		{ "sd_bus_call", &calls->call },
		{ "sd_bus_get_property_string", &calls->get_property_string },
		{ "sd_bus_message_is_signal", &calls->message_is_signal },
		{ "sd_bus_process", &calls->process },
		{ "sd_bus_wait", &calls->wait },
		{ "sd_bus_error_free", &calls->error_free },
	};

#ifdef NSRUN_STATIC
	/* dlopen(3) of a static program wants the very C library that it was linked with. */
	(void)symbols;
	return err_set(err, ERR_REFUSED, ERR_ID_SYSTEMD_LIBRARY, ENOENT,
		       "this nsrun is a static program, which loads no library");
#else
	manager->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!manager->library)
		return err_set(err, ERR_REFUSED, ERR_ID_SYSTEMD_LIBRARY, ENOENT, "%s", dlerror());
	for (size_t i = 0; i < ARRAY_LEN(symbols); i++) {
		void *symbol = dlsym(manager->library, symbols[i].name);

		if (!symbol)
			return err_set(err, ERR_REFUSED, ERR_ID_SYSTEMD_LIBRARY, ENOENT,
				       LIBRARY ": no %s: older than systemd 241", symbols[i].name);
		memcpy(symbols[i].to, &symbol, sizeof(symbol));
	}
	return 0;
#endif
}

/* ---- where it listens ---- */

static bool is_socket(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* D-Bus specification, "Server Addresses": other bytes are escaped as %XX. */
static void put_address(const char *path, char *ret, size_t size)
{
	size_t n = (size_t)snprintf(ret, size, "unix:path=");

	for (const char *p = path; *p && n + 4 < size; p++)
		n += (size_t)snprintf(ret + n, size - n,
				      isalnum((unsigned char)*p) || strchr("-_/.\\*", *p) ? "%c" : "%%%02x",
				      (unsigned char)*p);
}

/* $XDG_RUNTIME_DIR, or where pam_systemd(8) has it: su(1) and cron(8) do not set it. One that is not ours is nobody's. */
static bool runtime_dir(char *ret, size_t size)
{
	const char *said = getenv("XDG_RUNTIME_DIR");
	struct stat st;
	int n;

	n = said && *said ? snprintf(ret, size, "%s", said) : snprintf(ret, size, "/run/user/%u", geteuid());
	return n > 0 && (size_t)n < size && stat(ret, &st) == 0 && st.st_uid == geteuid();
}

#define ADDRESS_SIZE (3 * PATH_MAX)
/*
 * The bus first: the private sockets are systemd's own affair (systemd(1), FILES), and serve where no bus runs. What the environment says
 * comes after the user's own bus: a session bus of dbus-run-session(1) knows no systemd.
 */
static bool find_address(bool user, char *ret, size_t size, bool *ret_direct)
{
	const char *said = getenv(user ? "DBUS_SESSION_BUS_ADDRESS" : "DBUS_SYSTEM_BUS_ADDRESS");
	char dir[PATH_MAX] = "", path[PATH_MAX + 32] = SYSTEM_BUS;

	*ret_direct = false;
	if (user && runtime_dir(dir, sizeof(dir)))
		snprintf(path, sizeof(path), "%s/bus", dir);
	if (user && *dir && is_socket(path)) {
		put_address(path, ret, size);
		return true;
	}
	if (said && *said) {
		snprintf(ret, size, "%s", said);
		return true;
	}
	if (!user && is_socket(path)) {
		put_address(path, ret, size);
		return true;
	}
	*ret_direct = true;
	if (user)
		snprintf(path, sizeof(path), "%s/systemd/private", dir);
	else
		snprintf(path, sizeof(path), SYSTEM_PRIVATE);
	put_address(path, ret, size);
	return (!user || *dir) && is_socket(path);
}

/*
 * Root of a user namespace may be an ordinary user outside, as it is below a rootless engine. The system's bus belongs to nobody there, and the manager
 * that has this root's ids is the user's own.
 */
bool systemd_is_of_user(void)
{
	char address[ADDRESS_SIZE];
	struct stat st;
	bool direct;

	if (geteuid() != 0)
		return true;
	return (stat(SYSTEM_BUS, &st) == 0 || stat(SYSTEM_PRIVATE, &st) == 0) && st.st_uid != 0 &&
	       find_address(true, address, sizeof(address), &direct);
}

bool systemd_is_there(void)
{
	char address[ADDRESS_SIZE];
	bool direct;

	return find_address(systemd_is_of_user(), address, sizeof(address), &direct);
}

/*
 * Who listens: unix(7), SO_PEERCRED of a listening socket is who called listen(2), which by socket activation is the manager itself. Pid 0: it lies
 * outside of our pid namespace, and the number of our process is another one's there.
 */
static int check_peer(struct systemd *manager, struct err *err)
{
	const int fd = manager->calls.get_fd(manager->bus);
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return 0; /* no connection yet, or none by a socket of this machine: the first call tells */
	if (peer.pid == 0)
		return err_set(err, ERR_REFUSED, ERR_ID_SYSTEMD_FOREIGN, EACCES,
			       "the systemd that is reached from here lies outside of this pid namespace");
	if (peer.uid != geteuid())
		return err_set(err, ERR_REFUSED, manager->user ? ERR_ID_SYSTEMD_DENIED : ERR_ID_SYSTEMD_FOREIGN, EACCES,
			       "the systemd that is reached from here is of user %u, and this is user %u", peer.uid,
			       geteuid());
	return 0;
}

int systemd_open(struct systemd **ret, struct err *err)
{
	_cleanup_(systemd_closep) struct systemd *manager = calloc(1, sizeof(*manager));
	char address[ADDRESS_SIZE];
	int r;

	if (!manager)
		return err_oom(err);
	manager->user = systemd_is_of_user();
	if (!find_address(manager->user, address, sizeof(address), &manager->direct))
		return err_set(err, ERR_REFUSED, ERR_ID_SYSTEMD_ABSENT, ENOENT,
			       manager->user ? "no systemd of this user listens here" : "no systemd listens here");
	r = load(manager, err);
	if (r < 0)
		return r;
	r = manager->calls.new_bus(&manager->bus);
	if (r == 0)
		r = manager->calls.set_address(manager->bus, address);
	if (r >= 0)
		r = manager->calls.set_bus_client(manager->bus, !manager->direct);
	if (r >= 0)
		r = manager->calls.set_method_call_timeout(manager->bus, CALL_TIMEOUT_US);
	if (r >= 0)
		r = manager->calls.start(manager->bus);
	if (r < 0)
		return err_set(err, ERR_REFUSED, ERR_ID_SYSTEMD_ABSENT, -r, "%.200s: connection to systemd", address);
	r = check_peer(manager, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(manager);
	return 0;
}

/* The library stays: its thread-local and registered functions do not survive dlclose(3), and this process ends soon. */
void systemd_close(struct systemd *manager)
{
	if (!manager)
		return;
	if (manager->bus)
		manager->calls.flush_close_unref(manager->bus);
	free(manager);
}

static enum err_id reason(const char *name, int r)
{
	static const struct {
		const char *name;
		enum err_id id;
	} names[] = {
		{ "org.freedesktop.DBus.Error.AccessDenied", ERR_ID_SYSTEMD_DENIED },
		{ "org.freedesktop.DBus.Error.AuthFailed", ERR_ID_SYSTEMD_DENIED },
		{ "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", ERR_ID_SYSTEMD_DENIED },
		{ "org.freedesktop.DBus.Error.ServiceUnknown", ERR_ID_SYSTEMD_ABSENT },
		{ "org.freedesktop.DBus.Error.NameHasNoOwner", ERR_ID_SYSTEMD_ABSENT },
		{ "org.freedesktop.DBus.Error.Disconnected", ERR_ID_SYSTEMD_ABSENT },
		{ "org.freedesktop.DBus.Error.Spawn.ChildExited", ERR_ID_SYSTEMD_ABSENT },
		{ "org.freedesktop.DBus.Error.Spawn.ServiceNotFound", ERR_ID_SYSTEMD_ABSENT },
	};

	for (size_t i = 0; name && i < ARRAY_LEN(names); i++)
		if (streq(name, names[i].name))
			return names[i].id;
	if (r == -EACCES || r == -EPERM)
		return ERR_ID_SYSTEMD_DENIED;
	if (r == -ECONNREFUSED || r == -ENOENT || r == -ECONNRESET || r == -ENOTCONN)
		return ERR_ID_SYSTEMD_ABSENT;
	return ERR_ID_SYSTEMD_FAILED;
}

int systemd_failed(struct systemd *manager, int r, sd_bus_error *error, struct err *err, const char *fmt, ...)
{
	const enum err_id id = reason(error->name, r);
	char what[ERR_MESSAGE_MAX / 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (error->message)
		r = err_set(err, ERR_REFUSED, id, -r, "systemd: %s: %.200s", what, error->message);
	else if (r == -ETIMEDOUT)
		r = err_set(err, ERR_SYSTEM, id, -r, "systemd: %s: no answer in %d s", what,
			    (int)(CALL_TIMEOUT_US / 1000000));
	else
		r = err_set(err, ERR_SYSTEM, id, -r, "systemd: %s", what);
	manager->calls.error_free(error);
	return r;
}
