/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/netdev.h>

#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <linux/if_addr.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>

#define ADDRESSES_MAX 256
/* What may be said when an address is added; the rest is what the kernel finds out about it. */
#define ADDRESS_FLAGS (IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN)

bool netdev_name_is_valid(const char *name, bool pattern)
{
	const char *percent = strchr(name, '%');

	if (!*name || strlen(name) > NETDEV_NAME_MAX || streq(name, ".") || streq(name, ".."))
		return false;
	for (const char *c = name; *c; c++)
		if (*c == '/' || *c == ':' || (unsigned char)*c <= ' ')
			return false;
	return !percent || (pattern && percent[1] == 'd' && !strchr(percent + 1, '%'));
}

/* ---- the way ---- */

int netdev_way_open(const struct pidref *process, struct netdev_way *ret, struct err *err)
{
	struct netdev_way way = NETDEV_WAY_NONE;
	int r;

	way.here_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (way.here_fd < 0)
		return err_system(err, "network namespace of this process");
	r = rtnl_open(&way.here);
	if (r < 0)
		goto out;
	/* A socket belongs to the namespace in which it was made. */
	if (setns(process->fd, CLONE_NEWNET) < 0) {
		r = -errno;
		goto out;
	}
	way.there_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	r = way.there_fd < 0 ? -errno : rtnl_open(&way.there);
	if (setns(way.here_fd, CLONE_NEWNET) < 0)
		r = -errno;
out:
	if (r < 0) {
		netdev_way_close(&way);
		errno = -r;
		return err_system_id(err, r == -EPERM ? ERR_ID_NETDEV_DENIED : ERR_ID_NONE,
				     "network namespace of process %d", (int)process->pid);
	}
	*ret = way;
	return 0;
}

void netdev_way_close(struct netdev_way *way)
{
	rtnl_close(&way->here);
	rtnl_close(&way->there);
	closep(&way->here_fd);
	closep(&way->there_fd);
	*way = NETDEV_WAY_NONE;
}

/* ---- one end of it ---- */

struct device {
	int index;
	unsigned flags; /* IFF_* */
	char name[IFNAMSIZ];
};

static int take_device(const struct nlmsghdr *message, void *data)
{
	struct device *device = data;
	const struct ifinfomsg *info = NLMSG_DATA(message);
	const struct rtattr *name = rtnl_find(message, sizeof(*info), IFLA_IFNAME);

	if (message->nlmsg_type != RTM_NEWLINK || !name)
		return 0;
	device->index = info->ifi_index;
	device->flags = info->ifi_flags;
	snprintf(device->name, sizeof(device->name), "%s", (const char *)RTA_DATA(name));
	return 0;
}

/* By its name, or by its number where that is NULL. -ENODEV: there is none. */
static int find_device(struct rtnl *rtnl, const char *name, int index, struct device *ret)
{
	const struct ifinfomsg info = { .ifi_index = index };
	struct rtnl_request request;
	struct device device = { 0 };

	rtnl_begin(&request, RTM_GETLINK, 0, &info, sizeof(info));
	if (name)
		(void)rtnl_put_text(&request, IFLA_IFNAME, name);
	const int r = rtnl_talk(rtnl, &request, take_device, &device);
	if (r < 0)
		return r;
	if (device.index == 0)
		return -ENODEV;
	*ret = device;
	return 0;
}

struct device_list {
	size_t n;
	int indexes[1024];
};

static int list_device(const struct nlmsghdr *message, void *data)
{
	struct device_list *list = data;

	if (message->nlmsg_type != RTM_NEWLINK)
		return 0;
	if (list->n == ARRAY_LEN(list->indexes))
		return -E2BIG;
	list->indexes[list->n++] = ((const struct ifinfomsg *)NLMSG_DATA(message))->ifi_index;
	return 0;
}

static int list_devices(struct rtnl *rtnl, struct device_list *ret)
{
	const struct ifinfomsg info = { 0 };
	struct rtnl_request request;

	ret->n = 0;
	rtnl_begin(&request, RTM_GETLINK, NLM_F_DUMP, &info, sizeof(info));
	return rtnl_talk(rtnl, &request, list_device, ret);
}

static int set_up(struct rtnl *rtnl, int index)
{
	const struct ifinfomsg info = { .ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	struct rtnl_request request;

	rtnl_begin(&request, RTM_NEWLINK, 0, &info, sizeof(info));
	return rtnl_talk(rtnl, &request, NULL, NULL);
}

/* The kernel gives the device the name after the move; a name that is taken there it refuses before, as it does a device that cannot be moved. */
static int move_device(struct rtnl *rtnl, int index, int ns_fd, const char *name)
{
	const struct ifinfomsg info = { .ifi_index = index };
	const uint32_t fd = (uint32_t)ns_fd;
	struct rtnl_request request;

	rtnl_begin(&request, RTM_NEWLINK, 0, &info, sizeof(info));
	int r = rtnl_put(&request, IFLA_NET_NS_FD, &fd, sizeof(fd));
	if (r == 0)
		r = rtnl_put_text(&request, IFLA_IFNAME, name);
	return r < 0 ? r : rtnl_talk(rtnl, &request, NULL, NULL);
}

/* ---- addresses ---- */

struct addresses {
	int index;
	size_t n;
	struct rtnl_request *list; /* ready to be sent but for the device's number */
};

static int copy_attribute(struct rtnl_request *to, const struct nlmsghdr *from, uint16_t type)
{
	const struct rtattr *a = rtnl_find(from, sizeof(struct ifaddrmsg), type);

	return a ? rtnl_put(to, type, RTA_DATA(a), RTA_PAYLOAD(a)) : 0;
}

static int take_address(const struct nlmsghdr *message, void *data)
{
	static const uint16_t kept[] = { IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_RT_PRIORITY, IFA_PROTO };
	struct addresses *addresses = data;
	struct ifaddrmsg info;
	uint32_t flags;

	if (message->nlmsg_type != RTM_NEWADDR)
		return 0;
	memcpy(&info, NLMSG_DATA(message), sizeof(info));
	flags = info.ifa_flags;
	const struct rtattr *wide = rtnl_find(message, sizeof(info), IFA_FLAGS);
	if (wide && RTA_PAYLOAD(wide) >= sizeof(flags))
		memcpy(&flags, RTA_DATA(wide), sizeof(flags));
	if ((int)info.ifa_index != addresses->index || !(flags & IFA_F_PERMANENT) ||
	    info.ifa_scope != RT_SCOPE_UNIVERSE)
		return 0;
	if (addresses->n == ADDRESSES_MAX)
		return -E2BIG;
	struct rtnl_request *request = reallocarray(addresses->list, addresses->n + 1, sizeof(*request));
	if (!request)
		return -ENOMEM;
	addresses->list = request;
	request += addresses->n;
	info.ifa_flags = 0;
	rtnl_begin(request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
	flags &= ADDRESS_FLAGS;
	int r = rtnl_put(request, IFA_FLAGS, &flags, sizeof(flags));
	for (size_t i = 0; i < ARRAY_LEN(kept) && r == 0; i++)
		r = copy_attribute(request, message, kept[i]);
	addresses->n++;
	return r;
}

static int read_addresses(struct rtnl *rtnl, int index, struct addresses *ret)
{
	const struct ifaddrmsg info = { .ifa_family = AF_UNSPEC };
	struct rtnl_request request;

	*ret = (struct addresses){ .index = index };
	rtnl_begin(&request, RTM_GETADDR, NLM_F_DUMP, &info, sizeof(info));
	return rtnl_talk(rtnl, &request, take_address, ret);
}

static int add_addresses(struct rtnl *rtnl, int index, struct addresses *addresses)
{
	for (size_t i = 0; i < addresses->n; i++) {
		struct ifaddrmsg *info = (struct ifaddrmsg *)(void *)addresses->list[i].room;

		info->ifa_index = (unsigned)index;
		const int r = rtnl_talk(rtnl, &addresses->list[i], NULL, NULL);
		if (r < 0 && r != -EEXIST)
			return r;
	}
	return 0;
}

static void addresses_free(struct addresses *addresses)
{
	free(addresses->list);
}

/* ---- the move ---- */

static int find_new(struct rtnl *rtnl, const struct device_list *before, int *ret)
{
	struct device_list after = { 0 };
	const int r = list_devices(rtnl, &after);

	for (size_t i = 0; i < after.n && r == 0; i++) {
		bool old = false;

		for (size_t j = 0; j < before->n && !old; j++)
			old = before->indexes[j] == after.indexes[i];
		if (!old) {
			*ret = after.indexes[i];
			return 0;
		}
	}
	return r < 0 ? r : -ENODEV;
}

/* *ret_index is set as soon as the device is there, also when something fails afterwards. */
static int move(struct rtnl *from, struct rtnl *to, int to_fd, const struct device *device, const char *new_name,
		bool up, int *ret_index)
{
	_cleanup_(addresses_free) struct addresses addresses = { 0 };
	struct device_list before = { 0 };

	/* All that is there is in the kernel's own hands once the device goes: its addresses are gone then. */
	int r = read_addresses(from, device->index, &addresses);
	if (r == 0)
		r = list_devices(to, &before);
	if (r < 0)
		return r;
	r = move_device(from, device->index, to_fd, new_name);
	const int found = find_new(to, &before, ret_index);
	if (r == 0)
		r = found;
	if (r == 0)
		r = add_addresses(to, *ret_index, &addresses);
	return r == 0 && up ? set_up(to, *ret_index) : r;
}

int netdev_move(struct netdev_way *way, const char *name, const char *new_name, const char *said,
		struct netdev_moved *ret, struct err *err)
{
	struct device device = { 0 }, other = { 0 };
	int index = 0;

	int r = find_device(&way->here, name, 0, &device);
	if (r < 0) {
		errno = -r;
		return err_system_id(err, r == -ENODEV ? ERR_ID_NETDEV_MISSING : ERR_ID_NONE, "%s: network device %s",
				     said, name);
	}
	if (!strchr(new_name, '%') && find_device(&way->there, new_name, 0, &other) == 0)
		return err_set(err, ERR_INPUT, ERR_ID_NETDEV_TAKEN, EEXIST,
			       "%s: a device called %s in the container's network namespace", said, new_name);
	r = move(&way->here, &way->there, way->there_fd, &device, new_name, true, &index);
	const struct netdev_moved moved = { .index = index, .was_up = device.flags & IFF_UP };
	if (r < 0) {
		if (index)
			(void)netdev_return(way, &moved, name, said, NULL);
		errno = -r;
		return err_system_id(err, r == -EPERM ? ERR_ID_NETDEV_DENIED : ERR_ID_NONE,
				     "%s: moving network device %s as %s", said, name, new_name);
	}
	*ret = moved;
	return 0;
}

int netdev_return(struct netdev_way *way, const struct netdev_moved *moved, const char *name, const char *said,
		  struct err *err)
{
	struct device device = { 0 };
	int index = 0;

	int r = find_device(&way->there, NULL, moved->index, &device);
	if (r == 0)
		r = move(&way->there, &way->here, way->here_fd, &device, name, moved->was_up, &index);
	if (r == 0)
		return 0;
	errno = -r;
	return err_system(err, "%s: moving network device %s back", said, name);
}
