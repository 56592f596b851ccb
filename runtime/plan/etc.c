/* SPDX-License-Identifier: Apache-2.0 */
/* The files of /etc that a container has of its own: hosts, hostname, resolv.conf. */
#include <nsrun/plan/process.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/kernel/root.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

/* Some keep lists of addresses to be blocked there. */
#define HOSTS_MAX ((size_t)8 << 20)
#define RESOLV_CONF_MAX ((size_t)64 << 10)
#define NAME_SERVERS_MAX 3 /* MAXNS of resolv.conf(5): the C libraries ask no more */

static const char localhost[] = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";

static bool is_address(const char *text)
{
	struct in6_addr buffer;

	return inet_pton(AF_INET, text, &buffer) == 1 || inet_pton(AF_INET6, text, &buffer) == 1;
}

static size_t count(const char *const *v)
{
	size_t n = 0;

	while (v && v[n])
		n++;
	return n;
}

/* One of the host's own files, in the arena; *ret stays where there is none. */
static int read_host_file(struct plan *plan, const char *path, size_t max, const char **ret, struct err *err)
{
	_cleanup_free_ char *data = NULL;
	struct err missing = ERR_INIT;
	size_t size;

	const int r = file_read_at(AT_FDCWD, path, max, &data, &size, &missing);
	if (r < 0 && missing.errnum == ENOENT)
		return 0;
	if (r < 0) {
		*err = missing;
		return r;
	}
	const char *text = arena_printf(plan->arena, "%s%s", data, size && data[size - 1] != '\n' ? "\n" : "");
	if (!text)
		return err_oom(err);
	*ret = text;
	return 0;
}

/* NAME:ADDRESS; an IPv6 address also in brackets, as in a URL. */
static int add_host_line(struct plan *plan, const char *text, char **line, struct err *err)
{
	const size_t n = strcspn(text, ":=");
	char address[INET6_ADDRSTRLEN + 2];

	if (n == 0 || n > HOST_NAME_MAX * 4 || !text[n])
		return err_input(err, "--add-host %s: NAME:ADDRESS is wanted", text);
	for (size_t i = 0; i < n; i++)
		if (!isascii(text[i]) || !(isalnum((unsigned char)text[i]) || strchr("._-", text[i])) ||
		    (i == 0 && text[i] == '-'))
			return err_input(err, "--add-host %s: a host name has letters, digits, '.', '-' and '_'", text);
	const char *said = text + n + 1;
	size_t length = strlen(said);
	if (*said == '[' && length > 2 && said[length - 1] == ']') {
		said++;
		length -= 2;
	}
	if (streq(said, "host-gateway"))
		return err_set(err, ERR_INPUT, ERR_ID_NOT_BUILT, 0,
			       "--add-host %s: there is no gateway without a bridge", text);
	snprintf(address, sizeof(address), "%.*s", (int)(length < sizeof(address) ? length : sizeof(address) - 1),
		 said);
	if (length >= sizeof(address) || !is_address(address))
		return err_input(err, "--add-host %s: an IPv4 or IPv6 address is wanted behind the name", text);
	*line = arena_printf(plan->arena, "%s\t%.*s\n", address, (int)n, text);
	return *line ? 0 : err_oom(err);
}

static int resolve_hosts(struct plan *plan, const struct plan_request *request, struct err *err)
{
	const size_t n = count(request->add_hosts);
	const char *own = localhost;
	size_t size;

	/* In the host's network its names mean the same. */
	int r = plan->ns[NS_NET].use == NS_HOST ? read_host_file(plan, "/etc/hosts", HOSTS_MAX, &own, err) : 0;
	if (r < 0)
		return r;
	plan->hosts = own;
	if (n == 0)
		return 0;
	char **lines = arena_array(plan->arena, n, sizeof(*lines));
	if (!lines)
		return err_oom(err);
	size = strlen(own) + 1;
	for (size_t i = 0; i < n; i++) {
		r = add_host_line(plan, request->add_hosts[i], &lines[i], err);
		if (r < 0)
			return r;
		size += strlen(lines[i]);
	}
	char *hosts = arena_alloc(plan->arena, size), *end;
	if (!hosts)
		return err_oom(err);
	end = stpcpy(hosts, own);
	for (size_t i = 0; i < n; i++)
		end = stpcpy(end, lines[i]);
	plan->hosts = hosts;
	plan->hosts_required = true;
	return 0;
}

/* The host's search list and options stay; the servers are those that were asked for. */
static int replace_servers(struct plan *plan, const char *const *dns, const char *host, struct err *err)
{
	size_t size = (host ? strlen(host) : 0) + 1, n = count(dns);

	if (n > NAME_SERVERS_MAX)
		return err_input(err,
				 "--dns %s: more than %d name servers, of which programs ask no more (resolv.conf(5))",
				 dns[NAME_SERVERS_MAX], NAME_SERVERS_MAX);
	for (size_t i = 0; i < n; i++) {
		if (!is_address(dns[i]))
			return err_input(err, "--dns %s: an IPv4 or IPv6 address is wanted", dns[i]);
		size += strlen("nameserver \n") + strlen(dns[i]);
	}
	char *text = arena_alloc(plan->arena, size), *end = text;
	if (!text)
		return err_oom(err);
	for (size_t i = 0; i < n; i++)
		end = stpcpy(stpcpy(stpcpy(end, "nameserver "), dns[i]), "\n");
	for (const char *line = host; line && *line;) {
		const size_t length = strcspn(line, "\n") + 1; /* read_host_file() ends the last one, too */

		if (!str_after(line, "nameserver"))
			end = mempcpy(end, line, length);
		line += length;
	}
	*end = '\0';
	plan->resolv_conf = text;
	plan->resolv_conf_required = true;
	return 0;
}

static int resolve_resolv_conf(struct plan *plan, const struct plan_request *request, struct err *err)
{
	const char *host = NULL;

	if (plan->ns[NS_NET].use == NS_HOST) {
		const int r = read_host_file(plan, "/etc/resolv.conf", RESOLV_CONF_MAX, &host, err);

		if (r < 0)
			return r;
	}
	plan->resolv_conf = host;
	return count(request->dns) ? replace_servers(plan, request->dns, host, err) : 0;
}

int plan_resolve_etc(struct plan *plan, const struct plan_request *request, struct err *err)
{
	_cleanup_close_ int root = FD_NONE;

	int r = resolve_hosts(plan, request, err);
	if (r == 0)
		r = resolve_resolv_conf(plan, request, err);
	if (r < 0)
		return r;
	plan->etc_wanted = plan->hosts_required || plan->resolv_conf_required;
	if (plan->etc_wanted)
		return 0;
	/* Only whether the row is there: it looks itself what is there then. */
	root = open(plan->rootfs.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	plan->etc_wanted = root >= 0 && (root_has_file(root, "/etc/hosts") || root_has_file(root, "/etc/hostname") ||
					 (plan->resolv_conf && root_has_file(root, "/etc/resolv.conf")));
	return 0;
}
