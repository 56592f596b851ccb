/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/ability.h>

#include <nsrun/base/cleanup.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

bool ability_namespace(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	return faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool ability_filesystem(const char *name)
{
	FILE *file = fopen("/proc/filesystems", "re");
	char line[128];
	bool found = false;

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		/* "nodev", or nothing, before a tab */
		const char *tab = strchr(line, '\t');

		line[strcspn(line, "\n")] = '\0';
		found = tab && strcmp(tab + 1, name) == 0;
	}
	fclose(file);
	return found;
}

bool ability_memory_policy(int mode)
{
	const int bare = mode & ~MPOL_MODE_FLAGS;
	const size_t size = (size_t)sysconf(_SC_PAGESIZE);
	unsigned long nodes[1024 / (8 * sizeof(unsigned long))] = { 0 };
	/* The kernel counts one bit less than it is told (get_nodes in mempolicy.c). */
	const unsigned long bits = 8 * sizeof(nodes) + 1;

	if (syscall(SYS_get_mempolicy, NULL, nodes, bits - 1, NULL, MPOL_F_MEMS_ALLOWED) < 0)
		return false;
	void *page = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return false;
	/* Of a page that goes away: the policy of this process stays as it is. */
	const bool none = bare == MPOL_DEFAULT || bare == MPOL_LOCAL;
	const long r = syscall(SYS_mbind, page, size, mode, none ? NULL : nodes, none ? 0 : bits, 0);

	munmap(page, size);
	return r == 0;
}

bool ability_idmapped_mounts(void)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };

	return syscall(SYS_mount_setattr, -1, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0 || errno != ENOSYS;
}
